package sqlite

import (
	"context"
	"database/sql"

	"github.com/pawlrun/pawl/provider"
)

const maxStale = 100 // workers reported by one pulse

const (
	joinWorker = `INSERT INTO worker (id, name, beat) VALUES (?1, ?2, ?3)
ON CONFLICT (id) DO UPDATE SET name = ?2, beat = max(beat + 1, ?3)`
	beatWorker   = `UPDATE worker SET beat = max(beat + 1, ?2) WHERE id = ?1`
	reapWorker   = `DELETE FROM worker WHERE id = ? AND beat = ?`
	staleWorkers = `SELECT id, beat FROM worker WHERE beat < ? AND id <> ? ORDER BY beat LIMIT ?`
	nextTimer    = `SELECT fire_at FROM timer ORDER BY fire_at LIMIT 1`
	anyReady     = `SELECT 1 FROM instance INDEXED BY instance_ready
 WHERE owner IS NULL AND class = ? AND due <= ? LIMIT 1`
	anyTold = `SELECT 1 FROM instance INDEXED BY instance_told WHERE owner = ? AND due <= ? LIMIT 1`
	anyWork = `SELECT 1 FROM work INDEXED BY work_queue
 WHERE owner IS NULL AND home IS NULL AND class = ? AND due <= ? LIMIT 1`
	anyRouted = `SELECT 1 FROM work INDEXED BY work_home WHERE owner IS NULL AND home = ? AND due <= ? LIMIT 1`
)

