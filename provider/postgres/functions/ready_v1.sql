-- Whether there are instances of the classes to be fetched: free ones with a hint, or news for those that the worker holds.
-- Hints stay when an instance ends or is parked. Up to 20 of those in a queue are looked through, for nobody may have to fetch;
-- if there are more a fetch shall sweep them, so that not every pulse meets them all.
create or replace function ready_v1(p_worker bigint, p_classes int[], p_low timestamptz[], t timestamptz) returns boolean
language plpgsql as $$
begin
  return exists (
    select from unnest(p_classes, p_low) c(class, low), generate_series(0, part_count() - 1) p(part), lateral (
      select from hint h
        join instance i on i.part = h.part and i.iid = h.iid
       where h.part = p.part::smallint and h.class = c.class and h.due >= c.low and h.due <= t
         and coalesce(i.owner, p_worker) = p_worker limit 1) q)
  and (exists (
    select from unnest(p_classes, p_low) c(class, low), generate_series(0, part_count() - 1) p(part), lateral (
      select from (
        select i.part, i.iid, i.status, i.parked is null fit
          from hint h
          join instance i on i.part = h.part and i.iid = h.iid
         where h.part = p.part::smallint and h.class = c.class and h.due >= c.low and h.due <= t
           and coalesce(i.owner, p_worker) = p_worker limit 20) f
       where f.status = 0 and f.fit limit 1) q)
  or exists (
    select from unnest(p_classes, p_low) c(class, low), generate_series(0, part_count() - 1) p(part), lateral (
      select from hint h
        join instance i on i.part = h.part and i.iid = h.iid
       where h.part = p.part::smallint and h.class = c.class and h.due >= c.low and h.due <= t
         and coalesce(i.owner, p_worker) = p_worker offset 20 limit 1) q));
end $$;
