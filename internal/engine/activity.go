package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"

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
	in         *instance // while the instance is held here; of s.mu
	void       bool      // nobody waits for the result any more; of s.mu
	ctx        context.Context
	cancel     context.CancelFunc
}

// launch starts activities that have their slot. s.mu is held.
func (s *session) launch(runs []*activityRun, by *carrier) {
	for _, run := range runs {
		s.runs[run.key] = run
		run.ctx, run.cancel = context.WithCancel(s.workCtx)
		// Waited for by drain through s.runs, but not beyond the activity's own willingness to end.
		if !by.offer(run.run) {
			s.e.crew.run(run.run)
		}
	}
}

// launchClaimed starts the items of a claim for which n slots were reserved and gives the other slots back. granted are
// the instances that came with them.
func (s *session) launchClaimed(items []provider.WorkItem, granted []provider.OrchestrationItem, n int) {
	runs, refused := s.runsOf(items)
	s.mu.Lock()
	if s.draining { // came too late
		for _, run := range runs {
			s.cutShort(run)
		}
		s.mu.Unlock()
		s.release(n)
		for i := range granted {
			s.abandon(provider.AbandonedInstance{Ref: granted[i].Ref, Token: granted[i].Token})
		}
		s.refuse(refused)
		return
	}
	for i := range granted {
		s.hold(&granted[i])
	}
	for _, run := range runs {
		if in := s.heldFor(run.key); in != nil {
			run.in = in
			in.local[run.key.Event] = run
		}
	}
	s.launch(runs, nil)
	for i := range granted {
		// What is not to be run is no reason to hold it. The result that says so asks for it anew, and that counts as an
		// attempt: a turn that crashes its process must not be tried for ever.
		if in := s.instances[granted[i].Ref]; in != nil && in.held && !in.busy {
			if len(in.local) == 0 {
				in.letGo()
			} else {
				in.proceed()
			}
		}
	}
	s.mu.Unlock()
	s.release(n - len(runs))
	s.refuse(refused)
}

