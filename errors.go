package pawl

import (
	"context"
	"errors"
	"fmt"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/engine"
	"github.com/pawlrun/pawl/internal/replay"
)

// Errors of clients, matchable with errors.Is.
var (
	// ErrAlreadyExists: an instance with that id exists. The error is an *InstanceError.
	ErrAlreadyExists = errors.New("instance already exists")
	// ErrNotFound: there is no instance with that id. The error is an *InstanceError.
	ErrNotFound = errors.New("instance not found")
	// ErrNotRunning: the instance has ended. The error is an *InstanceError.
	ErrNotRunning = errors.New("instance is not running")
	// ErrStopped: the app has been stopped.
	ErrStopped = engine.ErrStopped
	// ErrNotStarted: the app has not been started.
	ErrNotStarted = errors.New("app is not started: call Start first")
	// ErrInvalid: an argument breaks a rule. The error names it, its value and the rule.
	ErrInvalid = errors.New("invalid argument")
)

// What the engine finds out about failures, matchable with errors.Is on any error that holds a *Failure. Kinds of your own
// are ErrorKinds.
var (
	// ErrPanic: user code panicked.
	ErrPanic = errors.New("panic")
	// ErrGoexit: user code ended its goroutine with runtime.Goexit.
	ErrGoexit = errors.New("goexit")
	// ErrQuarantined: the item was begun too often without an outcome.
	ErrQuarantined = errors.New("quarantined")
	// ErrBadPayload: a value could not be encoded or decoded.
	ErrBadPayload = errors.New("bad payload")
	// ErrMisuse: the programming model was violated.
	ErrMisuse = errors.New("misuse")
	// ErrCancelled: it was cancelled. errors.As finds the reason as a *CancelledError.
	ErrCancelled = errors.New("cancelled")
	// ErrTerminated: it was terminated.
	ErrTerminated = errors.New("terminated")
	// ErrTimeout: a time limit has passed. errors.As finds which as a *TimeoutError.
	ErrTimeout = errors.New("timeout")
)

// Errors of orchestration code that uses its context wrongly.
var (
	// ErrForeignGoroutine: a *Context or Future was used on another goroutine than the orchestration's own.
	ErrForeignGoroutine = replay.ErrForeignGoroutine
	// ErrForeignFuture: a future of one orchestration was awaited in another.
	ErrForeignFuture = replay.ErrForeignFuture
)

// InstanceError is the failure of an operation on one instance. It unwraps to ErrAlreadyExists, ErrNotFound or
// ErrNotRunning.
type InstanceError struct {
	InstanceID string
	Err        error
}

// Error implements error.
func (e *InstanceError) Error() string { return fmt.Sprintf("instance %q: %v", e.InstanceID, e.Err) }

// Unwrap returns the reason.
func (e *InstanceError) Unwrap() error { return e.Err }

// TimeoutType says which time limit of an activity has passed.
type TimeoutType string

// The time limits of activities.
const (
	// TimeoutScheduleToStart: no worker began it in time.
	TimeoutScheduleToStart TimeoutType = history.TimeoutScheduleToStart
	// TimeoutStartToClose: one attempt took too long.
	TimeoutStartToClose TimeoutType = history.TimeoutStartToClose
	// TimeoutScheduleToClose: all attempts together took too long.
	TimeoutScheduleToClose TimeoutType = history.TimeoutScheduleToClose
	// TimeoutHeartbeat: a running attempt showed no sign of life.
	TimeoutHeartbeat TimeoutType = history.TimeoutHeartbeat
)

// TimeoutError says which time limit has passed. It matches ErrTimeout. errors.As finds it in any error that holds the
// *Failure of a timeout.
type TimeoutError struct {
	Type TimeoutType
}

// Error implements error.
func (e *TimeoutError) Error() string {
	if e.Type == "" {
		return ErrTimeout.Error()
	}
	return string(e.Type) + " timeout"
}

// Is matches ErrTimeout.
func (e *TimeoutError) Is(target error) bool { return target == ErrTimeout }

// CancelledError says that something was cancelled, and why. It matches ErrCancelled and context.Canceled. errors.As finds
// it in any error that holds the *Failure of a cancellation.
type CancelledError struct {
	Reason string // "" if none was given
}

// Error implements error.
func (e *CancelledError) Error() string { return withReason(ErrCancelled, e.Reason) }

// Is matches ErrCancelled and context.Canceled.
func (e *CancelledError) Is(target error) bool {
	return target == ErrCancelled || target == context.Canceled
}

// withReason is the text of something that may have a reason.
func withReason(what error, reason string) string {
	if reason == "" {
		return what.Error()
	}
	return what.Error() + ": " + reason
}

// ActivityError is what an orchestration gets from an activity that failed. It unwraps to a *Failure.
type ActivityError struct {
	Activity string
	// Attempts is how often it was begun. 0 if that is not known: it was cancelled, or its time from the scheduling on was over.
	Attempts int
	Err      error
}

// Error implements error.
func (e *ActivityError) Error() string {
	if e.Attempts > 1 {
		return fmt.Sprintf("activity %q, attempt %d: %v", e.Activity, e.Attempts, e.Err)
	}
	return fmt.Sprintf("activity %q: %v", e.Activity, e.Err)
}

// Unwrap returns the failure.
func (e *ActivityError) Unwrap() error { return e.Err }

// OrchestrationError is what a client, or a parent, gets from an orchestration that failed. It unwraps to a *Failure.
type OrchestrationError struct {
	Orchestration string // name, "" where only the instance is known
	InstanceID    string // "" where only the name is known
	Err           error
}

// Error implements error.
func (e *OrchestrationError) Error() string {
	switch {
	case e.InstanceID == "":
		return fmt.Sprintf("orchestration %q: %v", e.Orchestration, e.Err)
	case e.Orchestration == "":
		return fmt.Sprintf("orchestration instance %q: %v", e.InstanceID, e.Err)
	}
	return fmt.Sprintf("orchestration %q, instance %q: %v", e.Orchestration, e.InstanceID, e.Err)
}

// Unwrap returns the failure.
func (e *OrchestrationError) Unwrap() error { return e.Err }