// Pulse implements provider.Provider.
func (p *Provider) Pulse(ctx context.Context, req *provider.PulseRequest) (*provider.PulseReply, error) {
	const op = "pulse"
	if err := checkNames(op, append([]string{req.Name}, req.Watch...)...); err != nil {
		return nil, err
	}
	var texts textCheck
	need := lease
	for n := range req.Held {
		if state := req.Held[n].State; state != nil {
			texts.documents(state)
			need = durable // what an activity has got to is an outcome
		}
	}
	if err := texts.problem(op); err != nil {
		return nil, err
	}
	var reply *provider.PulseReply
	err := p.write(ctx, op, 1, need, func(t *tx) {
		reply = &provider.PulseReply{Now: timeOf(t.now)}
		if req.Worker != 0 {
			t.beat(req, reply)
		}
		if !reply.Lost {
			t.lookAround(req, reply)
		}
		for n := range req.Held {
			if w := &req.Held[n]; !t.holdsStill(w) {
				reply.Gone = append(reply.Gone, w.WorkKey)
			}
		}
		if len(req.Watch) > 0 {
			t.states(endedStatesByID, args{namesList(req.Watch)}, func(s provider.InstanceState) {
				reply.Done = append(reply.Done, s)
			})
		}
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

const (
	workHeld = `SELECT 1 FROM work WHERE iid = ?1 AND execution = ?2 AND event = ?3 AND token = ?4
   AND (owner IS NOT NULL OR due IS NULL)`
	setHeldState = `UPDATE work SET state = ?5 WHERE iid = ?1 AND execution = ?2 AND event = ?3 AND token = ?4
   AND (owner IS NOT NULL OR due IS NULL)`
)

// holdsStill reports whether a work item is held under its token, and takes over its new state.
func (t *tx) holdsStill(w *provider.HeldWork) bool {
	if w.State != nil {
		return t.exec(setHeldState, w.Row, w.Execution, w.Event, w.Token, text(w.State)) > 0
	}
	var one int
	return t.first(workHeld, args{w.Row, w.Execution, w.Event, w.Token}, &one)
}

func (t *tx) beat(req *provider.PulseRequest, reply *provider.PulseReply) {
	if req.Join {
		t.exec(joinWorker, req.Worker, req.Name, t.now)
	} else if t.exec(beatWorker, req.Worker, t.now) == 0 {
		reply.Lost = true
		return
	}
	t.serve(req)
}

// lookAround does the work of a pulse that is not the caller's own: dead workers, due timers, ready items.
func (t *tx) lookAround(req *provider.PulseRequest, reply *provider.PulseReply) {
	for _, dead := range req.Reap {
		if dead.Worker != req.Worker && t.exec(reapWorker, dead.Worker, dead.Beat) > 0 {
			t.releaseAll(dead.Worker)
		}
	}
	t.releaseUnknown()
	if req.TTL > 0 {
		since := t.now - req.TTL.Microseconds()
		t.each(staleWorkers, args{since, req.Worker, maxStale}, func(rows *sql.Rows) error {
			var b provider.Beat
			err := rows.Scan(&b.Worker, &b.Beat)
			reply.Stale = append(reply.Stale, b)
			return err
		})
	}
	t.fireTimers()
	var next int64
	if t.first(nextTimer, nil, &next) {
		reply.NextTimer = timeOf(next)
	}
	reply.OrchestrationsReady = t.anyOf(anyReady, req.Classes)
	if !reply.OrchestrationsReady && req.Worker != 0 {
		var one int
		reply.OrchestrationsReady = t.first(anyTold, args{req.Worker, t.now}, &one)
	}
	reply.WorkReady = t.anyOf(anyWork, req.WorkClasses)
	if !reply.WorkReady && req.Routed && req.Worker != 0 {
		var one int
		reply.WorkReady = t.first(anyRouted, args{req.Worker, t.now}, &one)
	}
	if req.ClassesFrom > 0 {
		reply.Classes = t.classesFrom(req.ClassesFrom)
	}
}

// unknownOwners are those whose worker is not known (any more). Both look-ups read only what is held.
const unknownOwners = `SELECT owner FROM instance INDEXED BY instance_held
 WHERE owner IS NOT NULL AND owner NOT IN (SELECT id FROM worker) UNION
SELECT owner FROM work INDEXED BY work_held WHERE owner IS NOT NULL AND owner NOT IN (SELECT id FROM worker)`

// releaseUnknown releases what a call of a worker has taken after the worker was reaped or retired.
func (t *tx) releaseUnknown() {
	var owners []provider.WorkerID
	t.each(unknownOwners, nil, func(rows *sql.Rows) error {
		var owner provider.WorkerID
		err := rows.Scan(&owner)
		owners = append(owners, owner)
		return err
	})
	for _, owner := range owners {
		t.releaseAll(owner)
	}
}

// anyOf reports whether a query finds something for one of the classes.
func (t *tx) anyOf(query string, classes []provider.ClassID) bool {
	for _, class := range classes {
		var one int
		if t.first(query, args{class, t.now}, &one) {
			return true
		}
	}
	return false
}

const (
	maxFired  = 500 // timers fired by one call
	dueTimers = `SELECT iid, execution, event, fire_at, unless_started FROM timer WHERE fire_at <= ? ORDER BY fire_at LIMIT ?`
	fireTimer = `INSERT INTO inbox (iid, name, kind, execution, event, message_id, body, at)
VALUES (?, NULL, ?, ?, ?, '', NULL, ?)`
)

const ungrantedWork = `SELECT 1 FROM work WHERE iid = ? AND execution = ? AND event = ? AND attempt = 0`

// neverGranted reports whether an event has a work item and nobody was granted it.
func (t *tx) neverGranted(row int64, execution, event int32) bool {
	var one int
	return t.first(ungrantedWork, args{row, execution, event}, &one)
}

// fireTimers turns due timers into messages. Those of an execution that is over are dropped.
func (t *tx) fireTimers() {
	type timer struct {
		row              int64
		execution, event int32
		fireAt           int64
		unlessStarted    bool
	}
	var due []timer
	t.each(dueTimers, args{t.now, maxFired}, func(rows *sql.Rows) error {
		var d timer
		err := rows.Scan(&d.row, &d.execution, &d.event, &d.fireAt, &d.unlessStarted)
		due = append(due, d)
		return err
	})
	for _, d := range due {
		t.exec(deleteTimer, d.row, d.execution, d.event)
		i := t.instanceAt(d.row)
		if i == nil || !i.running() || i.execution != d.execution {
			continue
		}
		if d.unlessStarted && !t.neverGranted(d.row, d.execution, d.event) {
			continue
		}
		t.exec(fireTimer, d.row, provider.MessageTimerFired, d.execution, d.event, d.fireAt)
		t.hint(i, t.now)
	}
}
