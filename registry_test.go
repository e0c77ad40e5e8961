package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

type mailer struct{ from string }

func (m *mailer) Send(_ context.Context, to string) (string, error) { return m.from + ">" + to, nil }

func generic[T any](_ context.Context, v T) (T, error) { return v, nil }

func newApp() *pawl.App { return pawl.New(model.New(model.Options{}).Open(), nil) }

func TestNames(t *testing.T) {
	closure := func(_ context.Context, n int) (int, error) { return n, nil }
	tests := []struct {
		name     string
		register func(*pawl.App) error
		problem  string // part of the error, "" for none
	}{
		{"function", func(a *pawl.App) error { return pawl.RegisterActivity(a, greet) }, ""},
		{"method", func(a *pawl.App) error { return pawl.RegisterActivity(a, (&mailer{}).Send) }, ""},
		{"closure", func(a *pawl.App) error { return pawl.RegisterActivity(a, closure) }, "pawl.Name"},
		{"named closure", func(a *pawl.App) error { return pawl.RegisterActivity(a, closure, pawl.Name("c")) }, ""},
		{"generic", func(a *pawl.App) error { return pawl.RegisterActivity(a, generic[int]) }, "pawl.Name"},
		{"named generic", func(a *pawl.App) error { return pawl.RegisterActivity(a, generic[int], pawl.Name("g")) }, ""},
		{"nil", func(a *pawl.App) error { return pawl.RegisterActivity[int, int](a, nil) }, "nil"},
		{"nil, named", func(a *pawl.App) error { return pawl.RegisterOrchestration[int, int](a, nil, pawl.Name("n")) }, "nil"},
		{"empty name", func(a *pawl.App) error { return pawl.RegisterActivity(a, greet, pawl.Name("")) }, "empty"},
		{"long name", func(a *pawl.App) error {
			return pawl.RegisterActivity(a, greet, pawl.Name(strings.Repeat("x", 256)))
		}, "255"},
		{"name twice", func(a *pawl.App) error {
			return errors.Join(pawl.RegisterActivity(a, greet), pawl.RegisterActivity(a, increment, pawl.Name("greet")))
		}, "taken"},
		{"alias taken", func(a *pawl.App) error {
			return errors.Join(pawl.RegisterActivity(a, greet), pawl.RegisterActivity(a, increment, pawl.Aliases("greet")))
		}, "taken"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app := newApp()
			err := tt.register(app)
			start := app.Start(t.Context())
			defer app.Stop(t.Context())
			if tt.problem == "" {
				if err != nil || start != nil {
					t.Fatal(err, start)
				}
				return
			}
			for _, err := range []error{err, start} {
				if !errors.Is(err, pawl.ErrInvalid) || !strings.Contains(err.Error(), tt.problem) {
					t.Errorf("got %v, want something about %q", err, tt.problem)
				}
			}
		})
	}
}

func TestMethodsClosuresAndAliasesRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	m := &mailer{from: "me"}
	twice := func(_ context.Context, n int) (int, error) { return 2 * n, nil }
	orch := func(o *pawl.Context, to string) (string, error) {
		sent, err := pawl.Activity(o, m.Send, to).Await()
		if err != nil {
			return "", err
		}
		four, err := pawl.Activity(o, twice, 2).Await()
		if err != nil {
			return "", err
		}
		old, err := pawl.ActivityByName[string](o, "oldGreet", "you").Await()
		return fmt.Sprint(sent, four, old), err
	}
	app := newApp()
	pawl.RegisterActivity(app, m.Send)
	pawl.RegisterActivity(app, twice, pawl.Name("twice"))
	pawl.RegisterActivity(app, greet, pawl.Aliases("oldGreet"))
	pawl.RegisterOrchestration(app, orch, pawl.Name("orch"))
	if err := app.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer app.Stop(ctx)
	run, err := pawl.Start(ctx, app, orch, "you", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := run.Result(ctx); err != nil || got != "me>you4Hello, you!" {
		t.Fatal(got, err)
	}
	if err := pawl.RegisterActivity(app, increment); !errors.Is(err, pawl.ErrInvalid) {
		t.Errorf("registration after start: %v", err)
	}
}

