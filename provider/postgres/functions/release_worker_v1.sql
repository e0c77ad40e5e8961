-- Takes everything from a worker: its instances and work items are free, with no valid token, and ready at once.
-- Returns the classes of what became claimable. What is locked is passed over: its call, whose client may be frozen with
-- the worker, must not take the beat of the caller with it; release_dead_v1 comes again. Work rows have no index by owner (it would cost every step for the
-- sake of this rare call), so the queue is read through.
create or replace function release_worker_v1(p_worker bigint, t timestamptz) returns int[]
language plpgsql set enable_seqscan = on as $$
declare
  ready int[];
  work_ready int[];
begin
  with held as materialized (
    select i.part, i.iid from instance i where i.owner = p_worker order by i.part, i.iid for update skip locked),
  freed as (
    update instance i set owner = null, token = 0, claim = null
      from held h where i.part = h.part and i.iid = h.iid
    returning i.part, i.iid, i.class, i.status),
  hinted as (
    insert into hint (part, class, due, iid) select part, class, t, iid from freed where status = 0 returning class)
  select array_agg(class) into ready from hinted;
  with held as materialized (
    select w.part, w.iid, w.execution, w.event from work w where w.owner = p_worker
     order by w.part, w.iid, w.execution, w.event for update skip locked),
  freed as (
    update work w set owner = null, token = null, claim = null -- its due time stays: it has waited longest
      from held h where w.part = h.part and w.iid = h.iid and w.execution = h.execution and w.event = h.event
    returning w.class)
  select array_agg(class) into work_ready from freed;
  return ready || work_ready;
end $$;
