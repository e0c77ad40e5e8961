package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// FetchWorkItems implements provider.Provider.
func (p *Provider) FetchWorkItems(ctx context.Context, req *provider.FetchWorkRequest) (*provider.FetchWorkReply, error) {
	s, err := p.enter(ctx, "fetch_work_items")
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	repeated := false
	for _, k := range s.work {
		repeated = repeated || k.owner == req.Worker && k.token == req.Request
	}
	reply := &provider.FetchWorkReply{Work: s.claimWork(req.Worker, req.Request, req.Max, req.Classes)}
	if !s.broken(WorkGrantsNothing) {
		reply.Granted = s.grantWithWork(req, reply.Work, repeated)
	}
	return reply, nil
}

// grantWithWork returns the instances that come with fetched work; it leases those that are free, unless the fetch is a
// repeat.
func (s *Store) grantWithWork(req *provider.FetchWorkRequest, items []provider.WorkItem, repeated bool) []provider.OrchestrationItem {
	var granted []provider.OrchestrationItem
	for _, it := range items {
		i := s.instances[it.Ref]
		if slices.ContainsFunc(granted, func(g provider.OrchestrationItem) bool { return g.Ref == it.Ref }) {
			continue
		}
		serves := s.serves(req.Serves, i.class) || s.broken(WorkGrantIgnoresClass)
		current := i.execution == it.Execution || s.broken(WorkGrantIgnoresExecution)
		free := s.free(i) || s.broken(WorkGrantStealsHeld) && !i.status.Terminal()
		if (!repeated || s.broken(RepeatedWorkFetchGrantsMore)) && serves && current && free {
			s.lease(i, req.Worker, req.Request)
			if !s.broken(WorkGrantCounted) {
				i.attempt--
			}
		}
		forgotten := repeated && s.broken(RepeatedWorkFetchForgets)
		if i.owner != req.Worker || i.token != req.Request || i.status.Terminal() || forgotten {
			continue
		}
		item := s.grant(i, req.Worker)
		if !s.broken(WorkGrantUnbounded) {
			s.bound(&item)
		}
		granted = append(granted, item)
	}
	return granted
}

// bound leaves the latest turns of a grant's history that may come with work.
func (s *Store) bound(item *provider.OrchestrationItem) {
	first, bytes := len(item.History), 0
	for first > 0 && len(item.History)-first < provider.MaxGrantTurns {
		if bytes += len(item.History[first-1].Events); bytes > provider.MaxGrantBytes {
			break
		}
		first--
	}
	item.History = item.History[first:]
	item.HistoryOmitted = len(item.History) == 0
}

// claimWork leases queued items, oldest first; what the same request has leased before comes first.
func (s *Store) claimWork(w provider.WorkerID, request provider.Token, most int, classes []provider.ClassID) []provider.WorkItem {
	if most <= 0 {
		return nil
	}
	all := make([]*work, 0, len(s.work))
	for _, k := range s.work {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b *work) int { return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.order, b.order)) })
	if s.broken(NewestWorkFirst) {
		slices.Reverse(all)
	}
	var items []provider.WorkItem
	give := func(k *work) {
		items = append(items, provider.WorkItem{WorkKey: k.WorkKey, InstanceID: s.instances[k.Ref].id, Class: k.class,
			Input: slices.Clone(k.input), State: slices.Clone(k.state), Token: k.token, Attempt: k.attempt})
	}
	for _, k := range all {
		mine := k.owner == w || k.handed && s.broken(HandedOverFetchedAgain)
		if mine && k.token == request && !s.broken(RepeatedWorkFetchGrantsAnew) {
			give(k)
		}
	}
	for _, k := range all {
		full := len(items) >= most && !s.broken(WorkMaxIgnored)
		queued := !k.leased() || k.handed && s.broken(HandedOverQueued) || s.broken(WorkDeliveredTwice)
		served := s.serves(classes, k.class) || s.broken(WorkClassesIgnored)
		if full || !queued || !served || (k.due.After(s.now()) && !s.broken(WorkDelayIgnored)) {
			continue
		}
		k.owner, k.handed, k.token = w, false, request
		if !s.broken(WorkAttemptNotCounted) {
			k.attempt++
		}
		give(k)
	}
	return items
}

