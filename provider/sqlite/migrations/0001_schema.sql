-- The first schema. Times are integers: microseconds since 1970-01-01 UTC. JSON documents are stored as text.

-- What a worker must have registered to run an item.
CREATE TABLE class (
  id       INTEGER PRIMARY KEY,        -- grows: a class is never removed
  kind     INTEGER NOT NULL,          -- 1 orchestration, 2 activity
  name     TEXT NOT NULL,
  version  TEXT NOT NULL,
  tag      TEXT NOT NULL,
  priority INTEGER NOT NULL,          -- 0 normal, higher first
  UNIQUE (kind, name, version, tag, priority)
) STRICT;

-- One row per instance. It is free when owner is null. due says that the instance has something to do, or is to be
-- looked at, from that time on; it is null otherwise.
CREATE TABLE instance (
  id               INTEGER PRIMARY KEY,
  instance_id      TEXT NOT NULL UNIQUE,
  class            INTEGER NOT NULL,
  status           INTEGER NOT NULL,  -- 0 running, 1 completed, 2 failed, 4 cancelled, 5 terminated
  execution        INTEGER NOT NULL,
  execution_id     BLOB NOT NULL,     -- of the current execution
  started_as       BLOB NOT NULL,     -- of the first execution: recognises a repeated start
  next_seq         INTEGER NOT NULL,
  owner            INTEGER,           -- the worker that holds the lease
  last_owner       INTEGER,           -- the worker that committed the last turn
  token            INTEGER NOT NULL,
  attempt          INTEGER NOT NULL,  -- grants since the last committed turn
  due              INTEGER,
  waits            TEXT,              -- JSON array of the names of the awaited external events
  watch            INTEGER NOT NULL,
  parked           TEXT,              -- the reason, a JSON document
  parent_id        TEXT,
  parent_execution INTEGER,
  parent_event     INTEGER,
  created_at       INTEGER NOT NULL,
  ended_at         INTEGER,
  custom_status    TEXT,              -- a JSON document
  status_version   INTEGER NOT NULL DEFAULT 0 -- how often the custom status was set
) STRICT;
CREATE INDEX instance_ready  ON instance (class, due)   WHERE owner IS NULL AND due IS NOT NULL;
CREATE INDEX instance_told   ON instance (owner, due)   WHERE owner IS NOT NULL AND due IS NOT NULL;
CREATE INDEX instance_held   ON instance (owner, token) WHERE owner IS NOT NULL;
CREATE INDEX instance_parked ON instance (id)           WHERE parked IS NOT NULL;
-- Without the status, which changes: a turn need not look at this index.
CREATE INDEX instance_child  ON instance (parent_id)    WHERE parent_id IS NOT NULL;

-- One row per committed turn, append only. token is the request that wrote it.
CREATE TABLE history (
  id        INTEGER PRIMARY KEY,
  iid       INTEGER NOT NULL,
  execution INTEGER NOT NULL,
  seq       INTEGER NOT NULL,         -- number of the first event
  count     INTEGER NOT NULL,
  token     INTEGER NOT NULL,
  events    TEXT NOT NULL             -- JSON array
) STRICT;
CREATE UNIQUE INDEX history_turn ON history (iid, execution, seq);

-- What instances have set by key.
CREATE TABLE instance_value (
  iid  INTEGER NOT NULL,
  key  TEXT NOT NULL,
  data TEXT NOT NULL,                 -- a JSON document
  searchable INTEGER NOT NULL,        -- 1: the instance is found by it
  PRIMARY KEY (iid, key)
) STRICT, WITHOUT ROWID;
-- Row numbers grow with time: read backwards, the instances with a value come newest first.
CREATE INDEX instance_value_found ON instance_value (key, data, iid) WHERE searchable = 1;

