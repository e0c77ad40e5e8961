package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/cli"
	"github.com/pawlrun/pawl/internal/pgtest"
)

// benchReport is what docs/cli.md promises of the JSON of bench.
type benchReport struct {
	Pawl        string
	BegunAt     string  `json:"begun_at"`
	Took        float64 `json:"took_s"`
	Interrupted bool
	Failures    int
	Warnings    []string
	Machine     struct {
		OS, Arch, Go      string
		Cores, GOMAXPROCS int
	}
	Store struct {
		Kind, Where, Schema string
		Durable             bool
		Settings            map[string]string
	}
	Options   map[string]any
	Yardstick map[string]*struct {
		Connections int
		Rate        float64
		Latency     map[string]float64
		PerCommit   map[string]*float64 `json:"per_commit"`
	}
	Workloads map[string]*struct {
		What        string
		InFlight    int `json:"in_flight"`
		N, Failures int
		Elapsed     float64 `json:"elapsed_s"`
		Rate        float64
		Latency     map[string]float64
		Yardstick   map[string]*float64
		PerWorkflow map[string]*float64 `json:"per_workflow"`
		Ratio       map[string]float64
		Checkpoint  *bool
		Lateness    map[string]float64
		Parts       map[string]map[string]float64
		History     *struct {
			Events, Steps int
			SmallEvents   int     `json:"small_events"`
			LateToEarly   float64 `json:"late_to_early"`
			Cold          map[string]float64
			ColdSmall     map[string]float64 `json:"cold_small"`
			Early, Late   *benchPhase
		}
	}
}

type benchPhase struct {
	FromStep int `json:"from_step"`
	ToStep   int `json:"to_step"`
	Latency  map[string]float64
	PerStep  map[string]*float64 `json:"per_step"`
}

// has reports which of the keys a map lacks, or has beyond them.
func has[V any](t *testing.T, what string, m map[string]V, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if _, ok := m[key]; !ok {
			t.Errorf("%s: the key %q is missing", what, key)
		}
	}
	if len(m) != len(keys) {
		t.Errorf("%s: %v, want the keys %q", what, m, keys)
	}
}

var (
	latencyKeys = []string{"n", "mean_ms", "p50_ms", "p90_ms", "p99_ms", "max_ms"}
	costKeys    = []string{"commits", "wal_bytes", "server_cpu_ms", "client_cpu_ms", "round_trips"}
)

func TestBenchJSON(t *testing.T) {
	t.Setenv("PAWL_STORE", "")
	for name, spec := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return filepath.Join(t.TempDir(), "store.db") },
		"postgres": func(t *testing.T) string { return pgtest.URL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			store := spec(t)
			html := filepath.Join(t.TempDir(), "report.html")
			before := benchLeftovers(t, store)
			stdout, stderr, code := run(t.Context(), nil, "bench", "all", "--count", "3", "--events", "90", "--warmup", "0s", "--yardstick", "5ms",
				"--json", "--html", html, "--store", store)
			if code != cli.ExitOK {
				t.Fatalf("exit status %d: %s", code, stderr)
			}
			checkBenchReport(t, stdout, name == "postgres")
			if after := benchLeftovers(t, store); after != before {
				t.Errorf("%d leftovers, before it were %d", after, before)
			}
			if page, err := os.ReadFile(html); err != nil || !strings.Contains(string(page), "<svg") {
				t.Errorf("the report as HTML: %v", err)
			}
		})
	}
}

