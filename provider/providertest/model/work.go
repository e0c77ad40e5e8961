package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// FetchWorkItems implements provider.Provider.
func (p *Provider) FetchWorkItems(ctx context.Context, req *provider.FetchWorkRequest) (*provider.FetchWorkReply, error) {
	const op = "fetch_work_items"
	s, err := p.enter(ctx, op)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	if err := s.checkRanks(op, req.Classes, req.Ranks); err != nil {
		return nil, err
	}
	repeated := false
	for _, k := range s.work {
		repeated = repeated || k.owner == req.Worker && k.token == req.Request
	}
	reply := &provider.FetchWorkReply{
		Work: s.claimWork(&claim{req.Worker, req.Request, req.Max, req.Classes, req.Ranks, req.Routed})}
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

// claim is what a call asks for of queued work.
type claim struct {
	worker  provider.WorkerID
	request provider.Token
	most    int
	classes []provider.ClassID
	ranks   []int16
	routed  bool
}

// ackClaim is the claim of a call that commits something.
func (s *Store) ackClaim(w provider.WorkerID, request provider.Token, most int, classes []provider.ClassID, ranks []int16,
	routed bool) *claim {
	if s.broken(AckRanksIgnored) {
		ranks = nil
	}
	return &claim{w, request, most, classes, ranks, routed && !s.broken(AckRoutedIgnored)}
}

// checkRanks refuses ranks that are not one for each class.
func (s *Store) checkRanks(op string, classes []provider.ClassID, ranks []int16) error {
	err := provider.CheckRanks(classes, ranks)
	if err == nil || s.broken(RanksUnchecked) {
		return nil
	}
	return &provider.Error{Op: op, Retry: provider.GiveUp, Err: err}
}

// rank returns the rank of a class for a claim.
func (s *Store) rank(classes []provider.ClassID, ranks []int16, class provider.ClassID) int16 {
	n := slices.Index(classes, class)
	switch {
	case ranks == nil && s.broken(PrioritiesRankThemselves):
		return -int16(s.classes[class-1].Priority)
	case n < 0 || n >= len(ranks):
		return 0
	}
	return ranks[n]
}

// mayClaim reports whether an item is one of those that a claim asks for.
func (s *Store) mayClaim(c *claim, k *work) bool {
	served := s.serves(c.classes, k.class) || s.broken(WorkClassesIgnored)
	if k.home == 0 || s.broken(RoutedClaimedByAnyone) {
		return served
	}
	asked := c.routed || s.broken(RoutedUnasked)
	return k.home == c.worker && asked && (served || !s.broken(RoutedNeedsClass))
}

// claimable returns the items a claim can lease, in the order in which it does; all are sorted by age.
func (s *Store) claimable(c *claim, all []*work) []*work {
	var found []*work
	for _, k := range all {
		queued := !k.leased() || k.handed && s.broken(HandedOverQueued) || s.broken(WorkDeliveredTwice)
		delayed := k.due.After(s.now()) && !s.broken(WorkDelayIgnored)
		if queued && !delayed && s.mayClaim(c, k) {
			found = append(found, k)
		}
	}
	if s.broken(WorkRanksOfOldest) {
		found = found[:min(len(found), c.most)]
	}
	slices.SortStableFunc(found, func(a, b *work) int { return cmp.Compare(s.turnOf(c, a), s.turnOf(c, b)) })
	return found
}

// turnOf ranks an item for a claim; what is for the worker alone comes before all ranks.
func (s *Store) turnOf(c *claim, k *work) int {
	switch {
	case k.home != 0 && !s.broken(RoutedInTurn):
		return math.MinInt
	case s.broken(WorkRanksIgnored):
		return 0
	}
	return int(s.rank(c.classes, c.ranks, k.class))
}

// claimWork leases queued items: what the same request has leased before comes first, then what only the worker may claim,
// then by rank, and among equals the oldest.
func (s *Store) claimWork(c *claim) []provider.WorkItem {
	if c.most <= 0 {
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
		mine := k.owner == c.worker || k.handed && s.broken(HandedOverFetchedAgain)
		if mine && k.token == c.request && !s.broken(RepeatedWorkFetchGrantsAnew) {
			give(k)
		}
	}
	for _, k := range s.claimable(c, all) {
		if len(items) >= c.most && !s.broken(WorkMaxIgnored) {
			break
		}
		k.owner, k.handed, k.token = c.worker, false, c.request
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
	if err := s.checkRanks(op, req.WorkClasses, req.WorkRanks); err != nil {
		return nil, err
	}
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
	reply.Work = s.claimWork(s.ackClaim(req.Worker, req.ClaimRequest, req.ClaimWork, req.WorkClasses, req.WorkRanks, req.Routed))
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
	if s.broken(RoutedAbandonedToAll) {
		k.home = 0
	}
	s.tellQueued(k)
	if !s.broken(WorkTokenKeptOnRelease) {
		k.token = provider.NewToken()
	}
}

// tellQueued notifies those who may claim an item.
func (s *Store) tellQueued(k *work) {
	switch {
	case k.home == 0:
		s.notify(0, provider.Notification{Kind: provider.NotifyWork})
	case !s.broken(RoutedUnnotified):
		s.notify(k.home, provider.Notification{Kind: provider.NotifyHeld})
	}
}

// homeOf returns the worker that alone may claim a new item: one that is not known (any more) is none.
func (s *Store) homeOf(nw *provider.NewWork) provider.WorkerID {
	if s.workers[nw.Worker] == nil && !s.broken(RoutedToNobody) {
		return 0
	}
	return nw.Worker
}

// unroute leaves to all what only one worker might claim.
func (s *Store) unroute(id provider.WorkerID) {
	for _, k := range s.work {
		if k.home != id || s.broken(RoutedStaysWithDead) {
			continue
		}
		k.home = 0
		if k.handed && !s.broken(RoutedHandedOverQueued) || k.owner != 0 {
			continue
		}
		k.handed = false
		if k.due.After(s.now()) && !s.broken(RoutedKeepsDelay) {
			k.due = s.now()
		}
		s.tellQueued(k)
	}
}
