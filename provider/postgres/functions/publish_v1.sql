-- What the commits of a call show of their instances: custom statuses, of which those who watch are notified (records of
-- the form s<instance id>, see notify_listeners_v1), and values.
-- Items whose p_iid is null have no effect, nor has what children begin with (negative items, see create_children_v1).
create or replace function publish_v1(p_part smallint[], p_iid bigint[], e effects) returns void
language plpgsql as $$
declare
  payload text;
begin
  if e.s_item is not null then
    with said as (
      update instance i set custom_status = u.status, status_version = i.status_version + 1
        from unnest(e.s_item, e.s_status) u(item, status)
       where i.part = p_part[u.item] and i.iid = p_iid[u.item]
      returning i.instance_id, i.watch)
    select string_agg(s.record, chr(30)) into payload
      from (select 's' || instance_id record, sum(octet_length(instance_id) + 2) over (order by instance_id) size
              from said where watch) s
     where s.size < 7900;
    if payload is not null then perform pg_notify(current_schema(), payload); end if;
  end if;
  if e.v_item is not null then
    delete from value v using unnest(e.v_item, e.v_key, e.v_data) u(item, key, data)
     where v.part = p_part[u.item] and v.iid = p_iid[u.item] and v.key = u.key and u.data is null;
    insert into value (part, iid, key, data, found)
    select p_part[u.item], p_iid[u.item], u.key, u.data, case when u.searchable then u.data::text end
      from unnest(e.v_item, e.v_key, e.v_data, e.v_searchable) u(item, key, data, searchable)
     where p_iid[u.item] is not null and u.data is not null
    on conflict (part, iid, key) do update set data = excluded.data, found = excluded.found;
  end if;
end $$;
