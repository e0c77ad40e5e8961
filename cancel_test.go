package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pawlrun/pawl"
)

// status returns the status of an instance that must exist.
func (w *world) status(app *pawl.App, id string) string {
	w.Helper()
	in, err := app.Describe(w.ctx, id)
	if err != nil {
		w.Fatalf("describe %s: %v", id, err)
	}
	return in.Status
}

// events waits until an instance has recorded so many events.
func (w *world) events(app *pawl.App, id string, n int) {
	w.Helper()
	w.eventually(fmt.Sprintf("%d events of %s", n, id), func() bool {
		in, err := app.Describe(w.ctx, id)
		return err == nil && in.Events >= n
	})
}

// cancelled checks that an instance ends as cancelled, for that reason.
func (w *world) cancelled(app *pawl.App, id, reason string) {
	w.Helper()
	_, err := attach(w, app, id).Result(w.ctx)
	var oe *pawl.OrchestrationError
	var ce *pawl.CancelledError
	if !errors.Is(err, pawl.ErrCancelled) || !errors.As(err, &oe) || oe.InstanceID != id || !errors.As(err, &ce) || ce.Reason != reason {
		w.Errorf("result of %s: %v", id, err)
	}
	if got := w.status(app, id); got != "cancelled" {
		w.Errorf("status of %s: %s", id, got)
	}
}

func cancelBeforeFirstTurn(w *world) {
	client := w.app(nil)
	o := func(o *pawl.Context, _ string) (string, error) {
		if why := o.Err(); why == nil {
			return "not told", nil
		}
		if _, err := pawl.Activity(o, greet, "x").Await(); !errors.Is(err, pawl.ErrCancelled) {
			return "", fmt.Errorf("activity: %v", err)
		}
		if o.HistoryLength() != 3 { // start, turn, request: nothing was scheduled
			return "", fmt.Errorf("%d events", o.HistoryLength())
		}
		return "", o.Err()
	}
	startNamed(w, client, "early")
	if err := client.Cancel(w.ctx, "early", "too soon"); err != nil {
		w.Fatal(err)
	}
	worker := w.app(nil, orchestration(o, pawl.Name("o")), activity(greet))
	w.cancelled(worker, "early", "too soon")
	w.cancelled(client, "early", "too soon")
}

// cancelWhileOpen: all that is open fails at once, what runs is told, and a detached context still works.
func cancelWhileOpen(w *world) {
	begun, told := make(chan struct{}), make(chan struct{})
	endless := func(ctx context.Context, _ string) (string, error) {
		close(begun)
		<-ctx.Done()
		close(told)
		return "", ctx.Err()
	}
	o := func(o *pawl.Context, _ string) (string, error) {
		act := pawl.ActivityByName[string](o, "endless", "")
		timer, event := pawl.Timer(o, time.Hour), pawl.Event[string](o, "never")
		within, _ := pawl.WithCancel(o)
		inner := pawl.Timer(within, time.Hour)
		for _, await := range []func() error{
			func() error { _, err := act.Await(); return err }, func() error { _, err := timer.Await(); return err },
			func() error { _, err := event.Await(); return err }, func() error { _, err := inner.Await(); return err },
			func() error { return pawl.Sleep(within, time.Hour) },
			func() error { _, err := pawl.EventWithin[string](o, "never", time.Hour); return err },
			func() error { return pawl.SendEvent(o, "nobody", "x", "") },
			func() error { _, err := pawl.StartDetachedByName(o, "nothing", "", nil); return err }, within.Err,
		} {
			var ce *pawl.CancelledError
			if err := await(); !errors.Is(err, pawl.ErrCancelled) || !errors.As(err, &ce) || ce.Reason != "enough" {
				return "", fmt.Errorf("got %v", err)
			}
		}
		clean := pawl.Detached(o)
		if clean.Err() != nil {
			return "", errors.New("the detached context is cancelled")
		}
		if _, err := pawl.Activity(clean, greet, "x").Await(); err != nil {
			return "", errors.Join(errors.New("clean-up failed"), err)
		}
		if err := pawl.Sleep(clean, time.Millisecond); err != nil {
			return "", err
		}
		v, err := pawl.Event[string](clean, "never").Await()
		if err != nil || v != "late" {
			return "", fmt.Errorf("event %q, %v", v, err)
		}
		return "", fmt.Errorf("cleaned up: %w", o.Err())
	}
	app := w.app(nil, orchestration(o, pawl.Name("o")), activity(endless, pawl.Name("endless")), activity(greet))
	startNamed(w, app, "open")
	<-begun
	if err := app.Cancel(w.ctx, "open", "enough"); err != nil {
		w.Fatal(err)
	}
	select {
	case <-told:
	case <-w.ctx.Done():
		w.Fatal("the activity was not told")
	}
	if err := pawl.Raise(w.ctx, app, "open", "never", "late", nil); err != nil {
		w.Fatal(err)
	}
	w.cancelled(app, "open", "enough")
}

