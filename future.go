package pawl

import (
	"errors"
	"fmt"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
)

// Future is the result of something an orchestration has scheduled: an activity, a sub-orchestration, a timer, an
// external event. Scheduling starts the work; awaiting only waits for it.
type Future[T any] struct {
	raw     *replay.Future
	o       *Context
	what    string // its answer, as errors call it
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

// errSelectNothing is returned by a Select that would wait for ever.
var errSelectNothing = fmt.Errorf("%w: Select has no future to wait for", ErrInvalid)

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
	case failure != nil && f.failure != nil:
		return value, f.failure(failure)
	case failure != nil:
		return value, restoreFailure(failure)
	}
	err = decode(f.what, raw.Name(), payload, &value)
	return value, err
}

// Ready reports whether Await would return at once. Whether it does so early or late depends on timing that the history
// records, so deciding on it is deterministic only right after an await; prefer Select.
func (f *Future[T]) Ready() bool {
	_, raw := f.pending()
	return raw != nil && raw.Ready()
}

// Cancel withdraws what was scheduled: an activity, timer or wait for an event fails with ErrCancelled at once, and an
// activity that is running has its context cancelled; a child is asked to end, and its end still comes. Nothing happens if
// the result is there already. To cancel many things together, schedule them in a scope: see WithCancel.
func (f *Future[T]) Cancel(reason string) {
	if _, raw := f.pending(); raw != nil {
		raw.Cancel(reason)
	}
}

// failedFuture is the future of something that could not be scheduled.
func failedFuture[T any](o *Context, err error) *Future[T] {
	return &Future[T]{raw: o.x.Failed(err), o: o}
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
// Await returns at once. The others go on and may be awaited later; one that is not wanted any more is to be cancelled (see
// Future.Cancel): an Event that nobody awaits takes the next event all the same.
func Select(futures ...Awaitable) (int, error) {
	if len(futures) == 0 {
		return 0, errSelectNothing
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
