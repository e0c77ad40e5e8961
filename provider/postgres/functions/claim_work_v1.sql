-- Leases up to p_max queued work items of the given classes that are due from p_low on, the oldest first. The claim is a request id: the rows are then
-- read back by it, which is also how a repeat of the call finds them.
create or replace function claim_work_v1(
  p_worker bigint, p_claim bigint, p_classes int[], p_low timestamptz[], p_max int, t timestamptz)
returns int language plpgsql as $$
declare
  per_queue int := least(p_max, 4 + 2 * p_max / part_count());
  seen int;
  taken int;
  total int := 0;
begin
  loop
    -- Look without locking, a few of each queue; then lock in order of age, skipping what others are just taking.
    with queued as materialized (
      select q.part, q.iid, q.execution, q.event, q.due
        from unnest(p_classes, p_low) c(class, low), generate_series(0, part_count() - 1) p(part),
             lateral (select * from work w
                       where w.part = p.part::smallint and w.class = c.class and w.owner is null
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
