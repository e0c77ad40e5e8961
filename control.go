package pawl

import (
	"context"
	"fmt"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/engine"
	"github.com/pawlrun/pawl/provider"
)

// maxReason bounds in bytes the reason for a cancellation, termination or suspension; a longer one is cut, which it then
// says.
const maxReason = 4 << 10

func reasonText(reason string) string { return history.CleanText(reason, maxReason) }

// Cancel asks a running instance to end. Its code is told: what it has scheduled is withdrawn and fails with ErrCancelled,
// Context.Err says why, and it has the time it needs to clean up (see WithCancel and Detached). If it then returns the
// cancellation the status of the instance is cancelled; code that goes on regardless may complete or fail.
//
// When Cancel returns without error the request is stored; an instance that has not had its first turn sees it then. It may
// end for another reason first. Repeating it is harmless: the first request counts. A parked instance sees it when it is
// resumed; use Terminate to end it without its code. An unknown instance is an *InstanceError with ErrNotFound, one that
// has ended with ErrNotRunning. If ctx ends first the outcome is unknown; repeat.
func (a *App) Cancel(ctx context.Context, instanceID, reason string) error {
	return a.control("cancel", instanceID, func(e *engine.Engine) (provider.ItemStatus, error) {
		return e.Cancel(ctx, instanceID, reasonText(reason))
	})
}

// TerminateOptions change how an instance is terminated. nil means the defaults.
type TerminateOptions struct {
	// Children ends all its sub-orchestrations that are running, and theirs, in the same way. Default: they go on.
	Children bool
}

// Terminate ends a running instance at once: no code of it runs any more, whoever holds it, parked or not, and whether or
// not any worker is alive. Its status is then terminated; those who wait for it, and its parent, get an error that matches
// ErrTerminated and has the reason. The contexts of its activities that are running are cancelled, and what they return is
// dropped. Policies for the end of a parent do not apply: there is no code to see to them (see TerminateOptions).
//
// An unknown instance is an *InstanceError with ErrNotFound, one that has ended, terminated or otherwise, with
// ErrNotRunning. If ctx ends first the outcome is unknown; repeat.
func (a *App) Terminate(ctx context.Context, instanceID, reason string, opts *TerminateOptions) error {
	return a.control("terminate", instanceID, func(e *engine.Engine) (provider.ItemStatus, error) {
		return e.Terminate(ctx, instanceID, reasonText(reason), opts != nil && opts.Children)
	})
}

// Suspend parks a running instance: it has no further turn until Resume, and Describe shows the reason. Nothing is lost:
// activities that are running go on and are recorded, timers fire, and events that are raised meanwhile wait for it. A turn
// that is under way comes to nothing and is repeated after Resume. It is no error if the instance is parked already; it
// keeps its first reason.
//
// An unknown instance is an *InstanceError with ErrNotFound, one that has ended with ErrNotRunning.
func (a *App) Suspend(ctx context.Context, instanceID, reason string) error {
	return a.control("suspend", instanceID, func(e *engine.Engine) (provider.ItemStatus, error) {
		return e.Suspend(ctx, instanceID, reasonText(reason))
	})
}

// Resume lets a parked instance go on: one that was suspended, whose code diverged from its history, or that was
// quarantined. In the last two cases mend the code first, or it parks again. It is no error if an instance is not parked.
//
// An unknown instance is an *InstanceError with ErrNotFound, one that has ended with ErrNotRunning.
func (a *App) Resume(ctx context.Context, instanceID string) error {
	return a.control("resume", instanceID, func(e *engine.Engine) (provider.ItemStatus, error) { return e.Resume(ctx, instanceID) })
}

// control does something to one instance.
func (a *App) control(op, instanceID string, do func(*engine.Engine) (provider.ItemStatus, error)) error {
	e, err := a.runningFor(instanceID)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	status, err := do(e)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return statusError(op, instanceID, status)
}
