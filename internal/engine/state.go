package engine

import (
	"context"

	"github.com/pawlrun/pawl/provider"
)

// ReadValues returns values that an instance has set, of those keys or, without any, all; found is false if there is no
// such instance.
func (e *Engine) ReadValues(ctx context.Context, instanceID string, keys []string) (values []provider.Value, found bool, err error) {
	err = e.call(ctx, func(ctx context.Context) (err error) {
		values, found, err = e.store.ReadValues(ctx, instanceID, keys)
		return err
	})
	return values, found, err
}

// List returns instances, newest first, without their last turn.
func (e *Engine) List(ctx context.Context, q provider.ListQuery) (states []provider.InstanceState, err error) {
	err = e.call(ctx, func(ctx context.Context) (err error) {
		states, err = e.store.ListInstances(ctx, q)
		return err
	})
	return states, err
}

// WaitForStatus waits until the custom status of an instance has another version than the given one, or the instance has
// ended, and returns its state; nil if there is no such instance.
func (e *Engine) WaitForStatus(ctx context.Context, instanceID string, version int64) (*provider.InstanceState, error) {
	news := e.statuses.join(instanceID)
	defer e.statuses.leave(instanceID, news)
	var states []provider.InstanceState
	err := e.call(ctx, func(ctx context.Context) (err error) {
		states, err = e.store.ReadInstances(ctx, []string{instanceID}, true)
		return err
	})
	if err != nil || len(states) == 0 {
		return nil, err
	}
	for st := states[0]; ; {
		if st.StatusVersion != version || st.Status.Terminal() {
			return &st, nil
		}
		select {
		case st = <-news:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-e.ctx.Done():
			return nil, ErrStopped
		}
	}
}

// statusChanged has the state of an instance read if somebody here waits for its status.
func (e *Engine) statusChanged(instanceID string) {
	if e.statuses.has(instanceID) {
		e.reads.add(readCall(instanceID))
	}
}

// lookForStatuses is the part of a pulse that finds what notifications have missed.
func (e *Engine) lookForStatuses() {
	for _, id := range e.statuses.some(watchLimit) {
		e.reads.add(readCall(id))
	}
}