func checkBenchReport(t *testing.T, stdout string, postgres bool) {
	t.Helper()
	var r benchReport
	d := json.NewDecoder(strings.NewReader(stdout))
	if err := d.Decode(&r); err != nil {
		t.Fatal(err)
	}
	if r.Pawl != "v1.2.3" || r.BegunAt == "" || r.Took <= 0 || r.Interrupted || r.Failures != 0 || r.Warnings == nil ||
		r.Machine.OS == "" || r.Machine.Arch == "" || r.Machine.Go == "" || r.Machine.Cores < 1 || r.Machine.GOMAXPROCS < 1 || r.Store.Where == "" {
		t.Errorf("the head of the report: %+v", r)
	}
	has(t, "options", r.Options, "duration_s", "count", "slots", "payload_bytes", "apart", "rtt_ms", "warmup_s", "yardstick_s")
	has(t, "yardstick", r.Yardstick, "r1", "r16")
	has(t, "r1", r.Yardstick["r1"].PerCommit, costKeys...)
	has(t, "r1", r.Yardstick["r1"].Latency, latencyKeys...)
	has(t, "workloads", r.Workloads, "hello", "sequence", "fanout", "throughput", "timers", "mixed", "large-history")
	ratios := []string{"mean_to_p1", "p50_to_p1", "p90_to_p1", "p99_to_p1", "max_to_p1", "rate_to_r1"}
	if postgres {
		ratios = append(ratios, "rate_to_r16")
	}
	for name, w := range r.Workloads {
		has(t, name, w.Latency, latencyKeys...)
		has(t, name, w.PerWorkflow, costKeys...)
		has(t, name, w.Yardstick, "p1_ms", "r1", "r16")
		has(t, name, w.Ratio, ratios...)
		if w.What == "" || w.InFlight < 1 || w.N < 1 || w.Failures != 0 || w.Elapsed < 0 || w.Rate <= 0 || w.Checkpoint == nil {
			t.Errorf("%s: %+v", name, w)
		}
		if (w.PerWorkflow["commits"] != nil) != postgres || w.PerWorkflow["round_trips"] != nil {
			t.Errorf("%s: costs %v", name, w.PerWorkflow)
		}
	}
	has(t, "lateness", r.Workloads["timers"].Lateness, latencyKeys...)
	has(t, "hello of mixed", r.Workloads["mixed"].Parts["hello"], latencyKeys...)
	h := r.Workloads["large-history"].History
	if h == nil || h.Events < 90 || h.Steps != 30 || h.SmallEvents < 1 || h.LateToEarly <= 0 || h.Early.ToStep > h.Late.FromStep {
		t.Fatalf("history: %+v", h)
	}
	has(t, "cold", h.Cold, latencyKeys...)
	has(t, "cold_small", h.ColdSmall, latencyKeys...)
	has(t, "early", h.Early.PerStep, costKeys...)
	has(t, "late", h.Late.Latency, latencyKeys...)
	kind := "sqlite"
	if postgres {
		kind = "postgres"
		// The servers of tests flush nothing, which must not pass for speed.
		if os.Getenv(pgtest.EnvURL) == "" && (r.Store.Durable || !strings.Contains(strings.Join(r.Warnings, " "), "durability switched off")) {
			t.Errorf("durable: %v, warnings: %q", r.Store.Durable, r.Warnings)
		}
	}
	if r.Store.Kind != kind || len(r.Store.Settings) == 0 {
		t.Errorf("store: %+v", r.Store)
	}
}

// benchLeftovers counts what benchmarks have left where they were told to measure.
func benchLeftovers(t *testing.T, store string) (n int) {
	t.Helper()
	if !strings.Contains(store, "://") {
		files, err := os.ReadDir(filepath.Dir(store))
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	u, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	schema := u.Query().Get("schema")
	conn, err := pgx.Connect(t.Context(), pgtest.ServerURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	err = conn.QueryRow(t.Context(), "select count(*) from pg_namespace where starts_with(nspname, 'pawl_bench_') or nspname = $1", schema).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// interruptingWriter stands for somebody who interrupts a command when it says something.
type interruptingWriter struct {
	bytes.Buffer
	at     string
	cancel context.CancelFunc
}

func (w *interruptingWriter) Write(b []byte) (int, error) {
	if strings.HasPrefix(string(b), w.at) {
		w.cancel()
	}
	return w.Buffer.Write(b)
}

// An interrupted run prints what it has, cleans up and says so with its exit status.
func TestBenchInterrupted(t *testing.T) {
	store := pgtest.URL(t)
	before := benchLeftovers(t, store)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs := &interruptingWriter{at: "throughput", cancel: cancel}
	var out bytes.Buffer
	code := cli.Main(ctx, cli.Config{Args: []string{"bench", "hello", "throughput", "--count", "5", "--warmup", "0s", "--yardstick", "5ms", "--store", store},
		Stdout: &out, Stderr: errs})
	if code != cli.ExitInterrupted {
		t.Errorf("exit status %d, want %d: %s", code, cli.ExitInterrupted, errs)
	}
	if !strings.Contains(out.String(), "INTERRUPTED") || !strings.Contains(out.String(), "\nhello ") || strings.Contains(out.String(), "\nthroughput ") {
		t.Errorf("the report of what was measured:\n%s", &out)
	}
	if after := benchLeftovers(t, store); after != before {
		t.Errorf("%d leftovers, before it were %d", after, before)
	}
}
