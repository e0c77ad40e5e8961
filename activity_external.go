package pawl

import (
	"context"
	"errors"
	"fmt"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/engine"
	"github.com/pawlrun/pawl/provider"
)

var (
	// ErrResultPending, returned by an activity, says that its result will come from outside: from whoever it has given
	// its ActivityToken. The activity then holds no slot, no goroutine and no lease; the deaths of processes do not touch
	// it. It waits until CompleteActivity or FailActivity is called, for ever if need be: no limit is imposed, so set
	// ActivityOptions.ScheduleToClose. No other limit applies once it has returned.
	ErrResultPending = errors.New("the result of the activity will come from outside")
	// ErrActivityGone: nobody waits for a result of the activity under that token. It has one already, was withdrawn or
	// has timed out, its instance has ended, or the attempt the token belongs to failed or died before it returned
	// ErrResultPending, and the next has a token of its own.
	ErrActivityGone = errors.New("activity waits for no result under this token")
)

// ActivityToken returns the token by which any process can give the result of this attempt of the activity that ctx belongs
// to, by CompleteActivity or FailActivity; "" if ctx is not of an activity. It may be used as soon as it is known, also
// before the activity has returned ErrResultPending. Whoever has it can complete the activity: treat it as a secret.
func ActivityToken(ctx context.Context) string {
	a, ok := runningActivity(ctx)
	if !ok {
		return ""
	}
	return a.Token()
}

// CompleteActivity gives the result of an activity that has returned ErrResultPending, or is about to. Any started app on
// the same store can do so. The result must be what the activity would return.
//
// The first result counts, every later one gets ErrActivityGone. ErrInvalid: that is no token. If ctx ends first, the
// outcome is unknown and the call can be repeated; then ErrActivityGone may mean that the first try has done it. An answer
// lost on the way is repeated by itself.
func CompleteActivity(ctx context.Context, app *App, token string, result any) error {
	payload, err := app.encode("result of an activity", result)
	if err != nil {
		return err
	}
	return app.completeActivity(ctx, token, payload, nil)
}

// FailActivity gives an error as the outcome of an activity that has returned ErrResultPending, or is about to; everything
// else is as with CompleteActivity. The error is final: a retry policy is for what the activity itself returns.
func FailActivity(ctx context.Context, app *App, token string, cause error) error {
	if cause == nil {
		return fmt.Errorf("%w: FailActivity: the error is nil", ErrInvalid)
	}
	f := recordFailure(cause)
	return app.completeActivity(ctx, token, history.Payload{}, &f)
}

func (a *App) completeActivity(ctx context.Context, token string, result history.Payload, failure *history.Failure) error {
	e, err := a.running()
	if err != nil {
		return err
	}
	status, err := e.CompleteActivity(ctx, token, result, failure)
	switch {
	case errors.Is(err, engine.ErrBadToken):
		return fmt.Errorf("%w: %q is not the token of an activity", ErrInvalid, token)
	case err != nil:
		return fmt.Errorf("complete activity: %w", err)
	case status != provider.Applied:
		return ErrActivityGone
	}
	return nil
}
