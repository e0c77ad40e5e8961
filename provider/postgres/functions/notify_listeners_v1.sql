-- The one notification of a call, and only if somebody has marked an interest in it: workers that sleep and serve a class of
-- p_ready (as many of them as there are items), other owners of instances that got a message, workers for whom alone there is
-- work (p_homes), and whoever watches an instance of p_done. A mark is good for one notification: whoever sends it leaves a note, which others heed from its
-- commit on. Nothing is locked or changed, for the call may be part of a transaction of a user that stays open for long.
-- A worker whose row is just being changed (xmax) may be falling asleep and may have looked already: it is notified, too.
-- Records of the payload, separated by chr(30): r<worker> instances are ready, w<worker> work is,
-- h<worker> a held instance has news or there is work for this worker alone, d<state> an instance has ended, or e<instance id> where there is no room for it. Commits
-- send s<instance id>, a watched instance has a new custom status, on their own (publish_v1).
create or replace function notify_listeners_v1(
  p_ready int[], p_owners bigint[], p_done_part smallint[], p_done_iid bigint[], p_homes bigint[] default null)
returns void language plpgsql as $$
declare
  records text[];
  done text[];
  payload text;
begin
  if p_ready is not null then
    -- Those that were just heard of first: a worker that has died sleeps too.
    with asleep as materialized (
      select p.worker, p.turns_mark, p.work_mark,
             p.turns && p_ready and (p.changing or not exists (select from rung where mark = p.turns_mark)) for_turns,
             p.work && p_ready and (p.changing or not exists (select from rung where mark = p.work_mark)) for_work
        from worker w
       cross join lateral (
         select *, xmax <> '0'::xid changing from presence where worker = w.id order by n desc limit 1) p
       where w.reaped_at is null and (p.turns && p_ready or p.work && p_ready)
       order by p.beat_at < clock_timestamp() - interval '2 seconds', random()),
    chosen as materialized (
      select r.*
        from (select * from asleep where for_turns or for_work limit cardinality(p_ready)) a,
             lateral (values (a.for_turns, 'r' || a.worker, a.turns_mark), (a.for_work, 'w' || a.worker, a.work_mark))
               r(wanted, record, mark)
       where r.wanted),
    noted as (insert into rung (mark) select mark from chosen)
    select array_agg(record) into records from chosen;
  end if;
  if p_owners is not null then
    -- An owner that has never slept has no mark that could be rung: it is told each time.
    with owner as materialized (
      select o.id, p.turns_mark
        from (select distinct id from unnest(p_owners) o(id)) o
       cross join lateral (select * from presence where worker = o.id order by n desc limit 1) p
       where not exists (select from rung where mark = p.turns_mark)),
    noted as (insert into rung (mark) select turns_mark from owner where turns_mark is not null)
    select records || array_agg('h' || id) into records from owner;
  end if;
  if p_homes is not null then
    -- The mark is that of fetches of work: it is by these that the worker finds out.
    with home as materialized (
      select h.id, p.work_mark
        from (select distinct id from unnest(p_homes) h(id)) h
       cross join lateral (
         select *, xmax <> '0'::xid changing from presence where worker = h.id order by n desc limit 1) p
       where p.changing or not exists (select from rung where mark = p.work_mark)),
    noted as (insert into rung (mark) select work_mark from home where work_mark is not null)
    select records || array_agg('h' || id) into records from home;
  end if;
  if p_done_iid is not null then
    if cardinality(p_done_iid) <= 12 then
      -- The states that fit ride along, of the others only the ids: who waits for them reads them in one go.
      select array_agg(case when s.size < 5000 then 'd' || s.state else 'e' || s.id end order by s.n) into done
        from (select d.n, d.id, d.state::text, sum(octet_length(d.state::text)) over (order by d.n) size
                from states_v1(p_done_part, p_done_iid, true) d) s;
    else
      select array_agg('e' || i.instance_id) into done
        from unnest(p_done_part, p_done_iid) u(part, iid)
        join instance i on i.part = u.part and i.iid = u.iid;
    end if;
    records := records || done;
  end if;
  if records is null or cardinality(records) = 0 then return; end if;
  -- 8000 bytes is the limit of a payload. What does not fit is left to the pulse of whoever waits for it.
  select string_agg(f.record, chr(30)) into payload
    from (select u.record, sum(octet_length(u.record) + 1) over (order by u.n) size
            from unnest(records) with ordinality u(record, n)) f
   where f.size < 7900;
  if payload is not null then perform pg_notify(current_schema(), payload); end if;
end $$;
