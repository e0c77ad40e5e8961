-- Releases everything a worker holds and forgets it, but for the traces of calls that are still under way.
create or replace function retire_worker_v1(p_worker bigint) returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  t timestamptz := clock_timestamp();
  ready int[];
begin
  insert into worker (id, name, beat_at, joined_at, reaped_at, look_at) values (p_worker, '', t, t, t, t)
  on conflict (id) do update
    set reaped_at = coalesce(worker.reaped_at, t), look_at = t, sleeping = null, sleeping_work = null;
  ready := release_dead_v1(t);
  if ready is not null then perform notify_listeners_v1(ready, null, null, null, true); end if;
end $$;
