package inline

import (
	"context"

	"github.com/pawlrun/pawl/provider"
)

// SuspendInstances implements provider.Provider.
func (p *Provider) SuspendInstances(ctx context.Context, instanceIDs []string, reason []byte) ([]provider.ItemStatus, error) {
	if len(reason) == 0 {
		reason = []byte("null") // a document: without any the instance would not be parked
	}
	return p.change(ctx, "suspend_instances", instanceIDs, func(c *call, i *instance) provider.ItemStatus {
		return c.suspend(ctx, i, reason)
	})
}

// ResumeInstances implements provider.Provider.
func (p *Provider) ResumeInstances(ctx context.Context, instanceIDs []string) ([]provider.ItemStatus, error) {
	return p.change(ctx, "resume_instances", instanceIDs, func(c *call, i *instance) provider.ItemStatus {
		return c.resume(ctx, i)
	})
}

// change does something to each of the named instances that exist, in lock order, and returns the answers.
func (p *Provider) change(ctx context.Context, op string, instanceIDs []string,
	do func(*call, *instance) provider.ItemStatus) ([]provider.ItemStatus, error) {
	n := len(instanceIDs)
	if n == 0 {
		return nil, nil
	}
	statuses := make([]provider.ItemStatus, n)
	err := p.write(ctx, op, n, func(c *call) {
		found := make([]*instance, n)
		for k, id := range instanceIDs {
			if found[k] = c.instance(ctx, selectInstanceNamed, p.partOf(id), id); found[k] == nil {
				found[k] = new(instance)
				statuses[k] = provider.NotFound
			}
		}
		for _, k := range numbered(n, func(x, y int) int { return inLockOrder(found[x].Ref, found[y].Ref) }) {
			if statuses[k] != provider.NotFound {
				statuses[k] = do(c, found[k])
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return statuses, nil
}

// suspend takes an instance from its owner and parks it. What is leased of its work stays with who has it.
func (c *call) suspend(ctx context.Context, i *instance, reason []byte) provider.ItemStatus {
	locked := c.instance(ctx, lockRunning, i.Part, i.Row)
	switch {
	case locked == nil:
		return provider.Gone
	case !locked.parked:
		c.exec(ctx, `update @instance set parked = $3, owner = null, token = 0, claim = null where part = $1 and iid = $2`,
			i.Part, i.Row, reason)
		c.exec(ctx, claimLeftBehind, i.Part, i.Row)
		c.tell(locked)
	}
	return provider.Applied
}

func (c *call) resume(ctx context.Context, i *instance) provider.ItemStatus {
	switch {
	case !i.running():
		return provider.Gone
	case i.parked:
		var class provider.ClassID
		if c.first(ctx, `update @instance set parked = null, attempt = 0
			where part = $1 and iid = $2 and status = 0 and parked is not null returning class`, args{i.Part, i.Row}, &class) {
			c.hintLater(ctx, i.Ref, class, 0)
		}
	}
	return provider.Applied
}
