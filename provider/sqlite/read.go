package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// readPool is the connections that only read. A statement is one snapshot.
type readPool struct {
	db         *sql.DB
	mu         sync.Mutex
	statements map[string]*sql.Stmt
}

func newReadPool(db *sql.DB) *readPool { return &readPool{db: db, statements: map[string]*sql.Stmt{}} }

// prepare returns the statement of a query, which is prepared once on each connection that runs it.
func (r *readPool) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	r.mu.Lock()
	s := r.statements[query]
	r.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := r.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if other := r.statements[query]; other != nil {
		return other, s.Close()
	}
	r.statements[query] = s
	return s, nil
}

func (r *readPool) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	for _, s := range r.statements {
		err = errors.Join(err, s.Close())
	}
	r.statements = nil
	return errors.Join(err, r.db.Close())
}

// errEnough ends a read before its last row.
var errEnough = errors.New("enough rows")

// read runs one query that changes nothing and logs it. scan is called for every row, until it fails.
func (p *Provider) read(ctx context.Context, op string, items int, query string, a args, scan func(*sql.Rows) error) error {
	began := time.Now()
	var n int
	var err error
	if p.reads == nil {
		n, err = p.writer.do(ctx, inspect, func(t *tx) { t.each(query, a, scan) })
	} else {
		n, err = p.reads.each(ctx, query, a, scan)
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	p.logCall(ctx, op, began, n, items, err)
	return classify(op, err)
}

func (r *readPool) each(ctx context.Context, query string, a args, scan func(*sql.Rows) error) (int, error) {
	s, err := r.prepare(ctx, query)
	if err != nil {
		return 0, err
	}
	rows, err := s.QueryContext(ctx, a...)
	if err != nil {
		return 0, err
	}
	return scanAll(rows, scan)
}

const (
	stateColumns = `SELECT i.id, i.instance_id, coalesce(c.name, ''), coalesce(c.version, ''), coalesce(c.priority, 0),
	i.status, i.execution,
	i.execution_id, i.next_seq, coalesce(i.parent_id, ''), i.created_at, i.ended_at, i.parked, coalesce(i.owner, 0),
	i.custom_status, i.status_version`
	turnColumns  = `, h.seq, h.count, h.events`
	fromWithTurn = `
  FROM instance i LEFT JOIN class c ON c.id = i.class
  LEFT JOIN history h ON h.iid = i.id AND h.execution = i.execution AND h.seq =
	(SELECT max(l.seq) FROM history l WHERE l.iid = i.id AND l.execution = i.execution) `
	withTurn    = turnColumns + fromWithTurn
	withoutTurn = `, NULL, NULL, NULL FROM instance i LEFT JOIN class c ON c.id = i.class `

	stateOfRow      = stateColumns + withTurn + `WHERE i.id = ?`
	whereNamed      = `WHERE i.instance_id IN (SELECT value FROM json_each(?1))`
	statesByID      = stateColumns + withTurn + whereNamed
	endedStatesByID = statesByID + ` AND i.status <> 0`
)

// namesList passes instance ids as one parameter.
func namesList(ids []string) string {
	doc, err := json.Marshal(ids)
	if err != nil {
		return "[]" // cannot happen: a list of strings
	}
	return string(doc)
}

// scanState reads a row of stateColumns and those of a turn, and what follows them into more.
func scanState(rows *sql.Rows, more ...any) (provider.InstanceState, error) {
	var s provider.InstanceState
	var executionID []byte
	var created int64
	var ended sql.NullInt64
	var seq, count sql.NullInt32
	s.Workers = -1
	err := rows.Scan(append([]any{&s.Row, &s.InstanceID, &s.Name, &s.Version, &s.Priority, &s.Status, &s.Execution, &executionID,
		&s.NextSeq, &s.ParentID, &created, &ended, &s.Parked, &s.Worker, &s.CustomStatus,
		&s.StatusVersion, &seq, &count, &s.LastTurn.Events}, more...)...)
	copy(s.ExecutionID[:], executionID)
	s.CreatedAt = timeOf(created)
	if ended.Valid {
		s.EndedAt = timeOf(ended.Int64)
	}
	s.LastTurn.Seq, s.LastTurn.Count = seq.Int32, count.Int32
	s.Cursor = strconv.FormatInt(s.Row, 10)
	return s, err
}

// states reads the states a query finds.
func (t *tx) states(query string, a args, add func(provider.InstanceState)) {
	t.each(query, a, func(rows *sql.Rows) error {
		s, err := scanState(rows)
		add(s)
		return err
	})
}

const markWatched = `UPDATE instance SET watch = 1
 WHERE instance_id IN (SELECT value FROM json_each(?)) AND status = 0 AND watch = 0`

// ReadInstances implements provider.Provider.
func (p *Provider) ReadInstances(ctx context.Context, instanceIDs []string, watch bool) ([]provider.InstanceState, error) {
	const op = "read_instances"
	if len(instanceIDs) == 0 {
		return nil, nil
	}
	if err := checkNames(op, instanceIDs...); err != nil {
		return nil, err
	}
	if !watch {
		return p.readWithWorkers(ctx, op, instanceIDs)
	}
	var states []provider.InstanceState
	add := func(s provider.InstanceState) { states = append(states, s) }
	err := p.read(ctx, op, len(instanceIDs), statesByID, args{namesList(instanceIDs)}, func(rows *sql.Rows) error {
		s, err := scanState(rows)
		add(s)
		return err
	})
	if err != nil {
		return nil, err
	}
	var running []string
	for n := range states {
		if states[n].Status == provider.StatusRunning {
			running = append(running, states[n].InstanceID)
			p.hub.watch(states[n].InstanceID, states[n].StatusVersion)
		}
	}
	if len(running) == 0 {
		return states, nil
	}
	// Marked and read again in one transaction: an end in between is seen here, a later one is notified.
	states = nil
	err = p.write(ctx, op, len(instanceIDs), lease, func(t *tx) {
		t.exec(markWatched, namesList(running))
		t.states(statesByID, args{namesList(instanceIDs)}, add)
	})
	if err != nil {
		return nil, err
	}
	return states, nil
}

const (
	turnsOf = `SELECT h.seq, h.count, h.events FROM instance i
  JOIN history h ON h.iid = i.id AND h.execution = CASE ?2 WHEN 0 THEN i.execution ELSE ?2 END AND h.seq >= ?3 `
	turnsByRow = turnsOf + `WHERE i.id = ?1 ORDER BY h.seq`
	turnsByID  = turnsOf + `WHERE i.instance_id = ?1 ORDER BY h.seq`
)

// ReadHistory implements provider.Provider.
func (p *Provider) ReadHistory(ctx context.Context, q provider.HistoryQuery) ([]provider.Turn, error) {
	const op = "read_history"
	if err := checkNames(op, q.InstanceID); err != nil {
		return nil, err
	}
	limit := q.MaxBytes
	if limit <= 0 {
		limit = 4 << 20
	}
	query, key := turnsByRow, any(q.Ref.Row)
	if q.Ref == (provider.Ref{}) {
		query, key = turnsByID, q.InstanceID
	}
	var turns []provider.Turn
	bytes := 0
	err := p.read(ctx, op, 1, query, args{key, q.Execution, q.From}, func(rows *sql.Rows) error {
		if bytes >= limit {
			return errEnough
		}
		var turn provider.Turn
		if err := rows.Scan(&turn.Seq, &turn.Count, &turn.Events); err != nil {
			return err
		}
		turns = append(turns, turn)
		bytes += len(turn.Events)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return turns, nil
}

const (
	listInstances = stateColumns + withoutTurn + `WHERE i.id < ?1
   AND (?2 IS NULL OR i.status = ?2)
   AND (?3 = '' OR c.name = ?3)
   AND (?4 = '' OR substr(i.instance_id, 1, length(?4)) = ?4) `
	listAll    = listInstances + `ORDER BY i.id DESC LIMIT ?5`
	listParked = listInstances + `AND i.parked IS NOT NULL ORDER BY i.id DESC LIMIT ?5`
)

// ListInstances implements provider.Provider.
func (p *Provider) ListInstances(ctx context.Context, q provider.ListQuery) ([]provider.InstanceState, error) {
	const op = "list_instances"
	texts := textCheck{}
	texts.strings(q.Name, q.Prefix)
	texts.values(q.Values)
	if err := texts.problem(op); err != nil {
		return nil, err
	}
	before := int64(1<<63 - 1)
	if q.Before != "" {
		var err error
		if before, err = strconv.ParseInt(q.Before, 10, 64); err != nil {
			return nil, invalid(op, fmt.Sprintf("bad cursor %q", q.Before))
		}
	}
	var status any
	if q.Status != nil {
		status = *q.Status
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	query, a := listAll, args{before, status, q.Name, q.Prefix, min(limit, 1000)}
	if q.ParkedOnly {
		query = listParked
	}
	if len(q.Values) > 0 {
		rarest, err := p.rarestFirst(ctx, op, q.Values)
		if err != nil {
			return nil, err
		}
		query, a = byValues(rarest, q.ParkedOnly, a)
	}
	var states []provider.InstanceState
	err := p.read(ctx, op, 1, query, a, func(rows *sql.Rows) error {
		s, err := scanState(rows)
		states = append(states, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	return states, nil
}
