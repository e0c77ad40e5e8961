package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
)

// StartSpec is an instance to be started.
type StartSpec struct {
	InstanceID    string
	Name, Version string
	Priority      history.Priority
	Input         history.Payload
	// Waiter, if set, waits for the end of the instance that is created, and of no other of that id.
	Waiter *Waiter
	// ReplaceEnded lets the instance take the place of one of that id that has ended.
	ReplaceEnded bool
	// Events are raised together with the start, if the instance is created.
	Events []RaisedEvent
	// Values are the key-value state that the instance begins with.
	Values map[string]history.Value
}

// RaisedEvent is an external event on its way to an instance.
type RaisedEvent struct {
	Name, MessageID string
	Payload         history.Payload
}

// message is the event as the store takes it.
func (ev *RaisedEvent) message(instanceID string) (provider.NewMessage, error) {
	body, err := history.Append(nil, &history.EventReceived{Name: ev.Name, Payload: ev.Payload})
	return provider.NewMessage{Target: instanceID, Kind: provider.MessageExternalEvent, Name: ev.Name, ID: ev.MessageID, Body: body}, err
}

// startCall is one start in the batcher.
type startCall struct {
	item    provider.StartItem
	event   *history.ExecutionStarted
	waiter  *Waiter
	s       *session  // of an eager start
	in      *instance // likewise
	plan    *plan     // likewise
	started chan startAnswer
}

type startAnswer struct {
	status provider.ItemStatus
	err    error
}

func (c *startCall) bytes() int {
	n := len(c.item.Events)
	if c.plan != nil {
		n = c.plan.bytes()
	}
	for i := range c.item.Messages {
		n += len(c.item.Messages[i].Body)
	}
	for i := range c.item.Values {
		n += len(c.item.Values[i].Data)
	}
	return n
}

// fail implements batchItem.
func (c *startCall) fail(err error) {
	c.giveUp()
	c.started <- startAnswer{err: err}
}

// giveUp undoes an eager start that did not take place.
func (c *startCall) giveUp() {
	if c.in == nil {
		return
	}
	c.plan.cancel(c.s)
	c.s.mu.Lock()
	c.in.idle()
	c.s.mu.Unlock()
	c.in.discard()
	c.in, c.s, c.plan = nil, nil, nil
}

// StartInstance creates an instance. Where this process can run it, its first turn runs here and commits together with
// the creation. The status is Applied or Exists; the waiter of a start that is not Applied must be closed.
//
// If ctx ends first the outcome is unknown, unless the error says otherwise: the instance may be created or not.
func (e *Engine) StartInstance(ctx context.Context, spec StartSpec) (provider.ItemStatus, error) {
	ids, err := e.classes.resolve(ctx, e, []provider.Class{orchestrationClass(spec.Name, spec.Version, spec.Priority.Level())})
	if err != nil {
		return 0, err
	}
	if err := e.startPlaces.take(ctx, e); err != nil {
		return 0, fmt.Errorf("%q was not started: %w", spec.InstanceID, err)
	}
	defer e.startPlaces.leave()
	id := provider.NewExecutionID()
	started := &history.ExecutionStarted{Name: spec.Name, Version: spec.Version, Priority: spec.Priority, ExecutionID: id.String(), Input: spec.Input, StartedAt: e.clock.now(),
		Values: readable(spec.Values), Replaces: spec.ReplaceEnded}
	values, err := storedValues(spec.Values)
	if err != nil {
		return 0, err
	}
	call := &startCall{started: make(chan startAnswer, 1), event: started, waiter: spec.Waiter, item: provider.StartItem{
		NewInstance: provider.NewInstance{InstanceID: spec.InstanceID, ExecutionID: id, Class: ids[0], Values: values}, ReplaceEnded: spec.ReplaceEnded}}
	for i := range spec.Events {
		m, err := spec.Events[i].message(spec.InstanceID)
		if err != nil {
			return 0, err
		}
		call.item.Messages = append(call.item.Messages, m)
	}
	eager, err := call.runFirstTurn(ctx, e, started)
	if err != nil {
		return 0, err
	}
	if !eager {
		if err := call.plain(); err != nil {
			return 0, err
		}
	}
	e.starts.add(call)
	select {
	case a := <-call.started:
		return a.status, a.err
	case <-ctx.Done():
		if e.starts.withdraw(call) {
			call.giveUp()
			return 0, fmt.Errorf("%q was not started: %w", spec.InstanceID, context.Cause(ctx))
		}
		return 0, fmt.Errorf("outcome for %q unknown: %w", spec.InstanceID, context.Cause(ctx))
	}
}

// plain makes the call a start for whoever claims it.
func (c *startCall) plain() error {
	events, err := history.Encode([]history.Event{c.event})
	if err != nil {
		return err
	}
	c.in, c.s, c.plan, c.item.First = nil, nil, nil, nil
	c.item.Events, c.item.Watch = events, c.waiter != nil
	return nil
}

