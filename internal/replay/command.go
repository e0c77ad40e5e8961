package replay

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/pawlrun/pawl/history"
)

// MaxTurnEvents bounds what one turn may append, so that a loop that schedules without awaiting ends in an error and
// not in a full memory.
const MaxTurnEvents = 100_000

// Activity schedules an activity.
func (x *Execution) Activity(name string, input history.Payload) *Future {
	return x.schedule(&history.ActivityScheduled{Name: name, Input: input}, openActivity, name)
}

// Timer schedules a timer that fires d after the time of the turn, rounded up to the microseconds that stores keep. d
// below zero counts as zero.
func (x *Execution) Timer(d time.Duration) *Future {
	at := x.now.Add(max(d, 0) + time.Microsecond - 1).Truncate(time.Microsecond)
	return x.schedule(&history.TimerScheduled{FireAt: at}, openTimer, "timer")
}

// Child schedules a sub-orchestration. An empty instance id is replaced by one derived from the parent's, its execution
// and the event's number.
func (x *Execution) Child(name, version, instanceID string, input history.Payload) *Future {
	if instanceID == "" {
		instanceID = x.childID()
	}
	return x.schedule(&history.ChildScheduled{Name: name, Version: version, InstanceID: instanceID, Input: input}, openChild, name)
}

// maxChildID is the longest instance id a store takes.
const maxChildID = 255

// childID derives an id for the child that is scheduled next. A parent's id that leaves no room is replaced by its hash.
func (x *Execution) childID() string {
	id := fmt.Sprintf("%s:%d:%d", x.instanceID, x.execution, x.next)
	if len(id) > maxChildID {
		id = fmt.Sprintf("%x:%d:%d", sha256.Sum256([]byte(x.instanceID)), x.execution, x.next)
	}
	return id
}

// Event waits for an external event.
func (x *Execution) Event(name string) *Future {
	return x.schedule(&history.EventAwaited{Name: name}, openWait, name)
}

// schedule issues a command: it records it, or checks that it is the one recorded.
func (x *Execution) schedule(ev history.Event, kind openKind, name string) *Future {
	x.enter()
	f := &Future{x: x, event: x.next, name: name, kind: kind}
	if len(x.recorded) > 0 {
		if !sameCommand(x.recorded[0], ev) {
			x.diverge(describe(ev), 4)
		}
		x.recorded = x.recorded[1:]
		x.next++
	} else if !x.live {
		x.diverge(describe(ev), 4)
	} else if len(x.out.Events) >= MaxTurnEvents {
		x.fail(history.Failure{Kind: history.FailureMisuse, Message: fmt.Sprintf("one turn issued more than %d events without awaiting", MaxTurnEvents)})
		x.stop()
	} else {
		x.append(ev)
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
	x.ids++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", x.started.ExecutionID, x.ids))
	return [16]byte(sum[:16])
}
