package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
)

// StartSpec is an instance to be started.
type StartSpec struct {
	InstanceID    string
	Name, Version string
	Input         history.Payload
	// Watch: somebody in this process will wait for the end.
	Watch bool
}

// startCall is one start in the batcher.
type startCall struct {
	item    provider.StartItem
	event   *history.ExecutionStarted
	watch   bool
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
	if c.plan != nil {
		return c.plan.bytes()
	}
	return len(c.item.Events)
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
// the creation. The status is Applied or Exists.
//
// If ctx ends first the outcome is unknown, unless the error says otherwise: the instance may be created or not.
func (e *Engine) StartInstance(ctx context.Context, spec StartSpec) (provider.ItemStatus, error) {
	ids, err := e.classes.resolve(ctx, e, []provider.Class{orchestrationClass(spec.Name, spec.Version)})
	if err != nil {
		return 0, err
	}
	id := provider.NewExecutionID()
	started := &history.ExecutionStarted{Name: spec.Name, Version: spec.Version, ExecutionID: id.String(), Input: spec.Input, StartedAt: e.clock.now()}
	call := &startCall{started: make(chan startAnswer, 1), event: started, watch: spec.Watch, item: provider.StartItem{NewInstance: provider.NewInstance{
		InstanceID: spec.InstanceID, ExecutionID: id, Class: ids[0]}}}
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
	c.item.Events, c.item.Watch = events, c.watch
	return nil
}

// runFirstTurn runs the first turn if this process can, now. It reports false if the start is for whoever claims it:
// nothing is registered here, the session is full or stopping, or the code got stuck.
func (c *startCall) runFirstTurn(ctx context.Context, e *Engine, started *history.ExecutionStarted) (bool, error) {
	s := e.current()
	o := e.orchestrations[c.item.Class]
	if s == nil || o == nil {
		return false, nil
	}
	s.mu.Lock()
	if !s.admit() {
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
	out, err := in.x.Turn(replay.Input{At: started.StartedAt, Fresh: true, Watchdog: watchdog.C}) // a cap on the whole turn: a caller waits
	if expire() && err == nil {
		e.watchdogs.stop(watchdog)
	}
	if err == nil && out.Divergence != nil {
		err = fmt.Errorf("first turn diverged: %s", out.Divergence.Actual)
	}
	var p *plan
	if err == nil {
		out.Events = append([]history.Event{started}, out.Events...)
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
	in.watched = c.watch && out.Status == replay.Running && !p.commit.Keep
	c.item.Watch = in.watched
	c.plan = p
	c.item.First = &p.commit
	return true, nil
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
	if c.in == nil {
		if s := e.current(); s != nil && e.orchestrations[c.item.Class] != nil {
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

// Raise sends an external event. The status is Applied, NotFound or Gone. messageID makes a repeat harmless.
//
// If ctx ends first the outcome is unknown, unless the error says otherwise.
func (e *Engine) Raise(ctx context.Context, instanceID, name, messageID string, payload history.Payload) (provider.ItemStatus, error) {
	body, err := history.Append(nil, &history.EventReceived{Name: name, Payload: payload})
	if err != nil {
		return 0, err
	}
	c := &sendCall{sent: make(chan startAnswer, 1), message: provider.NewMessage{
		Target: instanceID, Kind: provider.MessageExternalEvent, Name: name, ID: messageID, Body: body}}
	e.sends.add(c)
	select {
	case a := <-c.sent:
		return a.status, a.err
	case <-ctx.Done():
		if e.sends.withdraw(c) {
			return 0, fmt.Errorf("event %q to %q was not sent: %w", name, instanceID, context.Cause(ctx))
		}
		return 0, fmt.Errorf("outcome for event %q to %q unknown: %w", name, instanceID, context.Cause(ctx))
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
	tries := 0
	err := e.call(e.ctx, func(ctx context.Context) (err error) {
		tries++
		statuses, err = e.store.EnqueueMessages(ctx, messages)
		return err
	})
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
	found := false
	for from, more := int32(0), true; more && !found; {
		var turns []provider.Turn
		err := e.call(e.ctx, func(ctx context.Context) (err error) {
			turns, err = e.store.ReadHistory(ctx, provider.HistoryQuery{InstanceID: m.Target, From: from})
			return err
		})
		more = err == nil && len(turns) > 0
		for _, t := range turns {
			from = t.Seq + t.Count
			events, err := history.DecodeTurn(t.Events)
			if err != nil {
				return false
			}
			for _, ev := range events {
				r, ok := ev.(*history.EventReceived)
				found = found || ok && r.MessageID == m.ID
			}
		}
	}
	return found
}

// Waiter waits for the end of one instance.
type Waiter struct {
	e       *Engine
	id      string
	done    chan struct{}
	outcome *Outcome
	marked  atomic.Bool // the store knows that somebody waits
}

// waiters are those who wait in this process.
type waiters struct {
	mu         sync.Mutex
	byInstance map[string][]*Waiter
	closed     bool
}

// Watch registers a waiter. marked says that the instance was started with Watch. The caller must Close it.
func (e *Engine) Watch(instanceID string, marked bool) *Waiter {
	w := &Waiter{e: e, id: instanceID, done: make(chan struct{})}
	w.marked.Store(marked)
	e.waiters.mu.Lock()
	defer e.waiters.mu.Unlock()
	if e.waiters.closed {
		close(w.done)
		return w
	}
	e.waiters.byInstance[instanceID] = append(e.waiters.byInstance[instanceID], w)
	return w
}

// Close unregisters the waiter. Idempotent.
func (w *Waiter) Close() {
	ws := &w.e.waiters
	ws.mu.Lock()
	defer ws.mu.Unlock()
	rest := slices.DeleteFunc(ws.byInstance[w.id], func(other *Waiter) bool { return other == w })
	if len(rest) == 0 {
		delete(ws.byInstance, w.id)
	} else {
		ws.byInstance[w.id] = rest
	}
}

// Wait returns the outcome of the instance; found is false if there is no such instance.
func (w *Waiter) Wait(ctx context.Context) (o *Outcome, found bool, err error) {
	select {
	case <-w.done:
		return w.result()
	default:
	}
	if !w.marked.Load() {
		var states []provider.InstanceState
		err := w.e.call(ctx, func(ctx context.Context) (err error) {
			states, err = w.e.store.ReadInstances(ctx, []string{w.id}, true)
			return err
		})
		if err != nil {
			return nil, false, err
		}
		if len(states) == 0 {
			return nil, false, nil
		}
		w.marked.Store(true)
		w.e.finished(states)
	}
	select {
	case <-w.done:
		return w.result()
	case <-ctx.Done():
		return nil, true, context.Cause(ctx)
	}
}

func (w *Waiter) result() (*Outcome, bool, error) {
	if w.outcome == nil {
		return nil, true, ErrStopped
	}
	return w.outcome, true, nil
}

// complete answers the waiters of an instance.
func (ws *waiters) complete(id string, o *Outcome) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.byInstance[id] {
		w.outcome = o
		close(w.done)
	}
	delete(ws.byInstance, id)
}

func (ws *waiters) has(id string) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return len(ws.byInstance[id]) > 0
}

// watchLimit bounds what one pulse reads; which ones it reads is left to chance, so all get their turn.
const watchLimit = 500

// watched returns instances somebody waits for.
func (ws *waiters) watched() []string {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var ids []string
	for id := range ws.byInstance {
		if len(ids) == watchLimit {
			break
		}
		ids = append(ids, id)
	}
	return ids
}

// closeAll ends all waits with ErrStopped.
func (ws *waiters) closeAll() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	for _, waiting := range ws.byInstance {
		for _, w := range waiting {
			close(w.done)
		}
	}
	clear(ws.byInstance)
}

// Resume lets a parked instance go on. The status is Applied, NotFound or Gone.
func (e *Engine) Resume(ctx context.Context, instanceID string) (status provider.ItemStatus, err error) {
	tries := 0
	err = e.call(ctx, func(ctx context.Context) error {
		tries++
		statuses, err := e.store.ResumeInstances(ctx, []string{instanceID})
		if err == nil {
			status = statuses[0]
		}
		return err
	})
	if status == provider.Gone && tries > 1 { // resumed by the first try, and ended since
		status = provider.Applied
	}
	if s := e.current(); s != nil && err == nil {
		s.orch.kick()
	}
	return status, err
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
