package pawl

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"

	"github.com/pawlrun/pawl/internal/engine"
	"github.com/pawlrun/pawl/provider"
)

// StartOptions change how an instance is started. nil means the defaults.
type StartOptions struct {
	// InstanceID names the instance: unique in the store for as long as the instance is kept. Default: random.
	InstanceID string
	// Version of the orchestration, or Unversioned. Default: see Version.
	Version string
	// Priority of the instance, and of what it schedules. Default: PriorityNormal.
	Priority Priority
	// Reuse says what to do when there is an instance of that id. Default: ReuseReject.
	Reuse ReusePolicy
	// Events are raised together with the start: if the instance is created they are the first it has, in this order, in the
	// same transaction. If the start attaches to an instance they are raised on that, one after the other; if that has ended
	// the start fails with ErrNotRunning.
	Events []StartEvent
	// Memo are entries of the key-value state that the instance begins with, as if its code had set them with SetValue: anybody
	// can read them, the code too. Attributes are entries that it is found by as well, see SetAttribute. A start that attaches
	// to an instance sets neither. A key is in one of them only.
	Memo, Attributes map[string]any
}

// StartEvent is an external event that is raised together with a start.
type StartEvent struct {
	Name    string
	Payload any
	// MessageID makes a repeated start with the same event harmless where it attaches to a running instance: that takes
	// one event of each id. Default: random.
	MessageID string
}

// ReusePolicy says what a start does when there is an instance of that id.
type ReusePolicy uint8

// The policies for a start whose instance id is taken.
const (
	// ReuseReject fails with ErrAlreadyExists.
	ReuseReject ReusePolicy = iota
	// ReuseAttach returns a handle on the instance, whether it runs or has ended.
	ReuseAttach
	// ReuseAttachOrReplace returns a handle on the instance if it runs; one that has ended is replaced.
	ReuseAttachOrReplace
	// ReuseReplaceEnded replaces an instance that has ended; if it runs it fails with ErrAlreadyExists.
	ReuseReplaceEnded
	// ReuseTerminate terminates the instance if it runs, and replaces it. These are two steps: if the caller dies between
	// them the earlier instance has ended and the new one does not exist.
	ReuseTerminate
)

// String names the policy.
func (p ReusePolicy) String() string {
	names := [...]string{"reject", "attach", "attach or replace", "replace ended", "terminate"}
	if int(p) >= len(names) {
		return fmt.Sprintf("ReusePolicy(%d)", uint8(p))
	}
	return names[p]
}

func (p ReusePolicy) attaches() bool { return p == ReuseAttach || p == ReuseAttachOrReplace }

// replaces reports whether an instance that has ended makes room. It is removed with its history and values.
func (p ReusePolicy) replaces() bool { return p >= ReuseAttachOrReplace }

// Start starts an orchestration. When it returns without error the instance exists durably; if this process can run it,
// its first turn is done and its first activities are running here.
//
// When as many starts are under way in this process as Limits.Starts allows it waits for its turn; if ctx ends meanwhile,
// nothing was started and the error says so. An input that is too large is a *LimitError.
//
// If the id is taken StartOptions.Reuse decides; by default that is an *InstanceError with ErrAlreadyExists. If ctx ends
// first the outcome is unknown: repeat with the same InstanceID, and ErrAlreadyExists then means that the first try
// succeeded (or that somebody else took the id).
func Start[I, O any](ctx context.Context, app *App, fn OrchestrationFunc[I, O], input I, opts *StartOptions) (*Run[O], error) {
	name, err := app.registry.nameOf(kindOrchestration, fn)
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	var versioned StartOptions
	if opts != nil {
		versioned = *opts
	}
	if versioned.Version, err = app.versionFor(name, fn, versioned.Version); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	return StartByName[O](ctx, app, name, input, &versioned)
}

