package inline

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

// FetchWorkItems implements provider.Provider.
func (p *Provider) FetchWorkItems(ctx context.Context, req *provider.FetchWorkRequest) (*provider.FetchWorkReply, error) {
	const op = "fetch_work_items"
	if req.Worker == 0 || req.Request == 0 {
		return nil, sqlstate.GiveUp(op, "a fetch needs a worker and a request id")
	}
	if err := provider.CheckRanks(req.Classes, req.Ranks); err != nil {
		return nil, sqlstate.GiveUp(op, "%v", err)
	}
	reply := new(provider.FetchWorkReply)
	if req.Max <= 0 {
		return reply, nil
	}
	err := p.write(ctx, op, req.Max, func(c *call) {
		c.exec(ctx, awaitFirstTry, req.Request)
		w := wanted{req.Worker, req.Request, req.Classes, req.Ranks, req.Routed}
		if reply.Work = c.workUnder(ctx, w); len(reply.Work) > 0 {
			reply.Granted = c.grantedWithWork(ctx, req, reply.Work, false)
			return
		}
		reply.Work = c.lockQueued(ctx, w, req.Max)
		if req.Sleep && len(reply.Work) < req.Max {
			// Whoever queued something during the look could not see the mark that is set now: look once more.
			if c.fallAsleep(ctx, req.Worker, nil, orEmpty(req.Classes)) {
				more := c.lockQueued(ctx, w, req.Max-len(reply.Work))
				reply.Work = append(reply.Work, more...)
			}
		}
		reply.Granted = c.grantedWithWork(ctx, req, reply.Work, true)
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// grantedWithWork returns the instances that come with fetched work. It leases those that are free, unless this is a
// repeat, and passes over those that others have locked: their commits wait for the work that this call holds.
func (c *call) grantedWithWork(ctx context.Context, req *provider.FetchWorkRequest, work []provider.WorkItem, fresh bool) []provider.OrchestrationItem {
	var items []provider.OrchestrationItem
	seen := make(map[provider.Ref]bool, len(work))
	for n := range work {
		w := &work[n]
		if seen[w.Ref] || len(req.Serves) == 0 {
			continue
		}
		seen[w.Ref] = true
		var i *instance
		if fresh {
			i = c.instance(ctx, lockFreeInstance, w.Part, w.Row, numbers(req.Serves))
		} else {
			i = c.instance(ctx, selectInstance, w.Part, w.Row)
		}
		switch {
		case i == nil:
		case fresh && i.execution == w.Execution:
			i.owner, i.token = req.Worker, req.Request
			c.exec(ctx, `update @instance set owner = $3, token = $4, claim = null where part = $1 and iid = $2`, i.Part, i.Row, i.owner, i.token)
			items = append(items, c.granted(ctx, i, req.Worker, c.latest(ctx, i, req.Worker), c.unread(ctx, i)))
		case !fresh && i.heldUnder(req.Worker, req.Request):
			items = append(items, c.granted(ctx, i, req.Worker, c.latest(ctx, i, req.Worker), c.unread(ctx, i)))
		}
	}
	return items
}

// latest says where the history begins that comes with fetched work: it is bounded.
func (c *call) latest(ctx context.Context, i *instance, worker provider.WorkerID) int32 {
	from := int32(noHistory)
	if i.lastOwner == worker {
		return from
	}
	bytes := 0
	c.each(ctx, `select h.seq, pg_column_size(h.events) from @history h where h.part = $1 and h.iid = $2 and h.execution = $3
		order by h.seq desc limit $4`, args{i.Part, i.Row, i.execution, provider.MaxGrantTurns}, func(rows pgx.Rows) error {
		var seq int32
		var size int
		err := rows.Scan(&seq, &size)
		if bytes += size; bytes <= provider.MaxGrantBytes {
			from = seq
		}
		return err
	})
	return from
}

const (
	selectWork = `select w.part, w.iid, w.execution, w.event, w.class, coalesce(w.token, 0), w.attempt, w.input, w.state, i.instance_id
		from @work w join @instance i on i.part = w.part and i.iid = w.iid where `
	inClaimOrder = ` order by w.home is null, case when w.home is null then ($2::smallint[])[array_position($1::int[], w.class)] end,
		w.due, w.event `
	selectWorkUnder = selectWork + `w.claim = $4 and w.owner = $3` + inClaimOrder
	lockQueuedWork  = selectWork + `w.part >= 0 and coalesce(w.owner, 0) = 0 and w.due <= statement_timestamp()
			and (w.home is null and w.class = any($1) or $4 and w.home = $3)` + inClaimOrder + `limit $5 for update of w skip locked`
)

// wanted is what a call claims of the queues, and under which id: see provider.FetchWorkRequest.
type wanted struct {
	worker  provider.WorkerID
	claim   provider.Token
	classes []provider.ClassID
	ranks   []int16
	routed  bool
}

func (c *call) work(ctx context.Context, sql string, a ...any) []provider.WorkItem {
	var items []provider.WorkItem
	c.each(ctx, sql, a, func(rows pgx.Rows) error {
		var w provider.WorkItem
		err := rows.Scan(&w.Part, &w.Row, &w.Execution, &w.Event, &w.Class, &w.Token, &w.Attempt, &w.Input, &w.State, &w.InstanceID)
		items = append(items, w)
		return err
	})
	return items
}

// workUnder returns the work items held under a claim.
func (c *call) workUnder(ctx context.Context, w wanted) []provider.WorkItem {
	return c.work(ctx, selectWorkUnder, numbers(w.classes), w.ranks, w.worker, w.claim)
}

// lockQueued leases up to limit queued work items: those of the worker alone, then by rank, then the oldest first.
func (c *call) lockQueued(ctx context.Context, w wanted, limit int) []provider.WorkItem {
	items := c.work(ctx, lockQueuedWork, numbers(w.classes), w.ranks, w.worker, w.routed, limit)
	for n := range items {
		item := &items[n]
		item.Token = w.claim
		item.Attempt++
		c.exec(ctx, `update @work set owner = $5, token = $6, claim = $6, attempt = $7
			where part = $1 and iid = $2 and execution = $3 and event = $4`,
			item.Part, item.Row, item.Execution, item.Event, w.worker, w.claim, item.Attempt)
	}
	return items
}

// claimWork leases queued work items with an ack. fresh says that the call cannot have done so before.
func (c *call) claimWork(ctx context.Context, w wanted, limit int, fresh bool) []provider.WorkItem {
	if !fresh {
		if items := c.workUnder(ctx, w); len(items) > 0 {
			return items
		}
	}
	return c.lockQueued(ctx, w, limit)
}

// AckWorkItems implements provider.Provider.
func (p *Provider) AckWorkItems(ctx context.Context, req *provider.AckWorkRequest) (*provider.AckReply, error) {
	const op = "ack_work_items"
	n := len(req.Items)
	reply := &provider.AckReply{Results: make([]provider.AckResult, n)}
	if n == 0 && req.ClaimWork <= 0 {
		return reply, nil
	}
	if req.Worker == 0 && req.ClaimWork > 0 {
		return nil, sqlstate.GiveUp(op, "a claim needs a worker")
	}
	if err := provider.CheckRanks(req.WorkClasses, req.WorkRanks); err != nil {
		return nil, sqlstate.GiveUp(op, "%v", err)
	}
	for k := range req.Items {
		reply.Results[k] = provider.AckResult{Status: provider.Gone, Ref: req.Items[k].Ref}
	}
	err := p.write(ctx, op, n, func(c *call) {
		r := &results{call: c, req: req, reply: reply, reached: make(map[provider.Ref]*reached)}
		for _, k := range numbered(n, func(x, y int) int { return inWorkOrder(req.Items[x].WorkKey, req.Items[y].WorkKey) }) {
			r.record(ctx, &req.Items[k], &reply.Results[k])
		}
		r.deliver(ctx)
		if req.ClaimWork > 0 {
			w := wanted{req.Worker, req.ClaimRequest, req.WorkClasses, req.WorkRanks, req.Routed}
			reply.Work = c.claimWork(ctx, w, req.ClaimWork, r.recorded)
		}
		reply.Now = c.clock(ctx)
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// inWorkOrder sorts work items as every call locks them.
func inWorkOrder(a, b provider.WorkKey) int {
	switch {
	case a.Ref != b.Ref:
		return inLockOrder(a.Ref, b.Ref)
	case a.Execution != b.Execution:
		return int(a.Execution - b.Execution)
	}
	return int(a.Event - b.Event)
}

// results is a call that records results of work items.
type results struct {
	*call
	req      *provider.AckWorkRequest
	reply    *provider.AckReply
	recorded bool // something was recorded now
	order    []*reached
	reached  map[provider.Ref]*reached
}

// reached is an instance that the call has something for.
type reached struct {
	i       *instance
	take    provider.Token // it is asked for under this, 0 if it is not
	granted bool           // in an earlier try
	from    int32          // what the caller lacks of the history begins here
}

// reach notes that an item concerns an instance.
func (r *results) reach(i *instance, item *provider.AckWorkItem) *reached {
	to := r.reached[i.Ref]
	if to == nil {
		to = &reached{i: i}
		r.reached[i.Ref] = to
		r.order = append(r.order, to)
	}
	if item.CachedExecution == i.execution {
		to.from = max(to.from, item.CachedSeq)
	}
	return to
}

// record takes one work item away and puts its result into the inbox of its instance.
func (r *results) record(ctx context.Context, item *provider.AckWorkItem, result *provider.AckResult) {
	deleted := r.exec(ctx, `delete from @work where part = $1 and iid = $2 and execution = $3 and event = $4 and token = $5
		and coalesce(owner, 0) <> 0`, item.Part, item.Row, item.Execution, item.Event, item.Token)
	r.recorded = r.recorded || deleted > 0
	i := r.instance(ctx, selectInstance, item.Part, item.Row)
	switch {
	case i == nil:
	case deleted == 0:
		if i.heldUnder(r.req.Worker, item.Request) {
			result.Status = provider.Applied
			r.reach(i, item).granted = true
		}
	case i.running() && i.execution == item.Execution:
		result.Status = provider.Applied
		r.exec(ctx, insertMessage, i.Part, i.Row, "", provider.MessageActivityDone, item.Execution,
			fmt.Sprintf("w%d.%d", item.Event, item.Execution), item.Body)
		to := r.reach(i, item)
		if item.Take && to.take == 0 {
			to.take = item.Request
		}
	}
}

// deliver grants the instances that got results, or says that they are ready.
func (r *results) deliver(ctx context.Context) {
	for _, to := range r.order {
		i := to.i
		if !to.granted {
			if i = r.takeFree(ctx, i.Ref, r.req.Worker, r.req.Serves, to.take); i == nil {
				r.hint(ctx, to.i, r.req.Worker)
				continue
			}
		}
		r.reply.Granted = append(r.reply.Granted, r.granted(ctx, i, r.req.Worker, to.from, r.unread(ctx, i)))
	}
}
