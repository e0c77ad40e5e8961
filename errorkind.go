package pawl

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/pawlrun/pawl/history"
)

// ErrorKind is a kind of error of your own. It is an error itself: declare it like a sentinel, return it or wrap it, and
// errors.Is finds it on the other side of every border, from the activity to its orchestration, the parent and the client.
//
//	var ErrDeclined = pawl.ErrorKind("card-declined")
//
//	return fmt.Errorf("charge %s: %w", card, ErrDeclined)
//
// Its text is what is recorded, so it must stay the same as long as there are instances that may hold it; two kinds with
// the same text are the same. Texts that begin with "go:" or "pawl:" are reserved.
type ErrorKind string

// Error implements error.
func (k ErrorKind) Error() string { return string(k) }

// Error is an error that says more than its text: return one, or wrap it, from activities and orchestrations. It matches
// its Kind and whatever Cause matches.
//
// On the other side of a border errors.As still finds it, with Details as json.RawMessage; the function Details decodes
// them.
type Error struct {
	Kind    ErrorKind // matched by errors.Is; "" for none
	Message string    // default: the kind
	// Details are encoded as inputs and results are. If they cannot be, or are larger than 256 KiB, the error is recorded
	// without them and its message says so.
	Details any
	// NonRetryable forbids further attempts, whatever the retry policy says.
	NonRetryable bool
	// NextDelay is how long to wait before the next attempt, instead of what the retry policy says. It does not make
	// more attempts than the policy allows. 0 leaves it to the policy, less means at once.
	NextDelay time.Duration
	Cause     error
}

// Error returns the message, followed by the cause's.
func (e *Error) Error() string {
	var parts []string
	if e.Message != "" {
		parts = append(parts, e.Message)
	} else if e.Kind != "" {
		parts = append(parts, string(e.Kind))
	}
	if e.Cause != nil {
		parts = append(parts, e.Cause.Error())
	}
	if len(parts) == 0 {
		return "error"
	}
	return strings.Join(parts, ": ")
}

// Is matches the kind.
func (e *Error) Is(target error) bool {
	kind, ok := target.(ErrorKind)
	return ok && kind != "" && kind == e.Kind
}

// As finds the kind: with var kind ErrorKind, errors.As(err, &kind).
func (e *Error) As(target any) bool {
	kind, ok := target.(*ErrorKind)
	if ok = ok && e.Kind != ""; ok {
		*kind = e.Kind
	}
	return ok
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// NonRetryable returns err with the advice that nothing is to be tried again because of it, whatever the retry policy
// says. It has the same text and matches the same. nil stays nil.
func NonRetryable(err error) error {
	if err == nil {
		return nil
	}
	return &advisedError{err: err, nonRetryable: true}
}

// RetryAfter returns err with the advice to wait for d before the next attempt, instead of what the retry policy says, if
// the policy allows another. 0 or less means at once. It has the same text and matches the same. nil stays nil.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &advisedError{err: err, nextDelay: max(d, atOnce)}
}

// atOnce is the shortest delay: 0 means that none was chosen.
const atOnce time.Duration = 1

// advisedError adds advice about retries to an error. It is recorded as part of the error it wraps, not as a level of its
// own.
type advisedError struct {
	err          error
	nonRetryable bool
	nextDelay    time.Duration
}

func (e *advisedError) Error() string { return e.err.Error() }
func (e *advisedError) Unwrap() error { return e.err }

// Details returns the details of the nearest error in err's tree that has any, decoded into a T. It reports false if there
// are none, or if the nearest are no T.
func Details[T any](err error) (T, bool) {
	var value T
	details, remaining := any(nil), maxWalk
	if !findDetails(err, &details, &remaining) {
		return value, false
	}
	if same, ok := details.(T); ok { // of an error that has crossed no border
		return same, true
	}
	payload, ok := details.(history.Payload)
	if !ok {
		encoded, err := encode("details", details)
		if err != nil {
			return value, false
		}
		payload = encoded
	}
	if decode("details", "", payload, &value) != nil {
		var none T
		return none, false
	}
	return value, true
}

// maxWalk bounds how many errors are looked at, lest a tree that contains itself be walked for ever.
const maxWalk = 10_000

// findDetails finds the nearest details: a history.Payload, or a value that was not encoded yet.
func findDetails(err error, details *any, remaining *int) bool {
	if *remaining--; *remaining < 0 {
		return false
	}
	switch e := err.(type) {
	case nil:
		return false
	case *Failure:
		if !e.details.IsZero() {
			*details = e.details
			return true
		}
	case *Error:
		if e != nil && e.Details != nil {
			*details = e.Details
			return true
		}
	}
	for _, cause := range causesOf(err) {
		if findDetails(cause, details, remaining) {
			return true
		}
	}
	return false
}

// rawDetails is a payload as user code meets it in an Error: JSON as it is, anything else as a document that names the
// encoding.
func rawDetails(p history.Payload) any {
	if p.IsZero() {
		return nil
	}
	if p.Encoding == history.EncodingJSON {
		return json.RawMessage(p.Data)
	}
	return p
}
