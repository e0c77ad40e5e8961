package sqlite

import (
	"slices"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// batch is a call that commits turns. It goes through its items phase by phase: first every instance's own rows, then
// children and messages, then what each instance finds unread, at last the leases of targets. So an item sees what
// the others of its call did, whatever their order.
type batch struct {
	t        *tx
	worker   provider.WorkerID
	classes  []provider.ClassID // that the caller can run
	applied  []*committed
	repeated []*committed
	own      map[int64]bool // rows of this call's applied items and new children: they need no hint
	wanted   []wanted
	reply    *provider.AckReply
}

// committed is an item of a batch that applied, now or in an earlier try.
type committed struct {
	i         *instance
	commit    *provider.Commit
	execution int32 // that the turn belongs to
	seq       int32
	result    *provider.AckResult
	fresh     bool // the instance's row was inserted with the outcome of the turn in it
	greeted   bool // the instance was started with messages
}

// wanted is a target whose lease an item asked for.
type wanted struct {
	row     int64
	request provider.Token
}

func newBatch(t *tx, worker provider.WorkerID, classes []provider.ClassID, items int) *batch {
	return &batch{
		t:       t,
		worker:  worker,
		classes: classes,
		own:     make(map[int64]bool, items),
		reply:   &provider.AckReply{Results: make([]provider.AckResult, items), Now: timeOf(t.now)},
	}
}

// newReply is the answer to a call that has nothing to do.
func newReply(items int) *provider.AckReply {
	return &provider.AckReply{Results: make([]provider.AckResult, items), Now: timeOf(time.Now().UnixMicro())}
}

const (
	updateCommitted = `UPDATE instance SET class = ?2, status = ?3, execution = ?4, execution_id = ?5, next_seq = ?6,
	owner = ?7, last_owner = ?8, token = ?9, attempt = 0, due = ?10, waits = ?11, ended_at = ?12 WHERE id = ?1`
	insertWork = `INSERT INTO work (iid, execution, event, class, due, owner, token, attempt, input, home)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	workerKnown = `SELECT 1 FROM worker WHERE id = ?`
	deleteWork  = `DELETE FROM work WHERE iid = ? AND execution = ? AND event = ?`
	insertTimer = `INSERT INTO timer (iid, execution, event, fire_at, unless_started) VALUES (?, ?, ?, ?, ?)`
	deleteTimer = `DELETE FROM timer WHERE iid = ? AND execution = ? AND event = ?`
	setStatus   = `UPDATE instance SET custom_status = ?2, status_version = status_version + 1 WHERE id = ?1
RETURNING status_version`
)

// record stores the rows of the instance itself: its new state, the turn, work and timers.
func (b *batch) record(c *committed) {
	t, i, commit := b.t, c.i, c.commit
	b.own[i.row] = true
	if !c.fresh {
		t.exec(updateCommitted, i.row, i.class, i.status, i.execution, i.executionID[:], i.nextSeq, orNull(i.owner),
			orNull(i.lastOwner), i.token, orNull(i.due), waitsText(i.waits), orNull(i.endedAt))
	}
	t.addTurn(i.row, c.execution, c.seq, commit.EventCount, commit.Request, commit.Events)
	if commit.Next != nil {
		t.addTurn(i.row, i.execution, 0, 1, commit.Request, commit.Next.Events)
	}
	for n := range commit.Work {
		b.addWork(c, &commit.Work[n])
	}
	for _, timer := range commit.Timers {
		t.exec(insertTimer, i.row, c.execution, timer.Event, roundUp(timer.FireAt), timer.UnlessStarted)
	}
	// Last, as a turn may cancel what it has scheduled itself.
	for _, event := range commit.CancelWork {
		t.exec(deleteWork, i.row, c.execution, event)
	}
	for _, event := range commit.CancelTimers {
		t.exec(deleteTimer, i.row, c.execution, event)
	}
	if !i.running() {
		t.exec(deleteMessages, i.row)
	}
	if commit.CustomStatus != nil {
		b.setStatus(i, commit.CustomStatus)
	}
	for n := range commit.Values {
		t.setValue(i.row, &commit.Values[n])
	}
	t.effects.ready = t.effects.ready || i.due != 0
}

func (b *batch) setStatus(i *instance, status []byte) {
	var version int64
	if b.t.first(setStatus, args{i.row, text(status)}, &version) && i.watch {
		b.t.effects.statuses = append(b.t.effects.statuses, statusNews{i.instanceID, version})
	}
}

func (b *batch) addWork(c *committed, w *provider.NewWork) {
	t := b.t
	home := w.Worker
	var one int
	if home != 0 && !t.first(workerKnown, args{home}, &one) {
		home = 0
	}
	if w.Lease && b.worker != 0 {
		t.exec(insertWork, c.i.row, c.execution, w.Event, w.Class, t.now, b.worker, c.commit.Request, 1, text(w.Input), orNull(home))
		return
	}
	t.exec(insertWork, c.i.row, c.execution, w.Event, w.Class, t.now, nil, 0, 0, text(w.Input), orNull(home))
	if home == 0 || home != b.worker {
		t.tellQueued(home)
	}
}

// tellQueued tells of a queued work item whoever may claim it: its home, zero if it has none.
func (t *tx) tellQueued(home provider.WorkerID) {
	if home != 0 {
		t.effects.held = append(t.effects.held, home)
	} else {
		t.effects.queued = true
	}
}

// roundUp makes microseconds of a time such that nothing fires early.
func roundUp(at time.Time) int64 { return at.Add(time.Microsecond - time.Nanosecond).UnixMicro() }

// finish does what comes after every item's own rows.
func (b *batch) finish() {
	for _, c := range b.applied {
		for n := range c.commit.Children {
			b.createChild(c, &c.commit.Children[n])
		}
		for n := range c.commit.Messages {
			b.send(c, &c.commit.Messages[n])
		}
	}
	for _, c := range b.applied {
		b.settle(c)
	}
	for _, c := range b.repeated {
		b.recompute(c)
	}
	b.take()
	for _, c := range b.applied {
		b.tellEnd(c)
	}
}

// send delivers a message of an item. One whose receiver is gone is dropped.
func (b *batch) send(c *committed, m *provider.NewMessage) {
	target := b.t.instanceNamed(m.Target)
	if target == nil || !target.running() {
		return
	}
	b.t.deliver(target, m)
	if b.own[target.row] || !target.takes(m.Kind, m.Name) {
		return
	}
	if m.Take && target.free() && b.serves(target.class) && !b.names(target.row) {
		for _, w := range b.wanted {
			if w.row == target.row {
				return
			}
		}
		b.wanted = append(b.wanted, wanted{target.row, c.commit.Request})
		return
	}
	b.t.hint(target, b.t.now)
}

// names reports whether an instance is that of an item of this call, also of one that was refused or is a repeat.
func (b *batch) names(row int64) bool {
	return slices.ContainsFunc(b.reply.Results, func(r provider.AckResult) bool { return r.Ref.Row == row })
}

// holdClaimed keeps the instances of this call's commits of which it has claimed work.
func (b *batch) holdClaimed(work []provider.WorkItem) {
	for _, c := range b.applied {
		if c.i.owner != 0 || !c.i.running() || c.commit.Next != nil {
			continue
		}
		if slices.ContainsFunc(work, func(w provider.WorkItem) bool { return w.Row == c.i.row }) {
			b.t.exec(keepInstance, b.worker, c.i.row)
			c.i.owner = b.worker
		}
	}
}

const keepInstance = `UPDATE instance SET owner = ? WHERE id = ?`

// settle reads what an instance can use now. If there is something it stays held.
func (b *batch) settle(c *committed) {
	i := c.i
	if !i.running() || (c.commit.Next != nil && !c.commit.Keep) {
		return
	}
	if c.fresh && !c.greeted && len(b.applied) == 1 && len(c.commit.Messages) == 0 && len(c.commit.Children) == 0 {
		return // nobody could have written to it yet
	}
	messages := b.t.unread(i)
	if len(messages) == 0 {
		return
	}
	if b.worker == 0 {
		b.t.hint(i, b.t.now) // started by a pure client, which cannot hold it
		return
	}
	c.result.Messages = messages
	if i.owner == 0 {
		i.owner = b.worker
		b.t.exec(keepInstance, i.owner, i.row)
	}
}

// recompute answers an item that was committed by an earlier try.
func (b *batch) recompute(c *committed) {
	i, request := b.t.instanceAt(c.i.row), c.commit.Request
	if i != nil && i.heldBy(b.worker, request) {
		c.result.Messages = b.t.unread(i)
	}
	for n := range c.commit.Children {
		if child := &c.commit.Children[n]; child.Lease {
			b.grantedBefore(child.InstanceID, request, omitHistory)
		}
	}
	for n := range c.commit.Messages {
		if m := &c.commit.Messages[n]; m.Take && m.Target != c.i.instanceID {
			b.grantedBefore(m.Target, request, 0)
		}
	}
}

// grantedBefore repeats the grant of an instance if it still stands.
func (b *batch) grantedBefore(instanceID string, request provider.Token, historyFrom int32) {
	i := b.t.instanceNamed(instanceID)
	if i == nil || !i.heldBy(b.worker, request) {
		return
	}
	for n := range b.reply.Granted {
		if b.reply.Granted[n].Row == i.row {
			return
		}
	}
	if historyFrom != omitHistory {
		historyFrom = historyFor(i, b.worker)
	}
	b.reply.Granted = append(b.reply.Granted, b.t.item(i, historyFrom, b.t.unread(i)))
}

// take leases the targets that items asked for.
func (b *batch) take() {
	for _, w := range b.wanted {
		i := b.t.instanceAt(w.row)
		if i == nil {
			continue
		}
		messages := b.t.unread(i)
		b.t.grant(i, b.worker, w.request)
		b.reply.Granted = append(b.reply.Granted, b.t.item(i, historyFor(i, b.worker), messages))
	}
}

// tellEnd tells those who wait that an instance has ended.
func (b *batch) tellEnd(c *committed) {
	if c.i.running() || !c.i.watch {
		return
	}
	b.t.states(stateOfRow, args{c.i.row}, func(s provider.InstanceState) {
		b.t.effects.done = append(b.t.effects.done, s)
	})
}
