package pawl

import (
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

// Kinds of failure of user code, matchable with errors.Is on any error that holds a *Failure.
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

// Failure is an error of user code as it was recorded: it has crossed a process border, so the original value is gone,
// but its text, type, stack and causes are kept.
type Failure struct {
	Kind    string // "error", "panic", ... (package history)
	Message string
	Type    string // Go type of the original error or panic value
	Stack   string // of a panic
	Cause   error  // the failure it was caused by, or nil
}

// Error returns the original text, of a panic after the word.
func (f *Failure) Error() string {
	if f.Kind == string(history.FailurePanic) {
		return "panic: " + f.Message
	}
	return f.Message
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// Is matches the sentinel of the failure's kind.
func (f *Failure) Is(target error) bool {
	sentinel, ok := map[history.FailureKind]error{
		history.FailurePanic: ErrPanic, history.FailureGoexit: ErrGoexit, history.FailureExists: ErrAlreadyExists,
		history.FailureQuarantined: ErrQuarantined, history.FailureBadPayload: ErrBadPayload, history.FailureMisuse: ErrMisuse,
	}[history.FailureKind(f.Kind)]
	return ok && target == sentinel
}

// ActivityError is what an orchestration gets from an activity that failed. It unwraps to a *Failure.
type ActivityError struct {
	Activity string
	Err      error
}

// Error implements error.
func (e *ActivityError) Error() string { return fmt.Sprintf("activity %q: %v", e.Activity, e.Err) }

// Unwrap returns the failure.
func (e *ActivityError) Unwrap() error { return e.Err }

// OrchestrationError is what a client, or a parent, gets from an orchestration that failed. It unwraps to a *Failure.
type OrchestrationError struct {
	Orchestration string // name, "" where only the instance is known
	InstanceID    string
	Err           error
}

// Error implements error.
func (e *OrchestrationError) Error() string {
	if e.InstanceID == "" {
		return fmt.Sprintf("orchestration %q: %v", e.Orchestration, e.Err)
	}
	return fmt.Sprintf("orchestration instance %q: %v", e.InstanceID, e.Err)
}

// Unwrap returns the failure.
func (e *OrchestrationError) Unwrap() error { return e.Err }

// recordFailure converts an error of user code to its recorded form, causes included.
func recordFailure(err error) history.Failure {
	f := history.Failure{Kind: history.FailureError, Message: err.Error(), Type: fmt.Sprintf("%T", err)}
	switch e := err.(type) {
	case *payloadError:
		f.Kind = history.FailureBadPayload
	case *Failure:
		f.Message = e.Message
		f.Kind, f.Type, f.Stack = history.FailureKind(e.Kind), e.Type, e.Stack
	case *ActivityError:
		f.Source = e.Activity
	case *OrchestrationError:
		f.Source = e.Orchestration
	}
	if err == ErrForeignGoroutine || err == ErrForeignFuture {
		f.Kind = history.FailureMisuse
	}
	if cause := causeOf(err); cause != nil {
		c := recordFailure(cause)
		f.Cause = &c
	}
	return f
}

// causeOf returns what err wraps, the first of several.
func causeOf(err error) error {
	if e, ok := err.(*payloadError); ok {
		return e.err
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			if e != nil {
				return e
			}
		}
		return nil
	}
	return errors.Unwrap(err)
}

// restoreFailure is the reverse of recordFailure.
func restoreFailure(f *history.Failure) *Failure {
	r := &Failure{Kind: string(f.Kind), Message: f.Message, Type: f.Type, Stack: f.Stack}
	if f.Cause != nil {
		r.Cause = restoreFailure(f.Cause)
	}
	return r
}
