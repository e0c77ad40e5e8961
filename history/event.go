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
	Name        string    `json:"name"`
	Version     string    `json:"version,omitempty"`
	ExecutionID string    `json:"executionId"`
	Input       Payload   `json:"input,omitzero"`
	Parent      *Parent   `json:"parent,omitempty"`
	StartedAt   time.Time `json:"at"`
	// SeenMessages carries the ids of recently received external events over continue-as-new, so that a repeated raise
	// is dropped there too.
	SeenMessages []string `json:"seenMessages,omitempty"`
}

// Parent names the event of another execution that this one answers.
type Parent struct {
	InstanceID string `json:"instanceId"`
	Execution  int32  `json:"execution"`
	Event      int32  `json:"event"`
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

// ExecutionContinuedAsNew ends an execution that goes on as the next one.
type ExecutionContinuedAsNew struct {
	Input   Payload `json:"input,omitzero"`
	Version string  `json:"version,omitempty"`
}

// Activities.

// ActivityScheduled asks for an activity.
type ActivityScheduled struct {
	Name  string  `json:"name"`
	Input Payload `json:"input,omitzero"`
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

// Sub-orchestrations.

// ChildScheduled asks for a sub-orchestration.
type ChildScheduled struct {
	Name       string  `json:"name"`
	Version    string  `json:"version,omitempty"`
	InstanceID string  `json:"instanceId"`
	Input      Payload `json:"input,omitzero"`
}

// ChildCompleted answers ChildScheduled with a result.
type ChildCompleted struct {
	Scheduled int32   `json:"scheduled"`
	Result    Payload `json:"result,omitzero"`
}

// ChildFailed answers ChildScheduled with an error.
type ChildFailed struct {
	Scheduled int32   `json:"scheduled"`
	Failure   Failure `json:"failure"`
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
	}
	return nil
}

// UnknownEventError is returned when a history holds an event this build does not know.
type UnknownEventError struct{ EventType string }

// Error implements error.
func (e *UnknownEventError) Error() string {
	return fmt.Sprintf("history: unknown event type %q (written by a newer version?)", e.EventType)
}
