package inline

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/provider"
)

// instance is a row of the table instance as last read or written by the call.
type instance struct {
	provider.Ref
	id               string
	class            provider.ClassID
	status           provider.InstanceStatus
	execution        int32
	executionID      [16]byte
	firstExecutionID [16]byte // that of execution 1
	nextSeq          int32
	token            provider.Token
	owner, lastOwner provider.WorkerID
	attempt          int32
	watch, parked    bool
	waits            []string // as stored: see storedName
}

const instanceColumns = `i.part, i.iid, i.instance_id, i.class, i.status, i.execution, i.execution_id,
	coalesce(i.first_execution_id, i.execution_id), i.next_seq, i.token, coalesce(i.owner, 0), coalesce(i.last_owner, 0),
	i.attempt, i.watch, i.parked is not null, i.waits, statement_timestamp()`

const (
	selectInstance      = `select ` + instanceColumns + ` from @instance i where i.part = $1 and i.iid = $2`
	selectInstanceNamed = `select ` + instanceColumns + ` from @instance i where i.part = $1 and i.instance_id = $2`
	lockRunning         = selectInstance + ` and i.status = 0 for update`
	lockFreeInstance    = selectInstance + ` and coalesce(i.owner, 0) = 0 and i.status = 0 and i.parked is null
		and i.class = any($3) for update skip locked`
)

// fields are where to scan instanceColumns.
func (i *instance) fields(now *time.Time) []any {
	return []any{&i.Part, &i.Row, &i.id, &i.class, &i.status, &i.execution, &i.executionID, &i.firstExecutionID, &i.nextSeq,
		&i.token, &i.owner, &i.lastOwner, &i.attempt, &i.watch, &i.parked, &i.waits, now}
}

// instance reads one row, nil if there is none.
func (c *call) instance(ctx context.Context, sql string, a ...any) *instance {
	i := new(instance)
	if !c.first(ctx, sql, a, i.fields(&c.now)...) {
		return nil
	}
	return i
}

// instances reads rows.
func (c *call) instances(ctx context.Context, sql string, a ...any) []*instance {
	var all []*instance
	c.each(ctx, sql, a, func(rows pgx.Rows) error {
		i := new(instance)
		all = append(all, i)
		return rows.Scan(i.fields(&c.now)...)
	})
	return all
}

func (i *instance) running() bool { return i.status == provider.StatusRunning }

// heldUnder reports whether a worker holds the instance under a token.
func (i *instance) heldUnder(worker provider.WorkerID, token provider.Token) bool {
	return i.running() && i.owner != 0 && i.owner == worker && i.token == token
}

// item is the instance as its owner gets it, without history and messages.
func (i *instance) item() provider.OrchestrationItem {
	return provider.OrchestrationItem{
		Ref: i.Ref, InstanceID: i.id, Execution: i.execution, ExecutionID: i.executionID, Class: i.class,
		NextSeq: i.nextSeq, Token: i.token, Attempt: i.attempt,
	}
}

// Where the history of a grant begins, besides the number of an event.
const (
	wholeUnlessOwn = -1 // from the beginning, unless the worker committed the last turn itself
	noHistory      = -2
)

const selectTurns = `select h.seq, h.count, h.events from @history h
	where h.part = $1 and h.iid = $2 and h.execution = $3 and h.seq >= $4 order by h.seq`

// granted is the item of a granted instance with its history and messages.
func (c *call) granted(ctx context.Context, i *instance, worker provider.WorkerID, from int32, messages []provider.Message) provider.OrchestrationItem {
	item := i.item()
	item.Messages = messages
	if from == noHistory || from == wholeUnlessOwn && i.lastOwner == worker {
		item.HistoryOmitted = true
		return item
	}
	c.each(ctx, selectTurns, args{i.Part, i.Row, i.execution, max(from, 0)}, func(rows pgx.Rows) error {
		var t provider.Turn
		err := rows.Scan(&t.Seq, &t.Count, &t.Events)
		item.History = append(item.History, t)
		return err
	})
	return item
}

// take leases an instance that the call has locked.
func (c *call) take(ctx context.Context, i *instance, worker provider.WorkerID, request, claim provider.Token) {
	i.owner, i.token = worker, request
	i.attempt++
	c.exec(ctx, `update @instance set owner = $3, token = $4, claim = $5, attempt = $6 where part = $1 and iid = $2`,
		i.Part, i.Row, worker, request, orNull(claim), i.attempt)
}

// inLockOrder sorts rows as every call locks them.
func inLockOrder(a, b provider.Ref) int {
	if a.Part != b.Part {
		return int(a.Part) - int(b.Part)
	}
	switch {
	case a.Row < b.Row:
		return -1
	case a.Row > b.Row:
		return 1
	}
	return 0
}

// numbered returns 0 to n-1 sorted, items that compare equal in their order.
func numbered(n int, compare func(a, b int) int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, compare)
	return order
}
