package model

import (
	"context"
	"errors"
	"slices"

	"github.com/pawlrun/pawl/provider"
)

// commit collects what the items of one call do, so that messages are read after everything is written.
type commit struct {
	s      *Store
	worker provider.WorkerID
	serves []provider.ClassID
	own    []*instance // instances of the items, those of refused ones too
	items  []committed
	takes  []take
}

// committed is an item that was applied, now or in an earlier try.
type committed struct {
	n        int // index of the result
	i        *instance
	c        *provider.Commit
	repeated bool
}

// take is a target whose lease was asked for.
type take struct {
	target *instance
	token  provider.Token
}

func (s *Store) newCommit(w provider.WorkerID, serves []provider.ClassID) *commit {
	return &commit{s: s, worker: w, serves: serves}
}

// AckOrchestrationItems implements provider.Provider.
func (p *Provider) AckOrchestrationItems(ctx context.Context, req *provider.AckRequest) (*provider.AckReply, error) {
	const op = "ack_orchestration_items"
	var texts []string
	seen := map[provider.Ref]bool{}
	for _, it := range req.Items {
		texts = append(texts, commitTexts(&it.Commit)...)
		if seen[it.Ref] && !p.s.broken(TwiceInBatchAccepted) {
			return nil, &provider.Error{Op: op, Retry: provider.GiveUp, Err: errors.New("two items for one instance")}
		}
		seen[it.Ref] = true
	}
	if req.Worker == 0 && req.ClaimWork > 0 && !p.s.broken(ClaimsForNobody) {
		return nil, errNobodyClaims(op)
	}
	s, err := p.enter(ctx, op, texts...)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	if err := s.checkRanks(op, req.WorkClasses, req.WorkRanks); err != nil {
		return nil, err
	}
	for i := range req.Items {
		if err := s.checkCommit(op, req.Worker, &req.Items[i].Commit); err != nil {
			return nil, err
		}
	}
	c := s.newCommit(req.Worker, req.Serves)
	reply := &provider.AckReply{Results: make([]provider.AckResult, len(req.Items)), Now: s.now()}
	verdicts := make([]verdict, len(req.Items))
	for n := range req.Items {
		verdicts[n] = s.judge(req.Worker, &req.Items[n])
		if verdicts[n] != fenced || !s.broken(TakeGrantsFenced) {
			c.own = append(c.own, s.instances[req.Items[n].Ref])
		}
	}
	if s.broken(FencedAllOrNothing) && slices.Contains(verdicts, fenced) {
		for n := range verdicts {
			verdicts[n] = fenced
		}
	}
	for n := range req.Items {
		it := &req.Items[n]
		i := s.instances[it.Ref]
		reply.Results[n] = provider.AckResult{Status: provider.Applied, Ref: it.Ref}
		switch verdicts[n] {
		case apply:
			c.apply(n, i, &it.Commit, it.Finished, it.Consumed)
		case repeat:
			c.repeat(n, i, &it.Commit)
		default:
			reply.Results[n].Status = provider.Fenced
			if i != nil && s.broken(FencedMessagesSent) {
				c.messages(&it.Commit)
			}
			if i != nil && s.broken(FencedPublishes) {
				s.publish(i, &it.Commit)
			}
			if i != nil && s.broken(FencedConsumes) {
				i.consume(it.Consumed)
			}
		}
	}
	c.finish(reply)
	reply.Work = s.claimWork(s.ackClaim(req.Worker, req.ClaimRequest, req.ClaimWork, req.WorkClasses, req.WorkRanks, req.Routed))
	c.holdClaimed(reply.Work)
	return reply, nil
}

// holdClaimed keeps the instances of the call's commits of which work was claimed.
func (c *commit) holdClaimed(work []provider.WorkItem) {
	for _, it := range c.items {
		mine := slices.ContainsFunc(work, func(w provider.WorkItem) bool { return w.Ref == it.i.Ref })
		if mine && !it.repeated && !it.i.status.Terminal() && !c.s.broken(ClaimHoldsNothing) {
			it.i.owner = c.worker
		}
	}
}

// checkCommit refuses a commit that no store takes.
func (s *Store) checkCommit(op string, w provider.WorkerID, c *provider.Commit) error {
	if s.broken(RoutedLeaseUnchecked) {
		return s.checkValues(op, c.CheckValues())
	}
	return s.checkValues(op, c.Check(w))
}

// verdict is what an ack item deserves.
type verdict int

const (
	fenced verdict = iota
	apply
	repeat
)

