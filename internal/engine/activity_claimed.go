package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
)

// launchClaimed starts the items of a claim for which n slots were reserved and gives the other slots back. granted are
// the instances that came with them.
func (s *session) launchClaimed(items []provider.WorkItem, granted []provider.OrchestrationItem, n int) {
	runs, refused, back := s.judge(items)
	s.mu.Lock()
	if s.draining { // came too late
		for _, run := range runs {
			if run.ofSession() != nil {
				refused = append(refused, s.newAckWork(run.key, run.token, lostHere(run.key.Event)))
			} else {
				back = append(back, provider.AbandonedWork{WorkKey: run.key, Token: run.token, UndoAttempt: true})
			}
		}
		s.mu.Unlock()
		s.giveBack(back)
		s.refuse(refused)
		s.release(n)
		for i := range granted {
			s.abandon(provider.AbandonedInstance{Ref: granted[i].Ref, Token: granted[i].Token})
		}
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
	s.giveBack(back)
	s.refuse(refused)
	s.release(n - slotsOf(runs))
}

// slotsOf is how many slots runs take.
func slotsOf(runs []*activityRun) (n int) {
	for _, run := range runs {
		if run.activity.takesSlot() {
			n++
		}
	}
	return n
}

// judge makes runs of claimed items, results of those that are not to be run, and gives others back for later.
func (s *session) judge(items []provider.WorkItem) (runs []*activityRun, refused []*ackWorkCall, back []provider.AbandonedWork) {
	activities := s.e.serves().activities
	if slices.ContainsFunc(items, func(item provider.WorkItem) bool { return activities[item.Class] == nil }) {
		s.hearMore() // it is for this worker alone, in a priority that is new
		activities = s.e.serves().activities
	}
	for i := range items {
		item := &items[i]
		run := &activityRun{s: s, key: item.WorkKey, instanceID: item.InstanceID, token: item.Token, attempt: item.Attempt, activity: activities[item.Class]}
		var class provider.Class
		if run.activity == nil {
			var exists bool
			if class, exists = s.e.registry.unregistered(item.Class); !exists { // what it is could not be read
				back = append(back, provider.AbandonedWork{WorkKey: item.WorkKey, Token: item.Token, UndoAttempt: true, Delay: refusedDelay})
				continue
			}
		} else if run.activity.opens && !s.hosted.reserve(s.ctx, idempotencyKey(item.InstanceID, item.WorkKey)) {
			back = append(back, provider.AbandonedWork{WorkKey: item.WorkKey, Token: item.Token, UndoAttempt: true, Delay: fullDelay})
			continue
		}
		if f := run.read(item, class); f != nil {
			if begun := item.Attempt - 1; begun > 1 {
				f.Attempts = begun
			}
			refused = append(refused, s.newAckWork(run.key, run.token, &history.ActivityFailed{Scheduled: run.key.Event, Failure: *f}))
			continue
		}
		runs = append(runs, run)
	}
	return runs, refused, back
}

// read takes in a claimed item. It returns the failure of one that is not to be run. class is what the store calls it if it is not
// registered here.
func (run *activityRun) read(item *provider.WorkItem, class provider.Class) (f *history.Failure) {
	if run.activity == nil {
		return &history.Failure{Kind: history.FailureBadPayload, Source: class.Name,
			Message: fmt.Sprintf("activity %q (tag %q) is not registered in the process of the session", class.Name, class.Tag)}
	}
	var err, stateErr error
	run.payload, run.terms, err = readWorkInput(item.Input)
	run.left, stateErr = readLegacy(item.State)
	if err = errors.Join(err, stateErr); err != nil {
		return &history.Failure{Kind: history.FailureBadPayload, Source: run.activity.Name, Message: err.Error()}
	}
	if f := run.strayed(); f != nil {
		return f
	}
	if crashed := item.Attempt - 1 - run.left.Ended; crashed >= run.s.e.opts.MaxAttempts {
		return &history.Failure{Kind: history.FailureQuarantined, Source: run.activity.Name, Cause: run.left.Failure,
			Message: fmt.Sprintf("begun %d times without an outcome: it may crash or hang its process", crashed)}
	}
	return run.terms.tooLate(run.activity.Name, item.Attempt, &run.left, run.s.e.clock.now())
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

// giveBack gives claimed items back for later.
func (s *session) giveBack(items []provider.AbandonedWork) {
	for i := range items {
		s.mu.Lock()
		call := s.giveBackWork(&items[i], nil)
		s.mu.Unlock()
		s.returns.add(call)
	}
}
