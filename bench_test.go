package pawl_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// BenchmarkPostgres measures against a server of its own with default durability; raw is the yardstick of the others:
// one row inserted and committed.
func BenchmarkPostgres(b *testing.B) {
	server, err := pgtest.Start(b.Context(), pgtest.Durable())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Stop)
	b.Run("raw/in-flight=1", func(b *testing.B) { rawCommits(b, server.URL, 1) })
	b.Run("raw/in-flight=16", func(b *testing.B) { rawCommits(b, server.URL, 16) })
	schemas := 0
	benchmarkApp(b, func(b *testing.B) provider.Provider {
		schemas++
		p, err := postgres.Open(b.Context(), pgtest.WithSchema(server.URL, fmt.Sprint("bench", schemas)), nil)
		if err != nil {
			b.Fatal(err)
		}
		return p
	})
}

// BenchmarkSQLite measures on a durable file.
func BenchmarkSQLite(b *testing.B) {
	benchmarkApp(b, func(b *testing.B) provider.Provider {
		p, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "pawl.db"), nil)
		if err != nil {
			b.Fatal(err)
		}
		return p
	})
}

func rawCommits(b *testing.B, url string, clients int) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = int32(clients)
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(b.Context(), "create table if not exists raw (id bigint generated always as identity primary key, v text)"); err != nil {
		b.Fatal(err)
	}
	inFlight(b, clients, func(int64) error {
		_, err := pool.Exec(b.Context(), "insert into raw (v) values ($1)", "two hundred bytes or so")
		return err
	})
}

// inFlight runs f b.N times with n at a time.
func inFlight(b *testing.B, n int, f func(i int64) error) {
	b.Helper()
	b.ResetTimer()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				if err := f(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "per-s")
}

func benchmarkApp(b *testing.B, open func(b *testing.B) provider.Provider) {
	var ids atomic.Int64
	with := func(b *testing.B, f func(app *pawl.App)) {
		store := open(b)
		defer store.Close()
		app := pawl.New(store, &pawl.Options{Logger: slog.New(slog.DiscardHandler), MaxActivities: 1000})
		pawl.RegisterOrchestration(app, helloWorld)
		pawl.RegisterOrchestration(app, incrementTwenty)
		pawl.RegisterOrchestration(app, sumOfSquares)
		pawl.RegisterActivity(app, greet)
		pawl.RegisterActivity(app, increment)
		pawl.RegisterActivity(app, square)
		if err := app.Start(b.Context()); err != nil {
			b.Fatal(err)
		}
		defer app.Stop(context.Background())
		f(app)
	}
	for _, n := range []int{1, 64, 1000} {
		b.Run(fmt.Sprint("hello/in-flight=", n), func(b *testing.B) {
			with(b, func(app *pawl.App) {
				inFlight(b, n, func(int64) error {
					return complete(b, app, helloWorld, "Ada", ids.Add(1))
				})
			})
		})
	}
	b.Run("twenty-steps/in-flight=1", func(b *testing.B) {
		with(b, func(app *pawl.App) {
			inFlight(b, 1, func(int64) error { return complete(b, app, incrementTwenty, 1, ids.Add(1)) })
		})
	})
	b.Run("fan-out-100/in-flight=1", func(b *testing.B) {
		with(b, func(app *pawl.App) {
			inFlight(b, 1, func(int64) error { return complete(b, app, sumOfSquares, 100, ids.Add(1)) })
		})
	})
}

// complete runs one instance to its end.
func complete[I, O any](b *testing.B, app *pawl.App, fn pawl.OrchestrationFunc[I, O], in I, id int64) error {
	run, err := pawl.Start(b.Context(), app, fn, in, &pawl.StartOptions{InstanceID: fmt.Sprint("bench-", id)})
	if err != nil {
		return err
	}
	_, err = run.Result(b.Context())
	return err
}
