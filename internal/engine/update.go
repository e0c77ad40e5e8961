package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
)

// UpdateSpec is an update to be sent.
type UpdateSpec struct {
	InstanceID, Name string
	// ID makes a repeat harmless.
	ID string
	// Repeated: the id may have been used before, so that an answer may be there already.
	Repeated bool
	Input    history.Payload
}

// UpdateAnswer is what became of an update.
type UpdateAnswer struct {
	Result  history.Payload
	Failure *history.Failure // nil: success
	// Rejected: it was not accepted and had no effect. Unknown: because there is no code for it.
	Rejected, Unknown bool
}

// Update sends an update and waits for its answer. Without an answer the status says why: NotFound, or Gone when the
// instance has ended without one.
//
// If ctx ends first the update may or may not have been taken; repeating it with the same id is safe.
func (e *Engine) Update(ctx context.Context, spec UpdateSpec) (*UpdateAnswer, provider.ItemStatus, error) {
	body, err := history.Append(nil, &history.UpdateReceived{ID: spec.ID, Name: spec.Name, Payload: spec.Input})
	if err != nil {
		return nil, 0, err
	}
	key := updateKey{spec.InstanceID, spec.ID}
	answered := e.updates.join(key)
	defer e.updates.leave(key, answered)
	st, err := e.Read(ctx, spec.InstanceID) // where to begin to look for the answer
	switch {
	case err != nil:
		return nil, 0, err
	case st == nil:
		return nil, provider.NotFound, nil
	case st.Status.Terminal():
		return e.lastAnswer(ctx, spec)
	}
	status, err := e.send(ctx, fmt.Sprintf("update %q", spec.Name), provider.NewMessage{
		Target: spec.InstanceID, Kind: provider.MessageExternalEvent, Name: history.UpdateName, ID: spec.ID, Body: body})
	if err != nil || status == provider.NotFound {
		return nil, status, err
	}
	f := follower{e: e, st: st, id: spec.ID, repeated: spec.Repeated, execution: st.Execution, seq: st.NextSeq}
	if status == provider.Gone { // it ended between, with or without an answer
		spec.Repeated = true
		return e.lastAnswer(ctx, spec)
	}
	return f.wait(ctx, answered)
}

// follower looks for the answer to an update in what an instance records.
type follower struct {
	e         *Engine
	st        *provider.InstanceState
	id        string
	repeated  bool // it may have been answered before
	execution int32
	seq       int32 // of the next turn to be read
	gone      bool  // the instance has ended, or made way for another
}

// wait returns the answer: at once if its turn is committed in this process, else when it is found in the history.
func (f *follower) wait(ctx context.Context, answered <-chan history.Event) (*UpdateAnswer, provider.ItemStatus, error) {
	for delay := followFirst; ; delay = min(2*delay, f.e.opts.PulseInterval) {
		look := time.NewTimer(delay)
		var found history.Event
		var err error
		select {
		case found = <-answered:
		case <-look.C:
			if f.repeated { // an instance that rests, or ends now, does not say again what it has said
				f.repeated = false
				found, err = f.e.recordedAnswer(ctx, f.st, f.id)
			}
			if found == nil && err == nil {
				found, err = f.look(ctx)
			}
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-f.e.ctx.Done():
			err = ErrStopped
		}
		look.Stop()
		switch {
		case err != nil:
			return nil, 0, fmt.Errorf("whether the update was accepted is not known, repeat it with the same id: %w", err)
		case found != nil:
			return f.answer(ctx, found)
		case f.gone:
			return nil, provider.Gone, nil
		}
	}
}

// look reads what was recorded since the last look, and returns the answer if it is there.
func (f *follower) look(ctx context.Context) (history.Event, error) {
	news := false
	for goesOn := true; goesOn; {
		goesOn = false
		for ev, err := range f.e.events(ctx, provider.HistoryQuery{Ref: f.st.Ref, Execution: f.execution, From: f.seq}) {
			if err != nil {
				return nil, err
			}
			news = true
			f.seq++
			if updateID(ev) == f.id {
				return ev, nil
			}
			if f.gone = outcomeOf(ev) != nil; f.gone {
				return nil, nil
			}
			if _, goesOn = ev.(*history.ExecutionContinuedAsNew); goesOn {
				f.execution, f.seq = f.execution+1, 0
				break
			}
		}
	}
	if news {
		return nil, nil
	}
	st, err := f.e.Read(ctx, f.st.InstanceID)
	if err == nil && (st == nil || st.Ref != f.st.Ref) {
		f.gone = true // removed, or replaced
	}
	return nil, err
}

