package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
)

// progress is what an activity has told about itself while it runs.
type progress struct {
	mu      sync.Mutex
	sign    time.Time       // of the last heartbeat
	details history.Payload // of the last heartbeat that had any
	version int             // of the details
	sent    int             // the version the store has
	// The activity has taken its token, and returned without a result.
	taken, pending bool
}

// Heartbeat notes that the activity is alive and, unless they are zero, how far it is. It returns why the activity is to
// end, nil if it is not.
func (i ActivityInfo) Heartbeat(details history.Payload) error {
	run := i.run
	if run.ctx.Err() != nil {
		return context.Cause(run.ctx)
	}
	p := &run.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sign = time.Now()
	if !details.IsZero() && !(details.Encoding == p.details.Encoding && slices.Equal(details.Data, p.details.Data)) {
		p.details, p.version = details, p.version+1
	}
	return nil
}

// Details are those of the last heartbeat of earlier attempts, zero if there are none.
func (i ActivityInfo) Details() history.Payload { return i.run.left.Details }

// leaves returns what the attempt leaves to the next, and whether it adds anything to what others have left.
func (run *activityRun) leaves() (l legacy, news bool) {
	run.progress.mu.Lock()
	defer run.progress.mu.Unlock()
	l = run.left
	if run.progress.version > 0 {
		l.Details = run.progress.details
	}
	return l, run.progress.version > run.progress.sent
}

// state is leaves as the state of a work item, nil if there is no news.
func (run *activityRun) state() []byte {
	l, news := run.leaves()
	if !news {
		return nil
	}
	body, err := l.encode()
	if err != nil { // cannot be: details are valid payloads
		run.s.e.log.Error("state of an activity lost", "activity", run.activity.Name, "instance", run.instanceID, "error", err)
		return nil
	}
	return body
}

// held is a running activity in a pulse, with the version of its details that the pulse carries.
type held struct {
	run     *activityRun
	version int
}

// heldWork returns the activities that have run long enough for the pulse to look after them, and expired, those that have
// passed the default limit.
func (s *session) heldWork(now time.Time) (items []provider.HeldWork, runs []held, expired []*activityRun) {
	s.mu.Lock()
	expired = s.checkRuns(now)
	for _, run := range s.runs {
		// What has just begun is most likely over before the answer is here.
		if !run.void && now.Sub(run.begun) >= s.e.opts.PulseInterval/10 {
			runs = append(runs, held{run: run})
		}
	}
	s.mu.Unlock()
	for i := range runs {
		run := runs[i].run
		run.progress.mu.Lock()
		runs[i].version = run.progress.version
		run.progress.mu.Unlock()
		items = append(items, provider.HeldWork{WorkKey: run.key, Token: run.token, State: run.state()})
	}
	return items, runs, expired
}

// pulsed notes what the answer to a pulse says about the activities it carried: nobody waits any more for those that are
// gone, so their contexts are cancelled and their results dropped.
func (s *session) pulsed(runs []held, gone []provider.WorkKey) {
	if len(runs) == 0 {
		return
	}
	for _, h := range runs {
		h.run.progress.mu.Lock()
		h.run.progress.sent = max(h.run.progress.sent, h.version)
		h.run.progress.mu.Unlock()
	}
	if len(gone) == 0 {
		return
	}
	isGone := make(map[provider.WorkKey]bool, len(gone))
	for _, key := range gone {
		isGone[key] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range runs {
		run := h.run
		if !isGone[run.key] || s.runs[run.key] != run {
			continue
		}
		in := run.in
		run.withdraw()
		if in != nil {
			delete(in.local, run.key.Event)
			in.releaseIfPointless()
		}
	}
}

// withdrawn is the reason of the cancellation that a running activity sees.
const withdrawn = "nobody waits for the result any more"

// withdraw cancels the context of a run for whose result nobody waits any more. s.mu is held.
func (run *activityRun) withdraw() {
	run.in, run.void = nil, true
	run.cancel(run.s.e.opts.CauseOf(&history.Failure{Kind: history.FailureCancelled, Message: withdrawn}))
}