// judge decides whether an item applies, did apply before, or is fenced.
func (s *Store) judge(w provider.WorkerID, it *provider.AckItem) verdict {
	i := s.instances[it.Ref]
	if i == nil {
		return fenced
	}
	written := slices.ContainsFunc(i.turns[it.Execution], func(t turn) bool { return t.token == it.Request })
	switch {
	case written && s.broken(RepeatedAckAppliedAgain):
		return apply
	case written && (s.broken(RepeatedAckFenced) || s.broken(RepeatedAckForgotten) && i.token != it.Request):
		return fenced
	case written:
		return repeat
	}
	held := i.owner == w || i.owner != 0 && s.broken(OwnerUnchecked) || i.owner == 0 && s.broken(ReleasedTokenAccepted)
	known := i.token == it.Token || s.broken(TokenUnchecked)
	seq := i.nextSeq == it.Seq || s.broken(SeqUnchecked)
	execution := i.execution == it.Execution || s.broken(ExecutionUnchecked)
	ended := i.status.Terminal() && !(i.status == provider.StatusTerminated && s.broken(TerminateKeepsHolder))
	if ended || !held || !known || !seq || !execution {
		return fenced
	}
	for _, f := range it.Finished {
		k := s.work[provider.WorkKey{Ref: i.Ref, Execution: i.execution, Event: f.Event}]
		if (k == nil || !k.leased() || k.token != f.Token) && !s.broken(FinishedUnchecked) {
			return fenced
		}
	}
	return apply
}

// consume removes messages from the inbox.
func (i *instance) consume(orders []int64) {
	i.inbox = slices.DeleteFunc(i.inbox, func(m provider.Message) bool { return slices.Contains(orders, m.Order) })
}

// apply writes a commit except for the release of the lease, which waits for the messages of the whole call.
func (c *commit) apply(n int, i *instance, t *provider.Commit, finished []provider.FinishedWork, consumed []int64) {
	s := c.s
	c.items = append(c.items, committed{n: n, i: i, c: t})
	if !slices.Contains(c.own, i) {
		c.own = append(c.own, i)
	}
	execution := i.execution
	i.addTurn(provider.Turn{Count: t.EventCount, Events: slices.Clone(t.Events)}, t.Request)
	i.owner, i.committer, i.token = c.worker, c.worker, t.Request
	if !s.broken(AttemptNotReset) {
		i.attempt = 0
	}
	if !s.broken(WaitsAccumulate) {
		i.waits = nil
	}
	i.waits = append(i.waits, t.Waits...)
	if s.broken(UnnamedMessagesConsumed) {
		i.inbox = slices.DeleteFunc(i.inbox, func(m provider.Message) bool { return m.Order <= i.told })
	}
	if s.broken(ConsumedByAnyone) {
		for _, other := range s.instances {
			other.consume(consumed)
		}
	}
	i.consume(consumed)
	for _, f := range finished {
		if !s.broken(FinishedWorkKept) {
			delete(s.work, provider.WorkKey{Ref: i.Ref, Execution: execution, Event: f.Event})
		}
	}
	c.schedule(i, execution, t)
	s.publish(i, t)
	switch {
	case t.Status.Terminal() && !(t.Status == provider.StatusCancelled && s.broken(CancelledGoesOn)):
		i.status, i.ended = t.Status, s.now()
		s.notify(0, provider.Notification{Kind: provider.NotifyDone, InstanceID: i.id})
	case t.Status == provider.StatusContinuedAsNew:
		s.continueAsNew(i, t)
	}
	c.children(i, execution, t)
	c.messages(t)
}

// schedule adds and cancels work items and timers of a commit.
func (c *commit) schedule(i *instance, execution int32, t *provider.Commit) {
	s := c.s
	for _, nw := range t.Work {
		s.order++
		k := &work{WorkKey: provider.WorkKey{Ref: i.Ref, Execution: execution, Event: nw.Event}, class: nw.Class, home: s.homeOf(&nw),
			input: slices.Clone(nw.Input), due: s.now(), order: s.order}
		if nw.Lease && !s.broken(BornLeasedQueued) {
			k.owner, k.token, k.attempt = c.worker, t.Request, 1
		}
		s.work[k.WorkKey] = k
		if k.home == 0 || k.home != c.worker {
			s.tellQueued(k)
		}
	}
	for _, ev := range t.CancelWork {
		if k := s.work[provider.WorkKey{Ref: i.Ref, Execution: execution, Event: ev}]; k != nil {
			spared := k.leased() && s.broken(CancelLeasedIgnored) || k.handed && s.broken(CancelSparesHandedOver)
			spared = spared || k.home != 0 && s.broken(CancelSparesRouted)
			if !s.broken(CancelWorkIgnored) && !spared {
				delete(s.work, k.WorkKey)
			}
		}
	}
	for _, nt := range t.Timers {
		s.timers[timerKey{i.Ref, execution, nt.Event}] = timer{nt.FireAt.UTC().Truncate(1000), nt.UnlessStarted}
	}
	for _, ev := range t.CancelTimers {
		if !s.broken(CancelTimerIgnored) {
			delete(s.timers, timerKey{i.Ref, execution, ev})
		}
	}
}

// continueAsNew starts the next execution.
func (s *Store) continueAsNew(i *instance, t *provider.Commit) {
	if s.broken(NextDropsHistory) {
		delete(i.turns, i.execution)
	}
	i.execution++
	i.executionID, i.nextSeq, i.waits = t.Next.ExecutionID, 0, nil
	if !s.broken(NextClassIgnored) {
		i.class = t.Next.Class
	}
	if s.broken(NextDropsInbox) {
		i.inbox = nil
	}
	i.addTurn(provider.Turn{Count: 1, Events: slices.Clone(t.Next.Events)}, 0)
	i.readyAt = s.now()
}

