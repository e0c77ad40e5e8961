package pawl

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/engine"
)

// Activity schedules an activity. fn need not be registered in this process: it is scheduled by its name, and any
// worker that has it registered runs it. Errors of scheduling (a nameless function, an input that cannot be encoded,
// options out of range) come from Await. How it is tried again, how long it may take and who runs it is up to the
// options; of several, each replaces those fields of the ones before it that it sets.
//
//	receipt, err := pawl.Activity(o, Charge, card, pawl.ActivityOptions{
//		Retry:        &pawl.RetryPolicy{MaxAttempts: 5},
//		StartToClose: time.Minute,
//	}).Await()
func Activity[I, O any](o *Context, fn ActivityFunc[I, O], input I, options ...ActivityOptions) *Future[O] {
	name, err := o.app.registry.nameOf(kindActivity, fn)
	if err != nil {
		return failedFuture[O](o, err)
	}
	return ActivityByName[O](o, name, input, options...)
}

// ActivityByName schedules an activity by name, for functions that are not at hand where the orchestration is compiled.
func ActivityByName[O any](o *Context, name string, input any, options ...ActivityOptions) *Future[O] {
	if err := checkOwnName("activity name", name); err != nil {
		return failedFuture[O](o, err)
	}
	recorded, err := recordOptions(o, options)
	if errors.Is(err, ErrSessionLost) {
		return failedFuture[O](o, &ActivityError{Activity: name, Err: err})
	}
	if err != nil {
		return failedFuture[O](o, fmt.Errorf("activity %q: %w", name, err))
	}
	payload, err := o.app.encodeFor(o.x, "input of activity "+name, input)
	if err != nil {
		return failedFuture[O](o, err)
	}
	return activityFuture[O](o, name, payload, recorded)
}

// activityFuture schedules an activity that was checked.
func activityFuture[O any](o *Context, name string, payload history.Payload, options *history.ActivityOptions) *Future[O] {
	return &Future[O]{raw: o.scope.Activity(name, payload, options), o: o, what: "result of activity", failure: func(f *history.Failure) error {
		failed := restoreFailure(f)
		return &ActivityError{Activity: name, Attempts: failed.begun(), Err: failed}
	}}
}

// ActivityInfo tells an activity which one it is.
type ActivityInfo struct {
	Name       string
	InstanceID string
	Execution  int
	// ActivityID is the number of the activity within the execution: that of the event that scheduled it.
	ActivityID int
	// Attempt is 1, and one more each time the activity is begun again: because it failed and its retry policy allows
	// another try, or because its process died. An attempt that App.Stop cut short does not count.
	Attempt int
	// IdempotencyKey is the same in every attempt and different for every scheduled activity: hand it to whatever must
	// not do the same thing twice.
	IdempotencyKey string
	// Deadline is when this attempt is ended, if it has not returned by then.
	Deadline time.Time
	// SessionID is that of the session the activity runs in, "" if it is in none. See SessionContext.
	SessionID string
	// LastError is how the try before this one has failed, nil for the first: a *Failure, of which very long ones are
	// cut to kind, code and message.
	LastError error
}

// activityContext is what the context of a running activity carries.
type activityContext struct {
	engine.ActivityInfo
	app *App
}

type activityKey struct{}

func withActivity(ctx context.Context, app *App, info engine.ActivityInfo) context.Context {
	return context.WithValue(ctx, activityKey{}, &activityContext{info, app})
}

func runningActivity(ctx context.Context) (*activityContext, bool) {
	a, ok := ctx.Value(activityKey{}).(*activityContext)
	return a, ok
}

// ActivityInfoFrom returns the information of the activity that ctx belongs to; ok is false outside an activity.
func ActivityInfoFrom(ctx context.Context) (info ActivityInfo, ok bool) {
	a, ok := runningActivity(ctx)
	if !ok {
		return info, false
	}
	info = ActivityInfo{
		Name: a.Name, InstanceID: a.InstanceID, Execution: int(a.Execution), ActivityID: int(a.Event), Attempt: int(a.Attempt),
		IdempotencyKey: a.ActivityInfo.IdempotencyKey(), Deadline: a.Deadline,
	}
	info.SessionID, _, _ = a.Session()
	if a.LastFailure != nil {
		info.LastError = restoreFailure(a.LastFailure)
	}
	return info, true
}

// activityRunner adapts a typed activity to the engine.
func activityRunner[I, O any](app *App, fn ActivityFunc[I, O]) engine.ActivityFunc {
	return func(ctx context.Context, info engine.ActivityInfo, payload history.Payload) (history.Payload, *history.Failure) {
		fail := func(err error) (history.Payload, *history.Failure) { return history.Payload{}, recordedFailure(err) }
		var input I
		if err := decode("input of activity", info.Name, payload, &input); err != nil {
			return fail(err)
		}
		out, err := fn(withActivity(ctx, app, info), input)
		switch {
		case err == nil:
		case !errors.Is(err, ErrResultPending):
			return fail(err)
		case !info.Pending():
			return history.Payload{}, &history.Failure{Kind: history.FailureMisuse, Source: info.Name,
				Message: "the activity returned ErrResultPending without having asked for its token: nobody could complete it"}
		default:
			return history.Payload{}, nil
		}
		result, err := app.encode("result of activity "+info.Name, out)
		if err != nil {
			return fail(err)
		}
		return result, nil
	}
}

// causeOf is what the context of an activity that is to end has as its cause.
func causeOf(f *history.Failure) error {
	if f.Kind == history.FailureTimeout {
		return &TimeoutError{Type: TimeoutType(f.Timeout)}
	}
	return &CancelledError{Reason: f.Message}
}
