package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pawlrun/pawl/internal/pgtest"
)

// TestRun runs every system that needs no program to be built, with tiny counts: each gives the right results and a row
// in every table it belongs to, in JSON and in Markdown.
func TestRun(t *testing.T) {
	names := []string{"raw", "pawl", "pawl-apart", "dbos", "dbos-queue", "river", "river-tx", "raw-sqlite", "pawl-sqlite",
		"pawl-sqlite-normal", "dbos-sqlite", "dbos-sqlite-full"}
	dir := t.TempDir()
	var tables, progress bytes.Buffer
	err := run(t.Context(), []string{"-rounds", "1", "-seconds", "0.02", "-rtt", "0", "-out", dir, "-systems", strings.Join(names, ","),
		"-workloads", "commit-1,commit-16,hello,sequence-20,fanout-100,hello-64"}, &tables, &progress)
	if errors.Is(err, pgtest.ErrNotInstalled) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	rows := readRows(t, filepath.Join(dir, "results.jsonl"))
	for _, x := range rows {
		if x.Error != "" || x.N == 0 || x.P50 <= 0 || x.P99 < x.P50 || x.PerSecond <= 0 || x.P1 <= 0 {
			t.Errorf("bad row: %+v", x)
		}
	}
	for _, name := range names {
		s, err := chosen(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range workloads[:len(workloads)-1] {
			has := slices.ContainsFunc(rows, func(x row) bool { return x.System == name && x.Workload == w.name })
			if want := slices.Contains(s[0].shapes, w.shape); has != want {
				t.Errorf("%s has a row for %s: %v, want %v", name, w.name, has, want)
			}
		}
	}
	for _, x := range rows {
		if x.System == "raw" && (x.Commits < 0.9 || x.Commits > 1.1) {
			t.Errorf("a raw commit counts as %v", x.Commits)
		}
	}
	report, err := os.ReadFile(filepath.Join(dir, "results.md"))
	if err != nil || !strings.Contains(string(report), tables.String()) {
		t.Errorf("results.md does not hold what was printed: %v", err)
	}
	for _, heading := range []string{"## hello\n", "## hello-64\n", "## commit-16\n"} {
		if !strings.Contains(tables.String(), heading) {
			t.Errorf("no table %q in:\n%s", heading, &tables)
		}
	}
}

// TestRunWithDelay checks that the delay is there for what is measured with it, and only for that.
func TestRunWithDelay(t *testing.T) {
	dir := t.TempDir()
	var tables, progress bytes.Buffer
	err := run(t.Context(), []string{"-rounds", "1", "-seconds", "0.02", "-rtt", "40ms", "-out", dir, "-systems", "raw,pawl",
		"-workloads", "commit-1,hello,hello-1000"}, &tables, &progress)
	if errors.Is(err, pgtest.ErrNotInstalled) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	var got []string
	for _, x := range readRows(t, filepath.Join(dir, "results.jsonl")) {
		got = append(got, fmt.Sprint(x.System, " ", x.Workload, " ", x.RTT))
		if x.RTT > 0 && x.P50 < 2*x.RTT {
			t.Errorf("hello took %v ms at %v ms round-trip time: two round trips take longer", x.P50, x.RTT)
		}
	}
	if want := []string{"raw commit-1 0", "pawl hello 0", "pawl hello-1000 0", "pawl hello 40"}; !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
	if !strings.Contains(tables.String(), "## hello at 40 ms round-trip time") {
		t.Errorf("no table of the delayed rows in:\n%s", &tables)
	}
}

// readRows reads the JSON lines after the header.
func readRows(t *testing.T, path string) []row {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := json.NewDecoder(file)
	var h header
	if err := lines.Decode(&h); err != nil || h.Machine.Cores == 0 || len(h.Settings) == 0 {
		t.Fatalf("header %+v: %v", h, err)
	}
	var rows []row
	for lines.More() {
		var x row
		if err := lines.Decode(&x); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, x)
	}
	return rows
}

func TestWrongResultEndsTheMeasurement(t *testing.T) {
	var next atomic.Int64
	units := workflows{hello: func(_ context.Context, _, name string) (string, error) {
		if name == nameOf(5) {
			return "Goodbye", nil
		}
		return greeting(name), nil
	}}.units()
	_, err := drive(t.Context(), units[shapeHello], &next, 2, time.Hour, 1)
	if err == nil || !strings.Contains(err.Error(), "wrong result: got Goodbye") {
		t.Errorf("error %v", err)
	}
}

