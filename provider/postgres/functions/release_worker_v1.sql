-- Takes everything from a worker: its instances and work items are free, with no valid token, and ready at once.
-- Returns the classes of what became claimable. What is locked is passed over: its call, whose client may be frozen with
-- the worker, must not take the beat of the caller with it; release_dead_v1 comes again. Work that the worker has leased
-- belongs to an instance it holds or is found by its claim, so an instance goes last.
create or replace function release_worker_v1(p_worker bigint) returns int[]
language plpgsql as $$
declare
  h_part smallint[]; h_iid bigint[];   -- instances held
  ready int[];
  work_ready int[];
  home_ready int[];
begin
  select array_agg(h.part), array_agg(h.iid) into h_part, h_iid
    from (select i.part, i.iid from instance i where i.owner = p_worker order by i.part, i.iid for update skip locked) h;
  with leased as (
    select w.part, w.iid, w.execution, w.event
      from unnest(h_part, h_iid) h(part, iid)
      join work w on w.part = h.part and w.iid = h.iid and w.owner = p_worker
     union
    select w.part, w.iid, w.execution, w.event from work w where w.owner = p_worker and w.claim is not null),
  locked as materialized (
    select x.*
      from leased l,
           lateral (select w.part, w.iid, w.execution, w.event from work w
                     where w.part = l.part and w.iid = l.iid and w.execution = l.execution and w.event = l.event
                       and w.owner = p_worker
                       for update skip locked) x),
  freed as (
    update work w set owner = null, token = null, claim = null, home = null, due = clock_timestamp()
      from locked l
     where w.part = l.part and w.iid = l.iid and w.execution = l.execution and w.event = l.event
    returning w.class)
  select array_agg(class) into work_ready from freed;
  -- What it alone might have claimed is for whoever serves its class now.
  with waiting as materialized (
    select w.part, w.iid, w.execution, w.event from work w where w.home = p_worker and w.owner is null for update skip locked),
  queued as (
    update work w set home = null, due = clock_timestamp()
      from waiting q
     where w.part = q.part and w.iid = q.iid and w.execution = q.execution and w.event = q.event
    returning w.class)
  select array_agg(class) into home_ready from queued;
  with freed as (
    update instance i set owner = null, token = 0, claim = null
      from unnest(h_part, h_iid) h(part, iid)
     where i.part = h.part and i.iid = h.iid
       and not exists (select from work w where w.part = h.part and w.iid = h.iid and w.owner = p_worker)
    returning i.part, i.iid, i.class, i.status),
  hinted as (
    insert into hint (part, class, due, iid) select part, class, clock_timestamp(), iid from freed where status = 0
    returning class)
  select array_agg(class) into ready from hinted;
  return ready || work_ready || home_ready;
end $$;
