package replay

import (
	"maps"
	"slices"

	"github.com/pawlrun/pawl/history"
)

// Scope is a group of what an execution has open: cancelling it withdraws all of that, and nothing new can be scheduled in
// it. Scopes nest; a request to cancel the instance cancels the root. It belongs to its execution's coroutine.
type Scope struct {
	x         *Execution
	parent    *Scope // nil for the root and for scopes that are detached from it
	cancelled *history.Failure
}

// Root is the scope that a request to cancel the instance cancels.
func (x *Execution) Root() *Scope { return &x.root }

// NewScope makes a scope within another one. Without parent it is detached: only its own Cancel ends it.
func (x *Execution) NewScope(parent *Scope) *Scope { return &Scope{x: x, parent: parent} }

// Cancelled returns why the scope, or one it is in, was cancelled; nil if none was.
func (s *Scope) Cancelled() *history.Failure {
	for ; s != nil; s = s.parent {
		if s.cancelled != nil {
			return s.cancelled
		}
	}
	return nil
}

// Cancel withdraws all that is open in the scope and in those within it, in the order in which it was scheduled. What was
// cancelled already stays as it is.
func (s *Scope) Cancel(reason string) {
	x := s.x
	x.enter()
	if s.Cancelled() != nil {
		return
	}
	s.cancelled = cancellation(reason)
	for _, f := range x.openFutures() {
		if f.scope.within(s) {
			x.withdraw(f, s.cancelled)
		}
	}
}

func (s *Scope) within(outer *Scope) bool {
	for ; s != nil; s = s.parent {
		if s == outer {
			return true
		}
	}
	return false
}

func cancellation(reason string) *history.Failure {
	return &history.Failure{Kind: history.FailureCancelled, Message: reason}
}

// isCancellation reports whether a failure is, or was caused by, a cancellation.
func isCancellation(f *history.Failure) bool {
	for c := f; c != nil; c = c.Cause {
		if c.Kind == history.FailureCancelled || slices.ContainsFunc(c.Causes, isCancellation) {
			return true
		}
	}
	return false
}

// openFutures returns what is scheduled and unanswered, in the order in which it was scheduled.
func (x *Execution) openFutures() []*Future {
	futures := slices.Collect(maps.Values(x.open))
	for _, waits := range x.waits {
		futures = append(futures, waits...)
	}
	slices.SortFunc(futures, func(a, b *Future) int { return int(a.event) - int(b.event) })
	return futures
}

// Cancel withdraws one thing that was scheduled: an activity, a timer or a wait is answered with the cancellation at once,
// a child is asked to end and its answer still comes. Nothing happens if the answer is there already.
func (f *Future) Cancel(reason string) {
	f.x.enter()
	f.x.withdraw(f, cancellation(reason))
}

func (x *Execution) withdraw(f *Future, why *history.Failure) {
	if f.done || f.withdrawn || f.detached {
		return
	}
	f.withdrawn = true
	isNew := x.issue(&history.Cancelled{Scheduled: f.event}) == nil
	switch f.kind {
	case openChild: // whatever its end will be, it is the answer
		if isNew {
			x.out.ChildCancels = append(x.out.ChildCancels, ChildCancel{f.event, f.instanceID, why.Message})
		}
		return
	case openWait:
		x.endWait(f)
	default:
		delete(x.open, f.event)
		if isNew {
			x.out.cancel(f)
		}
	}
	f.resolve(history.Payload{}, why)
}

// cancel has the store drop the work item or timer of a future, unless it is of this turn and has never come there.
func (out *Outcome) cancel(f *Future) {
	switch {
	case len(out.Events) > 0 && f.event >= out.first:
		if out.dropped == nil {
			out.dropped = map[int32]bool{}
		}
		out.dropped[f.event] = true
	case f.kind == openTimer:
		out.CancelTimers = append(out.CancelTimers, f.event)
	default:
		out.CancelWork = append(out.CancelWork, f.event)
		out.cancelTimeouts(f)
	}
}

// cancelTimeouts has the store drop the timers that bound an activity of an earlier turn.
func (out *Outcome) cancelTimeouts(f *Future) {
	out.CancelTimers = append(out.CancelTimers, f.timeouts...)
}

// drop takes out what was scheduled and withdrawn in this turn.
func (out *Outcome) drop() {
	if len(out.dropped) > 0 {
		out.Activities = slices.DeleteFunc(out.Activities, func(a Scheduled[*history.ActivityScheduled]) bool { return out.dropped[a.Number] })
		out.Timers = slices.DeleteFunc(out.Timers, func(t Scheduled[*history.TimerScheduled]) bool { return out.dropped[t.Number] })
		out.Timeouts = slices.DeleteFunc(out.Timeouts, func(t Timeout) bool { return out.dropped[t.scheduled()] })
	}
	out.first, out.dropped = 0, nil
}

// endWait takes a wait out of those that an external event can end.
func (x *Execution) endWait(f *Future) {
	waits := slices.DeleteFunc(x.waits[f.name], func(w *Future) bool { return w == f })
	if len(waits) == 0 {
		delete(x.waits, f.name)
	} else {
		x.waits[f.name] = waits
	}
}
