package pawl_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
	"github.com/pawlrun/pawl/provider/providertest"
	"github.com/pawlrun/pawl/provider/providertest/model"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// opener opens a handle on one store, as a process would.
type opener func(t testing.TB) provider.Provider

// world is what a scenario runs in: one store and the apps on it.
type world struct {
	testing.TB
	ctx  context.Context
	open opener
}

// scenario is an end-to-end test that holds on every store.
type scenario struct {
	name string
	run  func(w *world)
	// virtual scenarios last longer than a test may; they run where time is virtual only.
	virtual bool
}

// app starts an app with the functions register adds. It stops with the test.
func (w *world) app(opts *pawl.Options, register ...func(*pawl.App)) *pawl.App {
	w.Helper()
	if opts == nil {
		opts = &pawl.Options{}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(w.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	app := pawl.New(w.open(w), opts)
	for _, r := range register {
		r(app)
	}
	if err := app.Start(w.ctx); err != nil {
		w.Fatalf("start app: %v", err)
	}
	w.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := app.Stop(ctx); err != nil {
			w.Errorf("stop app: %v", err)
		}
	})
	return app
}

// result waits for the result of a run that must succeed.
func result[O any](w *world, run *pawl.Run[O]) O {
	w.Helper()
	v, err := run.Result(w.ctx)
	if err != nil {
		w.Fatalf("result of %s: %v", run.InstanceID(), err)
	}
	return v
}

// start starts an instance that must start.
func start[I, O any](w *world, app *pawl.App, fn pawl.OrchestrationFunc[I, O], in I, id string) *pawl.Run[O] {
	w.Helper()
	run, err := pawl.Start(w.ctx, app, fn, in, &pawl.StartOptions{InstanceID: id})
	if err != nil {
		w.Fatalf("start %s: %v", id, err)
	}
	return run
}

// eventually polls until f is true.
func (w *world) eventually(what string, f func() bool) {
	w.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-w.ctx.Done():
			w.Fatalf("never happened: %s", what)
		case <-tick.C:
		}
	}
}

// orchestration and activity make registrations for world.app.
func orchestration[I, O any](fn pawl.OrchestrationFunc[I, O], opts ...pawl.RegisterOption) func(*pawl.App) {
	return func(app *pawl.App) { pawl.RegisterOrchestration(app, fn, opts...) }
}

func activity[I, O any](fn pawl.ActivityFunc[I, O], opts ...pawl.RegisterOption) func(*pawl.App) {
	return func(app *pawl.App) { pawl.RegisterActivity(app, fn, opts...) }
}

// inVirtualTime runs all scenarios in bubbles of virtual time on stores that open makes inside the bubble.
func inVirtualTime(t *testing.T, newStore func(t *testing.T) opener) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 365*24*time.Hour)
				defer cancel()
				s.run(&world{TB: t, ctx: ctx, open: newStore(t)})
			})
		})
	}
}

// inRealTime runs the scenarios that end within seconds.
func inRealTime(t *testing.T, newStore func(t *testing.T) opener) {
	for _, s := range scenarios {
		if s.virtual {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			s.run(&world{TB: t, ctx: ctx, open: newStore(t)})
		})
	}
}

func TestScenariosOnModel(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) opener {
		store := model.New(model.Options{})
		return func(t testing.TB) provider.Provider {
			p := store.Open()
			t.Cleanup(func() { p.Close() })
			return p
		}
	})
}

func TestScenariosOnSQLite(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) opener {
		p, err := sqlite.Open(context.Background(), ":memory:", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return func(testing.TB) provider.Provider { return p }
	})
}

func TestScenariosOnSQLiteInRealTime(t *testing.T) { inRealTime(t, sqliteFile) }

func TestScenariosOnPostgres(t *testing.T) { inRealTime(t, postgresDatabase) }

// sqliteFile opens handles on a new file.
func sqliteFile(t *testing.T) opener {
	path := filepath.Join(t.TempDir(), "pawl.db")
	return func(t testing.TB) provider.Provider {
		p, err := sqlite.Open(context.Background(), path, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return p
	}
}

// postgresDatabase opens handles on a new database.
func postgresDatabase(t *testing.T) opener {
	dsn := pgtest.URL(t)
	return func(t testing.TB) provider.Provider {
		p, err := postgres.Open(context.Background(), dsn, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return p
	}
}

// TestScenariosUnderFaults runs everything on connections that lose one call in seven, half of them after the commit.
// Nothing may fail, be lost or be done twice.
func TestScenariosUnderFaults(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			inVirtualTime(t, func(t *testing.T) opener {
				store := model.New(model.Options{})
				handles := uint64(0)
				return func(t testing.TB) provider.Provider {
					handles++
					p := providertest.Faulty(store.Open(), providertest.RandomFaults(seed<<8+handles, 15))
					t.Cleanup(func() { p.Close() })
					return p
				}
			})
		})
	}
}
