package inline

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

// database is a connection, or a transaction on one.
type database interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// call is one operation under way. The first error sticks: what is called after it does nothing, so an operation is
// written down without a check after every statement.
type call struct {
	p          *Provider
	db         database
	err        error
	statements int
	now        time.Time // the server's clock at the last statement that told it
	news       news
}

type args = []any

// write runs an operation as one transaction.
func (p *Provider) write(ctx context.Context, op string, items int, run func(*call)) error {
	return p.operate(ctx, op, items, func(c *call, conn *pgxpool.Conn) {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
		if err != nil {
			c.fail(err)
			return
		}
		c.db = tx
		run(c)
		c.notify(ctx)
		if c.err == nil {
			c.fail(tx.Commit(ctx))
		} else {
			_ = tx.Rollback(ctx) // a connection that cannot roll back is closed
		}
	})
}

// read runs an operation that changes nothing: its statements need no transaction.
func (p *Provider) read(ctx context.Context, op string, items int, run func(*call)) error {
	return p.operate(ctx, op, items, func(c *call, conn *pgxpool.Conn) {
		c.db = conn
		run(c)
	})
}

// operate runs an operation on a connection, and writes the line it leaves in the log.
func (p *Provider) operate(ctx context.Context, op string, items int, run func(*call, *pgxpool.Conn)) error {
	start := time.Now()
	if p.closed.Load() {
		return sqlstate.CallError(ctx, op, sqlstate.ErrClosed)
	}
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return sqlstate.CallError(ctx, op, err)
	}
	defer conn.Release()
	c := &call{p: p}
	run(c, conn)
	if c.err != nil {
		var server *pgconn.PgError
		if errors.As(c.err, &server) && sqlstate.StalePlan(server) {
			_ = conn.Conn().Close(ctx)
		}
		if conn.Conn().IsClosed() && ctx.Err() == nil {
			p.pool.Reset() // most likely all others are as dead
		}
		return sqlstate.CallError(ctx, op, c.err)
	}
	p.log.LogAttrs(ctx, slog.LevelDebug, "postgres inline call", slog.String("operation", op),
		slog.Duration("duration", time.Since(start)), slog.Int("items", items), slog.Int("statements", c.statements))
	return nil
}

// fail makes err the outcome of the call unless there was an error before.
func (c *call) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// exec runs a statement and returns how many rows it changed.
func (c *call) exec(ctx context.Context, sql string, a ...any) int64 {
	if c.err != nil {
		return 0
	}
	c.statements++
	tag, err := c.db.Exec(ctx, c.p.text(sql), a...)
	c.fail(err)
	return tag.RowsAffected()
}

// first scans the first row of a query into dest and reports whether there was one.
func (c *call) first(ctx context.Context, sql string, a args, dest ...any) bool {
	if c.err != nil {
		return false
	}
	c.statements++
	err := c.db.QueryRow(ctx, c.p.text(sql), a...).Scan(dest...)
	if errors.Is(err, pgx.ErrNoRows) {
		return false
	}
	c.fail(err)
	return err == nil
}

// each calls scan for every row of a query. scan must not run statements of its own.
func (c *call) each(ctx context.Context, sql string, a args, scan func(pgx.Rows) error) {
	if c.err != nil {
		return
	}
	c.statements++
	rows, err := c.db.Query(ctx, c.p.text(sql), a...)
	if err != nil {
		c.fail(err)
		return
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			c.fail(err)
			return
		}
	}
	c.fail(rows.Err())
}

// clock returns the server's time, which mostly came with another statement.
func (c *call) clock(ctx context.Context) time.Time {
	if c.now.IsZero() {
		c.first(ctx, `select clock_timestamp()`, nil, &c.now)
	}
	return c.now.UTC()
}

// orNull stores the zero value as null.
func orNull[T ~int64 | ~string](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

// numbers returns the classes as an array that is not null.
func numbers(classes []provider.ClassID) []int32 {
	out := make([]int32, len(classes))
	for i, class := range classes {
		out[i] = int32(class)
	}
	return out
}
