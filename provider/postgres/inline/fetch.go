package inline

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

// FetchOrchestrationItems implements provider.Provider.
func (p *Provider) FetchOrchestrationItems(ctx context.Context, req *provider.FetchRequest) ([]provider.OrchestrationItem, error) {
	const op = "fetch_orchestration_items"
	if req.Worker == 0 || req.Request == 0 {
		return nil, sqlstate.GiveUp(op, "a fetch needs a worker and a request id")
	}
	if err := provider.CheckRanks(req.Classes, req.Ranks); err != nil {
		return nil, sqlstate.GiveUp(op, "%v", err)
	}
	if req.Max <= 0 {
		return nil, nil
	}
	f := &fetch{req: req}
	err := p.write(ctx, op, req.Max, func(c *call) {
		f.call = c
		f.run(ctx)
	})
	if err != nil {
		return nil, err
	}
	return f.items, nil
}

// fetch is one fetch under way.
type fetch struct {
	*call
	req   *provider.FetchRequest
	items []provider.OrchestrationItem
}

// awaitFirstTry makes a repeated fetch wait for a try that is still under way, to see what that takes.
const awaitFirstTry = `select pg_advisory_xact_lock($1)`

func (f *fetch) run(ctx context.Context) {
	f.exec(ctx, awaitFirstTry, f.req.Request)
	if f.req.Timers {
		f.fireTimers(ctx, f.req.Worker)
	}
	if f.again(ctx); len(f.items) > 0 {
		return
	}
	f.look(ctx)
	if f.req.Sleep && len(f.items) < f.req.Max {
		// Whoever queued something during the look could not see the mark that is set now: look once more.
		if f.fallAsleep(ctx, f.req.Worker, orEmpty(f.req.Classes), nil) {
			f.look(ctx)
		}
	}
}

const lockClaimed = `select ` + instanceColumns + ` from @instance i where i.owner = $1 and i.claim = $2 and i.status = 0
	order by i.part, i.iid for update`

// again returns what an earlier try of the request returned.
func (f *fetch) again(ctx context.Context) {
	for _, i := range f.instances(ctx, lockClaimed, f.req.Worker, f.req.Request) {
		f.add(ctx, i, i.token != f.req.Request, f.unread(ctx, i))
	}
}

// add returns an instance to the worker. One that it held before is returned for its messages alone.
func (f *fetch) add(ctx context.Context, i *instance, held bool, messages []provider.Message) {
	if !held {
		f.items = append(f.items, f.granted(ctx, i, f.req.Worker, wholeUnlessOwn, messages))
	} else if len(messages) > 0 {
		item := i.item()
		item.Held, item.Messages = true, messages
		f.items = append(f.items, item)
	}
}

// candidate is an instance with the hints that led to it.
type candidate struct {
	*instance
	hints []hintKey
}

type hintKey struct {
	class int32
	due   time.Time
	ord   int64
}

const lockHinted = `select ` + instanceColumns + `, h.class, h.due, h.ord
	from @hint h join @instance i on i.part = h.part and i.iid = h.iid
	where h.part >= 0 and h.class = any($2) and h.due <= statement_timestamp() and coalesce(i.owner, $1) = $1
	order by ($4::smallint[])[array_position($2::int[], h.class)], h.due, h.ord limit $3 for update of i skip locked`

// look goes through the hints, by rank and then the oldest first, until enough was found or none is left.
func (f *fetch) look(ctx context.Context) {
	for f.err == nil && len(f.items) < f.req.Max {
		limit := f.req.Max - len(f.items)
		seen := 0
		var candidates []*candidate
		f.each(ctx, lockHinted, args{f.req.Worker, numbers(f.req.Classes), limit, f.req.Ranks}, func(rows pgx.Rows) error {
			i, h := new(instance), hintKey{}
			err := rows.Scan(append(i.fields(&f.now), &h.class, &h.due, &h.ord)...)
			seen++
			at := slices.IndexFunc(candidates, func(c *candidate) bool { return c.Ref == i.Ref })
			if at < 0 {
				at = len(candidates)
				candidates = append(candidates, &candidate{instance: i})
			}
			candidates[at].hints = append(candidates[at].hints, h)
			return err
		})
		for _, c := range candidates {
			f.consider(ctx, c)
		}
		if seen < limit {
			return
		}
	}
}

// consider grants an instance if it is ready. Its hints have done their duty either way: the inbox is read after them.
func (f *fetch) consider(ctx context.Context, c *candidate) {
	i := c.instance
	for _, h := range c.hints {
		f.exec(ctx, `delete from @hint where part = $1 and class = $2 and due = $3 and ord = $4`, i.Part, h.class, h.due, h.ord)
	}
	if slices.ContainsFunc(f.items, func(it provider.OrchestrationItem) bool { return it.Ref == i.Ref }) {
		return // of an earlier look
	}
	switch {
	case !i.running(): // nobody will read what has arrived since the end
		f.exec(ctx, `delete from @inbox where part = $1 and iid = $2`, i.Part, i.Row)
	case i.owner != 0:
		if messages := f.unread(ctx, i); len(messages) > 0 {
			f.exec(ctx, `update @instance set claim = $3 where part = $1 and iid = $2`, i.Part, i.Row, f.req.Request)
			f.add(ctx, i, true, messages)
		}
	case !slices.Contains(f.req.Classes, i.class): // it has continued as another
		f.hint(ctx, i, f.req.Worker)
	case !i.parked:
		if messages := f.unread(ctx, i); len(messages) > 0 || i.nextSeq == 1 {
			f.take(ctx, i, f.req.Worker, f.req.Request, f.req.Request)
			f.add(ctx, i, false, messages)
		}
	}
}
