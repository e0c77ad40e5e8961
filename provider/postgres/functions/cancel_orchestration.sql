-- For users, in any transaction of theirs: asks a running instance to end.
create or replace function cancel_orchestration(instance_id text, reason text default null)
returns void
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  body json := '{"type":"CancelRequested"' || coalesce(',"reason":' || to_json(nullif($2, '')), '') || '}';
  sent delivery;
begin
  sent := put_messages_v1(0, array[partition_of($1)], array[$1], array[5::smallint], array[0], array[''],
                          array[gen_random_uuid()::text], array[body], null, null, '{}', '{}', clock_timestamp());
  if sent.statuses[1] = 4 then
    raise exception 'there is no instance %', $1 using errcode = 'no_data_found';
  elsif sent.statuses[1] = 5 then
    raise exception 'instance % has ended', $1 using errcode = 'object_not_in_prerequisite_state';
  end if;
  if sent.ready is not null or sent.owners is not null then
    perform notify_listeners_v1(sent.ready, sent.owners, null, null);
  end if;
end $$;
comment on function cancel_orchestration(text, text) is
  'Asks a running instance to end: its code learns of it and may clean up. Commits or rolls back with the transaction it is called in.';
