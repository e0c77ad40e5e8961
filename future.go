package pawl

import (
	"errors"
	"fmt"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
)

// Future is the result of something an orchestration has scheduled: an activity, a sub-orchestration, a timer, an
// external event. Scheduling starts the work; awaiting only waits for it.
type Future[T any] struct {
	raw     *replay.Future
	o       *Context
	failure func(*history.Failure) error
}

// Awaitable is any Future; see Select.
type Awaitable interface {
	pending() (*Context, *replay.Future)
}

func (f *Future[T]) pending() (*Context, *replay.Future) {
	if f == nil {
		return nil, nil
	}
	return f.o, f.raw
}

// errNoFuture is returned by an await of a nil future, or of one that Pawl did not make.
var errNoFuture = fmt.Errorf("%w: not a future: nil, or not made by Activity, SubOrchestration, Timer or Event", ErrInvalid)

// Await blocks the orchestration until the result is there and returns it, again and again if called again. The error
// is an *ActivityError or *OrchestrationError for work that failed.
func (f *Future[T]) Await() (T, error) {
	var value T
	o, raw := f.pending()
	if raw == nil {
		return value, errNoFuture
	}
	if _, err := o.x.Await(raw); err != nil {
		return value, err
	}
	payload, failure, err := raw.Answer()
	switch {
	case err != nil:
		return value, err
	case failure != nil:
		return value, f.failure(failure)
	}
	err = decode("result of "+f.raw.Name(), payload, &value)
	return value, err
}

// Ready reports whether Await would return at once. Whether it does so early or late depends on timing that the history
// records, so deciding on it is deterministic only right after an await; prefer Select.
func (f *Future[T]) Ready() bool {
	_, raw := f.pending()
	return raw != nil && raw.Ready()
}

// failedFuture is the future of something that could not be scheduled.
func failedFuture[T any](o *Context, err error) *Future[T] {
	return &Future[T]{raw: o.x.Failed(err), o: o}
}

// Activity schedules an activity. fn need not be registered in this process: it is scheduled by its name, and any
// worker that has it registered runs it. Errors of scheduling (a nameless function, an input that cannot be encoded)
// come from Await.
func Activity[I, O any](o *Context, fn ActivityFunc[I, O], input I) *Future[O] {
	name, err := o.app.registry.nameOf(kindActivity, fn)
	if err != nil {
		return failedFuture[O](o, err)
	}
	return ActivityByName[O](o, name, input)
}

// ActivityByName schedules an activity by name, for functions that are not at hand where the orchestration is compiled.
func ActivityByName[O any](o *Context, name string, input any) *Future[O] {
	if err := checkName("activity name", name); err != nil {
		return failedFuture[O](o, err)
	}
	payload, err := encode("input of activity "+name, input)
	if err != nil {
		return failedFuture[O](o, err)
	}
	return &Future[O]{raw: o.x.Activity(name, payload), o: o, failure: func(f *history.Failure) error {
		return &ActivityError{Activity: name, Err: restoreFailure(f)}
	}}
}

// ChildOptions change how a sub-orchestration is started. The zero value means the defaults.
type ChildOptions struct {
	// InstanceID of the child. Default: derived from the parent's, its execution and the position in its history.
	InstanceID string
}

// SubOrchestration starts another orchestration as a child instance and returns the future of its result. If the
// instance id is taken the future fails with ErrAlreadyExists. A child goes on running when its parent ends.
func SubOrchestration[I, O any](o *Context, fn OrchestrationFunc[I, O], input I, opts *ChildOptions) *Future[O] {
	name, err := o.app.registry.nameOf(kindOrchestration, fn)
	if err != nil {
		return failedFuture[O](o, err)
	}
	return SubOrchestrationByName[O](o, name, input, opts)
}

// SubOrchestrationByName is SubOrchestration for a function that is not at hand.
func SubOrchestrationByName[O any](o *Context, name string, input any, opts *ChildOptions) *Future[O] {
	if err := checkName("orchestration name", name); err != nil {
		return failedFuture[O](o, err)
	}
	var id string
	if opts != nil && opts.InstanceID != "" {
		id = opts.InstanceID
		if err := checkName("instance id", id); err != nil {
			return failedFuture[O](o, err)
		}
	}
	payload, err := encode("input of orchestration "+name, input)
	if err != nil {
		return failedFuture[O](o, err)
	}
	return &Future[O]{raw: o.x.Child(name, "", id, payload), o: o, failure: func(f *history.Failure) error {
		return &OrchestrationError{Orchestration: name, Err: restoreFailure(f)}
	}}
}

// Timer returns a future that is ready d after Now, however long that is and whatever dies meanwhile. A timer nobody
// waits for costs one row until it fires or the execution ends.
func Timer(o *Context, d time.Duration) *Future[struct{}] {
	return &Future[struct{}]{raw: o.x.Timer(d), o: o}
}

// Sleep awaits a Timer.
func Sleep(o *Context, d time.Duration) error {
	_, err := Timer(o, d).Await()
	return err
}

// Event returns the future of the next external event with that name. Events are buffered from the moment the instance
// exists and taken in order of arrival, one by each Event; those nobody takes survive continue-as-new.
func Event[T any](o *Context, name string) *Future[T] {
	if err := checkName("event name", name); err != nil {
		return failedFuture[T](o, err)
	}
	return &Future[T]{raw: o.x.Event(name), o: o}
}

// All awaits all futures and returns their results in order. If some fail it still waits for all and returns their
// errors joined; the results of the others are valid.
func All[T any](futures ...*Future[T]) ([]T, error) {
	results := make([]T, len(futures))
	var errs []error
	for i, f := range futures {
		r, err := f.Await()
		if err != nil {
			errs = append(errs, err)
		}
		results[i] = r
	}
	return results, errors.Join(errs...)
}

// Select waits until one of the futures is ready and returns the index of the first that is, in argument order; then its
// Await returns at once. The others go on and may be awaited later.
func Select(futures ...Awaitable) (int, error) {
	if len(futures) == 0 {
		return 0, replay.ErrNothingToAwait
	}
	raw := make([]*replay.Future, len(futures))
	var o *Context
	for i, f := range futures {
		if f != nil {
			o, raw[i] = f.pending()
		}
		if raw[i] == nil {
			return 0, errNoFuture
		}
	}
	return o.x.Await(raw...)
}

// ContinueAsNew ends this execution and starts the next one of the same instance with a fresh history and the given
// input: return it as the orchestration's error. Events not taken yet are kept; activities, timers and waits of this
// execution end with it.
//
//	return zero, pawl.ContinueAsNew(next)
func ContinueAsNew[I any](input I) error {
	payload, err := encode("input of continue-as-new", input)
	if err != nil {
		return err
	}
	return &replay.ContinueAsNew{Input: payload}
}
