package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

// Keys of the log line that each call writes.
const (
	logFunction = "function"
	logDuration = "duration"
	logItems    = "items"
	logRows     = "rows"
)

// function is a stored function and the text of the statement that calls it.
type function struct {
	name string
	// effects is the number of parameters, at the position effectsAt, that form one parameter of the type effects.
	effectsAt, effects int
	// scalar is set for a function that returns a single value.
	scalar bool
}

// binaryFormat asks for, and announces, PostgreSQL's binary format everywhere.
var binaryFormat = []int16{1}

// statement writes the call: select * from "schema".f($1, $2, row($3, ...)::"schema".effects).
func (f *function) statement(schema string, params int) string {
	sql := "select * from "
	if f.scalar {
		sql = "select "
	}
	sql += schema + "." + f.name + "("
	for i := range params {
		if i > 0 {
			sql += ", "
		}
		if f.effects > 0 && i == f.effectsAt {
			sql += "row("
		}
		sql += number(i + 1)
		if f.effects > 0 && i == f.effectsAt+f.effects-1 {
			sql += ")::" + schema + ".effects"
		}
	}
	return sql + ")"
}

// call is one round trip: it calls f and hands each row of the answer to read.
func (p *Provider) call(ctx context.Context, f *function, items int, params []param, read func(*row) error) error {
	start := time.Now()
	rows := 0
	err := p.roundTrip(ctx, f, params, func(values [][]byte) error {
		rows++
		if f.scalar {
			return read(&row{body: values[0]})
		}
		if len(values) != replyColumns {
			return fmt.Errorf("the answer has %d columns, want %d", len(values), replyColumns)
		}
		var r row
		r.decode(values)
		return read(&r)
	})
	if err != nil {
		if ctx.Err() == nil && otherServer(err) {
			p.water.reset()
		}
		return sqlstate.CallError(ctx, f.name, err)
	}
	if p.log.Enabled(ctx, slog.LevelDebug) {
		p.log.LogAttrs(ctx, slog.LevelDebug, "postgres call", slog.String(logFunction, f.name),
			slog.Duration(logDuration, time.Since(start)), slog.Int(logItems, items), slog.Int(logRows, rows))
	}
	return nil
}

// roundTrip sends the statement and reads the answer.
func (p *Provider) roundTrip(ctx context.Context, f *function, params []param, read func([][]byte) error) error {
	if p.closed.Load() {
		return sqlstate.ErrClosed
	}
	pool := p.pool
	if f == &pulseFunction {
		pool = p.pulses
	}
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	result, err := p.send(ctx, conn, f, params)
	if err != nil {
		return err
	}
	var readErr error
	for result.NextRow() {
		if readErr == nil {
			readErr = read(result.Values())
		}
	}
	if _, err := result.Close(); err != nil {
		var server *pgconn.PgError
		if errors.As(err, &server) && sqlstate.StalePlan(server) {
			conn.Conn().Close(ctx)
		}
		if conn.Conn().IsClosed() && ctx.Err() == nil {
			// Most likely all others are as dead; a repeat shall not have to find out one by one.
			p.pool.Reset()
			p.pulses.Reset()
		}
		return err
	}
	if readErr != nil {
		return sqlstate.GiveUp(f.name, "unexpected answer: %w", readErr)
	}
	return nil
}

// send prepares the statement if this connection has not seen it, and executes it.
func (p *Provider) send(ctx context.Context, conn *pgxpool.Conn, f *function, params []param) (*pgconn.ResultReader, error) {
	c := conn.Conn().PgConn()
	values := make([][]byte, len(params))
	for i := range params {
		values[i] = params[i].data
	}
	if p.pooler {
		return c.ExecParams(ctx, f.statement(p.schema, len(params)), values, oids(params), binaryFormat, binaryFormat), nil
	}
	prepared, ok := c.CustomData()[f.name].(*pgconn.StatementDescription)
	if !ok {
		var err error
		prepared, err = c.Prepare(ctx, "pawl_"+f.name, f.statement(p.schema, len(params)), oids(params))
		if err != nil {
			return nil, err
		}
		c.CustomData()[f.name] = prepared
	}
	return c.ExecStatement(ctx, prepared, values, binaryFormat, binaryFormat), nil
}

func oids(params []param) []uint32 {
	out := make([]uint32, len(params))
	for i := range params {
		out[i] = params[i].oid
	}
	return out
}
