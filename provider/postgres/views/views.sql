-- For people. No -> or ->> on documents: they fail on a NUL escape anywhere inside. The type of an event is always its
-- first member.
create or replace view instances as
select i.instance_id, c.name, c.version,
       case i.status when 0 then case when i.parked is not null then 'parked' else 'running' end
                     when 1 then 'completed' else 'failed' end status,
       i.execution, i.execution_id, i.next_seq events, i.owner worker, i.attempt, i.waits waits_for,
       i.parent_id parent, i.parked, i.created_at, i.ended_at
  from instance i
  join class c on c.id = i.class
 where i.part >= 0;
comment on view instances is 'All instances: status, current execution, who holds it, what it waits for.';

create or replace view history_events as
select i.instance_id, h.execution, h.seq + e.n::int - 1 as event,
       substring(e.doc::text from '^\s*{\s*"type"\s*:\s*"([^"]*)"') as type, e.doc as document
  from history h
  join instance i on i.part = h.part and i.iid = h.iid
 cross join lateral json_array_elements(h.events) with ordinality e(doc, n)
 where h.part >= 0;
comment on view history_events is 'Every event of every execution. Select by instance_id; order by execution, event.';

create or replace view work_queue as
select i.instance_id, w.execution, w.event, c.name activity, c.tag, w.due,
       case when w.owner is null then case when w.due <= clock_timestamp() then 'queued' else 'delayed' end else 'running' end status,
       w.owner worker, w.attempt, w.input
  from work w
  join instance i on i.part = w.part and i.iid = w.iid
  join class c on c.id = w.class
 where w.part >= 0;
comment on view work_queue is 'Activity work items that are queued or running.';

create or replace view workers as
select w.id worker, w.name, w.joined_at, p.beat_at, clock_timestamp() - p.beat_at age,
       p.turns_mark is not null and not exists (select from rung where mark = p.turns_mark) sleeping,
       (select count(*) from instance i where i.owner = w.id) instances_held
  from worker w
  join presence p on p.worker = w.id
 where w.reaped_at is null;
comment on view workers is 'Worker processes and the age of their last beat.';
