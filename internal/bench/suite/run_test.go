package suite

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/internal/bench"
	"github.com/pawlrun/pawl/internal/pgtest"
)

// tiny are options for a run of nearly nothing.
func tiny(target Target, workloads ...string) *Options {
	return &Options{Target: target, Workloads: workloads, Count: 5, Slots: 100, Payload: 100, Events: MinEvents,
		Yardstick: 5 * time.Millisecond, Version: "v1.2.3", Logger: slog.New(slog.DiscardHandler), Progress: io.Discard}
}

// targets are both kinds of store, each with what tells whether anything is left behind.
func targets(t *testing.T, test func(t *testing.T, target Target)) {
	t.Run("sqlite", func(t *testing.T) {
		dir := t.TempDir()
		test(t, Target{Directory: dir})
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	t.Run("postgres", func(t *testing.T) {
		pgtest.URL(t) // skips without PostgreSQL
		url := pgtest.ServerURL(t)
		before := schemas(t, url)
		test(t, Target{Postgres: url})
		if after := schemas(t, url); after != before {
			t.Errorf("%d schemas of benchmarks, there were %d", after, before)
		}
	})
}

func schemas(t *testing.T, url string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), "select count(*) from pg_namespace where starts_with(nspname, $1)", bench.SchemaPrefix).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEveryWorkload(t *testing.T) {
	targets(t, func(t *testing.T, target Target) {
		r, err := Run(t.Context(), tiny(target, Names()...))
		if err != nil || r.Failures != 0 || r.Interrupted {
			t.Fatalf("%+v, %v", r, err)
		}
		for i, name := range Names() {
			w := r.Workloads[i]
			want := 5
			if name == LargeHistory {
				want = 1
			}
			if w.Name != name || w.N != want || w.Latency.N != want || w.Rate <= 0 || w.Limits.P1 <= 0 || w.Limits.R1 <= 0 || w.Ratios()["p50_to_p1"] <= 0 {
				t.Errorf("%s: %+v", name, w)
			}
			if onPostgres := target.Postgres != ""; (w.Cost.Commits != nil) != onPostgres || (w.Limits.R16 > 0) != onPostgres {
				t.Errorf("%s: costs %+v, limits %+v", name, w.Cost, w.Limits)
			}
		}
		h := r.Workloads[len(r.Workloads)-1].History
		if h.Steps != MinEvents/eventsPerStep || h.Events < MinEvents || h.Cold.N != coldRounds || h.ColdSmall.N != coldRounds || h.SmallEvents >= h.Events {
			t.Errorf("history: %+v", h)
		}
	})
}

// What a step costs must come from its own part of the history.
func TestPhasesOfALargeHistory(t *testing.T) {
	trail := newTrail(200, func(context.Context) (reading, error) { return reading{client: time.Second, clientKnown: true}, nil })
	for n := range 200 {
		if err := trail.step(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	<-trail.done
	if err := trail.step(t.Context(), 7); err == nil {
		t.Error("a step that does not follow is taken")
	}
	early, late := trail.phase(0, 1), trail.phase(2, 3)
	if early.FromStep != 20 || early.ToStep != 40 || early.Latency.N != 20 || late.FromStep != 179 || late.ToStep != 199 || late.Latency.N != 20 {
		t.Errorf("early %+v, late %+v", early, late)
	}
}

func TestApartAndInMemory(t *testing.T) {
	targets(t, func(t *testing.T, target Target) {
		o := tiny(target, "hello", LargeHistory)
		o.Apart = true
		if _, err := Run(t.Context(), o); err != nil {
			t.Error(err)
		}
	})
	r, err := Run(t.Context(), tiny(Target{Memory: true}, "fanout"))
	if err != nil || r.Store.Durable || len(r.Warnings) == 0 {
		t.Errorf("in memory: %+v, %v", r, err)
	}
}

// The proxy counts what a workflow takes, and only that: the promise of the budget, seen from here.
func TestDelayedRunCountsRoundTrips(t *testing.T) {
	pgtest.URL(t)
	o := tiny(Target{Postgres: pgtest.ServerURL(t)}, "hello", "sequence")
	o.RTT = time.Millisecond
	o.Count = 20
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := *r.Yardstick.R1.Cost.RoundTrips; got != 1 {
		t.Errorf("a raw commit takes %v round trips", got)
	}
	for i, want := range []float64{2, 1 + sequenceSteps} {
		if w := r.Workloads[i]; *w.Cost.RoundTrips != want {
			t.Errorf("%s takes %v round trips, want %v", w.Name, *w.Cost.RoundTrips, want)
		}
	}
}

// forgetful is a workload whose results are not what was sent.
func forgetful(fn pawl.OrchestrationFunc[Parcel, Parcel]) *workload {
	return &workload{name: "forgetful", inFlight: 2, flow: func(int64) flow { return flow{fn: fn, want: plus(1)} }}
}

// A benchmark that does not look at its results measures nothing.
func TestWrongResultsFailTheRun(t *testing.T) {
	targets(t, func(t *testing.T, target Target) {
		for name, fn := range map[string]pawl.OrchestrationFunc[Parcel, Parcel]{"number": sequence, "value": fanout} {
			o := tiny(target)
			p, err := newPlace(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			r := &runner{o: o, place: p, flows: newFlows(), filling: "filling", report: &Report{}}
			found, err := r.workload(t.Context(), forgetful(fn))
			if err != nil || found.Failures != o.Count || len(r.report.Warnings) == 0 || !strings.Contains(r.report.Warnings[0], "its result is wrong") {
				t.Errorf("%s: %+v, %q, %v", name, found, r.report.Warnings, err)
			}
			if err := p.remove(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// interrupter ends a run when it comes to a workload.
type interrupter struct {
	at     string
	cancel context.CancelCauseFunc
}

var errEnough = errors.New("enough")

func (i *interrupter) Write(b []byte) (int, error) {
	if strings.HasPrefix(string(b), i.at) {
		i.cancel(errEnough)
	}
	return len(b), nil
}

// An interrupted run tells what it has, and leaves nothing behind.
func TestInterrupted(t *testing.T) {
	targets(t, func(t *testing.T, target Target) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		o := tiny(target, "hello", "throughput", "sequence")
		o.Progress = &interrupter{"throughput", cancel}
		r, err := Run(ctx, o)
		if !errors.Is(err, errEnough) || r == nil || !r.Interrupted || len(r.Workloads) != 1 || r.Workloads[0].N != 5 || r.Failures != 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// The same in the middle of a workload, which has no end of its own.
func TestInterruptedWorkload(t *testing.T) {
	targets(t, func(t *testing.T, target Target) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		o := tiny(target)
		o.Count, o.Duration, o.Warmup = 0, time.Hour, time.Millisecond
		p, err := newPlace(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		r := &runner{o: o, place: p, flows: newFlows(), report: &Report{}}
		endless := forgetful(hello)
		endless.flow = func(i int64) flow {
			if i == 50 && o.Duration == time.Hour {
				cancel(errEnough)
			}
			return helloFlow
		}
		found, err := r.workload(ctx, endless)
		if !errors.Is(err, errEnough) || found.N < 40 || found.Failures != 0 {
			t.Errorf("%+v, %v", found, err)
		}
		if err := p.remove(ctx); err != nil {
			t.Error(err)
		}
	})
}

func TestFillingHasTheSizeAskedFor(t *testing.T) {
	for _, size := range []int{MinPayload, 100, 5000} {
		filling, err := newFilling(size)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(Parcel{Number: 1e9, Filling: filling})
		if err != nil || len(data) != size {
			t.Errorf("%d bytes for %d, %v: %s", len(data), size, err, data)
		}
	}
}
