-- The one notification of a call, and only if somebody marked an interest in it: workers that sleep and serve a class
-- of p_ready (as many of them as there are items), other owners of instances that got a message, and whoever watches an
-- instance of p_done. Unless p_alone, the call is part of a transaction of a user, which may stay open for long: it then locks and
-- clears nothing, or the workers could not beat meanwhile.
-- Records of the payload, separated by chr(30): r<worker> instances are ready, w<worker> work is,
-- h<worker> a held instance has news, d<state> an instance has ended, or e<instance id> where there is no room for it.
create or replace function notify_listeners_v1(
  p_ready int[], p_owners bigint[], p_done_part smallint[], p_done_iid bigint[], p_alone boolean)
returns void language plpgsql as $$
declare
  records text[];
  done text[];
  payload text;
begin
  if p_ready is not null then
    -- The flag is cleared by whoever notifies; a row that somebody else is just clearing is skipped, never waited for.
    with asleep as materialized (
      select id, coalesce(sleeping && p_ready, false) for_turns, coalesce(sleeping_work && p_ready, false) for_work
        from worker
       where reaped_at is null and (sleeping && p_ready or sleeping_work && p_ready)
       order by beat_at desc),
    locked as materialized (
      select a.*
        from asleep a,
             lateral (select from worker w where w.id = a.id and (w.sleeping && p_ready or w.sleeping_work && p_ready)
                         for update skip locked) w
       where p_alone limit cardinality(p_ready)),
    woken as (
      update worker w
         set sleeping = case when not l.for_turns then w.sleeping end,
             sleeping_work = case when not l.for_work then w.sleeping_work end
        from locked l
       where w.id = l.id)
    select array_agg(r.record) into records
      from (select * from locked
             union all
            (select * from asleep where not p_alone limit cardinality(p_ready))) a,
           lateral (values (a.for_turns, 'r' || a.id), (a.for_work, 'w' || a.id)) r(wanted, record)
     where r.wanted;
  end if;
  if p_owners is not null then
    records := records || array(select distinct 'h' || o from unnest(p_owners) o);
  end if;
  if p_done_iid is not null then
    -- The states that fit ride along, of the others only the ids: who waits for them reads them in one go.
    select array_agg(case when s.size < 5000 then 'd' || s.state else 'e' || s.id end order by s.n) into done
      from (select d.n, d.id, d.state, sum(octet_length(d.state)) over (order by d.n) size
              from (select u.n, state_of_v1(u.part, u.iid, true)::text state,
                           (select i.instance_id from instance i where i.part = u.part and i.iid = u.iid) id
                      from unnest(p_done_part, p_done_iid) with ordinality u(part, iid, n)) d) s;
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
