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
		case provider.CheckValues(item.Values) != nil:
			return nil, sqlstate.GiveUp(op, "%v", provider.CheckValues(item.Values))
		case item.First != nil:
			if err := item.First.Check(req.Worker); err != nil {
				return nil, sqlstate.GiveUp(op, "%v", err)
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
	if b.insert(ctx, i, item.Parent) || item.ReplaceEnded && b.replace(ctx, i, item) {
		*result = provider.AckResult{Status: provider.Applied, Ref: i.Ref}
		b.setValues(ctx, i, item.Values)
		if i.running() {
			b.enclose(ctx, i, item.Messages)
		}
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

// enclose puts the messages that come with a start into the inbox of the new instance.
func (b *commits) enclose(ctx context.Context, i *instance, messages []provider.NewMessage) {
	for n := range messages {
		m := &messages[n]
		b.exec(ctx, insertMessage, i.Part, i.Row, inboxName(m), m.Kind, m.Execution, m.ID, m.Body)
	}
}

// replace puts a new instance in the place of one that has ended, with all that it has left behind, and reports whether it
// did. Here alone instances that have ended are waited for, in the order in which new ones are created.
func (b *commits) replace(ctx context.Context, i *instance, by *provider.StartItem) bool {
	ended := b.instance(ctx, selectInstanceNamed+` and i.status <> 0 for update`, i.Part, i.id)
	if ended == nil || ended.firstExecutionID == i.executionID || b.own[ended.Ref] {
		return false
	}
	b.remove(ctx, ended.Ref)
	return b.insert(ctx, i, by.Parent)
}

// remove deletes an instance that has ended.
func (c *call) remove(ctx context.Context, ref provider.Ref) {
	c.clear(ctx, ref)
	c.exec(ctx, `delete from @value where part = $1 and iid = $2`, ref.Part, ref.Row)
	c.exec(ctx, `delete from @hint where part = $1 and iid = $2`, ref.Part, ref.Row)
	c.exec(ctx, `delete from @history where part = $1 and iid = $2`, ref.Part, ref.Row)
	c.exec(ctx, `delete from @instance where part = $1 and iid = $2`, ref.Part, ref.Row)
}
