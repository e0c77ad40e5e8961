package replay

import "github.com/pawlrun/pawl/history"

// Future is the answer to a command, once there is one. It belongs to its execution's coroutine.
type Future struct {
	x     *Execution
	scope *Scope
	event int32 // number of the scheduling event
	name  string
	kind  openKind
	done  bool
	// withdrawn: nobody waits for it any more, or the child was asked to end.
	withdrawn bool
	timeouts  []int32 // numbers of the timers that bound an activity
	// Of a child:
	instanceID string
	detached   bool
	close      history.ParentClose
	// The answer; failure nil means success.
	result  history.Payload
	failure *history.Failure
	err     error // set instead of an event: the command was never issued
}

// Failed returns a future that was never scheduled because of err. It is ready at once and leaves no trace in history,
// so err must follow from the code and its arguments alone.
func (x *Execution) Failed(err error) *Future { return &Future{x: x, event: -1, done: true, err: err} }

// Name is the name of what was scheduled.
func (f *Future) Name() string { return f.name }

// Event is the number of the event that scheduled it, -1 if none has.
func (f *Future) Event() int32 { return f.event }

// InstanceID is the id of a child, detached or not; "" if none was scheduled.
func (f *Future) InstanceID() string { return f.instanceID }

// Ready reports whether the answer is there. It does not drive the execution.
func (f *Future) Ready() bool { return f.done }

// Answer returns the answer of a ready future.
func (f *Future) Answer() (history.Payload, *history.Failure, error) {
	return f.result, f.failure, f.err
}

func (f *Future) resolve(result history.Payload, failure *history.Failure) {
	f.result, f.failure, f.done = result, failure, true
}

// MayAwait returns what Await would return of a future that is not ready because of the code that asks, nil if it would wait.
func (x *Execution) MayAwait() error {
	x.enter()
	if x.handling {
		return ErrHandlerAwait
	}
	return nil
}

// Await blocks the coroutine until one of the futures is ready and returns the index of the first that is, in
// argument order. It fails with no future, and if it would have to block another goroutine than the
// coroutine (ErrForeignGoroutine, which also fails the execution).
func (x *Execution) Await(futures ...*Future) (int, error) {
	if len(futures) == 0 {
		return 0, ErrNothingToAwait
	}
	for {
		for i, f := range futures {
			if f.x != x {
				return 0, ErrForeignFuture
			}
			if f.done {
				return i, nil
			}
		}
		x.enter()
		if x.handling {
			return 0, ErrHandlerAwait
		}
		if err := x.step(); err != nil {
			return 0, err
		}
	}
}