// errNobodyClaims is the error of a claim without a worker.
func errNobodyClaims(op string) error {
	return &provider.Error{Op: op, Retry: provider.GiveUp, Err: errors.New("a claim of work needs a worker")}
}

// AckWorkItems implements provider.Provider.
func (p *Provider) AckWorkItems(ctx context.Context, req *provider.AckWorkRequest) (*provider.AckReply, error) {
	const op = "ack_work_items"
	if req.Worker == 0 && req.ClaimWork > 0 && !p.s.broken(ClaimsForNobody) {
		return nil, errNobodyClaims(op)
	}
	s, err := p.enter(ctx, op)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	reply := &provider.AckReply{Results: make([]provider.AckResult, len(req.Items)), Now: s.now()}
	var grants []int // items whose instance is granted
	for n := range req.Items {
		it := &req.Items[n]
		i := s.instances[it.Ref]
		status := s.finishWork(req.Worker, it)
		if s.broken(WorkResultsAllOrNothing) && status == provider.Gone {
			for m := range reply.Results {
				reply.Results[m].Status = provider.Gone
			}
			return reply, nil
		}
		reply.Results[n] = provider.AckResult{Status: status, Ref: it.Ref}
		granted := i != nil && i.owner == req.Worker && i.owner != 0 && i.token == it.Request && !s.broken(RepeatedResultForgetsGrant)
		serves := i != nil && (s.serves(req.Serves, i.class) || s.broken(TakeIgnoresClass))
		switch {
		case status == provider.Gone && granted:
			reply.Results[n].Status = provider.Applied
			grants = append(grants, n)
		case status == provider.Applied && it.Take && req.Worker != 0 && serves && s.mayTake(i):
			s.lease(i, req.Worker, it.Request)
			grants = append(grants, n)
		}
	}
	for _, n := range grants {
		it := &req.Items[n]
		i := s.instances[it.Ref]
		item := s.grant(i, req.Worker)
		item.HistoryOmitted = false
		item.History = turnsOf(i.current(), 0)
		if it.CachedExecution == i.execution || s.broken(CachedExecutionIgnored) {
			item.History = turnsOf(i.current(), it.CachedSeq)
		}
		reply.Granted = append(reply.Granted, item)
	}
	reply.Work = s.claimWork(req.Worker, req.ClaimRequest, req.ClaimWork, req.WorkClasses)
	return reply, nil
}

// finishWork records the result of one work item.
func (s *Store) finishWork(w provider.WorkerID, it *provider.AckWorkItem) provider.ItemStatus {
	k, i := s.work[it.WorkKey], s.instances[it.Ref]
	stranger := k != nil && k.handed && w == 0 && s.broken(HandedOverNeedsWorker)
	if k == nil || !s.heldUnder(k, it.Token) || stranger {
		return provider.Gone
	}
	if !s.broken(FinishedWorkKept) {
		delete(s.work, it.WorkKey)
	}
	if (i.status.Terminal() || i.execution != it.Execution) && !s.broken(LateResultApplied) {
		return provider.Gone
	}
	if s.broken(ResultLost) {
		return provider.Applied
	}
	s.deliver(i, provider.Message{Kind: provider.MessageActivityDone, Execution: it.Execution,
		ID: fmt.Sprintf("w%d.%d", it.Event, it.Execution), Body: slices.Clone(it.Body)})
	return provider.Applied
}

// heldUnder reports whether a work item is leased under the token.
func (s *Store) heldUnder(k *work, token provider.Token) bool {
	held := k.leased() || s.broken(ReleasedWorkTokenAccepted)
	return held && k.token == token || s.broken(WorkTokenUnchecked)
}

// releaseWork puts a work item back into the queue.
func (s *Store) releaseWork(k *work, due time.Time) {
	k.owner, k.handed, k.due = 0, false, due
	s.notify(0, provider.Notification{Kind: provider.NotifyWork})
	if !s.broken(WorkTokenKeptOnRelease) {
		k.token = provider.NewToken()
	}
}
