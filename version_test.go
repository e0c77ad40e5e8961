package pawl_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// inVersion makes an orchestration that says which version it is, once an event lets it.
func inVersion(version string) pawl.OrchestrationFunc[string, string] {
	return func(o *pawl.Context, in string) (string, error) {
		if in == "wait" {
			if _, err := pawl.Event[string](o, "go").Await(); err != nil {
				return "", err
			}
		}
		return version, nil
	}
}

func orderV1(o *pawl.Context, in string) (string, error) { return inVersion("1.2.0")(o, in) }
func orderV2(o *pawl.Context, in string) (string, error) { return inVersion("1.10.0")(o, in) }

// parentOf starts an order in each way that code can.
func parentOf(o *pawl.Context, _ string) (string, error) {
	versions, err := pawl.All(
		pawl.SubOrchestrationByName[string](o, "order", "", nil),
		pawl.SubOrchestrationByName[string](o, "order", "", &pawl.ChildOptions{Version: "1.2.0"}),
		pawl.SubOrchestration(o, orderV1, "", nil),
		pawl.SubOrchestration(o, orderV1, "", &pawl.ChildOptions{Version: "1.10.0"}),
		pawl.SubOrchestrationByName[string](o, "order", "", &pawl.ChildOptions{Version: pawl.Unversioned}),
	)
	return strings.Join(versions, " "), err
}

// versionsChosen: which version a new instance gets.
func versionsChosen(w *world) {
	name := pawl.Name("order")
	register := []func(*pawl.App){
		orchestration(orderV1, name, pawl.Version("1.2.0")), orchestration(orderV2, name, pawl.Version("1.10.0")),
		orchestration(inVersion("2.0.0-rc.1"), name, pawl.Version("1.10.0-rc.1")), orchestration(inVersion("none"), name), orchestration(parentOf),
	}
	all := w.app(nil, register...)
	pinned := w.app(&pawl.Options{Versions: map[string]string{"order": "1.2.0"}}, register...)
	client := w.app(nil)
	pinnedClient := w.app(&pawl.Options{Versions: map[string]string{"order": "1.2.0"}})
	for i, c := range []struct {
		app   *pawl.App
		fn    pawl.OrchestrationFunc[string, string]
		asked string
		want  string
	}{
		{all, nil, "", "1.10.0"},
		{all, nil, "1.2.0", "1.2.0"},
		{all, nil, pawl.Unversioned, "none"},
		{all, orderV1, "", "1.2.0"},
		{all, orderV2, "", "1.10.0"},
		{all, orderV1, "1.10.0", "1.10.0"},
		{pinned, nil, "", "1.2.0"},
		{pinned, orderV2, "", "1.2.0"},
		{pinned, nil, "1.10.0", "1.10.0"},
		{client, nil, "", "none"},
		{client, nil, "1.10.0", "1.10.0"},
		{pinnedClient, nil, "", "1.2.0"},
	} {
		opts := &pawl.StartOptions{InstanceID: fmt.Sprint("i-", i), Version: c.asked}
		var run *pawl.Run[string]
		var err error
		if c.fn != nil {
			run, err = pawl.Start(w.ctx, c.app, c.fn, "", opts)
		} else {
			run, err = pawl.StartByName[string](w.ctx, c.app, "order", "", opts)
		}
		if err != nil {
			w.Fatal(err)
		}
		if got := result(w, run); got != c.want {
			w.Errorf("start %d is version %s, want %s", i, got, c.want)
		}
		in, err := client.Describe(w.ctx, opts.InstanceID)
		if shown := strings.Replace(c.want, "none", "", 1); err != nil || in.Version != shown || in.Capable {
			w.Errorf("start %d: %+v, %v", i, in, err)
		}
		if in, err := all.Describe(w.ctx, opts.InstanceID); err != nil || !in.Capable {
			w.Errorf("start %d: %+v, %v", i, in, err)
		}
	}
	if got := result(w, start(w, all, parentOf, "", "parent")); got != "1.10.0 1.2.0 1.2.0 1.10.0 none" {
		w.Errorf("children are %s", got)
	}
	_, err := pawl.StartByName[string](w.ctx, client, "order", "", &pawl.StartOptions{Version: "v1"})
	if !errors.Is(err, pawl.ErrInvalid) || !strings.Contains(err.Error(), "semantic version") {
		w.Errorf("start of version v1: %v", err)
	}
}

