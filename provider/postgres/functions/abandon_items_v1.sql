-- Gives back held instances (sorted by key) and work items whose token still matches. A parked instance gets no hint:
-- resume_instances makes it claimable again. Work that is handed over keeps its token, but has no worker (owner -1) any more.
-- What one worker alone may claim stays for that.
create or replace function abandon_items_v1(
  p_part smallint[], p_iid bigint[], p_token bigint[], p_undo boolean[], p_park json[], p_delay interval[],
  w_part smallint[], w_iid bigint[], w_execution int[], w_event int[], w_token bigint[], w_undo boolean[],
  w_delay interval[],
  w_state json[], w_hand_over boolean[])  -- null unless an item has any of it
returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  ready int[];
  work_ready int[];
begin
  if p_iid is not null then
    with freed as (
      update instance i
         set owner = null, token = 0, claim = null, parked = coalesce(u.park, i.parked),
             attempt = greatest(i.attempt - u.undo::int, 0)
        from unnest(p_part, p_iid, p_token, p_undo, p_park) u(part, iid, token, undo, park)
       where i.part = u.part and i.iid = u.iid and i.token = u.token and coalesce(i.owner, 0) <> 0
      returning i.part, i.iid, i.class, i.parked is not null parked),
    left_behind as (  -- what was leased with the instance is found by its claim from now on, should the worker die
      update work w set claim = w.token
        from freed f
       where w.part = f.part and w.iid = f.iid and coalesce(w.owner, -1) <> -1 and w.claim is null),
    hinted as (
      insert into hint (part, class, due, iid)
      select f.part, f.class, clock_timestamp() + u.delay, f.iid
        from freed f
        join unnest(p_part, p_iid, p_delay) u(part, iid, delay) on u.part = f.part and u.iid = f.iid
       where not f.parked
      returning class, due)
    select array_agg(class) filter (where due <= clock_timestamp()) into ready from hinted;
  end if;
  if w_iid is not null then
    with freed as (
      update work w
         set owner = case when u.hand_over then -1 end, token = case when u.hand_over then w.token end, claim = null,
             due = case when u.hand_over then w.due else clock_timestamp() + u.delay end,
             attempt = case when u.hand_over then w.attempt else greatest(w.attempt - u.undo::int, 0) end,
             state = coalesce(u.state, w.state)
        from unnest(w_part, w_iid, w_execution, w_event, w_token, w_undo, w_delay, w_state, w_hand_over)
             u(part, iid, execution, event, token, undo, delay, state, hand_over)
       where w.part = u.part and w.iid = u.iid and w.execution = u.execution and w.event = u.event
         and w.token = u.token and coalesce(w.owner, -1) <> -1
      returning w.class, w.due, w.home, u.hand_over)
    select array_agg(class) filter (where hand_over is not true and home is null and due <= clock_timestamp())
      into work_ready from freed;
  end if;
  ready := ready || work_ready;
  if ready is not null then perform notify_listeners_v1(ready, null, null, null); end if;
end $$;
