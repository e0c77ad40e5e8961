package engine

import (
	"context"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
)

// activityRun is one activity execution in a slot of this session.
type activityRun struct {
	s          *session
	key        provider.WorkKey
	instanceID string
	token      provider.Token
	attempt    int32
	activity   *Activity
	payload    history.Payload
	terms      *terms      // nil: the default
	left       legacy      // by earlier attempts
	in         *instance   // while the instance is held here; of s.mu
	void       bool        // nobody waits for the result any more; of s.mu
	over       bool        // the attempt was ended while its code goes on; of s.mu
	unfit      atomic.Bool // nothing was tried: it is for another worker, or for later
	ctx        context.Context
	cancel     context.CancelCauseFunc
	begun      time.Time
	progress   progress
	// With terms:
	deadline time.Time // of ctx
	bound    string    // which limit that is
	unwatch  func() bool
	silence  *time.Timer // looks for missing heartbeats
}

// launch starts activities that have their slot. s.mu is held.
func (s *session) launch(runs []*activityRun, by *carrier) {
	for _, run := range runs {
		s.runs[run.key] = run
		run.begin()
		// Waited for by drain through s.runs, but not beyond the activity's own willingness to end.
		if !by.offer(run.run) {
			s.e.crew.run(run.run)
		}
	}
}

// heldFor returns the instance of a work item if it is held here in the execution of the item, or is about to be, else
// nil. s.mu is held.
func (s *session) heldFor(key provider.WorkKey) *instance {
	in := s.instances[key.Ref]
	if in == nil || in.execution != key.Execution || !in.held && !in.heldAgain(key.Execution) {
		return nil
	}
	return in
}

// cutShort notes an activity that a drain has ended: that is no outcome, it runs again elsewhere. s.mu is held.
func (s *session) cutShort(run *activityRun) {
	s.cut = append(s.cut, provider.AbandonedWork{WorkKey: run.key, Token: run.token, UndoAttempt: true, State: run.state()})
}

// run executes the activity and delivers its result.
func (run *activityRun) run(c *carrier) {
	var result history.Payload
	var failure *history.Failure
	returned := false
	defer func() {
		if !returned {
			failure = run.crashed(recover())
		}
		run.finish(c, result, failure)
	}()
	info := ActivityInfo{InstanceID: run.instanceID, Execution: run.key.Execution, Event: run.key.Event, Name: run.activity.Name,
		Attempt: run.attempt, Deadline: run.limit(), LastFailure: run.left.Failure, run: run}
	result, failure = run.activity.Run(run.ctx, info, run.payload)
	returned = true
}

// crashed is the failure of code that did not return: it has panicked with that value or, if that is nil, ended its goroutine.
func (run *activityRun) crashed(value any) *history.Failure {
	if value == nil {
		return &history.Failure{Kind: history.FailureGoexit, Source: run.activity.Name,
			Message: "the activity ended its goroutine with runtime.Goexit (testing.T.FailNow does)"}
	}
	f := history.PanicFailure(value, debug.Stack())
	f.Source = run.activity.Name
	return &f
}

// verdict is what an attempt has come to: one of its fields is set.
type verdict struct {
	result history.Event
	back   *provider.AbandonedWork // for another attempt, or for a result from outside
	cut    bool                    // by a drain
}

// verdict judges what the code has returned.
func (run *activityRun) verdict(result history.Payload, failure *history.Failure) verdict {
	switch {
	case run.pending():
		return verdict{back: &provider.AbandonedWork{WorkKey: run.key, Token: run.token, HandOver: true, State: run.state()}}
	case run.unfit.Load():
		return verdict{back: &provider.AbandonedWork{WorkKey: run.key, Token: run.token, UndoAttempt: true, Delay: fullDelay}}
	case run.activity.hosts: // nothing else ends it: if it was withdrawn this is dropped
		return verdict{result: &history.ActivityFailed{Scheduled: run.key.Event, Failure: *failure}}
	case failure == nil:
		return verdict{result: &history.ActivityCompleted{Scheduled: run.key.Event, Result: result}}
	case run.s.workCtx.Err() != nil:
		return verdict{cut: true}
	case run.ctx.Err() == context.DeadlineExceeded: // whatever the code made of that
		failure = timeoutFailure(run.activity.Name, run.bound, nil)
	}
	return run.failed(failure)
}

