-- The row by which the caller learns where to begin its next look: kind 9. p_kind is 1 for instances, 2 for work, 3 for
-- timers; t the clock at the beginning of the call, before its transaction had a number. Hints for instances that others
-- hold count: those may lose them.
create or replace function renewed_low_water_v1(p_kind int, p_queue low_water, t timestamptz, p_worker bigint default null)
returns setof reply language plpgsql as $$
declare
  low timestamptz[] := p_queue.low;
  r reply;
begin
  r.kind := 9; r.flags := p_kind; r.at := t;
  -- The number of this transaction: those with higher ones have begun after t. Lower ones that are under way are listed in
  -- the snapshot or are at least its xmax. The snapshot comes before the looks below: a transaction that ends in between
  -- is reported as under way, whatever they see.
  r.num := pg_current_xact_id()::text::bigint;
  r.name := pg_current_snapshot()::text;
  if p_queue.open is not null then low := low_water_v1(p_queue); end if;
  if p_kind = 1 then
    r.refs := array(
      select (extract(epoch from min(h.due)) * 1000000)::bigint
        from unnest(p_queue.classes, low) with ordinality c(class, low, n)
       cross join generate_series(0, part_count() - 1) p(part)
        left join lateral (
          select q.due from hint q
           where q.part = p.part::smallint and q.class = c.class and q.due >= c.low and q.due <= t
           order by q.due limit 1) h on true
       group by c.n order by c.n);
  elsif p_kind = 2 then
    r.refs := array(
      select (extract(epoch from min(w.due)) * 1000000)::bigint
        from unnest(p_queue.classes, low) with ordinality c(class, low, n)
       cross join generate_series(0, part_count() - 1) p(part)
        left join lateral (
          select q.due from work q
           where q.part = p.part::smallint and q.class = c.class and q.owner is null and q.home is null
             and q.due >= c.low and q.due <= t
           order by q.due limit 1) w on true
       group by c.n order by c.n);
    if p_queue.routed then
      r.refs[cardinality(low)] := (
        select (extract(epoch from q.due) * 1000000)::bigint from work q
         where q.home = p_worker and q.owner is null and q.due >= low[cardinality(low)] and q.due <= t
         order by q.due limit 1);
    end if;
  else
    r.refs := array(
      select (extract(epoch from min(m.due)) * 1000000)::bigint
        from generate_series(0, part_count() - 1) p(part)
        left join lateral (
          select q.due from timer q
           where q.part = p.part::smallint and q.due >= low[1] and q.due <= t
           order by q.due limit 1) m on true);
  end if;
  return next r;
end $$;
