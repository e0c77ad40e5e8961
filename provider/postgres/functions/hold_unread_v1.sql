-- Keeps those of the given instances, just released by commits of the caller after which they run on, that have unread
-- messages they can use; one that continues as new is ready anyway, for anybody. Work that is still leased with one of them is
-- found by its claim from now on, should the worker die.
create or replace function hold_unread_v1(p_worker bigint, p_part smallint[], p_iid bigint[], p_status smallint[], p_keep boolean[])
returns void language plpgsql as $$
begin
  with left_behind as (
    update work w set claim = w.token
      from unnest(p_part, p_iid, p_status, p_keep) u(part, iid, status, keep)
     where w.part = u.part and w.iid = u.iid and u.status = 0 and not u.keep and w.owner = p_worker and w.claim is null)
  update instance i set owner = p_worker, claim = null
    from unnest(p_part, p_iid, p_status, p_keep) u(part, iid, status, keep)
   where i.part = u.part and i.iid = u.iid and u.status = 0 and not u.keep
     and exists (select 1 from unnest(array_append(i.waits, '')) w(name)
                   join inbox m on m.part = i.part and m.iid = i.iid and m.name = w.name);
end $$;
