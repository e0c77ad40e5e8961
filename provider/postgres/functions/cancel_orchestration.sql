-- For users, in any transaction of theirs: asks a running instance to end.
create or replace function cancel_orchestration(instance_id text, reason text default null)
returns void
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
begin
  perform send_v1($1, 5::smallint, '', gen_random_uuid()::text,
                  ('{"type":"CancelRequested"' || coalesce(',"reason":' || to_json(nullif($2, '')), '') || '}')::json);
end $$;
comment on function cancel_orchestration(text, text) is
  'Asks a running instance to end: its code learns of it and may clean up. Commits or rolls back with the transaction it is called in.';
