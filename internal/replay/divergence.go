package replay

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/pawlrun/pawl/history"
)

// Divergence says where code and history part.
type Divergence struct {
	Event    int32  // number of the event in question
	Expected string // what the history has there
	Actual   string // what the code did
	Source   string // the line of user code, "file:line (function)"
}

// diverge ends the coroutine with a divergence.
func (x *Execution) diverge(actual string, skip int) {
	x.out.Divergence = x.divergence(actual, callerOutside(skip))
	x.stop()
}

func (x *Execution) divergence(actual, source string) *Divergence {
	d := &Divergence{Event: x.next, Expected: "the end of the turn", Actual: actual, Source: source}
	if len(x.recorded) > 0 {
		d.Expected = describe(x.recorded[0])
	}
	return d
}

// sameCommand reports whether a recorded event is the command the code issues now. Names count, inputs and durations
// do not: changing those is harmless for what is recorded already.
func sameCommand(recorded, issued history.Event) bool {
	switch r := recorded.(type) {
	case *history.ActivityScheduled:
		i, ok := issued.(*history.ActivityScheduled)
		return ok && i.Name == r.Name
	case *history.ChildScheduled:
		i, ok := issued.(*history.ChildScheduled)
		return ok && i.Name == r.Name && i.InstanceID == r.InstanceID && i.Detached == r.Detached
	case *history.TimerScheduled:
		_, ok := issued.(*history.TimerScheduled)
		return ok
	case *history.EventAwaited:
		i, ok := issued.(*history.EventAwaited)
		return ok && i.Name == r.Name
	case *history.EventSent:
		i, ok := issued.(*history.EventSent)
		return ok && i.Name == r.Name && i.InstanceID == r.InstanceID
	case *history.Cancelled:
		i, ok := issued.(*history.Cancelled)
		return ok && i.Scheduled == r.Scheduled
	case *history.UpdateAnswered:
		i, ok := issued.(*history.UpdateAnswered)
		return ok && i.ID == r.ID
	}
	return false
}

// describe renders an event for people.
func describe(ev history.Event) string {
	switch ev := ev.(type) {
	case *history.ActivityScheduled:
		return fmt.Sprintf("ActivityScheduled(%q)", ev.Name)
	case *history.ChildScheduled:
		return fmt.Sprintf("ChildScheduled(%q, instance %q)", ev.Name, ev.InstanceID)
	case *history.EventAwaited:
		return fmt.Sprintf("EventAwaited(%q)", ev.Name)
	case *history.EventReceived:
		return fmt.Sprintf("EventReceived(%q)", ev.Name)
	case *history.EventSent:
		return fmt.Sprintf("EventSent(%q, instance %q)", ev.Name, ev.InstanceID)
	case *history.Cancelled:
		return fmt.Sprintf("Cancelled(event %d)", ev.Scheduled)
	case *history.UpdateReceived:
		return fmt.Sprintf("UpdateReceived(%q)", ev.Name)
	case *history.UpdateAnswered:
		return fmt.Sprintf("UpdateAnswered(of event %d)", ev.Received)
	case *history.LimitExceeded:
		return fmt.Sprintf("LimitExceeded(%s)", ev.What)
	case *history.ExecutionFailed:
		return fmt.Sprintf("ExecutionFailed(%s)", ev.Failure.Message)
	}
	if n, kind := answers(ev); kind != 0 {
		return fmt.Sprintf("%s(of event %d)", ev.Type(), n)
	}
	return ev.Type()
}

// callerOutside returns the nearest caller that is user code: outside this package and the public one.
func callerOutside(skip int) string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(skip, pcs)])
	for {
		f, more := frames.Next()
		if !isEngine(f) {
			return fmt.Sprintf("%s:%d (%s)", f.File, f.Line, f.Function)
		}
		if !more {
			return ""
		}
	}
}

func isEngine(f runtime.Frame) bool {
	if strings.HasSuffix(f.File, "_test.go") {
		return false
	}
	return strings.HasPrefix(f.Function, "github.com/pawlrun/pawl.") ||
		strings.HasPrefix(f.Function, "github.com/pawlrun/pawl/internal/replay.") ||
		strings.HasPrefix(f.Function, "runtime.")
}
