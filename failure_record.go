package pawl

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"github.com/pawlrun/pawl/history"
)

// Limits of a recorded failure (docs/errors.md). What is beyond them is left out, and the message of the level where it is
// missing says so.
const (
	maxFailureDepth   = 16        // levels below each other
	outerLevels       = 8         // of a deeper chain so many are kept at its top, the rest at its end
	maxFailureChain   = 1000      // levels of a chain, beyond which its end is not looked for
	maxFailureCauses  = 16        // causes of one level
	maxFailureLevels  = 256       // levels in all
	maxFailureRoom    = 1 << 20   // bytes of messages, stacks and details in all, beyond 1 KiB for each message
	maxFailureDetails = 256 << 10 // bytes of the details of one level
	maxFailureName    = 1 << 10   // bytes of a code, the name of a type or a note
)

// wellKnown are the values that a failure still matches on the other side of a border, with the codes they are recorded
// by. Codes are part of the stored form: add some, change none.
var wellKnown = []struct {
	err  error
	code string
}{
	{context.Canceled, "go:context.Canceled"},
	{context.DeadlineExceeded, "go:context.DeadlineExceeded"},
	{ErrAlreadyExists, "pawl:already-exists"},
	{ErrNotFound, "pawl:not-found"},
	{ErrNotRunning, "pawl:not-running"},
	{ErrStopped, "pawl:stopped"},
	{ErrNotStarted, "pawl:not-started"},
	{ErrInvalid, "pawl:invalid"},
	{ErrForeignGoroutine, "pawl:foreign-goroutine"},
	{ErrForeignFuture, "pawl:foreign-future"},
	{ErrPanic, "pawl:panic"},
	{ErrGoexit, "pawl:goexit"},
	{ErrQuarantined, "pawl:quarantined"},
	{ErrBadPayload, "pawl:bad-payload"},
	{ErrMisuse, "pawl:misuse"},
	{ErrCancelled, "pawl:cancelled"},
	{ErrTerminated, "pawl:terminated"},
	{ErrTimeout, "pawl:timeout"},
	{ErrActivityGone, "pawl:activity-gone"},
	{ErrResultPending, "pawl:result-pending"},
	{ErrNotCapable, "pawl:not-capable"},
	{ErrUnknownQuery, "pawl:unknown-query"},
	{ErrUnknownUpdate, "pawl:unknown-update"},
	{ErrRejected, "pawl:rejected"},
	{ErrNotBegun, "pawl:not-begun"},
	{ErrDiverged, "pawl:diverged"},
	{ErrLimit, "pawl:limit"},
	{ErrSessionLost, "pawl:session-lost"},
}

// reserved reports whether a code is none of user code.
func reserved(code ErrorKind) bool {
	return strings.HasPrefix(string(code), "go:") || strings.HasPrefix(string(code), "pawl:")
}

// codeOf is what a kind is recorded by.
func codeOf(kind ErrorKind) string { return history.CleanText(string(kind), maxFailureName) }

// recordFailure converts an error of user code to its recorded form, causes included. It holds for any error, however
// broken: within the limits above, and without a panic. An error whose method Error panics is recorded as that panic.
func recordFailure(err error) history.Failure { return *recordedFailure(err) }

// recordedFailure is recordFailure for those whose frames are to be small: the goroutine of an activity begins with little stack,
// and growing it costs more than the rest of a short one.
func recordedFailure(err error) *history.Failure {
	r := recorder{levels: maxFailureLevels, room: maxFailureRoom}
	return r.record(err, 0)
}

// recorder records one tree of errors.
type recorder struct {
	levels int // that may still be recorded
	room   int // bytes that may still be recorded
}

