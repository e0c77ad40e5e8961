-- The committed states of instances, each a JSON document, with its last turn if p_turn is set. The form is shared by
-- reads, listings, pulses and notifications. In SQL and stable, so that it becomes part of the statement that calls it.
create or replace function states_v1(p_part smallint[], p_iid bigint[], p_turn boolean)
returns table (n bigint, part smallint, iid bigint, id text, state json)
language sql stable as $$
  select u.n, i.part, i.iid, i.instance_id,
         json_build_object(
           'part', i.part, 'row', i.iid, 'id', i.instance_id, 'name', c.name, 'version', c.version, 'priority', c.priority,
           'status', i.status, 'execution', i.execution, 'executionId', i.execution_id, 'nextSeq', i.next_seq,
           'parentId', coalesce(i.parent_id, ''), 'createdAt', i.created_at, 'endedAt', i.ended_at,
           'parked', i.parked, 'worker', coalesce(i.owner, 0),
           'custom', case when i.status_version > 0 then
             json_build_object('status', i.custom_status, 'version', i.status_version) end,
           'seq', coalesce(h.seq, 0), 'count', coalesce(h.count, 0), 'events', h.events)
    from unnest(p_part, p_iid) with ordinality u(part, iid, n)
    join instance i on i.part = u.part and i.iid = u.iid
    join class c on c.id = i.class
    left join lateral (
      select h.seq, h.count, h.events from history h
       where p_turn and h.part = i.part and h.iid = i.iid and h.execution = i.execution
       order by h.seq desc limit 1) h on true
$$;
