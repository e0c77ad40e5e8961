package inline

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

// RegisterClasses implements provider.Provider.
func (p *Provider) RegisterClasses(ctx context.Context, classes []provider.Class) ([]provider.ClassID, error) {
	n := len(classes)
	if n == 0 {
		return nil, nil
	}
	ids := make([]provider.ClassID, n)
	err := p.write(ctx, "register_classes", n, func(c *call) {
		locked := false
		for k, class := range classes {
			if ids[k] = c.classID(ctx, class); ids[k] != 0 {
				continue
			}
			if !locked { // ids become visible in order: one call at a time makes new ones
				c.exec(ctx, `select from @meta for update`)
				locked = true
				ids[k] = c.classID(ctx, class)
			}
			if ids[k] == 0 {
				c.first(ctx, `insert into @class (kind, name, version, tag, priority) values ($1, $2, $3, $4, $5) returning id`,
					args{class.Kind, class.Name, class.Version, class.Tag, class.Priority}, &ids[k])
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// classID returns the number of a class, zero if it has none yet.
func (c *call) classID(ctx context.Context, class provider.Class) (id provider.ClassID) {
	c.first(ctx, `select id from @class where kind = $1 and name = $2 and version = $3 and tag = $4 and priority = $5`,
		args{class.Kind, class.Name, class.Version, class.Tag, class.Priority}, &id)
	return id
}

// knownClasses returns the classes with this number or a higher one, none if it is zero.
func (c *call) knownClasses(ctx context.Context, from provider.ClassID) (known []provider.KnownClass) {
	if from == 0 {
		return nil
	}
	c.each(ctx, `select id, kind, name, version, tag, priority from @class where id >= $1 order by id limit $2`,
		args{from, provider.MaxClasses}, func(rows pgx.Rows) error {
			var k provider.KnownClass
			err := rows.Scan(&k.ID, &k.Kind, &k.Name, &k.Version, &k.Tag, &k.Priority)
			known = append(known, k)
			return err
		})
	return known
}

const (
	stateColumns = `i.part, i.iid, i.instance_id, c.name, c.version, c.priority, i.status, i.execution, i.execution_id, i.next_seq,
		coalesce(i.parent_id, ''), i.created_at, i.ended_at, i.parked, coalesce(i.owner, 0),
		i.custom_status, i.status_version`
	selectState = `select ` + stateColumns + `, coalesce(h.seq, 0), coalesce(h.count, 0), h.events
		from @instance i
		join @class c on c.id = i.class
		left join lateral (select seq, count, events from @history h
			where h.part = i.part and h.iid = i.iid and h.execution = i.execution order by seq desc limit 1) h on true
		where i.part = $1 and i.instance_id = $2`
)

// scanState reads stateColumns, and what follows them into more.
func scanState(scan func(...any) error, more func(*provider.InstanceState) []any) (*provider.InstanceState, error) {
	st := &provider.InstanceState{Workers: -1}
	var ended *time.Time
	var execution [16]byte
	var status int16
	dest := []any{&st.Part, &st.Row, &st.InstanceID, &st.Name, &st.Version, &st.Priority, &status, &st.Execution, &execution, &st.NextSeq,
		&st.ParentID, &st.CreatedAt, &ended, &st.Parked, &st.Worker, &st.CustomStatus, &st.StatusVersion}
	if err := scan(append(dest, more(st)...)...); err != nil {
		return nil, err
	}
	st.Status, st.ExecutionID, st.CreatedAt = provider.InstanceStatus(status), execution, st.CreatedAt.UTC()
	st.Cursor = strconv.FormatInt(st.Row, 10)
	if ended != nil {
		st.EndedAt = ended.UTC()
	}
	return st, nil
}

// state reads an instance with its last turn, nil if there is none.
func (c *call) state(ctx context.Context, id string) *provider.InstanceState {
	var st *provider.InstanceState
	c.each(ctx, selectState, args{c.p.partOf(id), id}, func(rows pgx.Rows) (err error) {
		st, err = scanState(rows.Scan, func(st *provider.InstanceState) []any {
			return []any{&st.LastTurn.Seq, &st.LastTurn.Count, &st.LastTurn.Events}
		})
		return err
	})
	return st
}

// ReadInstances implements provider.Provider.
func (p *Provider) ReadInstances(ctx context.Context, instanceIDs []string, watch bool) ([]provider.InstanceState, error) {
	const op = "read_instances"
	if len(instanceIDs) == 0 {
		return nil, nil
	}
	var states []provider.InstanceState
	read := func(c *call) {
		for _, id := range instanceIDs {
			if st := c.state(ctx, id); st != nil {
				if !watch && st.Status == provider.StatusRunning {
					c.lookUpWorkers(ctx, st)
				}
				states = append(states, *st)
			}
		}
	}
	var err error
	if watch {
		err = p.write(ctx, op, len(instanceIDs), func(c *call) {
			c.watch(ctx, instanceIDs)
			read(c)
		})
	} else {
		err = p.read(ctx, op, len(instanceIDs), read)
	}
	if err != nil {
		return nil, err
	}
	return states, nil
}

// watch marks running instances so that their end, and what they set as custom status until then, is notified.
func (c *call) watch(ctx context.Context, instanceIDs []string) {
	var refs []provider.Ref
	for _, id := range instanceIDs {
		if i := c.instance(ctx, selectInstanceNamed, c.p.partOf(id), id); i != nil && i.running() && !i.watch {
			refs = append(refs, i.Ref)
		}
	}
	slices.SortFunc(refs, inLockOrder)
	for _, ref := range refs {
		c.exec(ctx, `update @instance set watch = true where part = $1 and iid = $2 and status = 0`, ref.Part, ref.Row)
	}
}

// defaultHistoryBytes is what ReadHistory returns at most, about, if the query does not say.
const defaultHistoryBytes = 4 << 20

// ReadHistory implements provider.Provider.
func (p *Provider) ReadHistory(ctx context.Context, q provider.HistoryQuery) ([]provider.Turn, error) {
	limit := q.MaxBytes
	if limit <= 0 {
		limit = defaultHistoryBytes
	}
	var turns []provider.Turn
	err := p.read(ctx, "read_history", 1, func(c *call) {
		var i *instance
		if q.Ref.Row != 0 {
			i = c.instance(ctx, selectInstance, q.Ref.Part, q.Ref.Row)
		} else {
			i = c.instance(ctx, selectInstanceNamed, p.partOf(q.InstanceID), q.InstanceID)
		}
		if i == nil {
			return
		}
		execution := q.Execution
		if execution == 0 {
			execution = i.execution
		}
		c.each(ctx, `select h.seq, h.count, h.events
			from (select seq, count, events, row_number() over (order by seq) nth,
			             sum(octet_length(events::text)) over (order by seq) size
			        from @history where part = $1 and iid = $2 and execution = $3 and seq >= $4) h
			where h.nth = 1 or h.size <= $5 order by h.seq`, args{i.Part, i.Row, execution, q.From, limit}, func(rows pgx.Rows) error {
			var t provider.Turn
			err := rows.Scan(&t.Seq, &t.Count, &t.Events)
			turns = append(turns, t)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return turns, nil
}

// The bounds of a listing.
const (
	defaultList = 100
	maxList     = 1000
)

// ListInstances implements provider.Provider.
func (p *Provider) ListInstances(ctx context.Context, q provider.ListQuery) ([]provider.InstanceState, error) {
	const op = "list_instances"
	before := int64(math.MaxInt64)
	if q.Before != "" {
		var err error
		if before, err = strconv.ParseInt(q.Before, 10, 64); err != nil {
			return nil, sqlstate.GiveUp(op, "cursor %q is not one of a listing", q.Before)
		}
	}
	conditions, a := []string{"i.part >= 0", "i.iid < $1"}, args{before}
	filter := func(condition string, value any) { // its %d is the number of the parameter
		a = append(a, value)
		conditions = append(conditions, fmt.Sprintf(condition, len(a)))
	}
	if q.Status != nil {
		filter("i.status = $%d", int16(*q.Status))
	}
	if q.ParkedOnly {
		conditions = append(conditions, "i.parked is not null")
	}
	if q.Name != "" {
		filter("c.name = $%d", q.Name)
	}
	if q.Prefix != "" {
		filter("starts_with(i.instance_id, $%d)", q.Prefix)
	}
	for n := range q.Values {
		v := &q.Values[n]
		a = append(a, v.Key, string(v.Data))
		conditions = append(conditions, fmt.Sprintf(`exists (select from @value v where v.part = i.part and v.iid = i.iid
			and v.key = $%d and v.found = $%d)`, len(a)-1, len(a)))
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultList
	}
	sql := `select ` + stateColumns + ` from @instance i join @class c on c.id = i.class where ` + strings.Join(conditions, " and ") +
		` order by i.iid desc limit ` + strconv.Itoa(min(limit, maxList))
	var states []provider.InstanceState
	err := p.read(ctx, op, 1, func(c *call) {
		c.each(ctx, sql, a, func(rows pgx.Rows) error {
			st, err := scanState(rows.Scan, func(*provider.InstanceState) []any { return nil })
			if err == nil {
				states = append(states, *st)
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return states, nil
}
