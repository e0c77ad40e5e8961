package replay

import (
	"fmt"
	"time"

	"github.com/pawlrun/pawl/history"
)

// Message is an input of a turn: an answer, or an external event.
type Message struct {
	// Order is the inbox order, 0 for a local result.
	Order int64
	// Token is the work item's lease of a local result.
	Token int64
	// At is when the message arrived or was due; zero for a local result.
	At time.Time
	// Execution it is for, 0 for any.
	Execution int32
	// Event is the event the message becomes: ActivityCompleted, ActivityFailed, TimerFired, ChildCompleted,
	// ChildFailed, or EventReceived with Awaited still open.
	Event history.Event
}

// step applies the next entry of the record, or parks when there is none. An error means that the caller may not park.
func (x *Execution) step() error {
	if x.progress != nil {
		x.progress()
	}
	x.skipPatches()
	if len(x.recorded) > 0 {
		ev, rest := x.recorded[0], x.recorded
		x.stopAtLimit()
		if isCommand(ev) {
			x.diverge("await", 4)
		}
		x.recorded = x.recorded[1:]
		x.next++
		if err := x.apply(ev); err != nil {
			x.recorded, x.next = rest, x.next-1
			x.diverge(err.Error(), 4)
		}
		return nil
	}
	for i, m := range x.pending {
		if x.take(m) {
			x.pending = append(x.pending[:i:i], x.pending[i+1:]...)
			return nil
		}
	}
	return x.park()
}

// take applies a message if the execution can use it now, and reports whether it is used up.
func (x *Execution) take(m Message) bool {
	timedOut := false
	if fired, ok := m.Event.(*history.TimerFired); ok {
		m.Event = x.timedOut(fired)
		_, timedOut = m.Event.(*history.ActivityFailed)
	}
	switch ev := m.Event.(type) {
	case *history.CancelRequested:
		mine := ev.Parent == nil || x.started.Parent != nil && *ev.Parent == *x.started.Parent
		if mine && x.root.cancelled == nil { // the first one counts
			x.append(ev)
			_ = x.apply(ev)
		}
	case *history.UpdateReceived:
		if !x.receive(ev) {
			return false
		}
	case *history.TurnStarted:
		x.live = true
		if ev.At.Before(x.now) {
			ev.At = x.now
		}
		x.append(ev)
		_ = x.apply(ev)
		return true
	case *history.EventReceived:
		if x.seen.has(ev.MessageID) {
			break
		}
		waits := x.waits[ev.Name]
		if len(waits) == 0 {
			return false
		}
		ev.Awaited = waits[0].event
		x.append(ev)
		_ = x.apply(ev)
	default:
		n, kind := answers(ev)
		if x.misdirected(ev) {
			break
		}
		if f := x.open[n]; (m.Execution == 0 || m.Execution == x.execution) && f != nil && f.kind == kind {
			x.append(ev)
			_ = x.apply(ev)
			x.out.cancelTimeouts(f)
			if timedOut {
				x.out.CancelWork = append(x.out.CancelWork, n)
			}
		}
	}
	x.out.Consumed = append(x.out.Consumed, m)
	return true
}

// apply gives an event that is not a command to what waits for it. An error means that the history is not one this
// engine wrote.
func (x *Execution) apply(ev history.Event) error {
	switch ev := ev.(type) {
	case *history.TurnStarted:
		if ev.At.After(x.now) {
			x.now = ev.At
		}
		return nil
	case *history.EventReceived:
		x.seen.add(ev.MessageID)
		for _, f := range x.waits[ev.Name] {
			if f.event == ev.Awaited {
				x.endWait(f)
				f.resolve(ev.Payload, nil)
				return nil
			}
		}
		return fmt.Errorf("no wait number %d for event %q", ev.Awaited, ev.Name)
	case *history.CancelRequested:
		x.root.Cancel(ev.Reason)
		return nil
	case *history.UpdateReceived:
		return x.handle(ev)
	case *history.UpdateRejected:
		x.answered.add(history.UpdateAt{ID: ev.ID, Execution: x.execution, Event: x.next - 1})
		return nil
	case *history.UpdateRepeated:
		return nil
	case *history.ActivityCompleted:
		return x.answer(ev, ev.Result, nil)
	case *history.ActivityFailed:
		return x.answer(ev, history.Payload{}, &ev.Failure)
	case *history.TimerFired:
		return x.answer(ev, history.Payload{}, nil)
	case *history.ChildCompleted:
		return x.answer(ev, ev.Result, nil)
	case *history.ChildFailed:
		return x.answer(ev, history.Payload{}, &ev.Failure)
	}
	return fmt.Errorf("the orchestration goes on after %s", ev.Type())
}

func (x *Execution) answer(ev history.Event, result history.Payload, failure *history.Failure) error {
	n, kind := answers(ev)
	f := x.open[n]
	if f == nil || f.kind != kind {
		return fmt.Errorf("%s answers event %d, which is not open", ev.Type(), n)
	}
	delete(x.open, n)
	f.resolve(result, failure)
	return nil
}

// openKind says what an open future waits for.
type openKind uint8

const (
	openActivity openKind = iota + 1
	openTimer
	openChild
	openWait
)

// misdirected reports whether a child's answer is for another instance, which had this id before; it takes the address off
// an answer that is not.
func (x *Execution) misdirected(ev history.Event) bool {
	var address *string
	switch ev := ev.(type) {
	case *history.ChildCompleted:
		address = &ev.For
	case *history.ChildFailed:
		address = &ev.For
	default:
		return false
	}
	if *address != "" && *address != x.started.ExecutionID {
		return true
	}
	*address = ""
	return false
}

// answers returns the scheduling event an answer names, and of which kind that must be.
func answers(ev history.Event) (int32, openKind) {
	switch ev := ev.(type) {
	case *history.ActivityCompleted:
		return ev.Scheduled, openActivity
	case *history.ActivityFailed:
		return ev.Scheduled, openActivity
	case *history.TimerFired:
		return ev.Scheduled, openTimer
	case *history.ChildCompleted:
		return ev.Scheduled, openChild
	case *history.ChildFailed:
		return ev.Scheduled, openChild
	}
	return -1, 0
}

func isCommand(ev history.Event) bool {
	switch ev.(type) {
	case *history.ActivityScheduled, *history.TimerScheduled, *history.ChildScheduled, *history.EventAwaited, *history.EventSent,
		*history.Cancelled, *history.UpdateAnswered, *history.LimitExceeded:
		return true
	}
	return false
}

// Now is the time of the turn as the code sees it.
func (x *Execution) Now() time.Time { return x.now }

// How many ids of received external events an execution remembers, and hands on to the next. A raise is repeated within
// seconds of the first try; what was raised in between comes before the repeat.
const (
	seenLimit  = 10_000
	seenHandOn = 1000
)

// seenMessages remembers the ids of the latest external events.
type seenMessages struct {
	ids   map[string]struct{}
	order []string
}

func (s *seenMessages) seed(ids []string) {
	for _, id := range ids {
		s.add(id)
	}
}

func (s *seenMessages) has(id string) bool {
	_, ok := s.ids[id]
	return ok && id != ""
}

func (s *seenMessages) add(id string) {
	if id == "" || s.has(id) {
		return
	}
	if s.ids == nil {
		s.ids = map[string]struct{}{}
	}
	s.ids[id] = struct{}{}
	s.order = append(s.order, id)
	if len(s.order) > seenLimit {
		delete(s.ids, s.order[0])
		s.order = s.order[1:]
	}
}

func (s *seenMessages) recent() []string { return s.order[max(0, len(s.order)-seenHandOn):] }
