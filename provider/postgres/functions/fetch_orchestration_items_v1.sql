-- Leases up to p_max instances that are free and ready, those of lower ranks first, and returns what is new for those that the worker holds. p_timers
-- is null if no timers are to be fired. p_sleep: 0 no; 1 mark the worker as sleeping; 2 the same, but rather ask the caller
-- to look again in a moment (a row of kind 10) while others are just writing, for they may not see the mark.
create or replace function fetch_orchestration_items_v1(
  p_worker bigint, p_request bigint, p_queue low_water, p_max int, p_timers low_water, p_sleep int)
returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  t timestamptz := clock_timestamp();
  began timestamptz := t;   -- before this transaction had a number: see renewed_low_water_v1
  per_queue int := least(p_max, 4 + 2 * p_max / part_count());
  low timestamptz[] := p_queue.low;
  deep boolean := false;
  again boolean := false;
  since pg_snapshot := pg_current_snapshot();
  others int;
  swept int;
  fired delivery;
  h_part smallint[]; h_class int[]; h_due timestamptz[]; h_ord bigint[]; h_iid bigint[];   -- hints looked at
  l_part smallint[]; l_iid bigint[]; l_class int[]; l_status smallint[]; l_held boolean[]; -- instances locked
  g_part smallint[]; g_iid bigint[]; g_held boolean[];                                     -- instances to return
  new_part smallint[]; new_iid bigint[]; new_held boolean[];                               -- of this round
  r reply;
