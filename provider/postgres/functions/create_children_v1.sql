-- Creates the children of a commit. The parent learns of an id that is taken by a message into its own inbox.
create or replace function create_children_v1(
  p_worker bigint, p_part smallint[], p_iid bigint[], p_execution int[], p_request bigint[], e effects, t timestamptz)
returns delivery language plpgsql as $$
declare
  r delivery;
  iids bigint[];      -- the row of each child
  mine boolean[];     -- whether it is the one this call asked for
  leased boolean[];   -- whether it was also born leased to this call
begin
  -- Ordered as starts are, so that two calls creating the same ids do not deadlock.
  insert into instance (part, instance_id, class, execution_id, next_seq, parent_id, parent_execution, parent_event,
                        watch, created_at, owner, token, attempt)
  select c.part, c.id, c.class, c.execution_id, 1, c.parent_id, c.parent_execution, c.parent_event, c.watch, t,
         case when c.lease then p_worker end, case when c.lease then p_request[c.item] else 0 end, c.lease::int
    from unnest(e.c_item, e.c_part, e.c_id, e.c_class, e.c_execution_id, e.c_parent_id, e.c_parent_execution,
                e.c_parent_event, e.c_watch, e.c_lease)
         c(item, part, id, class, execution_id, parent_id, parent_execution, parent_event, watch, lease)
   where p_iid[c.item] is not null
   order by c.part, c.id collate "C"
  on conflict (part, instance_id) do nothing;

  select array_agg(x.iid), array_agg(x.mine), array_agg(x.mine and x.held) into iids, mine, leased
    from (select i.iid, p_iid[c.item] is not null
                        and coalesce(i.first_execution_id, i.execution_id) = c.execution_id mine,
                 c.lease and i.owner = p_worker and i.token = p_request[c.item] held
            from unnest(e.c_item, e.c_part, e.c_id, e.c_execution_id, e.c_lease)
                 with ordinality c(item, part, id, execution_id, lease, n)
            left join instance i on i.part = c.part and i.instance_id = c.id
           order by c.n) x;

  insert into history (part, iid, execution, seq, count, token, events)
  select c.part, c.iid, 1, 0, 1, 0, c.events
    from unnest(e.c_part, iids, mine, e.c_events) c(part, iid, mine, events)
   where c.mine
  on conflict do nothing;
  if e.v_item is not null then
    insert into value (part, iid, key, data, found)
    select e.c_part[-u.item], iids[-u.item], u.key, u.data, case when u.searchable then u.data::text end
      from unnest(e.v_item, e.v_key, e.v_data, e.v_searchable) u(item, key, data, searchable)
     where u.item < 0 and mine[-u.item] and u.data is not null
    on conflict do nothing;
  end if;

  with queued as (
    insert into hint (part, class, due, iid)
    select c.part, c.class, clock_timestamp(), c.iid
      from unnest(e.c_part, iids, mine, e.c_class, e.c_lease) c(part, iid, mine, class, lease)
     where c.mine and not c.lease
    returning class)
  select array_agg(class) into r.ready from queued;

  insert into inbox (part, iid, name, kind, execution, message_id, body, at)
  select p_part[c.item], p_iid[c.item], '', 3, p_execution[c.item], replace(c.execution_id::text, '-', ''), c.body, t
    from unnest(e.c_item, mine, e.c_execution_id, e.c_exists) with ordinality c(item, mine, execution_id, body, n)
   where not c.mine and c.body is not null and p_iid[c.item] is not null
   order by c.n;

  select array_agg(c.part), array_agg(c.iid), array_agg(-1) into r.grant_part, r.grant_iid, r.grant_from
    from unnest(e.c_part, iids, leased) c(part, iid, leased)
   where c.leased;
  return r;
end $$;
