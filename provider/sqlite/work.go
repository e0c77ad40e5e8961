package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/pawlrun/pawl/provider"
)

// FetchWorkItems implements provider.Provider.
func (p *Provider) FetchWorkItems(ctx context.Context, req *provider.FetchWorkRequest) (*provider.FetchWorkReply, error) {
	const op = "fetch_work_items"
	if problem := checkClaim(req.Worker, req.Request, req.Max, req.Classes, req.Ranks); problem != "" {
		return nil, invalid(op, problem)
	}
	var reply *provider.FetchWorkReply
	err := p.write(ctx, op, req.Max, lease, func(t *tx) {
		reply = new(provider.FetchWorkReply)
		fresh := len(t.workUnder(req.Worker, req.Request)) == 0
		reply.Work = t.claimWork(&workClaim{req.Worker, req.Request, req.Max, req.Routed, req.Classes, req.Ranks}, fresh)
		reply.Granted = t.grantWithWork(req, reply.Work, fresh)
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

const holdWithWork = `UPDATE instance SET owner = ?2, token = ?3, due = NULL WHERE id = ?1`

// grantWithWork returns the instances that come with fetched work. It leases those that are free, unless the call is a
// repeat. No attempt is counted: no turn is tried yet.
func (t *tx) grantWithWork(req *provider.FetchWorkRequest, work []provider.WorkItem, fresh bool) []provider.OrchestrationItem {
	if len(req.Serves) == 0 {
		return nil
	}
	var items []provider.OrchestrationItem
	seen := make(map[int64]bool, len(work))
	for n := range work {
		w := &work[n]
		if seen[w.Row] {
			continue
		}
		seen[w.Row] = true
		i := t.instanceAt(w.Row)
		if i == nil {
			continue
		}
		if fresh && i.free() && i.execution == w.Execution && slices.Contains(req.Serves, i.class) {
			t.exec(holdWithWork, i.row, req.Worker, req.Request)
			i.owner, i.token, i.due = req.Worker, req.Request, 0
		}
		if i.heldBy(req.Worker, req.Request) {
			items = append(items, t.item(i, t.latestFor(i, req.Worker), t.unread(i)))
		}
	}
	return items
}

const latestTurns = `SELECT seq, octet_length(events) FROM history WHERE iid = ? AND execution = ? ORDER BY seq DESC LIMIT ?`

// latestFor is historyFor, bounded: it says where the latest turns begin that may come with fetched work.
func (t *tx) latestFor(i *instance, worker provider.WorkerID) int32 {
	from := omitHistory
	if i.lastOwner == worker {
		return from
	}
	bytes := 0
	t.each(latestTurns, args{i.row, i.execution, provider.MaxGrantTurns}, func(rows *sql.Rows) error {
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
	queuedWork = `SELECT iid, execution, event, due FROM work INDEXED BY work_queue
 WHERE owner IS NULL AND home IS NULL AND class = ? AND due <= ? ORDER BY due LIMIT ?`
	routedWork = `SELECT iid, execution, event FROM work INDEXED BY work_home
 WHERE owner IS NULL AND home = ? AND due <= ? ORDER BY due LIMIT ?`
	workUnder = `SELECT iid, execution, event FROM work INDEXED BY work_held WHERE owner = ? AND token = ?
 ORDER BY iid, execution, event`
	claimOne = `UPDATE work SET owner = ?4, token = ?5, attempt = attempt + 1
 WHERE iid = ?1 AND execution = ?2 AND event = ?3`
	selectWork = `SELECT w.class, w.token, w.attempt, w.input, w.state, i.instance_id
  FROM work w JOIN instance i ON i.id = w.iid AND i.status = 0 AND i.execution = w.execution
 WHERE w.iid = ? AND w.execution = ? AND w.event = ?`
)

// workClaim is what a call asks for of queued work.
type workClaim struct {
	worker  provider.WorkerID
	request provider.Token
	limit   int
	routed  bool // also what only the worker may claim
	classes []provider.ClassID
	ranks   []int16
}

// claimWork leases queued work after what is held under the request already. fresh says that nothing can be.
func (t *tx) claimWork(c *workClaim, fresh bool) []provider.WorkItem {
	if c.limit <= 0 {
		return nil
	}
	var items []provider.WorkItem
	if !fresh {
		for _, key := range t.workUnder(c.worker, c.request) {
			items = t.readWork(items, key)
		}
	}
	for len(items) < c.limit {
		keys := t.claimable(c, c.limit-len(items))
		for _, key := range keys {
			t.exec(claimOne, key.Row, key.Execution, key.Event, c.worker, c.request)
			before := len(items)
			if items = t.readWork(items, key); len(items) == before {
				// Its execution is over; nobody can use the result.
				t.exec(deleteWork, key.Row, key.Execution, key.Event)
			}
		}
		if len(keys) == 0 {
			break
		}
	}
	return items
}

// claimable returns the keys of due work: first what only the worker may claim, then that of the classes.
func (t *tx) claimable(c *workClaim, limit int) []provider.WorkKey {
	var keys []provider.WorkKey
	if c.routed {
		keys = t.workKeys(routedWork, args{c.worker, t.now, limit})
	}
	if len(keys) < limit {
		keys = append(keys, t.queuedWork(c.classes, c.ranks, limit-len(keys))...)
	}
	return keys
}

func (t *tx) workUnder(worker provider.WorkerID, request provider.Token) []provider.WorkKey {
	return t.workKeys(workUnder, args{worker, request})
}

// workKeys returns the keys a query finds.
func (t *tx) workKeys(query string, a args) []provider.WorkKey {
	var keys []provider.WorkKey
	t.each(query, a, func(rows *sql.Rows) error {
		var k provider.WorkKey
		err := rows.Scan(&k.Row, &k.Execution, &k.Event)
		keys = append(keys, k)
		return err
	})
	return keys
}

// queuedWork returns the keys of the oldest due work of the classes with the lowest ranks.
func (t *tx) queuedWork(classes []provider.ClassID, ranks []int16, limit int) []provider.WorkKey {
	type queued struct {
		key  provider.WorkKey
		rank int16
		due  int64
	}
	var all []queued
	for n, class := range classes {
		t.each(queuedWork, args{class, t.now, limit}, func(rows *sql.Rows) error {
			q := queued{rank: rankOf(ranks, n)}
			err := rows.Scan(&q.key.Row, &q.key.Execution, &q.key.Event, &q.due)
			all = append(all, q)
			return err
		})
	}
	slices.SortStableFunc(all, func(a, b queued) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.due, b.due)) })
	all = all[:min(limit, len(all))]
	keys := make([]provider.WorkKey, len(all))
	for n := range all {
		keys[n] = all[n].key
	}
	return keys
}

// readWork appends a leased work item, nothing if its execution is over.
func (t *tx) readWork(items []provider.WorkItem, key provider.WorkKey) []provider.WorkItem {
	w := provider.WorkItem{WorkKey: key}
	if !t.first(selectWork, args{key.Row, key.Execution, key.Event}, &w.Class, &w.Token, &w.Attempt, &w.Input, &w.State,
		&w.InstanceID) {
		return items
	}
	return append(items, w)
}

// AckWorkItems implements provider.Provider.
func (p *Provider) AckWorkItems(ctx context.Context, req *provider.AckWorkRequest) (*provider.AckReply, error) {
	const op = "ack_work_items"
	if problem := checkClaim(req.Worker, req.ClaimRequest, req.ClaimWork, req.WorkClasses, req.WorkRanks); problem != "" {
		return nil, invalid(op, problem)
	}
	var texts textCheck
	for n := range req.Items {
		texts.documents(req.Items[n].Body)
		if req.Items[n].Request == 0 {
			return nil, invalid(op, fmt.Sprintf("item %d: a result needs a request id", n))
		}
	}
	if err := texts.problem(op); err != nil {
		return nil, err
	}
	if len(req.Items) == 0 && req.ClaimWork <= 0 {
		return newReply(0), nil
	}
	var reply *provider.AckReply
	err := p.write(ctx, op, len(req.Items), durable, func(t *tx) {
		r := &results{t: t, req: req, reply: &provider.AckReply{
			Results: make([]provider.AckResult, len(req.Items)),
			Now:     timeOf(t.now),
		}}
		applied := false
		for n := range req.Items {
			applied = r.record(&req.Items[n], &r.reply.Results[n]) || applied
		}
		r.grant()
		claim := &workClaim{req.Worker, req.ClaimRequest, req.ClaimWork, req.Routed, req.WorkClasses, req.WorkRanks}
		r.reply.Work = t.claimWork(claim, applied)
		reply = r.reply
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// results is a call that records results of work items. Grants come last, so that one returns all results that its
// instance got from the call.
type results struct {
	t      *tx
	req    *provider.AckWorkRequest
	reply  *provider.AckReply
	grants []resultGrant
}

// resultGrant is an instance to be granted, or granted by an earlier try of the call.
type resultGrant struct {
	row    int64
	item   *provider.AckWorkItem
	repeat bool
}

// leasedWork finds work that is leased under a token, to whomever, or handed over: the token is the proof.
const leasedWork = `SELECT 1 FROM work WHERE iid = ? AND execution = ? AND event = ? AND token = ?
   AND (owner IS NOT NULL OR due IS NULL)`

// record stores one result and reports whether it took effect now.
func (r *results) record(item *provider.AckWorkItem, result *provider.AckResult) bool {
	t := r.t
	result.Ref, result.Status = item.Ref, provider.Gone
	i := t.instanceAt(item.Row)
	if i == nil {
		return false
	}
	var one int
	if !t.first(leasedWork, args{item.Row, item.Execution, item.Event, item.Token}, &one) {
		r.recordedBefore(i, item, result)
		return false
	}
	t.exec(deleteWork, item.Row, item.Execution, item.Event)
	if !i.running() || i.execution != item.Execution {
		return false
	}
	result.Status = provider.Applied
	t.deliver(i, &provider.NewMessage{
		Kind:      provider.MessageActivityDone,
		Execution: item.Execution,
		ID:        fmt.Sprintf("w%d.%d", item.Event, item.Execution),
		Body:      item.Body,
	})
	switch {
	case r.granted(i.row):
	case item.Take && r.req.Worker != 0 && i.free() && slices.Contains(r.req.Serves, i.class):
		r.grants = append(r.grants, resultGrant{i.row, item, false})
	default:
		t.hint(i, t.now)
	}
	return true
}

// recordedBefore finds out whether an earlier try of the call recorded an item and got the instance.
func (r *results) recordedBefore(i *instance, item *provider.AckWorkItem, result *provider.AckResult) {
	for n := range r.req.Items {
		other := &r.req.Items[n]
		if other.Row != i.row || !i.heldBy(r.req.Worker, other.Request) {
			continue
		}
		result.Status = provider.Applied
		if !r.granted(i.row) {
			r.grants = append(r.grants, resultGrant{i.row, other, true})
		}
		return
	}
}

func (r *results) granted(row int64) bool {
	return slices.ContainsFunc(r.grants, func(g resultGrant) bool { return g.row == row })
}

func (r *results) grant() {
	for _, g := range r.grants {
		i := r.t.instanceAt(g.row)
		if i == nil {
			return
		}
		messages := r.t.unread(i)
		if !g.repeat {
			r.t.grant(i, r.req.Worker, g.item.Request)
		}
		from := int32(0)
		if g.item.CachedExecution == i.execution {
			from = g.item.CachedSeq
		}
		r.reply.Granted = append(r.reply.Granted, r.t.item(i, from, messages))
	}
}