func TestNoFuture(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var none *pawl.Future[int]
	orch := func(o *pawl.Context, _ string) (string, error) {
		_, awaited := none.Await()
		_, all := pawl.All(none, &pawl.Future[int]{})
		_, selected := pawl.Select(nil, none)
		_, empty := pawl.Select()
		if !errors.Is(awaited, pawl.ErrInvalid) || !errors.Is(all, pawl.ErrInvalid) || !errors.Is(selected, pawl.ErrInvalid) || !errors.Is(empty, pawl.ErrInvalid) || none.Ready() {
			return "", fmt.Errorf("await %v, all %v, select %v, %v", awaited, all, selected, empty)
		}
		return "refused", nil
	}
	app := newApp()
	pawl.RegisterOrchestration(app, orch, pawl.Name("orch"))
	if err := app.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer app.Stop(ctx)
	run, err := pawl.Start(ctx, app, orch, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := run.Result(ctx); err != nil || got != "refused" {
		t.Fatal(got, err)
	}
}

func TestLifeOfAnApp(t *testing.T) {
	ctx := t.Context()
	app := newApp()
	if _, err := pawl.Start(ctx, app, helloWorld, "x", nil); !errors.Is(err, pawl.ErrNotStarted) {
		t.Errorf("start of an instance before the app's: %v", err)
	}
	if err := app.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := app.Start(ctx); !errors.Is(err, pawl.ErrInvalid) {
		t.Errorf("second start: %v", err)
	}
	run, err := pawl.Start(ctx, app, helloWorld, "x", nil) // nobody runs it
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() {
		_, err := run.Result(ctx)
		waited <- err
	}()
	for range 2 {
		if err := app.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	}
	if err := <-waited; !errors.Is(err, pawl.ErrStopped) {
		t.Errorf("wait over a stop: %v", err)
	}
	if err := app.Start(ctx); !errors.Is(err, pawl.ErrStopped) {
		t.Errorf("start after stop: %v", err)
	}
	if err := pawl.Raise(ctx, app, "x", "e", nil, nil); !errors.Is(err, pawl.ErrStopped) || err.Error() != "raise: the app is stopped" {
		t.Errorf("raise after stop: %v", err)
	}
}

// TestRegistered: a program can tell whether what it starts is its own.
func TestRegistered(t *testing.T) {
	app := newApp()
	pawl.RegisterOrchestration(app, helloWorld, pawl.Name("hello"), pawl.Aliases("hi"))
	pawl.RegisterOrchestration(app, parentOf, pawl.Name("parent"), pawl.Version("1.2.0"))
	for _, c := range []struct {
		name, version string
		want          bool
	}{
		{"hello", "", true}, {"hi", "", true}, {"hello", pawl.Unversioned, true}, {"hello", "1.2.0", false},
		{"parent", "", true}, {"parent", "1.2.0", true}, {"parent", pawl.Unversioned, false}, {"parent", "nonsense", false},
		{"nobody", "", false},
	} {
		if got := app.Registered(c.name, c.version); got != c.want {
			t.Errorf("%s %q: %v", c.name, c.version, got)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for field, opts := range map[string]pawl.Options{
		"MaxActivities": {MaxActivities: -1}, "MaxTurns": {MaxTurns: -1}, "PulseInterval": {PulseInterval: -1},
		"TTL": {TTL: time.Second, PulseInterval: time.Second}, "TurnTimeout": {TurnTimeout: -1}, "MaxAttempts": {MaxAttempts: -1},
	} {
		err := pawl.New(model.New(model.Options{}).Open(), &opts).Start(t.Context())
		if !errors.Is(err, pawl.ErrInvalid) || !strings.Contains(err.Error(), "Options."+field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