// cancelDeep: a request goes down to the children's children, and their ends come up.
func cancelDeep(w *world) {
	app := w.app(nil, orchestration(chain), activity(greet))
	w.app(nil, orchestration(chain), activity(greet))
	start(w, app, chain, 3, "deep")
	leaf := "deep/3/2/1"
	w.eventually("leaf exists", func() bool {
		in, err := app.Describe(w.ctx, leaf)
		return err == nil && in.Events >= 2
	})
	if err := app.Cancel(w.ctx, "deep", "from the top"); err != nil {
		w.Fatal(err)
	}
	for _, id := range []string{"deep", "deep/3", "deep/3/2", leaf} {
		w.cancelled(app, id, "from the top")
	}
}

// chain waits for its child, and so on; the last waits for ever.
func chain(o *pawl.Context, depth int) (string, error) {
	if depth == 0 {
		return pawl.Event[string](o, "never").Await()
	}
	return pawl.SubOrchestration(o, chain, depth-1, &pawl.ChildOptions{InstanceID: fmt.Sprintf("%s/%d", o.InstanceID(), depth)}).Await()
}

func cancelTwice(w *world) {
	o := func(o *pawl.Context, _ string) (string, error) {
		if err := pawl.Sleep(o, time.Hour); err == nil {
			return "", errors.New("not cancelled")
		}
		_, err := pawl.Event[string](pawl.Detached(o), "go").Await()
		return "", errors.Join(err, o.Err())
	}
	app := w.app(nil, orchestration(o, pawl.Name("o")))
	startNamed(w, app, "twice")
	for _, reason := range []string{"first", "second"} {
		if err := app.Cancel(w.ctx, "twice", reason); err != nil {
			w.Fatal(err)
		}
	}
	if err := pawl.Raise(w.ctx, app, "twice", "go", "", nil); err != nil {
		w.Fatal(err)
	}
	w.cancelled(app, "twice", "first")
	var ie *pawl.InstanceError
	if err := app.Cancel(w.ctx, "twice", "third"); !errors.Is(err, pawl.ErrNotRunning) || !errors.As(err, &ie) || ie.InstanceID != "twice" {
		w.Errorf("cancel of an ended instance: %v", err)
	}
	if err := app.Cancel(w.ctx, "nobody", ""); !errors.Is(err, pawl.ErrNotFound) {
		w.Errorf("cancel of an unknown instance: %v", err)
	}
	if err := app.Cancel(w.ctx, "", ""); !errors.Is(err, pawl.ErrInvalid) {
		w.Errorf("cancel of nothing: %v", err)
	}
}

// cancelIgnored: code that goes on regardless has its own end.
func cancelIgnored(w *world) {
	o := func(o *pawl.Context, end string) (string, error) {
		_ = pawl.Sleep(o, time.Hour)
		if end == "fails" {
			return "", errors.New("of its own")
		}
		return end, nil
	}
	app := w.app(nil, orchestration(o, pawl.Name("o")))
	for end, status := range map[string]string{"fails": "failed", "completes": "completed"} {
		run, err := pawl.StartByName[string](w.ctx, app, "o", end, &pawl.StartOptions{InstanceID: end})
		if err != nil {
			w.Fatal(err)
		}
		if err := app.Cancel(w.ctx, end, ""); err != nil {
			w.Fatal(err)
		}
		if _, err := run.Result(w.ctx); (err != nil) != (end == "fails") || errors.Is(err, pawl.ErrCancelled) {
			w.Errorf("%s: %v", end, err)
		}
		if got := w.status(app, end); got != status {
			w.Errorf("%s: status %s", end, got)
		}
	}
}