begin
  -- A repeat waits for an earlier try that is still running, and then sees what that took.
  perform commit_unflushed_v1(), pg_advisory_xact_lock(p_request);
  if p_queue.open is not null then low := low_water_v1(p_queue); end if;
  if not (p_timers is null) then
    fired := fire_timers_v1(p_worker, low_water_v1(p_timers), 500, t);
    t := clock_timestamp();
  end if;

  -- What an earlier try of this request returned. An item whose token is another was held before already: only its
  -- messages are news.
  select coalesce(array_agg(i.part), '{}'), coalesce(array_agg(i.iid), '{}'), coalesce(array_agg(i.token <> p_request), '{}')
    into g_part, g_iid, g_held
    from instance i where i.owner = p_worker and i.claim = p_request and i.status = 0
     and (i.token = p_request
          or exists (select from unnest(array_append(i.waits, '')) w(name),
                            lateral (select from inbox m where m.part = i.part and m.iid = i.iid and m.name = w.name limit 1) m));

  for round in 1..6 loop
    exit when round = 1 and cardinality(g_iid) > 0;
    -- Look at the oldest hints of each queue without locking anything, by rank and then by age. Those of instances that others hold are passed over
    -- only when they turn out to be in the way.
    select array_agg(x.part), array_agg(x.class), array_agg(x.due), array_agg(x.ord), array_agg(x.iid)
      into h_part, h_class, h_due, h_ord, h_iid
      from (select q.*
              from unnest(p_queue.classes, low, p_queue.ranks) c(class, low, rank), generate_series(0, part_count() - 1) p(part),
                   lateral (select h.part, h.class, h.due, h.ord, h.iid
                              from hint h
                             where h.part = p.part::smallint and h.class = c.class and h.due >= c.low and h.due <= t
                               and (not deep or exists (
                                     select from instance i
                                      where i.part = h.part and i.iid = h.iid and coalesce(i.owner, p_worker) = p_worker))
                             order by h.due, h.ord limit per_queue) q
             order by c.rank, q.due, q.ord) x;

    if h_iid is not null then
      -- Lock their instances in that order, passing over those that somebody else is just working on.
      select coalesce(array_agg(x.part), '{}'), coalesce(array_agg(x.iid), '{}'), array_agg(x.class),
             array_agg(x.status), array_agg(x.owner is not null)
        into l_part, l_iid, l_class, l_status, l_held
        from (select i.part, i.iid, i.class, i.status, i.owner
                from (select u.part, u.iid, min(u.n) n
                        from unnest(h_part, h_iid) with ordinality u(part, iid, n)
                       where u.iid <> all (g_iid) group by u.part, u.iid order by 3) c,
                     lateral (select * from instance i
                               where i.part = c.part and i.iid = c.iid and coalesce(i.owner, p_worker) = p_worker
                                 for update skip locked) i
               limit p_max - cardinality(g_iid)) x;
    end if;

    if h_iid && (l_iid || g_iid) then
      -- Grant, in a snapshot newer than the locks: a message is either seen here or its hint is not among those above.
      with granted as (
        update instance i
           set owner = p_worker, claim = p_request,
               token = case when i.owner is null then p_request else i.token end,
               attempt = case when i.owner is null then i.attempt + 1 else i.attempt end
          from unnest(l_part, l_iid) l(part, iid)
         where i.part = l.part and i.iid = l.iid and i.status = 0
           and (coalesce(i.owner, 0) <> 0 or i.parked is null and i.class = any (p_queue.classes))
           and (coalesce(i.owner, 0) = 0 and i.next_seq = 1
                or exists (select from unnest(array_append(i.waits, '')) w(name)
                             join inbox m on m.part = i.part and m.iid = i.iid and m.name = w.name))
        returning i.part, i.iid, i.token <> p_request held)
      select array_agg(part), array_agg(iid), array_agg(held) into new_part, new_iid, new_held
        from granted;

      -- The hints of all locked instances have done their duty, and so have those of instances granted in an earlier
      -- round. Ended instances lose what nobody will read; a running one that has continued in a class the caller does
      -- not serve gets a hint there.
      delete from hint h using unnest(h_part, h_class, h_due, h_ord, h_iid) u(part, class, due, ord, iid)
       where h.part = u.part and h.class = u.class and h.due = u.due and h.ord = u.ord
         and u.iid = any (l_iid || g_iid);
      get diagnostics swept = row_count;
      g_part := g_part || new_part; g_iid := g_iid || new_iid; g_held := g_held || new_held;
      if 0 <> any (l_status) then
        delete from inbox m using unnest(l_part, l_iid, l_status) l(part, iid, status)
         where m.part = l.part and m.iid = l.iid and l.status <> 0;
      end if;
      if not l_class <@ p_queue.classes then
        insert into hint (part, class, due, iid)
        select l.part, l.class, clock_timestamp(), l.iid
          from unnest(l_part, l_iid, l_class, l_status, l_held) l(part, iid, class, status, held)
         where l.class <> all (p_queue.classes) and l.status = 0 and not l.held;
      end if;
      exit when cardinality(g_iid) >= p_max;
    else
      swept := 0;
    end if;
    if swept < cardinality(h_iid) and t - interval '1 second' > any (h_due) and not deep then
      -- Others may hold what was passed over. But an ended instance whose id was started anew is there no more: nobody else
      -- sweeps its hints, and what late senders have left for it.
      with orphan as materialized (
        select l.*
          from unnest(h_part, h_class, h_due, h_ord, h_iid) u(part, class, due, ord, iid),
               lateral (select h.part, h.class, h.due, h.ord, h.iid from hint h
                         where h.part = u.part and h.class = u.class and h.due = u.due and h.ord = u.ord
                           for update skip locked) l
         where u.due < t - interval '1 second'
           and (select i.iid from instance i where i.part = u.part and i.iid = u.iid) is null),
      unread as (
        delete from inbox m using orphan o where m.part = o.part and m.iid = o.iid)
      delete from hint h using orphan o
       where h.part = o.part and h.class = o.class and h.due = o.due and h.ord = o.ord;
    end if;
    if cardinality(h_iid) >= per_queue and per_queue < p_max + 1000 then
      deep := true;
      per_queue := least(per_queue * 4, p_max + 1000);   -- a queue may have had more than was looked at
      continue;
    end if;

    -- Nothing more to be had. Also when something was found: while the worker is busy with that, what comes next must
    -- wake it.
    exit when p_sleep = 0;
    again := again or p_sleep = 2 and cardinality(g_iid) > 0 and writers_v1(p_queue.open);
    exit when again;
    others := fall_asleep_v1(p_worker, p_queue.classes, null, p_queue.open, since);
    again := p_sleep = 2 and others & 2 <> 0;
    exit when others & 1 = 0;
    since := pg_current_snapshot();
    t := clock_timestamp();
  end loop;

  if cardinality(g_iid) > 0 then
    return query
    select g.* from granted_v1(p_worker, g_part, g_iid, null, g_held) g;
  end if;
  if p_queue.renew then return query select l.* from renewed_low_water_v1(1, p_queue, began) l; end if;
  if p_timers.renew then return query select l.* from renewed_low_water_v1(3, p_timers, began) l; end if;
  if again then
    r.kind := 10;
    return next r;
  end if;
  if fired.ready is not null or fired.owners is not null then
    perform notify_listeners_v1(fired.ready, fired.owners, null, null);
  end if;
end $$;
