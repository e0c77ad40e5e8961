-- For each class, the due time from which on the queue may have anything: what the caller brings, or earlier if a
-- transaction that was under way at its last look has ended since. Call it in an earlier statement than the one that looks.
create or replace function low_water_v1(p_queue low_water) returns timestamptz[]
language plpgsql as $$
declare
  ended timestamptz;
begin
  select min(o.low) into ended
    from unnest(p_queue.open, p_queue.open_low) o(xid, low)
   where pg_visible_in_snapshot(o.xid, pg_current_snapshot());
  if ended is null then return p_queue.low; end if;
  return array(select least(l.low, ended) from unnest(p_queue.low) with ordinality l(low, n) order by l.n);
end $$;
