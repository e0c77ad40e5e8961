package history

import (
	"fmt"
	"iter"
	"strings"
	"time"
	"unicode/utf8"
)

// FailureKind classifies a Failure: it says what happened, in the engine's words. The user's own word is the Code.
type FailureKind string

// The kinds of failure.
const (
	FailureError       FailureKind = "error"          // user code returned an error
	FailurePanic       FailureKind = "panic"          // user code panicked
	FailureGoexit      FailureKind = "goexit"         // user code ended its goroutine
	FailureExists      FailureKind = "already-exists" // a child's instance id was taken
	FailureQuarantined FailureKind = "quarantined"    // the item was tried too often without an outcome
	FailureDiverged    FailureKind = "diverged"       // its code was not the code that wrote its history
	FailureBadPayload  FailureKind = "bad-payload"    // a value could not be encoded or decoded
	FailureMisuse      FailureKind = "misuse"         // the programming model was violated
	FailureCancelled   FailureKind = "cancelled"      // it was cancelled; the message is the reason, "" if none was given
	FailureTerminated  FailureKind = "terminated"     // it was terminated; the message is the reason, "" if none was given
	FailureSessionLost FailureKind = "session-lost"   // the worker of the activity's session has ended
	FailureTimeout     FailureKind = "timeout"        // a time limit passed, see Failure.Timeout
	FailureLimit       FailureKind = "limit"          // something was larger, or more, than a limit allows, see Failure.Exceeded
)

// The values of Failure.Timeout: which time limit of an activity has passed.
const (
	TimeoutScheduleToStart = "schedule-to-start" // it was not begun in time
	TimeoutStartToClose    = "start-to-close"    // one attempt took too long
	TimeoutScheduleToClose = "schedule-to-close" // all attempts together took too long
	TimeoutHeartbeat       = "heartbeat"         // a running attempt showed no sign of life
)

// Failure is an error in its stored form. It is a tree: each level is one error, below it what that error wraps. All text
// in it is valid UTF-8 without NUL; whoever makes a Failure from foreign text uses CleanText or PanicFailure.
type Failure struct {
	Kind FailureKind `json:"kind"`
	// Code is the user's kind of error, or a reserved one that stands for a well-known error value.
	Code    string `json:"code,omitempty"`
	Message string `json:"message"`
	// Type is the Go type of the error or panic value.
	Type string `json:"goType,omitempty"`
	// Source names what failed: an activity or an orchestration.
	Source string `json:"source,omitempty"`
	// InstanceID is the instance of the orchestration that failed, or that an operation failed on.
	InstanceID string `json:"instanceId,omitempty"`
	// Timeout says which time limit has passed, with FailureTimeout.
	Timeout string `json:"timeout,omitempty"`
	// Exceeded says which limit, with FailureLimit.
	Exceeded *Exceeded `json:"exceeded,omitempty"`
	Stack    string    `json:"stack,omitempty"`
	// Details is what the user's code said beyond the message.
	Details Payload `json:"details,omitzero"`
	// NonRetryable forbids another attempt, whatever the retry policy says.
	NonRetryable bool `json:"nonRetryable,omitempty"`
	// NextDelay is the delay before the next attempt that the error chose, instead of the policy's; 0 if it chose none.
	NextDelay time.Duration `json:"nextDelayNs,omitempty"`
	// Attempts is how often a failed activity was begun, if that was more than once.
	Attempts int32 `json:"attempts,omitempty"`
	// Cause is what the error wraps if that is one error, Causes if it is several. At most one of the two is set.
	Cause  *Failure   `json:"cause,omitempty"`
	Causes []*Failure `json:"causes,omitempty"`
}

// Exceeded says what was larger, or more, than a limit allows.
type Exceeded struct {
	What  string `json:"what"`          // what is limited
	Key   string `json:"key,omitempty"` // of the value it is about
	Size  int64  `json:"size"`
	Limit int64  `json:"limit"`
}

// SetCauses sets what the failure was caused by.
func (f *Failure) SetCauses(causes []*Failure) {
	f.Cause, f.Causes = nil, nil
	if len(causes) == 1 {
		f.Cause = causes[0]
	} else if len(causes) > 1 {
		f.Causes = causes
	}
}

// CausedBy returns what the failure was caused by, be it none, one or several.
func (f *Failure) CausedBy() []*Failure {
	if f.Cause != nil {
		return []*Failure{f.Cause}
	}
	return f.Causes
}

// All walks through the failure and its causes, in the order in which errors.Is visits them. A nil failure has none.
func (f *Failure) All() iter.Seq[*Failure] {
	return func(yield func(*Failure) bool) { f.walk(yield) }
}

func (f *Failure) walk(yield func(*Failure) bool) bool {
	if f == nil {
		return true
	}
	if !yield(f) {
		return false
	}
	for _, c := range f.CausedBy() {
		if !c.walk(yield) {
			return false
		}
	}
	return true
}

// RetryAdvice is what the failure and its causes say about another attempt: whether one of them forbids it, and the
// outermost delay chosen, 0 if none was.
func (f *Failure) RetryAdvice() (forbidden bool, delay time.Duration) {
	for level := range f.All() {
		forbidden = forbidden || level.NonRetryable
		if delay == 0 {
			delay = level.NextDelay
		}
	}
	return forbidden, delay
}

// MaxText is the length in bytes up to which a message or a stack is recorded.
const MaxText = 64 << 10

// CleanText makes text fit to be recorded: at most limit bytes (cut with a note that says so), with the replacement
// character U+FFFD for NUL and for what is not UTF-8, which stores do not take. The limit must leave room for the note, 50
// bytes. Clean text comes back as it is.
func CleanText(s string, limit int) string {
	size := len(s)
	if size > limit+utf8.UTFMax {
		s = s[:limit+utf8.UTFMax] // what follows is cut anyway
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, string(utf8.RuneError))
	}
	s = strings.ReplaceAll(s, "\x00", string(utf8.RuneError))
	if size <= limit && len(s) <= limit {
		return s
	}
	note := fmt.Sprintf("... (cut, %d bytes in all)", size)
	end := min(max(limit-len(note), 0), len(s))
	for end > 0 && end < len(s) && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + note
}

// PanicFailure is the recorded form of a panic with the given value.
func PanicFailure(value any, stack []byte) Failure {
	return Failure{Kind: FailurePanic, Message: CleanText(fmt.Sprint(value), MaxText), Type: CleanText(fmt.Sprintf("%T", value), MaxText),
		Stack: CleanText(string(stack), MaxText)}
}