// updateID is the id of the update that an event answers, "" if it answers none.
func updateID(ev history.Event) string {
	switch ev := ev.(type) {
	case *history.UpdateAnswered:
		return ev.ID
	case *history.UpdateRejected:
		return ev.ID
	case *history.UpdateRepeated:
		return ev.ID
	}
	return ""
}

// answer is what the event that answers an update says; that of a repeated one is where it was answered first.
func (f *follower) answer(ctx context.Context, ev history.Event) (*UpdateAnswer, provider.ItemStatus, error) {
	switch ev := ev.(type) {
	case *history.UpdateAnswered:
		return &UpdateAnswer{Result: ev.Result, Failure: ev.Failure}, provider.Applied, nil
	case *history.UpdateRejected:
		return &UpdateAnswer{Failure: &ev.Failure, Rejected: true, Unknown: ev.Unknown}, provider.Applied, nil
	case *history.UpdateRepeated:
		first, err := f.e.answerAt(ctx, f.st.Ref, ev.UpdateAt)
		if err != nil {
			return nil, 0, err
		}
		return f.answer(ctx, first)
	}
	return nil, provider.Gone, nil
}

// answerAt reads the answer that was recorded at a place; nil if it is not there any more.
func (e *Engine) answerAt(ctx context.Context, ref provider.Ref, at history.UpdateAt) (history.Event, error) {
	for t, err := range e.turns(ctx, provider.HistoryQuery{Ref: ref, Execution: at.Execution}) {
		if err != nil {
			return nil, err
		}
		if t.Seq+t.Count <= at.Event {
			continue // not worth decoding
		}
		events, err := history.DecodeTurn(t.Events)
		if err != nil {
			return nil, err
		}
		if ev := events[at.Event-t.Seq]; updateID(ev) == at.ID {
			return ev, nil
		}
		return nil, nil
	}
	return nil, nil
}

// lastAnswer looks for the answer to an update that an instance has got before it ended.
func (e *Engine) lastAnswer(ctx context.Context, spec UpdateSpec) (*UpdateAnswer, provider.ItemStatus, error) {
	if !spec.Repeated {
		return nil, provider.Gone, nil
	}
	st, err := e.Read(ctx, spec.InstanceID)
	if err != nil || st == nil {
		return nil, provider.NotFound, err
	}
	found, err := e.recordedAnswer(ctx, st, spec.ID)
	if err != nil || found == nil {
		return nil, provider.Gone, err
	}
	f := follower{e: e, st: st, id: spec.ID}
	return f.answer(ctx, found)
}

// recordedAnswer looks for the answer to an update in what an instance has recorded: in its current execution, and in what
// that knows of those before. It is nil if there is none.
func (e *Engine) recordedAnswer(ctx context.Context, st *provider.InstanceState, id string) (history.Event, error) {
	events, err := e.eventsOf(ctx, st)
	if err != nil || len(events) == 0 {
		return nil, err
	}
	if started, ok := events[0].(*history.ExecutionStarted); ok {
		for _, at := range started.Updates {
			if at.ID == id {
				return &history.UpdateRepeated{UpdateAt: at}, nil
			}
		}
	}
	for _, ev := range events {
		if updateID(ev) == id {
			return ev, nil
		}
	}
	return nil, nil
}

// updateKey names an update.
type updateKey struct{ instanceID, id string }

// tellAnswers passes on the answers that a turn has given, once it is committed.
func (e *Engine) tellAnswers(instanceID string, answers []history.Event) {
	for _, ev := range answers {
		e.updates.tell(updateKey{instanceID, updateID(ev)}, ev)
	}
}
