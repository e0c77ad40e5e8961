-- ack_orchestration_items_v1 for many of the shape of ack_one_v1: each item is kept or has ended, with at most one finished
-- work item and at most one new one, leased. Items are sorted by (part, iid), each instance at most once. Returns the
-- clock if every turn is committed and there is nothing else to tell. Null, or a serialization failure, means ask
-- ack_orchestration_items_v1, with the same requests: it takes what is committed for repeats.
create or replace function ack_plain_v1(
  p_worker bigint, p_part smallint[], p_iid bigint[], p_execution int[], p_seq int[], p_token bigint[], p_request bigint[],
  p_status smallint[], p_keep boolean[], p_count int[], p_events json[],
  f_event int[], f_token bigint[],                             -- finished work, null or one for each item, which may be null
  w_event int[], w_class int[], w_input json[])                -- new work, likewise
returns timestamptz
language plpgsql set search_path from current set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off set enable_bitmapscan = off set jit = off as $$
declare
  t timestamptz := clock_timestamp();
  applied int;
  finished int;
  expected int;
  watched int[];
begin
  with turn as (
    update instance i
       set token = u.request, next_seq = u.seq + u.count, status = u.status, attempt = 0, waits = null,
           owner = case when u.keep then p_worker end, last_owner = p_worker, ended_at = case when u.status <> 0 then t end
      from unnest(p_part, p_iid, p_execution, p_seq, p_token, p_request, p_status, p_keep, p_count, p_events, f_event, f_token,
                  w_event, w_class, w_input) with ordinality
           u(part, iid, execution, seq, token, request, status, keep, count, events, done, done_token, event, class, input, n)
     where i.part = u.part and i.iid = u.iid
       and i.token = u.token and i.execution = u.execution and i.next_seq = u.seq and i.status = 0 and coalesce(i.owner, 0) <> 0
    returning u.*, i.watch and u.status <> 0 watched),
  recorded as (
    insert into history (part, iid, execution, seq, count, token, events)
    select part, iid, execution, seq, count, request, events from turn),
  dropped as (
    delete from work w using turn u
     where w.part = u.part and w.iid = u.iid and w.execution = u.execution and w.event = u.done
       and w.token = u.done_token and coalesce(w.owner, 0) <> 0
    returning 1),
  queued as (
    insert into work (part, iid, execution, event, class, due, owner, token, attempt, input)
    select part, iid, execution, event, class, t, p_worker, request, 1, input from turn where event is not null)
  select count(*), count(turn.done), array_agg(turn.n) filter (where turn.watched), (select count(*) from dropped)
    into applied, expected, watched, finished
    from turn;
  if finished < expected then
    raise exception 'a finished work item is not held any more' using errcode = 'serialization_failure';
  end if;
  if watched is not null then
    perform notify_listeners_v1(null, null, (select array_agg(p_part[w] order by w) from unnest(watched) w),
                                (select array_agg(p_iid[w] order by w) from unnest(watched) w));
  end if;
  -- A later statement than the locks: what is committed by now is seen; what is not has a hint that is still to come.
  if applied < cardinality(p_iid) or true = any (p_keep)
     and exists (select from unnest(p_part, p_iid) u(part, iid)
                   join inbox m on m.part = u.part and m.iid = u.iid and m.name = '') then
    return null;
  end if;
  return t;
end $$;
