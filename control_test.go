package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl"
)

// terminated checks that an instance ended as terminated, for that reason.
func (w *world) terminated(app *pawl.App, id, reason string) {
	w.Helper()
	_, err := attach(w, app, id).Result(w.ctx)
	var f *pawl.Failure
	if !errors.Is(err, pawl.ErrTerminated) || errors.Is(err, pawl.ErrCancelled) || !errors.As(err, &f) || f.Message != reason {
		w.Errorf("result of %s: %v", id, err)
	}
	if got := w.status(app, id); got != "terminated" {
		w.Errorf("status of %s: %s", id, got)
	}
}

// terminateAlone: no worker need be alive.
func terminateAlone(w *world) {
	client := w.app(nil)
	run := startNamed(w, client, "alone")
	if err := client.Terminate(w.ctx, "alone", "nobody cares", nil); err != nil {
		w.Fatal(err)
	}
	if _, err := run.Result(w.ctx); !errors.Is(err, pawl.ErrTerminated) || !strings.Contains(err.Error(), "nobody cares") {
		w.Errorf("result: %v", err)
	}
	w.terminated(client, "alone", "nobody cares")
	var ie *pawl.InstanceError
	if err := client.Terminate(w.ctx, "alone", "again", nil); !errors.Is(err, pawl.ErrNotRunning) || !errors.As(err, &ie) {
		w.Errorf("second: %v", err)
	}
	if err := client.Terminate(w.ctx, "nobody", "", nil); !errors.Is(err, pawl.ErrNotFound) {
		w.Errorf("unknown: %v", err)
	}
	worker := w.app(nil, orchestration(helloWorld, pawl.Name("o")), activity(greet))
	w.terminated(worker, "alone", "nobody cares") // it does not come back to life
	if err := pawl.Raise(w.ctx, worker, "alone", "x", "", nil); !errors.Is(err, pawl.ErrNotRunning) {
		w.Errorf("raise: %v", err)
	}
	if err := worker.Suspend(w.ctx, "alone", ""); !errors.Is(err, pawl.ErrNotRunning) {
		w.Errorf("suspend: %v", err)
	}
	if err := worker.Suspend(w.ctx, "nobody", ""); !errors.Is(err, pawl.ErrNotFound) {
		w.Errorf("suspend: %v", err)
	}
}

// terminateHeld: whoever holds the instance, its activity is told and what it returns is dropped; those who wait hear of it.
func terminateHeld(w *world) {
	for _, by := range []string{"the holder", "a client"} {
		begun, told := make(chan struct{}), make(chan struct{})
		endless := func(ctx context.Context, _ string) (string, error) {
			close(begun)
			<-ctx.Done()
			close(told)
			return "result of a dead", nil
		}
		o := func(o *pawl.Context, _ string) (string, error) {
			return pawl.ActivityByName[string](o, "endless", "").Await()
		}
		worker := w.app(nil, orchestration(o, pawl.Name("o")), activity(endless, pawl.Name("endless")))
		client := w.app(nil)
		terminator := worker
		if by == "a client" {
			terminator = client
		}
		id := "by " + by
		run := startNamed(w, worker, id)
		<-begun
		if err := terminator.Terminate(w.ctx, id, "at once", nil); err != nil {
			w.Fatal(err)
		}
		if _, err := run.Result(w.ctx); !errors.Is(err, pawl.ErrTerminated) {
			w.Errorf("result: %v", err)
		}
		select {
		case <-told:
		case <-w.ctx.Done():
			w.Fatalf("%s: the activity was not told", id)
		}
		w.terminated(client, id, "at once")
		if err := worker.Stop(w.ctx); err != nil {
			w.Fatal(err)
		}
	}
}

