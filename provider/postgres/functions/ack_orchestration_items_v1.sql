-- The checkpoint: commits the outcome of turns. Items are sorted by (part, iid), each instance at most once. Each
-- applies whole or not at all: status 1 applied (now or in an earlier try of the same request), 2 fenced.
create or replace function ack_orchestration_items_v1(
  p_worker bigint,
  p_part smallint[], p_iid bigint[], p_execution int[], p_seq int[], p_token bigint[], p_request bigint[],
  p_status smallint[], p_keep boolean[], p_waits text[], p_count int[], p_events json[],
  p_next_id uuid[], p_next_class int[], p_next_events json[],  -- null unless an item continues as new
  f_item int[], f_event int[], f_token bigint[],               -- finished work
  o_item int[], o_ord bigint[],                                -- consumed messages
  e effects,
  p_claim_max int, p_claim_queue low_water, p_claim bigint)
returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  t timestamptz := clock_timestamp();
  n int := coalesce(cardinality(p_iid), 0);
  applied int[];            -- items that apply now
  watched int[];            -- of these, those whose end is watched
  live bigint[] := p_iid;   -- the instances of the items that apply now, null for the others
  repeats int[];            -- items that applied in an earlier try
  running boolean := 0 = any (p_status) or 3 = any (p_status);
  sent delivery;
  again delivery;
  ready int[];
  affected int;
  r reply;