// failed decides what follows from the failure of an attempt.
func (run *activityRun) failed(f *history.Failure) verdict {
	tries := run.left.Tries + 1
	if delay, again := run.terms.retry(f, tries, run.s.e.clock.now(), rand.Float64()); again {
		l, _ := run.leaves()
		l.Ended, l.Tries, l.Failure = run.attempt, tries, f
		state, err := l.encode()
		if err == nil {
			return verdict{back: &provider.AbandonedWork{WorkKey: run.key, Token: run.token, State: state, Delay: delay}}
		}
		run.s.e.log.Error("activity cannot be tried again", "activity", run.activity.Name, "instance", run.instanceID, "error", err)
	}
	if f.Kind == history.FailureTimeout && f.Timeout == history.TimeoutScheduleToClose && f.Cause == nil {
		f.Cause = run.left.Failure
	}
	if run.attempt > 1 {
		f.Attempts = run.attempt
	}
	return verdict{result: &history.ActivityFailed{Scheduled: run.key.Event, Failure: *f}}
}

// finish ends a run whose code has returned.
func (run *activityRun) finish(c *carrier, result history.Payload, failure *history.Failure) {
	s := run.s
	v := run.verdict(result, failure)
	run.rest()
	s.mu.Lock()
	if run.activity.takesSlot() {
		s.slots++ // before the turn that follows, which may fill it
	}
	if session := run.ofSession(); session != nil && !run.activity.hosts {
		s.hosted.leave(session.ID)
	}
	var d delivery
	if run.over {
		delete(s.lingering, run)
		s.checkQuiet()
	} else {
		d = run.deliver(v)
	}
	s.mu.Unlock()
	d.do(s, c)
}

// delivery is what is to be done about a verdict once s.mu is released.
type delivery struct {
	ack      *ackWorkCall
	back     *returnCall
	turn     *instance // to be run here, by a goroutine that has nothing else to do
	recorded bool      // by a commit that will come, and claims along
}

// deliver hands the result to the instance if it is held here, else to the store. s.mu is held.
func (run *activityRun) deliver(v verdict) (d delivery) {
	s := run.s
	in := run.in
	if in != nil {
		delete(in.local, run.key.Event)
	} else {
		in = s.heldFor(run.key) // granted since
	}
	switch {
	case run.void:
	case v.cut:
		s.cutShort(run)
	case v.back != nil:
		d.back = s.giveBackWork(v.back, in)
	case in != nil && (in.held || in.busy) && !in.dropped && in.execution == run.key.Execution:
		d.recorded = true
		in.finished = append(in.finished, replay.Message{Token: int64(run.token), Execution: run.key.Execution, Event: v.result})
		if in.hasInput() {
			in.occupy()
			d.turn = in
		}
	default:
		d.ack = s.newAckWork(run.key, run.token, v.result)
		if cached := s.instances[run.key.Ref]; cached != nil && !cached.busy && cached.x != nil {
			d.ack.item.CachedExecution, d.ack.item.CachedSeq = cached.execution, cached.x.Known()
		}
		s.busy++ // until the result is recorded
	}
	if s.runs[run.key] == run {
		delete(s.runs, run.key)
	}
	s.checkQuiet()
	return d
}

// do carries a delivery out.
func (d *delivery) do(s *session, c *carrier) {
	switch {
	case d.ack != nil:
		s.record([]*ackWorkCall{d.ack})
	case d.back != nil:
		s.returns.add(d.back)
	}
	if d.ack == nil && !d.recorded && s.work.maybe.Load() {
		s.work.kick()
	}
	if in := d.turn; in != nil && !s.e.adopt(c, in.runTurn) {
		s.mu.Lock()
		in.idle()
		s.mu.Unlock()
	}
}

