package pawl

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pawlrun/pawl/provider"
)

// ListOptions select instances; what is not set does not. nil selects all.
type ListOptions struct {
	Name   string // of the orchestration
	Status string // running, completed, failed, cancelled or terminated
	Prefix string // of the instance id
	Parked bool   // parked instances only
	// Attributes are what the instances have, all of them: see SetAttribute. The listing is read from an index of one of them,
	// the rarest, and the others are looked up.
	Attributes map[string]any
	// Limit is how many are returned at most. Default: 100, at most 1,000.
	Limit int
	// Before continues a listing: the cursor that the call before has returned.
	Before string
}

// largestList is how many instances a call returns at most.
const largestList = 1000

// List returns instances as of their last committed turns, newest first, and a cursor that continues the listing
// (ListOptions.Before), "" if there are no more. Instances that are started meanwhile are newer: none is met twice. Options that
// make no sense are ErrInvalid.
func (a *App) List(ctx context.Context, opts *ListOptions) (instances []Instance, cursor string, err error) {
	e, err := a.running()
	if err != nil {
		return nil, "", fmt.Errorf("list: %w", err)
	}
	if opts == nil {
		opts = &ListOptions{}
	}
	q, err := opts.query()
	if err != nil {
		return nil, "", fmt.Errorf("list: %w", err)
	}
	states, err := e.List(ctx, q)
	if err != nil {
		return nil, "", fmt.Errorf("list: %w", badCursor(err, opts.Before))
	}
	for i := range states {
		instances = append(instances, *a.describe(e, &states[i]))
	}
	if len(states) == q.Limit {
		cursor = states[len(states)-1].Cursor
	}
	return instances, cursor, nil
}

// badCursor tells a cursor that is none from all else that a listing fails of.
func badCursor(err error, cursor string) error {
	var refused *provider.Error
	if cursor != "" && errors.As(err, &refused) && refused.Code == "" && refused.Retry == provider.GiveUp {
		// The store did not even look, and nothing else in the query can be wrong.
		return fmt.Errorf("%w: ListOptions.Before %.40q is no cursor that List has returned: %w", ErrInvalid, cursor, err)
	}
	return err
}

// query checks the options.
func (o *ListOptions) query() (provider.ListQuery, error) {
	q := provider.ListQuery{Name: o.Name, Prefix: o.Prefix, ParkedOnly: o.Parked, Limit: o.Limit, Before: o.Before}
	if setDefault(&q.Limit, 100); q.Limit < 1 || q.Limit > largestList {
		return q, fmt.Errorf("%w: ListOptions.Limit is %d, it must be from 1 to %d", ErrInvalid, q.Limit, largestList)
	}
	if o.Status != "" {
		status, ok := statusNamed(o.Status)
		if !ok {
			return q, fmt.Errorf("%w: ListOptions.Status is %q, it must be running, completed, failed, cancelled or terminated", ErrInvalid, o.Status)
		}
		q.Status = &status
	}
	for field, text := range map[string]string{"Name": o.Name, "Prefix": o.Prefix} {
		if err := checkStorable("ListOptions."+field, text); err != nil {
			return q, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(o.Attributes)) {
		value, err := attribute(key, o.Attributes[key])
		if err == nil {
			err = checkKey(key)
		}
		if err != nil {
			return q, fmt.Errorf("ListOptions.Attributes: %w", err)
		}
		if excess := attributeExcess(key, value); excess != nil {
			return q, fmt.Errorf("ListOptions.Attributes: %w", limitError(excess))
		}
		data, err := value.MarshalJSON()
		if err != nil {
			return q, fmt.Errorf("ListOptions.Attributes: %w", err)
		}
		q.Values = append(q.Values, provider.Value{Key: key, Data: data})
	}
	return q, nil
}

func statusNamed(name string) (provider.InstanceStatus, bool) {
	for _, status := range []provider.InstanceStatus{provider.StatusRunning, provider.StatusCompleted, provider.StatusFailed,
		provider.StatusCancelled, provider.StatusTerminated} {
		if status.String() == name {
			return status, true
		}
	}
	return 0, false
}
