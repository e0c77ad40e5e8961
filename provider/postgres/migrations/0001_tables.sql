-- Everything Pawl keeps. The search_path of the migration is the one schema it lives in, so no name is qualified here.
--
-- Three rules shape the tables:
--   * part, computed from the instance id (partition_of), is in every key: one instance touches one partition.
--   * Nothing that a turn changes is indexed, so that the update of the instance row stays within its page (HOT).
--   * Queues are narrow tables whose rows are inserted and deleted, with one index each for finding the next row.

create table meta (
  only_row boolean primary key default true check (only_row),
  version int not null,               -- number of the last migration applied
  functions_version int not null default 0,
  functions_checksum text not null default '',
  created_at timestamptz not null default now()
);

create table migration (
  version int primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default now()
);

-- The order of arrival. No CACHE: with one, two messages of one sender sent over two connections overtake each other.
create sequence arrival;
create sequence instance_iid;

-- What a worker must have registered to run an item. Small and append-only; callers cache the ids. They become visible in
-- order: register_classes_v1 inserts under the lock of meta.
create table class (
  id int generated always as identity primary key,
  kind smallint not null,             -- 1 orchestration, 2 activity
  name text collate "C" not null,
  version text collate "C" not null,
  tag text collate "C" not null,
  priority smallint not null default 0,
  unique (kind, name, version, tag, priority)
);

-- One row per instance. It is free when owner is null; the fence of a turn is (token, execution, next_seq).
create table instance (
  iid bigint not null default nextval('instance_iid'),
  token bigint not null default 0,    -- the lease token; 0 after a takeover. Stays when the instance is released
  owner bigint,                       -- the worker that holds it
  last_owner bigint,                  -- the worker that committed the last turn: it has the history already
  claim bigint,                       -- request id of the fetch that returned it last: recognises a repeated fetch
  created_at timestamptz not null,
  ended_at timestamptz,
  execution_id uuid not null,
  first_execution_id uuid,            -- of execution 1, once there is another: recognises a repeated start
  class int not null,
  execution int not null default 1,
  next_seq int not null,              -- number of the next event; 1 means that only the start is recorded
  attempt int not null default 0,     -- grants since the last committed turn
  status_version int not null default 0, -- how often the custom status was set
  parent_execution int,
  parent_event int,
  part smallint not null,
  status smallint not null default 0, -- 0 running, 1 completed, 2 failed, 4 cancelled, 5 terminated (3 is of commits only)
  watch boolean not null default false, -- somebody waits for the end, or for a custom status: notify it
  instance_id text collate "C" not null,
  parent_id text collate "C",
  waits text[] collate "C",           -- names of external events that are waited for
  parked json,                        -- why it may not be claimed until resumed
  custom_status json,                 -- what the orchestration says of itself, null until it does
  primary key (part, iid),
  unique (part, instance_id)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
-- For taking everything from a dead worker, and for repeated fetches. Owner and claim change with grants and releases
-- only: the turns of a kept instance do not touch this index. It costs a workflow of one activity 12 % of its WAL, in
-- batches of 128 5 %, and no CPU that could be measured. Without it a takeover would read the whole table, ended instances
-- too, within the pulse that keeps whoever takes over alive.
create index instance_held on instance (owner, claim) where owner is not null;
-- For terminations that take the children along. The id alone and not part first: the children of one parent are in all
-- partitions, and this way a parent costs one look-up instead of one for each partition. Parents never change, and status
-- changes only at the end, where the owner changes too: turns stay HOT. Who has ended has no entry made anew and those it
-- had are swept with the rest, so a parent of many is read by what is still running. Instances without a parent pay nothing.
create index instance_child on instance (parent_id) where parent_id is not null and status = 0;

-- One row per committed turn; append only.
create table history (
  token bigint not null,              -- request id of the commit that wrote the row
  iid bigint not null,
  execution int not null,
  seq int not null,                   -- number of the first event
  count int not null,
  part smallint not null,
  events json not null,
  primary key (part, iid, execution, seq)
);

-- Activity work items, keyed by the event that scheduled them. Rows that are born leased never enter the queue index.
create table work (
  iid bigint not null,
  due timestamptz not null,
  owner bigint,                       -- the worker that runs it; null in the queue; -1 when it was handed over: leased, but
                                      -- to nobody who could lose it, only to whoever has the token
  token bigint,
  claim bigint,                       -- request id of the claim, for items that came from the queue; the token of other
                                      -- leased items whose instance is not held with them
  home bigint,                        -- the only worker that may claim it, while that lives; null: whoever serves its class
  execution int not null,
  event int not null,
  class int not null,
  attempt int not null,
  part smallint not null,
  input json,
  state json,                         -- what attempts have left for the next one
  primary key (part, iid, execution, event)
) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
        autovacuum_vacuum_cost_delay = 0);
create index work_due on work (part, class, due) where owner is null and home is null;
-- The queues of single workers. Everything else has no entry here.
create index work_home on work (home, due) where owner is null and home is not null;
-- For repeated claims, and for taking everything from a dead worker: what it leased otherwise belongs to instances it holds.
create index work_held on work (owner, claim) where claim is not null;

