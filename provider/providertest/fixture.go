package providertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// fixture is what a case works with: a store of its own, one open handle and four registered classes.
type fixture struct {
	T
	ctx      context.Context
	p        provider.Provider
	open     Opener
	patience time.Duration
	serial   *atomic.Int64 // shared by copies of the fixture

	flow, otherFlow provider.ClassID // orchestrations
	job, otherJob   provider.ClassID // activities
}

func newFixture(t T, h Harness) *fixture {
	t.Helper()
	f := &fixture{T: t, patience: h.Patience, serial: new(atomic.Int64)}
	if f.patience == 0 {
		f.patience = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
	t.Cleanup(cancel)
	f.ctx = ctx
	f.open = h.NewStore(t)
	f.p = f.handle()
	ids, err := f.p.RegisterClasses(f.ctx, []provider.Class{
		{Kind: provider.ClassOrchestration, Name: "flow"},
		{Kind: provider.ClassOrchestration, Name: "otherFlow"},
		{Kind: provider.ClassActivity, Name: "job"},
		{Kind: provider.ClassActivity, Name: "otherJob"},
	})
	f.ok("C1", err)
	if len(ids) != 4 {
		f.fail("C1", "4 classes registered, %d ids returned", len(ids))
	}
	f.flow, f.otherFlow, f.job, f.otherJob = ids[0], ids[1], ids[2], ids[3]
	return f
}

// handle opens another handle on the store of the case.
func (f *fixture) handle() provider.Provider {
	f.Helper()
	p := f.open(f.T)
	f.Cleanup(func() {
		if err := p.Close(); err != nil {
			f.Errorf("E6: closing a handle: %v", err)
		}
	})
	return p
}

// fail ends the case: the clause is broken. Only the goroutine of the case may call it.
func (f *fixture) fail(clause, format string, args ...any) {
	f.Helper()
	f.Fatalf("%s: %s\n  %s", clause, clauseText(clause), fmt.Sprintf(format, args...))
}

// check ends the case unless cond holds.
func (f *fixture) check(clause string, cond bool, format string, args ...any) {
	f.Helper()
	if !cond {
		f.fail(clause, format, args...)
	}
}

// ok ends the case if a call failed.
func (f *fixture) ok(clause string, err error) {
	f.Helper()
	if err != nil {
		f.fail(clause, "the call failed: %v", err)
	}
}

// equal ends the case unless got is want.
func equal[V comparable](f *fixture, clause, what string, got, want V) {
	f.Helper()
	if got != want {
		f.fail(clause, "%s: got %v, want %v", what, got, want)
	}
}

// givesUp ends the case unless err is a provider error that repeating cannot cure.
func (f *fixture) givesUp(clause string, err error) {
	f.Helper()
	var e *provider.Error
	switch {
	case err == nil:
		f.fail(clause, "the call was not refused")
	case !errors.As(err, &e):
		f.fail(clause, "error is a %T, want a *provider.Error: %v", err, err)
	case e.Retry != provider.GiveUp:
		f.fail(clause, "retry class %d, want GiveUp: %v", e.Retry, err)
	}
}

// eventually calls done at short intervals until it holds; when patience ends, the clause is broken.
func (f *fixture) eventually(clause, what string, done func() bool) {
	f.Helper()
	deadline := time.NewTimer(f.patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			f.fail(clause, "not within %v: %s", f.patience, what)
		case <-f.ctx.Done():
			f.fail(clause, "timed out: %s", what)
		case <-tick.C:
		}
	}
}

// never calls happened at short intervals for d; the clause is broken if it ever holds.
func (f *fixture) never(clause, what string, d time.Duration, happened func() bool) {
	f.Helper()
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if happened() {
			f.fail(clause, "%s", what)
		}
		select {
		case <-end.C:
			return
		case <-tick.C:
		}
	}
}

