package sqlite

import "github.com/pawlrun/pawl/provider"

const insertInstance = `INSERT INTO instance (instance_id, class, status, execution, execution_id, started_as, next_seq,
	owner, last_owner, token, attempt, due, waits, watch, parent_id, parent_execution, parent_event, created_at, ended_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (instance_id) DO NOTHING`

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

// insertInstance stores a new row and reports whether the id was still unused.
func (t *tx) insertInstance(i *instance, parent *provider.Parent) bool {
	var p provider.Parent
	if parent != nil {
		p = *parent
	}
	i.row = t.insert(insertInstance, i.instanceID, i.class, i.status, i.execution, i.executionID[:], i.startedAs[:],
		i.nextSeq, orNull(i.owner), orNull(i.lastOwner), i.token, i.attempt, orNull(i.due), waitsText(i.waits), i.watch,
		orNull(p.InstanceID), orNull(p.Execution), orNull(p.Event), t.now, orNull(i.endedAt))
	return i.row != 0
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
