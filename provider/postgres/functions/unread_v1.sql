-- The unread messages that instances can use now: all messages of the engine, and external events with a name in the
-- committed waits; at most 256 of each name. With p_owner, only of instances that it holds under p_token. Call it in a
-- later statement than the one that locked the instances: its snapshot must be newer than the lock. In SQL and stable, so
-- that it becomes part of the statement that calls it.
create or replace function unread_v1(p_part smallint[], p_iid bigint[], p_owner bigint, p_token bigint[]) returns setof reply
language sql stable as $$
  select 2::smallint, 0::smallint, m.part, m.iid, m.kind::int, m.execution, m.event, 0, m.ord, m.at, m.name,
         m.message_id, m.body, null::smallint[], null::bigint[]
    from unnest(p_iid) with ordinality u(iid, n)
    join instance i on i.part = p_part[u.n] and i.iid = u.iid
     and (p_owner is null or i.owner = p_owner and i.token = p_token[u.n])
   cross join lateral unnest(array_append(i.waits, '')) w(name)
   cross join lateral (
     select * from inbox b
      where b.part = i.part and b.iid = i.iid and b.name = w.name
      order by b.ord limit 256) m
   order by m.ord
$$;
