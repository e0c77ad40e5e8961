package pawl

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/engine"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
)

// Errors of updates, matchable with errors.Is.
var (
	// ErrRejected: the update was not accepted and had no effect. What the validation returned is found as well.
	ErrRejected = errors.New("update rejected")
	// ErrUnknownUpdate: the orchestration handles updates, but none of that name. It comes with ErrRejected.
	ErrUnknownUpdate = errors.New("unknown update")
)

// UpdateHandler is the code for one update.
type UpdateHandler[I, O any] struct {
	// Validate decides whether the update is accepted; nil accepts every one whose input can be decoded. It may look at
	// what Handle changes, and must not change anything itself; if it uses the Context to, the update is rejected with
	// ErrMisuse. It runs once, when the update is taken, and in no replay.
	Validate func(in I) error
	// Handle changes the state and returns the answer. It runs on the orchestration's own goroutine while that awaits
	// something, so nothing else runs at the same time. It may schedule activities, timers and so on and leave their futures
	// to the orchestration; it must not await them: that fails with ErrMisuse. Its error is the caller's answer, and the
	// orchestration goes on; so is a panic.
	Handle func(in I) (O, error)
}

// HandleUpdate sets the code for an update. From the first one on the instance takes updates; those that were sent before
// have waited for it. So set all of them at the beginning, before the first await: an update of another name is rejected. A
// second handler of that name takes the place of the first.
//
// Updates are part of the history: Handle runs again, at the same place, in every replay, so it must be as deterministic as
// the rest of the orchestration. The error is a name that breaks a rule, or no Handle.
func HandleUpdate[I, O any](o *Context, name string, handler UpdateHandler[I, O]) error {
	if err := checkName("update name", name); err != nil {
		return err
	}
	if handler.Handle == nil {
		return fmt.Errorf("update %q: %w", name, errNilFunction)
	}
	o.x.HandleUpdate(name, replay.Update{
		Validate: func(input history.Payload) error {
			var in I
			if err := decode("input of update", name, input, &in); err != nil || handler.Validate == nil {
				return err
			}
			return handler.Validate(in)
		},
		Handle: func(input history.Payload) (history.Payload, error) {
			var in I
			if err := decode("input of update", name, input, &in); err != nil {
				return history.Payload{}, err
			}
			out, err := handler.Handle(in)
			if err != nil {
				return history.Payload{}, err
			}
			return o.app.encodeFor(o.x, "answer of update "+name, out)
		},
	})
	return nil
}

// AwaitUntil blocks the orchestration until done reports true: the way to wait for what updates change. done is asked at
// first, and again whenever something has happened; it must be deterministic and change nothing. To bound the time, let it
// look at a Timer:
//
//	late := pawl.Timer(o, time.Hour)
//	err := pawl.AwaitUntil(o, func() bool { return paid || late.Ready() })
//
// If the Context is cancelled it returns ErrCancelled, whatever done reports.
func AwaitUntil(o *Context, done func() bool) error {
	if done == nil {
		return errNilFunction
	}
	if err := o.x.AwaitUntil(o.scope, done); err != nil {
		return err
	}
	return o.Err()
}

// UpdateOptions change how an update is sent. nil means the defaults.
type UpdateOptions struct {
	// UpdateID makes a repeated update harmless: it is done once, and every caller with that id gets the one answer. An
	// instance remembers the latest 1,000. Default: random.
	UpdateID string
}

// Update changes a running instance and returns the answer, from any process: whoever runs the instance validates the
// update, does it and records both. When the answer is here the change is committed.
//
// An instance that is suspended or parked takes it when it goes on, one whose code handles no update at all never does: give
// ctx a deadline. If ctx ends first the update may be done or not, now or later: repeat it with the same UpdateID. A
// continue-as-new loses none.
//
// The error is an *UpdateError with what Handle returned, as it was recorded, or with ErrRejected and why; or an
// *InstanceError with ErrNotFound, or with ErrNotRunning if the instance has ended without doing it.
func Update[O any](ctx context.Context, app *App, instanceID, name string, in any, opts *UpdateOptions) (O, error) {
	var out O
	e, err := app.running()
	if err != nil {
		return out, fmt.Errorf("update: %w", err)
	}
	spec := engine.UpdateSpec{InstanceID: instanceID, Name: name, ID: rand.Text()}
	if opts != nil && opts.UpdateID != "" {
		spec.ID, spec.Repeated = opts.UpdateID, true
	}
	if err := errors.Join(checkName("instance id", instanceID), checkName("update name", name), checkName("update id", spec.ID)); err != nil {
		return out, fmt.Errorf("update: %w", err)
	}
	if spec.Input, err = app.encode("input of update "+name, in); err != nil {
		return out, fmt.Errorf("update: %w", err)
	}
	answer, status, err := e.Update(ctx, spec)
	switch {
	case err != nil:
		return out, fmt.Errorf("update %q (id %s) of instance %q: %w", name, spec.ID, instanceID, err)
	case status != provider.Applied:
		return out, statusError("update", instanceID, status)
	case answer.Failure != nil:
		return out, &UpdateError{InstanceID: instanceID, Update: name, Rejected: answer.Rejected, Err: updateFailure(answer)}
	}
	err = decode("answer of update", name, answer.Result, &out)
	return out, err
}

// UpdateError is an update that failed or was rejected. It unwraps to a *Failure.
type UpdateError struct {
	InstanceID, Update string
	// Rejected: it was not accepted and had no effect.
	Rejected bool
	Err      error
}

// Error implements error.
func (e *UpdateError) Error() string {
	what := "failed"
	if e.Rejected {
		what = "was rejected"
	}
	return fmt.Sprintf("update %q of instance %q %s: %v", e.Update, e.InstanceID, what, e.Err)
}

// Unwrap returns the failure.
func (e *UpdateError) Unwrap() error { return e.Err }

// Is matches ErrRejected.
func (e *UpdateError) Is(target error) bool { return e.Rejected && target == ErrRejected }

// updateFailure is the failure of an update as errors.Is is to find it.
func updateFailure(answer *engine.UpdateAnswer) error {
	err := error(restoreFailure(answer.Failure))
	if answer.Unknown {
		return as(ErrUnknownUpdate, err)
	}
	return err
}