func TestDriveWaitsForWhatItBegan(t *testing.T) {
	var next, done atomic.Int64
	got, err := drive(t.Context(), func(context.Context, int64) error { done.Add(1); return nil }, &next, 3, time.Nanosecond, 7)
	if err != nil || int64(len(got.took)) != done.Load() || done.Load() < 7 || next.Load() != done.Load() {
		t.Errorf("%d timed, %d done, %d numbered, error %v", len(got.took), done.Load(), next.Load(), err)
	}
}

func TestChoose(t *testing.T) {
	all, err := chosen("all")
	if err != nil || len(all) != len(systems) {
		t.Errorf("all: %d systems, error %v", len(all), err)
	}
	some, err := chosen("river,pawl")
	if err != nil || len(some) != 2 || some[0].name != "pawl" {
		t.Errorf("two: %v", err)
	}
	if _, err := chosen("pawl,restate"); err == nil || !strings.Contains(err.Error(), "unknown: restate;") {
		t.Errorf("error %v", err)
	}
}

func TestOrderChanges(t *testing.T) {
	first := map[string]bool{}
	for round := range len(systems) {
		turned := order(systems, round)
		if len(turned) != len(systems) {
			t.Fatalf("round %d: %d systems", round, len(turned))
		}
		first[turned[0].name] = true
	}
	if len(first) < len(systems)/2 {
		t.Errorf("only %d systems are ever the first", len(first))
	}
}

func TestParsePgbench(t *testing.T) {
	const out = "number of failed transactions: 0 (0.000%)\nlatency average = 0.250 ms\ninitial connection time = 2.1 ms\ntps = 4000.5 (without initial connection time)\n"
	got, err := parsePgbench(out, 2)
	if err != nil || got.perSecond != 4000.5 || len(got.took) != 8001 || got.took[0] != 250*time.Microsecond {
		t.Errorf("%v of %d, error %v", got.perSecond, len(got.took), err)
	}
	if _, err := parsePgbench("pgbench: fatal", 2); err == nil {
		t.Error("no error for nonsense")
	}
}

// TestReport checks that ratios are taken within a round and medians over rounds, and that what failed is said.
func TestReport(t *testing.T) {
	var r results
	r.Header.Systems = map[string]string{"pawl": "p", "dbos": "d", "temporal": "t"}
	for round, p50 := range []float64{1, 10, 2} {
		r.add(row{System: "pawl", Workload: "hello", Round: round, P50: p50, P1: p50 / 2, N: 1, PerSecond: 1, OtherCPU: 1})
		r.add(row{System: "dbos", Workload: "hello", Round: round, P50: 3 * p50, P1: p50 / 2, N: 1, PerSecond: 1})
	}
	r.add(row{System: "temporal", Workload: "hello", Error: "not finished after 90s\nmore"})
	r.leaveOut("pgbench", errors.New("pgbench: not available here"))
	var b bytes.Buffer
	if err := r.markdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"| pawl | 2.00 | 2.00 | 1.00 |", "| dbos | 6.00 | 6.00 | 3.00 |", "| temporal | not finished after 90s |", "Left out: pgbench",
		"something else kept 0.429 processors busy"} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("no %q in:\n%s", line, &b)
		}
	}
}

func TestTemporalConfigIsFilledIn(t *testing.T) {
	e := &surroundings{url: "postgres://someone:secret@127.0.0.1:5432/peers?sslmode=disable", dir: t.TempDir()}
	path := filepath.Join(e.dir, "server.yaml")
	if err := writeTemporalConfig(e, path, []string{"1", "2", "3", "4", "5", "6", "7", "8"}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, config, _ := strings.Cut(string(text), "\nlog:")
	for _, want := range []string{`databaseName: "peers_visibility"`, `connectAddr: "127.0.0.1:5432"`, `password: "secret"`, "grpcPort: 7, membershipPort: 8"} {
		if !strings.Contains(config, want) {
			t.Errorf("no %s in:\n%s", want, config)
		}
	}
	if strings.Contains(config, "@") {
		t.Errorf("something was not filled in:\n%s", config)
	}
}

// TestDaemonEndsWithItsLifeline starts a program and stops it.
func TestDaemonEndsWithItsLifeline(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	d, err := startDaemon(log, "", "/bin/sh", "-c", "echo started; exec cat /dev/zero >/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	if d.pid <= 1 {
		t.Errorf("process %d", d.pid)
	}
	d.stop()
	if err := d.explain(errors.New("why")); !strings.Contains(err.Error(), "why") {
		t.Errorf("error %v", err)
	}
	if processCPU(d.pid) >= 0 {
		t.Errorf("process %d is still there", d.pid)
	}
}
