package sqlite

import (
	"context"
	"fmt"

	"github.com/pawlrun/pawl/provider"
)

// StartOrchestrations implements provider.Provider.
func (p *Provider) StartOrchestrations(ctx context.Context, req *provider.StartRequest) (*provider.AckReply, error) {
	const op = "start_orchestrations"
	if len(req.Items) == 0 {
		return newReply(0), nil
	}
	var texts textCheck
	for n := range req.Items {
		item := &req.Items[n]
		texts.instance(&item.NewInstance)
		for m := range item.Messages {
			texts.message(&item.Messages[m])
		}
		if item.InstanceID == "" {
			return nil, invalid(op, fmt.Sprintf("item %d: an instance has no id", n))
		}
		if err := provider.CheckValues(item.Values); err != nil {
			return nil, invalid(op, fmt.Sprintf("item %d: %v", n, err))
		}
		if item.First == nil {
			continue
		}
		texts.commit(item.First)
		if problem := checkCommit(req.Worker, item.First); problem != "" {
			return nil, invalid(op, fmt.Sprintf("item %d: %s", n, problem))
		}
	}
	if err := texts.problem(op); err != nil {
		return nil, err
	}
	for n := range req.Items {
		if item := &req.Items[n]; item.Watch {
			p.hub.watch(item.InstanceID, 0) // before the call: its end may be part of it
		}
	}
	var reply *provider.AckReply
	err := p.write(ctx, op, len(req.Items), durable, func(t *tx) {
		b := newBatch(t, req.Worker, nil, len(req.Items))
		for n := range req.Items {
			b.start(&req.Items[n], &b.reply.Results[n])
		}
		b.finish()
		reply = b.reply
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// start creates the instance of one item, or finds out why it is there already.
func (b *batch) start(item *provider.StartItem, result *provider.AckResult) {
	t := b.t
	i := newInstance(&item.NewInstance)
	if item.First != nil {
		i.commit(item.First, 0, b.worker, t.now)
	} else {
		i.due = t.now
	}
	if t.insertInstance(i, item.Parent) {
		b.started(i, item, result)
		return
	}
	existing := t.instanceNamed(item.InstanceID)
	switch {
	case existing == nil: // only after an error
	case existing.startedAs == item.ExecutionID:
		*result = provider.AckResult{Status: provider.Applied, Ref: existing.ref()}
		if item.First != nil {
			b.repeated = append(b.repeated, &committed{i: existing, commit: item.First, execution: 1, result: result})
		}
	case item.ReplaceEnded && !existing.running():
		if t.replace(existing, i, item.Parent) {
			b.started(i, item, result)
		}
	default:
		*result = provider.AckResult{Status: provider.Exists, Ref: existing.ref()}
	}
}

// started stores what a new instance begins with.
func (b *batch) started(i *instance, item *provider.StartItem, result *provider.AckResult) {
	t := b.t
	*result = provider.AckResult{Status: provider.Applied, Ref: i.ref()}
	t.beginWith(i.row, item.Values)
	if i.running() {
		for n := range item.Messages {
			t.deliver(i, &item.Messages[n])
		}
	}
	if item.First == nil {
		t.addTurn(i.row, 1, 0, 1, 0, item.Events)
		t.effects.ready = true
		return
	}
	c := &committed{i: i, commit: item.First, execution: 1, result: result, fresh: true, greeted: len(item.Messages) > 0}
	b.record(c)
	b.applied = append(b.applied, c)
}
