-- The instances that an earlier try of the same call granted: leased children and taken targets of messages that the
-- worker still holds under the request of their item. p_repeat are the items that are repeats, p_own the instances of the
-- call's items, which are held by their own right.
create or replace function regranted_v1(p_worker bigint, p_repeat int[], p_own bigint[], p_request bigint[], e effects)
returns delivery
language plpgsql as $$
declare
  r delivery;
begin
  select array_agg(x.part), array_agg(x.iid), array_agg(x.from_seq) into r.grant_part, r.grant_iid, r.grant_from
    from (select i.part, i.iid, min(u.from_seq) from_seq
            from (select *, -1 from unnest(e.c_item, e.c_part, e.c_id, e.c_lease)
                  union all
                  select *, null from unnest(e.m_item, e.m_part, e.m_target, e.m_take)) u(item, part, id, wanted, from_seq)
            join instance i on i.part = u.part and i.instance_id = u.id and i.iid <> all (p_own)
           where u.item = any (p_repeat) and u.wanted and i.token = p_request[u.item] and i.owner = p_worker
           group by i.part, i.iid) x;
  return r;
end $$;
