package pawl_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl"
)

func twoSteps(o *pawl.Context, _ string) (string, error) {
	a, err := pawl.Activity(o, greet, "a").Await()
	if err != nil {
		return "", err
	}
	v, err := pawl.Event[string](o, "go").Await()
	if err != nil {
		return "", err
	}
	b, err := pawl.Activity(o, greet, v).Await()
	return a + b, err
}

func replayAfterRestart(w *world) {
	first := w.app(nil, orchestration(twoSteps), activity(greet))
	start(w, first, twoSteps, "", "restart")
	w.eventually("first step recorded", func() bool {
		in, err := first.Describe(w.ctx, "restart")
		return err == nil && in.Events >= 5
	})
	if err := first.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	second := w.app(nil, orchestration(twoSteps), activity(greet))
	if err := pawl.Raise(w.ctx, second, "restart", "go", "b", nil); err != nil {
		w.Fatal(err)
	}
	run, _ := pawl.Attach[string](second, "restart")
	if got := result(w, run); got != "Hello, a!Hello, b!" {
		w.Fatalf("got %q", got)
	}
}

func replayWithoutCache(w *world) {
	app := w.app(&pawl.Options{CacheBytes: -1}, orchestration(collect), orchestration(twoSteps), activity(greet))
	run := start(w, app, twoSteps, "", "cold")
	w.eventually("first step recorded", func() bool {
		in, err := app.Describe(w.ctx, "cold")
		return err == nil && in.Events >= 5
	})
	if err := pawl.Raise(w.ctx, app, "cold", "go", "b", nil); err != nil {
		w.Fatal(err)
	}
	if got := result(w, run); got != "Hello, a!Hello, b!" {
		w.Fatalf("got %q", got)
	}
}

// oneSlot: what finds no free slot goes through the queue.
func oneSlot(w *world) {
	opts := pawl.Options{MaxActivities: 1}
	app := w.app(&opts, orchestration(incrementTwenty), orchestration(sumOfSquares), orchestration(family), activity(increment), activity(square))
	if got := result(w, start(w, app, incrementTwenty, 1, "seq")); got != 21 {
		w.Fatalf("got %d", got)
	}
	if got := result(w, start(w, app, sumOfSquares, 10, "fan")); got != 285 {
		w.Fatalf("got %d", got)
	}
	if got := result(w, start(w, app, family, 2, "family")); got != 4 {
		w.Fatalf("got %d", got)
	}
}

// abandonedActivity: the context of an activity ends when its instance has ended without it, also when the activity came
// here by the queue.
func abandonedActivity(w *world) {
	for _, opts := range []pawl.Options{{MaxActivities: 2}, {MaxActivities: 1}} {
		begun, ended := make(chan struct{}), make(chan struct{})
		endless := func(ctx context.Context, _ string) (string, error) {
			close(begun)
			<-ctx.Done()
			close(ended)
			return "", ctx.Err()
		}
		orch := func(o *pawl.Context, _ string) (string, error) {
			pawl.ActivityByName[string](o, "greet", "first") // takes the only slot, so that the other is queued
			slow := pawl.ActivityByName[string](o, "endless", "")
			_, err := pawl.Select(slow, pawl.Event[string](o, "go"))
			return "done", err
		}
		id := fmt.Sprint("abandon-", opts.MaxActivities)
		app := w.app(&opts, orchestration(orch, pawl.Name(id)), activity(endless, pawl.Name("endless")), activity(greet))
		run, err := pawl.StartByName[string](w.ctx, app, id, "", &pawl.StartOptions{InstanceID: id})
		if err != nil {
			w.Fatal(err)
		}
		<-begun
		if err := pawl.Raise(w.ctx, app, id, "go", "", nil); err != nil {
			w.Fatal(err)
		}
		result(w, run)
		select {
		case <-ended:
		case <-w.ctx.Done():
			w.Fatal("activity goes on although nobody waits for it")
		}
		if err := app.Stop(w.ctx); err != nil {
			w.Fatal(err)
		}
	}
}

