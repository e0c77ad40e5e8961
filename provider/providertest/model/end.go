package model

import (
	"context"
	"slices"

	"github.com/pawlrun/pawl/provider"
)

// SuspendInstances implements provider.Provider.
func (p *Provider) SuspendInstances(ctx context.Context, instanceIDs []string, reason []byte) ([]provider.ItemStatus, error) {
	s, err := p.enter(ctx, "suspend_instances", instanceIDs...)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	statuses := make([]provider.ItemStatus, len(instanceIDs))
	for n, id := range instanceIDs {
		i := s.ids[id]
		switch {
		case i == nil:
			statuses[n] = provider.NotFound
		case i.status.Terminal() && !s.broken(SuspendEndedApplied):
			statuses[n] = provider.Gone
		default:
			statuses[n] = provider.Applied
			s.suspend(i, reason)
		}
	}
	return statuses, nil
}

// suspend parks an instance, whoever holds it.
func (s *Store) suspend(i *instance, reason []byte) {
	if i.parked == nil || s.broken(SuspendReplacesReason) {
		i.parked = slices.Clone(reason)
	}
	if i.owner != 0 && !s.broken(SuspendSparesHolder) {
		i.owner, i.token = 0, provider.NewToken()
	}
	if s.broken(SuspendReleasesWork) {
		for _, k := range s.work {
			if k.Ref == i.Ref && k.leased() {
				s.releaseWork(k, s.now())
			}
		}
	}
}

// TerminateInstances implements provider.Provider.
func (p *Provider) TerminateInstances(ctx context.Context, items []provider.Termination) ([]provider.ItemStatus, error) {
	var texts []string
	for _, t := range items {
		texts = append(texts, t.InstanceID)
	}
	s, err := p.enter(ctx, "terminate_instances", texts...)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	statuses := make([]provider.ItemStatus, len(items))
	for n, t := range items {
		i := s.ids[t.InstanceID]
		switch {
		case i == nil:
			statuses[n] = provider.NotFound
			if s.broken(TerminateAllOrNothing) {
				return statuses, nil
			}
		case i.status.Terminal() && !s.broken(TerminatesAgain):
			statuses[n] = provider.Gone
		case i.owner != 0 && s.broken(TerminateSparesHeld):
			statuses[n] = provider.Applied
		default:
			statuses[n] = provider.Applied
			s.terminate(i, t)
			s.answerParent(i, t)
			if t.Children && !s.broken(TerminateSparesChildren) || s.broken(TerminateTakesChildren) {
				s.terminateChildren(i, t)
			}
		}
	}
	return statuses, nil
}

// terminate ends one instance.
func (s *Store) terminate(i *instance, t provider.Termination) {
	if !s.broken(TerminateWritesNothing) {
		i.addTurn(provider.Turn{Count: 1, Events: slices.Clone(t.Events)}, 0)
	}
	i.status, i.ended, i.parked = provider.StatusTerminated, s.now(), nil
	if !s.broken(TerminateKeepsHolder) {
		if i.owner != 0 && !s.broken(TerminateHolderUntold) {
			s.notify(i.owner, provider.Notification{Kind: provider.NotifyHeld})
		}
		i.owner, i.committer, i.token, i.inbox = 0, 0, provider.NewToken(), nil
	}
	for key, k := range s.work {
		if k.Ref == i.Ref && !s.broken(TerminateKeepsWork) {
			delete(s.work, key)
		}
	}
	for key := range s.timers {
		if key.Ref == i.Ref && !s.broken(TerminateKeepsTimers) {
			delete(s.timers, key)
		}
	}
	if !s.broken(TerminateUnnotified) {
		s.notify(0, provider.Notification{Kind: provider.NotifyDone, InstanceID: i.id})
	}
}

// answerParent tells the parent of a terminated instance, if there is one and it runs.
func (s *Store) answerParent(i *instance, t provider.Termination) {
	parent := s.ids[i.parent.InstanceID]
	if parent == nil || parent.status.Terminal() || s.broken(TerminateTellsNobody) {
		return
	}
	m := provider.Message{Kind: provider.MessageChildDone, Execution: i.parent.Execution, Event: i.parent.Event,
		ID: i.firstID.String(), Body: slices.Clone(t.Answer)}
	if s.broken(TerminateNamesNoEvent) {
		m.Event = 0
	}
	if s.broken(TerminateNamesLastID) {
		m.ID = i.executionID.String()
	}
	s.deliver(parent, m)
}

// terminateChildren ends the running children of an instance, and theirs.
func (s *Store) terminateChildren(parent *instance, t provider.Termination) {
	for _, i := range s.sortedInstances() {
		ended := i.status.Terminal()
		if i.parent.InstanceID != parent.id || ended && !s.broken(TerminateReachesThrough) {
			continue
		}
		if !ended {
			s.terminate(i, t)
		}
		if !s.broken(TerminateSparesGrandchildren) {
			s.terminateChildren(i, t)
		}
	}
}