// record records an error and what it wraps, depth levels below the outermost.
func (r *recorder) record(err error, depth int) *history.Failure {
	r.levels--
	nonRetryable, nextDelay := false, time.Duration(0)
	for {
		advised, ok := err.(*advisedError)
		if !ok {
			break
		}
		nonRetryable = nonRetryable || advised.nonRetryable
		if nextDelay == 0 {
			nextDelay = advised.nextDelay
		}
		err = advised.err
	}
	f, note := r.level(err)
	f.NonRetryable = f.NonRetryable || nonRetryable
	if nextDelay != 0 {
		f.NextDelay = nextDelay
	} else if f.NextDelay < 0 {
		f.NextDelay = atOnce
	}
	causes, left := r.causes(err, depth)
	f.SetCauses(causes)
	if left > 0 {
		note += fmt.Sprintf(" (causes left out here: %d)", left)
	}
	f.Message = history.CleanText(f.Message, history.MaxText-len(note)) + note
	return f
}

// causes records what an error wraps. left counts what was left out.
func (r *recorder) causes(err error, depth int) (recorded []*history.Failure, left int) {
	if isNil(err) {
		return nil, 0
	}
	causes := causesOf(err)
	for i, cause := range causes {
		if i == maxFailureCauses || depth == maxFailureDepth-1 || r.levels == 0 {
			return recorded, left + len(causes) - i
		}
		if i == 0 && depth == outerLevels-1 {
			left, cause = endOfChain(cause)
		}
		recorded = append(recorded, r.record(cause, depth+1))
	}
	return recorded, left
}

// endOfChain returns the error in err's chain from which on the chain fits into the depth that remains, and how many it
// has passed over. Root causes say more than what was said on the way. A chain without end is returned as it is.
func endOfChain(err error) (passed int, end error) {
	const remaining = maxFailureDepth - outerLevels
	var chain []error
	for e := err; e != nil; {
		if chain = append(chain, e); len(chain) == maxFailureChain {
			return 0, err
		}
		causes := causesOf(e)
		if e = nil; len(causes) > 0 {
			e = causes[0]
		}
	}
	passed = max(len(chain)-remaining, 0)
	return passed, chain[passed]
}

// level records one error without what it wraps. note is what is to be added to its message.
func (r *recorder) level(err error) (f *history.Failure, note string) {
	f = &history.Failure{Kind: history.FailureError, Type: r.text(typeName(err), maxFailureName)}
	message, stack := textOf(err)
	if !isNil(err) {
		message, note = r.describe(f, err, message)
	}
	for _, name := range []*string{&f.Source, &f.InstanceID, &f.Timeout} {
		*name = r.text(*name, maxFailureName)
	}
	if stack != "" {
		f.Kind, f.Stack = history.FailurePanic, r.text(stack, history.MaxText)
	}
	f.Message = r.text(message, history.MaxText)
	return f, note
}

// describe records what the type of an error says. It returns the message, which is the error's text unless the failure's
// kind says it already, and what is to be added to it.
func (r *recorder) describe(f *history.Failure, err error, text string) (message, note string) {
	switch e := err.(type) {
	case *Failure:
		return e.Message, r.again(f, e)
	case *payloadError:
		f.Kind = history.FailureBadPayload
	case ErrorKind:
		f.Code = codeOf(e)
	case *Error:
		f.Code, f.NonRetryable, f.NextDelay = codeOf(e.Kind), e.NonRetryable, e.NextDelay
		f.Details, note = r.details(e.Details)
	case *ActivityError:
		if f.Source = e.Activity; e.Attempts > 1 { // see Failure.begun
			f.Attempts = int32(e.Attempts)
		}
	case *OrchestrationError:
		f.Source, f.InstanceID = e.Orchestration, e.InstanceID
	case *InstanceError:
		f.InstanceID = e.InstanceID
	case *TimeoutError:
		f.Kind, f.Timeout = history.FailureTimeout, string(e.Type)
	case *LimitError:
		f.Kind = history.FailureLimit
		f.Exceeded = &history.Exceeded{What: r.text(e.What, maxFailureName), Key: r.text(e.Key, maxFailureName), Size: e.Size, Limit: e.Limit}
	case *CancelledError:
		f.Kind = history.FailureCancelled
		return e.Reason, ""
	default:
		if f.Kind, f.Code = classify(err); f.Kind == history.FailureCancelled || f.Kind == history.FailureTerminated {
			return "", "" // there is no reason
		}
	}
	return text, note
}