// runsOf makes runs of claimed items, and results of those that are not to be run.
func (s *session) runsOf(items []provider.WorkItem) (runs []*activityRun, refused []*ackWorkCall) {
	for i := range items {
		item := &items[i]
		run := &activityRun{s: s, key: item.WorkKey, instanceID: item.InstanceID, token: item.Token, attempt: item.Attempt, activity: s.e.activities[item.Class]}
		err := json.Unmarshal(item.Input, &run.payload)
		var f history.Failure
		switch {
		case run.activity == nil:
			f = history.Failure{Kind: history.FailureBadPayload, Message: fmt.Sprintf("class %d is not registered here", item.Class)}
		case item.Attempt > s.e.opts.MaxAttempts:
			f = history.Failure{Kind: history.FailureQuarantined, Source: run.activity.Name,
				Message: fmt.Sprintf("begun %d times without an outcome: it may crash or hang its process", item.Attempt-1)}
		case err != nil:
			f = history.Failure{Kind: history.FailureBadPayload, Message: err.Error()}
		default:
			runs = append(runs, run)
			continue
		}
		refused = append(refused, s.newAckWork(run.key, run.token, &history.ActivityFailed{Scheduled: run.key.Event, Failure: f}))
	}
	return runs, refused
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

// refuse records the results of activities that are not to be run.
func (s *session) refuse(calls []*ackWorkCall) {
	if len(calls) == 0 {
		return
	}
	s.mu.Lock()
	s.busy += len(calls)
	s.mu.Unlock()
	s.record(calls)
}

// cutShort notes an activity that a drain has ended: that is no outcome, it runs again elsewhere. s.mu is held.
func (s *session) cutShort(run *activityRun) {
	s.cut = append(s.cut, provider.AbandonedWork{WorkKey: run.key, Token: run.token, UndoAttempt: true})
}

// run executes the activity and delivers its result.
func (run *activityRun) run(c *carrier) {
	var result history.Payload
	failure := &history.Failure{Kind: history.FailureGoexit, Source: run.activity.Name,
		Message: "the activity ended its goroutine with runtime.Goexit (testing.T.FailNow does)"}
	defer func() {
		if r := recover(); r != nil {
			failure = &history.Failure{Kind: history.FailurePanic, Source: run.activity.Name, Message: fmt.Sprint(r), Type: fmt.Sprintf("%T", r), Stack: string(debug.Stack())}
		}
		run.finish(c, result, failure)
	}()
	info := ActivityInfo{InstanceID: run.instanceID, Execution: run.key.Execution, Event: run.key.Event, Name: run.activity.Name, Attempt: run.attempt}
	result, failure = run.activity.Run(run.ctx, info, run.payload)
}

// finish hands the result to the instance if it is held here, else to the store.
func (run *activityRun) finish(c *carrier, result history.Payload, failure *history.Failure) {
	s := run.s
	stopped := failure != nil && run.s.workCtx.Err() != nil
	run.cancel()
	var ev history.Event = &history.ActivityCompleted{Scheduled: run.key.Event, Result: result}
	if failure != nil {
		ev = &history.ActivityFailed{Scheduled: run.key.Event, Failure: *failure}
	}
	var call *ackWorkCall
	turn := false     // to be run here, by a goroutine that has nothing else to do
	recorded := false // by a commit that will come, and claims along
	s.mu.Lock()
	s.slots++ // before the turn that follows, which may fill it
	in := run.in
	if in != nil {
		delete(in.local, run.key.Event)
	} else {
		in = s.heldFor(run.key) // granted since
	}
	switch {
	case run.void:
	case stopped:
		s.cutShort(run)
	case in != nil && (in.held || in.busy) && !in.dropped && in.execution == run.key.Execution:
		recorded = true
		in.finished = append(in.finished, replay.Message{Token: int64(run.token), Execution: run.key.Execution, Event: ev})
		if turn = in.hasInput(); turn {
			in.occupy()
		}
	default:
		call = s.newAckWork(run.key, run.token, ev)
		if cached := s.instances[run.key.Ref]; cached != nil && !cached.busy && cached.x != nil {
			call.item.CachedExecution, call.item.CachedSeq = cached.execution, cached.x.Known()
		}
	}
	if s.runs[run.key] == run {
		delete(s.runs, run.key)
	}
	if call != nil {
		s.busy++ // until the result is recorded
	}
	s.checkQuiet()
	s.mu.Unlock()
	if call != nil {
		s.record([]*ackWorkCall{call})
	} else if !recorded && s.work.maybe.Load() {
		s.work.kick()
	}
	if turn && !s.e.adopt(c, in.runTurn) {
		s.mu.Lock()
		in.idle()
		s.mu.Unlock()
	}
}

// cancelRuns cancels the contexts of those activities of the instance that run here, claimed from the queue or not:
// nobody waits for them any more. s.mu is held.
func (in *instance) cancelRuns(events []int32) {
	for _, event := range events {
		if run := in.s.runs[provider.WorkKey{Ref: in.Ref, Execution: in.execution, Event: event}]; run != nil {
			run.in, run.void = nil, true
			run.cancel()
		}
	}
	clear(in.local)
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

// fail implements batchItem. The item's lease ends with the session and the activity runs again: at least once.
func (c *ackWorkCall) fail(err error) {
	c.s.recorded(1)
	if c.s.ctx.Err() == nil {
		c.s.e.log.Error("result of an activity could not be recorded; it will run again", "event", c.item.Event, "error", err)
	}
}

// record sends results that belong to no held instance to the store. Each is counted in s.busy already.
func (s *session) record(calls []*ackWorkCall) {
	for _, c := range calls {
		s.ackWorks.add(c)
	}
}

// flushAckWorks records a group of results.
func (s *session) flushAckWorks(calls []*ackWorkCall, _ *carrier) {
	req := &provider.AckWorkRequest{Worker: s.worker, Serves: s.e.orchClasses}
	take := s.serves()
	for _, c := range calls {
		item := c.item
		item.Take = item.Take && take
		req.Items = append(req.Items, item)
	}
	req.ClaimWork, req.ClaimRequest = s.claimAlong(len(calls))
	req.WorkClasses = s.e.workClasses
	var reply *provider.AckReply
	err := s.call(func(ctx context.Context) (err error) {
		reply, err = s.e.store.AckWorkItems(ctx, req)
		return err
	})
	if err != nil {
		s.claimedAlong(nil, req.ClaimWork)
		refused(calls, s.ctx.Err() != nil, err, s.flushAckWorks)
		return
	}
	s.e.clock.observe(reply.Now)
	s.claimedAlong(reply.Work, req.ClaimWork)
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