// cancelRuns cancels the contexts of those activities of the instance that run here, claimed from the queue or not:
// nobody waits for them any more, nor for what they have come up with meanwhile. s.mu is held.
func (in *instance) cancelRuns(events []int32) {
	in.finished = slices.DeleteFunc(in.finished, func(m replay.Message) bool { return slices.Contains(events, in.workKey(m).Event) })
	for _, event := range events {
		if run := in.s.runs[provider.WorkKey{Ref: in.Ref, Execution: in.execution, Event: event}]; run != nil {
			run.withdraw()
		}
		delete(in.local, event)
	}
}

// ackWorkCall is one result in the batcher of results that are recorded without holding the instance.
type ackWorkCall struct {
	s    *session
	item provider.AckWorkItem
}

func (s *session) newAckWork(key provider.WorkKey, token provider.Token, ev history.Event) *ackWorkCall {
	body, err := history.Append(nil, ev)
	if err != nil {
		body, _ = history.Append(nil, &history.ActivityFailed{Scheduled: key.Event, Failure: history.Failure{Kind: history.FailureBadPayload, Message: err.Error()}})
	}
	return &ackWorkCall{s: s, item: provider.AckWorkItem{WorkKey: key, Token: token, Request: provider.NewToken(), Body: body, Take: true}}
}

func (c *ackWorkCall) bytes() int { return len(c.item.Body) }

// refusedDelay is how long an activity waits to be run again whose result the store has refused.
const refusedDelay = time.Second

// fail implements batchItem. The item is given back, and the activity runs again: at least once. That was no outcome, so it
// is quarantined if the store goes on refusing its results.
func (c *ackWorkCall) fail(err error) {
	s := c.s
	if s.ctx.Err() == nil {
		s.e.log.Error("result of an activity could not be recorded; it will run again", "event", c.item.Event, "error", err)
		s.mu.Lock()
		back := s.giveBackWork(&provider.AbandonedWork{WorkKey: c.item.WorkKey, Token: c.item.Token, Delay: refusedDelay}, nil)
		s.mu.Unlock()
		s.returns.add(back)
	}
	s.recorded(1)
}

// record sends results that belong to no held instance to the store. Each is counted in s.busy already.
func (s *session) record(calls []*ackWorkCall) {
	for _, c := range calls {
		s.ackWorks.add(c)
	}
}

// flushAckWorks records a group of results.
func (s *session) flushAckWorks(calls []*ackWorkCall, _ *carrier) {
	req := &provider.AckWorkRequest{Worker: s.worker, Serves: s.e.claimable()}
	take := s.serves()
	for _, c := range calls {
		item := c.item
		item.Take = item.Take && take
		req.Items = append(req.Items, item)
	}
	req.ClaimWork, req.ClaimRequest = s.claimAlong(len(calls))
	req.WorkClasses, req.WorkRanks = s.workTerms()
	req.Routed = s.hosted.ever.Load()
	var reply *provider.AckReply
	err := s.call(func(ctx context.Context) (err error) {
		reply, err = s.e.store.AckWorkItems(ctx, req)
		return err
	})
	if err != nil {
		s.claimedAlong(nil, req.ClaimWork, nil)
		refused(calls, s.ctx.Err() != nil, err, s.flushAckWorks)
		return
	}
	s.e.clock.observe(reply.Now)
	s.claimedAlong(reply.Work, req.ClaimWork, req.WorkRanks)
	for i := range reply.Granted {
		s.grant(&reply.Granted[i])
	}
	s.recorded(len(calls))
}

// recorded ends the busy state of results whose fate is known.
func (s *session) recorded(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unbusy(n)
	s.checkQuiet()
}
