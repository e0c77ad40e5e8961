package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// robustly runs a test in virtual time, on a store that cannot be reached while down is true.
func robustly(t *testing.T, test func(w *world, down *atomic.Bool)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		store := model.New(model.Options{})
		var down atomic.Bool
		plan := func(string, int) providertest.Fault {
			if down.Load() {
				return providertest.LostBefore
			}
			return providertest.NoFault
		}
		test(&world{TB: t, ctx: ctx, open: func(testing.TB) provider.Provider { return providertest.Faulty(store.Open(), plan) }}, &down)
	})
}

// pass lets virtual time pass, less when ctx ends: then it returns ctx's error.
func pass(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// running is an activity of d, and the orchestration that consists of it.
func running(d time.Duration, begun *atomic.Int32) []func(*pawl.App) {
	long := func(ctx context.Context, _ string) (string, error) {
		begun.Add(1)
		return "done", pass(ctx, d)
	}
	o := func(o *pawl.Context, _ string) (string, error) {
		return pawl.ActivityByName[string](o, "long", "").Await()
	}
	return []func(*pawl.App){orchestration(o, pawl.Name("o")), activity(long, pawl.Name("long"))}
}

// startNamed starts an instance of the orchestration o that must start.
func startNamed(w *world, app *pawl.App, id string) *pawl.Run[string] {
	w.Helper()
	run, err := pawl.StartByName[string](w.ctx, app, "o", "", &pawl.StartOptions{InstanceID: id})
	if err != nil {
		w.Fatalf("start %s: %v", id, err)
	}
	return run
}

// attach returns a handle on an instance started elsewhere.
func attach(w *world, app *pawl.App, id string) *pawl.Run[string] {
	w.Helper()
	run, err := pawl.Attach[string](app, id)
	if err != nil {
		w.Fatal(err)
	}
	return run
}

type textError struct{ text string }

func (e *textError) Error() string { return e.text } // panics on a nil receiver

// TestNilInsideAnError: a typed nil returned as an error fails the instance with the panic it causes, whoever returns it.
func TestNilInsideAnError(t *testing.T) {
	robustly(t, func(w *world, _ *atomic.Bool) {
		none := func() *textError { return nil }
		orch := func(*pawl.Context, string) (string, error) { return "", none() }
		act := func(context.Context, string) (string, error) { return "", none() }
		caller := func(o *pawl.Context, _ string) (string, error) {
			return pawl.ActivityByName[string](o, "act", "").Await()
		}
		app := w.app(nil, orchestration(orch, pawl.Name("orch")), orchestration(caller, pawl.Name("caller")), activity(act, pawl.Name("act")))
		for _, name := range []string{"orch", "caller"} {
			run, err := pawl.StartByName[string](w.ctx, app, name, "", nil)
			if err != nil {
				w.Fatal(err)
			}
			if _, err := run.Result(w.ctx); !errors.Is(err, pawl.ErrPanic) {
				w.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestDrainingAppBeats: while Stop waits for an activity longer than the TTL nobody takes the activity over.
func TestDrainingAppBeats(t *testing.T) {
	robustly(t, func(w *world, _ *atomic.Bool) {
		var begun atomic.Int32
		register := running(20*time.Second, &begun)
		leaving, staying := w.app(nil, register...), w.app(nil, register...)
		startNamed(w, leaving, "i")
		pass(w.ctx, time.Second)
		if err := leaving.Stop(w.ctx); err != nil {
			w.Fatal(err)
		}
		result(w, attach(w, staying, "i"))
		if n := begun.Load(); n != 1 {
			w.Errorf("activity begun %d times", n)
		}
	})
}

// TestDeploymentsAreNoAttempts: an activity cut short by one Stop after the other is not quarantined: that was no fault
// of its own.
func TestDeploymentsAreNoAttempts(t *testing.T) {
	robustly(t, func(w *world, _ *atomic.Bool) {
		var begun atomic.Int32
		register := running(time.Hour, &begun)
		opts := &pawl.Options{MaxAttempts: 3}
		for i := range 5 {
			app := w.app(opts, register...)
			if i == 0 {
				startNamed(w, app, "i")
			}
			pass(w.ctx, 5*time.Minute)
			ctx, cancel := context.WithTimeout(w.ctx, time.Second)
			if err := app.Stop(ctx); err != nil {
				w.Error(err)
			}
			cancel()
		}
		if got := result(w, attach(w, w.app(opts, register...), "i")); got != "done" {
			w.Errorf("got %q", got)
		}
		if n := begun.Load(); n != 6 {
			w.Errorf("activity begun %d times", n)
		}
	})
}

// TestSecondStopWaits: a Stop that comes while another is under way returns when the app has ended, or its context.
func TestSecondStopWaits(t *testing.T) {
	robustly(t, func(w *world, _ *atomic.Bool) {
		var begun atomic.Int32
		app := w.app(nil, running(5*time.Second, &begun)...)
		startNamed(w, app, "i")
		stopping := time.Now()
		first := make(chan error, 1)
		go func() { first <- app.Stop(w.ctx) }()
		synctest.Wait()
		short, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		if err := app.Stop(short); !errors.Is(err, context.DeadlineExceeded) || time.Since(stopping) != time.Second {
			w.Errorf("stop with little time: %v after %v", err, time.Since(stopping))
		}
		if err := app.Stop(w.ctx); err != nil || time.Since(stopping) < 5*time.Second {
			w.Errorf("second stop: %v after %v", err, time.Since(stopping))
		}
		if err := <-first; err != nil {
			w.Errorf("first stop: %v", err)
		}
		if in, err := w.app(nil).Describe(w.ctx, "i"); err != nil || in.Status != "completed" {
			w.Errorf("after the drain: %+v, %v", in, err)
		}
	})
}

// TestAliasIsTheNameItself: an alias that repeats the function's name is a mistake that is told.
func TestAliasIsTheNameItself(t *testing.T) {
	for _, again := range [][]string{{"a"}, {"b", "b"}} {
		app := newApp()
		err := pawl.RegisterActivity(app, greet, pawl.Name("a"), pawl.Aliases(again...))
		if !errors.Is(err, pawl.ErrInvalid) || !strings.Contains(err.Error(), "taken") {
			t.Errorf("aliases %v: %v", again, err)
		}
	}
}

// TestRegistrationFromManyGoroutines: each registration counts.
func TestRegistrationFromManyGoroutines(t *testing.T) {
	robustly(t, func(w *world, _ *atomic.Bool) {
		const n = 8
		all := func(o *pawl.Context, _ string) (string, error) {
			for i := range n {
				if _, err := pawl.ActivityByName[string](o, fmt.Sprint("a", i), "x").Await(); err != nil {
					return "", err
				}
			}
			return "all", nil
		}
		app := w.app(nil, orchestration(all, pawl.Name("o")), func(app *pawl.App) {
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					if err := pawl.RegisterActivity(app, greet, pawl.Name(fmt.Sprint("a", i))); err != nil {
						w.Error(err)
					}
				})
			}
			wg.Wait()
		})
		if got := result(w, startNamed(w, app, "i")); got != "all" {
			w.Errorf("got %q", got)
		}
	})
}

// TestResultForMany: one handle serves many who wait at the same time, before and after the end.
func TestResultForMany(t *testing.T) {
	robustly(t, func(w *world, _ *atomic.Bool) {
		var begun atomic.Int32
		app := w.app(nil, running(time.Second, &begun)...)
		started := startNamed(w, app, "i")
		for _, run := range []*pawl.Run[string]{attach(w, app, "i"), started, attach(w, app, "i")} {
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if got, err := run.Result(w.ctx); err != nil || got != "done" {
						w.Errorf("got %q, %v", got, err)
					}
				})
			}
			wg.Wait()
		}
	})
}

