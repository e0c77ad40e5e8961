package pawl_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pawlrun/pawl"
)

// closing starts a child of each policy and then ends as it is told.
func closing(o *pawl.Context, end string) (string, error) {
	if end == "next" {
		return end, nil
	}
	pawl.SubOrchestration(o, waitForGo, "", &pawl.ChildOptions{InstanceID: o.InstanceID() + "/cancel", ParentClose: pawl.CloseCancel})
	pawl.SubOrchestration(o, waitForGo, "", &pawl.ChildOptions{InstanceID: o.InstanceID() + "/wait", ParentClose: pawl.CloseWait})
	pawl.SubOrchestration(o, waitForGo, "", &pawl.ChildOptions{InstanceID: o.InstanceID() + "/abandon"})
	if _, err := pawl.StartDetached(o, waitForGo, "", &pawl.DetachedOptions{InstanceID: o.InstanceID() + "/detached"}); err != nil {
		return "", err
	}
	switch end {
	case "fails":
		return "", errors.New("no")
	case "panics":
		panic("no")
	case "continues":
		return "", pawl.ContinueAsNew("next")
	}
	return end, nil
}

func waitForGo(o *pawl.Context, _ string) (string, error) { return pawl.Event[string](o, "go").Await() }

// parentClose: whatever the end of the parent, each child has the fate it was given, also one of the turn that ends it.
func parentClose(w *world) {
	app := w.app(nil, orchestration(closing), orchestration(waitForGo))
	for end, status := range map[string]string{"returns": "completed", "fails": "failed", "panics": "failed", "continues": "completed"} {
		run := start(w, app, closing, end, end)
		w.events(app, end+"/wait", 2)
		if got := w.status(app, end); got != "running" {
			w.Errorf("%s: %s before its child has ended", end, got)
		}
		if err := pawl.Raise(w.ctx, app, end+"/wait", "go", "", nil); err != nil {
			w.Fatal(err)
		}
		if _, err := run.Result(w.ctx); (err != nil) != (status == "failed") {
			w.Errorf("%s: %v", end, err)
		}
		w.cancelled(app, end+"/cancel", "the parent has ended")
		for _, child := range []string{"/abandon", "/detached"} {
			if err := pawl.Raise(w.ctx, app, end+child, "go", "went on", nil); err != nil {
				w.Fatal(err)
			}
			if got := result(w, attach(w, app, end+child)); got != "went on" {
				w.Errorf("%s: %q", end+child, got)
			}
		}
		if in, err := app.Describe(w.ctx, end+"/detached"); err != nil || in.ParentID != "" {
			w.Errorf("detached: %+v, %v", in, err)
		}
		if got := w.status(app, end); got != status {
			w.Errorf("%s: %s", end, got)
		}
	}
}

// childEnds: the parent learns of every end of its child, and of which kind it was.
func childEnds(w *world) {
	kid := func(o *pawl.Context, end string) (string, error) {
		switch end {
		case "fails":
			return "", fmt.Errorf("of its own: %w", errOwn)
		case "panics":
			panic("no")
		case "floods":
			for range 200 {
				pawl.Timer(o, time.Hour)
			}
		}
		_, err := pawl.Event[string](o, "never").Await()
		return "", err
	}
	parent := func(o *pawl.Context, end string) (string, error) {
		_, err := pawl.SubOrchestrationByName[string](o, "kid", end, &pawl.ChildOptions{InstanceID: "kid " + end}).Await()
		var oe *pawl.OrchestrationError
		if !errors.As(err, &oe) || oe.Orchestration != "kid" {
			return "", fmt.Errorf("not of the child: %w", err)
		}
		return "", err
	}
	app := w.app(&pawl.Options{Limits: pawl.Limits{TurnEvents: 100}}, orchestration(kid, pawl.Name("kid")), orchestration(parent, pawl.Name("parent")))
	for end, want := range map[string]error{"fails": errOwn, "panics": pawl.ErrPanic, "floods": pawl.ErrLimit, "cancel": pawl.ErrCancelled, "terminate": pawl.ErrTerminated} {
		run, err := pawl.StartByName[string](w.ctx, app, "parent", end, &pawl.StartOptions{InstanceID: end})
		if err != nil {
			w.Fatal(err)
		}
		switch end {
		case "cancel":
			w.events(app, "kid "+end, 2)
			err = app.Cancel(w.ctx, "kid "+end, "")
		case "terminate":
			w.events(app, "kid "+end, 2)
			err = app.Terminate(w.ctx, "kid "+end, "", nil)
		}
		if err != nil {
			w.Fatal(err)
		}
		if _, err := run.Result(w.ctx); !errors.Is(err, want) {
			w.Errorf("%s: %v", end, err)
		}
		if got := w.status(app, end); got != "failed" {
			w.Errorf("%s: %s", end, got) // the parent itself was not asked to end
		}
	}
}

