package pawl

import (
	"fmt"

	"github.com/pawlrun/pawl/history"
)

// ChildOptions change how a sub-orchestration is started. The zero value means the defaults.
type ChildOptions struct {
	// InstanceID of the child. Default: derived from the parent's, its execution and the position in its history.
	InstanceID string
	// Version of the orchestration, or Unversioned. Default: see Version.
	Version string
	// ParentClose says what becomes of the child when the parent's execution ends before it. Default: CloseAbandon.
	ParentClose ParentClose
	// Priority of the child. Default: that of this instance.
	Priority Priority
	// FailParked has the future fail if the child is parked: with ErrDiverged if its code diverged from its history, with
	// ErrQuarantined if its turn was begun too often without an outcome. The child can still be mended and resumed, but
	// what it then comes to does not reach this future any more. Default: the parent waits until the child is resumed and
	// ends, or is terminated.
	FailParked bool
	// Memo and Attributes are entries of the key-value state that the child begins with, as in StartOptions.
	Memo, Attributes map[string]any
}

// ParentClose says what becomes of a child when its parent's execution ends before it: because it returned, failed,
// panicked, was cancelled or continued as new. A parent that is terminated does nothing more (see TerminateOptions).
type ParentClose uint8

// The policies for children whose parent ends.
const (
	// CloseAbandon: the child goes on, and nobody is told of its end.
	CloseAbandon ParentClose = iota
	// CloseCancel: the child is asked to end, as App.Cancel does.
	CloseCancel
	// CloseWait: the parent does not end before the child has. How that ends is not looked at.
	CloseWait
)

// recorded is the policy as the history has it.
func (c ParentClose) recorded() (history.ParentClose, error) {
	switch c {
	case CloseAbandon:
		return history.CloseAbandon, nil
	case CloseCancel:
		return history.CloseCancel, nil
	case CloseWait:
		return history.CloseWait, nil
	}
	return "", fmt.Errorf("%w: ChildOptions.ParentClose is %d, it must be one of the ParentClose constants", ErrInvalid, uint8(c))
}

// SubOrchestration starts another orchestration as a child instance and returns the future of its result. However the
// child ends, the future is answered: with an *OrchestrationError that matches ErrCancelled or ErrTerminated where that was
// the end, and ErrAlreadyExists if the instance id is taken. A child that is parked has not ended (see ChildOptions.FailParked).
//
// What becomes of the child when the parent ends first is up to ChildOptions.ParentClose. When the Context or the future
// is cancelled the child is asked to end, and its end is still waited for.
func SubOrchestration[I, O any](o *Context, fn OrchestrationFunc[I, O], input I, opts *ChildOptions) *Future[O] {
	name, err := o.app.registry.nameOf(kindOrchestration, fn)
	if err != nil {
		return failedFuture[O](o, err)
	}
	var versioned ChildOptions
	if opts != nil {
		versioned = *opts
	}
	if versioned.Version, err = o.app.versionFor(name, fn, versioned.Version); err != nil {
		return failedFuture[O](o, err)
	}
	return SubOrchestrationByName[O](o, name, input, &versioned)
}

// SubOrchestrationByName is SubOrchestration for a function that is not at hand.
func SubOrchestrationByName[O any](o *Context, name string, input any, opts *ChildOptions) *Future[O] {
	if opts == nil {
		opts = &ChildOptions{}
	}
	child, err := scheduledChild(o, name, opts.Version, opts.InstanceID, input)
	if err == nil {
		child.FailParked = opts.FailParked
		child.Close, err = opts.ParentClose.recorded()
	}
	if err == nil {
		child.Priority, err = opts.Priority.recorded("ChildOptions.Priority")
	}
	if err == nil {
		child.Values, err = o.childValues("ChildOptions", opts.Memo, opts.Attributes)
	}
	if err != nil {
		return failedFuture[O](o, err)
	}
	return &Future[O]{raw: o.scope.Child(child), o: o, what: "result of orchestration", failure: func(f *history.Failure) error {
		return &OrchestrationError{Orchestration: name, Err: restoreFailure(f)}
	}}
}

// DetachedOptions change how a detached orchestration is started. The zero value means the defaults.
type DetachedOptions struct {
	// InstanceID of the instance. Default: derived from that of the one which starts it, its execution and the position in
	// its history.
	InstanceID string
	// Version of the orchestration, or Unversioned. Default: see Version.
	Version string
	// Priority of the instance. Default: that of this one.
	Priority Priority
	// Memo and Attributes are entries of the key-value state that the instance begins with, as in StartOptions.
	Memo, Attributes map[string]any
}

// StartDetached starts another orchestration as an instance of its own: it has no parent, nobody waits for it, and no
// cancellation reaches it from here. It returns the instance's id. The instance is created with the turn's commit, also if
// that ends the execution or continues it as new. If the id is taken nothing is started, and the code is not told; use
// SubOrchestration where that matters.
//
// The error is an argument that breaks a rule (ErrInvalid, ErrBadPayload), or ErrCancelled if the Context is cancelled.
func StartDetached[I, O any](o *Context, fn OrchestrationFunc[I, O], input I, opts *DetachedOptions) (instanceID string, err error) {
	name, err := o.app.registry.nameOf(kindOrchestration, fn)
	if err != nil {
		return "", err
	}
	var versioned DetachedOptions
	if opts != nil {
		versioned = *opts
	}
	if versioned.Version, err = o.app.versionFor(name, fn, versioned.Version); err != nil {
		return "", err
	}
	return StartDetachedByName(o, name, input, &versioned)
}

// StartDetachedByName is StartDetached for a function that is not at hand.
func StartDetachedByName(o *Context, name string, input any, opts *DetachedOptions) (instanceID string, err error) {
	if opts == nil {
		opts = &DetachedOptions{}
	}
	child, err := scheduledChild(o, name, opts.Version, opts.InstanceID, input)
	if err == nil {
		child.Values, err = o.childValues("DetachedOptions", opts.Memo, opts.Attributes)
	}
	if err == nil {
		child.Priority, err = opts.Priority.recorded("DetachedOptions.Priority")
	}
	if err == nil {
		err = o.Err()
	}
	if err != nil {
		return "", fmt.Errorf("start of detached orchestration %q: %w", name, err)
	}
	child.Detached = true
	return o.scope.Child(child).InstanceID(), nil
}

// scheduledChild checks what is to be started from within an orchestration.
func scheduledChild(o *Context, name, version, instanceID string, input any) (history.ChildScheduled, error) {
	child := history.ChildScheduled{Name: name, InstanceID: instanceID}
	if err := checkName("orchestration name", name); err != nil {
		return child, err
	}
	version, err := o.app.versionFor(name, nil, version)
	if err != nil {
		return child, err
	}
	child.Version = recordedVersion(version)
	if instanceID != "" {
		if err := checkName("instance id", instanceID); err != nil {
			return child, err
		}
	}
	child.Input, err = o.app.encodeFor(o.x, "input of orchestration "+name, input)
	return child, err
}