// TestDerivedChildIDFits: the id derived for the child of a parent whose own id fills the limit is an id like others,
// and a replay derives the same.
func TestDerivedChildIDFits(t *testing.T) {
	robustly(t, func(w *world, _ *atomic.Bool) {
		var mu sync.Mutex
		var seen []string
		child := func(o *pawl.Context, _ string) (string, error) {
			mu.Lock()
			seen = append(seen, o.InstanceID())
			mu.Unlock()
			return pawl.Event[string](o, "go").Await()
		}
		parent := func(o *pawl.Context, _ string) (string, error) {
			return pawl.SubOrchestrationByName[string](o, "child", "", nil).Await()
		}
		register := []func(*pawl.App){orchestration(parent, pawl.Name("o")), orchestration(child, pawl.Name("child"))}
		parentID := strings.Repeat("x", 255)
		first := w.app(nil, register...)
		startNamed(w, first, parentID)
		synctest.Wait()
		if err := first.Stop(w.ctx); err != nil {
			w.Fatal(err)
		}
		if len(seen) != 1 {
			w.Fatalf("the child began %d times", len(seen))
		}
		id := seen[0]
		if len(id) > 255 || id == parentID {
			w.Errorf("child id of %d bytes: %s", len(id), id)
		}
		second := w.app(nil, register...) // knows nothing: it replays both
		if in, err := second.Describe(w.ctx, id); err != nil || in.InstanceID != id || in.ParentID != parentID {
			w.Errorf("describe child: %+v, %v", in, err)
		}
		if err := pawl.Raise(w.ctx, second, id, "go", "went", nil); err != nil {
			w.Fatal(err)
		}
		if got := result(w, attach(w, second, parentID)); got != "went" {
			w.Errorf("got %q", got)
		}
		if len(seen) != 2 || seen[1] != id {
			w.Errorf("child ids %q", seen)
		}
	})
}

