package ancestor_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// TestDefectsOfTime are those defects that show after hours only. Time is virtual, and the store in memory.
func TestDefectsOfTime(t *testing.T) {
	t.Parallel()
	for _, tale := range []tale{
		{"11 an outage of hours ends", longOutage},
		{"14 a lease of less than a second is kept", shortLease},
		{"18 the timer of a lost race is gone", lostTimer},
	} {
		t.Run(tale.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 30*24*time.Hour)
				defer cancel()
				p, err := sqlite.Open(ctx, sqlite.Memory, nil)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { p.Close() })
				tale.tell(&world{TB: t, ctx: ctx, open: func() provider.Provider { return p }})
			})
		})
	}
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	w.Helper()
	select {
	case <-time.After(d):
	case <-w.ctx.Done():
		w.Fatal(w.ctx.Err())
	}
}

func longOutage(w *world) {
	var down atomic.Bool
	store := w.faulty(func(string, int) providertest.Fault {
		if down.Load() {
			return providertest.LostBefore
		}
		return providertest.NoFault
	})
	var done counter
	options := &pawl.Options{Logger: slog.New(slog.DiscardHandler)}
	app := w.appOn(store, options, orchestration("Steps", steps),
		activity("Count", func(_ context.Context, key string) (int, error) { return 1, nil }),
		activity("Once", func(_ context.Context, key string) (int, error) { return done.add(key), nil }),
		orchestration("Sleep", func(o *pawl.Context, _ struct{}) (int, error) {
			if err := pawl.Sleep(o, time.Hour); err != nil {
				return 0, err
			}
			return pawl.ActivityByName[int](o, "Once", "after sleep").Await()
		}))
	sleeper := begin[int](w, app, "Sleep", struct{}{}, "sleep")
	expect(w, begin[int](w, app, "Steps", struct{}{}, "before"), 5)
	down.Store(true)
	w.pass(90 * time.Minute)
	down.Store(false)
	back := time.Now()
	expect(w, sleeper, 1)
	expect(w, begin[int](w, app, "Steps", struct{}{}, "after"), 5)
	if took := time.Since(back); took > 10*time.Second {
		w.Errorf("going on took %v of virtual time", took)
	}
}

func shortLease(w *world) {
	var done counter
	functions := []registration{
		activity("Slow", func(ctx context.Context, key string) (int, error) {
			n := done.add(key)
			select {
			case <-time.After(3 * time.Second):
			case <-ctx.Done():
			}
			return n, ctx.Err()
		}),
		orchestration("Slowly", func(o *pawl.Context, _ struct{}) (int, error) {
			return pawl.ActivityByName[int](o, "Slow", o.InstanceID()).Await()
		})}
	options := func() *pawl.Options {
		return &pawl.Options{PulseInterval: 100 * time.Millisecond, TTL: 300 * time.Millisecond}
	}
	one := w.app(options(), functions...)
	w.app(options(), functions...)
	for i := range 2 {
		expect(w, begin[int](w, one, "Slowly", struct{}{}, fmt.Sprint("slow ", i)), 1)
	}
}

// watched counts the instances that are fetched.
type watched struct {
	provider.Provider
	fetched atomic.Int32
}

func (p *watched) FetchOrchestrationItems(ctx context.Context, req *provider.FetchRequest) ([]provider.OrchestrationItem, error) {
	items, err := p.Provider.FetchOrchestrationItems(ctx, req)
	p.fetched.Add(int32(len(items)))
	return items, err
}

func lostTimer(w *world) {
	store := &watched{Provider: w.open()}
	app := w.appOn(store, &pawl.Options{CacheBytes: -1}, orchestration("Race", func(o *pawl.Context, _ struct{}) (string, error) {
		if _, err := pawl.EventWithin[string](o, "go", 10*time.Minute); err != nil {
			return "", err
		}
		pawl.Timer(o, 30*time.Minute) // nobody waits for it
		return pawl.EventWithin[string](o, "end", 24*time.Hour)
	}))
	began := time.Now()
	run := begin[string](w, app, "Race", struct{}{}, "race")
	w.tell(app, "race", "go", "")
	w.pass(time.Minute)
	before := store.fetched.Load()
	w.pass(15 * time.Minute)
	check(w, "turns because of a timer that was withdrawn", store.fetched.Load()-before, 0)
	w.tell(app, "race", "end", "well")
	expect(w, run, "well")
	before = store.fetched.Load()
	w.pass(40 * time.Minute)
	check(w, "turns after the end", store.fetched.Load()-before, 0)
	if ended := w.describe(app, "race").EndedAt; ended.Sub(began) > 30*time.Minute {
		w.Errorf("ended %v after its start", ended.Sub(began))
	}
}
