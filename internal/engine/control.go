package engine

import (
	"context"
	"encoding/json"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
)

// Cancel asks an instance to end. The status is Applied, NotFound or Gone. A repeat is harmless: an instance that has been
// asked takes no notice of further requests.
//
// If ctx ends first the outcome is unknown, unless the error says otherwise.
func (e *Engine) Cancel(ctx context.Context, instanceID, reason string) (provider.ItemStatus, error) {
	body, err := history.Append(nil, &history.CancelRequested{Reason: reason})
	if err != nil {
		return 0, err
	}
	return e.send(ctx, "request to cancel", provider.NewMessage{Target: instanceID, Kind: provider.MessageCancel,
		ID: provider.NewExecutionID().String(), Body: body})
}

// Terminate ends an instance at once, whoever runs it, with children all its descendants that are running too. The status
// is Applied, NotFound or Gone.
func (e *Engine) Terminate(ctx context.Context, instanceID, reason string, children bool) (provider.ItemStatus, error) {
	end := &history.ExecutionTerminated{Reason: reason}
	events, err := history.Encode([]history.Event{end})
	if err != nil {
		return 0, err
	}
	_, failure, _ := history.OutcomeOf(end)
	answer, err := history.Append(nil, &history.ChildFailed{Failure: *failure})
	if err != nil {
		return 0, err
	}
	items := []provider.Termination{{InstanceID: instanceID, Events: events, Answer: answer, Children: children}}
	status, tries, err := e.control(ctx, func(ctx context.Context) ([]provider.ItemStatus, error) {
		return e.store.TerminateInstances(ctx, items)
	})
	if status == provider.Gone && tries > 1 && e.wasTerminated(ctx, instanceID, reason) {
		status = provider.Applied
	}
	if status != provider.Applied || err != nil {
		return status, err
	}
	if s := e.current(); s != nil {
		s.forfeit(instanceID, true)
		s.orch.kick() // its parent may be held here
	}
	if e.waiters.has(instanceID) || e.statuses.has(instanceID) {
		e.reads.add(readCall(instanceID))
	}
	return status, nil
}

// wasTerminated reports whether an instance was terminated for a reason: the first try of a repeated call may have done it.
func (e *Engine) wasTerminated(ctx context.Context, instanceID, reason string) bool {
	st, err := e.Read(ctx, instanceID)
	if err != nil || st == nil || st.Status != provider.StatusTerminated {
		return false
	}
	o, err := OutcomeOf(st)
	return err == nil && o.Failure.Message == reason
}

// Suspend parks an instance, whoever runs it, until it is resumed. The status is Applied, NotFound or Gone.
func (e *Engine) Suspend(ctx context.Context, instanceID, reason string) (provider.ItemStatus, error) {
	body, err := json.Marshal(parkReason{Reason: "suspended", Detail: reason})
	if err != nil {
		return 0, err
	}
	status, _, err := e.control(ctx, func(ctx context.Context) ([]provider.ItemStatus, error) {
		return e.store.SuspendInstances(ctx, []string{instanceID}, body)
	})
	if s := e.current(); s != nil && err == nil && status == provider.Applied {
		s.forfeit(instanceID, false)
	}
	return status, err
}

// Resume lets a parked instance go on. The status is Applied, NotFound or Gone.
func (e *Engine) Resume(ctx context.Context, instanceID string) (provider.ItemStatus, error) {
	status, tries, err := e.control(ctx, func(ctx context.Context) ([]provider.ItemStatus, error) {
		return e.store.ResumeInstances(ctx, []string{instanceID})
	})
	if status == provider.Gone && tries > 1 { // resumed by the first try, and ended since
		status = provider.Applied
	}
	if s := e.current(); s != nil && err == nil {
		s.orch.kick()
	}
	return status, err
}

// control makes a call about one instance and says how many tries it took.
func (e *Engine) control(ctx context.Context, call func(context.Context) ([]provider.ItemStatus, error)) (status provider.ItemStatus, tries int, err error) {
	err = e.call(ctx, func(ctx context.Context) error {
		tries++
		statuses, err := call(ctx)
		if err == nil {
			status = statuses[0]
		}
		return err
	})
	return status, tries, err
}

// forfeit gives up what is held of an instance that the store has just fenced, and if it has ended the activities that run
// for it. A turn or commit that is under way comes to nothing by itself: the store refuses it.
func (s *session) forfeit(instanceID string, hasEnded bool) {
	s.mu.Lock()
	s.settling++
	defer s.settled()
	if hasEnded {
		for _, run := range s.runs {
			if run.instanceID == instanceID {
				run.withdraw()
			}
		}
	}
	var orphans []*ackWorkCall
	for _, in := range s.instances {
		if in.id != instanceID || in.busy {
			continue
		}
		if hasEnded {
			in.finished = nil // nobody waits for them
		}
		orphans = in.detach()
		in.discard()
		break
	}
	s.mu.Unlock()
	s.record(orphans)
}