// versionsStay: an instance runs as the version it was started with, and waits for a process that has it.
func versionsStay(w *world) {
	name := pawl.Name("order")
	old := w.app(nil, orchestration(orderV1, name, pawl.Version("1.2.0")))
	if _, err := pawl.StartByName[string](w.ctx, old, "order", "wait", &pawl.StartOptions{InstanceID: "o"}); err != nil {
		w.Fatal(err)
	}
	if err := old.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	next := w.app(nil, orchestration(orderV2, name, pawl.Version("1.10.0")))
	w.raise(next, "o", "go", "")
	if got := result(w, start(w, next, orderV2, "", "new")); got != "1.10.0" {
		w.Errorf("new instance is version %s", got)
	}
	in, err := next.Describe(w.ctx, "o")
	if err != nil || in.Status != "running" || in.Version != "1.2.0" || in.Capable || in.Parked != "" {
		w.Errorf("%+v, %v", in, err)
	}
	both := w.app(nil, orchestration(orderV1, name, pawl.Version("1.2.0")), orchestration(orderV2, name, pawl.Version("1.10.0")))
	if in, err := both.Describe(w.ctx, "o"); err != nil || !in.Capable {
		w.Errorf("%+v, %v", in, err)
	}
	if run, err := pawl.Attach[string](both, "o"); err != nil || result(w, run) != "1.2.0" {
		w.Errorf("%v", err)
	}
}

// patchDeployed: instances that began before a change go on as they were, new ones are new, also when the patch is gone.
func patchDeployed(w *world) {
	code := func(step func(o *pawl.Context) string) pawl.OrchestrationFunc[int, []string] {
		return func(o *pawl.Context, rounds int) ([]string, error) {
			var done []string
			for range rounds {
				if _, err := pawl.Event[string](o, "go").Await(); err != nil {
					return nil, err
				}
				s, err := pawl.Activity(o, greet, step(o)).Await()
				if err != nil {
					return nil, err
				}
				done = append(done, s)
			}
			return done, nil
		}
	}
	name := pawl.Name("patched")
	before := code(func(*pawl.Context) string { return "old" })
	between := code(func(o *pawl.Context) string {
		if pawl.Patched(o, "new") {
			return "new"
		}
		return "old"
	})
	after := code(func(*pawl.Context) string { return "new" })
	steps := func(app *pawl.App, id string, n int) {
		w.raise(app, id, "go", "")
		w.eventually(fmt.Sprintf("step of %s", id), func() bool {
			in, err := app.Describe(w.ctx, id)
			return err == nil && in.Events >= n && in.Parked == ""
		})
	}
	begin := func(app *pawl.App, id string) {
		if _, err := pawl.StartByName[[]string](w.ctx, app, "patched", 3, &pawl.StartOptions{InstanceID: id}); err != nil {
			w.Fatal(err)
		}
	}
	finish := func(app *pawl.App, id string, want ...string) {
		run, err := pawl.Attach[[]string](app, id)
		if err != nil {
			w.Fatal(err)
		}
		if got := result(w, run); !slices.Equal(got, want) {
			w.Errorf("%s did %q, want %q", id, got, want)
		}
	}
	app := w.app(nil, orchestration(before, name), activity(greet))
	begin(app, "old")
	steps(app, "old", 8)
	if err := app.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	app = w.app(nil, orchestration(between, name), activity(greet))
	begin(app, "new")
	w.raise(app, "old", "go", "", "")
	steps(app, "new", 9)
	finish(app, "old", "Hello, old!", "Hello, old!", "Hello, old!") // one answer throughout
	if err := app.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	app = w.app(nil, orchestration(after, name), activity(greet))
	w.raise(app, "new", "go", "", "")
	finish(app, "new", "Hello, new!", "Hello, new!", "Hello, new!")
}

func goodTask(o *pawl.Context, _ string) (string, error) {
	if _, err := pawl.Activity(o, greet, "x").Await(); err != nil {
		return "", err
	}
	return pawl.Event[string](o, "go").Await()
}

func badTask(o *pawl.Context, _ string) (string, error) {
	if err := pawl.Sleep(o, time.Second); err != nil {
		return "", err
	}
	return "bad", nil
}