begin
  r.kind := 0; r.at := t;
  if n > 0 then
    -- The fence and the turn in one: an instance that is not held at this token and event is not updated. A work item
    -- that is gone fences its instance too. The rows come in the order of the arrays, which is the lock order.
    with turn as (
      update instance i
         set token = p_request[u.n], next_seq = p_seq[u.n] + p_count[u.n], attempt = 0,
             status = case p_status[u.n] when 3 then 0 else p_status[u.n] end,
             waits = p_waits[u.n]::text[], owner = case when p_keep[u.n] then p_worker end, last_owner = p_worker,
             ended_at = case when p_status[u.n] not in (0, 3) then t end
        from unnest(p_iid) with ordinality u(iid, n)
       where i.part = p_part[u.n] and i.iid = u.iid
         and i.token = p_token[u.n] and i.execution = p_execution[u.n] and i.next_seq = p_seq[u.n]
         and i.status = 0 and coalesce(i.owner, 0) <> 0
         and u.n <> all (array(
               select f.item from unnest(f_item) with ordinality f(item, n)
                where not exists (
                  select from work w
                   where w.part = p_part[f.item] and w.iid = p_iid[f.item] and w.execution = p_execution[f.item]
                     and w.event = f_event[f.n] and w.token = f_token[f.n] and coalesce(w.owner, 0) <> 0)))
      returning u.n, i.watch and i.status <> 0 watched),
    recorded as (
      insert into history (part, iid, execution, seq, count, token, events)
      select p_part[x.n], p_iid[x.n], p_execution[x.n], p_seq[x.n], p_count[x.n], p_request[x.n], p_events[x.n]
        from turn x)
    select array_agg(turn.n), array_agg(turn.n) filter (where turn.watched) into applied, watched from turn;

    r.statuses := array_fill(1::smallint, array[n]);
    if coalesce(cardinality(applied), 0) < n then
      applied := coalesce(applied, '{}');
      live := array(select case when u.n = any (applied) then u.iid end from unnest(p_iid) with ordinality u(iid, n)
                     order by u.n);
      -- A newer snapshot than that of the update, which may have waited for the first try of this very call.
      repeats := array(
        select u.n from unnest(p_part, p_iid, p_execution, p_seq, p_request)
                        with ordinality u(part, iid, execution, seq, request, n)
         where u.n <> all (applied)
           and (exists (select from instance i where i.part = u.part and i.iid = u.iid and i.token = u.request)
             or exists (select from history h where h.part = u.part and h.iid = u.iid and h.execution = u.execution
                                               and h.seq = u.seq and h.token = u.request)));
      r.statuses := array(select (case when u.n = any (applied) or u.n = any (repeats) then 1 else 2 end)::smallint
                            from generate_series(1, n) u(n) order by u.n);
    end if;
  end if;

  if cardinality(applied) > 0 then
    if f_item is not null then
      delete from work w using unnest(f_item) with ordinality f(item, n)
       where w.part = p_part[f.item] and w.iid = live[f.item] and w.execution = p_execution[f.item]
         and w.event = f_event[f.n] and w.token = f_token[f.n] and coalesce(w.owner, 0) <> 0;
      get diagnostics affected = row_count;
      if affected <> (case when repeats is null then cardinality(f_item)
                          else (select count(*) from unnest(f_item) f(item) where live[f.item] is not null) end) then
        -- Taken over between the statement above and this one. The repeated call will find it fenced.
        raise exception 'a finished work item changed hands during the call' using errcode = 'serialization_failure';
      end if;
    end if;
    if o_item is not null then
      delete from inbox m using unnest(o_item, o_ord) o(item, ord)
       where m.part = p_part[o.item] and m.iid = live[o.item] and m.name = '' and m.ord = o.ord;
      get diagnostics affected = row_count;
      if affected < cardinality(o_item) then
        delete from inbox m using unnest(o_item, o_ord) o(item, ord)
         where m.part = p_part[o.item] and m.iid = live[o.item] and m.name <> '' and m.ord = o.ord;
      end if;
    end if;
    if p_next_id is not null then
      ready := begin_executions_v1(p_part, live, p_request, p_keep, p_next_id, p_next_class, p_next_events);
    end if;
    if not (e is null) then
      sent := commit_effects_v1(p_worker, p_part, live, p_iid, p_execution, p_request, e, t);
      ready := ready || sent.ready;
    end if;
    -- Later statements than the lock: what is committed by now is seen; what is not has a hint that is still to come.
    if running and false = any (p_keep) then
      perform hold_unread_v1(p_worker, p_part, live, p_status, p_keep);
    end if;
  end if;
  if cardinality(repeats) > 0 and not (e is null) then
    again := regranted_v1(p_worker, repeats, p_iid, p_request, e);
    sent.grant_part := sent.grant_part || again.grant_part;
    sent.grant_iid := sent.grant_iid || again.grant_iid;
    sent.grant_from := sent.grant_from || again.grant_from;
  end if;
  return next r;

  if running then
    return query select m.* from unread_v1(p_part, p_iid, p_worker, p_request) m;
  end if;
  if sent.grant_iid is not null then
    return query select g.* from granted_v1(p_worker, sent.grant_part, sent.grant_iid, sent.grant_from, null) g;
  end if;
  if p_claim_max > 0 then
    if cardinality(applied) > 0 or not exists (select from work where claim = p_claim and owner = p_worker) then
      -- By the clock of now: what this very call has queued is not passed over.
      perform claim_work_v1(p_worker, p_claim, p_claim_queue.classes, low_water_v1(p_claim_queue), p_claim_queue.ranks,
                            p_claim_queue.routed, p_claim_max, clock_timestamp());
      if running and false = any (p_keep) then -- work claimed here holds the instance it belongs to
        update instance i set owner = p_worker, claim = null
          from unnest(p_part, live, p_status, p_keep) u(part, iid, status, keep)
         where i.part = u.part and i.iid = u.iid and u.status = 0 and not u.keep and i.owner is null
           and i.iid in (select w.iid from work w where w.claim = p_claim and w.owner = p_worker);
      end if;
    end if;
    return query select c.* from claimed_work_v1(p_worker, p_claim, p_claim_queue.classes, p_claim_queue.ranks) c;
    if p_claim_queue.renew then
      return query select l.* from renewed_low_water_v1(2, p_claim_queue, t, p_worker) l;
    end if;
  end if;
  if ready is not null or sent.owners is not null or watched is not null or sent.homes is not null then
    perform notify_listeners_v1(ready, sent.owners, (select array_agg(p_part[w] order by w) from unnest(watched) w),
                                (select array_agg(p_iid[w] order by w) from unnest(watched) w), sent.homes);
  end if;
end $$;
