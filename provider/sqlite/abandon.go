package sqlite

import (
	"context"

	"github.com/pawlrun/pawl/provider"
)

// dueIfReady is the due time, the parameter ?1, of a free instance that has something to do, else null.
const dueIfReady = `CASE WHEN next_seq = 1 OR EXISTS (SELECT 1 FROM inbox m WHERE m.iid = instance.id AND
	(m.name IS NULL OR m.name IN (SELECT value FROM json_each(instance.waits)))) THEN ?1 END`

const (
	releaseInstance = `UPDATE instance SET owner = NULL, token = ?4, attempt = max(attempt - ?5, 0),
	due = CASE WHEN ?6 IS NULL THEN ` + dueIfReady + ` END, parked = ?6
 WHERE id = ?2 AND token = ?3 AND owner IS NOT NULL`
	releaseWork = `UPDATE work SET owner = NULL, token = ?6, due = ?7, state = coalesce(?5, state),
	attempt = max(attempt - ?8, 0)` + ofLeasedWork + ` RETURNING coalesce(home, 0)`
	handOverWork = `UPDATE work SET owner = NULL, due = NULL, home = NULL, state = coalesce(?5, state)` + ofLeasedWork
	ofLeasedWork = ` WHERE iid = ?1 AND execution = ?2 AND event = ?3 AND token = ?4 AND owner IS NOT NULL`
)

// AbandonItems implements provider.Provider.
func (p *Provider) AbandonItems(ctx context.Context, req *provider.AbandonRequest) error {
	const op = "abandon_items"
	var texts textCheck
	for n := range req.Instances {
		texts.documents(req.Instances[n].Park)
	}
	need := lease
	for n := range req.Work {
		a := &req.Work[n]
		texts.documents(a.State)
		if a.HandOver || a.State != nil {
			need = durable // the attempt had an outcome
		}
	}
	if err := texts.problem(op); err != nil {
		return err
	}
	items := len(req.Instances) + len(req.Work)
	if items == 0 {
		return nil
	}
	return p.write(ctx, op, items, need, func(t *tx) {
		for n := range req.Instances {
			a := &req.Instances[n]
			if t.exec(releaseInstance, t.after(a.Delay), a.Row, a.Token, provider.NewToken(), a.UndoAttempt,
				text(a.Park)) > 0 {
				t.effects.ready = t.effects.ready || a.Park == nil
			}
		}
		for n := range req.Work {
			t.abandonWork(&req.Work[n])
		}
	})
}

func (t *tx) abandonWork(a *provider.AbandonedWork) {
	if a.HandOver {
		t.exec(handOverWork, a.Row, a.Execution, a.Event, a.Token, text(a.State))
		return
	}
	var home provider.WorkerID
	if t.first(releaseWork, args{a.Row, a.Execution, a.Event, a.Token, text(a.State), provider.NewToken(), t.after(a.Delay),
		a.UndoAttempt}, &home) {
		t.tellQueued(home)
	}
}

const resume = `UPDATE instance SET parked = NULL, attempt = 0, due = ` + dueIfReady + ` WHERE id = ?2`

// ResumeInstances implements provider.Provider.
func (p *Provider) ResumeInstances(ctx context.Context, instanceIDs []string) ([]provider.ItemStatus, error) {
	const op = "resume_instances"
	if err := checkNames(op, instanceIDs...); err != nil {
		return nil, err
	}
	statuses := make([]provider.ItemStatus, len(instanceIDs))
	if len(instanceIDs) == 0 {
		return statuses, nil
	}
	err := p.write(ctx, op, len(instanceIDs), durable, func(t *tx) {
		for n, id := range instanceIDs {
			statuses[n] = t.ifRunning(id, func(i *instance) {
				if i.parked {
					t.exec(resume, t.now, i.row)
					t.effects.ready = true
				}
			})
		}
	})
	if err != nil {
		return nil, err
	}
	return statuses, nil
}

const (
	suspend = `UPDATE instance SET owner = NULL, token = ?2, due = NULL, parked = ?3 WHERE id = ?1`
	// countFenced is how a worker of another process learns of it: see fileView.
	countFenced = `UPDATE worker SET fenced = fenced + 1 WHERE id = ?`
)

// SuspendInstances implements provider.Provider.
func (p *Provider) SuspendInstances(ctx context.Context, instanceIDs []string, reason []byte) ([]provider.ItemStatus, error) {
	const op = "suspend_instances"
	var texts textCheck
	texts.strings(instanceIDs...)
	texts.documents(reason)
	if err := texts.problem(op); err != nil {
		return nil, err
	}
	statuses := make([]provider.ItemStatus, len(instanceIDs))
	if len(instanceIDs) == 0 {
		return statuses, nil
	}
	if reason == nil {
		return nil, invalid(op, "a suspension needs a reason")
	}
	err := p.write(ctx, op, len(instanceIDs), durable, func(t *tx) {
		for n, id := range instanceIDs {
			statuses[n] = t.ifRunning(id, func(i *instance) {
				if !i.parked {
					t.exec(suspend, i.row, provider.NewToken(), text(reason))
					t.tellFenced(i.owner)
				}
			})
		}
	})
	if err != nil {
		return nil, err
	}
	return statuses, nil
}

// tellFenced tells the owner of an instance, zero if there was none, that it is no longer.
func (t *tx) tellFenced(owner provider.WorkerID) {
	if owner != 0 {
		t.exec(countFenced, owner)
		t.effects.held = append(t.effects.held, owner)
	}
}

const (
	forgetWorker     = `DELETE FROM worker WHERE id = ?`
	releaseInstances = `UPDATE instance SET owner = NULL, token = ?3, due = ` + dueIfReady + ` WHERE owner = ?2`
	// The due time of work stays: it has waited longest.
	releaseAllWork = `UPDATE work SET owner = NULL, home = NULL, token = ?2 WHERE owner = ?1`
	// What only the worker might have claimed is due for everybody, delayed or not.
	releaseRouted = `UPDATE work INDEXED BY work_home SET home = NULL, due = min(due, ?2)
 WHERE owner IS NULL AND due IS NOT NULL AND home = ?1`
)

// RetireWorker implements provider.Provider.
func (p *Provider) RetireWorker(ctx context.Context, worker provider.WorkerID) error {
	return p.write(ctx, "retire_worker", 1, lease, func(t *tx) {
		t.exec(forgetWorker, worker)
		t.releaseAll(worker)
	})
}

// releaseAll takes from a worker what it holds and what is for it alone. Nobody knows the new token.
func (t *tx) releaseAll(worker provider.WorkerID) {
	delete(t.w.lastTold, int64(worker))
	if t.exec(releaseInstances, t.now, worker, provider.NewToken()) > 0 {
		t.effects.ready = true
	}
	if t.exec(releaseAllWork, worker, provider.NewToken())+t.exec(releaseRouted, worker, t.now) > 0 {
		t.effects.queued = true
	}
}
