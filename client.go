package pawl

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"

	"github.com/pawlrun/pawl/internal/engine"
	"github.com/pawlrun/pawl/provider"
)

// Run is a handle on a started instance with a result of type O. It is safe for concurrent use.
type Run[O any] struct {
	app    *App
	id     string
	waiter *engine.Waiter
}

// InstanceID is the instance's id.
func (r *Run[O]) InstanceID() string { return r.id }

// Attach returns a handle on an instance started earlier or elsewhere. It does no I/O: whether the instance exists shows
// when the handle is used.
func Attach[O any](app *App, instanceID string) (*Run[O], error) {
	e, err := app.running()
	if err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	if err := checkName("instance id", instanceID); err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	return newRun[O](app, e, instanceID, false), nil
}

// newRun makes a handle that listens for the end of the instance until it is garbage.
func newRun[O any](app *App, e *engine.Engine, id string, marked bool) *Run[O] {
	run := &Run[O]{app: app, id: id, waiter: e.Watch(id, marked)}
	runtime.AddCleanup(run, func(w *engine.Waiter) { w.Close() }, run.waiter)
	return run
}

// Result waits for the end of the instance, over all its executions, and returns its result. A failed instance is an
// *OrchestrationError; that of a cancelled one matches ErrCancelled, of a terminated one ErrTerminated. An unknown
// instance, or one that another has replaced, is an *InstanceError with ErrNotFound. If ctx ends first its cause is
// returned and the instance runs on.
func (r *Run[O]) Result(ctx context.Context) (O, error) {
	var value O
	outcome, found, err := r.waiter.Wait(ctx)
	runtime.KeepAlive(r)
	switch {
	case err != nil:
		return value, fmt.Errorf("result of %q: %w", r.id, err)
	case !found:
		return value, &InstanceError{InstanceID: r.id, Err: ErrNotFound}
	case outcome.Failure != nil:
		return value, &OrchestrationError{InstanceID: r.id, Err: restoreFailure(outcome.Failure)}
	}
	err = decode("result of instance", r.id, outcome.Result, &value)
	return value, err
}

// RaiseOptions change how an event is raised. nil means the defaults.
type RaiseOptions struct {
	// MessageID makes a repeated raise harmless: the instance takes one event of each id. Default: random.
	MessageID string
}

// Raise sends an external event to a running instance. When it returns without error the event is stored durably and
// will be delivered to the next Event of that name, in order of arrival. An unknown instance is an *InstanceError with
// ErrNotFound, one that has ended with ErrNotRunning. If ctx ends first the outcome is unknown; repeat with the same
// MessageID.
func Raise(ctx context.Context, app *App, instanceID, event string, payload any, opts *RaiseOptions) error {
	e, err := app.running()
	if err != nil {
		return fmt.Errorf("raise: %w", err)
	}
	var messageID string
	if opts != nil {
		messageID = opts.MessageID
	}
	if err := checkName("instance id", instanceID); err != nil {
		return fmt.Errorf("raise: %w", err)
	}
	raised, err := app.raisedEvent(event, messageID, payload)
	if err != nil {
		return fmt.Errorf("raise: %w", err)
	}
	status, err := e.Raise(ctx, instanceID, raised)
	if err != nil {
		return fmt.Errorf("raise: %w", err)
	}
	return statusError("raise", instanceID, status)
}

// raisedEvent checks an external event and gives it a message id if it has none.
func (a *App) raisedEvent(name, messageID string, payload any) (engine.RaisedEvent, error) {
	ev := engine.RaisedEvent{Name: name, MessageID: messageID}
	if ev.MessageID == "" {
		ev.MessageID = rand.Text()
	}
	if err := checkOwnName("event name", ev.Name); err != nil {
		return ev, err
	}
	if err := checkName("message id", ev.MessageID); err != nil {
		return ev, err
	}
	var err error
	ev.Payload, err = a.encode("payload of event "+name, payload)
	return ev, err
}

// statusError turns a refusal into the typed error.
func statusError(op, instanceID string, status provider.ItemStatus) error {
	switch status {
	case provider.NotFound:
		return fmt.Errorf("%s: %w", op, &InstanceError{InstanceID: instanceID, Err: ErrNotFound})
	case provider.Gone:
		return fmt.Errorf("%s: %w", op, &InstanceError{InstanceID: instanceID, Err: ErrNotRunning})
	}
	return nil
}