// divergingBuild: a build that is not fit for the histories there are parks a few instances and leaves the rest.
func divergingBuild(w *world) {
	name := pawl.Name("task")
	first := w.app(nil, orchestration(goodTask, name), activity(greet))
	const n = 8
	for i := range n {
		id := fmt.Sprint("t-", i)
		if _, err := pawl.StartByName[string](w.ctx, first, "task", "", &pawl.StartOptions{InstanceID: id}); err != nil {
			w.Fatal(err)
		}
		w.eventually("step", func() bool {
			in, err := first.Describe(w.ctx, id)
			return err == nil && in.Events >= 5
		})
	}
	if err := first.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	second := w.app(nil, orchestration(badTask, name), orchestration(helloWorld), activity(greet))
	parked := func() (ids []string) {
		for i := range n {
			id := fmt.Sprint("t-", i)
			in, err := second.Describe(w.ctx, id)
			if err != nil {
				w.Fatal(err)
			}
			if in.Parked != "" {
				ids = append(ids, id)
			}
		}
		return ids
	}
	for i := range 3 {
		w.raise(second, fmt.Sprint("t-", i), "go", "went")
		w.eventually("parked", func() bool { return len(parked()) == i+1 })
	}
	var stopped []pawl.StoppedOrchestration
	w.eventually("stopped", func() bool {
		var err error
		if stopped, err = second.StoppedOrchestrations(); err != nil {
			w.Fatal(err)
		}
		return len(stopped) > 0
	})
	if s := stopped[0]; len(stopped) != 1 || s.Name != "task" || len(s.Instances) != 3 || !strings.Contains(s.Divergence, "version_test.go:") {
		w.Errorf("%+v", stopped)
	}
	for i := 3; i < n; i++ {
		w.raise(second, fmt.Sprint("t-", i), "go", "went")
	}
	// Other classes go on, and with them time.
	for i := range 3 {
		if got := result(w, start(w, second, helloWorld, "Ada", fmt.Sprint("hello-", i))); got != "Hello, Ada!" {
			w.Errorf("%q", got)
		}
	}
	if ids := parked(); len(ids) != 3 {
		w.Errorf("parked: %v", ids)
	}
	if in, err := second.Describe(w.ctx, "t-7"); err != nil || in.Capable {
		w.Errorf("%+v, %v", in, err)
	}
	third := w.app(nil, orchestration(goodTask, name), activity(greet))
	for i := range n {
		id := fmt.Sprint("t-", i)
		if err := third.Resume(w.ctx, id); err != nil && (i < 3 || !errors.Is(err, pawl.ErrNotRunning)) {
			w.Fatal(err)
		}
		run, err := pawl.Attach[string](third, id)
		if err != nil {
			w.Fatal(err)
		}
		if got := result(w, run); got != "went" {
			w.Errorf("%s: %q", id, got)
		}
	}
}

func TestVersionsRegistered(t *testing.T) {
	name := pawl.Name("order")
	for _, c := range []struct {
		version string
		why     string // "" for valid
	}{
		{"1.2.0", ""}, {"0.0.0", ""}, {"2.0.0-rc.1", ""}, {"1.0.0-alpha-b.0.x", ""}, {"99999999999999999999.0.1", ""},
		{"", "three numbers"}, {"1", "three numbers"}, {"1.2", "three numbers"}, {"1.2.3.4", "three numbers"}, {"v1.2.0", "leave out the v"},
		{"1.02.0", "leading zeros"}, {"1.x.0", "leading zeros"}, {"1.2.0-", "pre-release"}, {"1.2.0-rc..1", "pre-release"}, {"1.2.0-01", "pre-release"},
		{"1.2.0-é", "pre-release"}, {"1.2.0+5", "build"}, {"1.2.-1", "number"}, {"1.0.0-" + strings.Repeat("x", 100), "limit"},
	} {
		app := pawl.New(model.New(model.Options{}).Open(), nil)
		err := pawl.RegisterOrchestration(app, orderV1, name, pawl.Version(c.version))
		if c.why == "" && err != nil || c.why != "" && (!errors.Is(err, pawl.ErrInvalid) || !strings.Contains(err.Error(), c.why)) {
			t.Errorf("version %.20q: %v", c.version, err)
		}
		opts := &pawl.Options{Versions: map[string]string{"order": c.version}}
		if err := pawl.New(model.New(model.Options{}).Open(), opts).Start(t.Context()); c.why != "" && (!errors.Is(err, pawl.ErrInvalid) || !strings.Contains(err.Error(), "order")) {
			t.Errorf("pin of version %.20q: %v", c.version, err)
		}
	}
	app := pawl.New(model.New(model.Options{}).Open(), nil)
	for i, opts := range [][]pawl.RegisterOption{{name}, {name, pawl.Version("1.0.0")}, {name, pawl.Version("1.0.1"), pawl.Aliases("purchase")}} {
		if err := pawl.RegisterOrchestration(app, orderV1, opts...); err != nil {
			t.Errorf("registration %d: %v", i, err)
		}
	}
	for _, opts := range [][]pawl.RegisterOption{{name}, {name, pawl.Version("1.0.0")}, {pawl.Name("purchase"), pawl.Version("1.0.1")}} {
		if err := pawl.RegisterOrchestration(app, orderV2, opts...); !errors.Is(err, pawl.ErrInvalid) || !strings.Contains(err.Error(), "taken") {
			t.Errorf("a name twice: %v", err)
		}
	}
	if err := pawl.RegisterActivity(app, greet, pawl.Version("1.0.0")); !errors.Is(err, pawl.ErrInvalid) || !strings.Contains(err.Error(), "activity") {
		t.Errorf("activity with a version: %v", err)
	}
}
