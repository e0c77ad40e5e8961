-- What a pulse does for the work items that its worker is running, sorted by key: keeps the states of those held under their
-- tokens, and returns the others (kind 11). It never waits: who has an item locked is removing it or takes it over, or else
-- the next pulse brings the state again. p_state is null if there is no state at all.
create or replace function held_work_v1(
  p_part smallint[], p_iid bigint[], p_execution int[], p_event int[], p_token bigint[], p_state json[])
returns setof reply language plpgsql as $$
begin
  if p_state is not null then
    with locked as materialized (
      select l.*, u.state
        from unnest(p_part, p_iid, p_execution, p_event, p_token, p_state) u(part, iid, execution, event, token, state),
             lateral (select w.part, w.iid, w.execution, w.event from work w
                       where w.part = u.part and w.iid = u.iid and w.execution = u.execution and w.event = u.event
                         and w.token = u.token and coalesce(w.owner, 0) <> 0
                         for update skip locked) l
       where u.state is not null)
    update work w set state = l.state
      from locked l
     where w.part = l.part and w.iid = l.iid and w.execution = l.execution and w.event = l.event;
  end if;
  return query
  select 11::smallint, 0::smallint, u.part, u.iid, u.execution, u.event, 0, 0, 0::bigint, null::timestamptz, null::text,
         null::text, null::json, null::smallint[], null::bigint[]
    from unnest(p_part, p_iid, p_execution, p_event, p_token) u(part, iid, execution, event, token)
   where coalesce((select w.owner from work w
                    where w.part = u.part and w.iid = u.iid and w.execution = u.execution and w.event = u.event
                      and w.token = u.token), 0) = 0;
end $$;
