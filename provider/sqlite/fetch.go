package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"github.com/pawlrun/pawl/provider"
)

// The bounds of one fetch.
const (
	maxTold    = 256      // held instances whose news it returns
	maxLooked  = 1024     // instances that turn out not to be ready
	maxHistory = 64 << 20 // bytes of history
)

// FetchOrchestrationItems implements provider.Provider.
func (p *Provider) FetchOrchestrationItems(ctx context.Context, req *provider.FetchRequest) ([]provider.OrchestrationItem, error) {
	const op = "fetch_orchestration_items"
	if problem := checkClaim(req.Worker, req.Request, req.Max, req.Classes, req.Ranks); problem != "" {
		return nil, invalid(op, problem)
	}
	var items []provider.OrchestrationItem
	err := p.write(ctx, op, req.Max, lease, func(t *tx) {
		f := &fetch{t: t, req: req}
		if req.Timers {
			t.fireTimers()
		}
		f.again()
		f.tell()
		f.lease()
		items = f.items
	})
	if err != nil {
		return nil, err
	}
	return items, nil
}

// fetch is one fetch under way.
type fetch struct {
	t       *tx
	req     *provider.FetchRequest
	items   []provider.OrchestrationItem
	granted int
}

const heldUnder = `SELECT id FROM instance INDEXED BY instance_held WHERE owner = ? AND token = ? ORDER BY id`

// again returns what an earlier try of the same request granted.
func (f *fetch) again() {
	for _, row := range f.t.rowsOf(heldUnder, f.req.Worker, f.req.Request) {
		if i := f.t.instanceAt(row); i != nil {
			messages := f.t.unread(i)
			f.t.unhint(i)
			f.items = append(f.items, f.t.item(i, historyFor(i, f.req.Worker), messages))
			f.granted++
		}
	}
}

// told is what a fetch told a worker of the instances it holds.
type told struct {
	request provider.Token
	rows    []int64
}

const heldAndDue = `SELECT id FROM instance INDEXED BY instance_told
 WHERE owner = ? AND due <= ? ORDER BY due LIMIT ?`

// tell returns the instances the worker holds that got messages. Their marks are taken away; should the reply be lost,
// the repeated fetch finds them in memory.
func (f *fetch) tell() {
	t, worker := f.t, f.req.Worker
	rows := t.rowsOf(heldAndDue, worker, t.now, maxTold)
	if last := t.w.lastTold[int64(worker)]; last.request == f.req.Request {
		for _, row := range last.rows {
			if !slices.Contains(rows, row) {
				rows = append(rows, row)
			}
		}
	}
	if len(rows) == 0 {
		delete(t.w.lastTold, int64(worker))
		return
	}
	t.w.lastTold[int64(worker)] = told{f.req.Request, rows}
	for _, row := range rows {
		i := t.instanceAt(row)
		if i == nil || i.owner != worker || i.token == f.req.Request {
			continue
		}
		t.unhint(i)
		if messages := t.unread(i); len(messages) > 0 {
			item := t.item(i, omitHistory, messages)
			item.Held, item.HistoryOmitted = true, false
			f.items = append(f.items, item)
		}
	}
}

const readyInstances = `SELECT id, due FROM instance INDEXED BY instance_ready
 WHERE owner IS NULL AND class = ? AND due <= ? ORDER BY due LIMIT ?`

// lease grants free instances: those with lower ranks first, and among equal ranks those that became ready first.
func (f *fetch) lease() {
	bytes := 0
	for looked := 0; f.granted < f.req.Max && looked < maxLooked && bytes < maxHistory; {
		candidates := f.candidates(f.req.Max - f.granted)
		if len(candidates) == 0 {
			return
		}
		for _, row := range candidates {
			looked++
			item, ok := f.leaseOne(row)
			if !ok {
				continue
			}
			f.items = append(f.items, item)
			f.granted++
			for n := range item.History {
				bytes += len(item.History[n].Events)
			}
			if bytes >= maxHistory {
				return
			}
		}
	}
}

// leaseOne grants an instance if it is ready after all, else takes its mark away.
func (f *fetch) leaseOne(row int64) (item provider.OrchestrationItem, ok bool) {
	i := f.t.instanceAt(row)
	if i == nil {
		return item, false
	}
	messages, ready := f.t.isReady(i)
	if !ready || !i.free() {
		f.t.unhint(i)
		return item, false
	}
	f.t.grant(i, f.req.Worker, f.req.Request)
	return f.t.item(i, historyFor(i, f.req.Worker), messages), true
}

// candidates returns the free instances of the classes with the lowest ranks that were marked first.
func (f *fetch) candidates(limit int) []int64 {
	type candidate struct {
		rank     int16
		row, due int64
	}
	var all []candidate
	for n, class := range f.req.Classes {
		f.t.each(readyInstances, args{class, f.t.now, limit}, func(rows *sql.Rows) error {
			c := candidate{rank: rankOf(f.req.Ranks, n)}
			err := rows.Scan(&c.row, &c.due)
			all = append(all, c)
			return err
		})
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.due, b.due)) })
	all = all[:min(limit, len(all))]
	ids := make([]int64, len(all))
	for n := range all {
		ids[n] = all[n].row
	}
	return ids
}

// rankOf is the rank of the n-th class: without ranks all are alike.
func rankOf(ranks []int16, n int) int16 {
	if ranks == nil {
		return 0
	}
	return ranks[n]
}

// rowsOf returns the row numbers a query finds.
func (t *tx) rowsOf(query string, a ...any) []int64 {
	var rows []int64
	t.each(query, a, func(r *sql.Rows) error {
		var row int64
		err := r.Scan(&row)
		rows = append(rows, row)
		return err
	})
	return rows
}
