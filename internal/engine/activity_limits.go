package engine

import (
	"context"
	"time"

	"github.com/pawlrun/pawl/history"
)

// begin gives a run its context and its time limits. s.mu is held.
func (run *activityRun) begin() {
	run.begun = time.Now()
	run.ctx, run.cancel = context.WithCancelCause(run.s.workCtx)
	if session := run.ofSession(); session != nil {
		run.beginInSession(session)
	}
	if run.activity.hosts {
		return // it lasts as long as the session
	}
	if run.terms == nil {
		return // the default limit is looked after by the pulse: a timer for each activity would cost more than it does
	}
	run.bound, run.deadline = history.TimeoutStartToClose, run.begun.Add(run.s.e.opts.ActivityTimeout)
	if run.terms.StartToClose > 0 {
		run.deadline = run.begun.Add(run.terms.StartToClose)
	}
	if all := run.terms.ScheduleToClose; all > 0 {
		end := run.begun.Add(run.terms.scheduledAt.Add(all).Sub(run.s.e.clock.now()))
		if end.Before(run.deadline) {
			run.bound, run.deadline = history.TimeoutScheduleToClose, end
		}
	}
	outer, cancel := run.ctx, run.cancel
	ctx, stop := context.WithDeadlineCause(outer, run.deadline, run.causeOf(run.bound))
	run.ctx = ctx
	run.cancel = func(cause error) { cancel(cause); stop() }
	run.unwatch = context.AfterFunc(ctx, func() {
		if ctx.Err() == context.DeadlineExceeded {
			run.timeOut(run.bound)
		}
	})
	if run.terms.Heartbeat > 0 {
		run.progress.mu.Lock()
		run.silence = time.AfterFunc(run.terms.Heartbeat, run.checkHeartbeat)
		run.progress.mu.Unlock()
	}
}

// limit returns when the attempt has to end.
func (run *activityRun) limit() time.Time {
	if run.terms == nil {
		return run.begun.Add(run.s.e.opts.ActivityTimeout)
	}
	return run.deadline
}

// rest ends the watch over a run that has returned.
func (run *activityRun) rest() {
	if run.unwatch != nil {
		run.unwatch()
	}
	if run.silence != nil {
		run.silence.Stop()
	}
	run.cancel(nil)
}

func (run *activityRun) causeOf(bound string) error {
	return run.s.e.opts.CauseOf(timeoutFailure(run.activity.Name, bound, nil))
}

// checkHeartbeat ends an attempt that has been silent for too long, or looks again when it would have been.
func (run *activityRun) checkHeartbeat() {
	run.progress.mu.Lock()
	last := run.begun
	if run.progress.sign.After(last) {
		last = run.progress.sign
	}
	silent := time.Since(last)
	if silent < run.terms.Heartbeat {
		run.silence.Reset(run.terms.Heartbeat - silent)
	}
	run.progress.mu.Unlock()
	if silent < run.terms.Heartbeat {
		return
	}
	run.timeOut(history.TimeoutHeartbeat)
}

// timeOut ends an attempt without waiting for its code, which is asked to return and keeps its slot until it does: what it
// comes up with is dropped.
func (run *activityRun) timeOut(bound string) {
	s := run.s
	if !s.e.join() {
		return
	}
	defer s.e.tasks.Done()
	v := run.failed(timeoutFailure(run.activity.Name, bound, nil))
	s.mu.Lock()
	if run.over || run.void || s.workCtx.Err() != nil || s.runs[run.key] != run {
		s.mu.Unlock()
		return
	}
	run.over = true
	s.lingering[run] = time.Now()
	d := run.deliver(v)
	s.mu.Unlock()
	run.cancel(run.causeOf(bound)) // only now: what the code makes of that is not the outcome
	d.do(s, nil)
}

// lingerGrace is how long code may take to return after its attempt has ended, before operators are told.
const lingerGrace = 10 * time.Second

// checkRuns looks after activities that run for long: it returns those that have passed the default limit, and reports
// those that do not return although their attempt has ended. s.mu is held.
func (s *session) checkRuns(now time.Time) (expired []*activityRun) {
	for _, run := range s.runs {
		if run.terms == nil && !run.void && now.After(run.limit()) {
			expired = append(expired, run)
		}
	}
	for run, since := range s.lingering {
		if !since.IsZero() && now.Sub(since) > lingerGrace {
			s.lingering[run] = time.Time{} // reported
			s.e.log.Error("activity does not return although its attempt has timed out; it keeps its slot until it does",
				"activity", run.activity.Name, "instance", run.instanceID, "event", run.key.Event, "attempt", run.attempt, "running", now.Sub(run.begun))
		}
	}
	return expired
}
