-- Instances newest first, kind 6 without the last turn. p_before continues a listing: the row number of its last row.
-- Row numbers grow in the order of creation over all partitions. With p_key those that have all these searchable values.
create or replace function list_instances_v1(
  p_status smallint, p_parked boolean, p_name text, p_prefix text, p_before bigint, p_limit int, p_key text[], p_data text[])
returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  t timestamptz := clock_timestamp();
  classes int[] := case when p_name <> '' then array(select id from class where kind = 1 and name = p_name) end;
  rare_key text := p_key[1];
  rare_data text := p_data[1];
begin
  if p_key is not null then
    -- The index of one value is read, that which the fewest have, up to a thousand; the others are looked up.
    if cardinality(p_key) > 1 then
      select w.key, w.data into rare_key, rare_data
        from unnest(p_key, p_data) with ordinality w(key, data, n),
             lateral (select count(*) n from (select from value v where v.key = w.key and v.found = w.data limit 1000) f) has
       order by has.n, w.n limit 1;
    end if;
    return query
    select 6::smallint, 0::smallint, s.part, s.iid, 0, 0, 0, 0, 0::bigint, t, s.id, null::text, s.state,
           null::smallint[], null::bigint[]
      from (select array_agg(x.part) part, array_agg(x.iid) iid from
           (select i.part, i.iid
              from value v
              join instance i on i.part = v.part and i.iid = v.iid
             where v.key = rare_key and v.found = rare_data and v.iid < p_before and v.part >= 0
               and (p_status is null or i.status = p_status)
               and (not p_parked or i.parked is not null)
               and (classes is null or i.class = any (classes))
               and (p_prefix = '' or starts_with(i.instance_id, p_prefix))
               and not exists (
                     select from unnest(p_key, p_data) w(key, data)
                      where not exists (select from value o where o.part = v.part and o.iid = v.iid and o.key = w.key
                                                              and o.found = w.data))
             order by v.iid desc limit p_limit) x) y,
           states_v1(y.part, y.iid, false) s
     order by s.iid desc;
    return;
  end if;
  return query
  select 6::smallint, 0::smallint, s.part, s.iid, 0, 0, 0, 0, 0::bigint, t, s.id, null::text, s.state,
         null::smallint[], null::bigint[]
    from (select array_agg(x.part) part, array_agg(x.iid) iid from
         (select q.*
            from generate_series(0, part_count() - 1) p(part),
                 lateral (select i.part, i.iid, i.instance_id
                            from instance i
                           where i.part = p.part::smallint and i.iid < p_before
                             and (p_status is null or i.status = p_status)
                             and (not p_parked or i.parked is not null)
                             and (classes is null or i.class = any (classes))
                             and (p_prefix = '' or starts_with(i.instance_id, p_prefix))
                           order by i.iid desc limit p_limit) q
           order by q.iid desc limit p_limit) x) y,
         states_v1(y.part, y.iid, false) s
   order by s.iid desc;
end $$;