// stopDrains: what is running when Stop is called is finished and recorded, and what follows is left to others.
func stopDrains(w *world) {
	begun, release := make(chan struct{}), make(chan struct{})
	var runs atomic.Int32
	slow := func(_ context.Context, s string) (string, error) {
		if runs.Add(1) == 1 {
			close(begun)
			<-release
		}
		return s, nil
	}
	orch := func(o *pawl.Context, s string) (string, error) {
		if _, err := pawl.ActivityByName[string](o, "slow", s).Await(); err != nil {
			return "", err
		}
		return pawl.ActivityByName[string](o, "slow", s+"!").Await()
	}
	register := []func(*pawl.App){orchestration(orch, pawl.Name("orch")), activity(slow, pawl.Name("slow"))}
	first := w.app(nil, register...)
	if _, err := pawl.StartByName[string](w.ctx, first, "orch", "x", &pawl.StartOptions{InstanceID: "drain"}); err != nil {
		w.Fatal(err)
	}
	<-begun
	stopped := make(chan error)
	go func() { stopped <- first.Stop(w.ctx) }()
	close(release)
	if err := <-stopped; err != nil {
		w.Fatal(err)
	}
	second := w.app(nil, register...)
	run, _ := pawl.Attach[string](second, "drain")
	if got := result(w, run); got != "x!" || runs.Load() != 2 {
		w.Fatalf("got %q after %d activity runs", got, runs.Load())
	}
}

// stopCutsShort: an activity that does not finish in time is cancelled, not failed, and runs again elsewhere.
func stopCutsShort(w *world) {
	begun := make(chan struct{}, 2)
	var runs atomic.Int32
	stubborn := func(ctx context.Context, s string) (string, error) {
		begun <- struct{}{}
		if runs.Add(1) == 1 {
			<-ctx.Done()
			return "", ctx.Err()
		}
		return s, nil
	}
	orch := func(o *pawl.Context, s string) (string, error) {
		return pawl.ActivityByName[string](o, "stubborn", s).Await()
	}
	register := []func(*pawl.App){orchestration(orch, pawl.Name("orch")), activity(stubborn, pawl.Name("stubborn"))}
	first := w.app(nil, register...)
	if _, err := pawl.StartByName[string](w.ctx, first, "orch", "x", &pawl.StartOptions{InstanceID: "cut"}); err != nil {
		w.Fatal(err)
	}
	<-begun
	expired, cancel := context.WithCancel(w.ctx)
	cancel()
	if err := first.Stop(expired); err != nil {
		w.Fatal(err)
	}
	second := w.app(nil, register...)
	run, _ := pawl.Attach[string](second, "cut")
	if got := result(w, run); got != "x" || runs.Load() != 2 {
		w.Fatalf("got %q after %d activity runs", got, runs.Load())
	}
}

// divergenceParks: changed code does not fail a running instance; mended code resumes it.
func divergenceParks(w *world) {
	before := func(o *pawl.Context, s string) (string, error) {
		if _, err := pawl.Activity(o, greet, s).Await(); err != nil {
			return "", err
		}
		return pawl.Event[string](o, "go").Await()
	}
	changed := func(o *pawl.Context, s string) (string, error) {
		if _, err := pawl.Activity(o, increment, 1).Await(); err != nil {
			return "", err
		}
		return "changed", nil
	}
	name := pawl.Name("orch")
	first := w.app(nil, orchestration(before, name), activity(greet))
	if _, err := pawl.StartByName[string](w.ctx, first, "orch", "x", &pawl.StartOptions{InstanceID: "diverge"}); err != nil {
		w.Fatal(err)
	}
	w.eventually("first step recorded", func() bool {
		in, err := first.Describe(w.ctx, "diverge")
		return err == nil && in.Events >= 5
	})
	if err := first.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	second := w.app(nil, orchestration(changed, name), activity(greet), activity(increment))
	if err := pawl.Raise(w.ctx, second, "diverge", "go", "went", nil); err != nil {
		w.Fatal(err)
	}
	var in *pawl.Instance
	w.eventually("parked", func() bool {
		var err error
		in, err = second.Describe(w.ctx, "diverge")
		return err == nil && in.Parked != ""
	})
	for _, want := range []string{`"diverged"`, `ActivityScheduled(\"greet\")`, `ActivityScheduled(\"increment\")`, "scenario_life_test.go:"} {
		if !strings.Contains(in.Parked, want) {
			w.Errorf("parked without %s: %s", want, in.Parked)
		}
	}
	if in.Status != "running" {
		w.Errorf("status %s", in.Status)
	}
	if err := second.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	third := w.app(nil, orchestration(before, name), activity(greet))
	if err := third.Resume(w.ctx, "diverge"); err != nil {
		w.Fatal(err)
	}
	run, _ := pawl.Attach[string](third, "diverge")
	if got := result(w, run); got != "went" {
		w.Fatalf("got %q", got)
	}
}

