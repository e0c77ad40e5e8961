-- The running instances that the items of a call name and, where p_children is set, those of their children that are running,
-- and theirs; each once, with the number of the first item that reaches it. A child is never older than its parent: one that
-- is, is of an earlier instance of that id. Row numbers follow creation, but for what one call has started. The items take effect
-- one after the other: of several that name an instance the first ends it, and one that an item ends without its children hides
-- these from later items.
create or replace function family_v1(p_part smallint[], p_id text[], p_children boolean[])
returns table (part smallint, iid bigint, item int)
language sql stable as $$
  with recursive family as (
    select u.n::int item, i.part, i.iid, i.instance_id, i.created_at
      from (select distinct on (u.id) u.id, u.n from unnest(p_id) with ordinality u(id, n) order by u.id, u.n) u
      join instance i on i.part = p_part[u.n] and i.instance_id = u.id and i.status = 0
     union
    select f.item, c.part, c.iid, c.instance_id, c.created_at
      from family f
      join instance c on c.parent_id = f.instance_id and c.status = 0 and (c.iid > f.iid or c.created_at >= f.created_at)
     where p_children[f.item]
       and case when c.instance_id in (select u.id from unnest(p_id, p_children) u(id, children) where not u.children)
                then not exists (select from unnest(p_id, p_children) with ordinality u(id, children, n)
                                  where u.id = c.instance_id and not u.children and u.n < f.item)
                else true end)
  select f.part, f.iid, min(f.item) from family f group by f.part, f.iid
$$;
