// Package history defines the on-disk contract: the events an execution's history is made of, the payloads and
// failures they carry, and their JSON form. Golden files in testdata pin it; a field may be added, none may change.
//
// An event's number is its position within its execution, from 0. Events that schedule something (an activity, a
// timer, a child, a wait) are known by that number, and the events that answer name it. The package imports only the
// standard library and knows nothing of stores.
package history

import (
	"fmt"
	"time"
)

// Event is one entry of a history. The concrete types are in this package, one file each.
type Event interface {
	// Type is the name stored with the event.
	Type() string
}

// Executions.

// ExecutionStarted is event 0 of every execution.
type ExecutionStarted struct {
	Name        string  `json:"name"`
	Version     string  `json:"version,omitempty"`
	ExecutionID string  `json:"executionId"`
	Input       Payload `json:"input,omitzero"`
	Parent      *Parent `json:"parent,omitempty"`
	// FailParked: the parent gets a failure if the instance is parked for what its code has done.
	FailParked bool      `json:"failParked,omitempty"`
	StartedAt  time.Time `json:"at"`
	// Priority of the instance, and of what it schedules.
	Priority Priority `json:"priority,omitempty"`
	// Replaces: the instance may have taken the place of another of its id, so that its id alone does not name it.
	Replaces bool `json:"replaces,omitempty"`
	// Begun: the first turn was run with the start, at its time, and has recorded nothing but a TurnStarted after it.
	Begun bool `json:"begun,omitempty"`
	// SeenMessages carries the ids of recently received external events over continue-as-new, so that a repeated raise
	// is dropped there too.
	SeenMessages []string `json:"seenMessages,omitempty"`
	// Cancelled carries a request to cancel that an earlier execution was given over continue-as-new.
	Cancelled *CancelRequested `json:"cancelled,omitempty"`
	// Values is the key-value state that the execution begins with, so that the code can read it: what the instance was started
	// with, and after continue-as-new what the code has made of that.
	Values map[string]Payload `json:"values,omitempty"`
	// Updates carries the places of recent answers to updates over continue-as-new, so that a repeated one finds its answer.
	Updates []UpdateAt `json:"updates,omitempty"`
}

// Parent names the event of another execution that this one answers.
type Parent struct {
	InstanceID string `json:"instanceId"`
	Execution  int32  `json:"execution"`
	Event      int32  `json:"event"`
	// ExecutionID tells the execution from that of another instance that has taken the id since.
	ExecutionID string `json:"executionId,omitempty"`
}

// TurnStarted opens every turn but the recorded start itself: all that follows happened at this time.
type TurnStarted struct {
	At time.Time `json:"at"`
}

// ExecutionCompleted ends an execution whose function returned without error.
type ExecutionCompleted struct {
	Result Payload `json:"result,omitzero"`
}

// ExecutionFailed ends an execution whose function returned an error or panicked.
type ExecutionFailed struct {
	Failure Failure `json:"failure"`
}

// ExecutionCancelled ends an execution that was asked to end and whose function returned the cancellation.
type ExecutionCancelled struct {
	Failure Failure `json:"failure"`
}

// ExecutionTerminated ends an execution from outside: the store writes it, no code runs.
type ExecutionTerminated struct {
	Reason string `json:"reason,omitempty"`
}

// ExecutionContinuedAsNew ends an execution that goes on as the next one.
type ExecutionContinuedAsNew struct {
	Input   Payload `json:"input,omitzero"`
	Version string  `json:"version,omitempty"`
}

// Activities.

// ActivityScheduled asks for an activity.
type ActivityScheduled struct {
	Name    string           `json:"name"`
	Input   Payload          `json:"input,omitzero"`
	Options *ActivityOptions `json:"options,omitempty"`
}

// ActivityCompleted answers ActivityScheduled with a result.
type ActivityCompleted struct {
	Scheduled int32   `json:"scheduled"`
	Result    Payload `json:"result,omitzero"`
}

// ActivityFailed answers ActivityScheduled with an error.
type ActivityFailed struct {
	Scheduled int32   `json:"scheduled"`
	Failure   Failure `json:"failure"`
}

// Timers.

// TimerScheduled asks for a timer.
type TimerScheduled struct {
	FireAt time.Time `json:"fireAt"`
}

// TimerFired answers TimerScheduled.
type TimerFired struct {
	Scheduled int32 `json:"scheduled"`
}

// External events.

// EventAwaited records that the execution waits for an external event.
type EventAwaited struct {
	Name string `json:"name"`
}

// EventReceived gives an external event to the wait that took it.
type EventReceived struct {
	Awaited   int32   `json:"awaited"`
	Name      string  `json:"name"`
	MessageID string  `json:"messageId,omitempty"`
	Payload   Payload `json:"payload,omitzero"`
}

// EventSent asks for an external event to be sent to another instance.
type EventSent struct {
	InstanceID string  `json:"instanceId"`
	Name       string  `json:"name"`
	Payload    Payload `json:"payload,omitzero"`
}

// Sub-orchestrations.

// ChildScheduled asks for a sub-orchestration.
type ChildScheduled struct {
	Name       string  `json:"name"`
	Version    string  `json:"version,omitempty"`
	InstanceID string  `json:"instanceId"`
	Input      Payload `json:"input,omitzero"`
	// Close says what becomes of the child when this execution ends before it.
	Close ParentClose `json:"close,omitempty"`
	// FailParked has the child's parking answer this event.
	FailParked bool `json:"failParked,omitempty"`
	// Detached marks an instance that is started and not waited for; it has no parent.
	Detached bool `json:"detached,omitempty"`
	// Priority of the child; "" is that of this instance.
	Priority Priority `json:"priority,omitempty"`
	// Values is the key-value state that the child begins with.
	Values map[string]Value `json:"values,omitempty"`
}

