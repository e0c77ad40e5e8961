-- What commits do beside their turns: work, timers, children, messages, and what the instances show of themselves. Items
-- whose p_iid is null have no effect (they were refused or are a repeat). Returns the grants of children in grant_*, and the
-- deliveries of messages are added to them; owners and ready add up likewise. p_items are the instances of all items.
create or replace function commit_effects_v1(
  p_worker bigint, p_part smallint[], p_iid bigint[], p_items bigint[], p_execution int[], p_request bigint[], e effects,
  t timestamptz)
returns delivery language plpgsql as $$
declare
  r delivery;
  sent delivery;
  live int[];
  homes bigint[];     -- of work that is for one worker alone, as far as that lives
begin
  if e.w_item is not null then
    if e.w_home is not null then
      homes := array(select (select p.worker from presence p where p.worker = h.home order by p.n desc limit 1)
                       from unnest(e.w_home) with ordinality h(home, n) order by h.n);
    end if;
    insert into work (part, iid, execution, event, class, due, owner, token, attempt, input, home)
    select p_part[e.w_item[w.n]], p_iid[e.w_item[w.n]], p_execution[e.w_item[w.n]], e.w_event[w.n], e.w_class[w.n], clock_timestamp(),
           case when e.w_lease[w.n] then p_worker end, case when e.w_lease[w.n] then p_request[e.w_item[w.n]] end,
           e.w_lease[w.n]::int, w.input, homes[w.n]
      from unnest(e.w_input) with ordinality w(input, n)
     where p_iid[e.w_item[w.n]] is not null;
    if homes is not null then
      select array_agg(w.class) filter (where w.home is null), array_agg(w.home) filter (where w.home <> p_worker)
        into r.ready, r.homes
        from unnest(e.w_item, e.w_class, e.w_lease, homes) w(item, class, lease, home)
       where not w.lease and p_iid[w.item] is not null;
    elsif false = any (e.w_lease) then
      r.ready := array(select w.class from unnest(e.w_item, e.w_class, e.w_lease) w(item, class, lease)
                        where not w.lease and p_iid[w.item] is not null);
    end if;
  end if;
  if e.t_item is not null then
    insert into timer (part, iid, execution, event, fire_at, due, unless_started)
    select p_part[u.item], p_iid[u.item], p_execution[u.item], u.event, u.fire_at, greatest(u.fire_at, clock_timestamp()),
           u.unless_started
      from unnest(e.t_item, e.t_event, e.t_fire_at, e.t_unless_started) u(item, event, fire_at, unless_started)
     where p_iid[u.item] is not null;
  end if;
  -- After the inserts: one commit may schedule and cancel.
  if e.x_item is not null then
    delete from work w using unnest(e.x_item, e.x_event) x(item, event)
     where w.part = p_part[x.item] and w.iid = p_iid[x.item] and w.execution = p_execution[x.item] and w.event = x.event;
  end if;
  if e.y_item is not null then
    delete from timer m using unnest(e.y_item, e.y_event) y(item, event)
     where m.part = p_part[y.item] and m.iid = p_iid[y.item] and m.execution = p_execution[y.item] and m.event = y.event;
  end if;
  if e.s_item is not null or e.v_item is not null then
    perform publish_v1(p_part, p_iid, e);
  end if;
  if e.c_item is not null then
    sent := create_children_v1(p_worker, p_part, p_iid, p_execution, p_request, e, t);
    r.ready := r.ready || sent.ready;
    r.grant_part := sent.grant_part;
    r.grant_iid := sent.grant_iid;
    r.grant_from := sent.grant_from;
  end if;
  if e.m_item is not null then
    live := array(select m.n from unnest(e.m_item) with ordinality m(item, n) where p_iid[m.item] is not null order by m.n);
    sent := null;
    if cardinality(live) = cardinality(e.m_item) then
      sent := put_messages_v1(p_worker, e.m_part, e.m_target, e.m_kind, e.m_execution, e.m_name, e.m_id, e.m_body,
        case when true = any (e.m_take) then
          array(select case when m.take then p_request[m.item] else 0 end
                  from unnest(e.m_item, e.m_take) with ordinality m(item, take, n) order by m.n) end,
        e.serves, array_remove(p_iid, null), array_remove(p_items, null), t);
    elsif cardinality(live) > 0 then
      sent := put_messages_v1(p_worker,
        array(select e.m_part[n] from unnest(live) n), array(select e.m_target[n] from unnest(live) n),
        array(select e.m_kind[n] from unnest(live) n), array(select e.m_execution[n] from unnest(live) n),
        array(select e.m_name[n] from unnest(live) n), array(select e.m_id[n] from unnest(live) n),
        array(select e.m_body[n] from unnest(live) n),
        array(select case when e.m_take[n] then p_request[e.m_item[n]] else 0 end from unnest(live) n),
        e.serves, array_remove(p_iid, null), array_remove(p_items, null), t);
    end if;
    r.ready := r.ready || sent.ready;
    r.owners := sent.owners;
    r.grant_part := r.grant_part || sent.grant_part;
    r.grant_iid := r.grant_iid || sent.grant_iid;
    r.grant_from := r.grant_from || sent.grant_from;
  end if;
  return r;
end $$;