// children creates the children of a commit, or tells the parent that an id is taken.
func (c *commit) children(parent *instance, execution int32, t *provider.Commit) {
	s := c.s
	for n := range t.Children {
		ch := &t.Children[n]
		if i, taken := s.ids[ch.InstanceID]; taken {
			other := i.firstID != ch.ExecutionID || s.broken(ChildOfSameIDConflicts)
			other = other && !(ch.Parent == nil && s.broken(DetachedConflictSwallowed))
			if other && ch.ExistsBody != nil && !s.broken(ChildConflictSwallowed) {
				s.deliver(parent, provider.Message{Kind: provider.MessageChildDone, Execution: execution,
					ID: ch.ExecutionID.String(), Body: slices.Clone(ch.ExistsBody)})
			}
			continue
		}
		i := s.create(ch)
		if ch.Parent == nil && s.broken(DetachedLinked) {
			i.parent = provider.Parent{InstanceID: parent.id, Execution: execution}
		}
		i.addTurn(provider.Turn{Count: 1, Events: slices.Clone(ch.Events)}, 0)
		if ch.Lease && !s.broken(ChildLeaseIgnored) {
			s.lease(i, c.worker, t.Request)
		}
	}
}

// messages stores the messages of a commit and notes whose lease is asked for.
func (c *commit) messages(t *provider.Commit) {
	s := c.s
	for _, m := range t.Messages {
		i := s.ids[m.Target]
		if i == nil || i.status.Terminal() || s.broken(OwnTargetsSkipped) && slices.Contains(c.own, i) {
			continue
		}
		s.deliver(i, newMessage(m))
		if m.Take {
			c.takes = append(c.takes, take{i, t.Request})
		}
	}
}

func newMessage(m provider.NewMessage) provider.Message {
	return provider.Message{Kind: m.Kind, Execution: m.Execution, Name: m.Name, ID: m.ID, Body: slices.Clone(m.Body)}
}

// repeat notes an item that was applied by an earlier try.
func (c *commit) repeat(n int, i *instance, t *provider.Commit) {
	c.items = append(c.items, committed{n: n, i: i, c: t, repeated: true})
}

// finish grants what was asked for, settles who holds the instances of the items, and fills the reply.
func (c *commit) finish(reply *provider.AckReply) {
	s := c.s
	for _, t := range c.takes {
		allowed := s.serves(c.serves, t.target.class) || s.broken(TakeIgnoresClass)
		if c.worker != 0 && allowed && s.mayTake(t.target) && !slices.Contains(c.own, t.target) && !s.broken(TakeIgnored) {
			s.lease(t.target, c.worker, t.token)
		} else if s.broken(TakeUnderLastRequest) && t.target.owner == c.worker && t.target.attempt == 1 {
			t.target.token = t.token
		}
	}
	for _, it := range c.items {
		i, r := it.i, &reply.Results[it.n]
		if !it.repeated {
			r.Messages = c.settle(i, it.c)
		} else if i.owner == c.worker && i.owner != 0 && i.token == it.c.Request && !s.broken(RepeatedAckForgetsMessages) {
			r.Messages = s.usable(i)
			s.tell(i, r.Messages)
		}
		if s.broken(TakeGrantUnreported) {
			continue
		}
		for _, g := range s.sortedInstances() {
			if g == i && !(it.repeated && len(it.c.Messages) > 0 && s.broken(RepeatedAckGrantsItself)) || g.owner == 0 || g.owner != c.worker || g.token != it.c.Request {
				continue
			}
			if it.repeated && s.broken(RepeatedAckForgetsGrants) {
				continue
			}
			item := s.grant(g, c.worker)
			if slices.ContainsFunc(it.c.Children, func(ch provider.NewInstance) bool { return ch.InstanceID == g.id }) {
				item.History = nil
			}
			reply.Granted = append(reply.Granted, item)
		}
	}
}

// mayTake reports whether the lease of a target can be given to a sender.
func (s *Store) mayTake(i *instance) bool {
	return s.free(i) || s.broken(TakeStealsHeld) && !i.status.Terminal()
}

// settle decides after a commit whether the instance stays held, and returns the messages it can use now.
func (c *commit) settle(i *instance, t *provider.Commit) []provider.Message {
	s := c.s
	if i.status.Terminal() {
		i.owner = 0
		if !s.broken(EndedGranted) {
			i.inbox = nil
		}
		return nil
	}
	keep := t.Keep && !s.broken(KeepIgnored) || s.broken(AlwaysKept)
	if s.broken(WakeLostOnRelease) && !keep {
		i.owner, i.asleep = 0, true
		return nil
	}
	ms := s.usable(i)
	freshly := t.Status == provider.StatusContinuedAsNew
	if !keep && (freshly && !s.broken(NewsHoldContinued) || len(ms) == 0 || c.worker == 0) {
		i.owner = 0
		return nil
	}
	s.tell(i, ms)
	return ms
}
