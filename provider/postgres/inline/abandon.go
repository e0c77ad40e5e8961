package inline

import (
	"context"
	"time"

	"github.com/pawlrun/pawl/provider"
)

const (
	freeInstance = `update @instance set owner = null, token = 0, claim = null, parked = coalesce($4, parked),
			attempt = greatest(attempt - case when $5 then 1 else 0 end, 0)
		where part = $1 and iid = $2 and token = $3 and coalesce(owner, 0) <> 0
		returning class, parked is not null`
	freeWork = `update @work set owner = null, token = null, claim = null, due = clock_timestamp() + $6::interval,
			attempt = greatest(attempt - case when $7 then 1 else 0 end, 0), state = coalesce($8, state)
		where part = $1 and iid = $2 and execution = $3 and event = $4 and token = $5 and coalesce(owner, 0) not in (0, -1)
		returning class, coalesce(home, 0)`
	handOverWork = `update @work set owner = $6, claim = null, state = coalesce($7, state)
		where part = $1 and iid = $2 and execution = $3 and event = $4 and token = $5 and coalesce(owner, 0) not in (0, -1)`
)

// handedOver is the owner of work that its worker has handed over: nobody's, but leased all the same.
const handedOver = -1

// claimLeftBehind gives a claim to work that was leased with an instance which is not held any more: by its claim it is found,
// should its worker die.
const claimLeftBehind = `update @work set claim = token
	where part = $1 and iid = $2 and coalesce(owner, 0) not in (0, -1) and claim is null`

// AbandonItems implements provider.Provider.
func (p *Provider) AbandonItems(ctx context.Context, req *provider.AbandonRequest) error {
	n, m := len(req.Instances), len(req.Work)
	if n+m == 0 {
		return nil
	}
	return p.write(ctx, "abandon_items", n+m, func(c *call) {
		for _, k := range numbered(n, func(x, y int) int { return inLockOrder(req.Instances[x].Ref, req.Instances[y].Ref) }) {
			c.abandon(ctx, &req.Instances[k])
		}
		for _, k := range numbered(m, func(x, y int) int { return inWorkOrder(req.Work[x].WorkKey, req.Work[y].WorkKey) }) {
			c.abandonWork(ctx, &req.Work[k])
		}
	})
}

// abandon frees one instance. Parked, it gets no hint: ResumeInstances makes it claimable again.
func (c *call) abandon(ctx context.Context, item *provider.AbandonedInstance) {
	var class provider.ClassID
	var parked bool
	if !c.first(ctx, freeInstance, args{item.Part, item.Row, item.Token, item.Park, item.UndoAttempt}, &class, &parked) {
		return
	}
	c.exec(ctx, claimLeftBehind, item.Part, item.Row)
	if !parked {
		c.hintLater(ctx, item.Ref, class, item.Delay)
	}
}

// abandonWork puts one work item back into its queue, that of a single worker included, or leaves it to whoever has its token.
func (c *call) abandonWork(ctx context.Context, w *provider.AbandonedWork) {
	if w.HandOver {
		c.exec(ctx, handOverWork, w.Part, w.Row, w.Execution, w.Event, w.Token, handedOver, w.State)
		return
	}
	var class provider.ClassID
	var home provider.WorkerID
	if c.first(ctx, freeWork, args{w.Part, w.Row, w.Execution, w.Event, w.Token, max(w.Delay, 0), w.UndoAttempt, w.State},
		&class, &home) && w.Delay <= 0 && home == 0 {
		c.news.ready = append(c.news.ready, class)
	}
}

// hintLater says that a free instance is ready again after a delay.
func (c *call) hintLater(ctx context.Context, ref provider.Ref, class provider.ClassID, delay time.Duration) {
	c.exec(ctx, insertHint, ref.Part, class, max(delay, 0), ref.Row)
	if delay <= 0 {
		c.news.ready = append(c.news.ready, class)
	}
}
