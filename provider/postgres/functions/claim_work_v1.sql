-- Leases up to p_max queued work items: with p_routed first those that only this worker may claim, whatever their class; then
-- those of the given classes, the oldest first, but with p_ranks (one for each class) those of
-- lower ranks before all others. p_low says from when on something may be due (see low_water). The claim is a request id: the rows are then read back by it, which is also how a repeat of
-- the call finds them.
create or replace function claim_work_v1(
  p_worker bigint, p_claim bigint, p_classes int[], p_low timestamptz[], p_ranks smallint[], p_routed boolean, p_max int,
  t timestamptz)
returns int language plpgsql as $$
declare
  per_queue int := least(p_max, 4 + 2 * p_max / part_count());
  of_rank record;
  seen int;
  taken int;
  total int := 0;
begin
  if p_routed then
    with locked as materialized (
      select w.part, w.iid, w.execution, w.event from work w
       where w.home = p_worker and w.owner is null and w.due >= p_low[cardinality(p_classes) + 1] and w.due <= t
       order by w.due limit p_max for update skip locked)
    update work w set owner = p_worker, token = p_claim, claim = p_claim, attempt = w.attempt + 1
      from locked l
     where w.part = l.part and w.iid = l.iid and w.execution = l.execution and w.event = l.event;
    get diagnostics total = row_count;
    if total >= p_max then return total; end if;
  end if;
  if p_ranks is not null then
    for of_rank in
      select array_agg(c.class) classes, array_agg(c.low) low
        from unnest(p_classes, p_low, p_ranks) c(class, low, rank)
       where c.class is not null group by c.rank order by c.rank
    loop
      total := total + claim_work_v1(p_worker, p_claim, of_rank.classes, of_rank.low, null, false, p_max - total, t);
      exit when total >= p_max;
    end loop;
    return total;
  end if;
  loop
    -- Look without locking, a few of each queue; then lock in order of age, skipping what others are just taking.
    with queued as materialized (
      select q.part, q.iid, q.execution, q.event, q.due
        from unnest(p_classes, p_low) c(class, low), generate_series(0, part_count() - 1) p(part),
             lateral (select * from work w
                       where w.part = p.part::smallint and w.class = c.class and w.owner is null and w.home is null
                         and w.due >= c.low and w.due <= t
                       order by w.due limit per_queue) q),
    locked as materialized (
      select w.*
        from (select * from queued order by due) q,
             lateral (select w.part, w.iid, w.execution, w.event from work w
                       where w.part = q.part and w.iid = q.iid and w.execution = q.execution and w.event = q.event
                         and coalesce(w.owner, 0) = 0 and w.due <= t
                         for update skip locked) w
       limit p_max - total),
    leased as (
      update work w set owner = p_worker, token = p_claim, claim = p_claim, attempt = w.attempt + 1
        from locked l
       where w.part = l.part and w.iid = l.iid and w.execution = l.execution and w.event = l.event
      returning 1)
    select (select count(*) from queued), (select count(*) from leased) into seen, taken;
    total := total + taken;
    -- Once more, deeper, only if a queue may have had more than was looked at.
    exit when total >= p_max or seen < per_queue or per_queue >= p_max;
    per_queue := p_max;
  end loop;
  return total;
end $$;
