-- Puts messages into inboxes, in the order of the arrays. Returns a status per message: 1 applied, 4 no such instance,
-- 5 the instance has ended.
create or replace function enqueue_messages_v1(
  p_part smallint[], p_target text[], p_kind smallint[], p_execution int[], p_name text[], p_id text[], p_body json[])
returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  sent delivery;
  r reply;
begin
  r.kind := 0; r.at := clock_timestamp();
  sent := put_messages_v1(0, p_part, p_target, p_kind, p_execution, p_name, p_id, p_body, null, null, '{}', '{}', r.at);
  if sent.ready is not null or sent.owners is not null then
    perform notify_listeners_v1(sent.ready, sent.owners, null, null);
  end if;
  r.statuses := sent.statuses;
  return next r;
end $$;
