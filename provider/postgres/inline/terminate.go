package inline

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

// termination is a call that ends instances.
type termination struct {
	*call
	items    []provider.Termination
	statuses []provider.ItemStatus
	locked   map[provider.Ref]*instance
	ending   []ending // in the order of the items, parents before their children
}

// ending is an instance that the call ends, and the item that says how.
type ending struct {
	i    *instance
	item *provider.Termination
}

var errChildrenAppear = errors.New("new children of the instances keep appearing")

// lockAttempts is how often a call begins anew because children have appeared before their parent was locked.
const lockAttempts = 10

// TerminateInstances implements provider.Provider.
func (p *Provider) TerminateInstances(ctx context.Context, items []provider.Termination) ([]provider.ItemStatus, error) {
	const op = "terminate_instances"
	if len(items) == 0 {
		return nil, nil
	}
	for n := range items {
		if len(items[n].Events) == 0 {
			return nil, sqlstate.GiveUp(op, "a termination has no event")
		}
	}
	t := &termination{items: items, statuses: make([]provider.ItemStatus, len(items))}
	err := p.write(ctx, op, len(items), func(c *call) {
		t.call = c
		if t.lock(ctx, op); c.err != nil {
			return // what is to be ended may not be locked
		}
		slices.SortFunc(t.ending, func(a, b ending) int { return inLockOrder(a.i.Ref, b.i.Ref) })
		for _, e := range t.ending {
			t.end(ctx, e)
		}
		for _, e := range t.ending { // now that it is seen which parents have ended too
			t.answer(ctx, e)
		}
	})
	if err != nil {
		return nil, err
	}
	return t.statuses, nil
}

// lock finds what is to be ended and locks all of it in the order of everybody else. What is found before the locks may be
// too little: then it lets go of them and begins anew with what is known now.
func (t *termination) lock(ctx context.Context, op string) {
	t.collect(ctx)
	for range lockAttempts {
		known := t.refs()
		t.exec(ctx, `savepoint locks`)
		t.locked = make(map[provider.Ref]*instance, len(known))
		for _, ref := range known {
			t.locked[ref] = t.instance(ctx, lockRunning, ref.Part, ref.Row)
		}
		t.collect(ctx)
		if t.err != nil || !slices.ContainsFunc(t.ending, func(e ending) bool { return t.locked[e.i.Ref] == nil }) {
			return
		}
		t.exec(ctx, `rollback to savepoint locks`)
	}
	t.fail(&provider.Error{Op: op, Retry: provider.RetryCall, Err: errChildrenAppear})
}

// refs are the instances to be ended, in lock order.
func (t *termination) refs() []provider.Ref {
	refs := make(map[provider.Ref]bool, len(t.ending))
	for _, e := range t.ending {
		refs[e.i.Ref] = true
	}
	return slices.SortedFunc(maps.Keys(refs), inLockOrder)
}

// collect answers the items and finds what they end, each for itself and in order: what one ends the next finds gone.
func (t *termination) collect(ctx context.Context) {
	t.ending = nil
	taken := make(map[provider.Ref]bool)
	for n := range t.items {
		item := &t.items[n]
		i := t.instance(ctx, selectInstanceNamed, t.p.partOf(item.InstanceID), item.InstanceID)
		switch {
		case i == nil:
			t.statuses[n] = provider.NotFound
		case !i.running() || taken[i.Ref]:
			t.statuses[n] = provider.Gone
		default:
			t.statuses[n] = provider.Applied
			taken[i.Ref] = true
			from := len(t.ending)
			t.ending = append(t.ending, ending{i, item})
			for k := from; item.Children && k < len(t.ending); k++ {
				for _, child := range t.instances(ctx, selectRunningChildren, t.ending[k].i.Part, t.ending[k].i.Row) {
					if !taken[child.Ref] {
						taken[child.Ref] = true
						t.ending = append(t.ending, ending{child, item})
					}
				}
			}
		}
	}
}

const (
	// A child is never older than its parent: one that is belongs to an earlier instance of that id. The numbers of rows follow
	// creation, but for what one call has started.
	isChild = `i.parent_id = p.instance_id and (i.iid > p.iid or i.created_at >= p.created_at)`

	selectRunningChildren = `select ` + instanceColumns + ` from @instance p join @instance i on ` + isChild + `
		where p.part = $1 and p.iid = $2 and i.status = 0 order by i.part, i.iid`
	updateTerminated = `update @instance set status = $3, token = 0, owner = null, claim = null, next_seq = next_seq + 1,
		waits = null, parked = null, ended_at = statement_timestamp() where part = $1 and iid = $2`
	selectAnswer = `select p.part, p.iid, p.class, coalesce(p.owner, 0), i.parent_execution, i.parent_event,
			coalesce(i.first_execution_id, i.execution_id)
		from @instance i join @instance p on p.part = $3 and ` + isChild + ` and p.status = 0
		where i.part = $1 and i.iid = $2`
	insertAnswer = `insert into @inbox (part, iid, name, kind, execution, event, message_id, body, at)
		values ($1, $2, '', $3, $4, $5, $6, $7, statement_timestamp())`
)

// end ends one instance and removes what it has queued.
func (t *termination) end(ctx context.Context, e ending) {
	i := t.locked[e.i.Ref]
	t.exec(ctx, updateTerminated, i.Part, i.Row, int16(provider.StatusTerminated))
	t.exec(ctx, insertTurn, i.Part, i.Row, i.execution, i.nextSeq, 1, 0, e.item.Events)
	t.clear(ctx, i.Ref)
	t.tell(i)
	if i.watch {
		t.news.done = append(t.news.done, i.id)
	}
}

// clear removes the work, the timers and the unread messages of an instance that has ended.
func (c *call) clear(ctx context.Context, ref provider.Ref) {
	// Its rows are locked in the order in which others record their results.
	c.each(ctx, `select from @work where part = $1 and iid = $2 order by execution, event for update`, args{ref.Part, ref.Row},
		func(pgx.Rows) error { return nil })
	c.exec(ctx, `delete from @work where part = $1 and iid = $2`, ref.Part, ref.Row)
	c.exec(ctx, `delete from @timer where part = $1 and iid = $2`, ref.Part, ref.Row)
	c.exec(ctx, `delete from @inbox where part = $1 and iid = $2`, ref.Part, ref.Row)
}

// answer tells the parent of an instance that it was ended, unless the parent has ended too.
func (t *termination) answer(ctx context.Context, e ending) {
	var parentID string
	if !t.first(ctx, `select parent_id from @instance where part = $1 and iid = $2 and parent_id is not null`,
		args{e.i.Part, e.i.Row}, &parentID) {
		return
	}
	parent := new(instance)
	var execution, event int32
	var first [16]byte
	if !t.first(ctx, selectAnswer, args{e.i.Part, e.i.Row, t.p.partOf(parentID)}, &parent.Part, &parent.Row, &parent.class, &parent.owner,
		&execution, &event, &first) {
		return
	}
	t.exec(ctx, insertAnswer, parent.Part, parent.Row, provider.MessageChildDone, execution, event,
		provider.ExecutionID(first).String(), e.item.Answer)
	t.hint(ctx, parent, 0)
}