// runFirstTurn runs the first turn if this process can, now. It reports false if the start is for whoever claims it:
// nothing is registered here, the session is full or stopping, or the code got stuck.
func (c *startCall) runFirstTurn(ctx context.Context, e *Engine, started *history.ExecutionStarted) (bool, error) {
	s := e.current()
	if s == nil || !e.runs(c.item.Class) {
		return false, nil
	}
	s.mu.Lock()
	if !s.admit(started.Priority.Level()) {
		s.mu.Unlock()
		return false, nil
	}
	in := &instance{s: s, id: c.item.InstanceID, class: c.item.Class, execution: 1, local: map[int32]*activityRun{}, busy: true}
	s.busy++
	s.mu.Unlock()
	c.s, c.in, c.plan = s, in, &plan{}

	if err := in.newExecution([]history.Event{started}); err != nil {
		c.giveUp()
		return false, err
	}
	watchdog := e.watchdogs.start(min(e.opts.TurnTimeout, time.Second))
	expire := context.AfterFunc(ctx, func() { watchdog.Reset(0) })
	out, err := in.x.Turn(replay.Input{At: started.StartedAt, Fresh: true, Limits: e.opts.Limits, Watchdog: watchdog.C}) // a cap on the whole turn: a caller waits
	if expire() && err == nil {
		e.watchdogs.stop(watchdog)
	}
	if err == nil && out.Divergence != nil {
		err = fmt.Errorf("first turn diverged: %s", out.Divergence.Actual)
	}
	var p *plan
	if err == nil {
		out.Events = append([]history.Event{begun(started, &out)}, out.Events...)
		p, err = in.newPlan(&out, started)
	}
	if err != nil { // a claimed turn counts attempts and reports; leave it to one
		e.log.Warn("eager first turn given up", "instance", in.id, "error", err)
		c.giveUp()
		return false, nil
	}
	if out.Status == replay.Running {
		p.commit.Keep = len(p.launch) > 0
	}
	// While the instance is held here its end needs no notification: whoever waits here learns of it directly.
	in.watched = c.waiter != nil && out.Status == replay.Running && !p.commit.Keep
	c.item.Watch = in.watched
	c.plan = p
	c.item.First = &p.commit
	return true, nil
}

// begun is the start of an execution as it is recorded with its first turn.
func begun(started *history.ExecutionStarted, first *replay.Outcome) *history.ExecutionStarted {
	if !first.Silent {
		return started
	}
	recorded := *started // the one given is recorded without the turn if the start is left to others
	recorded.Begun = true
	return &recorded
}

// flushStarts creates a group of instances.
func (e *Engine) flushStarts(calls []*startCall, by *carrier) {
	// A call speaks for one worker; a group can span two sessions only while one replaces the other.
	for len(calls) > 0 {
		n := 1
		for n < len(calls) && calls[n].s == calls[0].s {
			n++
		}
		e.flushStartsOf(calls[0].s, calls[:n:n], by)
		calls = calls[n:]
	}
}

func (e *Engine) flushStartsOf(s *session, calls []*startCall, by *carrier) {
	req := &provider.StartRequest{Items: make([]provider.StartItem, 0, len(calls))}
	for _, c := range calls {
		req.Items = append(req.Items, c.item)
	}
	var reply *provider.AckReply
	try := func(ctx context.Context) (err error) {
		reply, err = e.store.StartOrchestrations(ctx, req)
		return err
	}
	var err error
	if s != nil {
		req.Worker = s.worker
		err = s.call(try)
	} else {
		err = e.call(e.ctx, try)
	}
	if err != nil {
		e.startsFailed(s, calls, err)
		return
	}
	e.clock.observe(reply.Now)
	for i, c := range calls {
		c.answered(e, &reply.Results[i], by)
	}
	for i := range reply.Granted {
		for _, c := range calls {
			if c.plan != nil {
				c.plan.complete(&reply.Granted[i])
			}
		}
		s.grant(&reply.Granted[i])
	}
}

// startsFailed decides what becomes of starts whose call failed.
func (e *Engine) startsFailed(s *session, calls []*startCall, err error) {
	if s == nil || s.ctx.Err() == nil || e.ctx.Err() != nil {
		refused(calls, e.ctx.Err() != nil, err, func(calls []*startCall, by *carrier) { e.flushStartsOf(s, calls, by) })
		return
	}
	// The session is over, the start is not: the same execution id makes the repeat safe, wherever it runs.
	for _, c := range calls {
		c.giveUp()
		if err := c.plain(); err != nil {
			c.fail(err)
		} else {
			e.starts.add(c)
		}
	}
}

