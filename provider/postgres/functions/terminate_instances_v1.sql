-- Ends instances at once, whoever holds them, and with p_children their children that are running, and theirs. What they have
-- queued goes as with a commit that ends them; parents that go on get an answer. Status 1 applied, 4 no such instance, 5 it has
-- ended before, or by an earlier item.
create or replace function terminate_instances_v1(
  p_part smallint[], p_id text[], p_events json[], p_answer json[], p_children boolean[])
returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  t timestamptz := clock_timestamp();
  l_part smallint[]; l_iid bigint[];                    -- instances locked
  e_part smallint[]; e_iid bigint[]; e_item int[];      -- those to be ended, in the order of locks, and by which item
  d_part smallint[]; d_iid bigint[];                    -- of these, those whose end is watched
  owners bigint[];
  holders bigint[];
  ready int[];
  stable boolean;
  r reply;
begin
  r.kind := 0; r.at := t;
  -- Everything is locked before anything is changed, in the order of everybody else. A parent may commit another child before
  -- it is locked. That one may come before others in the order, so all locks are given back (the block is a subtransaction)
  -- and taken anew. Once the parents are locked no more can come.
  for try in 1..20 loop
    select array_agg(f.part order by f.part, f.iid), array_agg(f.iid order by f.part, f.iid) into l_part, l_iid
      from family_v1(p_part, p_id, p_children) f;
    if l_iid is null then   -- nothing, or nothing any more
      e_iid := null;
      stable := true;
      exit;
    end if;
    begin
      perform from unnest(l_part, l_iid) with ordinality l(part, iid, n),
                   lateral (select from instance i where i.part = l.part and i.iid = l.iid and i.status = 0 for no key update of i) i;
      -- In a later statement: what was committed until the locks were there is seen.
      select array_agg(f.part order by f.part, f.iid), array_agg(f.iid order by f.part, f.iid),
             array_agg(f.item order by f.part, f.iid)
        into e_part, e_iid, e_item
        from family_v1(p_part, p_id, p_children) f;
      stable := not exists (select * from unnest(e_part, e_iid) except select * from unnest(l_part, l_iid));
      if not stable then
        raise exception 'children have appeared' using errcode = 'PW001';
      end if;
    exception when sqlstate 'PW001' then null;
    end;
    exit when stable;
  end loop;
  if not stable then
    raise exception 'new children keep appearing' using errcode = 'serialization_failure';
  end if;

  if e_iid is not null then
    owners := array(select i.owner from unnest(e_part, e_iid) e(part, iid)
                      join instance i on i.part = e.part and i.iid = e.iid
                     where coalesce(i.owner, 0) <> 0);
    with ended as (
      update instance i
         set status = 5, ended_at = t, next_seq = i.next_seq + 1, owner = null, token = 0, claim = null, waits = null, parked = null
        from unnest(e_part, e_iid, e_item) e(part, iid, item)
       where i.part = e.part and i.iid = e.iid
      returning i.part, i.iid, i.execution, i.next_seq - 1 seq, i.watch, e.item),
    recorded as (
      insert into history (part, iid, execution, seq, count, token, events)
      select part, iid, execution, seq, 1, 0, p_events[item] from ended)
    select array_agg(part) filter (where watch), array_agg(iid) filter (where watch) into d_part, d_iid from ended;
    delete from work w using unnest(e_part, e_iid) e(part, iid) where w.part = e.part and w.iid = e.iid;
    delete from timer m using unnest(e_part, e_iid) e(part, iid) where m.part = e.part and m.iid = e.iid;
    delete from inbox m using unnest(e_part, e_iid) e(part, iid) where m.part = e.part and m.iid = e.iid;

    -- As a sender does: without a lock on the parent.
    with parent as materialized (
      select p.part, p.iid, p.class, p.owner, c.parent_execution, c.parent_event, e.item,
             replace(coalesce(c.first_execution_id, c.execution_id)::text, '-', '') child
        from unnest(e_part, e_iid, e_item) e(part, iid, item)
        join instance c on c.part = e.part and c.iid = e.iid
        join instance p on p.part = partition_of(c.parent_id) and p.instance_id = c.parent_id and p.status = 0
         and (c.iid > p.iid or c.created_at >= p.created_at)),
    answered as (
      insert into inbox (part, iid, name, kind, execution, event, message_id, body, at)
      select part, iid, '', 3, parent_execution, parent_event, child, p_answer[item], t from parent order by item),
    hinted as (
      insert into hint (part, class, due, iid) select part, class, clock_timestamp(), iid from parent)
    select array_agg(class) filter (where owner is null), array_agg(owner) filter (where owner is not null)
      into ready, holders
      from parent;
    owners := owners || holders;
  end if;
  r.statuses := array(
    select (case when x.iid is null then 4 when bool_or(x.ended) then 1 else 5 end)::smallint
      from (select u.n, i.iid, true named, false ended
              from unnest(p_part, p_id) with ordinality u(part, id, n)
              left join instance i on i.part = u.part and i.instance_id = u.id
             union all
            select e.item, e.iid, false, true from unnest(e_iid, e_item) e(iid, item)) x
     group by x.n, x.iid
    having bool_or(x.named)
     order by x.n);
  if ready is not null or cardinality(owners) > 0 or d_iid is not null then
    perform notify_listeners_v1(ready, nullif(owners, '{}'), d_part, d_iid);
  end if;
  return next r;
end $$;
