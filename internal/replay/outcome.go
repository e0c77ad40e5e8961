package replay

import (
	"maps"
	"slices"
	"time"

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
	Cancelled
)

// Outcome is what a turn did.
type Outcome struct {
	// Events to be appended to the history.
	Events []history.Event
	// What the new events ask for.
	Activities []Scheduled[*history.ActivityScheduled]
	Timers     []Scheduled[*history.TimerScheduled]
	Timeouts   []Timeout
	Children   []Scheduled[*history.ChildScheduled]
	Sends      []Scheduled[*history.EventSent]
	// ChildCancels are children to be asked to end.
	ChildCancels []ChildCancel
	// CancelWork and CancelTimers are what earlier turns have scheduled and nobody waits for any more: withdrawn, overtaken,
	// or left open at the end of the execution.
	CancelWork   []int32
	CancelTimers []int32
	// Answers are the events among Events that answer updates.
	Answers []history.Event
	// CustomStatus replaces the status shown to the outside, if set.
	CustomStatus *history.Payload
	// Values are the entries of the key-value state that were set, or with the zero payload removed.
	Values map[string]history.Value
	// Waits are the names of external events now waited for, sorted; with code for updates, theirs among them.
	Waits []string
	// Consumed are the messages used up: applied, or dropped because they answer nothing any more. All others stay.
	Consumed []Message
	Status   Status
	// Next, with status ContinuedAsNew, is what the next execution begins with: all of its start but its id and time.
	Next *history.ExecutionStarted
	// Silent: the code has recorded nothing in its fresh turn, which is then to be recorded with ExecutionStarted.Begun.
	Silent bool
	// Divergence, if set, makes all other fields void.
	Divergence *Divergence

	// While the turn goes on: the number of its first event, and which of its events it has withdrawn again.
	first   int32
	dropped map[int32]bool
}

// ChildCancel asks a child to end.
type ChildCancel struct {
	Number     int32 // of the event that scheduled it
	InstanceID string
	Reason     string
}

// Scheduled is a scheduling event with its number.
type Scheduled[E history.Event] struct {
	Number int32
	Event  E
}

// put records a new event and notes what it asks for.
func (x *Execution) put(ev history.Event) {
	n := x.next
	x.next++
	if len(x.out.Events) == 0 {
		x.out.first = n
	}
	x.out.Events = append(x.out.Events, ev)
	switch ev := ev.(type) {
	case *history.ActivityScheduled:
		x.out.Activities = append(x.out.Activities, Scheduled[*history.ActivityScheduled]{n, ev})
		x.out.Timeouts = append(x.out.Timeouts, x.timeoutsOf(n, ev.Options)...)
	case *history.TimerScheduled:
		x.out.Timers = append(x.out.Timers, Scheduled[*history.TimerScheduled]{n, ev})
	case *history.ChildScheduled:
		x.out.Children = append(x.out.Children, Scheduled[*history.ChildScheduled]{n, ev})
	case *history.UpdateAnswered, *history.UpdateRejected, *history.UpdateRepeated:
		x.out.Answers = append(x.out.Answers, ev)
	case *history.EventSent:
		x.out.Sends = append(x.out.Sends, Scheduled[*history.EventSent]{n, ev})
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
	defer x.out.drop()
	if x.out.Status == Running {
		x.out.Waits = slices.Sorted(maps.Keys(x.waits))
		if len(x.updates) > 0 {
			x.out.Waits = append(x.out.Waits, history.UpdateName)
			slices.Sort(x.out.Waits)
		}
		return
	}
	for _, f := range x.openFutures() {
		switch f.kind {
		case openActivity, openTimer:
			x.out.cancel(f)
		case openChild:
			if f.close == history.CloseCancel && !f.withdrawn {
				x.out.ChildCancels = append(x.out.ChildCancels, ChildCancel{f.event, f.instanceID, "the parent has ended"})
			}
		}
	}
	if x.out.Status == ContinuedAsNew {
		x.out.Next = x.nextStarted(x.continued)
	}
}

// nextStarted is what the execution that continues this one begins with.
func (x *Execution) nextStarted(can *ContinueAsNew) *history.ExecutionStarted {
	next := *x.started
	next.ExecutionID, next.StartedAt, next.Begun = "", time.Time{}, false
	next.Input, next.SeenMessages, next.Values = can.Input, x.seen.recent(), x.currentValues()
	next.Updates = x.answered.order
	if can.Version != nil {
		next.Version = *can.Version
	}
	if why := x.root.cancelled; why != nil {
		next.Cancelled = &history.CancelRequested{Reason: why.Message}
	}
	return &next
}
