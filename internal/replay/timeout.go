package replay

import (
	"fmt"
	"slices"
	"time"

	"github.com/pawlrun/pawl/history"
)

// Timeout is a timer that bounds an activity from outside: nobody may be there to run it, or to say that it takes too long.
type Timeout struct {
	// Number is that of the scheduling event for the time until the activity starts; for the time until it ends, which may
	// be bounded as well, -1 minus that.
	Number int32
	FireAt time.Time
	// UnlessStarted: it does not fire once the activity has been begun.
	UnlessStarted bool
}

// scheduled is the number of the activity's scheduling event.
func (t Timeout) scheduled() int32 {
	if t.Number < 0 {
		return -1 - t.Number
	}
	return t.Number
}

// timeoutsOf returns the timers that an activity scheduled now needs.
func (x *Execution) timeoutsOf(n int32, o *history.ActivityOptions) []Timeout {
	if o == nil {
		return nil
	}
	var timeouts []Timeout
	if o.ScheduleToStart > 0 {
		timeouts = append(timeouts, Timeout{Number: n, FireAt: x.timerAt(o.ScheduleToStart), UnlessStarted: true})
	}
	if o.ScheduleToClose > 0 {
		timeouts = append(timeouts, Timeout{Number: -1 - n, FireAt: x.timerAt(o.ScheduleToClose)})
	}
	return timeouts
}

// timeoutNumbers are the numbers of the timers that an activity has.
func timeoutNumbers(n int32, o *history.ActivityOptions) []int32 {
	if o == nil {
		return nil
	}
	var numbers []int32
	if o.ScheduleToStart > 0 {
		numbers = append(numbers, n)
	}
	if o.ScheduleToClose > 0 {
		numbers = append(numbers, -1-n)
	}
	return numbers
}

// timedOut turns the firing of a timer that bounds an open activity into the activity's failure.
func (x *Execution) timedOut(fired *history.TimerFired) history.Event {
	n, bound := fired.Scheduled, history.TimeoutScheduleToStart
	if n < 0 {
		n, bound = -1-n, history.TimeoutScheduleToClose
	}
	f := x.open[n]
	if f == nil || !slices.Contains(f.timeouts, fired.Scheduled) {
		return fired
	}
	return &history.ActivityFailed{Scheduled: n, Failure: history.Failure{Kind: history.FailureTimeout, Timeout: bound, Source: f.name,
		Message: fmt.Sprintf("the %s timeout has passed", bound)}}
}
