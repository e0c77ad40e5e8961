-- Leases up to p_max queued work items of the given classes.
create or replace function fetch_work_items_v1(
  p_worker bigint, p_request bigint, p_classes int[], p_max int, p_sleep boolean)
returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  taken int := 0;
begin
  -- A repeat waits for an earlier try that is still running, and then sees what that took.
  perform commit_unflushed_v1(), pg_advisory_xact_lock(p_request);
  if not exists (select from work where claim = p_request and owner = p_worker) then
    taken := claim_work_v1(p_worker, p_request, p_classes, p_max, clock_timestamp());
    -- Also when something was found: while the worker is busy with that, what comes next must wake it. Whoever queued
    -- something during the look above could not see the mark, so look once more.
    if p_sleep and taken < p_max then
      update worker w set sleeping_work = p_classes where w.id = p_worker and w.sleeping_work is distinct from p_classes;
      if found then
        taken := taken + claim_work_v1(p_worker, p_request, p_classes, p_max - taken, clock_timestamp());
      end if;
    end if;
    if taken = 0 then return; end if;
  end if;
  return query select c.* from claimed_work_v1(p_worker, p_request) c;
end $$;
