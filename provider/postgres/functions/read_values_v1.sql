-- The values of an instance, sorted by key, all or (p_keys not null) those of some keys: kind 12. A row with flags 1 says that
-- there is no value but the instance is there, flags 2 that the value is searchable. One statement reads everything, so it is of one turn.
create or replace function read_values_v1(p_part smallint, p_id text, p_keys text[]) returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
begin
  if p_keys is null then
    return query
    select 12::smallint, (case when v.key is null then 1 when v.found is not null then 2 else 0 end)::smallint, i.part, i.iid, 0, 0, 0, 0, 0::bigint, null::timestamptz, v.key,
           null::text, v.data, null::smallint[], null::bigint[]
      from instance i
      left join value v on v.part = i.part and v.iid = i.iid
     where i.part = p_part and i.instance_id = p_id
     order by v.key;
  else
    return query
    select 12::smallint, (case when v.key is null then 1 when v.found is not null then 2 else 0 end)::smallint, i.part, i.iid, 0, 0, 0, 0, 0::bigint, null::timestamptz, v.key,
           null::text, v.data, null::smallint[], null::bigint[]
      from instance i
     cross join (select distinct w.key from unnest(p_keys) w(key)) k
      left join value v on v.part = i.part and v.iid = i.iid and v.key = k.key
     where i.part = p_part and i.instance_id = p_id
     order by v.key;
  end if;
end $$;
