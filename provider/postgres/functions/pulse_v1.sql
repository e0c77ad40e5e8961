-- The periodic call of a process: beat, reap, fire due timers, look for ready items, read watched instances. The first
-- row (kind 0) carries the clock and flags 1 lost, 2 orchestrations ready, 4 work ready; kind 7 a stale beat; kind 8
-- the earliest timer; kind 6 a watched instance that has ended; kind 11 a work item of h_* (null if there is none, else sorted
-- by key) that is not held under its token; kind 13 a class with the number p_classes_from (null: none) or a higher one, at
-- most 1000 of them (provider.MaxClasses), by number. p_serves is null unless the worker says what it serves, and for how long a beat of
-- it lasts.
create or replace function pulse_v1(
  p_worker bigint, p_join boolean, p_name text, p_serves int[], p_beat_lasts interval, p_ttl interval, p_reap bigint[], p_reap_beat bigint[],
  p_queue low_water, p_work_queue low_water, p_timers low_water, p_sleep boolean, p_watch_part smallint[], p_watch text[],
  h_part smallint[], h_iid bigint[], h_execution int[], h_event int[], h_token bigint[], h_state json[],
  p_classes_from int)
returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  t timestamptz := clock_timestamp();
  low timestamptz[] := p_queue.low;
  work_low timestamptz[] := p_work_queue.low;
  timer_low timestamptz[] := p_timers.low;
  me presence;
  fired delivery;
  ready int[];
  r reply;
begin
  perform commit_unflushed_v1();
  if p_queue.open is not null then low := low_water_v1(p_queue); end if;
  if p_work_queue.open is not null then work_low := low_water_v1(p_work_queue); end if;
  if p_timers.open is not null then timer_low := low_water_v1(p_timers); end if;
  r.kind := 0; r.at := t; r.flags := 0;
  if p_worker <> 0 then
    me := presence_v1(p_worker);
    if me.worker is null and p_join then
      insert into worker (id, name, joined_at) values (p_worker, p_name, t) on conflict (id) do nothing;
      if found then me.worker := p_worker; me.n := 0; me.beat := 0; else me := presence_v1(p_worker); end if;
    end if;
    if me.worker is null then
      r.flags := 1;
      return next r;
      if h_iid is not null then
        return query select g.* from held_work_v1(h_part, h_iid, h_execution, h_event, h_token, h_state) g;
      end if;
      return;
    end if;
    insert into presence (worker, n, beat, beat_at, turns, turns_mark, work, work_mark)
    values (p_worker, me.n + 1, me.beat + 1, t, me.turns, me.turns_mark, me.work, me.work_mark);
    if p_serves is not null then
      update worker set serves = p_serves, beat_lasts = p_beat_lasts where id = p_worker;
    end if;
  end if;

  if p_reap is not null then
    -- Never waiting: who is locked is just beating, or being reaped; two workers may suspect each other.
    with dead as materialized (
      select l.*
        from unnest(p_reap, p_reap_beat) u(id, beat),
             lateral (select p.worker, p.n from presence p where p.worker = u.id and p.beat = u.beat
                       order by p.n desc limit 1 for update skip locked) l),
    forgotten as (
      delete from presence p using dead d where p.worker = d.worker and p.n = d.n
      returning p.worker)
    update worker w set reaped_at = t, look_at = t
      from forgotten f
     where w.id = f.worker;
  end if;
  ready := release_dead_v1(t);
  fired := fire_timers_v1(p_worker, timer_low, 500, t);

  if ready_v1(p_worker, p_queue.classes, low, t) then
    r.flags := r.flags | 2;
  end if;
  if exists (select from unnest(p_work_queue.classes, work_low) c(class, low), generate_series(0, part_count() - 1) p(part),
               lateral (select from work w
                         where w.part = p.part::smallint and w.class = c.class and w.owner is null and w.home is null
                           and w.due >= c.low and w.due <= t
                         limit 1) q) then
    r.flags := r.flags | 4;
  elsif p_work_queue.routed and exists (
          select from work w
           where w.home = p_worker and w.owner is null and w.due >= work_low[cardinality(p_work_queue.classes) + 1] and w.due <= t) then
    r.flags := r.flags | 4;
  end if;
  if p_sleep and r.flags = 0 and p_worker <> 0 then
    perform fall_asleep_v1(p_worker, p_queue.classes, p_work_queue.classes, p_queue.open, pg_current_snapshot());
  end if;
  return next r;

  return query
  select 7::smallint, 0::smallint, 0::smallint, 0::bigint, 0, 0, 0, 0, p.beat, p.beat_at, w.name, null::text,
         null::json, null::smallint[], array[w.id]
    from worker w
   cross join lateral (select * from presence where worker = w.id order by n desc limit 1) p
   where w.id <> p_worker and w.reaped_at is null and p.beat_at < t - p_ttl;
  return query
  select 8::smallint, 0::smallint, 0::smallint, 0::bigint, 0, 0, 0, 0, 0::bigint, min(m.due), null::text,
         null::text, null::json, null::smallint[], null::bigint[]
    from generate_series(0, part_count() - 1) p(part),
         lateral (select due from timer where part = p.part::smallint and due >= timer_low[1] order by due limit 1) m;
  if p_watch is not null then
    return query
    select 6::smallint, 0::smallint, s.part, s.iid, 0, 0, 0, 0, 0::bigint, t, s.id, null::text, s.state,
           null::smallint[], null::bigint[]
      from (select array_agg(i.part) part, array_agg(i.iid) iid
              from unnest(p_watch_part, p_watch) u(part, id)
              join instance i on i.part = u.part and i.instance_id = u.id and i.status <> 0) w,
           states_v1(w.part, w.iid, true) s;
  end if;
  if h_iid is not null then
    return query select g.* from held_work_v1(h_part, h_iid, h_execution, h_event, h_token, h_state) g;
  end if;
  if p_classes_from is not null then
    return query
    select 13::smallint, 0::smallint, 0::smallint, 0::bigint, c.id, c.kind::int, c.priority::int, 0, 0::bigint,
           null::timestamptz, c.name, c.version, to_json(c.tag), null::smallint[], null::bigint[]
      from class c
     where c.id >= p_classes_from
     order by c.id limit 1000;
  end if;
  if p_queue.renew then return query select l.* from renewed_low_water_v1(1, p_queue, t) l; end if;
  if p_work_queue.renew then return query select l.* from renewed_low_water_v1(2, p_work_queue, t, p_worker) l; end if;
  if p_timers.renew then return query select l.* from renewed_low_water_v1(3, p_timers, t) l; end if;
  ready := ready || fired.ready;
  if ready is not null or fired.owners is not null then
    perform notify_listeners_v1(ready, fired.owners, null, null);
  end if;
end $$;
