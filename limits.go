package pawl

import (
	"errors"
	"fmt"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
)

// Limits bound what a program can make large or many (docs/limits.md). The zero value of each field means its default. What
// is over a limit is refused with a *LimitError where there is a call that can be refused, and fails the activity or the
// execution with it where there is none. Limits hold for what is new: what a history has already stays valid, so they may be
// lowered at any time.
type Limits struct {
	// PayloadBytes bounds each encoded value that is recorded: inputs, results, payloads of events and updates and the answers
	// to those. Default: 16 MiB, at most 64 MiB. Large data belongs elsewhere; pass where it is.
	PayloadBytes int
	// HistoryEvents bounds the events of one execution, its end not counted. An execution that would record more fails;
	// ContinueAsNew before that begins a fresh history. Default: 500,000, at most 100,000,000.
	HistoryEvents int
	// TurnEvents bounds how many activities, timers, children, waits and so on the code schedules in one turn, which is
	// until there is nothing more to take and it waits. Default: 100,000, at most 1,000,000.
	TurnEvents int
	// TurnBytes bounds the encoded inputs and payloads of what the code schedules in one turn, together: they are one
	// commit. Default: 64 MiB, at most 256 MiB, at least PayloadBytes.
	TurnBytes int
	// Starts is how many calls of Start may be under way in this process at a time; Messages how many of Raise and Update,
	// and of App.Cancel. Others wait for their turn, in order, until their context ends. Default: 10,000 each.
	Starts, Messages int
	// Queries is how many calls of Query may be under way in this process at a time: each has a history in memory.
	// Default: 100.
	Queries int
	// HeartbeatBytes bounds the details of a heartbeat, encoded: they travel with the pulse of the process. Default: 64 KiB,
	// at most 1 MiB.
	HeartbeatBytes int
	// StatusBytes bounds the custom status of an instance, encoded. Default: 16 KiB, at most 1 MiB.
	StatusBytes int
	// ValueBytes, Values and ValueKeyBytes bound the values that an instance may have at a time: the bytes of an encoded
	// value, how many there are, and the bytes of a key. Defaults: 16 KiB, 100, 255. At most 1 MiB, what makes 64 MiB in all,
	// and 255.
	ValueBytes, Values, ValueKeyBytes int
}

// ErrLimit: something is larger, or more, than a limit allows. The error is a *LimitError.
var ErrLimit = errors.New("over the limit")

// LimitError says which limit forbids what. It matches ErrLimit. errors.As finds it in any error that holds the *Failure of
// something that a limit has ended.
type LimitError struct {
	// What is limited, as "input of activity Charge", "events in the history" or "number of values".
	What string
	// Key of the value, "" where there is none. Of a key that is too long it is the beginning.
	Key string
	// Size is how large or how many it is or, where counting ended there, would have become.
	Size, Limit int64
	// Option is the field of Options that sets the limit, as "Limits.PayloadBytes"; "" if it is fixed.
	Option string
}

// Error implements error.
func (e *LimitError) Error() string {
	what := e.What
	if e.Key != "" {
		what = fmt.Sprintf("%s %q", e.What, e.Key)
	}
	text := fmt.Sprintf("%s: %d is over the limit of %d", what, e.Size, e.Limit)
	if e.Option != "" {
		text += " (Options." + e.Option + ")"
	}
	return text
}

// Is matches ErrLimit.
func (e *LimitError) Is(target error) bool { return target == ErrLimit }

// What limits are about. Everything else is a payload.
const (
	limitStatus    = "custom status"
	limitValue     = "value"
	limitValueKey  = "key of value"
	limitValues    = "number of values"
	limitHeartbeat = "details of heartbeat"
	limitAttribute = "attribute"
)

// limitOptions are the fields of Options by what they limit.
var limitOptions = map[string]string{
	limitStatus: "Limits.StatusBytes", limitValue: "Limits.ValueBytes", limitValueKey: "Limits.ValueKeyBytes", limitValues: "Limits.Values",
	limitHeartbeat: "Limits.HeartbeatBytes", replay.LimitHistory: "Limits.HistoryEvents", replay.LimitTurn: "Limits.TurnEvents",
	replay.LimitTurnBytes: "Limits.TurnBytes", limitAttribute: "", // no option: it is an index key
}

