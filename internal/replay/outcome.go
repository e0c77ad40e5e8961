package replay

import (
	"maps"
	"slices"

	"github.com/pawlrun/pawl/history"
)

// Status says how a turn left the execution.
type Status uint8

// The statuses after a turn.
const (
	Running Status = iota
	Completed
	Failed
	ContinuedAsNew
)

// Outcome is what a turn did.
type Outcome struct {
	// Events to be appended to the history.
	Events []history.Event
	// What the new events ask for.
	Activities []Scheduled[*history.ActivityScheduled]
	Timers     []Scheduled[*history.TimerScheduled]
	Children   []Scheduled[*history.ChildScheduled]
	// Waits are the names of external events now waited for, sorted.
	Waits []string
	// Consumed are the messages used up: applied, or dropped because they answer nothing any more. All others stay.
	Consumed []Message
	Status   Status
	// ContinueAsNew and SeenMessages belong to status ContinuedAsNew.
	ContinueAsNew *ContinueAsNew
	SeenMessages  []string
	// OpenActivities and OpenTimers, at the end of an execution, are those that will not be waited for any more.
	OpenActivities []int32
	OpenTimers     []int32
	// Divergence, if set, makes all other fields void.
	Divergence *Divergence
}

// Scheduled is a scheduling event with its number.
type Scheduled[E history.Event] struct {
	Number int32
	Event  E
}

// append records a new event and notes what it asks for.
func (x *Execution) append(ev history.Event) {
	n := x.next
	x.next++
	x.out.Events = append(x.out.Events, ev)
	switch ev := ev.(type) {
	case *history.ActivityScheduled:
		x.out.Activities = append(x.out.Activities, Scheduled[*history.ActivityScheduled]{n, ev})
	case *history.TimerScheduled:
		x.out.Timers = append(x.out.Timers, Scheduled[*history.TimerScheduled]{n, ev})
	case *history.ChildScheduled:
		x.out.Children = append(x.out.Children, Scheduled[*history.ChildScheduled]{n, ev})
	}
}

// finish completes the outcome from the state the coroutine left.
func (x *Execution) finish() {
	x.pending = nil
	if len(x.recorded) == 0 {
		x.recorded = nil
	}
	if x.out.Divergence != nil {
		x.out = Outcome{Divergence: x.out.Divergence}
		return
	}
	if x.out.Status == Running {
		x.out.Waits = slices.Sorted(maps.Keys(x.waits))
		return
	}
	for n, f := range x.open {
		switch f.kind {
		case openActivity:
			x.out.OpenActivities = append(x.out.OpenActivities, n)
		case openTimer:
			x.out.OpenTimers = append(x.out.OpenTimers, n)
		}
	}
	slices.Sort(x.out.OpenActivities)
	slices.Sort(x.out.OpenTimers)
	if x.out.Status == ContinuedAsNew {
		x.out.SeenMessages = x.seen.recent()
	}
}
