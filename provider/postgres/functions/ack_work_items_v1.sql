-- Records results of work items by a process that need not hold their instances: the row goes, its message comes. It
-- acts like a sender (no lock on an instance is waited for), so that many results for one instance do not queue up
-- behind each other's commits. Items are sorted by key. p_worker is 0 for a mere client that was handed a token. Status 1
-- applied, 5 the item is gone.
create or replace function ack_work_items_v1(
  p_worker bigint,
  p_part smallint[], p_iid bigint[], p_execution int[], p_event int[], p_token bigint[], p_request bigint[],
  p_body json[], p_take boolean[], p_cached_execution int[], p_cached_seq int[],
  p_serves int[], p_claim_max int, p_claim_queue low_water, p_claim bigint)
returns setof reply
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  t timestamptz := clock_timestamp();
  n int := coalesce(cardinality(p_iid), 0);
  recorded int[];           -- items whose row was there
  delivered int[];          -- of these, those whose execution is still the current one
  classes int[];            -- of the instances of these
  repeats int[];            -- items that granted their instance in an earlier try
  granted bigint[] := '{}';
  ready int[];
  owners bigint[];
  r reply;
begin
  r.kind := 0; r.at := t;
  if n > 0 then
    with gone as (
      delete from work w
       using unnest(p_part, p_iid, p_execution, p_event, p_token)
             with ordinality u(part, iid, execution, event, token, n)
       where w.part = u.part and w.iid = u.iid and w.execution = u.execution and w.event = u.event
         and w.token = u.token and coalesce(w.owner, 0) <> 0
      returning u.n, w.part, w.iid, w.execution, w.event),
    current as materialized (
      select g.*, i.class
        from gone g
        join instance i on i.part = g.part and i.iid = g.iid and i.status = 0 and i.execution = g.execution),
    mail as (
      insert into inbox (part, iid, name, kind, execution, message_id, body, at)
      select c.part, c.iid, '', 2, c.execution, 'w' || c.event || '.' || c.execution, p_body[c.n], t
        from current c
       order by c.n)
    select x.taken, y.found, y.of_class into recorded, delivered, classes
      from (select array_agg(g.n) taken from gone g) x,
           (select array_agg(c.n) found, array_agg(c.class) of_class from current c) y;
    delivered := coalesce(delivered, '{}');

    if true = any (p_take) and p_worker <> 0 and cardinality(delivered) > 0 then
      with wanted as (
        select distinct on (u.iid) u.part, u.iid, u.request
          from unnest(p_part, p_iid, p_request, p_take) with ordinality u(part, iid, request, take, n)
         where u.take and u.n = any (delivered)
         order by u.iid, u.n),
      free as materialized (
        select i.part, i.iid, w.request
          from wanted w,
               lateral (select i.part, i.iid from instance i
                         where i.part = w.part and i.iid = w.iid and coalesce(i.owner, 0) = 0 and i.status = 0
                           and i.parked is null and i.class = any (p_serves)
                           for update skip locked) i),
      taken as (
        update instance i
           set owner = p_worker, token = f.request, claim = null, attempt = i.attempt + 1
          from free f
         where i.part = f.part and i.iid = f.iid
        returning i.iid)
      select coalesce(array_agg(taken.iid), '{}') into granted from taken;
    end if;

    -- Also what was removed just now: see put_messages_v1.
    with left_over as (
      select p_part[d.n] part, coalesce(i.class, d.class) as class, p_iid[d.n] iid, i.owner
        from unnest(delivered, classes) d(n, class)
        left join instance i on i.part = p_part[d.n] and i.iid = p_iid[d.n]
       where p_iid[d.n] <> all (granted)),
    hinted as (
      insert into hint (part, class, due, iid) select part, class, clock_timestamp(), iid from left_over)
    select array_agg(class) filter (where owner is null), array_agg(owner) filter (where owner <> p_worker)
      into ready, owners
      from left_over;

    r.statuses := array_fill(1::smallint, array[n]);
    if cardinality(delivered) < n then
      repeats := array(
        select u.n from unnest(p_part, p_iid, p_request) with ordinality u(part, iid, request, n)
          join instance i on i.part = u.part and i.iid = u.iid and i.token = u.request and i.owner = p_worker
         where u.n <> all (coalesce(recorded, '{}')));
      granted := granted || array(select p_iid[u] from unnest(repeats) u);
      r.statuses := array(select (case when u.n = any (delivered) or u.n = any (repeats) then 1 else 5 end)::smallint
                            from generate_series(1, n) u(n) order by u.n);
    end if;
  end if;
  return next r;

  if cardinality(granted) > 0 then
    return query
    select g.*
      from (select array_agg(x.part) part, array_agg(x.iid) iid, array_agg(x.from_seq) from_seq
              from (select i.part, i.iid,
                           max(case when u.cached_execution = i.execution then u.cached_seq else 0 end) from_seq
                      from unnest(p_part, p_iid, p_cached_execution, p_cached_seq) u(part, iid, cached_execution, cached_seq)
                      join instance i on i.part = u.part and i.iid = u.iid
                     where u.iid = any (granted)
                     group by i.part, i.iid) x) y,
           granted_v1(p_worker, y.part, y.iid, y.from_seq, null) g;
  end if;
  if p_claim_max > 0 then
    if recorded is not null or not exists (select from work where claim = p_claim and owner = p_worker) then
      perform claim_work_v1(p_worker, p_claim, p_claim_queue.classes, low_water_v1(p_claim_queue), p_claim_queue.ranks,
                            p_claim_queue.routed, p_claim_max, t);
    end if;
    return query select c.* from claimed_work_v1(p_worker, p_claim, p_claim_queue.classes, p_claim_queue.ranks) c;
    if p_claim_queue.renew then
      return query select l.* from renewed_low_water_v1(2, p_claim_queue, t, p_worker) l;
    end if;
  end if;
  if ready is not null or owners is not null then
    perform notify_listeners_v1(ready, owners, null, null);
  end if;
end $$;
