-- The committed state of an instance as a JSON document, with its last turn if p_turn is set. The form is shared by
-- reads, listings, pulses and notifications.
create or replace function state_of_v1(p_part smallint, p_iid bigint, p_turn boolean) returns json
language plpgsql as $$
declare
  state json;
begin
  select json_build_object(
           'part', i.part, 'row', i.iid, 'id', i.instance_id, 'name', c.name, 'version', c.version,
           'status', i.status, 'execution', i.execution, 'executionId', i.execution_id, 'nextSeq', i.next_seq,
           'parentId', coalesce(i.parent_id, ''), 'createdAt', i.created_at, 'endedAt', i.ended_at,
           'parked', i.parked, 'worker', coalesce(i.owner, 0),
           'seq', coalesce(h.seq, 0), 'count', coalesce(h.count, 0), 'events', h.events)
    into state
    from instance i
    join class c on c.id = i.class
    left join lateral (
      select h.seq, h.count, h.events from history h
       where p_turn and h.part = i.part and h.iid = i.iid and h.execution = i.execution
       order by h.seq desc limit 1) h on true
   where i.part = p_part and i.iid = p_iid;
  return state;
end $$;
