package ancestor_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// world is what one test runs in: a store of its own, and the apps on it.
type world struct {
	testing.TB
	ctx context.Context
	// open opens a handle on the store, as a process would.
	open func() provider.Provider
	// dsn is that of the PostgreSQL store, whose connections have the name of its schema; "" on SQLite.
	dsn, schema string
}

// tale is one test that holds on every store.
type tale struct {
	name string
	tell func(w *world)
}

// onEveryStore runs the tales, each on a store of its own of each kind, all at the same time.
func onEveryStore(t *testing.T, tales []tale) {
	for _, store := range []struct {
		name string
		make func(w *world)
	}{{"SQLite", sqliteFile}, {"PostgreSQL", postgresSchema}} {
		t.Run(store.name, func(t *testing.T) {
			t.Parallel()
			for _, tale := range tales {
				t.Run(tale.name, func(t *testing.T) {
					t.Parallel()
					ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
					defer cancel()
					w := &world{TB: t, ctx: ctx}
					store.make(w)
					tale.tell(w)
				})
			}
		})
	}
}

func sqliteFile(w *world) {
	path := filepath.Join(w.TempDir(), "pawl.db")
	w.open = func() provider.Provider {
		p, err := sqlite.Open(w.ctx, path, &sqlite.Options{Synchronous: sqlite.SynchronousNormal})
		return w.opened(p, err)
	}
}

func postgresSchema(w *world) {
	u, err := url.Parse(pgtest.URL(w))
	if err != nil {
		w.Fatal(err)
	}
	q := u.Query()
	w.schema = q.Get("schema")
	q.Set("application_name", w.schema)
	u.RawQuery = q.Encode()
	w.dsn = u.String()
	w.open = func() provider.Provider {
		p, err := postgres.Open(w.ctx, w.dsn, &postgres.Options{Parts: 2, MaxConns: 2, Logger: slog.New(slog.DiscardHandler)})
		return w.opened(p, err)
	}
}

func (w *world) opened(p provider.Provider, err error) provider.Provider {
	w.Helper()
	if err != nil {
		w.Fatalf("open store: %v", err)
	}
	w.Cleanup(func() { p.Close() })
	return p
}

// registration adds one function to an app.
type registration func(app *pawl.App) error

// orchestration and activity register a function under a name.
func orchestration[I, O any](name string, fn pawl.OrchestrationFunc[I, O], opts ...pawl.RegisterOption) registration {
	return func(app *pawl.App) error {
		return pawl.RegisterOrchestration(app, fn, append([]pawl.RegisterOption{pawl.Name(name)}, opts...)...)
	}
}

func activity[I, O any](name string, fn pawl.ActivityFunc[I, O]) registration {
	return func(app *pawl.App) error { return pawl.RegisterActivity(app, fn, pawl.Name(name)) }
}

// app starts an app of a process of its own. It stops with the test.
func (w *world) app(opts *pawl.Options, registrations ...registration) *pawl.App {
	w.Helper()
	return w.appOn(w.open(), opts, registrations...)
}

// appOn is app on a given handle.
func (w *world) appOn(store provider.Provider, opts *pawl.Options, registrations ...registration) *pawl.App {
	w.Helper()
	if opts == nil {
		opts = &pawl.Options{}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(w.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	}
	app := pawl.New(store, opts)
	for _, register := range registrations {
		if err := register(app); err != nil {
			w.Fatalf("register: %v", err)
		}
	}
	if err := app.Start(w.ctx); err != nil {
		w.Fatalf("start app: %v", err)
	}
	w.Cleanup(func() { w.stop(app) })
	return app
}

// stop ends an app, cutting short what it still does.
func (w *world) stop(app *pawl.App) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := app.Stop(ctx); err != nil {
		w.Errorf("stop app: %v", err)
	}
}

// begin starts an instance that must start.
func begin[O any](w *world, app *pawl.App, name string, in any, id string) *pawl.Run[O] {
	w.Helper()
	return beginWith[O](w, app, name, in, &pawl.StartOptions{InstanceID: id})
}

func beginWith[O any](w *world, app *pawl.App, name string, in any, opts *pawl.StartOptions) *pawl.Run[O] {
	w.Helper()
	run, err := pawl.StartByName[O](w.ctx, app, name, in, opts)
	if err != nil {
		w.Fatalf("start %s %q: %v", name, opts.InstanceID, err)
	}
	return run
}

// expect waits for a result that must be want.
func expect[O comparable](w *world, run *pawl.Run[O], want O) {
	w.Helper()
	got, err := run.Result(w.ctx)
	if err != nil {
		w.Fatalf("result of %q: %v", run.InstanceID(), err)
	}
	if got != want {
		w.Fatalf("result of %q: %v, want %v", run.InstanceID(), got, want)
	}
}

// expectError waits for the end of a run that must fail with an error that matches want.
func expectError[O any](w *world, run *pawl.Run[O], want error) error {
	w.Helper()
	got, err := run.Result(w.ctx)
	if !errors.Is(err, want) {
		w.Fatalf("result of %q: %v, error %v, want error %v", run.InstanceID(), got, err, want)
	}
	return err
}

// tell raises an event that must be taken.
func (w *world) tell(app *pawl.App, id, event string, payload any) {
	w.Helper()
	if err := pawl.Raise(w.ctx, app, id, event, payload, nil); err != nil {
		w.Fatalf("raise %s to %q: %v", event, id, err)
	}
}

// describe returns an instance that must exist.
func (w *world) describe(app *pawl.App, id string) *pawl.Instance {
	w.Helper()
	instance, err := app.Describe(w.ctx, id)
	if err != nil {
		w.Fatalf("describe %q: %v", id, err)
	}
	return instance
}

// ended waits until an instance has a status other than running, and returns it.
func (w *world) ended(app *pawl.App, id string) *pawl.Instance {
	w.Helper()
	var instance *pawl.Instance
	w.eventually(id+" ends", func() bool {
		instance = w.describe(app, id)
		return instance.Status != "running"
	})
	return instance
}

// eventually asks until the answer is yes.
func (w *world) eventually(what string, yes func() bool) {
	w.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-w.ctx.Done():
			w.Fatalf("never happened: %s", what)
		case <-tick.C:
		}
	}
}

// receive waits for a value from a channel.
func receive[T any](w *world, what string, from <-chan T) T {
	w.Helper()
	select {
	case v := <-from:
		return v
	case <-w.ctx.Done():
		w.Fatalf("never happened: %s", what)
		panic("unreachable")
	}
}

// check fails the test unless got is want.
func check[T comparable](w *world, what string, got, want T) {
	w.Helper()
	if got != want {
		w.Errorf("%s: %v, want %v", what, got, want)
	}
}

// counter counts by key.
type counter struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *counter) add(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[key]++
	return c.counts[key]
}

func (c *counter) of(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[key]
}

// journal is a log that tests read.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, string(line))
	return len(line), nil
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.lines...)
}

func (j *journal) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(io.Writer(j), &slog.HandlerOptions{Level: level}))
}
