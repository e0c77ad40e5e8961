package inline

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

// AckOrchestrationItems implements provider.Provider.
func (p *Provider) AckOrchestrationItems(ctx context.Context, req *provider.AckRequest) (*provider.AckReply, error) {
	const op = "ack_orchestration_items"
	n := len(req.Items)
	reply := &provider.AckReply{Results: make([]provider.AckResult, n)}
	seen := make(map[provider.Ref]bool, n)
	for k := range req.Items {
		item := &req.Items[k]
		if err := item.Commit.Check(req.Worker); err != nil {
			return nil, sqlstate.GiveUp(op, "%v", err)
		}
		if seen[item.Ref] {
			return nil, sqlstate.GiveUp(op, "two items for instance %v", item.Ref)
		}
		seen[item.Ref] = true
		reply.Results[k] = provider.AckResult{Status: provider.Fenced, Ref: item.Ref}
	}
	if n == 0 && req.ClaimWork <= 0 {
		return reply, nil
	}
	if req.Worker == 0 && req.ClaimWork > 0 {
		return nil, sqlstate.GiveUp(op, "a claim needs a worker")
	}
	if err := provider.CheckRanks(req.WorkClasses, req.WorkRanks); err != nil {
		return nil, sqlstate.GiveUp(op, "%v", err)
	}
	err := p.write(ctx, op, n, func(c *call) {
		b := newCommits(c, req.Worker, req.Serves, reply)
		for _, k := range numbered(n, func(x, y int) int { return inLockOrder(req.Items[x].Ref, req.Items[y].Ref) }) {
			b.ack(ctx, k, &req.Items[k])
		}
		b.finish(ctx)
		if req.ClaimWork > 0 {
			// A call that applies something now has not run before: nothing is claimed under its request yet.
			w := wanted{req.Worker, req.ClaimRequest, req.WorkClasses, req.WorkRanks, req.Routed}
			reply.Work = c.claimWork(ctx, w, req.ClaimWork, len(b.applied) > 0)
			b.holdClaimed(ctx, reply.Work)
		}
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// holdClaimed keeps the instances of this call's commits of which it has claimed work.
func (b *commits) holdClaimed(ctx context.Context, work []provider.WorkItem) {
	for _, t := range b.applied {
		if t.commit.Keep || t.commit.Status != provider.StatusRunning {
			continue
		}
		if slices.ContainsFunc(work, func(w provider.WorkItem) bool { return w.Ref == t.i.Ref }) {
			b.exec(ctx, `update @instance set owner = $3, claim = null where part = $1 and iid = $2 and owner is null`,
				t.i.Part, t.i.Row, b.worker)
		}
	}
}

// ack locks the instance of one item and commits its turn, if the item may.
func (b *commits) ack(ctx context.Context, k int, item *provider.AckItem) {
	i := b.instance(ctx, lockRunning, item.Part, item.Row)
	if i == nil { // it has ended, perhaps by an earlier try
		i = b.instance(ctx, selectInstance, item.Part, item.Row)
	}
	if i == nil {
		return
	}
	result := &b.reply.Results[k]
	t := &turn{item: k, i: i, commit: &item.Commit, execution: item.Execution, result: result, heldOver: i.attempt == 0}
	if i.running() && i.owner != 0 && i.token == item.Token && i.execution == item.Execution && i.nextSeq == item.Seq &&
		b.holdsWork(ctx, item) {
		result.Status = provider.Applied
		b.record(ctx, t, item.Seq, false)
		for _, f := range item.Finished {
			b.exec(ctx, `delete from @work where part = $1 and iid = $2 and execution = $3 and event = $4`,
				item.Part, item.Row, item.Execution, f.Event)
		}
		if len(item.Consumed) > 0 {
			b.exec(ctx, `delete from @inbox where part = $1 and iid = $2 and ord = any($3)`, item.Part, item.Row, item.Consumed)
		}
		return
	}
	if i.token == item.Request || b.wrote(ctx, item) {
		result.Status = provider.Applied
		b.repeated = append(b.repeated, t)
	}
}

// wrote reports whether the turn of an item has been written by the same request.
func (b *commits) wrote(ctx context.Context, item *provider.AckItem) bool {
	var found int
	return b.first(ctx, `select 1 from @history where part = $1 and iid = $2 and execution = $3 and seq = $4 and token = $5`,
		args{item.Part, item.Row, item.Execution, item.Seq, item.Request}, &found)
}

// holdsWork locks the work items that a turn has finished and reports whether all are held under their tokens.
func (b *commits) holdsWork(ctx context.Context, item *provider.AckItem) bool {
	if len(item.Finished) == 0 {
		return true
	}
	events := make([]int32, len(item.Finished))
	for n, f := range item.Finished {
		events[n] = f.Event
	}
	tokens := make(map[int32]provider.Token)
	b.each(ctx, `select w.event, w.token from @work w where w.part = $1 and w.iid = $2 and w.execution = $3 and w.event = any($4)
		and coalesce(w.owner, 0) <> 0 order by w.event for update`, args{item.Part, item.Row, item.Execution, events},
		func(rows pgx.Rows) error {
			var event int32
			var token provider.Token
			err := rows.Scan(&event, &token)
			tokens[event] = token
			return err
		})
	for _, f := range item.Finished {
		if tokens[f.Event] != f.Token || f.Token == 0 {
			return false
		}
	}
	return true
}
