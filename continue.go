package pawl

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
)

// ContinueOption changes how the next execution is begun.
type ContinueOption func(*replay.ContinueAsNew) error

// ContinueWithVersion has the next execution run another version of the orchestration; "" is the unversioned one. Without
// it the version stays the same.
func ContinueWithVersion(version string) ContinueOption {
	return func(c *replay.ContinueAsNew) error {
		version = recordedVersion(version)
		if version != "" {
			if err := checkVersion(version); err != nil {
				return fmt.Errorf("continue-as-new: %w", err)
			}
		}
		c.Version = &version
		return nil
	}
}

// ContinueAsNew ends this execution and starts the next one of the same instance with a fresh history and the given
// input: return it as the orchestration's error.
//
//	return zero, pawl.ContinueAsNew(next)
//
// The input must be one that the orchestration takes: else it fails with ErrBadPayload, here and not in the next execution.
//
// Events not taken yet, values, the custom status and a request to cancel the instance are kept. Activities, timers and
// waits of this execution end with it; of its children those that ChildOptions.ParentClose says so.
func ContinueAsNew[I any](input I, opts ...ContinueOption) error {
	payload, err := encode("input of continue-as-new", input)
	if err != nil {
		return err
	}
	next := &replay.ContinueAsNew{Input: payload}
	for _, opt := range opts {
		if err := opt(next); err != nil {
			return err
		}
	}
	return next
}

// checkContinued returns an error of an orchestration as it is, unless it asks for a next execution whose input is too
// large, or is not what the same code takes: another version may take something else.
func (a *App) checkContinued(x *replay.Execution, err error, checkInput func(history.Payload) error) error {
	var next *replay.ContinueAsNew
	if !errors.As(err, &next) {
		return err
	}
	if over := a.checkRecorded(x, "input of continue-as-new", next.Input); over != nil {
		return over
	}
	if next.Version == nil {
		if wrong := checkInput(next.Input); wrong != nil {
			return wrong
		}
	}
	return err
}

// checkInput reports an input of continue-as-new that an orchestration which takes an I could not decode.
func checkInput[I any](input history.Payload) error {
	var as I
	var wrong *payloadError
	if err := decode("input", "", input, &as); errors.As(err, &wrong) {
		return &payloadError{fmt.Sprintf("input of continue-as-new: the orchestration takes %v", reflect.TypeFor[I]()), wrong.err}
	}
	return nil
}

// LongHistory is how many events a history may have before Context.ContinueAsNewSuggested says that it is time for a fresh
// one: replaying more takes long.
const LongHistory = 10_000

// HistoryLength is how many events the history of this execution has, up to this point of the code. It is the same in every
// replay.
func (o *Context) HistoryLength() int { return o.x.HistoryLength() }

// ContinueAsNewSuggested reports whether the history has reached LongHistory events. An orchestration that lives for long
// looks at it in its loop and then returns ContinueAsNew.
func (o *Context) ContinueAsNewSuggested() bool { return o.HistoryLength() >= LongHistory }
