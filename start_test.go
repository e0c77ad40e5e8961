package pawl_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pawlrun/pawl"
)

// tellInput says which input it has, when it is told to.
func tellInput(o *pawl.Context, input string) (string, error) {
	if input == "ended" {
		return input, nil
	}
	v, err := pawl.Event[string](o, "go").Await()
	return input + v, err
}

// reusePolicies starts under an id that is taken by an instance that runs, or has ended, with each policy.
func reusePolicies(w *world) {
	app := w.app(nil, orchestration(tellInput))
	client := w.app(nil)
	for _, tt := range []struct {
		policy         pawl.ReusePolicy
		running, ended string // the result in the end; "" if the start is refused
	}{
		{pawl.ReuseReject, "", ""}, {pawl.ReuseAttach, "first!", "ended"}, {pawl.ReuseAttachOrReplace, "first!", "second!"},
		{pawl.ReuseReplaceEnded, "", "second!"}, {pawl.ReuseTerminate, "second!", "second!"},
	} {
		for first, want := range map[string]string{"first": tt.running, "ended": tt.ended} {
			for from, by := range map[string]*pawl.App{"worker": app, "client": client} {
				id := fmt.Sprintf("%v %s %s", tt.policy, first, from)
				before := start(w, app, tellInput, first, id)
				if first == "ended" {
					result(w, before)
				}
				run, err := pawl.Start(w.ctx, by, tellInput, "second", &pawl.StartOptions{InstanceID: id, Reuse: tt.policy})
				if want == "" {
					if !errors.Is(err, pawl.ErrAlreadyExists) {
						w.Errorf("%s: %v", id, err)
					}
					continue
				}
				if err != nil {
					w.Fatalf("%s: %v", id, err)
				}
				if want != "ended" {
					if err := pawl.Raise(w.ctx, app, id, "go", "!", nil); err != nil {
						w.Fatalf("%s: %v", id, err)
					}
				}
				if got := result(w, run); got != want {
					w.Errorf("%s: got %q, want %q", id, got, want)
				}
				if tt.policy == pawl.ReuseTerminate && first == "first" {
					// Whether the first handle hears of the termination or of the replacement is a matter of time.
					if _, err := before.Result(w.ctx); !errors.Is(err, pawl.ErrTerminated) && !errors.Is(err, pawl.ErrNotFound) {
						w.Errorf("%s: the one before: %v", id, err)
					}
				}
			}
		}
	}
	if _, err := pawl.Start(w.ctx, app, tellInput, "", &pawl.StartOptions{Reuse: 99}); !errors.Is(err, pawl.ErrInvalid) {
		w.Errorf("unknown policy: %v", err)
	}
}

// startWithEvents: the events that come with a start are the first, in order; a start that attaches raises them there.
func startWithEvents(w *world) {
	app := w.app(nil, orchestration(collect))
	client := w.app(nil)
	item := func(v string) pawl.StartEvent {
		return pawl.StartEvent{Name: "item", Payload: v, MessageID: "id of " + v}
	}
	for from, by := range map[string]*pawl.App{"worker": app, "client": client} {
		id := "events from a " + from
		opts := &pawl.StartOptions{InstanceID: id, Reuse: pawl.ReuseAttachOrReplace, Events: []pawl.StartEvent{item("a"), item("b")}}
		for range 2 { // the repeat attaches, and what it raises is there already
			if _, err := pawl.Start(w.ctx, by, collect, 3, opts); err != nil {
				w.Fatal(err)
			}
		}
		opts.Events = []pawl.StartEvent{item("c"), {Name: "end", Payload: "end"}}
		run, err := pawl.Start(w.ctx, by, collect, 3, opts)
		if err != nil {
			w.Fatal(err)
		}
		if got := result(w, run); got != "a,b,c,end" {
			w.Errorf("%s: got %q", id, got)
		}
		// It has ended: another one takes its place, with these events alone.
		opts.Events = []pawl.StartEvent{item("a"), item("b"), item("c"), {Name: "end", Payload: "again"}}
		if run, err = pawl.Start(w.ctx, by, collect, 3, opts); err != nil {
			w.Fatal(err)
		}
		if got := result(w, run); got != "a,b,c,again" {
			w.Errorf("%s: got %q", id, got)
		}
		opts.Reuse = pawl.ReuseAttach
		if _, err := pawl.Start(w.ctx, by, collect, 3, opts); !errors.Is(err, pawl.ErrNotRunning) {
			w.Errorf("%s: events to an ended instance: %v", id, err)
		}
	}
	for _, bad := range []pawl.StartEvent{{}, {Name: "x", MessageID: "\x00"}, {Name: "x", Payload: func() {}}} {
		if _, err := pawl.Start(w.ctx, app, collect, 1, &pawl.StartOptions{Events: []pawl.StartEvent{bad}}); !errors.Is(err, pawl.ErrInvalid) && !errors.Is(err, pawl.ErrBadPayload) {
			w.Errorf("%+v: %v", bad, err)
		}
	}
}

// manyReplace: of many that replace each other under one id each start counts, and every handle is answered.
func manyReplace(w *world) {
	apps := []*pawl.App{w.app(nil, orchestration(tellInput)), w.app(nil, orchestration(tellInput)), w.app(nil)}
	var wg sync.WaitGroup
	var runs [12]*pawl.Run[string]
	for i := range runs {
		wg.Go(func() {
			run, err := pawl.Start(w.ctx, apps[i%len(apps)], tellInput, fmt.Sprint(i), &pawl.StartOptions{InstanceID: "one", Reuse: pawl.ReuseTerminate})
			if err != nil {
				w.Errorf("start: %v", err)
				return
			}
			runs[i] = run
		})
	}
	wg.Wait()
	if err := pawl.Raise(w.ctx, apps[0], "one", "go", "!", nil); err != nil {
		w.Fatal(err)
	}
	last := result(w, attach(w, apps[2], "one"))
	var results [len(runs)]string
	var completed atomic.Int32
	for i, run := range runs {
		wg.Go(func() {
			v, err := run.Result(w.ctx)
			switch {
			case err == nil:
				completed.Add(1)
				results[i] = v
			case !errors.Is(err, pawl.ErrTerminated) && !errors.Is(err, pawl.ErrNotFound):
				w.Errorf("%d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if i := slices.Index(results[:], last); completed.Load() != 1 || i < 0 || last != fmt.Sprintf("%d!", i) {
		w.Errorf("%d completed, results %q, the last is %q", completed.Load(), results, last)
	}
}
