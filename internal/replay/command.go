package replay

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/pawlrun/pawl/history"
)

// Activity schedules an activity; nil options are the defaults.
func (s *Scope) Activity(name string, input history.Payload, options *history.ActivityOptions) *Future {
	return s.schedule(&history.ActivityScheduled{Name: name, Input: input, Options: options}, openActivity, name)
}

// Timer schedules a timer that fires d after the time of the turn, rounded up to the microseconds that stores keep. d
// below zero counts as zero.
func (s *Scope) Timer(d time.Duration) *Future {
	return s.schedule(&history.TimerScheduled{FireAt: s.x.timerAt(d)}, openTimer, "timer")
}

func (x *Execution) timerAt(d time.Duration) time.Time {
	return x.now.Add(max(d, 0) + time.Microsecond - 1).Truncate(time.Microsecond)
}

// Child schedules a sub-orchestration. An empty instance id is replaced by one derived from the parent's, its execution
// and the event's number. A detached one is not waited for: its future is answered only if the id is taken.
func (s *Scope) Child(child history.ChildScheduled) *Future {
	if child.InstanceID == "" {
		s.x.enter()
		s.x.skipPatches() // they count
		child.InstanceID = s.x.childID()
	}
	return s.schedule(&child, openChild, child.Name)
}

// Send sends an external event to another instance, once the turn is committed.
func (x *Execution) Send(event history.EventSent) {
	x.enter()
	x.issue(&event)
}

// maxChildID is the longest instance id a store takes.
const maxChildID = 255

// childID derives an id for the child that is scheduled next. A parent's id that leaves no room is replaced by its hash. The
// children of an instance whose place the parent has taken may be there still, so that their ids are taken.
func (x *Execution) childID() string {
	position := fmt.Sprintf(":%d:%d", x.execution, x.next)
	if x.started.Replaces {
		position = fmt.Sprintf(":%d-%.12s:%d", x.execution, x.started.ExecutionID, x.next)
	}
	id := x.instanceID + position
	if len(id) > maxChildID {
		id = fmt.Sprintf("%x%s", sha256.Sum256([]byte(x.instanceID)), position)
	}
	return id
}

// Event waits for an external event.
func (s *Scope) Event(name string) *Future {
	return s.schedule(&history.EventAwaited{Name: name}, openWait, name)
}

// schedule issues a command that has an answer. In a cancelled scope nothing is scheduled: the answer is the cancellation.
func (s *Scope) schedule(ev history.Event, kind openKind, name string) *Future {
	x := s.x
	x.enter()
	f := &Future{x: x, scope: s, event: -1, name: name, kind: kind}
	if why := s.Cancelled(); why != nil {
		f.resolve(history.Payload{}, why)
		return f
	}
	x.skipPatches()
	f.event = x.next
	if recorded := x.issue(ev); recorded != nil {
		ev = recorded // what was scheduled, with the options of then
	}
	switch ev := ev.(type) {
	case *history.ActivityScheduled:
		f.timeouts = timeoutNumbers(f.event, ev.Options)
	case *history.ChildScheduled:
		f.instanceID, f.detached, f.close = ev.InstanceID, ev.Detached, ev.Close
	}
	if kind == openWait {
		if x.waits == nil {
			x.waits = map[string][]*Future{}
		}
		x.waits[name] = append(x.waits[name], f)
	} else {
		x.open[f.event] = f
	}
	return f
}

// issue records a command and returns nil, or checks that it is the one recorded and returns that.
func (x *Execution) issue(ev history.Event) history.Event {
	x.skipPatches()
	if len(x.recorded) > 0 {
		recorded := x.recorded[0]
		if !sameCommand(recorded, ev) {
			x.stopAtLimit()
			x.diverge(describe(ev), 4)
		}
		x.recorded = x.recorded[1:]
		x.next++
		return recorded
	}
	if !x.live {
		x.diverge(describe(ev), 4)
	}
	x.weigh(ev)
	x.append(ev)
	return nil
}

// InstanceID is the id of the instance.
func (x *Execution) InstanceID() string { return x.instanceID }

// ExecutionNumber is 1 for the first execution, one more after each continue-as-new.
func (x *Execution) ExecutionNumber() int32 { return x.execution }

// Started is the execution's first event.
func (x *Execution) Started() *history.ExecutionStarted { return x.started }

// Replaying reports whether the code running now ran before, so that its side effects (logs) should be muted.
func (x *Execution) Replaying() bool { return !x.live || x.dead.Load() }

// NewID returns 16 bytes that no other call returns and that a replay returns again: a hash of the execution id and a
// counter.
func (x *Execution) NewID() [16]byte {
	if x.readOnly { // which no replay repeats
		x.refuse()
	}
	x.ids++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", x.started.ExecutionID, x.ids))
	return [16]byte(sum[:16])
}