-- Messages that no turn has consumed yet. Senders only insert.
create table inbox (
  iid bigint not null,
  ord bigint not null default nextval('arrival'),
  at timestamptz not null,
  execution int not null,             -- the execution it is meant for, 0 for any
  event int not null default 0,       -- kind 4: the event that scheduled the timer; kind 3: the child, if that was terminated
  part smallint not null,
  kind smallint not null,             -- 1 external event, 2 activity done, 3 child done, 4 timer fired, 5 cancel
  name text collate "C" not null,     -- of an external event; '' for all messages of the engine
  message_id text not null default '',
  body json,
  primary key (part, iid, name, ord)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
-- A turn names the messages it consumed by ord alone. Those of the engine are found in the primary key (name ''), the
-- few external events here.
create index inbox_external on inbox (part, iid, ord) where name <> '';

-- What instances have set by key. It outlives their executions and their end. Changed only under the lock of the instance.
create table value (
  iid bigint not null,
  part smallint not null,
  key text collate "C" not null,
  data json not null,
  found text collate "C",             -- data again, if the instance is found by it; a column of its own, so that setting other
                                      -- values touches no index (HOT)
  primary key (part, iid, key)
) with (fillfactor = 90);
-- Row numbers grow with time over all partitions: read backwards, the instances with a value come newest first.
create index value_found on value (key, found, iid) where found is not null;

-- "Look at this instance." Whoever makes an instance ready inserts a row of its own, so that no sender waits for
-- another. A hint is deleted only under the lock of its instance, and only by whoever then reads the inbox.
create table hint (
  due timestamptz not null,
  ord bigint not null default nextval('arrival'),
  iid bigint not null,
  class int not null,
  part smallint not null,
  primary key (part, class, due, ord)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

-- Timers that have not fired.
create table timer (
  iid bigint not null,
  fire_at timestamptz not null,
  due timestamptz not null,           -- fire_at, but not before the row was inserted: see "Low water" below
  execution int not null,
  event int not null,
  part smallint not null,
  unless_started boolean not null default false, -- removed instead of fired if the work item of the event has been granted or is gone
  primary key (part, iid, execution, event)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
create index timer_due on timer (part, due);

-- Low water. While a snapshot is held open anywhere in the database, the index entries of rows that have left a queue
-- cannot be removed, and whoever looks for the head of the queue reads through all of them. So every process remembers
-- where the first live row of each queue was, and begins there the next time. What makes that safe is one rule: due is
-- never earlier than the clock was when the row came into the queue by a transaction that had its number already. Then a
-- row that was not there at the last look is due later than that look, unless its transaction was under way at the time.

-- The workers that were ever heard of. reaped_at marks one that was found dead or has retired; look_at is when to look
-- (again) for anything that it, or a late call of it, has taken. Changes seldom; what changes all the time is in presence.
create table worker (
  id bigint primary key,
  joined_at timestamptz not null,
  reaped_at timestamptz,
  look_at timestamptz,
  name text not null,
  serves int[],                       -- the classes it has registered
  beat_lasts interval                 -- for how long a beat shows that it lives; null: until it is reaped or retired
);

-- Liveness: one row for each live worker. turns and work are the classes it sleeps for, turns_mark and work_mark the
-- numbers of these marks. Only the worker itself, and whoever reaps it, changes the row.
--
-- It changes so often that what is left behind under a snapshot held open would slow down everybody who reads it. So it is
-- never updated but replaced by a row with a higher n; read backwards, the index meets the live row first. A row that is
-- just being replaced, and only such a one, has an xmax.
create table presence (
  worker bigint not null,
  n bigint not null default 0,
  beat bigint not null default 1,
  beat_at timestamptz not null,
  turns int[],
  turns_mark bigint,
  work int[],
  work_mark bigint,
  primary key (worker, n)
);

-- The marks of sleepers that somebody has notified. A note instead of a change of the mark: whoever notifies waits for
-- nobody and nobody for him, even if his transaction stays open for long. The worker removes it when it marks itself anew.
create table rung (mark bigint not null);
create index rung_mark on rung (mark);

-- lz4 where the server was built with it: pglz costs 0.1 ms per 12 kB.
do $$
begin
  alter table history alter events set compression lz4;
  alter table inbox alter body set compression lz4;
  alter table work alter input set compression lz4;
  alter table work alter state set compression lz4;
  alter table instance alter custom_status set compression lz4;
  alter table value alter data set compression lz4;
exception when feature_not_supported or invalid_parameter_value then null;
end $$;

-- Ballast. The functions run on generic plans that a session makes once and keeps. For a table that looks empty at that
-- moment the planner finds a walk through a whole index as cheap as a look-up by key, and the plan would still be used
-- when a backlog has built up. These rows, in a partition that does not exist, make every table look big enough at all
-- times. No function or view ever reads them.
insert into instance (part, iid, instance_id, class, status, execution_id, next_seq, created_at, ended_at, parent_id)
select -1, -g, 'ballast ' || g, -g, g % 2, '00000000-0000-0000-0000-000000000000', 1, 'epoch', 'epoch', 'ballast of ' || g
  from generate_series(1, 2000) g;
insert into history (part, iid, execution, seq, count, token, events)
select -1, -g, 1, 0, 1, 0, '[]' from generate_series(1, 2000) g;
insert into work (part, iid, execution, event, class, due, attempt, home)
select -1, -g, 1, 1, -g, 'infinity', 0, case when g > 2000 then -g end from generate_series(1, 4000) g;
insert into inbox (part, iid, ord, at, execution, kind, name)
select -1, -g, -g, 'epoch', 1, 2, case when g % 2 = 0 then '' else 'ballast' end from generate_series(1, 4000) g;
insert into hint (part, class, due, ord, iid)
select -1, -g, 'infinity', -g, -g from generate_series(1, 2000) g;
insert into timer (part, iid, execution, event, fire_at, due)
select -1, -g, 1, 1, 'infinity', 'infinity' from generate_series(1, 2000) g;
insert into value (part, iid, key, data, found) select -1, -g, 'ballast ' || g, '0', '0' from generate_series(1, 2000) g;
analyze instance, history, work, inbox, hint, timer, value;

-- What the functions return: one fixed rowset for all calls.
--   kind 0  first row of most calls: at the clock; statuses and refs (row numbers) answer the items in order
--   kind 2  a message: n1 kind, n2 execution, n3 event, num order, at, name, id, body
--   kind 3  a granted instance: flags 1 held before, 2 history omitted; n1 execution, n2 next event, n3 class,
--           n4 attempt, num token, name instance id, id execution id
--   kind 4  a turn: n1 first event, n2 count, num token, body events
--   kind 5  a work item: n1 execution, n2 event, n3 class, n4 attempt, num token, at due, name instance id, id state, body input
--   kind 6  the state of an instance: name instance id, body as states_v1 writes it. With flags 1 also n1 how many live workers
--           serve its class; id the classes of its queued work that none does, a JSON array of {name, version, tag, priority},
--           or null
--   kind 7  a stale worker: num beat, refs its id
--   kind 8  the earliest timer: at
--   kind 9  low water: flags 1 instances, 2 work, 3 timers; at the clock; num the transaction, name its snapshot; refs, for
--           each class (and the queue of the worker), the due time of the first live row in microseconds since 1970, null if
--           there is none
--   kind 10 others are just writing: look again in a moment
--   kind 11 a work item that the caller holds no more: n1 execution, n2 event
--   kind 12 a value of an instance: name key, body data, flags 2 if it is searchable; or only that there is the instance, with
--           flags 1
--   kind 13 a class: n1 id, n2 kind, n3 priority, name, id version, body tag
create type reply as (
  kind smallint, flags smallint, part smallint, iid bigint, n1 int, n2 int, n3 int, n4 int, num bigint,
  at timestamptz, name text, id text, body json, statuses smallint[], refs bigint[]);

-- Where to begin looking for the classes that a process can run, and what it must know for that: see "Low water".
create type low_water as (
  classes int[],
  low timestamptz[],                  -- for each class, and then for the queue of the worker; a single one for timers
  open xid8[],                        -- transactions that have been under way for more than a moment,
  open_low timestamptz[],             -- and from when on each may have queued something
  ranks smallint[],                   -- of each class: the lower ones first. Null: all alike
  routed boolean,                     -- look at the queue of the worker, too: that of work which it alone may claim
  renew boolean);                     -- return new ones

-- The effects of a call's commits beside the turns themselves, as parallel arrays: *_item is the number of the item in
-- the call, from 1.
create type effects as (
  w_item int[], w_event int[], w_class int[], w_lease boolean[], w_input json[],   -- new work,
  w_home bigint[],                                                                 -- and for whom alone; null: no item has it
  x_item int[], x_event int[],                                                     -- cancelled work
  t_item int[], t_event int[], t_fire_at timestamptz[], t_unless_started boolean[], -- new timers
  y_item int[], y_event int[],                                                     -- cancelled timers
  c_item int[], c_part smallint[], c_id text[], c_execution_id uuid[], c_class int[], c_watch boolean[],
  c_lease boolean[], c_parent_id text[], c_parent_execution int[], c_parent_event int[],
  c_events json[], c_exists json[],                                                -- children
  m_item int[], m_part smallint[], m_target text[], m_kind smallint[], m_execution int[], m_name text[],
  m_id text[], m_body json[], m_take boolean[],                                    -- messages
  s_item int[], s_status json[],                                                   -- custom statuses
  v_item int[], v_key text[], v_data json[], v_searchable boolean[],               -- values; null data removes one. A
                                                                                   -- negative item: of that child
  serves int[]);                                                                   -- classes the caller can run

-- What a step of a call leaves for its end: the answers to messages, the instances it granted, and whom to notify.
create type delivery as (
  statuses smallint[], grant_part smallint[], grant_iid bigint[], grant_from int[],  -- see granted_v1
  ready int[],                        -- classes of which something became claimable, once per item
  owners bigint[],                    -- other workers whose held instances got a message
  homes bigint[]);                    -- other workers for whom alone there is work