// terminateTree: children end with their parent if asked for, and a parent is told of its child's end.
func terminateTree(w *world) {
	app := w.app(nil, orchestration(chain))
	client := w.app(nil)
	for _, id := range []string{"tree", "trunk", "branch"} {
		start(w, app, chain, 3, id)
		w.eventually("leaf exists", func() bool {
			in, err := app.Describe(w.ctx, id+"/3/2/1")
			return err == nil && in.Events >= 2
		})
	}
	if err := client.Terminate(w.ctx, "tree", "all of it", &pawl.TerminateOptions{Children: true}); err != nil {
		w.Fatal(err)
	}
	for _, id := range []string{"tree", "tree/3", "tree/3/2", "tree/3/2/1"} {
		w.terminated(client, id, "all of it")
	}
	if err := client.Terminate(w.ctx, "trunk", "just this", nil); err != nil {
		w.Fatal(err)
	}
	w.terminated(client, "trunk", "just this")
	if got := w.status(app, "trunk/3"); got != "running" {
		w.Errorf("child of the trunk: %s", got)
	}
	// The parents are told one after the other, and fail with what they are told.
	if err := client.Terminate(w.ctx, "branch/3/2", "cut", nil); err != nil {
		w.Fatal(err)
	}
	_, err := attach(w, client, "branch").Result(w.ctx)
	var oe *pawl.OrchestrationError
	if !errors.Is(err, pawl.ErrTerminated) || !strings.Contains(err.Error(), "cut") || !errors.As(err, &oe) {
		w.Errorf("branch: %v", err)
	}
	for id, want := range map[string]string{"branch": "failed", "branch/3": "failed", "branch/3/2": "terminated", "branch/3/2/1": "running"} {
		if got := w.status(app, id); got != want {
			w.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	if err := app.Cancel(w.ctx, "branch/3/2/1", "left over"); err != nil { // nobody is told, nothing breaks
		w.Fatal(err)
	}
	w.cancelled(app, "branch/3/2/1", "left over")
}

// suspendResume: nothing is lost meanwhile, and no turn is had.
func suspendResume(w *world) {
	var turns atomic.Int32
	o := func(o *pawl.Context, _ string) (string, error) {
		var got []string
		for range 3 {
			v, err := pawl.Event[string](o, "item").Await()
			if err != nil {
				return "", err
			}
			if !o.IsReplaying() {
				turns.Add(1)
			}
			got = append(got, v)
		}
		return strings.Join(got, ""), nil
	}
	app := w.app(nil, orchestration(o, pawl.Name("o")))
	client := w.app(nil)
	run := startNamed(w, app, "pause")
	raise := func(v string) {
		if err := pawl.Raise(w.ctx, client, "pause", "item", v, nil); err != nil {
			w.Fatal(err)
		}
	}
	raise("a")
	w.eventually("first item taken", func() bool { return turns.Load() == 1 })
	for _, reason := range []string{"lunch", "second reason"} {
		if err := client.Suspend(w.ctx, "pause", reason); err != nil {
			w.Fatal(err)
		}
	}
	raise("b")
	result(w, start(w, w.app(nil, orchestration(nap)), nap, 3*time.Second, "a while")) // pulses pass
	in, err := client.Describe(w.ctx, "pause")
	if err != nil || in.Status != "running" || !strings.Contains(in.Parked, `"suspended"`) || !strings.Contains(in.Parked, "lunch") || turns.Load() != 1 {
		w.Errorf("%d turns, %+v, %v", turns.Load(), in, err)
	}
	raise("c")
	if err := client.Resume(w.ctx, "pause"); err != nil {
		w.Fatal(err)
	}
	if got := result(w, run); got != "abc" {
		w.Errorf("got %q", got)
	}
	if in, err := client.Describe(w.ctx, "pause"); err != nil || in.Parked != "" {
		w.Errorf("%+v, %v", in, err)
	}
}

// suspendHeld: an activity that runs while its instance is suspended runs once, and its result counts.
func suspendHeld(w *world) {
	for _, by := range []string{"the holder", "a client"} {
		begun, release := make(chan struct{}), make(chan struct{})
		var runs atomic.Int32
		slow := func(context.Context, string) (string, error) {
			if runs.Add(1) == 1 {
				close(begun)
			}
			<-release
			return "result", nil
		}
		o := func(o *pawl.Context, _ string) (string, error) {
			return pawl.ActivityByName[string](o, "slow", "").Await()
		}
		worker := w.app(nil, orchestration(o, pawl.Name("o")), activity(slow, pawl.Name("slow")))
		client := w.app(nil)
		suspender := worker
		if by == "a client" {
			suspender = client
		}
		id := "by " + by
		startNamed(w, worker, id)
		<-begun
		if err := suspender.Suspend(w.ctx, id, "maintenance"); err != nil {
			w.Fatal(err)
		}
		close(release)
		result(w, start(w, w.app(nil, orchestration(nap)), nap, 3*time.Second, "a while "+by))
		if in, err := client.Describe(w.ctx, id); err != nil || in.Status != "running" || in.Parked == "" {
			w.Fatalf("%+v, %v", in, err)
		}
		if err := client.Resume(w.ctx, id); err != nil {
			w.Fatal(err)
		}
		if got := result(w, attach(w, client, id)); got != "result" || runs.Load() != 1 {
			w.Errorf("%s: got %q after %d runs", id, got, runs.Load())
		}
		if err := worker.Stop(w.ctx); err != nil {
			w.Fatal(err)
		}
	}
}

// endWhileSuspended: a suspended instance can be terminated, and one that is asked to end does so when it is resumed.
func endWhileSuspended(w *world) {
	app := w.app(nil, orchestration(collect))
	for i, end := range []func(id string) error{
		func(id string) error { return app.Terminate(w.ctx, id, "why not", nil) },
		func(id string) error { return errors.Join(app.Cancel(w.ctx, id, "why not"), app.Resume(w.ctx, id)) },
	} {
		id := fmt.Sprint("s-", i)
		start(w, app, collect, 1, id)
		if err := app.Suspend(w.ctx, id, ""); err != nil {
			w.Fatal(err)
		}
		if err := end(id); err != nil {
			w.Fatal(err)
		}
	}
	w.terminated(app, "s-0", "why not")
	w.cancelled(app, "s-1", "why not")
}