var errOwn = pawl.ErrorKind("own")

// detachedInLastTurn: a detached orchestration starts whatever the turn that starts it comes to, and ids are derived anew in each.
func detachedInLastTurn(w *world) {
	o := func(o *pawl.Context, n int) (ids []string, err error) {
		for range 2 {
			id, err := pawl.StartDetached(o, helloWorld, fmt.Sprint(n), nil)
			if err != nil {
				return nil, err
			}
			ids = append(ids, id)
		}
		if _, err := pawl.StartDetached(o, helloWorld, "", &pawl.DetachedOptions{InstanceID: "taken"}); err != nil {
			return nil, err
		}
		if _, err := pawl.StartDetachedByName(o, "", "", nil); !errors.Is(err, pawl.ErrInvalid) {
			return nil, fmt.Errorf("no name: %v", err)
		}
		if n > 1 {
			return nil, pawl.ContinueAsNew(n - 1)
		}
		return ids, nil
	}
	app := w.app(nil, orchestration(o, pawl.Name("o")), orchestration(helloWorld), activity(greet))
	result(w, start(w, app, helloWorld, "x", "taken"))
	run, err := pawl.StartByName[[]string](w.ctx, app, "o", 3, &pawl.StartOptions{InstanceID: "d"})
	if err != nil {
		w.Fatal(err)
	}
	ids := result(w, run)
	for n, of := range map[int][]string{1: ids, 2: {"d:2:2", "d:2:3"}, 3: {"d:1:1", "d:1:2"}} {
		for _, id := range of {
			w.eventually("detached "+id, func() bool { _, err := app.Describe(w.ctx, id); return err == nil })
			if got := result(w, attach(w, app, id)); got != fmt.Sprintf("Hello, %d!", n) {
				w.Errorf("%s: %q", id, got)
			}
		}
	}
}

// strangerUnderChildID: who withdraws a child whose id was taken does not hurt the one that has it.
func strangerUnderChildID(w *world) {
	o := func(o *pawl.Context, _ string) (string, error) {
		taken := pawl.SubOrchestration(o, waitForGo, "", &pawl.ChildOptions{InstanceID: "stranger", ParentClose: pawl.CloseCancel})
		own := pawl.SubOrchestration(o, waitForGo, "", &pawl.ChildOptions{InstanceID: "own"})
		taken.Cancel("withdrawn at once")
		own.Cancel("withdrawn at once")
		if _, err := taken.Await(); !errors.Is(err, pawl.ErrAlreadyExists) {
			return "", fmt.Errorf("taken: %v", err)
		}
		if _, err := own.Await(); !errors.Is(err, pawl.ErrCancelled) {
			return "", fmt.Errorf("own: %v", err)
		}
		pawl.SubOrchestration(o, waitForGo, "", &pawl.ChildOptions{InstanceID: "stranger", ParentClose: pawl.CloseCancel})
		return "done", nil
	}
	app := w.app(nil, orchestration(o, pawl.Name("o")), orchestration(waitForGo))
	stranger := start(w, app, waitForGo, "", "stranger")
	if got := result(w, startNamed(w, app, "parent")); got != "done" {
		w.Errorf("got %q", got)
	}
	w.cancelled(app, "own", "withdrawn at once")
	if err := pawl.Raise(w.ctx, app, "stranger", "go", "unhurt", nil); err != nil {
		w.Fatal(err)
	}
	if got := result(w, stranger); got != "unhurt" {
		w.Errorf("got %q", got)
	}
}

