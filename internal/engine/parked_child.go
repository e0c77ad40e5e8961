package engine

import (
	"context"
	"errors"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
)

// failParent tells the parent of an instance that is about to be parked, if it asked for that. The instance is busy.
func (in *instance) failParent(reason parkReason) error {
	started, err := in.startedEvent()
	if err != nil || started.Parent == nil || !started.FailParked {
		if call := (*provider.Error)(nil); errors.As(err, &call) {
			return err
		}
		return nil // one whose beginning cannot be read is parked for that
	}
	failure := history.Failure{Kind: history.FailureQuarantined, Source: started.Name, InstanceID: in.id, Message: reason.String()}
	switch reason.Reason {
	case "diverged":
		failure.Kind = history.FailureDiverged
	case "unreadable-history":
		failure.Kind = history.FailureBadPayload
	}
	body, err := history.Append(nil, &history.ChildFailed{Scheduled: started.Parent.Event, Failure: failure, For: started.Parent.ExecutionID})
	if err != nil {
		return err
	}
	message := provider.NewMessage{Target: started.Parent.InstanceID, Kind: provider.MessageChildDone, Execution: started.Parent.Execution,
		ID: started.ExecutionID + "/parked", Body: body}
	err = in.s.call(func(ctx context.Context) error {
		_, err := in.s.e.store.EnqueueMessages(ctx, []provider.NewMessage{message}) // a parent that has ended need not know
		return err
	})
	in.s.orch.kick() // the parent may be held here
	return err
}

// startedEvent returns what the execution began with. The instance is busy.
func (in *instance) startedEvent() (*history.ExecutionStarted, error) {
	if in.x != nil {
		return in.x.Started(), nil
	}
	turns := in.history
	if len(turns) == 0 || turns[0].Seq > 0 {
		var err error
		if turns, err = in.s.readHistory(provider.HistoryQuery{Ref: in.Ref, Execution: in.execution, MaxBytes: 1}); err != nil {
			return nil, err
		}
	}
	if len(turns) == 0 {
		return nil, errors.New("empty history")
	}
	events, err := history.DecodeTurn(turns[0].Events)
	if err != nil {
		return nil, err
	}
	if started, ok := events[0].(*history.ExecutionStarted); ok {
		return started, nil
	}
	return nil, errors.New("history begins with " + events[0].Type())
}
