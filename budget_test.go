package pawl_test

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/internal/wiretap"
	"github.com/pawlrun/pawl/provider/postgres"
)

// tapped is an app on a store behind a wiretap.
type tapped struct {
	*pawl.App
	tap *wiretap.Proxy
}

// tap starts an app whose connections are counted.
func (w *world) tap(dsn string, opts *pawl.Options, register ...func(*pawl.App)) *tapped {
	w.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		w.Fatal(err)
	}
	proxy, err := wiretap.Listen(u.Host)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(proxy.Close)
	u.Host = proxy.Addr()
	store, err := postgres.Open(w.ctx, u.String(), nil)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { store.Close() })
	app := pawl.New(store, opts)
	for _, r := range register {
		r(app)
	}
	if err := app.Start(w.ctx); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { app.Stop(context.Background()) })
	return &tapped{app, proxy}
}

var callName = regexp.MustCompile(`([a-z_]+)_v1\(`)

// calls returns the functions called since the last reset, without pulses.
func (a *tapped) calls() []string {
	var names []string
	for _, s := range a.tap.Counts().Statements {
		name := s.SQL
		if m := callName.FindStringSubmatch(s.SQL); m != nil {
			name = m[1]
		}
		if name != "pulse" {
			names = append(names, name)
		}
	}
	return names
}

// settle waits for two seconds of idleness.
func settle(w *world) {
	w.Helper()
	t := time.NewTimer(2 * time.Second)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.ctx.Done():
		w.Fatal(w.ctx.Err())
	}
}

// idleRegistrations are functions that nobody calls: a budget must hold however many there are.
func idleRegistrations(app *pawl.App) {
	for i := range 5 {
		pawl.RegisterActivity(app, greet, pawl.Name(fmt.Sprint("idle-", i)))
		pawl.RegisterOrchestration(app, helloWorld, pawl.Name(fmt.Sprint("idle-", i)))
	}
}

// TestBudget asserts the round trips Pawl promises, as the list of statements on the wire: default options, warm, two
// seconds idle before, more than ten registrations, a second live worker.
func TestBudget(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w := &world{TB: t, ctx: ctx}
	dsn := pgtest.URL(t)
	register := []func(*pawl.App){orchestration(helloWorld), orchestration(incrementTwenty), orchestration(sumOfSquares),
		activity(greet), activity(increment), activity(square), idleRegistrations}
	app := w.tap(dsn, nil, register...)
	other := w.tap(dsn, nil, idleRegistrations)
	client := w.tap(dsn, nil)
	for i := range 20 { // warm: every connection has prepared every statement
		result(w, start(w, app.App, helloWorld, "x", fmt.Sprint("warm-", i)))
		result(w, start(w, app.App, sumOfSquares, 10, fmt.Sprint("warm-fan-", i)))
		result(w, start(w, client.App, helloWorld, "x", fmt.Sprint("warm-apart-", i)))
	}
	measure := func(name string, want []string, run func()) {
		settle(w)
		app.tap.Reset()
		other.tap.Reset()
		client.tap.Reset()
		run()
		got := slices.Concat(app.calls(), client.calls(), other.calls())
		c := app.tap.Counts()
		t.Logf("%s: %d round trips of the worker, %d of them pulses: %s", name, c.RoundTrips, len(c.Statements)-len(app.calls()), strings.Join(got, " "))
		if want != nil && !slices.Equal(got, want) {
			t.Errorf("%s took %q, want %q", name, got, want)
		}
		if c.Prepares > 0 || c.RoundTrips != len(c.Statements) {
			t.Errorf("%s: %d round trips for %d statements, %d prepares", name, c.RoundTrips, len(c.Statements), c.Prepares)
		}
	}
	measure("hello", []string{"start_orchestrations", "ack_orchestration_items"}, func() {
		result(w, start(w, app.App, helloWorld, "Ada", "hello"))
	})
	steps := []string{"start_orchestrations"}
	for range 20 {
		steps = append(steps, "ack_orchestration_items")
	}
	measure("20 steps", steps, func() { result(w, start(w, app.App, incrementTwenty, 1, "steps")) })
	measure("fan-out of 100", nil, func() { result(w, start(w, app.App, sumOfSquares, 100, "fan")) })
	if n := len(app.calls()); n > 8 {
		t.Errorf("fan-out of 100 took %d round trips, want at most 8", n)
	}
	measure("hello with the client apart", []string{"fetch_orchestration_items", "ack_orchestration_items", "ack_orchestration_items", "start_orchestrations"}, func() {
		result(w, start(w, client.App, helloWorld, "Ada", "apart"))
	})
	settle(w)
	app.tap.Reset()
	begin := time.Now()
	settle(w)
	settle(w)
	if idle := app.tap.Counts(); float64(idle.RoundTrips) > time.Since(begin).Seconds()+1 {
		t.Errorf("idle: %d round trips in %v: %v", idle.RoundTrips, time.Since(begin), idle.Statements)
	}
}
