-- Parks instances from outside, held or free: whoever holds one is fenced. Work stays as it is; what is leased with an instance
-- is found by its claim from now on, should the worker die. Status 1 applied (also if it was parked: the reason stays), 4 no
-- such instance, 5 ended.
create or replace function suspend_instances_v1(p_part smallint[], p_id text[], p_reason json) returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  l_part smallint[]; l_iid bigint[];   -- instances to be parked, locked in the order of everybody else
  owners bigint[];
  r reply;
begin
  r.kind := 0; r.at := clock_timestamp();
  select array_agg(l.part), array_agg(l.iid), array_agg(l.owner) filter (where l.owner is not null) into l_part, l_iid, owners
    from (select i.part, i.iid, i.owner
            from unnest(p_part, p_id) u(part, id)
            join instance i on i.part = u.part and i.instance_id = u.id and i.status = 0 and i.parked is null
           order by i.part, i.iid for no key update of i) l;
  -- In later statements: what the holder has committed meanwhile is seen.
  if l_iid is not null then
    update instance i set parked = p_reason, owner = null, token = 0, claim = null
      from unnest(l_part, l_iid) l(part, iid)
     where i.part = l.part and i.iid = l.iid;
    update work w set claim = w.token
      from unnest(l_part, l_iid) l(part, iid)
     where w.part = l.part and w.iid = l.iid and coalesce(w.owner, -1) <> -1 and w.claim is null;
  end if;
  r.statuses := array(
    select (case when i.iid is null then 4 when i.status <> 0 then 5 else 1 end)::smallint
      from unnest(p_part, p_id) with ordinality u(part, id, n)
      left join instance i on i.part = u.part and i.instance_id = u.id
     order by u.n);
  if owners is not null then perform notify_listeners_v1(null, owners, null, null); end if;
  return next r;
end $$;
