package pawl

import (
	"fmt"
	"time"

	"github.com/pawlrun/pawl/history"
)

// Timer returns a future that is ready d after Now, however long that is and whatever dies meanwhile. A timer nobody
// waits for costs one row until it fires, it is cancelled or the execution ends.
func Timer(o *Context, d time.Duration) *Future[struct{}] {
	return &Future[struct{}]{raw: o.scope.Timer(d), o: o}
}

// Sleep awaits a Timer. It returns early, with ErrCancelled, when the Context is cancelled.
func Sleep(o *Context, d time.Duration) error {
	_, err := Timer(o, d).Await()
	return err
}

// Event returns the future of the next external event with that name. Events are buffered from the moment the instance
// exists and taken in order of arrival, one by each Event; those nobody takes survive continue-as-new. A future that is
// cancelled takes none.
func Event[T any](o *Context, name string) *Future[T] {
	if err := checkOwnName("event name", name); err != nil {
		return failedFuture[T](o, err)
	}
	return &Future[T]{raw: o.scope.Event(name), o: o, what: "payload of event"}
}

// EventWithin awaits the next external event with that name for at most d. An event that has arrived before is taken even
// if d is 0. If none comes in time the error matches ErrTimeout, and the next one is left to the next Event; if one comes
// the timer is gone.
func EventWithin[T any](o *Context, name string, d time.Duration) (T, error) {
	var none T
	if err := checkOwnName("event name", name); err != nil {
		return none, err
	}
	event, timer := Event[T](o, name), Timer(o, d)
	first, err := Select(event, timer)
	if err != nil {
		return none, err
	}
	if first == 0 {
		timer.Cancel("the event has come")
		return event.Await()
	}
	event.Cancel("it did not come in time")
	if _, err := timer.Await(); err != nil {
		return none, err
	}
	return none, fmt.Errorf("event %q has not come within %v: %w", name, d, ErrTimeout)
}

// SendEvent sends an external event to another instance, or to this one, as Raise does from outside. It is sent with the
// turn's commit, also if that ends the execution, once for each time this line is passed, and several to one instance
// arrive in the order in which they were sent. An instance that does not exist or has ended is not told, and neither is
// the sender: where that matters, have an activity call Raise.
//
// The error is an argument that breaks a rule (ErrInvalid, ErrBadPayload), or ErrCancelled if the Context is cancelled.
func SendEvent(o *Context, instanceID, name string, payload any) error {
	failed := func(err error) error { return fmt.Errorf("event %q to %q: %w", name, instanceID, err) }
	if err := checkName("instance id", instanceID); err != nil {
		return failed(err)
	}
	if err := checkOwnName("event name", name); err != nil {
		return failed(err)
	}
	data, err := o.app.encodeFor(o.x, "payload of event "+name, payload)
	if err != nil {
		return failed(err)
	}
	if err := o.Err(); err != nil {
		return failed(err)
	}
	o.x.Send(history.EventSent{InstanceID: instanceID, Name: name, Payload: data})
	return nil
}
