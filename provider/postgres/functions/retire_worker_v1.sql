-- Releases everything a worker holds and forgets it.
create or replace function retire_worker_v1(p_worker bigint) returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  ready int[];
begin
  delete from worker where id = p_worker;
  ready := release_worker_v1(p_worker, clock_timestamp());
  if ready is not null then perform notify_listeners_v1(ready, null, null, null); end if;
end $$;
