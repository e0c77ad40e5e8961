package bench_test

import (
	"context"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/internal/bench"
	"github.com/pawlrun/pawl/internal/pgtest"
)

// freshServer is a server that nobody else uses.
func freshServer(t *testing.T) *pgtest.Server {
	t.Helper()
	pgtest.URL(t) // skips without PostgreSQL
	server, err := pgtest.Start(t.Context(), pgtest.Setting("autovacuum", "off"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server
}

func exec(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeExec); err != nil {
		t.Fatal(err)
	}
}

// The yardstick is known to the commit, so it shows whether the server's statistics are right.
func TestYardstickAndServer(t *testing.T) {
	ctx := t.Context()
	fresh := freshServer(t)
	server, err := bench.ConnectServer(ctx, fresh.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close(context.Background())
	schema, err := bench.CreateSchema(ctx, fresh.URL)
	if err != nil {
		t.Fatal(err)
	}
	var before, after bench.Usage
	raw, err := bench.RawPostgres(ctx, fresh.URL, schema, 3, 50*time.Millisecond, func(run func() error) (err error) {
		if before, err = server.Usage(ctx); err != nil {
			return err
		}
		if err = run(); err == nil {
			after, err = server.Usage(ctx)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	used := after.Since(before)
	if fresh.Address != "" && used.Transactions != int64(len(raw.Took)) {
		t.Errorf("%d transactions for %d commits", used.Transactions, len(raw.Took))
	}
	if raw.Connections != 3 || raw.Latency.N != len(raw.Took) || len(raw.Took) < 3 || raw.Rate <= 0 {
		t.Errorf("measured %+v", raw)
	}
	if used.WALBytes < int64(200*len(raw.Took)) {
		t.Errorf("%d bytes of WAL for %d rows of 200", used.WALBytes, len(raw.Took))
	}
	if fresh.Address != "" && runtime.GOOS == "linux" && (!used.CPUKnown || used.CPU <= 0) {
		t.Errorf("processor time of the server: %v, known: %v", used.CPU, used.CPUKnown)
	}
	if err := bench.DropSchema(ctx, fresh.URL, schema); err != nil {
		t.Fatal(err)
	}
	var left int
	conn, err := pgx.Connect(ctx, fresh.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	err = conn.QueryRow(ctx, "select count(*) from pg_namespace where nspname = $1", schema).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("%d schemas are left, %v", left, err)
	}
}

// A role of no privileges can watch a server, and is told what it lacks for more.
func TestRoleWithoutRights(t *testing.T) {
	fresh := freshServer(t)
	if fresh.Address == "" {
		t.Skip("roles are not for a server that is not ours")
	}
	exec(t, fresh.URL, "create role guest login")
	u, err := url.Parse(fresh.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User("guest")
	server, err := bench.ConnectServer(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close(context.Background())
	if _, err := server.Usage(t.Context()); err != nil {
		t.Error(err)
	}
	settings, err := server.Settings(t.Context())
	if err != nil || len(bench.Undurable(settings)) == 0 {
		t.Errorf("settings %v, %v: fsync is off here", settings, err)
	}
	if _, err := bench.CreateSchema(t.Context(), u.String()); err == nil || !strings.Contains(err.Error(), "needs the right CREATE on the database") {
		t.Errorf("a schema without the right to make one: %v", err)
	}
}

func TestYardstickOfSQLite(t *testing.T) {
	for _, file := range []string{t.TempDir() + "/raw.db", ":memory:"} {
		observed := 0
		raw, err := bench.RawSQLite(t.Context(), file, 5*time.Millisecond, func(run func() error) error { observed++; return run() })
		if err != nil || observed != 1 || raw.Connections != 1 || raw.Latency.N == 0 || raw.Latency.P50 <= 0 {
			t.Errorf("%s: %+v, %v", file, raw.Latency, err)
		}
	}
}

func TestClientCPU(t *testing.T) {
	before, ok := bench.ClientCPU()
	if !ok {
		t.Skip("not known here")
	}
	deadline := time.After(10 * time.Second)
	for n := 0; ; n++ {
		if now, _ := bench.ClientCPU(); now > before {
			return
		}
		select {
		case <-deadline:
			t.Fatal("a busy process uses no processor time")
		default:
		}
	}
}