// cancelScope: code cancels part of what it has open; the rest, and the instance, go on.
func cancelScope(w *world) {
	o := func(o *pawl.Context, _ string) (string, error) {
		race, cancel := pawl.WithCancel(o)
		lost := pawl.Event[string](race, "item")
		asked := pawl.SubOrchestrationByName[string](race, "o2", "", nil)
		kept := pawl.Event[string](o, "item")
		if _, err := pawl.Event[string](o, "go").Await(); err != nil {
			return "", err
		}
		cancel("changed my mind")
		cancel("twice")
		if _, err := lost.Await(); !errors.Is(err, pawl.ErrCancelled) {
			return "", fmt.Errorf("withdrawn wait: %v", err)
		}
		if err := pawl.SendEvent(o, o.InstanceID(), "item", "to myself"); err != nil {
			return "", err
		}
		v, err := kept.Await()
		if err != nil {
			return "", err
		}
		_, err = asked.Await()
		var ce *pawl.CancelledError
		if !errors.As(err, &ce) {
			return "", fmt.Errorf("child: %v", err)
		}
		if race.Err() == nil || o.Err() != nil {
			return "", errors.New("the wrong context is cancelled")
		}
		return v + ", " + ce.Reason, nil
	}
	o2 := func(o *pawl.Context, _ string) (string, error) { return "", pawl.Sleep(o, time.Hour) }
	app := w.app(nil, orchestration(o, pawl.Name("o")), orchestration(o2, pawl.Name("o2")))
	run := startNamed(w, app, "scope")
	if err := pawl.Raise(w.ctx, app, "scope", "go", "", nil); err != nil {
		w.Fatal(err)
	}
	if got := result(w, run); got != "to myself, changed my mind" {
		w.Errorf("got %q", got)
	}
}

// cancelRacesCompletion: whichever comes first counts, for everybody.
func cancelRacesCompletion(w *world) {
	o := func(o *pawl.Context, _ string) (string, error) { return pawl.Event[string](o, "go").Await() }
	apps := []*pawl.App{w.app(nil, orchestration(o, pawl.Name("o"))), w.app(nil, orchestration(o, pawl.Name("o")))}
	var wg sync.WaitGroup
	for i := range 30 {
		id := fmt.Sprint("race-", i)
		run := startNamed(w, apps[i%2], id)
		wg.Go(func() {
			if err := pawl.Raise(w.ctx, apps[0], id, "go", "done", nil); err != nil && !errors.Is(err, pawl.ErrNotRunning) {
				w.Errorf("raise: %v", err)
			}
		})
		wg.Go(func() {
			if err := apps[1].Cancel(w.ctx, id, ""); err != nil && !errors.Is(err, pawl.ErrNotRunning) {
				w.Errorf("cancel: %v", err)
			}
		})
		wg.Go(func() {
			v, err := run.Result(w.ctx)
			want := "completed"
			if err != nil {
				want = "cancelled"
			}
			if in, descErr := apps[0].Describe(w.ctx, id); descErr != nil || in.Status != want || err == nil && v != "done" || err != nil && !errors.Is(err, pawl.ErrCancelled) {
				w.Errorf("%s: %q, %v; %+v, %v", id, v, err, in, descErr)
			}
		})
	}
	wg.Wait()
}

// cancelOverContinueAsNew: a request is not lost when the instance goes on as the next execution.
func cancelOverContinueAsNew(w *world) {
	o := func(o *pawl.Context, n int) (string, error) {
		if err := pawl.Sleep(o, time.Millisecond); err != nil && n < 1_000_000 {
			return "", pawl.ContinueAsNew(1_000_000) // cleans up there
		}
		if err := o.Err(); err != nil {
			return "", err
		}
		return "", pawl.ContinueAsNew(n + 1)
	}
	app := w.app(nil, orchestration(o, pawl.Name("o")))
	if _, err := pawl.StartByName[string](w.ctx, app, "o", 1, &pawl.StartOptions{InstanceID: "eternal"}); err != nil {
		w.Fatal(err)
	}
	w.eventually("third execution", func() bool {
		in, err := app.Describe(w.ctx, "eternal")
		return err == nil && in.Execution >= 3
	})
	if err := app.Cancel(w.ctx, "eternal", "stop it"); err != nil {
		w.Fatal(err)
	}
	w.cancelled(app, "eternal", "stop it")
}

// cancelReason: a reason of any length and content gets through, or says that it was cut.
func cancelReason(w *world) {
	o := func(o *pawl.Context, _ string) (string, error) { return "", pawl.Sleep(o, time.Hour) }
	app := w.app(nil, orchestration(o, pawl.Name("o")))
	for id, reason := range map[string]string{"long": strings.Repeat("x", 1<<20), "odd": "NUL \x00, broken \xff, \"quoted\"\n"} {
		run := startNamed(w, app, id)
		if err := app.Cancel(w.ctx, id, reason); err != nil {
			w.Fatal(err)
		}
		_, err := run.Result(w.ctx)
		var ce *pawl.CancelledError
		if !errors.As(err, &ce) {
			w.Fatal(err)
		}
		if id == "long" && (len(ce.Reason) > 4096 || !strings.HasSuffix(ce.Reason, "(cut, 1048576 bytes in all)")) || id == "odd" && ce.Reason != "NUL \ufffd, broken \ufffd, \"quoted\"\n" {
			w.Errorf("%s: %.60q, %d bytes", id, ce.Reason, len(ce.Reason))
		}
	}
}
