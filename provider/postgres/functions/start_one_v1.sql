-- start_orchestrations_v1 for the one shape a lone caller has: a single eager start without a parent, whose first turn
-- ended or left at most one work item, leased. Returns the row number of the instance if it was created and there is
-- nothing else to tell. Null means nothing was done: ask start_orchestrations_v1. See ack_one_v1 for the style.
create or replace function start_one_v1(
  p_worker bigint, p_part smallint, p_id text, p_execution_id uuid, p_class int, p_request bigint,
  p_status smallint, p_keep boolean, p_count int, p_events json,
  w_event int, w_class int, w_input json)                      -- new work, or null
returns bigint language plpgsql as $$
declare
  t timestamptz := clock_timestamp();
  created bigint;
begin
  with started as (
    insert into @schema@.instance (part, instance_id, created_at, execution_id, class, next_seq, status, ended_at, token, owner,
                                 last_owner)
    values (p_part, p_id, t, p_execution_id, p_class, p_count, p_status, case when p_status <> 0 then t end, p_request,
            case when p_keep then p_worker end, p_worker)
    on conflict (part, instance_id) do nothing
    returning iid),
  recorded as (
    insert into @schema@.history (part, iid, execution, seq, count, token, events)
    select p_part, iid, 1, 0, p_count, p_request, p_events from started),
  queued as (
    insert into @schema@.work (part, iid, execution, event, class, due, owner, token, attempt, input)
    select p_part, iid, 1, w_event, w_class, t, p_worker, p_request, 1, w_input from started where w_event is not null)
  select iid into created from started;
  return created;
end $$;
