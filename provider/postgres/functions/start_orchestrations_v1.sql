-- Creates instances; sorted by (part, id). An item with a request is an eager start: its first turn is committed with
-- it, as an ack would. p_worker is 0 for a mere client, null in a transaction of a user. Status 1 applied (or it exists with
-- the same execution id), 3 the id is taken.
create or replace function start_orchestrations_v1(
  p_worker bigint,
  p_part smallint[], p_id text[], p_execution_id uuid[], p_class int[], p_watch boolean[],
  p_parent_id text[], p_parent_execution int[], p_parent_event int[],
  p_request bigint[],                                          -- 0: not eager
  p_status smallint[], p_keep boolean[], p_waits text[], p_count int[], p_events json[],
  p_next_id uuid[], p_next_class int[], p_next_events json[],  -- null unless an item continues as new
  e effects,
  p_replace boolean[],                                         -- takes the place of an ended instance; null if no item does
  n_item int[], n_kind smallint[], n_execution int[], n_name text[], n_id text[], n_body json[])  -- messages that come along
returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  t timestamptz := clock_timestamp();
  n int := cardinality(p_id);
  live bigint[];            -- the instances created now, null for items that were not
  created bigint[];
  mine boolean[];           -- items that are the instance of that id
  sent delivery;
  again delivery;
  ready int[];
  watched int[];
  r reply;
begin
  r.kind := 0; r.at := t;
  -- In order of the key, so that two calls creating the same ids do not deadlock. The row numbers follow that order. One by
  -- one only if ended instances may have to make room: these are removed in the same order.
  for k in 1..case when p_replace is null then 1 else n end loop
    loop
      with started as (
        insert into instance (part, instance_id, created_at, parent_id, parent_execution, parent_event, watch,
                              execution_id, class, next_seq, status, ended_at, waits, token, owner, last_owner)
        select p_part[u.n], u.id, t, p_parent_id[u.n], p_parent_execution[u.n], p_parent_event[u.n], p_watch[u.n],
               p_execution_id[u.n], p_class[u.n], p_count[u.n], case p_status[u.n] when 3 then 0 else p_status[u.n] end,
               case when p_status[u.n] not in (0, 3) then t end, p_waits[u.n]::text[], p_request[u.n],
               case when p_keep[u.n] then p_worker end, case when p_request[u.n] <> 0 then p_worker end
          from unnest(p_id) with ordinality u(id, n)
         where p_replace is null or u.n = k
        on conflict (part, instance_id) do nothing
        returning iid)
      select array_agg(iid order by iid) into created from started;
      exit when created is not null or p_replace[k] is not true;
      exit when not remove_ended_v1(p_part[k], p_id[k], p_execution_id[k], live);
    end loop;
    live := live || created;
  end loop;

  r.statuses := array_fill(1::smallint, array[n]);
  r.refs := live;
  if coalesce(cardinality(live), 0) < n then
    -- Some exist. Look up each; of two items of the call with one id and execution the first has created it.
    select array_agg(case when x.iid = any (live) and x.mine and x.nth = 1 then x.iid end order by x.n),
           array_agg(x.iid order by x.n), array_agg((case when x.mine then 1 else 3 end)::smallint order by x.n)
      into live, r.refs, r.statuses
      from (select u.n, i.iid, coalesce(i.first_execution_id, i.execution_id) = u.execution_id mine,
                   row_number() over (partition by u.part, u.id, u.execution_id order by u.n) nth
              from unnest(p_part, p_id, p_execution_id) with ordinality u(part, id, execution_id, n)
              left join instance i on i.part = u.part and i.instance_id = u.id) x;
  end if;

  insert into history (part, iid, execution, seq, count, token, events)
  select p_part[u.n], u.iid, 1, 0, p_count[u.n], p_request[u.n], p_events[u.n]
    from unnest(live) with ordinality u(iid, n)
   where u.iid is not null;
  if 0 = any (p_request) then
    with queued as (
      insert into hint (part, class, due, iid)
      select u.part, u.class, clock_timestamp(), u.iid
        from unnest(p_part, p_class, live, p_request) u(part, class, iid, request)
       where u.iid is not null and u.request = 0
      returning class)
    select array_agg(class) into ready from queued;
  end if;
  if p_next_id is not null then
    ready := ready || begin_executions_v1(p_part, live, p_request, p_keep, p_next_id, p_next_class, p_next_events);
  end if;
  if n_item is not null then
    insert into inbox (part, iid, name, kind, execution, message_id, body, at)
    select p_part[u.item], live[u.item], u.name, u.kind, u.execution, u.id, u.body, t
      from unnest(n_item, n_name, n_kind, n_execution, n_id, n_body) with ordinality u(item, name, kind, execution, id, body, n)
     where live[u.item] is not null and p_status[u.item] in (0, 3)
     order by u.n;
  end if;
  if not (e is null) then
    sent := commit_effects_v1(p_worker, p_part, live, r.refs, array_fill(1, array[n]), p_request, e, t);
    ready := ready || sent.ready;
  end if;
  -- Nobody else knows the new instances yet; only the call itself can have sent them anything.
  if false = any (p_keep) and (e.m_item is not null or e.c_item is not null or true = any (e.w_lease) or n_item is not null) then
    perform hold_unread_v1(p_worker, p_part,
      array(select case when u.request <> 0 then u.iid end from unnest(live, p_request) with ordinality u(iid, request, n)
             order by u.n), p_status, p_keep);
  end if;
  if not (e is null) then
    if array_position(live, null) is not null then
      again := regranted_v1(p_worker, array(select u.n::int from unnest(live, r.statuses) with ordinality u(iid, status, n)
                                             where u.iid is null and u.status = 1), r.refs, p_request, e);
      sent.grant_part := sent.grant_part || again.grant_part;
      sent.grant_iid := sent.grant_iid || again.grant_iid;
      sent.grant_from := sent.grant_from || again.grant_from;
    end if;
  end if;
  return next r;

  if e.m_item is not null or e.c_item is not null or n_item is not null or array_position(live, null) is not null then
    return query select m.* from unread_v1(p_part, r.refs, p_worker, p_request) m;
  end if;
  if sent.grant_iid is not null then
    return query select g.* from granted_v1(p_worker, sent.grant_part, sent.grant_iid, sent.grant_from, null) g;
  end if;
  if true = any (p_watch) then
    watched := (select array_agg(u.n) from unnest(p_watch, p_status, live) with ordinality u(watch, status, iid, n)
                 where u.watch and u.status not in (0, 3) and u.iid is not null);
  end if;
  if ready is not null or sent.owners is not null or watched is not null or sent.homes is not null then
    perform notify_listeners_v1(ready, sent.owners, (select array_agg(p_part[w] order by w) from unnest(watched) w),
                                (select array_agg(live[w] order by w) from unnest(watched) w), sent.homes);
  end if;
end $$;
