package pawl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pawlrun/pawl/history"
)

// Failure is an error of user code as it was recorded: it has crossed a process border, so the original value is gone,
// but its text, type, kind, details, stack and causes are kept. Each error in the original's tree is a Failure of its own,
// and errors.Is and errors.As on them find
//
//   - the ErrorKinds of user code, and the errors of this package that can be matched with errors.Is;
//   - context.Canceled and context.DeadlineExceeded;
//   - as new values: *Error, *ActivityError, *OrchestrationError, *InstanceError, *TimeoutError, *CancelledError, *LimitError, ErrorKind.
type Failure struct {
	// Kind says what happened: "error" for an error that was returned, "panic", "timeout", ... (package history).
	Kind string
	// Code is the ErrorKind of user code, "" if it has none. Codes that begin with "go:" or "pawl:" stand for well-known
	// values.
	Code    ErrorKind
	Message string
	Type    string // Go type of the original error or panic value
	Stack   string // of a panic
	// NonRetryable and NextDelay are what the error says about another attempt, see Error.
	NonRetryable bool
	NextDelay    time.Duration
	// Cause is the failure it was caused by, or nil. If it was caused by several, this is what joins them: it has a method
	// Unwrap() []error.
	Cause error

	source     string // the activity or orchestration that failed
	instanceID string // of the orchestration
	timeout    TimeoutType
	attempts   int // of the activity
	exceeded   *history.Exceeded
	details    history.Payload
}

// Error returns the original text; of a panic, a cancellation and a termination after the word.
func (f *Failure) Error() string {
	switch history.FailureKind(f.Kind) {
	case history.FailurePanic:
		return "panic: " + f.Message
	case history.FailureCancelled:
		return withReason(ErrCancelled, f.Message)
	case history.FailureTerminated:
		return withReason(ErrTerminated, f.Message)
	case history.FailureTimeout:
		if f.Message == "" {
			return (&TimeoutError{f.timeout}).Error()
		}
	}
	return f.Message
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// DecodeDetails decodes what the original error had as Details into out, a pointer. It reports false, and leaves out as it
// is, if there was nothing; the error is one of decoding. It does not look at causes; the function Details does.
func (f *Failure) DecodeDetails(out any) (bool, error) {
	if f.details.IsZero() {
		return false, nil
	}
	return true, decode("details", "", f.details, out)
}

// Is matches the ErrorKind or well-known error that the original was, and the sentinel of the failure's kind.
func (f *Failure) Is(target error) bool {
	if kind, ok := target.(ErrorKind); ok {
		return f.Code != "" && string(f.Code) == codeOf(kind)
	}
	if f.Code != "" {
		for _, known := range wellKnown {
			if known.code == string(f.Code) {
				if target == known.err {
					return true
				}
				break
			}
		}
	}
	kind := history.FailureKind(f.Kind)
	return target != nil && target == kindErrors[kind] || kind == history.FailureCancelled && target == context.Canceled
}

// kindErrors are what failures of a kind match, whatever error they were.
var kindErrors = map[history.FailureKind]error{
	history.FailurePanic:       ErrPanic,
	history.FailureGoexit:      ErrGoexit,
	history.FailureExists:      ErrAlreadyExists,
	history.FailureQuarantined: ErrQuarantined,
	history.FailureDiverged:    ErrDiverged,
	history.FailureBadPayload:  ErrBadPayload,
	history.FailureMisuse:      ErrMisuse,
	history.FailureCancelled:   ErrCancelled,
	history.FailureTerminated:  ErrTerminated,
	history.FailureTimeout:     ErrTimeout,
	history.FailureLimit:       ErrLimit,
	history.FailureSessionLost: ErrSessionLost,
}

// As makes the error that the original was, for those types of this package whose content is recorded.
func (f *Failure) As(target any) bool {
	ok := false
	switch t := target.(type) {
	case *ErrorKind:
		if ok = f.Code != "" && !reserved(f.Code); ok {
			*t = f.Code
		}
	case **Error:
		if ok = f.Type == typeName(*t); ok {
			*t = &Error{Kind: f.Code, Message: f.ownMessage(), Details: rawDetails(f.details), NonRetryable: f.NonRetryable, NextDelay: f.NextDelay, Cause: f.Cause}
		}
	case **ActivityError:
		if ok = f.Type == typeName(*t) && f.source != ""; ok {
			attempts := f.attempts
			if cause, ok := f.Cause.(*Failure); ok && attempts == 0 {
				attempts = cause.begun()
			}
			*t = &ActivityError{Activity: f.source, Attempts: attempts, Err: f.Cause}
		}
	case **OrchestrationError:
		if ok = f.Type == typeName(*t) && f.source+f.instanceID != ""; ok {
			*t = &OrchestrationError{Orchestration: f.source, InstanceID: f.instanceID, Err: f.Cause}
		}
	case **InstanceError:
		if ok = f.Type == typeName(*t) && f.instanceID != ""; ok {
			*t = &InstanceError{InstanceID: f.instanceID, Err: f.Cause}
		}
	case **TimeoutError:
		if ok = f.Kind == string(history.FailureTimeout) && f.timeout != ""; ok {
			*t = &TimeoutError{Type: f.timeout}
		}
	case **LimitError:
		if ok = f.exceeded != nil; ok {
			e := f.exceeded
			*t = &LimitError{What: e.What, Key: e.Key, Size: e.Size, Limit: e.Limit, Option: optionOf(e.What)}
		}
	case **CancelledError:
		if ok = f.Kind == string(history.FailureCancelled); ok {
			*t = &CancelledError{Reason: f.Message}
		}
	}
	return ok
}

// begun is how often an activity that has failed so was begun, 0 if that does not follow: one attempt is not recorded, and
// neither is how many there were before the orchestration itself gave it up.
func (f *Failure) begun() int {
	givenUp := f.Kind == string(history.FailureCancelled) || f.timeout == TimeoutScheduleToStart || f.timeout == TimeoutScheduleToClose
	if f.attempts == 0 && (f.Type != "" || !givenUp) {
		return 1
	}
	return f.attempts
}

func typeName(v any) string { return fmt.Sprintf("%T", v) }

// ownMessage is the message of an Error without what it adds of its cause.
func (f *Failure) ownMessage() string {
	if f.Cause == nil {
		return f.Message
	}
	if f.Message == f.Cause.Error() {
		return ""
	}
	return strings.TrimSuffix(f.Message, ": "+f.Cause.Error())
}

// restoreFailure is the reverse of recordFailure.
func restoreFailure(f *history.Failure) *Failure {
	r := &Failure{Kind: string(f.Kind), Code: ErrorKind(f.Code), Message: f.Message, Type: f.Type, Stack: f.Stack,
		NonRetryable: f.NonRetryable, NextDelay: f.NextDelay,
		source: f.Source, instanceID: f.InstanceID, timeout: TimeoutType(f.Timeout), attempts: int(f.Attempts), details: f.Details, exceeded: f.Exceeded}
	var causes []error
	for _, c := range f.CausedBy() {
		if c != nil {
			causes = append(causes, restoreFailure(c))
		}
	}
	if len(causes) == 1 {
		r.Cause = causes[0]
	} else {
		r.Cause = errors.Join(causes...)
	}
	return r
}
