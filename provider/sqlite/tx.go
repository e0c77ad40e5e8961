package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// tx is what one call sees of the transaction it runs in. The first error sticks: what is called after it does nothing,
// so a call is written down without a check after every statement, and the writer looks at err at the end.
type tx struct {
	w       *writer
	now     int64 // the time of everything the call does
	err     error
	rows    int // changed or read, for the log
	effects effects
}

// effects are what others are told about a transaction once it is committed.
type effects struct {
	ready    bool                     // an instance became ready
	queued   bool                     // a work item was queued
	held     []provider.WorkerID      // owners of instances that have new messages or were taken from them
	done     []provider.InstanceState // watched instances that ended
	statuses []statusNews             // custom statuses of watched instances
}

// statusNews says that an instance has a new custom status.
type statusNews struct {
	instanceID string
	version    int64
}

func (e *effects) merge(other *effects) {
	e.ready = e.ready || other.ready
	e.queued = e.queued || other.queued
	e.held = append(e.held, other.held...)
	e.done = append(e.done, other.done...)
	e.statuses = append(e.statuses, other.statuses...)
}

type args = []any

func (w *writer) newTx() *tx { return &tx{w: w, now: time.Now().UnixMicro()} }

// fail makes err the outcome of the call unless there was an error before.
func (t *tx) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, a ...any) int64 {
	result := t.execResult(query, a)
	if result == nil {
		return 0
	}
	n, err := result.RowsAffected()
	if err != nil {
		t.fail(err)
		return 0
	}
	t.rows += int(n)
	return n
}

// insert runs an insert of one row and returns its row id, 0 if a conflict kept it out.
func (t *tx) insert(query string, a ...any) int64 {
	result := t.execResult(query, a)
	if result == nil {
		return 0
	}
	n, err := result.RowsAffected()
	if err != nil || n == 0 {
		t.fail(err)
		return 0
	}
	id, err := result.LastInsertId()
	if err != nil {
		t.fail(err)
		return 0
	}
	t.rows++
	return id
}

func (t *tx) execResult(query string, a args) sql.Result {
	if t.err != nil {
		return nil
	}
	s, err := t.w.prepare(query)
	if err != nil {
		t.fail(err)
		return nil
	}
	result, err := s.ExecContext(context.Background(), a...)
	if err != nil {
		t.fail(err)
		return nil
	}
	return result
}

// first scans the first row of a query into dest and reports whether there was one.
func (t *tx) first(query string, a args, dest ...any) bool {
	if t.err != nil {
		return false
	}
	s, err := t.w.prepare(query)
	if err != nil {
		t.fail(err)
		return false
	}
	err = s.QueryRowContext(context.Background(), a...).Scan(dest...)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false
	case err != nil:
		t.fail(err)
		return false
	}
	t.rows++
	return true
}

// each calls scan for every row of a query until scan fails. scan must not run statements of its own.
func (t *tx) each(query string, a args, scan func(*sql.Rows) error) {
	if t.err != nil {
		return
	}
	s, err := t.w.prepare(query)
	if err != nil {
		t.fail(err)
		return
	}
	rows, err := s.QueryContext(context.Background(), a...)
	if err != nil {
		t.fail(err)
		return
	}
	n, err := scanAll(rows, scan)
	t.rows += n
	t.fail(err)
}

// scanAll reads rows to the end and closes them.
func scanAll(rows *sql.Rows, scan func(*sql.Rows) error) (n int, err error) {
	for rows.Next() {
		if err := scan(rows); err != nil {
			return n, errors.Join(err, rows.Close())
		}
		n++
	}
	return n, errors.Join(rows.Err(), rows.Close())
}

// text stores a document: as text, so that the shell and SQLite's JSON functions can read it; nil as null.
func text(document []byte) any {
	if document == nil {
		return nil
	}
	return string(document)
}

// orNull stores the zero value as null.
func orNull[T ~int32 | ~int64 | ~string](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

// timeOf makes the time of a stored number of microseconds.
func timeOf(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// after returns the time a delay from now, without overflow.
func (t *tx) after(d time.Duration) int64 {
	micros := max(d, 0).Microseconds()
	if micros > math.MaxInt64-t.now {
		return math.MaxInt64
	}
	return t.now + micros
}
