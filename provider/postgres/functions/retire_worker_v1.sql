-- Releases everything a worker holds and forgets it, but for the traces of calls that are still under way.
create or replace function retire_worker_v1(p_worker bigint) returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  t timestamptz := clock_timestamp();
  p presence := presence_v1(p_worker);
  ready int[];
begin
  -- Its marks, and any that were rung by a transaction so long that the worker had marked itself anew before its end.
  delete from rung g where not exists (select from presence r where g.mark in (r.turns_mark, r.work_mark));
  insert into worker (id, name, joined_at, reaped_at, look_at) values (p_worker, '', t, t, t)
  on conflict (id) do update set reaped_at = coalesce(worker.reaped_at, t), look_at = t;
  ready := release_dead_v1(t);
  if ready is not null then perform notify_listeners_v1(ready, null, null, null); end if;
end $$;