// childOptionsChecked: what breaks a rule is an error of the future, and the instance goes on.
func childOptionsChecked(w *world) {
	o := func(o *pawl.Context, _ string) (string, error) {
		for _, opts := range []*pawl.ChildOptions{{InstanceID: "\x00"}, {Version: "\xff"}, {ParentClose: 7}} {
			if _, err := pawl.SubOrchestration(o, waitForGo, "", opts).Await(); !errors.Is(err, pawl.ErrInvalid) {
				return "", fmt.Errorf("%+v: %v", opts, err)
			}
		}
		_, err := pawl.StartDetachedByName(o, "x", func() {}, nil)
		if !errors.Is(err, pawl.ErrBadPayload) {
			return "", fmt.Errorf("payload: %v", err)
		}
		return "done", nil
	}
	app := w.app(nil, orchestration(o, pawl.Name("o")))
	result(w, startNamed(w, app, "rules"))
}

// childParked: whether a parked child is an end for its parent is up to the parent; mended, the child goes on in any case.
func childParked(w *world) {
	kid := func(o *pawl.Context, _ string) (string, error) { return pawl.Event[string](o, "go").Await() }
	changed := func(o *pawl.Context, _ string) (string, error) { return pawl.Activity(o, greet, "x").Await() }
	parent := func(o *pawl.Context, fail bool) (string, error) {
		v, err := pawl.SubOrchestrationByName[string](o, "kid", "", &pawl.ChildOptions{InstanceID: o.InstanceID() + "/kid", FailParked: fail}).Await()
		var oe *pawl.OrchestrationError
		if errors.Is(err, pawl.ErrDiverged) && errors.As(err, &oe) && oe.Orchestration == "kid" && strings.Contains(err.Error(), "child_test.go:") {
			return "told", nil
		}
		return v, err
	}
	ids := map[string]bool{"fails": true, "waits": false}
	first := w.app(nil, orchestration(kid, pawl.Name("kid")), orchestration(parent, pawl.Name("parent")))
	for id, fail := range ids {
		if _, err := pawl.StartByName[string](w.ctx, first, "parent", fail, &pawl.StartOptions{InstanceID: id}); err != nil {
			w.Fatal(err)
		}
		w.events(first, id+"/kid", 2)
	}
	if err := first.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	second := w.app(nil, orchestration(changed, pawl.Name("kid")), orchestration(parent, pawl.Name("parent")))
	for id := range ids {
		if err := pawl.Raise(w.ctx, second, id+"/kid", "go", "went on", nil); err != nil {
			w.Fatal(err)
		}
		w.eventually("parked", func() bool {
			in, err := second.Describe(w.ctx, id+"/kid")
			return err == nil && strings.Contains(in.Parked, "diverged")
		})
	}
	if got := result(w, attach(w, second, "fails")); got != "told" {
		w.Errorf("got %q", got)
	}
	if got := w.status(second, "waits"); got != "running" {
		w.Errorf("status %s", got)
	}
	if err := second.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	third := w.app(nil, orchestration(kid, pawl.Name("kid")), orchestration(parent, pawl.Name("parent")))
	for id := range ids {
		if err := third.Resume(w.ctx, id+"/kid"); err != nil {
			w.Fatal(err)
		}
		if got := result(w, attach(w, third, id+"/kid")); got != "went on" {
			w.Errorf("%s: kid got %q", id, got)
		}
	}
	if got := result(w, attach(w, third, "waits")); got != "went on" {
		w.Errorf("got %q", got)
	}
}

// childQuarantined: the same for a child whose turn does not come back.
func childQuarantined(w *world) {
	release := make(chan struct{})
	w.Cleanup(func() { close(release) })
	kid := func(o *pawl.Context, _ string) (string, error) {
		<-release
		return "", nil
	}
	parent := func(o *pawl.Context, _ string) (string, error) {
		return pawl.SubOrchestrationByName[string](o, "kid", "", &pawl.ChildOptions{FailParked: true}).Await()
	}
	app := w.app(&pawl.Options{MaxAttempts: 2}, orchestration(kid, pawl.Name("kid")), orchestration(parent, pawl.Name("o")))
	if _, err := startNamed(w, app, "parent").Result(w.ctx); !errors.Is(err, pawl.ErrQuarantined) {
		w.Errorf("got %v", err)
	}
}
