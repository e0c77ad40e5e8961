-- The ids of classes, in order; those that do not exist yet are created. That is done by one call at a time, until it has
-- committed: so ids become visible in order. Who finds all its classes there locks nothing.
create or replace function register_classes_v1(
  p_kind smallint[], p_name text[], p_version text[], p_tag text[], p_priority smallint[])
returns int[]
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  ids int[];
begin
  for try in 1..3 loop
    ids := array(
      select c.id
        from unnest(p_kind, p_name, p_version, p_tag, p_priority) with ordinality u(kind, name, version, tag, priority, n)
        left join class c on c.kind = u.kind and c.name = u.name and c.version = u.version and c.tag = u.tag
         and c.priority = u.priority
       order by u.n);
    exit when array_position(ids, null) is null;
    if try = 1 then
      perform from meta for update;   -- and then look again, in a newer snapshot
    else
      insert into class (kind, name, version, tag, priority)
      select u.kind, u.name, u.version, u.tag, u.priority
        from unnest(p_kind, p_name, p_version, p_tag, p_priority, ids) with ordinality u(kind, name, version, tag, priority, id, n)
       where u.id is null
       group by 1, 2, 3, 4, 5
       order by min(u.n)
      on conflict do nothing;   -- a transaction with an old snapshot fails here, and is to be repeated
    end if;
  end loop;
  return ids;
end $$;