// answered ends a start that the store has decided.
func (c *startCall) answered(e *Engine, r *provider.AckResult, by *carrier) {
	defer func() { c.started <- startAnswer{status: r.Status} }() // when its first activities are running
	if r.Status != provider.Applied {
		c.giveUp()
		return
	}
	c.waiter.born(r.Ref)
	if c.in == nil {
		if s := e.current(); s != nil && e.runs(c.item.Class) {
			s.orch.kick()
		}
		return
	}
	in, s := c.in, c.s
	in.Ref = r.Ref
	for _, run := range c.plan.launch {
		run.key.Ref = r.Ref
	}
	s.mu.Lock()
	if old := s.instances[in.Ref]; old != nil { // granted again already: the newer knowledge wins
		in.dropped = true
	} else if s.ctx.Err() == nil {
		s.instances[in.Ref] = in
	} else {
		in.dropped = true
	}
	s.mu.Unlock()
	(&ackCall{in: in, plan: c.plan}).applied(r, by)
}

// sendCall is one message in the batcher.
type sendCall struct {
	message provider.NewMessage
	sent    chan startAnswer
}

func (c *sendCall) bytes() int     { return len(c.message.Body) }
func (c *sendCall) fail(err error) { c.sent <- startAnswer{err: err} }

// Raise sends an external event. The status is Applied, NotFound or Gone. Its message id makes a repeat harmless.
//
// If ctx ends first the outcome is unknown, unless the error says otherwise.
func (e *Engine) Raise(ctx context.Context, instanceID string, event RaisedEvent) (provider.ItemStatus, error) {
	m, err := event.message(instanceID)
	if err != nil {
		return 0, err
	}
	return e.send(ctx, fmt.Sprintf("event %q", event.Name), m)
}

// send puts one message into an inbox, in company of others that are sent at the same time. what names it in errors.
func (e *Engine) send(ctx context.Context, what string, m provider.NewMessage) (provider.ItemStatus, error) {
	if err := e.messagePlaces.take(ctx, e); err != nil {
		return 0, fmt.Errorf("%s to %q was not sent: %w", what, m.Target, err)
	}
	defer e.messagePlaces.leave()
	c := &sendCall{sent: make(chan startAnswer, 1), message: m}
	e.sends.add(c)
	select {
	case a := <-c.sent:
		return a.status, a.err
	case <-ctx.Done():
		if e.sends.withdraw(c) {
			return 0, fmt.Errorf("%s to %q was not sent: %w", what, m.Target, context.Cause(ctx))
		}
		return 0, fmt.Errorf("outcome for %s to %q unknown: %w", what, m.Target, context.Cause(ctx))
	}
}

// flushSends sends a group of messages. Two batchers' calls may overtake each other, so a sender that does not wait
// for its answer has no order promised; Raise waits.
func (e *Engine) flushSends(calls []*sendCall, _ *carrier) {
	messages := make([]provider.NewMessage, len(calls))
	for i, c := range calls {
		messages[i] = c.message
	}
	var statuses []provider.ItemStatus
	tries, inDoubt := 0, false
	e.sendDoubt.pass(e.ctx)
	err := e.call(e.ctx, func(ctx context.Context) (err error) {
		tries++
		statuses, err = e.store.EnqueueMessages(ctx, messages)
		if err != nil && !inDoubt {
			inDoubt = e.sendDoubt.hold(e.ctx)
		}
		return err
	})
	if inDoubt {
		e.sendDoubt.release()
	}
	if err != nil {
		refused(calls, e.ctx.Err() != nil, err, e.flushSends)
		return
	}
	for i, c := range calls {
		if statuses[i] == provider.Gone && tries > 1 && e.received(&c.message) {
			statuses[i] = provider.Applied
		}
		c.sent <- startAnswer{status: statuses[i]}
	}
	if s := e.current(); s != nil {
		s.orch.kick()
	}
}

// received reports whether the last execution of an instance has taken a message: the first try of a repeated send may
// have brought it, and it may have been what ended the instance.
func (e *Engine) received(m *provider.NewMessage) bool {
	for ev, err := range e.events(e.ctx, provider.HistoryQuery{InstanceID: m.Target}) {
		if err != nil {
			return false
		}
		if isFrom(ev, m) {
			return true
		}
	}
	return false
}

// isFrom reports whether an event is what became of a message. Requests to cancel are all alike.
func isFrom(ev history.Event, m *provider.NewMessage) bool {
	switch ev := ev.(type) {
	case *history.EventReceived:
		return m.Kind == provider.MessageExternalEvent && ev.MessageID == m.ID
	case *history.CancelRequested:
		return m.Kind == provider.MessageCancel
	case *history.ExecutionStarted:
		return m.Kind == provider.MessageCancel && ev.Cancelled != nil
	}
	return false
}

// Read returns the committed state of an instance, nil if there is none.
func (e *Engine) Read(ctx context.Context, instanceID string) (state *provider.InstanceState, err error) {
	err = e.call(ctx, func(ctx context.Context) error {
		states, err := e.store.ReadInstances(ctx, []string{instanceID}, false)
		if err == nil && len(states) > 0 {
			state = &states[0]
		}
		return err
	})
	return state, err
}