// TestStartOverAnOutage: a start that meets a store that is away succeeds when it is back, also when the outage has cost
// the worker its session.
func TestStartOverAnOutage(t *testing.T) {
	for _, outage := range []time.Duration{time.Second, 5 * time.Second, time.Minute} {
		t.Run(outage.String(), func(t *testing.T) {
			robustly(t, func(w *world, down *atomic.Bool) {
				app := w.app(nil, orchestration(helloWorld), activity(greet))
				down.Store(true)
				time.AfterFunc(outage, func() { down.Store(false) })
				begun := time.Now()
				run := start(w, app, helloWorld, "A", "i")
				if d := time.Since(begun); d < outage || d > outage+5*time.Second {
					w.Errorf("start took %v", d)
				}
				if got := result(w, run); got != "Hello, A!" {
					w.Errorf("got %q", got)
				}
			})
		})
	}
}

// TestStartKeepsItsTime: a caller whose context ends gets the word at once, although the first turn it runs is stuck.
func TestStartKeepsItsTime(t *testing.T) {
	robustly(t, func(w *world, _ *atomic.Bool) {
		release := make(chan struct{})
		w.Cleanup(func() { close(release) })
		stuck := func(*pawl.Context, string) (string, error) {
			<-release
			return "", nil
		}
		app := w.app(nil, orchestration(stuck, pawl.Name("o")), orchestration(helloWorld), activity(greet))
		ctx, cancel := context.WithTimeout(w.ctx, 100*time.Millisecond)
		defer cancel()
		begun := time.Now()
		_, err := pawl.StartByName[string](ctx, app, "o", "", &pawl.StartOptions{InstanceID: "i"})
		if d := time.Since(begun); d > 110*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
			w.Errorf("start with a context of 100ms: %v after %v", err, d)
		}
		if got := result(w, start(w, app, helloWorld, "A", "other")); got != "Hello, A!" {
			w.Errorf("got %q", got)
		}
	})
}

// TestStopEndsAStart: Stop while Start is waiting for the store returns at once, and so does Start.
func TestStopEndsAStart(t *testing.T) {
	robustly(t, func(w *world, down *atomic.Bool) {
		down.Store(true)
		app := pawl.New(w.open(w), nil)
		if err := pawl.RegisterActivity(app, greet); err != nil {
			w.Fatal(err)
		}
		started := make(chan error, 1)
		go func() { started <- app.Start(w.ctx) }()
		pass(w.ctx, 10*time.Second)
		begun := time.Now()
		if err := app.Stop(w.ctx); err != nil {
			w.Errorf("stop: %v", err)
		}
		if err := <-started; !errors.Is(err, pawl.ErrStopped) {
			w.Errorf("start: %v", err)
		}
		if d := time.Since(begun); d > time.Second {
			w.Errorf("stop and start took %v", d)
		}
	})
}

// TestSlowStepsAreNoStuckTurn: a turn of many steps may take longer than TurnTimeout as long as none of them does.
func TestSlowStepsAreNoStuckTurn(t *testing.T) {
	robustly(t, func(w *world, _ *atomic.Bool) {
		const n = 20
		slow := func(o *pawl.Context, _ string) (string, error) {
			for range n {
				if _, err := pawl.Event[string](o, "x").Await(); err != nil {
					return "", err
				}
				_ = pass(context.Background(), time.Second) // far below TurnTimeout
			}
			return "done", nil
		}
		app := w.app(&pawl.Options{CacheBytes: -1, TurnTimeout: 5 * time.Second}, orchestration(slow, pawl.Name("o")))
		run := startNamed(w, app, "i")
		for range n {
			if err := pawl.Raise(w.ctx, app, "i", "x", "", nil); err != nil {
				w.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(w.ctx, time.Hour)
		defer cancel()
		if got, err := run.Result(ctx); err != nil || got != "done" {
			in, describeErr := app.Describe(w.ctx, "i")
			w.Errorf("got %q, %v; %+v, %v", got, err, in, describeErr)
		}
	})
}
