-- start_orchestrations_v1 for many of the shape of start_one_v1: eager starts without a parent whose first turns ended or
-- left at most one work item, leased. Sorted by (part, id). Returns the row numbers of the instances in order if all
-- were created. Null means nothing was done, for an id is taken: ask start_orchestrations_v1.
create or replace function start_plain_v1(
  p_worker bigint, p_part smallint[], p_id text[], p_execution_id uuid[], p_class int[], p_request bigint[],
  p_status smallint[], p_keep boolean[], p_count int[], p_events json[],
  w_event int[], w_class int[], w_input json[])                -- new work, null or one for each item, which may be null
returns bigint[]
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  t timestamptz := clock_timestamp();
  created bigint[];
begin
  -- In order of the key, so that two calls creating the same ids do not deadlock. The row numbers follow that order.
  with started as (
    insert into instance (part, instance_id, created_at, execution_id, class, next_seq, status, ended_at, token, owner, last_owner)
    select u.part, u.id, t, u.execution_id, u.class, u.count, u.status, case when u.status <> 0 then t end, u.request,
           case when u.keep then p_worker end, p_worker
      from unnest(p_part, p_id, p_execution_id, p_class, p_request, p_status, p_keep, p_count)
           u(part, id, execution_id, class, request, status, keep, count)
    on conflict (part, instance_id) do nothing
    returning iid)
  select array_agg(iid order by iid) into created from started;
  if coalesce(cardinality(created), 0) < cardinality(p_id) then
    -- No exception: an id that is taken is nothing for the server's log.
    delete from instance i using unnest(p_part) u(part) where i.part = u.part and i.iid = any (created);
    return null;
  end if;
  with recorded as (
    insert into history (part, iid, execution, seq, count, token, events)
    select u.part, u.iid, 1, 0, u.count, u.request, u.events
      from unnest(p_part, created, p_count, p_request, p_events) u(part, iid, count, request, events))
  insert into work (part, iid, execution, event, class, due, owner, token, attempt, input)
  select u.part, u.iid, 1, u.event, u.class, t, p_worker, u.request, 1, u.input
    from unnest(p_part, created, p_request, w_event, w_class, w_input) u(part, iid, request, event, class, input)
   where u.event is not null;
  return created;
end $$;
