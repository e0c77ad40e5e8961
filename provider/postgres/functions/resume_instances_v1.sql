-- Makes parked instances claimable again, their attempts reset. Status 1 applied (also if it was not parked), 4 no such
-- instance, 5 ended.
create or replace function resume_instances_v1(p_part smallint[], p_id text[]) returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  ready int[];
  r reply;
begin
  r.kind := 0; r.at := clock_timestamp();
  with found as materialized (  -- locked in the order of everybody else
    select i.part, i.iid
      from unnest(p_part, p_id) u(part, id)
      join instance i on i.part = u.part and i.instance_id = u.id and i.status = 0 and i.parked is not null
     order by i.part, i.iid for no key update of i),
  resumed as (
    update instance i set parked = null, attempt = 0
      from found f
     where i.part = f.part and i.iid = f.iid
    returning i.part, i.iid, i.class),
  hinted as (
    insert into hint (part, class, due, iid) select part, class, clock_timestamp(), iid from resumed returning class)
  select array_agg(class) into ready from hinted;
  r.statuses := array(
    select (case when i.iid is null then 4 when i.status <> 0 then 5 else 1 end)::smallint
      from unnest(p_part, p_id) with ordinality u(part, id, n)
      left join instance i on i.part = u.part and i.instance_id = u.id
     order by u.n);
  if ready is not null then perform notify_listeners_v1(ready, null, null, null); end if;
  return next r;
end $$;
