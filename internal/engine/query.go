package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
)

// Why a query has no answer.
var (
	// ErrNotBegun: the instance has not had its first turn.
	ErrNotBegun = errors.New("the instance has not had its first turn yet")
	// ErrQueryTime: the orchestration's code, or the code of the query, took longer than a turn may.
	ErrQueryTime = errors.New("the query took longer than a turn may")
	// ErrQueryGoexit: the code of the query ended its goroutine.
	ErrQueryGoexit = errors.New("the code of the query called runtime.Goexit")
)

// NotCapableError says that this process does not have the code that is needed.
type NotCapableError struct{ Name, Version string }

// Error implements error.
func (e *NotCapableError) Error() string {
	if e.Version == "" {
		return fmt.Sprintf("orchestration %q without version is not registered in this process", e.Name)
	}
	return fmt.Sprintf("orchestration %q, version %s, is not registered in this process", e.Name, e.Version)
}

// UnknownQueryError says that the code answers no query of that name, but the known ones.
type UnknownQueryError struct{ Known []string }

// Error implements error.
func (e *UnknownQueryError) Error() string { return replay.NoSuch("query", e.Known) }

// DivergedError says that the code here is not the code that wrote the history.
type DivergedError struct{ Divergence replay.Divergence }

// Error implements error.
func (e *DivergedError) Error() string { return divergenceReason(&e.Divergence).String() }

// Query answers a question from the committed state of an instance: it replays the history here and runs the code of the
// query. It writes nothing. found is false if there is no such instance.
//
// An instance that is about to have its first turn is waited for until ctx ends.
func (e *Engine) Query(ctx context.Context, instanceID, name string, input history.Payload) (answer history.Payload, found bool, err error) {
	if !e.join() {
		return history.Payload{}, false, ErrStopped
	}
	defer e.tasks.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(e.ctx, func() { cancel(ErrStopped) })()
	place := seat{places: e.queryPlaces}
	defer place.leave()
	st, o, events, err := e.snapshot(ctx, instanceID, &place)
	if err != nil || st == nil {
		return history.Payload{}, st != nil, err
	}
	x, err := e.replayed(ctx, st, o, events)
	if err != nil {
		return history.Payload{}, true, err
	}
	answer, err = e.ask(ctx, x, instanceID, name, input)
	return answer, true, err
}

// snapshot reads the state and the whole history of an instance that has begun; st is nil if there is none. The place is
// taken then, and not while it waits for the beginning.
func (e *Engine) snapshot(ctx context.Context, instanceID string, place *seat) (st *provider.InstanceState, o *Orchestration, events []history.Event, err error) {
	for delay := followFirst; ; delay = min(2*delay, e.opts.PulseInterval) {
		if st, err = e.Read(ctx, instanceID); err != nil || st == nil {
			return nil, nil, nil, err
		}
		if o = e.registered(st.Name, st.Version); o == nil {
			return st, nil, nil, &NotCapableError{st.Name, st.Version}
		}
		if err = place.take(ctx, e); err != nil {
			return st, nil, nil, fmt.Errorf("nothing was asked: %w", err)
		}
		if events, err = e.eventsOf(ctx, st); err != nil {
			return st, nil, nil, err
		}
		if len(events) > 1 {
			return st, o, events, nil
		}
		if st.Parked != nil || st.Status.Terminal() {
			return st, nil, nil, ErrNotBegun
		}
		place.leave()
		if err := pause(ctx, delay); err != nil {
			return st, nil, nil, fmt.Errorf("%w: %w", ErrNotBegun, err)
		}
	}
}

// eventsOf returns the history of the current execution as of a state, without a termination. It is empty if the instance
// has made way for another meanwhile.
func (e *Engine) eventsOf(ctx context.Context, st *provider.InstanceState) ([]history.Event, error) {
	var events []history.Event
	for ev, err := range e.events(ctx, provider.HistoryQuery{Ref: st.Ref, Execution: st.Execution}) {
		if err != nil {
			return nil, err
		}
		if events = append(events, ev); len(events) >= int(st.NextSeq) {
			break // what follows was committed since
		}
	}
	if len(events) == 0 || len(events) < int(st.NextSeq) {
		return nil, nil
	}
	if _, terminated := events[len(events)-1].(*history.ExecutionTerminated); terminated {
		events = events[:len(events)-1]
	}
	return events, nil
}

// replayed returns an execution of its own that has replayed a history. Whoever gets it must unwind it.
func (e *Engine) replayed(ctx context.Context, st *provider.InstanceState, o *Orchestration, events []history.Event) (*replay.Execution, error) {
	x, err := replay.New(st.InstanceID, st.Execution, events, o.Run, e.opts.FailureOf)
	if err != nil {
		return nil, err
	}
	watchdog := time.NewTimer(e.opts.TurnTimeout)
	defer watchdog.Stop()
	defer context.AfterFunc(ctx, func() { watchdog.Reset(0) })()
	out, err := x.Turn(replay.Input{ReplayOnly: true, Watchdog: watchdog.C, Progress: func() {
		watchdog.Reset(e.opts.TurnTimeout)
		if ctx.Err() != nil {
			watchdog.Reset(0)
		}
	}})
	switch {
	case err != nil && ctx.Err() != nil:
		err = context.Cause(ctx)
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrQueryTime, err)
	case out.Divergence != nil:
		err = &DivergedError{*out.Divergence}
	}
	if err != nil {
		e.unwind(st.InstanceID, x)
		return nil, err
	}
	return x, nil
}

// ask runs the code of a query on a goroutine of its own, since nothing else can end the wait for it, and unwinds the
// execution.
func (e *Engine) ask(ctx context.Context, x *replay.Execution, instanceID, name string, input history.Payload) (history.Payload, error) {
	query, known := x.Query(name)
	if query == nil {
		e.unwind(instanceID, x)
		return history.Payload{}, &UnknownQueryError{known}
	}
	var answer history.Payload
	err := ErrQueryGoexit
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = x.ReadOnly(func() (err error) {
			answer, err = query(input)
			return err
		})
	}()
	limit := time.NewTimer(e.opts.TurnTimeout)
	defer limit.Stop()
	select {
	case <-done:
		e.unwind(instanceID, x)
		return answer, err
	case <-ctx.Done():
		e.leaveQuery(instanceID, name, x, done)
		return history.Payload{}, context.Cause(ctx)
	case <-limit.C:
		e.leaveQuery(instanceID, name, x, done)
		return history.Payload{}, fmt.Errorf("%w (%v)", ErrQueryTime, e.opts.TurnTimeout)
	}
}

// leaveQuery leaves code behind that does not return, and tidies up should it ever.
func (e *Engine) leaveQuery(instanceID, name string, x *replay.Execution, done <-chan struct{}) {
	select {
	case <-done:
		e.unwind(instanceID, x)
		return
	default:
	}
	e.log.Error("query does not return; its goroutine is left behind", "instance", instanceID, "query", name)
	go func() {
		<-done
		e.unwind(instanceID, x)
	}()
}

// unwind ends the coroutine of an execution; code that does not let go is reported and left behind.
func (e *Engine) unwind(id string, x *replay.Execution) {
	t := time.NewTimer(5 * time.Second)
	defer t.Stop()
	if !x.Close(t.C) {
		e.log.Error("orchestration code does not return; its goroutine is left behind", "instance", id)
	}
}

// followFirst is the first delay of those who look at the store time and again; it doubles up to the pulse interval.
const followFirst = 10 * time.Millisecond

// pause waits for a while, or fails when ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
