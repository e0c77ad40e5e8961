package sqlite

import "github.com/pawlrun/pawl/provider"

const insertInstance = `INSERT INTO instance (id, instance_id, class, status, execution, execution_id, started_as, next_seq,
	owner, last_owner, token, attempt, due, waits, watch, parent_id, parent_execution, parent_event, created_at, ended_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (instance_id) DO NOTHING`

// newInstance is the row of an instance that only its start is recorded of.
func newInstance(n *provider.NewInstance) *instance {
	return &instance{
		instanceID:  n.InstanceID,
		class:       n.Class,
		execution:   1,
		executionID: n.ExecutionID,
		startedAs:   n.ExecutionID,
		nextSeq:     1,
		watch:       n.Watch,
	}
}

// insertInstance stores a new row and reports whether the id was still unused. The row gets the next number unless it
// has one.
func (t *tx) insertInstance(i *instance, parent *provider.Parent) bool {
	var p provider.Parent
	if parent != nil {
		p = *parent
	}
	i.row = t.insert(insertInstance, orNull(i.row), i.instanceID, i.class, i.status, i.execution, i.executionID[:], i.startedAs[:],
		i.nextSeq, orNull(i.owner), orNull(i.lastOwner), i.token, i.attempt, orNull(i.due), waitsText(i.waits), i.watch,
		orNull(p.InstanceID), orNull(p.Execution), orNull(p.Event), t.now, orNull(i.endedAt))
	return i.row != 0
}

const (
	nextRow        = `SELECT max(id) + 1 FROM instance`
	deleteInstance = `DELETE FROM instance WHERE id = ?`
	deleteHistory  = `DELETE FROM history WHERE iid = ?`
	deleteValues   = `DELETE FROM instance_value WHERE iid = ?`
	deleteAllWork  = `DELETE FROM work WHERE iid = ?`
	deleteTimers   = `DELETE FROM timer WHERE iid = ?`
	detachChildren = `UPDATE instance SET parent_id = NULL, parent_execution = NULL, parent_event = NULL
 WHERE parent_id = ? AND status = 0`
)

// replace puts a new instance in the place of an ended one of the same id. Row numbers are never used again: what still
// names the old one must not find the new one. Neither must children of the old one that run on.
func (t *tx) replace(old, i *instance, parent *provider.Parent) bool {
	if !t.first(nextRow, nil, &i.row) {
		return false
	}
	t.exec(deleteInstance, old.row)
	t.exec(deleteHistory, old.row)
	t.exec(deleteValues, old.row)
	t.clear(old.row)
	t.exec(detachChildren, old.instanceID)
	return t.insertInstance(i, parent)
}

// clear removes what an instance has queued and not read.
func (t *tx) clear(row int64) {
	t.exec(deleteAllWork, row)
	t.exec(deleteTimers, row)
	t.exec(deleteMessages, row)
}

// createChild starts a sub-orchestration as part of the commit of its parent. If its id is taken by another one, the
// parent gets a message that says so.
func (b *batch) createChild(parent *committed, n *provider.NewInstance) {
	t := b.t
	child := newInstance(n)
	leased := n.Lease && b.worker != 0
	if leased {
		child.owner, child.token, child.attempt = b.worker, parent.commit.Request, 1
	} else {
		child.due = t.now
	}
	if t.insertInstance(child, n.Parent) {
		t.addTurn(child.row, 1, 0, 1, parent.commit.Request, n.Events)
		t.beginWith(child.row, n.Values)
		b.own[child.row] = true
		if leased {
			b.reply.Granted = append(b.reply.Granted, t.item(child, omitHistory, nil))
		} else {
			t.effects.ready = true
		}
		return
	}
	existing := t.instanceNamed(n.InstanceID)
	if existing == nil || existing.startedAs == n.ExecutionID || n.ExistsBody == nil || !parent.i.running() {
		return
	}
	t.deliver(parent.i, &provider.NewMessage{
		Kind:      provider.MessageChildDone,
		Execution: parent.execution,
		ID:        n.ExecutionID.String(),
		Body:      n.ExistsBody,
	})
}
