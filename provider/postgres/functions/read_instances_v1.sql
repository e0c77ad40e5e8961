-- The committed state of instances; kind 6, one row for each that exists. With p_watch, those still running are marked
-- so that their end is notified; without, p_unserved bounds the classes nobody serves, which come with them.
create or replace function read_instances_v1(p_part smallint[], p_id text[], p_watch boolean, p_unserved int) returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  t timestamptz := clock_timestamp();
begin
  if p_watch then
    with running as materialized (  -- locked in the order of everybody else
      select i.part, i.iid
        from unnest(p_part, p_id) u(part, id)
        join instance i on i.part = u.part and i.instance_id = u.id and i.status = 0 and not i.watch
       order by i.part, i.iid for no key update of i)
    update instance i set watch = true
      from running r
     where i.part = r.part and i.iid = r.iid;
  else
    return query
    with live as materialized (
      select distinct w.id, s.class
        from worker w
       cross join lateral (select beat_at from presence where worker = w.id order by n desc limit 1) p
       cross join unnest(w.serves) s(class)
       where w.reaped_at is null and (w.beat_lasts is null or p.beat_at >= t - w.beat_lasts))
    select 6::smallint, case i.status when 0 then 1 else 0 end::smallint, s.part, s.iid,
           (select count(*)::int from live l where l.class = i.class), 0, 0, 0, 0::bigint, t, s.id,
           (select json_agg(json_build_object('name', u.name, 'version', u.version, 'tag', u.tag, 'priority', u.priority)
                            order by u.name, u.version, u.tag, u.priority)::text
              from (select c.name, c.version, c.tag, c.priority
                      from (select distinct w.class from work w where w.part = i.part and w.iid = i.iid and w.owner is null) q
                      join class c on c.id = q.class
                     where not exists (select from live l where l.class = q.class)
                     order by c.name, c.version, c.tag, c.priority limit p_unserved) u),
           s.state, null::smallint[], null::bigint[]
      from (select array_agg(i.part order by u.n) part, array_agg(i.iid order by u.n) iid
              from unnest(p_part, p_id) with ordinality u(part, id, n)
              join instance i on i.part = u.part and i.instance_id = u.id) x,
           states_v1(x.part, x.iid, true) s
      join instance i on i.part = s.part and i.iid = s.iid
     order by s.n;
    return;
  end if;
  return query
  select 6::smallint, 0::smallint, s.part, s.iid, 0, 0, 0, 0, 0::bigint, t, s.id, null::text, s.state,
         null::smallint[], null::bigint[]
    from (select array_agg(i.part order by u.n) part, array_agg(i.iid order by u.n) iid
            from unnest(p_part, p_id) with ordinality u(part, id, n)
            join instance i on i.part = u.part and i.instance_id = u.id) x,
         states_v1(x.part, x.iid, true) s
   order by s.n;
end $$;
