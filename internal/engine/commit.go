package engine

import (
	"context"
	"fmt"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
)

// plan is a turn's outcome on its way into the store, with what to do once it is there.
type plan struct {
	commit   provider.Commit
	launch   []*activityRun            // activities that will be leased to this session; each has a slot reserved
	next     *history.ExecutionStarted // the next execution, with status ContinuedAsNew
	outcome  *Outcome                  // with a terminal status
	answers  []history.Event           // that were given to updates
	queued   bool                      // activities that this process has were left for the queue
	notified bool                      // other instances were given something to do
}

// bytes estimates what the commit adds to a call.
func (p *plan) bytes() int {
	n := len(p.commit.Events)
	for i := range p.commit.Work {
		n += len(p.commit.Work[i].Input)
	}
	for i := range p.commit.Children {
		n += len(p.commit.Children[i].Events)
	}
	for i := range p.commit.Messages {
		n += len(p.commit.Messages[i].Body)
	}
	if p.commit.Next != nil {
		n += len(p.commit.Next.Events)
	}
	return n
}

// newPlan turns an outcome into a commit. Slots are reserved for the activities that are to run here; whoever gets the
// plan must launch it or cancel it.
func (in *instance) newPlan(out *replay.Outcome, started *history.ExecutionStarted) (*plan, error) {
	events, err := history.Encode(out.Events)
	if err != nil {
		return nil, err
	}
	p := &plan{commit: provider.Commit{
		Request: provider.NewToken(), Events: events, EventCount: int32(len(out.Events)), Waits: out.Waits,
	}, answers: out.Answers}
	p.commit.CancelWork, p.commit.CancelTimers = out.CancelWork, out.CancelTimers
	switch out.Status {
	case replay.Running:
		err = in.planWork(p, out)
	case replay.ContinuedAsNew:
		p.commit.Status = provider.StatusContinuedAsNew
		err = in.planNext(p, out)
	default:
		in.planEnd(p, out, started)
	}
	if err == nil && len(out.Children) > 0 {
		err = in.planChildren(p, out)
	}
	if err == nil && len(out.Sends)+len(out.ChildCancels) > 0 {
		err = in.planMessages(p, out, started)
	}
	if err == nil && (out.CustomStatus != nil || len(out.Values) > 0) {
		err = p.planState(out)
	}
	if err != nil {
		p.cancel(in.s)
		return nil, err
	}
	return p, nil
}

// planNext adds the execution that continue-as-new starts.
func (in *instance) planNext(p *plan, out *replay.Outcome) error {
	id := provider.NewExecutionID()
	p.next = out.Next
	p.next.ExecutionID, p.next.StartedAt = id.String(), in.s.e.clock.now()
	events, err := history.Encode([]history.Event{p.next})
	if err != nil {
		return err
	}
	ids, err := in.s.e.classes.resolve(in.s.ctx, in.s.e, []provider.Class{orchestrationClass(p.next.Name, p.next.Version, p.next.Priority.Level())})
	if err != nil {
		return err
	}
	p.commit.Next = &provider.NewExecution{ExecutionID: id, Class: ids[0], Events: events}
	// Going on here saves the hand-over; a process that is stopping or cannot run the next version leaves it, and one where
	// others wait for a place has it wait behind them.
	in.s.mu.Lock()
	crowded := in.s.crowded()
	in.s.mu.Unlock()
	p.commit.Keep = in.s.e.runs(ids[0]) && in.s.serves() && !crowded
	p.notified = crowded
	return nil
}

// planEnd adds the result of an execution that is over, for its parent and for those who wait here.
func (in *instance) planEnd(p *plan, out *replay.Outcome, started *history.ExecutionStarted) {
	p.outcome = outcomeOf(out.Events[len(out.Events)-1])
	p.commit.Status = p.outcome.Status
	parent := started.Parent
	if parent == nil {
		return
	}
	var answer history.Event = &history.ChildCompleted{Scheduled: parent.Event, Result: p.outcome.Result, For: parent.ExecutionID}
	if p.outcome.Failure != nil {
		answer = &history.ChildFailed{Scheduled: parent.Event, Failure: *p.outcome.Failure, For: parent.ExecutionID}
	}
	body, err := history.Append(nil, answer)
	if err != nil { // cannot be: the same payload was encoded a moment ago
		in.s.e.log.Error("result of child lost", "instance", in.id, "error", err)
		return
	}
	p.commit.Messages = append(p.commit.Messages, provider.NewMessage{Target: parent.InstanceID, Kind: provider.MessageChildDone,
		Execution: parent.Execution, ID: started.ExecutionID, Body: body, Take: true})
	p.notified = true
}

