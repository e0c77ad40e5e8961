package replay

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/pawlrun/pawl/history"
)

// Misuse by code that handles updates and queries.
var (
	// ErrReadOnly: a query, or the check of an update, scheduled, waited or changed something.
	ErrReadOnly = errors.New("queries and checks of updates may look at the orchestration, but not schedule, wait or change anything through its context")
	// ErrHandlerAwait: an update waited.
	ErrHandlerAwait = errors.New("the code of an update must not wait: let it change what the orchestration waits for")
)

// PanicError is a panic of code that was called for an answer.
type PanicError struct{ Failure history.Failure }

// Error implements error.
func (e *PanicError) Error() string { return "panic: " + e.Failure.Message }

// Update is code that changes an execution when it is asked to from outside.
type Update struct {
	// Validate decides whether the update is accepted; it must not change anything. It does not run in a replay. Nil accepts.
	Validate func(input history.Payload) error
	// Handle runs on the coroutine, while that waits. It may schedule, and must not wait.
	Handle func(input history.Payload) (history.Payload, error)
}

// HandleUpdate sets the code for an update. From then on the execution takes updates.
func (x *Execution) HandleUpdate(name string, update Update) {
	x.enter()
	if x.updates == nil {
		x.updates = map[string]Update{}
	}
	x.updates[name] = update
}

// AwaitUntil blocks the coroutine until done reports true or the scope is cancelled. done is asked at first and after
// everything that happens, in a replay at the same places; it must not change anything.
func (x *Execution) AwaitUntil(scope *Scope, done func() bool) error {
	for scope.Cancelled() == nil && !done() {
		x.enter()
		if x.handling {
			return ErrHandlerAwait
		}
		if err := x.step(); err != nil {
			return err
		}
	}
	return nil
}

// receive takes an update from the inbox and reports whether it is used up: updates wait until there is code for any.
func (x *Execution) receive(ev *history.UpdateReceived) bool {
	if len(x.updates) == 0 {
		return false
	}
	if at, known := x.answered.at[ev.ID]; known {
		x.append(&history.UpdateRepeated{UpdateAt: at})
		return true
	}
	if rejected := x.reject(ev); rejected != nil {
		x.append(rejected)
		_ = x.apply(rejected)
		return true
	}
	x.append(ev)
	_ = x.apply(ev)
	return true
}

// reject returns why an update is not accepted, nil if it is.
func (x *Execution) reject(ev *history.UpdateReceived) *history.UpdateRejected {
	rejected := &history.UpdateRejected{ID: ev.ID, Name: ev.Name}
	u, known := x.updates[ev.Name]
	if !known {
		rejected.Unknown = true
		rejected.Failure = history.Failure{Kind: history.FailureMisuse, Message: NoSuch("update", slices.Sorted(maps.Keys(x.updates)))}
		return rejected
	}
	if u.Validate == nil {
		return nil
	}
	err := x.ReadOnly(func() error { return u.Validate(ev.Payload) })
	if err == nil {
		return nil
	}
	rejected.Failure = x.failureSafely(err)
	return rejected
}

// NoSuch says that code handles no query or update of a name, but the known ones.
func NoSuch(what string, known []string) string {
	if len(known) == 0 {
		return "no such " + what + ", nor any other"
	}
	return fmt.Sprintf("no such %s, but %s", what, strings.Join(quoted(known), ", "))
}

func quoted(names []string) []string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = strconv.Quote(name)
	}
	return quoted
}

// handle runs the code of an accepted update, in a replay as in the beginning, and records its answer or finds it
// recorded.
func (x *Execution) handle(ev *history.UpdateReceived) error {
	u, known := x.updates[ev.Name]
	if !known {
		return fmt.Errorf("no code for update %q", ev.Name)
	}
	answer := &history.UpdateAnswered{Received: x.next - 1, ID: ev.ID}
	x.handling = true
	result, err := u.run(ev.Payload)
	x.handling = false
	if err != nil {
		failure := x.failureSafely(err)
		answer.Failure = &failure
	} else {
		answer.Result = result
	}
	x.issue(answer)
	x.answered.add(history.UpdateAt{ID: ev.ID, Execution: x.execution, Event: x.next - 1})
	return nil
}

// run calls the code and catches its panics.
func (u Update) run(input history.Payload) (result history.Payload, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{panicked(r).Failure}
		}
	}()
	return u.Handle(input)
}

// failureSafely is failureOf for errors whose methods may panic.
func (x *Execution) failureSafely(err error) (failure history.Failure) {
	var caught *PanicError
	switch {
	case errors.As(err, &caught):
		return caught.Failure
	case errors.Is(err, ErrReadOnly), errors.Is(err, ErrHandlerAwait):
		return history.Failure{Kind: history.FailureMisuse, Message: err.Error()}
	}
	defer func() {
		if r := recover(); r != nil {
			failure = panicked(r).Failure
		}
	}()
	return x.failureOf(err)
}

// ReadOnly runs f, in which the execution can be looked at, but whatever would change it panics. It returns f's error,
// ErrReadOnly if f tried, or a *PanicError. It is for the coroutine, or for the owner between turns and after the end.
func (x *Execution) ReadOnly(f func() error) (err error) {
	x.readOnly = true
	x.refused.Store(false)
	defer func() {
		r := recover()
		x.readOnly = false
		switch {
		case x.refused.Load():
			err = ErrReadOnly
		case r != nil:
			err = &PanicError{panicked(r).Failure}
		}
	}()
	return f()
}

// refuse stops code that may only look. On another goroutine than the one that ReadOnly runs on, where nobody would catch
// the panic, it ends that.
func (x *Execution) refuse() {
	x.refused.Store(true)
	if !underReadOnly() {
		runtime.Goexit()
	}
	panic(ErrReadOnly)
}

// underReadOnly reports whether the calling goroutine is within ReadOnly.
func underReadOnly() bool {
	var pcs [64]uintptr
	for skip := 2; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		frames := runtime.CallersFrames(pcs[:n])
		for more := n > 0; more; {
			var f runtime.Frame
			if f, more = frames.Next(); strings.HasSuffix(f.Function, "/replay.(*Execution).ReadOnly") {
				return true
			}
		}
		if n < len(pcs) {
			return false
		}
	}
}

// answeredLimit is how many answers an instance remembers, over continue-as-new too.
const answeredLimit = 1000

// answeredUpdates remembers where the latest updates were answered, so that a repeated one is not done again.
type answeredUpdates struct {
	at    map[string]history.UpdateAt
	order []history.UpdateAt
}

func (a *answeredUpdates) add(at history.UpdateAt) {
	if a.at == nil {
		a.at = map[string]history.UpdateAt{}
	}
	if _, known := a.at[at.ID]; known {
		return
	}
	a.at[at.ID] = at
	a.order = append(a.order, at)
	if len(a.order) > answeredLimit {
		delete(a.at, a.order[0].ID)
		a.order = a.order[1:]
	}
}
