-- The periodic call of a process: beat, reap, fire due timers, look for ready items, read watched instances. The first
-- row (kind 0) carries the clock and flags 1 lost, 2 orchestrations ready, 4 work ready; kind 7 a stale beat; kind 8
-- the earliest timer; kind 6 a watched instance that has ended.
create or replace function pulse_v1(
  p_worker bigint, p_join boolean, p_name text, p_ttl interval, p_reap bigint[], p_reap_beat bigint[],
  p_classes int[], p_work_classes int[], p_sleep boolean, p_watch_part smallint[], p_watch text[])
returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  t timestamptz := clock_timestamp();
  fired delivery;
  ready int[];
  r reply;
begin
  perform commit_unflushed_v1();
  r.kind := 0; r.at := t; r.flags := 0;
  if p_worker <> 0 then
    update worker set beat = beat + 1, beat_at = t where id = p_worker and reaped_at is null;
    if not found and p_join then
      insert into worker (id, name, beat_at, joined_at) values (p_worker, p_name, t, t) on conflict (id) do nothing;
    end if;
    if not found then
      r.flags := 1;
      return next r;
      return;
    end if;
  end if;

  if p_reap is not null then
    -- Never waiting: who is locked is just beating, or being reaped; two workers may suspect each other.
    with dead as materialized (
      select l.id
        from unnest(p_reap, p_reap_beat) u(id, beat),
             lateral (select w.id from worker w where w.id = u.id and w.beat = u.beat and w.reaped_at is null
                         for update skip locked) l)
    update worker w set reaped_at = t, look_at = t, sleeping = null, sleeping_work = null
      from dead d
     where w.id = d.id;
  end if;
  ready := release_dead_v1(t);
  fired := fire_timers_v1(p_worker, 500, t);

  if exists (select from unnest(p_classes) c(class), generate_series(0, part_count() - 1) p(part),
               lateral (select from hint h
                          join instance i on i.part = h.part and i.iid = h.iid
                         where h.part = p.part::smallint and h.class = c.class and h.due <= t
                           and coalesce(i.owner, p_worker) = p_worker limit 1) q) then
    r.flags := r.flags | 2;
  end if;
  if exists (select from unnest(p_work_classes) c(class), generate_series(0, part_count() - 1) p(part),
               lateral (select from work w
                         where w.part = p.part::smallint and w.class = c.class and w.owner is null and w.due <= t
                         limit 1) q) then
    r.flags := r.flags | 4;
  end if;
  if p_sleep and r.flags = 0 and p_worker <> 0 then
    update worker w set sleeping = p_classes, sleeping_work = p_work_classes
     where w.id = p_worker
       and (w.sleeping is distinct from p_classes or w.sleeping_work is distinct from p_work_classes);
  end if;
  return next r;

  return query
  select 7::smallint, 0::smallint, 0::smallint, 0::bigint, 0, 0, 0, 0, w.beat, w.beat_at, w.name, null::text,
         null::json, null::smallint[], array[w.id]
    from worker w
   where w.id <> p_worker and w.reaped_at is null and w.beat_at < t - p_ttl;
  return query
  select 8::smallint, 0::smallint, 0::smallint, 0::bigint, 0, 0, 0, 0, 0::bigint, min(m.fire_at), null::text,
         null::text, null::json, null::smallint[], null::bigint[]
    from generate_series(0, part_count() - 1) p(part),
         lateral (select fire_at from timer where part = p.part::smallint order by fire_at limit 1) m;
  if p_watch is not null then
    return query
    select 6::smallint, 0::smallint, i.part, i.iid, 0, 0, 0, 0, 0::bigint, t, i.instance_id, null::text,
           state_of_v1(i.part, i.iid, true), null::smallint[], null::bigint[]
      from unnest(p_watch_part, p_watch) u(part, id)
      join instance i on i.part = u.part and i.instance_id = u.id and i.status <> 0;
  end if;
  ready := ready || fired.ready;
  if ready is not null or fired.owners is not null then
    perform notify_listeners_v1(ready, fired.owners, null, null, true);
  end if;
end $$;
