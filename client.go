package pawl

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"time"

	"github.com/pawlrun/pawl/internal/engine"
	"github.com/pawlrun/pawl/provider"
)

// StartOptions change how an instance is started. nil means the defaults.
type StartOptions struct {
	// InstanceID names the instance: unique in the store for as long as the instance is kept. Default: random.
	InstanceID string
}

// Run is a handle on a started instance with a result of type O. It is safe for concurrent use.
type Run[O any] struct {
	app    *App
	id     string
	waiter *engine.Waiter
}

// InstanceID is the instance's id.
func (r *Run[O]) InstanceID() string { return r.id }

// Start starts an orchestration. When it returns without error the instance exists durably; if this process can run it,
// its first turn is done and its first activities are running here.
//
// A taken id is an *InstanceError with ErrAlreadyExists. If ctx ends first the outcome is unknown: repeat with the same
// InstanceID, and ErrAlreadyExists then means that the first try succeeded (or that somebody else took the id).
func Start[I, O any](ctx context.Context, app *App, fn OrchestrationFunc[I, O], input I, opts *StartOptions) (*Run[O], error) {
	name, err := app.registry.nameOf(kindOrchestration, fn)
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	return StartByName[O](ctx, app, name, input, opts)
}

// StartByName is Start for an orchestration that is not at hand.
func StartByName[O any](ctx context.Context, app *App, name string, input any, opts *StartOptions) (*Run[O], error) {
	e, err := app.running()
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	id := rand.Text()
	if opts != nil && opts.InstanceID != "" {
		id = opts.InstanceID
	}
	if err := checkName("instance id", id); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	if err := checkName("orchestration name", name); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	payload, err := encode("input of "+name, input)
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	run := newRun[O](app, e, id, true)
	status, err := e.StartInstance(ctx, engine.StartSpec{InstanceID: id, Name: name, Input: payload, Watch: true})
	if err == nil && status == provider.Exists {
		err = &InstanceError{InstanceID: id, Err: ErrAlreadyExists}
	}
	if err != nil {
		run.waiter.Close()
		return nil, fmt.Errorf("start: %w", err)
	}
	return run, nil
}

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
// *OrchestrationError, an unknown one an *InstanceError with ErrNotFound. If ctx ends first its cause is returned and
// the instance runs on.
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
	err = decode("result of "+r.id, outcome.Result, &value)
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
	id := rand.Text()
	if opts != nil && opts.MessageID != "" {
		id = opts.MessageID
	}
	for what, s := range map[string]string{"instance id": instanceID, "event name": event, "message id": id} {
		if err := checkName(what, s); err != nil {
			return fmt.Errorf("raise: %w", err)
		}
	}
	data, err := encode("payload of event "+event, payload)
	if err != nil {
		return fmt.Errorf("raise: %w", err)
	}
	status, err := e.Raise(ctx, instanceID, event, id, data)
	if err != nil {
		return fmt.Errorf("raise: %w", err)
	}
	return statusError("raise", instanceID, status)
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

// Resume lets parked instances go on: those whose code diverged from their history, or that were quarantined. Mend the
// code first, or they park again. It is no error if an instance is not parked.
func (a *App) Resume(ctx context.Context, instanceID string) error {
	e, err := a.running()
	if err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	status, err := e.Resume(ctx, instanceID)
	if err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	return statusError("resume", instanceID, status)
}

// Instance describes an instance.
type Instance struct {
	InstanceID  string
	Name        string // of the orchestration
	Status      string // running, completed, failed
	Execution   int
	ExecutionID string
	ParentID    string // instance id of the parent, "" for a root
	Events      int    // recorded in the current execution
	CreatedAt   time.Time
	EndedAt     time.Time // zero while running
	// Parked is why nobody runs the instance: a JSON document with reason, event, expected, actual and source.
	// Empty unless parked; Resume ends it.
	Parked string
}

// Describe returns the committed state of an instance, or an *InstanceError with ErrNotFound.
func (a *App) Describe(ctx context.Context, instanceID string) (*Instance, error) {
	e, err := a.running()
	if err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	st, err := e.Read(ctx, instanceID)
	if err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	if st == nil {
		return nil, fmt.Errorf("describe: %w", &InstanceError{InstanceID: instanceID, Err: ErrNotFound})
	}
	return &Instance{InstanceID: st.InstanceID, Name: st.Name, Status: st.Status.String(), Execution: int(st.Execution),
		ExecutionID: st.ExecutionID.String(), ParentID: st.ParentID, Events: int(st.NextSeq), CreatedAt: st.CreatedAt,
		EndedAt: st.EndedAt, Parked: string(st.Parked)}, nil
}
