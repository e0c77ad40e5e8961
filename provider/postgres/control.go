package postgres

import (
	"context"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

// What comes from outside: whoever calls these holds nothing.

var (
	resumeFunction    = function{name: "resume_instances_v1"}
	suspendFunction   = function{name: "suspend_instances_v1"}
	terminateFunction = function{name: "terminate_instances_v1"}
	valuesFunction    = function{name: "read_values_v1"}
)

// ResumeInstances implements provider.Provider.
func (p *Provider) ResumeInstances(ctx context.Context, instanceIDs []string) ([]provider.ItemStatus, error) {
	if len(instanceIDs) == 0 {
		return nil, nil
	}
	part, id := p.keys(instanceIDs)
	return p.statuses(ctx, &resumeFunction, len(instanceIDs), []param{part, id})
}

// SuspendInstances implements provider.Provider.
func (p *Provider) SuspendInstances(ctx context.Context, instanceIDs []string, reason []byte) ([]provider.ItemStatus, error) {
	if len(instanceIDs) == 0 {
		return nil, nil
	}
	if len(reason) == 0 {
		reason = []byte("null") // a document: without any the instance would not be parked
	}
	part, id := p.keys(instanceIDs)
	return p.statuses(ctx, &suspendFunction, len(instanceIDs), []param{part, id, {oidJSON, reason}})
}

// TerminateInstances implements provider.Provider.
func (p *Provider) TerminateInstances(ctx context.Context, items []provider.Termination) ([]provider.ItemStatus, error) {
	n := len(items)
	if n == 0 {
		return nil, nil
	}
	part, id := newColumn(oidInt2, n), newColumn(oidText, n)
	events, answer, children := newColumn(oidJSON, n), newColumn(oidJSON, n), newColumn(oidBool, n)
	for i := range items {
		item := &items[i]
		if len(item.Events) == 0 {
			return nil, sqlstate.GiveUp(terminateFunction.name, "a termination has no event")
		}
		part.int2(provider.PartitionOf(item.InstanceID, p.parts))
		id.text(item.InstanceID)
		events.bytes(item.Events)
		answer.bytes(item.Answer)
		children.bool(item.Children)
	}
	params := []param{part.param(), id.param(), events.param(), answer.paramIfAny(), children.param()}
	return p.statuses(ctx, &terminateFunction, n, params)
}

// ReadValues implements provider.Provider.
func (p *Provider) ReadValues(ctx context.Context, instanceID string, keys []string) (values []provider.Value, found bool, err error) {
	wanted := newColumn(oidText, len(keys))
	for _, key := range keys {
		wanted.text(key)
	}
	params := []param{int2Param(provider.PartitionOf(instanceID, p.parts)), textParam(instanceID), wanted.param()}
	err = p.call(ctx, &valuesFunction, 1, params, func(r *row) error {
		found = true
		if r.flags != 1 {
			values = append(values, provider.Value{Key: string(r.name), Data: r.document(), Searchable: r.flags == 2})
		}
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	return values, found, nil
}