-- Activity work items, named by the event that scheduled them. Leased when there is an owner; queued when there is none
-- but a due time; with neither, handed over to whoever has the token. Only the home may claim what has one; it is a worker
-- that is known.
CREATE TABLE work (
  iid       INTEGER NOT NULL,
  execution INTEGER NOT NULL,
  event     INTEGER NOT NULL,
  class     INTEGER NOT NULL,
  due       INTEGER,
  owner     INTEGER,
  token     INTEGER NOT NULL,
  attempt   INTEGER NOT NULL,
  input     TEXT,
  state     TEXT,                     -- what earlier attempts have left, a JSON document
  home      INTEGER,
  PRIMARY KEY (iid, execution, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX work_queue ON work (class, due)   WHERE owner IS NULL AND due IS NOT NULL AND home IS NULL;
CREATE INDEX work_home  ON work (home, due)    WHERE owner IS NULL AND due IS NOT NULL AND home IS NOT NULL;
CREATE INDEX work_held  ON work (owner, token) WHERE owner IS NOT NULL;

-- Unread messages. The order must never be used twice, hence AUTOINCREMENT. Only external events have a name.
CREATE TABLE inbox (
  ord        INTEGER PRIMARY KEY AUTOINCREMENT,
  iid        INTEGER NOT NULL,
  name       TEXT,
  kind       INTEGER NOT NULL,
  execution  INTEGER NOT NULL,
  event      INTEGER NOT NULL,
  message_id TEXT NOT NULL,
  body       TEXT,
  at         INTEGER NOT NULL
) STRICT;
CREATE INDEX inbox_instance ON inbox (iid, name);

CREATE TABLE timer (
  iid            INTEGER NOT NULL,
  execution      INTEGER NOT NULL,
  event          INTEGER NOT NULL,
  fire_at        INTEGER NOT NULL,
  unless_started INTEGER NOT NULL,    -- 1: removed instead of fired if the work item of the event has been granted
  PRIMARY KEY (iid, execution, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX timer_due ON timer (fire_at);

CREATE TABLE worker (
  id         INTEGER PRIMARY KEY,
  name       TEXT NOT NULL,
  beat       INTEGER NOT NULL,
  fenced     INTEGER NOT NULL DEFAULT 0,   -- how often an instance it held was suspended or terminated
  serves     TEXT NOT NULL DEFAULT '[]',   -- JSON array: the classes it has registered
  beat_lasts INTEGER NOT NULL DEFAULT 0 -- for how long a beat shows that it lives; 0: until it is reaped or retired
) STRICT;

-- For people with the sqlite3 shell.
CREATE VIEW instances AS
SELECT i.instance_id,
       c.name AS orchestration,
       c.version,
       c.priority,
       CASE WHEN i.parked IS NOT NULL THEN 'parked'
            ELSE CASE i.status WHEN 0 THEN 'running' WHEN 1 THEN 'completed' WHEN 2 THEN 'failed'
                               WHEN 4 THEN 'cancelled' WHEN 5 THEN 'terminated' END END AS status,
       i.custom_status,
       i.execution,
       lower(hex(i.execution_id)) AS execution_id,
       i.next_seq AS events,
       (SELECT count(*) FROM inbox m WHERE m.iid = i.id) AS unread,
       (SELECT count(*) FROM work w WHERE w.iid = i.id) AS activities,
       (SELECT min(t.fire_at) FROM timer t WHERE t.iid = i.id) AS next_timer,
       w.name AS worker,
       i.parked AS reason,
       i.parent_id,
       strftime('%Y-%m-%d %H:%M:%f', i.created_at / 1e6, 'unixepoch') AS created_at,
       strftime('%Y-%m-%d %H:%M:%f', i.ended_at / 1e6, 'unixepoch') AS ended_at
  FROM instance i
  LEFT JOIN class c ON c.id = i.class
  LEFT JOIN worker w ON w.id = i.owner;

CREATE VIEW history_events AS
SELECT i.instance_id,
       h.execution,
       h.seq + e.key AS event,
       json_extract(e.value, '$.type') AS type,
       e.value AS body
  FROM history h
  JOIN instance i ON i.id = h.iid
  JOIN json_each(h.events) e
 ORDER BY h.iid, h.execution, h.seq, e.key;

CREATE VIEW workers AS
SELECT w.id AS worker,
       w.name,
       strftime('%Y-%m-%d %H:%M:%f', w.beat / 1e6, 'unixepoch') AS beat_at,
       (SELECT count(*) FROM instance i WHERE i.owner = w.id) AS instances_held,
       (SELECT json_group_array(label)
          FROM (SELECT c.name || CASE c.version WHEN '' THEN '' ELSE ' ' || c.version END
                              || CASE c.tag WHEN '' THEN '' ELSE ' #' || c.tag END
                              || CASE c.priority WHEN 0 THEN '' ELSE printf(' %+d', c.priority) END AS label
                  FROM json_each(w.serves) s JOIN class c ON c.id = s.value
                 ORDER BY c.kind, c.name, c.version, c.tag, c.priority DESC)) AS serves
  FROM worker w;