// cancel gives the reserved slots back.
func (p *plan) cancel(s *session) {
	s.release(slotsOf(p.launch))
	p.launch = nil
}

// ackCall is one commit in the ack batcher.
type ackCall struct {
	in   *instance
	plan *plan
	item provider.AckItem
	// claimed: the call has brought queued work of the instance, which holds it.
	claimed bool
}

func (c *ackCall) bytes() int { return c.plan.bytes() }

// submit hands a turn's outcome to the ack batcher. The instance is busy.
func (in *instance) submit(c *carrier, out replay.Outcome) {
	p, err := in.newPlan(&out, in.x.Started())
	if err != nil {
		in.giveBack(err)
		return
	}
	call := &ackCall{in: in, plan: p, item: provider.AckItem{Ref: in.Ref, Execution: in.execution, Seq: in.nextSeq, Token: in.token}}
	s := in.s
	s.mu.Lock()
	for _, m := range out.Consumed {
		if m.Order != 0 {
			call.item.Consumed = append(call.item.Consumed, m.Order)
		} else {
			call.item.Finished = append(call.item.Finished, provider.FinishedWork{Event: in.workKey(m).Event, Token: provider.Token(m.Token)})
		}
	}
	if out.Status == replay.Running {
		// In flight here, beyond the results this commit records: running, or finished and not yet given to a turn.
		p.commit.Keep = len(p.launch)+len(in.local)+len(in.finished) > 0
	}
	s.mu.Unlock()
	call.item.Commit = p.commit
	s.acks.addHere(c, call)
}

// flushAcks commits a group of turns, with a claim for the free slots if the queue may hold something.
func (s *session) flushAcks(calls []*ackCall, by *carrier) {
	req := &provider.AckRequest{Worker: s.worker, Serves: s.e.claimable(), Items: make([]provider.AckItem, 0, len(calls))}
	for _, c := range calls {
		req.Items = append(req.Items, c.item)
	}
	req.ClaimWork, req.ClaimRequest = s.claimAlong(len(calls))
	req.WorkClasses, req.WorkRanks = s.workTerms()
	req.Routed = s.hosted.ever.Load()
	var reply *provider.AckReply
	err := s.call(func(ctx context.Context) (err error) {
		reply, err = s.e.store.AckOrchestrationItems(ctx, req)
		return err
	})
	if err != nil {
		s.claimedAlong(nil, req.ClaimWork, nil)
		refused(calls, s.ctx.Err() != nil, err, s.flushAcks)
		return
	}
	s.e.clock.observe(reply.Now)
	s.claimedAlong(reply.Work, req.ClaimWork, req.WorkRanks)
	holds := make(map[provider.Ref]bool, len(reply.Work))
	for i := range reply.Work {
		holds[reply.Work[i].Ref] = true
	}
	for i, c := range calls {
		c.claimed = holds[c.in.Ref] // read before the instance can be another's
		if r := &reply.Results[i]; r.Status == provider.Applied {
			c.applied(r, by)
		} else {
			c.fenced()
		}
	}
	for i := range reply.Granted {
		for _, c := range calls {
			c.plan.complete(&reply.Granted[i])
		}
		s.grant(&reply.Granted[i])
	}
}

// complete adds to the grant of a child what its parent's commit made of it, so that it need not be read.
func (p *plan) complete(item *provider.OrchestrationItem) {
	for i := range p.commit.Children {
		if child := &p.commit.Children[i]; child.ExecutionID == item.ExecutionID {
			item.HistoryOmitted, item.History = false, []provider.Turn{{Count: 1, Events: child.Events}}
		}
	}
}

// fenced ends a turn that the store refused: the instance was taken over, or one of the results it records was. In the
// second case the lease stands and must be given up.
func (c *ackCall) fenced() {
	in, s := c.in, c.in.s
	s.e.log.Debug("commit refused", "instance", in.id, "execution", in.execution)
	c.plan.cancel(s)
	if !s.e.spawn(func() { in.leave(provider.AbandonedInstance{Ref: in.Ref, Token: in.token}) }) {
		in.drop()
	}
}

// fail implements batchItem.
func (c *ackCall) fail(err error) {
	c.plan.cancel(c.in.s)
	giveBack := func() { c.in.giveBack(fmt.Errorf("commit of a turn: %w", err)) }
	if !c.in.s.e.spawn(giveBack) {
		giveBack()
	}
}

