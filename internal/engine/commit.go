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
	}}
	switch out.Status {
	case replay.Running:
		err = in.planWork(p, out)
	case replay.ContinuedAsNew:
		p.commit.Status = provider.StatusContinuedAsNew
		err = in.planNext(p, out, started)
	default:
		in.planEnd(p, out, started)
	}
	if err == nil && len(out.Children) > 0 {
		err = in.planChildren(p, out)
	}
	if err != nil {
		p.cancel(in.s)
		return nil, err
	}
	if out.Status != replay.Running {
		p.commit.CancelWork, p.commit.CancelTimers = out.OpenActivities, out.OpenTimers
	}
	return p, nil
}

// planWork adds the activities and timers of a turn that goes on.
func (in *instance) planWork(p *plan, out *replay.Outcome) error {
	s := in.s
	for _, t := range out.Timers {
		p.commit.Timers = append(p.commit.Timers, provider.NewTimer{Event: t.Number, FireAt: t.Event.FireAt})
	}
	if len(out.Activities) == 0 {
		return nil
	}
	classes := make([]provider.Class, len(out.Activities))
	for i, a := range out.Activities {
		classes[i] = activityClass(a.Event.Name)
	}
	ids, err := s.e.classes.resolve(s.ctx, s.e, classes)
	if err != nil {
		return err
	}
	local := 0
	for _, id := range ids {
		if s.e.activities[id] != nil {
			local++
		}
	}
	s.mu.Lock()
	slots := s.reserveHere(local)
	s.mu.Unlock()
	for i, a := range out.Activities {
		input, err := a.Event.Input.MarshalJSON()
		if err != nil {
			return fmt.Errorf("input of activity %q: %w", a.Event.Name, err)
		}
		w := provider.NewWork{Event: a.Number, Class: ids[i], Input: input}
		if act := s.e.activities[ids[i]]; act != nil && slots > len(p.launch) {
			w.Lease = true
			p.launch = append(p.launch, &activityRun{s: s, key: provider.WorkKey{Ref: in.Ref, Execution: in.execution, Event: a.Number},
				instanceID: in.id, token: p.commit.Request, attempt: 1, activity: act, payload: a.Event.Input, in: in})
		} else if act != nil {
			p.queued = true
		} else {
			s.e.classes.noteForeign(s.e.log, a.Event.Name)
		}
		p.commit.Work = append(p.commit.Work, w)
	}
	return nil
}

// planNext adds the execution that continue-as-new starts.
func (in *instance) planNext(p *plan, out *replay.Outcome, started *history.ExecutionStarted) error {
	version := out.ContinueAsNew.Version
	if version == "" {
		version = started.Version
	}
	id := provider.NewExecutionID()
	p.next = &history.ExecutionStarted{Name: started.Name, Version: version, ExecutionID: id.String(), Input: out.ContinueAsNew.Input,
		Parent: started.Parent, StartedAt: in.s.e.clock.now(), SeenMessages: out.SeenMessages}
	events, err := history.Encode([]history.Event{p.next})
	if err != nil {
		return err
	}
	ids, err := in.s.e.classes.resolve(in.s.ctx, in.s.e, []provider.Class{orchestrationClass(started.Name, version)})
	if err != nil {
		return err
	}
	p.commit.Next = &provider.NewExecution{ExecutionID: id, Class: ids[0], Events: events}
	// Going on here saves the hand-over; a process that is stopping or cannot run the next version leaves it, and one where
	// others wait for a place has it wait behind them.
	in.s.mu.Lock()
	crowded := in.s.crowded()
	in.s.mu.Unlock()
	p.commit.Keep = in.s.e.orchestrations[ids[0]] != nil && in.s.serves() && !crowded
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
	var answer history.Event = &history.ChildCompleted{Scheduled: parent.Event, Result: p.outcome.Result}
	if p.outcome.Failure != nil {
		answer = &history.ChildFailed{Scheduled: parent.Event, Failure: *p.outcome.Failure}
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

// planChildren adds the sub-orchestrations to be started.
func (in *instance) planChildren(p *plan, out *replay.Outcome) error {
	s := in.s
	classes := make([]provider.Class, len(out.Children))
	for i, c := range out.Children {
		classes[i] = orchestrationClass(c.Event.Name, c.Event.Version)
	}
	ids, err := s.e.classes.resolve(s.ctx, s.e, classes)
	if err != nil {
		return err
	}
	lease := s.serves()
	s.mu.Lock()
	room := s.e.opts.MaxInstances - s.busy
	s.mu.Unlock()
	for i, c := range out.Children {
		id := provider.NewExecutionID()
		started := &history.ExecutionStarted{Name: c.Event.Name, Version: c.Event.Version, ExecutionID: id.String(), Input: c.Event.Input,
			Parent: &history.Parent{InstanceID: in.id, Execution: in.execution, Event: c.Number}, StartedAt: s.e.clock.now()}
		events, err := history.Encode([]history.Event{started})
		if err != nil {
			return err
		}
		exists, err := history.Append(nil, &history.ChildFailed{Scheduled: c.Number, Failure: history.Failure{
			Kind: history.FailureExists, Source: c.Event.Name, Message: fmt.Sprintf("instance %q exists already", c.Event.InstanceID)}})
		if err != nil {
			return err
		}
		here := lease && i < room && s.e.orchestrations[ids[i]] != nil
		p.notified = p.notified || !here
		p.commit.Children = append(p.commit.Children, provider.NewInstance{InstanceID: c.Event.InstanceID, ExecutionID: id, Class: ids[i],
			Parent: &provider.Parent{InstanceID: in.id, Execution: in.execution, Event: c.Number}, Events: events, Lease: here, ExistsBody: exists})
	}
	return nil
}

// cancel gives the reserved slots back.
func (p *plan) cancel(s *session) {
	s.release(len(p.launch))
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
	req := &provider.AckRequest{Worker: s.worker, Serves: s.e.orchClasses, Items: make([]provider.AckItem, 0, len(calls))}
	for _, c := range calls {
		req.Items = append(req.Items, c.item)
	}
	req.ClaimWork, req.ClaimRequest = s.claimAlong(len(calls))
	req.WorkClasses = s.e.workClasses
	var reply *provider.AckReply
	err := s.call(func(ctx context.Context) (err error) {
		reply, err = s.e.store.AckOrchestrationItems(ctx, req)
		return err
	})
	if err != nil {
		s.claimedAlong(nil, req.ClaimWork)
		refused(calls, s.ctx.Err() != nil, err, s.flushAcks)
		return
	}
	s.e.clock.observe(reply.Now)
	s.claimedAlong(reply.Work, req.ClaimWork)
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
	in.given = nil
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
		for _, run := range p.launch {
			in.local[run.key.Event] = run
		}
		if !in.held && !in.heldAgain(in.execution) {
			orphans = in.orphans()
		}
	}
	s.launch(p.launch, by)
	regrant := in.regrant
	in.regrant = nil
	s.settle(in, p, again, regrant)
	s.mu.Unlock()

	s.record(orphans)
	for _, t := range p.commit.Timers {
		s.addTimer(t.FireAt)
	}
	if p.outcome != nil {
		s.e.waiters.complete(in.id, p.outcome)
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
	switch ev := ev.(type) {
	case *history.ExecutionCompleted:
		return &Outcome{Status: provider.StatusCompleted, Result: ev.Result}
	case *history.ExecutionFailed:
		return &Outcome{Status: provider.StatusFailed, Failure: &ev.Failure}
	}
	return nil
}