// StartByName is Start for an orchestration that is not at hand.
func StartByName[O any](ctx context.Context, app *App, name string, input any, opts *StartOptions) (*Run[O], error) {
	e, err := app.running()
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	if opts == nil {
		opts = &StartOptions{}
	}
	spec, err := startSpec(app, name, input, opts)
	if err == nil {
		spec.Version, err = app.versionFor(name, nil, opts.Version)
		spec.Version = recordedVersion(spec.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	for range startTries {
		run := newRun[O](app, e, spec.InstanceID, true)
		spec.Waiter = run.waiter
		status, err := e.StartInstance(ctx, spec)
		runtime.KeepAlive(run)
		if err == nil && status == provider.Applied {
			return run, nil
		}
		run.waiter.Close()
		attached := false
		if err == nil {
			attached, err = makeRoom(ctx, e, &spec, opts.Reuse)
		}
		if err != nil {
			return nil, fmt.Errorf("start: %w", err)
		}
		if attached {
			return newRun[O](app, e, spec.InstanceID, false), nil
		}
	}
	return nil, fmt.Errorf("start: %w", &InstanceError{InstanceID: spec.InstanceID, Err: ErrAlreadyExists})
}

// startTries is how often a start that replaces is tried when others take the id at the same time.
const startTries = 100

// startSpec checks what is to be started.
func startSpec(app *App, name string, input any, opts *StartOptions) (engine.StartSpec, error) {
	spec := engine.StartSpec{InstanceID: opts.InstanceID, Name: name, ReplaceEnded: opts.Reuse.replaces()}
	if spec.InstanceID == "" {
		spec.InstanceID = rand.Text()
	}
	if err := checkName("instance id", spec.InstanceID); err != nil {
		return spec, err
	}
	if err := checkName("orchestration name", name); err != nil {
		return spec, err
	}
	if opts.Reuse > ReuseTerminate {
		return spec, fmt.Errorf("%w: StartOptions.Reuse is %v, it must be one of the ReusePolicy constants", ErrInvalid, opts.Reuse)
	}
	var err error
	if spec.Priority, err = opts.Priority.recorded("StartOptions.Priority"); err != nil {
		return spec, err
	}
	if spec.Input, err = app.encode("input of "+name, input); err != nil {
		return spec, err
	}
	if spec.Values, err = initialValues("StartOptions", opts.Memo, opts.Attributes); err != nil {
		return spec, err
	}
	if excess := app.options.Limits.valuesExcess(spec.Values); excess != nil {
		return spec, limitError(excess)
	}
	for _, ev := range opts.Events {
		raised, err := app.raisedEvent(ev.Name, ev.MessageID, ev.Payload)
		if err != nil {
			return spec, err
		}
		spec.Events = append(spec.Events, raised)
	}
	return spec, nil
}

// makeRoom decides what becomes of a start whose id is taken: it is attached to the instance, tried again, or refused.
func makeRoom(ctx context.Context, e *engine.Engine, spec *engine.StartSpec, reuse ReusePolicy) (attached bool, err error) {
	switch {
	case reuse.attaches():
		return attach(ctx, e, spec, reuse)
	case reuse == ReuseTerminate:
		_, err := e.Terminate(ctx, spec.InstanceID, "replaced by another start", false)
		return false, err
	}
	return false, &InstanceError{InstanceID: spec.InstanceID, Err: ErrAlreadyExists}
}

// attach raises the events of a start on the instance that exists. It reports false if that has ended meanwhile and is to
// be replaced.
func attach(ctx context.Context, e *engine.Engine, spec *engine.StartSpec, reuse ReusePolicy) (bool, error) {
	for _, ev := range spec.Events {
		status, err := e.Raise(ctx, spec.InstanceID, ev)
		if err != nil {
			return false, err
		}
		if status != provider.Applied && reuse.replaces() || status == provider.NotFound {
			return false, nil
		}
		if err := statusError(fmt.Sprintf("event %q", ev.Name), spec.InstanceID, status); err != nil {
			return false, err
		}
	}
	return true, nil
}
