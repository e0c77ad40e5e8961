package main

import (
	"context"
	"database/sql"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite" // its SQLite support
)

const dbosModule = "github.com/dbos-inc/dbos-transact-golang"

var dbosPostgres = system{
	name: "dbos", backend: onPostgres, module: dbosModule,
	says:   "as it comes: RunWorkflow runs in the calling process at once, pool of 20 connections",
	shapes: flows,
	open: func(ctx context.Context, e *surroundings) (*opened, error) {
		return openDBOS(ctx, e, dbos.Config{DatabaseURL: e.url}, false)
	},
}

var dbosQueue = system{
	name: "dbos-queue", backend: onPostgres, module: dbosModule,
	says:   "workflows go through a queue, whose poll is 1 ms instead of 1 s; so is the wait for the result, rising with the number waiting",
	shapes: flows,
	open: func(ctx context.Context, e *surroundings) (*opened, error) {
		return openDBOS(ctx, e, dbos.Config{DatabaseURL: e.url}, true)
	},
}

var dbosSQLite = system{
	name: "dbos-sqlite", backend: onSQLite, module: dbosModule,
	says:   "a file as it comes: WAL with synchronous NORMAL, so a power failure may undo the last commits",
	shapes: flows,
	open: func(ctx context.Context, e *surroundings) (*opened, error) {
		return openDBOS(ctx, e, dbos.Config{DatabaseURL: "sqlite:" + filepath.Join(e.dir, "dbos.db")}, false)
	},
}

var dbosSQLiteFull = system{
	name: "dbos-sqlite-full", backend: onSQLite, module: dbosModule,
	says:   "the same on a database handle of our own with synchronous FULL, else opened as it does itself (8 connections)",
	shapes: flows,
	open: func(ctx context.Context, e *surroundings) (*opened, error) {
		db, err := openSQLite(filepath.Join(e.dir, "dbos.db"), "FULL")
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(8)
		db.SetMaxIdleConns(4)
		o, err := openDBOS(ctx, e, dbos.Config{SQLiteSystemDB: db}, false)
		if err != nil {
			db.Close()
			return nil, err
		}
		return closeAfter(o, db), nil
	},
}

// openSQLite opens a file with write-ahead log as DBOS does for itself, at the durability asked for.
func openSQLite(path, synchronous string) (*sql.DB, error) {
	pragmas := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", "foreign_keys(ON)", "journal_mode(WAL)", "synchronous(" + synchronous + ")",
	}}
	return sql.Open("sqlite", "file:"+path+"?"+pragmas.Encode())
}

// closeAfter closes a database when the system that uses it is closed.
func closeAfter(o *opened, db *sql.DB) *opened {
	stop := o.close
	o.close = func() { stop(); db.Close() }
	return o
}

// dbosApp is a launched DBOS context.
type dbosApp struct {
	dbos.Context
	options []dbos.WorkflowOption // of every start
	waiting atomic.Int64          // callers that wait for a result
}

// openDBOS launches DBOS with a configuration, with or without a queue.
func openDBOS(ctx context.Context, e *surroundings, config dbos.Config, queued bool) (*opened, error) {
	config.AppName, config.ApplicationVersion, config.Logger = "peers", "1", e.logger
	c, err := dbos.NewContext(ctx, config)
	if err != nil {
		return nil, err
	}
	dbos.RegisterWorkflow(c, dbosHello)
	dbos.RegisterWorkflow(c, dbosSequence)
	dbos.RegisterWorkflow(c, dbosFanOut)
	app := &dbosApp{Context: c}
	stop := func() {
		if err := dbos.Shutdown(c, 10*time.Second); err != nil {
			e.logger.WarnContext(ctx, "shut down dbos", "error", err)
		}
	}
	if queued {
		queue, err := dbos.RegisterQueue(c, "peers", dbos.WithQueueBasePollingInterval(time.Millisecond), dbos.WithWorkerConcurrency(slots))
		if err != nil {
			stop()
			return nil, err
		}
		app.options = append(app.options, dbos.WithQueue(queue))
	}
	if err := dbos.Launch(c); err != nil {
		stop()
		return nil, err
	}
	return &opened{units: app.workflows().units(), close: stop}, nil
}

func (a *dbosApp) workflows() workflows {
	return workflows{
		hello: func(_ context.Context, key, name string) (string, error) {
			return dbosRun(a, dbosHello, key, name)
		},
		sequence: func(_ context.Context, key string, start int) (int, error) {
			return dbosRun(a, dbosSequence, key, start)
		},
		fanOut: func(_ context.Context, key string, width int) (int, error) {
			return dbosRun(a, dbosFanOut, key, width)
		},
	}
}

// dbosRun starts a workflow and waits for its result. The polls of those that wait for a queued one are spread so that
// they ask the database about 5,000 times a second together: more often costs more than it gives.
func dbosRun[I, O any](a *dbosApp, fn dbos.Workflow[I, O], key string, input I) (O, error) {
	var none O
	options := append([]dbos.WorkflowOption{dbos.WithWorkflowID(key)}, a.options...)
	handle, err := dbos.RunWorkflow(a.Context, fn, input, options...)
	if err != nil {
		return none, err
	}
	poll := max(time.Millisecond, time.Duration(a.waiting.Add(1))*200*time.Microsecond)
	defer a.waiting.Add(-1)
	return handle.GetResult(dbos.WithHandleTimeout(cellTimeout), dbos.WithHandlePollingInterval(poll))
}

func dbosHello(ctx dbos.Context, name string) (string, error) {
	return dbos.RunAsStep(ctx, func(context.Context) (string, error) { return greeting(name), nil })
}

func dbosSequence(ctx dbos.Context, n int) (int, error) {
	for range sequenceLength {
		next, err := dbos.RunAsStep(ctx, func(context.Context) (int, error) { return n + 1, nil })
		if err != nil {
			return 0, err
		}
		n = next
	}
	return n, nil
}

func dbosFanOut(ctx dbos.Context, width int) (int, error) {
	outcomes := make([]<-chan dbos.StepOutcome[int], width)
	for i := range outcomes {
		var err error
		if outcomes[i], err = dbos.Go(ctx, func(context.Context) (int, error) { return i * i, nil }); err != nil {
			return 0, err
		}
	}
	sum := 0
	for _, outcome := range outcomes {
		o := <-outcome
		if o.Err != nil {
			return 0, o.Err
		}
		sum += o.Result
	}
	return sum, nil
}