// again records a failure that was recorded before, all but its message and causes.
func (r *recorder) again(f *history.Failure, e *Failure) (note string) {
	if e.Kind != "" {
		f.Kind = history.FailureKind(r.text(e.Kind, maxFailureName))
	}
	f.Code, f.Type = codeOf(e.Code), r.text(e.Type, maxFailureName)
	f.Stack = r.text(e.Stack, history.MaxText)
	f.Source, f.InstanceID, f.Timeout = e.source, e.instanceID, string(e.timeout)
	f.Exceeded = e.exceeded
	f.NonRetryable, f.NextDelay, f.Attempts = e.NonRetryable, e.NextDelay, int32(e.attempts)
	if !e.details.IsZero() {
		f.Details, note = r.details(e.details)
	}
	return note
}

// details encodes details. If they cannot be recorded, note says why.
func (r *recorder) details(v any) (p history.Payload, note string) {
	if v == nil {
		return p, ""
	}
	without := func(why string) (history.Payload, string) {
		return history.Payload{}, r.text(" (details not recorded: "+why, maxFailureName) + ")"
	}
	defer func() {
		if thrown := recover(); thrown != nil { // in a method of v
			p, note = without(fmt.Sprintf("panic: %v", thrown))
		}
	}()
	p, ok := v.(history.Payload)
	if !ok {
		var err error
		if p, err = encode("details", v); err != nil {
			text, _ := textOf(err)
			return without(text)
		}
	}
	if limit := min(maxFailureDetails, max(r.room, 0)); p.Size() > limit {
		return without(fmt.Sprintf("%d bytes, and there is room for %d", p.Size(), limit))
	}
	r.room -= p.Size()
	return p, ""
}

// text makes text fit to be recorded.
func (r *recorder) text(s string, limit int) string {
	s = history.CleanText(s, min(limit, max(r.room, maxFailureName)))
	r.room -= len(s)
	return s
}

// classify finds the kind and the code of an error that has no type of this package: whether it is one of the well-known
// values, or says so with a method Is.
func classify(err error) (kind history.FailureKind, code string) {
	kind = history.FailureError
	defer func() { _ = recover() }() // a panic in the method Is: it matches nothing
	switch err {
	case ErrCancelled:
		return history.FailureCancelled, ""
	case ErrTerminated:
		return history.FailureTerminated, ""
	case ErrTimeout:
		return history.FailureTimeout, ""
	case ErrLimit:
		return history.FailureLimit, ""
	case ErrForeignGoroutine, ErrForeignFuture:
		kind = history.FailureMisuse
	}
	matcher, matches := err.(interface{ Is(error) bool })
	for _, known := range wellKnown {
		if err == known.err || matches && matcher.Is(known.err) {
			return kind, known.code
		}
	}
	return kind, ""
}

// textOf returns an error's text. If its method panics it returns what is wrong, and the stack.
func textOf(err error) (text, stack string) {
	defer func() {
		switch thrown := recover(); {
		case thrown != nil && isNil(err):
			text, stack = fmt.Sprintf("nil %T as an error: %v", err, thrown), string(debug.Stack())
		case thrown != nil:
			text, stack = fmt.Sprintf("in %T.Error: %v", err, thrown), string(debug.Stack())
		}
	}()
	return err.Error(), ""
}

// causesOf returns what err wraps, without nil.
func causesOf(err error) (causes []error) {
	defer func() {
		if thrown := recover(); thrown != nil {
			causes = []error{fmt.Errorf("in %T.Unwrap: %v", err, thrown)}
		}
	}()
	switch e := err.(type) {
	case *payloadError:
		return []error{e.err} // the other is its kind
	case *Failure:
		if joined, ok := e.Cause.(interface{ Unwrap() []error }); ok {
			return joined.Unwrap()
		}
		return one(e.Cause)
	case interface{ Unwrap() error }:
		return one(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, cause := range e.Unwrap() {
			causes = append(causes, one(cause)...)
		}
	}
	return causes
}

func one(err error) []error {
	if err == nil {
		return nil
	}
	return []error{err}
}

// isNil reports whether an error is nil, or a nil pointer of some type, whose methods are likely to panic.
func isNil(err error) bool {
	v := reflect.ValueOf(err)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}
