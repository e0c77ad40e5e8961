package pawl

import (
	"context"
	"fmt"

	"github.com/pawlrun/pawl/history"
)

// Heartbeat says that the activity ctx belongs to is alive, and how far it is: details, unless nil, are what HeartbeatDetails
// returns to the next attempt. They are written with the pulse of the process (Options.PulseInterval), the latest only, and
// when the attempt fails, so it costs nothing to call this often; a crash loses at most those of the last interval.
//
// The error is the reason why the activity is to end, so that a loop ends with it: a *CancelledError if nobody waits for the
// result any more, a *TimeoutError if the attempt has taken too long, ErrStopped if the app is stopping, else what has
// cancelled ctx. ErrInvalid: ctx is not of an activity. A *LimitError: the details are too large (Limits.HeartbeatBytes).
// ErrBadPayload: they cannot be encoded. Safe for concurrent use.
func Heartbeat(ctx context.Context, details any) error {
	a, ok := runningActivity(ctx)
	if !ok {
		return fmt.Errorf("%w: Heartbeat: the context is not that of an activity", ErrInvalid)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if details == nil {
		return a.Heartbeat(history.Payload{})
	}
	payload, err := encode(limitHeartbeat, details)
	if err != nil {
		return err
	}
	if err := overLimit(limitHeartbeat, payload.Size(), a.app.options.Limits.HeartbeatBytes); err != nil {
		return err
	}
	return a.Heartbeat(payload)
}

// HeartbeatDetails returns the details of the last heartbeat of the attempts before this one. It reports false if there
// are none, if they are no T, or if ctx is not of an activity.
func HeartbeatDetails[T any](ctx context.Context) (T, bool) {
	var details T
	a, ok := runningActivity(ctx)
	if !ok || a.Details().IsZero() {
		return details, false
	}
	if err := decode("details of heartbeat", "", a.Details(), &details); err != nil {
		var none T
		return none, false
	}
	return details, true
}
