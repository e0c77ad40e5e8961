package bench

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // the driver
)

// rawRow is how many bytes of data a row of the yardstick has; with its key and the envelope that is the size of what
// the smallest turn of an instance writes.
const rawRow = 200

// Each connection commits so often, or for so long, before its commits count.
const (
	rawWarmup     = 20
	rawWarmupTime = 200 * time.Millisecond
)

// Raw is the raw limit of a store: one row inserted and committed, again and again, on a number of connections.
type Raw struct {
	Connections int           `json:"connections"`
	Rate        float64       `json:"rate"`
	Latency     Latency       `json:"latency"`
	Elapsed     time.Duration `json:"-"`
	// Took is how long each commit took, sorted.
	Took []time.Duration `json:"-"`
}

// RawPostgres measures the raw limit of the PostgreSQL server of a URL, for a time, with a table that it makes in a schema
// that exists. Each connection has its insert prepared. observe, if not nil, is called when everything is warm and has to call
// run, once, so that it can look before and after.
func RawPostgres(ctx context.Context, url, schema string, connections int, d time.Duration, observe func(run func() error) error) (raw Raw, err error) {
	conns := make([]*pgx.Conn, connections)
	defer func() {
		for _, c := range conns {
			if c != nil {
				err = errors.Join(err, c.Close(context.WithoutCancel(ctx)))
			}
		}
	}()
	table := quote(schema) + ".raw_commits"
	create := "set client_min_messages = warning; create table if not exists " + table +
		" (id bigint generated always as identity primary key, data bytea not null)"
	if err := execOnce(ctx, url, create); err != nil {
		return raw, fmt.Errorf("table of the yardstick: %w", err)
	}
	data := make([]byte, rawRow)
	rand.Read(data)
	calls, errs := make([]func(context.Context) error, connections), make([]error, connections)
	var connecting sync.WaitGroup
	for i := range calls {
		connecting.Go(func() {
			conn, err := pgx.Connect(ctx, url)
			if err == nil {
				conns[i] = conn
				_, err = conn.Prepare(ctx, "raw", "insert into "+table+" (data) values ($1)")
			}
			errs[i] = err
			calls[i] = func(ctx context.Context) error {
				_, err := conn.Exec(ctx, "raw", data)
				return err
			}
		})
	}
	connecting.Wait()
	if err := errors.Join(errs...); err != nil {
		return raw, fmt.Errorf("%d connections of the yardstick: %w", connections, err)
	}
	return repeatRaw(ctx, calls, d, observe)
}

// RawSQLite measures the raw limit of SQLite in a directory: in a file like a store's, with write-ahead log and every
// commit flushed, which it makes and does not remove.
func RawSQLite(ctx context.Context, file string, d time.Duration, observe func(run func() error) error) (raw Raw, err error) {
	dsn := url.URL{Scheme: "file", Path: filepath.ToSlash(file), RawQuery: "_journal_mode=WAL&_synchronous=FULL"}
	if file == ":memory:" {
		dsn = url.URL{Opaque: ":memory:", Scheme: "file"}
	}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return raw, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "create table if not exists raw_commits (id integer primary key, data blob not null)"); err != nil {
		return raw, fmt.Errorf("table of the yardstick: %w", err)
	}
	insert, err := db.PrepareContext(ctx, "insert into raw_commits (data) values (?)")
	if err != nil {
		return raw, fmt.Errorf("insert of the yardstick: %w", err)
	}
	defer func() { err = errors.Join(err, insert.Close()) }()
	data := make([]byte, rawRow)
	rand.Read(data)
	return repeatRaw(ctx, []func(context.Context) error{func(ctx context.Context) error {
		_, err := insert.ExecContext(ctx, data)
		return err
	}}, d, observe)
}

// repeatRaw lets every call be repeated for a time, all at once.
func repeatRaw(ctx context.Context, calls []func(context.Context) error, d time.Duration, observe func(run func() error) error) (Raw, error) {
	raw := Raw{Connections: len(calls)}
	_, err := together(calls, func(call func(context.Context) error) ([]time.Duration, error) {
		begun := time.Now()
		for i := 0; i < rawWarmup && time.Since(begun) < rawWarmupTime; i++ {
			if err := call(ctx); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	if err != nil {
		return raw, fmt.Errorf("commit of the yardstick: %w", err)
	}
	run := func() error {
		begun := time.Now()
		raw.Took, err = together(calls, func(call func(context.Context) error) (took []time.Duration, err error) {
			for last := begun; ; {
				if err := call(ctx); err != nil {
					return took, err
				}
				now := time.Now()
				took = append(took, now.Sub(last))
				last = now
				if now.Sub(begun) >= d {
					return took, nil
				}
			}
		})
		raw.Elapsed = time.Since(begun)
		return err
	}
	if observe == nil {
		observe = func(run func() error) error { return run() }
	}
	err = observe(run)
	raw.Latency = Summarize(raw.Took)
	raw.Rate = float64(len(raw.Took)) / raw.Elapsed.Seconds()
	if err != nil {
		return raw, fmt.Errorf("yardstick: %w", err)
	}
	return raw, nil
}

// together runs f for every call at once and puts what they return together.
func together(calls []func(context.Context) error, f func(func(context.Context) error) ([]time.Duration, error)) ([]time.Duration, error) {
	took, errs := make([][]time.Duration, len(calls)), make([]error, len(calls))
	var running sync.WaitGroup
	for i, call := range calls {
		running.Go(func() { took[i], errs[i] = f(call) })
	}
	running.Wait()
	var all []time.Duration
	for _, t := range took {
		all = append(all, t...)
	}
	return all, errors.Join(errs...)
}
