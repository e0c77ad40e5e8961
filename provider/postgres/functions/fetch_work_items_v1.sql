-- Leases up to p_max queued work items (see claim_work_v1), and with them those of their instances that are free and of a
-- class in p_serves. p_sleep as in fetch_orchestration_items_v1.
create or replace function fetch_work_items_v1(
  p_worker bigint, p_request bigint, p_queue low_water, p_max int, p_sleep int, p_serves int[])
returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  t timestamptz := clock_timestamp();
  began timestamptz := t;   -- before this transaction had a number: see renewed_low_water_v1
  classes int[] := p_queue.classes;
  low timestamptz[] := p_queue.low;
  taken int := 0;
  fresh boolean := true;
  again boolean := false;
  since pg_snapshot := pg_current_snapshot();
  others int;
  r reply;
begin
  -- A repeat waits for an earlier try that is still running, and then sees what that took.
  perform commit_unflushed_v1(), pg_advisory_xact_lock(p_request);
  if p_queue.open is not null then low := low_water_v1(p_queue); end if;
  if not exists (select from work where claim = p_request and owner = p_worker) then
    taken := claim_work_v1(p_worker, p_request, classes, low, p_queue.ranks, p_queue.routed, p_max, t);
    -- Also when something was found: while the worker is busy with that, what comes next must wake it.
    if p_sleep > 0 and taken < p_max then
      again := p_sleep = 2 and taken > 0 and writers_v1(p_queue.open);
      if not again then
        others := fall_asleep_v1(p_worker, null, classes, p_queue.open, since);
        again := p_sleep = 2 and others & 2 <> 0;
        if others & 1 <> 0 then
          t := clock_timestamp();
          taken := taken + claim_work_v1(p_worker, p_request, classes, low, p_queue.ranks, p_queue.routed, p_max - taken, t);
        end if;
      end if;
    end if;
  else
    fresh := false;
    taken := 1;
  end if;
  if taken > 0 then
    return query select c.* from claimed_work_v1(p_worker, p_request, classes, p_queue.ranks) c;
    if cardinality(p_serves) > 0 then
      return query select g.* from granted_with_work_v1(p_worker, p_request, p_serves, fresh) g;
    end if;
  end if;
  if p_queue.renew then return query select l.* from renewed_low_water_v1(2, p_queue, began, p_worker) l; end if;
  if again then
    r.kind := 10;
    return next r;
  end if;
end $$;
