-- The ids of classes, in order; those that do not exist yet are created.
create or replace function register_classes_v1(p_kind smallint[], p_name text[], p_version text[], p_tag text[])
returns int[]
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  ids int[];
begin
  for try in 1..2 loop
    ids := array(
      select c.id
        from unnest(p_kind, p_name, p_version, p_tag) with ordinality u(kind, name, version, tag, n)
        left join class c on c.kind = u.kind and c.name = u.name and c.version = u.version and c.tag = u.tag
       order by u.n);
    exit when array_position(ids, null) is null;
    insert into class (kind, name, version, tag)
    select distinct u.kind, u.name, u.version, u.tag
      from unnest(p_kind, p_name, p_version, p_tag, ids) u(kind, name, version, tag, id)
     where u.id is null
     order by 1, 2, 3, 4
    on conflict do nothing;
  end loop;
  return ids;
end $$;
