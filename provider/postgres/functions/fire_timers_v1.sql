-- Turns due timers into messages, the oldest first, at most p_max of them. Those that are to fire only unless their work has
-- been granted just go if it has, or is there no more. p_low has one element: from when on to look.
create or replace function fire_timers_v1(p_worker bigint, p_low timestamptz[], p_max int, t timestamptz) returns delivery
language plpgsql as $$
declare
  r delivery;
  per_part int := 4 + 2 * p_max / part_count();
begin
  with due as materialized (
    select d.part, d.iid, d.execution, d.event
      from generate_series(0, part_count() - 1) p(part),
           lateral (select * from timer m where m.part = p.part::smallint and m.due >= p_low[1] and m.due <= t
                     order by m.due limit per_part) d
     order by d.due limit p_max),
  locked as materialized (
    select m.*
      from due d,
           lateral (select m.part, m.iid, m.execution, m.event from timer m
                     where m.part = d.part and m.iid = d.iid and m.execution = d.execution and m.event = d.event
                       for update skip locked) m),
  fired as (
    delete from timer m using locked l
     where m.part = l.part and m.iid = l.iid and m.execution = l.execution and m.event = l.event
    returning m.part, m.iid, m.execution, m.event, m.fire_at, m.unless_started),
  target as materialized (
    select f.*, i.class, i.owner
      from fired f
      join instance i on i.part = f.part and i.iid = f.iid and i.status = 0
     where not f.unless_started
        or (select w.attempt from work w
             where w.part = f.part and w.iid = f.iid and w.execution = f.execution and w.event = f.event) = 0),
  mail as (
    insert into inbox (part, iid, name, kind, execution, event, at)
    select part, iid, '', 4, execution, event, fire_at from target order by fire_at),
  hinted as (
    insert into hint (part, class, due, iid) select part, class, clock_timestamp(), iid from target)
  select array_agg(class) filter (where owner is null), array_agg(owner) filter (where owner <> p_worker)
    into r.ready, r.owners
    from target;
  return r;
end $$;
