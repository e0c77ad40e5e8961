-- ack_orchestration_items_v1 for the one shape that every step of a sequence has: a single instance that is kept or has
-- ended, at most one finished work item, at most one new one, leased. Returns the clock if the turn is committed and there
-- is nothing else to tell. Null means ask ack_orchestration_items_v1, with the same request: either nothing was done, or
-- the turn is committed and the general call, which takes it for a repeat, tells the rest.
--
-- All names carry the schema and no setting is changed for the call: both would cost more than the statements' plans do,
-- which are look-ups by key whatever the settings.
create or replace function ack_one_v1(
  p_worker bigint, p_part smallint, p_iid bigint, p_execution int, p_seq int, p_token bigint, p_request bigint,
  p_status smallint, p_keep boolean, p_count int, p_events json,
  f_event int, f_token bigint,                                 -- finished work, or null
  w_event int, w_class int, w_input json)                      -- new work, or null
returns timestamptz language plpgsql as $$
declare
  t timestamptz := clock_timestamp();
  watched boolean;
  finished bigint;
begin
  with turn as (
    update @schema@.instance i
       set token = p_request, next_seq = p_seq + p_count, status = p_status, attempt = 0, waits = null,
           owner = case when p_keep then p_worker end, last_owner = p_worker, ended_at = case when p_status <> 0 then t end
     where i.part = p_part and i.iid = p_iid
       and i.token = p_token and i.execution = p_execution and i.next_seq = p_seq and i.status = 0 and coalesce(i.owner, 0) <> 0
    returning i.watch),
  recorded as (
    insert into @schema@.history (part, iid, execution, seq, count, token, events)
    select p_part, p_iid, p_execution, p_seq, p_count, p_request, p_events from turn),
  done as (
    delete from @schema@.work w using turn
     where w.part = p_part and w.iid = p_iid and w.execution = p_execution and w.event = f_event
       and w.token = f_token and coalesce(w.owner, 0) <> 0
    returning 1),
  queued as (
    insert into @schema@.work (part, iid, execution, event, class, due, owner, token, attempt, input)
    select p_part, p_iid, p_execution, w_event, w_class, t, p_worker, p_request, 1, w_input from turn where w_event is not null)
  select turn.watch, (select count(*) from done) into watched, finished from turn;
  if watched is null then return null; end if;
  if f_event is not null and finished = 0 then
    -- Taken over: the turn must not stand. The general call says so of this item.
    raise exception 'the finished work item is not held any more' using errcode = 'serialization_failure';
  end if;
  if p_status <> 0 then
    if watched then perform @schema@.notify_ended_v1(p_part, p_iid); end if;
  -- A later statement than the lock: what is committed by now is seen; what is not has a hint that is still to come.
  elsif exists (select from @schema@.inbox m where m.part = p_part and m.iid = p_iid and m.name = '') then
    return null;
  end if;
  return t;
end $$;