// Value is an entry of the key-value state.
type Value struct {
	Data Payload `json:"data"`
	// Searchable entries are those that the instance is found by.
	Searchable bool `json:"searchable,omitempty"`
}

// ParentClose says what becomes of a child when its parent's execution ends before it.
type ParentClose string

// The policies for children whose parent ends.
const (
	CloseAbandon ParentClose = ""       // it goes on
	CloseCancel  ParentClose = "cancel" // it is asked to end
	CloseWait    ParentClose = "wait"   // the parent does not end before it
)

// ChildCompleted answers ChildScheduled with a result.
type ChildCompleted struct {
	Scheduled int32   `json:"scheduled"`
	Result    Payload `json:"result,omitzero"`
	// For is the execution id of the parent, while the event is a message on its way.
	For string `json:"for,omitempty"`
}

// ChildFailed answers ChildScheduled with an error.
type ChildFailed struct {
	Scheduled int32   `json:"scheduled"`
	Failure   Failure `json:"failure"`
	// For is the execution id of the parent, while the event is a message on its way.
	For string `json:"for,omitempty"`
}

// Cancellation.

// CancelRequested records that the instance was asked to end.
type CancelRequested struct {
	Reason string `json:"reason,omitempty"`
	// Parent is the event of a parent that scheduled the child it asks; an instance that is not that child takes no notice.
	// Nil for a request from outside.
	Parent *Parent `json:"parent,omitempty"`
}

// Cancelled withdraws what an event has asked for: nobody waits for the activity, timer or external event any more. A child
// is asked to end, and its answer is still waited for.
type Cancelled struct {
	Scheduled int32 `json:"scheduled"`
}

// Versions.

// PatchMarked records that the code passed a patch with the new behaviour.
type PatchMarked struct {
	ID string `json:"id"`
}

// Type implements Event.
func (*ExecutionStarted) Type() string        { return "ExecutionStarted" }
func (*TurnStarted) Type() string             { return "TurnStarted" }
func (*ExecutionCompleted) Type() string      { return "ExecutionCompleted" }
func (*ExecutionFailed) Type() string         { return "ExecutionFailed" }
func (*ExecutionContinuedAsNew) Type() string { return "ExecutionContinuedAsNew" }
func (*ActivityScheduled) Type() string       { return "ActivityScheduled" }
func (*ActivityCompleted) Type() string       { return "ActivityCompleted" }
func (*ActivityFailed) Type() string          { return "ActivityFailed" }
func (*TimerScheduled) Type() string          { return "TimerScheduled" }
func (*TimerFired) Type() string              { return "TimerFired" }
func (*EventAwaited) Type() string            { return "EventAwaited" }
func (*EventReceived) Type() string           { return "EventReceived" }
func (*ChildScheduled) Type() string          { return "ChildScheduled" }
func (*ChildCompleted) Type() string          { return "ChildCompleted" }
func (*ChildFailed) Type() string             { return "ChildFailed" }
func (*ExecutionCancelled) Type() string      { return "ExecutionCancelled" }
func (*ExecutionTerminated) Type() string     { return "ExecutionTerminated" }
func (*EventSent) Type() string               { return "EventSent" }
func (*CancelRequested) Type() string         { return "CancelRequested" }
func (*Cancelled) Type() string               { return "Cancelled" }
func (*PatchMarked) Type() string             { return "PatchMarked" }

// newEvent returns an empty event of the given type, nil if there is none.
func newEvent(typ string) Event {
	switch typ {
	case "ExecutionStarted":
		return new(ExecutionStarted)
	case "TurnStarted":
		return new(TurnStarted)
	case "ExecutionCompleted":
		return new(ExecutionCompleted)
	case "ExecutionFailed":
		return new(ExecutionFailed)
	case "ExecutionContinuedAsNew":
		return new(ExecutionContinuedAsNew)
	case "ActivityScheduled":
		return new(ActivityScheduled)
	case "ActivityCompleted":
		return new(ActivityCompleted)
	case "ActivityFailed":
		return new(ActivityFailed)
	case "TimerScheduled":
		return new(TimerScheduled)
	case "TimerFired":
		return new(TimerFired)
	case "EventAwaited":
		return new(EventAwaited)
	case "EventReceived":
		return new(EventReceived)
	case "ChildScheduled":
		return new(ChildScheduled)
	case "ChildCompleted":
		return new(ChildCompleted)
	case "ChildFailed":
		return new(ChildFailed)
	case "ExecutionCancelled":
		return new(ExecutionCancelled)
	case "ExecutionTerminated":
		return new(ExecutionTerminated)
	case "EventSent":
		return new(EventSent)
	case "CancelRequested":
		return new(CancelRequested)
	case "Cancelled":
		return new(Cancelled)
	case "PatchMarked":
		return new(PatchMarked)
	case "UpdateReceived":
		return new(UpdateReceived)
	case "UpdateAnswered":
		return new(UpdateAnswered)
	case "UpdateRejected":
		return new(UpdateRejected)
	case "UpdateRepeated":
		return new(UpdateRepeated)
	case "LimitExceeded":
		return new(LimitExceeded)
	}
	return nil
}

// UnknownEventError is returned when a history holds an event this build does not know.
type UnknownEventError struct{ EventType string }

// Error implements error.
func (e *UnknownEventError) Error() string {
	return fmt.Sprintf("history: unknown event type %q (written by a newer version?)", e.EventType)
}