// together runs n functions at the same time and returns their errors that are not nil.
func together(n int, do func(i int) error) []error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			errs[i] = do(i)
		})
	}
	close(begin)
	wg.Wait()
	var failed []error
	for _, err := range errs {
		if err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

// worker joins a new worker incarnation.
func (f *fixture) worker() provider.WorkerID {
	f.Helper()
	w := provider.NewWorkerID()
	r, err := f.p.Pulse(f.ctx, &provider.PulseRequest{Worker: w, Join: true, Name: "worker", TTL: time.Hour})
	f.ok("L1", err)
	f.check("L1", !r.Lost, "a joining worker was told that it is lost")
	return w
}

// events makes a turn of n distinct events.
func (f *fixture) events(n int) []byte {
	b := []byte{'['}
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"type":"Test","serial":%d}`, f.serial.Add(1))
	}
	return append(b, ']')
}

// turn makes the commit of n events; edit, which may be nil, adds to it.
func (f *fixture) turn(n int32, edit func(*provider.Commit)) provider.Commit {
	c := provider.Commit{Request: provider.NewToken(), Events: f.events(int(n)), EventCount: n}
	if edit != nil {
		edit(&c)
	}
	return c
}

// instance makes an instance of class flow.
func (f *fixture) instance(id string) provider.NewInstance {
	return provider.NewInstance{InstanceID: id, ExecutionID: provider.NewExecutionID(), Class: f.flow, Events: f.events(1)}
}

// start starts an instance of class flow for any worker.
func (f *fixture) start(id string) provider.NewInstance {
	f.Helper()
	n := f.instance(id)
	f.startItem(provider.StartItem{NewInstance: n}, 0)
	return n
}

// startItem starts one instance, which must be applied.
func (f *fixture) startItem(item provider.StartItem, w provider.WorkerID) provider.AckResult {
	f.Helper()
	r, err := f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Worker: w, Items: []provider.StartItem{item}})
	f.ok("S1", err)
	equal(f, "S1", "number of results", len(r.Results), 1)
	equal(f, "S1", "status of "+item.InstanceID, r.Results[0].Status, provider.Applied)
	return r.Results[0]
}

// lease is an instance held by a worker, as that worker sees it.
type lease struct {
	provider.OrchestrationItem
	worker provider.WorkerID
}

// fetch fetches up to max instances of class flow.
func (f *fixture) fetch(w provider.WorkerID, max int) []provider.OrchestrationItem {
	f.Helper()
	return f.fetchOf(w, max, f.flow)
}

// fetchOf fetches up to max instances of the classes.
func (f *fixture) fetchOf(w provider.WorkerID, max int, classes ...provider.ClassID) []provider.OrchestrationItem {
	f.Helper()
	items, err := f.p.FetchOrchestrationItems(f.ctx, f.fetchRequest(w, max, classes...))
	f.ok("F1", err)
	return items
}

func (f *fixture) fetchRequest(w provider.WorkerID, max int, classes ...provider.ClassID) *provider.FetchRequest {
	return &provider.FetchRequest{Worker: w, Request: provider.NewToken(), Classes: classes, Max: max}
}

// fetchOne fetches the one instance there must be. Other instances that w holds may be told of again.
func (f *fixture) fetchOne(clause string, w provider.WorkerID, id string) *lease {
	f.Helper()
	items := slices.DeleteFunc(f.fetch(w, 1000), func(it provider.OrchestrationItem) bool {
		return it.Held && it.InstanceID != id
	})
	if len(items) != 1 || items[0].InstanceID != id {
		f.fail(clause, "fetched %s, want %s alone", describe(items), id)
	}
	return &lease{items[0], w}
}

// fetchNone checks that nothing of class flow can be fetched by w.
func (f *fixture) fetchNone(clause string, w provider.WorkerID, why string) {
	f.Helper()
	if items := f.fetch(w, 10); len(items) != 0 {
		f.fail(clause, "fetched %s: %s", describe(items), why)
	}
}

// granted starts an instance and has it leased by w.
func (f *fixture) granted(w provider.WorkerID, id string) *lease {
	f.Helper()
	f.start(id)
	return f.fetchOne("F1", w, id)
}

// idle starts an instance whose first turn, run by w, waits for the names; it is free then.
func (f *fixture) idle(w provider.WorkerID, id string, waits ...string) *lease {
	f.Helper()
	l := f.granted(w, id)
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Waits = waits }))
	return l
}

// item makes the ack item of the next turn.
func (l *lease) item(c provider.Commit) provider.AckItem {
	a := provider.AckItem{Ref: l.Ref, Execution: l.Execution, Seq: l.NextSeq, Token: l.Token, Commit: c}
	return a
}

// consuming adds the given messages to what the turn uses up.
func consuming(a provider.AckItem, ms []provider.Message) provider.AckItem {
	for _, m := range ms {
		a.Consumed = append(a.Consumed, m.Order)
	}
	return a
}

// advance notes that the commit was applied.
func (l *lease) advance(c provider.Commit) {
	l.Token = c.Request
	l.NextSeq += c.EventCount
	if c.Status == provider.StatusContinuedAsNew {
		l.Execution, l.ExecutionID, l.NextSeq, l.Class = l.Execution+1, c.Next.ExecutionID, 1, c.Next.Class
	}
}

// ack commits a turn that must be applied, and returns the result.
func (f *fixture) ack(l *lease, c provider.Commit) provider.AckResult {
	f.Helper()
	return f.ackItem(l, l.item(c)).Results[0]
}

// ackItem commits a turn that must be applied, and returns the reply.
func (f *fixture) ackItem(l *lease, a provider.AckItem) *provider.AckReply {
	f.Helper()
	r, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{
		Worker: l.worker, Items: []provider.AckItem{a}, Serves: []provider.ClassID{f.flow}})
	f.ok("A1", err)
	equal(f, "A1", "number of results", len(r.Results), 1)
	equal(f, "A1", "status of the ack of "+l.InstanceID, r.Results[0].Status, provider.Applied)
	l.advance(a.Commit)
	return r
}

// tryAck commits a turn and returns the status.
func (f *fixture) tryAck(w provider.WorkerID, a provider.AckItem) provider.ItemStatus {
	f.Helper()
	r, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{
		Worker: w, Items: []provider.AckItem{a}, Serves: []provider.ClassID{f.flow}})
	f.ok("A1", err)
	equal(f, "A1", "number of results", len(r.Results), 1)
	return r.Results[0].Status
}

// event makes an external event for an instance.
func event(target, name, id string) provider.NewMessage {
	return provider.NewMessage{Target: target, Kind: provider.MessageExternalEvent, Name: name, ID: id,
		Body: fmt.Appendf(nil, `{"type":"EventReceived","messageId":%q}`, id)}
}

// send enqueues messages that must all be applied.
func (f *fixture) send(ms ...provider.NewMessage) {
	f.Helper()
	st, err := f.p.EnqueueMessages(f.ctx, ms)
	f.ok("M1", err)
	equal(f, "M1", "number of statuses", len(st), len(ms))
	for i, s := range st {
		equal(f, "M1", fmt.Sprintf("status of message %s to %s", ms[i].ID, ms[i].Target), s, provider.Applied)
	}
}

// state reads an instance, which must exist.
func (f *fixture) state(id string) provider.InstanceState {
	f.Helper()
	states, err := f.p.ReadInstances(f.ctx, []string{id}, false)
	f.ok("R1", err)
	if len(states) != 1 || states[0].InstanceID != id {
		f.fail("R1", "reading %s: got %d states", id, len(states))
	}
	return states[0]
}

// history reads all turns of the current execution.
func (f *fixture) history(id string) []provider.Turn {
	f.Helper()
	return f.historyOf(id, 0)
}

func (f *fixture) historyOf(id string, execution int32) []provider.Turn {
	f.Helper()
	turns, err := f.p.ReadHistory(f.ctx, provider.HistoryQuery{InstanceID: id, Execution: execution})
	f.ok("R4", err)
	return turns
}

// fetchWork fetches up to max work items of class job.
func (f *fixture) fetchWork(w provider.WorkerID, max int) []provider.WorkItem {
	f.Helper()
	return f.fetchWorkOf(w, max, f.job)
}

func (f *fixture) fetchWorkOf(w provider.WorkerID, max int, classes ...provider.ClassID) []provider.WorkItem {
	f.Helper()
	r, err := f.p.FetchWorkItems(f.ctx, &provider.FetchWorkRequest{
		Worker: w, Request: provider.NewToken(), Classes: classes, Max: max})
	f.ok("W1", err)
	return r.Work
}

// work makes a work item of class job with a distinct input.
func (f *fixture) work(event int32, lease bool) provider.NewWork {
	return provider.NewWork{Event: event, Class: f.job, Lease: lease,
		Input: fmt.Appendf(nil, `{"json":%d}`, f.serial.Add(1))}
}

// finishWork acks a work item without asking for its instance and returns the status.
func (f *fixture) finishWork(w provider.WorkerID, k provider.WorkKey, token provider.Token) provider.ItemStatus {
	f.Helper()
	r, err := f.p.AckWorkItems(f.ctx, &provider.AckWorkRequest{Worker: w, Items: []provider.AckWorkItem{
		{WorkKey: k, Token: token, Request: provider.NewToken(), Body: done(k.Event)}}})
	f.ok("W4", err)
	equal(f, "W4", "number of results", len(r.Results), 1)
	return r.Results[0].Status
}

// done makes the body of the result of an activity.
func done(event int32) []byte {
	return fmt.Appendf(nil, `{"type":"ActivityCompleted","scheduled":%d}`, event)
}

// describe names items in failure messages.
func describe(items []provider.OrchestrationItem) string {
	if len(items) == 0 {
		return "nothing"
	}
	s := ""
	for i, it := range items {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("%s (token %d, attempt %d, held %t, %d messages)",
			it.InstanceID, it.Token, it.Attempt, it.Held, len(it.Messages))
	}
	return s
}

// messageIDs returns the ids of messages in order.
func messageIDs(ms []provider.Message) []string {
	ids := make([]string, len(ms))
	for i, m := range ms {
		ids[i] = m.ID
	}
	return ids
}

// abandon gives instances back.
func (f *fixture) abandon(is ...provider.AbandonedInstance) {
	f.Helper()
	f.ok("B1", f.p.AbandonItems(f.ctx, &provider.AbandonRequest{Instances: is}))
}

// pulse is a pulse that must succeed; TTL defaults to an hour.
func (f *fixture) pulse(req *provider.PulseRequest) *provider.PulseReply {
	f.Helper()
	if req.TTL == 0 {
		req.TTL = time.Hour
	}
	r, err := f.p.Pulse(f.ctx, req)
	f.ok("L2", err)
	return r
}