// optionOf is the field of Options that limits something.
func optionOf(what string) string {
	if option, ok := limitOptions[what]; ok {
		return option
	}
	return "Limits.PayloadBytes"
}

// allValues bounds the values of an instance together: each of its executions begins with them.
const allValues = 64 << 20

// largestKey is how long a key of a value may be allowed to be: it is an index key.
const largestKey = provider.MaxValueKeyBytes

// limitBounds are the default of a limit and the range it may be set to.
type limitBounds struct {
	name                      string
	field                     *int
	preset, smallest, largest int
}

// bounds are those of all limits, in the order of the fields.
func (l *Limits) bounds() []limitBounds {
	return []limitBounds{
		{"PayloadBytes", &l.PayloadBytes, 16 << 20, 1, 64 << 20},
		{"HistoryEvents", &l.HistoryEvents, 500_000, 1, 100_000_000},
		{"TurnEvents", &l.TurnEvents, 100_000, 1, 1_000_000},
		{"TurnBytes", &l.TurnBytes, max(64<<20, l.PayloadBytes), max(1, l.PayloadBytes), 256 << 20},
		{"Starts", &l.Starts, 10_000, 1, 1 << 30},
		{"Messages", &l.Messages, 10_000, 1, 1 << 30},
		{"Queries", &l.Queries, 100, 1, 1 << 30},
		{"HeartbeatBytes", &l.HeartbeatBytes, 64 << 10, 1, 1 << 20},
		{"StatusBytes", &l.StatusBytes, 16 << 10, 1, 1 << 20},
		{"ValueBytes", &l.ValueBytes, 16 << 10, 1, 1 << 20},
		{"Values", &l.Values, min(100, allValues/max(l.ValueBytes, 1)), 1, allValues / max(l.ValueBytes, 1)},
		{"ValueKeyBytes", &l.ValueKeyBytes, 255, 1, largestKey},
	}
}

// withDefaults returns the limits with defaults filled in, or what is wrong with them.
func (l Limits) withDefaults() (Limits, error) {
	var errs []error
	for i := range l.bounds() {
		b := l.bounds()[i] // anew: the bounds of some follow from those before them
		if setDefault(b.field, b.preset); *b.field < b.smallest || *b.field > b.largest {
			errs = append(errs, fmt.Errorf("%w: Options.Limits.%s is %d, it must be from %d to %d", ErrInvalid, b.name, *b.field, b.smallest, b.largest))
		}
	}
	return l, errors.Join(errs...)
}

// checkPayload refuses a payload that is too large, as a call from outside has it.
func (l *Limits) checkPayload(what string, p history.Payload) error {
	return overLimit(what, p.Size(), l.PayloadBytes)
}

func overLimit(what string, size, limit int) error {
	if size > limit {
		return &LimitError{What: what, Size: int64(size), Limit: int64(limit), Option: optionOf(what)}
	}
	return nil
}

// encode encodes a value that a call from outside brings, within the limit.
func (a *App) encode(what string, v any) (history.Payload, error) {
	p, err := encode(what, v)
	if err == nil {
		err = a.options.Limits.checkPayload(what, p)
	}
	return p, err
}

// checkLimit asks the history, or where it is not written yet the limits of this process, whether something is allowed.
func checkLimit(x *replay.Execution, exceeded func() *replay.Excess) error {
	if excess := x.Check(exceeded); excess != nil {
		return limitError(excess)
	}
	return nil
}

func limitError(excess *replay.Excess) *LimitError {
	return &LimitError{What: excess.What, Key: excess.Key, Size: excess.Size, Limit: excess.Limit, Option: optionOf(excess.What)}
}

// encodeFor encodes a value of an execution's code, within the limit. What it answers is recorded: see replay.Check.
func (a *App) encodeFor(x *replay.Execution, what string, v any) (history.Payload, error) {
	p, err := encode(what, v)
	if err == nil {
		err = a.checkRecorded(x, what, p)
	}
	return p, err
}

func (a *App) checkRecorded(x *replay.Execution, what string, p history.Payload) error {
	return checkLimit(x, func() *replay.Excess {
		if size, limit := p.Size(), a.options.Limits.PayloadBytes; size > limit {
			return &replay.Excess{What: what, Size: int64(size), Limit: int64(limit)}
		}
		return nil
	})
}
