package sqlite

import (
	"context"
	"fmt"

	"github.com/pawlrun/pawl/provider"
)

// TerminateInstances implements provider.Provider.
func (p *Provider) TerminateInstances(ctx context.Context, items []provider.Termination) ([]provider.ItemStatus, error) {
	const op = "terminate_instances"
	var texts textCheck
	for n := range items {
		texts.strings(items[n].InstanceID)
		texts.documents(items[n].Events, items[n].Answer)
		if len(items[n].Events) == 0 {
			return nil, invalid(op, fmt.Sprintf("item %d: a termination needs an event", n))
		}
	}
	if err := texts.problem(op); err != nil {
		return nil, err
	}
	statuses := make([]provider.ItemStatus, len(items))
	if len(items) == 0 {
		return statuses, nil
	}
	err := p.write(ctx, op, len(items), durable, func(t *tx) {
		var all terminations
		for n := range items {
			statuses[n] = t.ifRunning(items[n].InstanceID, func(i *instance) { all = t.terminate(all, i, &items[n]) })
		}
		for n := range all {
			t.tellTermination(&all[n])
		}
	})
	if err != nil {
		return nil, err
	}
	return statuses, nil
}

// terminations are the instances that a call has ended. Parents and watchers are told at the end of the call: a parent
// that ended with it is told nothing.
type terminations []terminated

type terminated struct {
	i    *instance
	item *provider.Termination
}

const (
	endInstance = `UPDATE instance SET status = ?2, next_seq = ?3, token = ?4, ended_at = ?5, owner = NULL,
	last_owner = NULL, attempt = 0, due = NULL, waits = NULL, parked = NULL WHERE id = ?1`
	runningChildren = `SELECT id FROM instance INDEXED BY instance_child WHERE parent_id = ? AND status = 0 ORDER BY id`
	parentOf        = `SELECT parent_id, parent_execution, parent_event FROM instance WHERE id = ? AND parent_id IS NOT NULL`
)

// terminate ends a running instance and, if the item says so, those it has started.
func (t *tx) terminate(all terminations, first *instance, item *provider.Termination) terminations {
	next := []*instance{first}
	for len(next) > 0 {
		i := next[0]
		next = next[1:]
		t.end(i, item.Events)
		all = append(all, terminated{i, item})
		if !item.Children {
			continue
		}
		for _, row := range t.rowsOf(runningChildren, i.instanceID) {
			if child := t.instanceAt(row); child != nil {
				next = append(next, child)
			}
		}
	}
	return all
}

// end ends a running instance with one event, whoever holds it.
func (t *tx) end(i *instance, events []byte) {
	token := provider.NewToken()
	t.exec(endInstance, i.row, provider.StatusTerminated, i.nextSeq+1, token, t.now)
	t.addTurn(i.row, i.execution, i.nextSeq, 1, token, events)
	t.clear(i.row)
	t.tellFenced(i.owner)
}

// tellTermination tells the parent and those who watch that an instance was terminated.
func (t *tx) tellTermination(ended *terminated) {
	i := ended.i
	if i.watch {
		t.states(stateOfRow, args{i.row}, func(s provider.InstanceState) {
			t.effects.done = append(t.effects.done, s)
		})
	}
	var link provider.Parent
	if !t.first(parentOf, args{i.row}, &link.InstanceID, &link.Execution, &link.Event) {
		return
	}
	parent := t.instanceNamed(link.InstanceID)
	if parent == nil || !parent.running() {
		return
	}
	t.deliverOf(parent, &provider.NewMessage{
		Kind:      provider.MessageChildDone,
		Execution: link.Execution,
		ID:        i.startedAs.String(),
		Body:      ended.item.Answer,
	}, link.Event)
	t.hint(parent, t.now)
}