// applied moves the instance to the state the store is in now.
func (c *ackCall) applied(r *provider.AckResult, by *carrier) {
	in, p, s := c.in, c.plan, c.in.s
	if p.commit.Status.Terminal() || p.commit.Status == provider.StatusContinuedAsNew {
		in.discard()
	}
	s.mu.Lock()
	s.settling++
	defer s.settled()
	in.given, in.missed = nil, false
	if in.replayed {
		in.replayed = false
		s.e.divergences.replayedWell(s.e.serves().orchestrations[in.class])
	}
	in.token, in.nextSeq = p.commit.Request, in.nextSeq+p.commit.EventCount
	unread := in.unread(p.commit.Request, r.Messages)
	in.held = p.commit.Keep || c.claimed || len(unread) > 0
	in.pending = in.messages(unread)
	in.size += int64(len(p.commit.Events))
	var orphans []*ackWorkCall
	again := false
	switch {
	case p.commit.Status.Terminal():
		in.finished = nil // results nobody waits for; the commit removed their work items
		in.cancelRuns(p.commit.CancelWork)
		orphans = in.detach()
	case p.commit.Status == provider.StatusContinuedAsNew:
		in.finished = nil
		in.cancelRuns(p.commit.CancelWork)
		in.execution, in.class, in.nextSeq, in.size = in.execution+1, p.commit.Next.Class, 1, 0
		again = p.commit.Keep
		if !again {
			orphans = in.detach()
			in.watch()
		}
	default:
		in.cancelRuns(p.commit.CancelWork)
		for _, run := range p.launch {
			in.local[run.key.Event] = run
		}
		if !in.held && !in.heldAgain(in.execution) {
			orphans = in.orphans()
		}
	}
	s.launch(p.launch, by)
	if s.hosted.ever.Load() {
		for _, f := range c.item.Finished { // an opening without what holds the session open
			s.hosted.forgo(idempotencyKey(in.id, provider.WorkKey{Ref: in.Ref, Execution: c.item.Execution, Event: f.Event}))
		}
	}
	regrant := in.regrant
	in.regrant = nil
	s.settle(in, p, again, regrant)
	s.mu.Unlock()

	s.record(orphans)
	for _, t := range p.commit.Timers {
		s.addTimer(t.FireAt)
	}
	if p.outcome != nil {
		s.e.waiters.complete(in.id, in.Ref, p.outcome)
	}
	s.e.tellAnswers(in.id, p.answers)
	if p.commit.CustomStatus != nil || p.outcome != nil {
		s.e.statusChanged(in.id)
	}
	if p.queued {
		s.work.kick()
	}
	if p.notified {
		s.orch.kick()
	}
}

// settle decides how a committed instance goes on: next turn, idle in the cache, or gone. s.mu is held.
func (s *session) settle(in *instance, p *plan, again bool, regrant *provider.OrchestrationItem) {
	in.rest()
	defer s.checkQuiet() // only now: a turn that follows is not quiet
	switch {
	case regrant != nil && in.dropped:
		in = s.newInstance(in.Ref, in.id)
		in.take(regrant)
	case regrant != nil:
		in.take(regrant)
	case in.dropped:
		in.discard()
	case again:
		events := []history.Event{p.next}
		_ = in.newExecution(events) // cannot fail; if it did, the turn would read the history
		in.begin()
	default:
		in.proceed()
		in.releaseIfPointless()
		if !in.busy && !in.held {
			in.watch()
			s.cache.add(in)
			s.evict()
		}
	}
}

// watch has the end of an instance that is not held here any more notified, if somebody here waits for it. s.mu is held.
func (in *instance) watch() {
	if !in.watched && in.s.e.waiters.has(in.id) {
		in.watched = true
		in.s.e.reads.add(readCall(in.id))
	}
}

// evict closes the least recently used idle instances beyond the cache's limit. s.mu is held.
func (s *session) evict() {
	for _, in := range s.cache.overflow() {
		delete(s.instances, in.Ref)
		in.dropped = true
		in.discard()
	}
}

// Outcome is how an instance ended.
type Outcome struct {
	Status  provider.InstanceStatus
	Result  history.Payload
	Failure *history.Failure
}

// outcomeOf reads the last event of a finished execution; nil if it is not one.
func outcomeOf(ev history.Event) *Outcome {
	result, failure, ended := history.OutcomeOf(ev)
	if !ended {
		return nil
	}
	o := &Outcome{Status: provider.StatusCompleted, Result: result, Failure: failure}
	switch ev.(type) {
	case *history.ExecutionFailed:
		o.Status = provider.StatusFailed
	case *history.ExecutionCancelled:
		o.Status = provider.StatusCancelled
	case *history.ExecutionTerminated:
		o.Status = provider.StatusTerminated
	}
	return o
}
