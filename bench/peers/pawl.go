package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// slots is how many activities or jobs may run at a time, in every system that bounds them.
const slots = 1000

var pawlPostgres = system{
	name: "pawl", backend: onPostgres, module: "github.com/pawlrun/pawl",
	says:   "default options, MaxActivities 1,000; client and worker are one App",
	shapes: flows,
	open: func(ctx context.Context, e *surroundings) (*opened, error) {
		return openPawl(ctx, e, openPawlPostgres, false)
	},
}

var pawlApart = system{
	name: "pawl-apart", backend: onPostgres, module: "github.com/pawlrun/pawl",
	says:   "the same, but the client is an App of its own that knows the worker only through the database",
	shapes: flows,
	open: func(ctx context.Context, e *surroundings) (*opened, error) {
		return openPawl(ctx, e, openPawlPostgres, true)
	},
}

var pawlSQLite = system{
	name: "pawl-sqlite", backend: onSQLite, module: "github.com/pawlrun/pawl",
	says:   "a file at default options (synchronous FULL), MaxActivities 1,000",
	shapes: flows,
	open: func(ctx context.Context, e *surroundings) (*opened, error) {
		return openPawl(ctx, e, openPawlSQLite(sqlite.SynchronousFull), false)
	},
}

var pawlSQLiteNormal = system{
	name: "pawl-sqlite-normal", backend: onSQLite, module: "github.com/pawlrun/pawl",
	says:   "the same with synchronous NORMAL, as DBOS has it: a power failure may undo the last commits",
	shapes: flows,
	open: func(ctx context.Context, e *surroundings) (*opened, error) {
		return openPawl(ctx, e, openPawlSQLite(sqlite.SynchronousNormal), false)
	},
}

func openPawlPostgres(ctx context.Context, e *surroundings) (provider.Provider, error) {
	return postgres.Open(ctx, e.url, &postgres.Options{Logger: e.logger})
}

func openPawlSQLite(level sqlite.Synchronous) func(context.Context, *surroundings) (provider.Provider, error) {
	return func(ctx context.Context, e *surroundings) (provider.Provider, error) {
		return sqlite.Open(ctx, filepath.Join(e.dir, "pawl.db"), &sqlite.Options{Logger: e.logger, Synchronous: level})
	}
}

// openPawl starts a worker, and a client of its own if it is to be apart.
func openPawl(ctx context.Context, e *surroundings, store func(context.Context, *surroundings) (provider.Provider, error), apart bool) (*opened, error) {
	worker, closeWorker, err := startPawl(ctx, e, store, true)
	if err != nil {
		return nil, err
	}
	client, closeClient := worker, func() {}
	if apart {
		if client, closeClient, err = startPawl(ctx, e, store, false); err != nil {
			closeWorker()
			return nil, err
		}
	}
	return &opened{units: pawlWorkflows(client).units(), close: func() { closeClient(); closeWorker() }}, nil
}

// startPawl starts one app on a store of its own.
func startPawl(ctx context.Context, e *surroundings, open func(context.Context, *surroundings) (provider.Provider, error), worker bool) (*pawl.App, func(), error) {
	store, err := open(ctx, e)
	if err != nil {
		return nil, nil, err
	}
	app := pawl.New(store, &pawl.Options{Logger: e.logger, MaxActivities: slots})
	if worker {
		err = errors.Join(
			pawl.RegisterOrchestration(app, pawlHello), pawl.RegisterOrchestration(app, pawlSequence),
			pawl.RegisterOrchestration(app, pawlFanOut), pawl.RegisterActivity(app, pawlGreet),
			pawl.RegisterActivity(app, pawlIncrement), pawl.RegisterActivity(app, pawlSquare))
	}
	if err == nil {
		err = app.Start(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return app, func() {
		if err := errors.Join(app.Stop(context.WithoutCancel(ctx)), store.Close()); err != nil {
			e.logger.Log(ctx, slog.LevelWarn, "close pawl", "error", err)
		}
	}, nil
}

func pawlWorkflows(app *pawl.App) workflows {
	return workflows{
		hello: func(ctx context.Context, key, name string) (string, error) {
			return pawlRun(ctx, app, pawlHello, key, name)
		},
		sequence: func(ctx context.Context, key string, start int) (int, error) {
			return pawlRun(ctx, app, pawlSequence, key, start)
		},
		fanOut: func(ctx context.Context, key string, width int) (int, error) {
			return pawlRun(ctx, app, pawlFanOut, key, width)
		},
	}
}

func pawlRun[I, O any](ctx context.Context, app *pawl.App, fn pawl.OrchestrationFunc[I, O], key string, input I) (O, error) {
	run, err := pawl.Start(ctx, app, fn, input, &pawl.StartOptions{InstanceID: key})
	if err != nil {
		var none O
		return none, err
	}
	return run.Result(ctx)
}

func pawlGreet(_ context.Context, name string) (string, error) { return greeting(name), nil }

func pawlIncrement(_ context.Context, n int) (int, error) { return n + 1, nil }

func pawlSquare(_ context.Context, n int) (int, error) { return n * n, nil }

func pawlHello(o *pawl.Context, name string) (string, error) {
	return pawl.Activity(o, pawlGreet, name).Await()
}

func pawlSequence(o *pawl.Context, n int) (int, error) {
	var err error
	for range sequenceLength {
		if n, err = pawl.Activity(o, pawlIncrement, n).Await(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func pawlFanOut(o *pawl.Context, width int) (int, error) {
	squares := make([]*pawl.Future[int], width)
	for i := range squares {
		squares[i] = pawl.Activity(o, pawlSquare, i)
	}
	results, err := pawl.All(squares...)
	sum := 0
	for _, r := range results {
		sum += r
	}
	return sum, err
}
