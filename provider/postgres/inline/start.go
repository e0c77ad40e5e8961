package inline

import (
	"context"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

// StartOrchestrations implements provider.Provider.
func (p *Provider) StartOrchestrations(ctx context.Context, req *provider.StartRequest) (*provider.AckReply, error) {
	const op = "start_orchestrations"
	n := len(req.Items)
	reply := &provider.AckReply{Results: make([]provider.AckResult, n)}
	if n == 0 {
		return reply, nil
	}
	starts := make([]*instance, n)
	for k := range req.Items {
		item := &req.Items[k]
		switch {
		case item.InstanceID == "":
			return nil, sqlstate.GiveUp(op, "an instance has no id")
		case item.First != nil && req.Worker == 0:
			return nil, sqlstate.GiveUp(op, "an eager start needs a worker")
		case item.First != nil:
			if err := checkCommit(op, item.First); err != nil {
				return nil, err
			}
		}
		starts[k] = p.newInstance(&item.NewInstance)
	}
	err := p.write(ctx, op, n, func(c *call) {
		b := newCommits(c, req.Worker, nil, reply)
		for _, k := range numbered(n, func(x, y int) int { return inStartOrder(starts[x], starts[y]) }) {
			b.start(ctx, k, &req.Items[k], starts[k])
		}
		b.finish(ctx)
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// start creates the instance of one item, or finds out why it is there already.
func (b *commits) start(ctx context.Context, k int, item *provider.StartItem, i *instance) {
	result := &b.reply.Results[k]
	t := &turn{item: k, i: i, commit: item.First, execution: 1, result: result}
	if item.First != nil {
		i.settle(item.First, 0, b.worker)
	}
	if b.insert(ctx, i, item.Parent) {
		*result = provider.AckResult{Status: provider.Applied, Ref: i.Ref}
		if item.First != nil {
			b.record(ctx, t, 0, true)
			return
		}
		b.exec(ctx, insertTurn, i.Part, i.Row, 1, 0, 1, 0, item.Events)
		b.hint(ctx, i, b.worker)
		return
	}
	existing := b.instance(ctx, selectInstanceNamed, i.Part, i.id)
	if existing == nil {
		return // only after an error
	}
	*result = provider.AckResult{Status: provider.Exists, Ref: existing.Ref}
	if existing.firstExecutionID == i.executionID {
		result.Status = provider.Applied
		if item.First != nil {
			t.i = existing
			b.repeated = append(b.repeated, t)
		}
	}
}