// stuckTurn: orchestration code that never comes back costs its own instance only.
func stuckTurn(w *world) {
	release := make(chan struct{})
	w.Cleanup(func() { close(release) })
	stuck := func(o *pawl.Context, s string) (string, error) {
		if _, err := pawl.Activity(o, greet, s).Await(); err != nil {
			return "", err
		}
		<-release
		return "", nil
	}
	app := w.app(&pawl.Options{MaxAttempts: 3}, orchestration(stuck, pawl.Name("stuck")), orchestration(helloWorld), activity(greet))
	if _, err := pawl.StartByName[string](w.ctx, app, "stuck", "x", &pawl.StartOptions{InstanceID: "stuck"}); err != nil {
		w.Fatal(err)
	}
	w.eventually("quarantined", func() bool {
		in, err := app.Describe(w.ctx, "stuck")
		return err == nil && strings.Contains(in.Parked, "quarantined")
	})
	result(w, start(w, app, helloWorld, "x", "other"))
}

func manyAtOnce(w *world) {
	apps := []*pawl.App{w.app(nil, orchestration(helloWorld), activity(greet)), w.app(nil, orchestration(helloWorld), activity(greet))}
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			run, err := pawl.Start(w.ctx, apps[i%2], helloWorld, fmt.Sprint(i), nil)
			if err != nil {
				w.Errorf("start: %v", err)
				return
			}
			if got, err := run.Result(w.ctx); err != nil || got != fmt.Sprintf("Hello, %d!", i) {
				w.Errorf("%d: %q, %v", i, got, err)
			}
		})
	}
	wg.Wait()
}

func watchClock(o *pawl.Context, _ string) ([]time.Time, error) {
	times := []time.Time{o.Now(), o.Now()}
	if _, err := pawl.Activity(o, greet, "x").Await(); err != nil {
		return nil, err
	}
	times = append(times, o.Now())
	if _, err := pawl.Event[string](o, "go").Await(); err != nil {
		return nil, err
	}
	return append(times, o.Now()), nil
}

// turnTime: time stands still within a turn, never goes back, and a replay sees the same.
func turnTime(w *world) {
	register := []func(*pawl.App){orchestration(watchClock), activity(greet)}
	first := w.app(nil, register...)
	start(w, first, watchClock, "", "clock")
	w.eventually("step recorded", func() bool {
		in, err := first.Describe(w.ctx, "clock")
		return err == nil && in.Events >= 5
	})
	if err := first.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	second := w.app(nil, register...)
	if err := pawl.Raise(w.ctx, second, "clock", "go", "", nil); err != nil {
		w.Fatal(err)
	}
	run, _ := pawl.Attach[[]time.Time](second, "clock")
	times := result(w, run)
	in, err := second.Describe(w.ctx, "clock")
	if err != nil || !times[0].Equal(times[1]) || !slices.IsSortedFunc(times, time.Time.Compare) || times[0].Before(in.CreatedAt.Add(-time.Minute)) {
		w.Fatalf("times %v, created %v", times, in.CreatedAt)
	}
}
