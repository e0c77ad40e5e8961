-- For people. No -> or ->> on documents: they fail on a NUL escape anywhere inside. The type of an event is always its
-- first member.
create or replace view instances as
select i.instance_id, c.name, c.version, c.priority,
       case i.status when 0 then case when i.parked is not null then 'parked' else 'running' end
                     when 1 then 'completed' when 2 then 'failed' when 4 then 'cancelled' when 5 then 'terminated' end status,
       i.execution, i.execution_id, i.next_seq events, i.owner worker, i.attempt, i.waits waits_for,
       i.parent_id parent, i.parked, i.custom_status, i.created_at, i.ended_at
  from instance i
  join class c on c.id = i.class
 where i.part >= 0;
comment on view instances is 'All instances: status, current execution, who holds it, what it waits for, what it says of itself.';

create or replace view history_events as
select i.instance_id, h.execution, h.seq + e.n::int - 1 as event,
       substring(e.doc::text from '^\s*{\s*"type"\s*:\s*"([^"]*)"') as type, e.doc as document
  from history h
  join instance i on i.part = h.part and i.iid = h.iid
 cross join lateral json_array_elements(h.events) with ordinality e(doc, n)
 where h.part >= 0;
comment on view history_events is 'Every event of every execution. Select by instance_id; order by execution, event.';

create or replace view work_queue as
select i.instance_id, w.execution, w.event, c.name activity, c.tag, c.priority, w.due,
       case when w.owner is null then case when w.due <= clock_timestamp() then 'queued' else 'delayed' end
                            when w.owner = -1 then 'handed over' else 'running' end status,
       nullif(w.owner, -1) worker, w.home only_worker, w.attempt, w.input, w.state
  from work w
  join instance i on i.part = w.part and i.iid = w.iid
  join class c on c.id = w.class
 where w.part >= 0;
comment on view work_queue is 'Activity work items that are queued, running, or handed over to somebody else who records the result.';

create or replace view instance_values as
select i.instance_id, v.key, v.data, v.found attribute
  from value v
  join instance i on i.part = v.part and i.iid = v.iid
 where v.part >= 0;
comment on view instance_values is 'What instances have set by key. attribute is the data of those by which they are found: select by key and attribute.';

create or replace view workers as
select w.id worker, w.name, w.joined_at, p.beat_at, clock_timestamp() - p.beat_at age,
       p.turns_mark is not null and not exists (select from rung where mark = p.turns_mark) sleeping,
       (select count(*) from instance i where i.owner = w.id) instances_held,
       array(select concat_ws(' ', c.name, nullif(c.version, ''), '#' || nullif(c.tag, ''),
                              case when c.priority <> 0 then to_char(c.priority, 'FMSG999') end)
               from class c where c.id = any (w.serves) order by c.kind, c.name, c.version, c.tag, c.priority desc) serves
  from worker w
  join presence p on p.worker = w.id
 where w.reaped_at is null;
comment on view workers is 'Worker processes, the age of their last beat, and what they serve: name, version, #tag, priority.';
