package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
)

// catchUp brings the execution to where the instance is in the store. One that is cached and behind, because other
// processes have run it meanwhile, is led on by what it lacks; there is none, or something is odd about it, it is made
// anew from the whole history.
func (in *instance) catchUp() error {
	if in.x != nil && in.x.Known() < in.nextSeq {
		err := in.follow()
		var call *provider.Error
		if errors.As(err, &call) {
			return err
		}
		if err != nil {
			in.s.e.log.Debug("cached execution is made anew", "instance", in.id, "error", err)
			in.discard()
			in.history = nil
		}
	}
	var err error
	if in.x == nil {
		err = in.load()
	}
	in.history = nil
	return err
}

// follow gives the cached execution the turns that others have committed.
func (in *instance) follow() error {
	events, size, err := in.since(in.x.Known())
	if err != nil {
		return err
	}
	if err := in.x.Follow(events); err != nil {
		return err
	}
	in.size += size
	in.replayed = true
	return nil
}

// load rebuilds the execution from its history.
func (in *instance) load() error {
	events, size, err := in.since(0)
	if err != nil {
		return err
	}
	in.size, in.replayed = size, len(events) > 1
	return in.newExecution(events)
}

// since returns the events of the execution from number from on, at which a turn begins, and their size.
func (in *instance) since(from int32) (events []history.Event, size int64, err error) {
	turns, err := in.turnsSince(from)
	if err != nil {
		return nil, 0, err
	}
	for _, t := range turns {
		if t.Seq < from {
			continue
		}
		if t.Seq >= in.nextSeq {
			break // of a later owner: this one's commit will be refused
		}
		evs, err := history.DecodeTurn(t.Events)
		if err != nil {
			return nil, 0, &unreadableError{err}
		}
		events = append(events, evs...)
		size += int64(len(t.Events))
	}
	if from+int32(len(events)) != in.nextSeq {
		return nil, 0, &unreadableError{fmt.Errorf("history has %d events from event %d on, the instance counts %d", len(events), from, in.nextSeq)}
	}
	return events, size, nil
}

// turnsSince returns the turns from event number from on, and perhaps some before: those that came with the grant if they
// reach back so far, else what the store says.
func (in *instance) turnsSince(from int32) ([]provider.Turn, error) {
	if len(in.history) > 0 && in.history[0].Seq <= from {
		return in.history, nil
	}
	var turns []provider.Turn
	next := from
	for t, err := range walk(provider.HistoryQuery{Ref: in.Ref, Execution: in.execution, From: from}, in.s.readHistory) {
		if err != nil {
			return nil, err
		}
		turns = append(turns, t)
		if next = t.Seq + t.Count; next >= in.nextSeq {
			return turns, nil
		}
	}
	return nil, fmt.Errorf("history of %q ends at event %d of %d", in.id, next, in.nextSeq)
}

// maxReads is how many instances may be reading their history at a time. Each read is a call of its own and a store has few
// connections: when many instances wake up at once, those whose turns are done must not queue behind all the others.
const maxReads = 4

// readHistory is one read, once it is its turn.
func (s *session) readHistory(q provider.HistoryQuery) (turns []provider.Turn, err error) {
	select {
	case s.reads <- struct{}{}:
		defer func() { <-s.reads }()
	case <-s.ctx.Done():
		return nil, context.Cause(s.ctx)
	}
	err = s.call(func(ctx context.Context) (err error) {
		turns, err = s.e.store.ReadHistory(ctx, q)
		return err
	})
	return turns, err
}

// newExecution makes the coroutine for the current execution.
func (in *instance) newExecution(events []history.Event) error {
	o := in.s.e.serves().orchestrations[in.class]
	if o == nil {
		return fmt.Errorf("class %d is not registered here", in.class)
	}
	x, err := replay.New(in.id, in.execution, events, o.Run, in.s.e.opts.FailureOf)
	if err != nil {
		return &unreadableError{err}
	}
	in.x = x
	return nil
}

// unreadableError is a history that cannot be replayed by any try of this build.
type unreadableError struct{ err error }

func (e *unreadableError) Error() string { return e.err.Error() }
func (e *unreadableError) Unwrap() error { return e.err }

// loadFailed ends a turn that could not begin.
func (in *instance) loadFailed(err error) {
	var unreadable *unreadableError
	if errors.As(err, &unreadable) {
		in.park(parkReason{Reason: "unreadable-history", Detail: err.Error()})
		return
	}
	in.giveBack(err)
}
