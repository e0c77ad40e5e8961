package pawl_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/pawlrun/pawl"
)

// cart collects items that events bring until one says "pay", "fail" or "again"; it answers queries.
func cart(o *pawl.Context, items []string) (string, error) {
	if err := errors.Join(
		pawl.HandleQuery(o, "items", func(prefix string) ([]string, error) {
			return slices.DeleteFunc(slices.Clone(items), func(s string) bool { return !strings.HasPrefix(s, prefix) }), nil
		}),
		pawl.HandleQuery(o, "refuse", func(string) (int, error) { return 0, errRefused }),
		pawl.HandleQuery(o, "schedule", func(string) (bool, error) {
			_, err := pawl.Activity(o, greet, "x").Await()
			return true, err
		}),
		pawl.HandleQuery(o, "status", func(string) (bool, error) { return true, pawl.SetCustomStatus(o, "x") }),
		pawl.HandleQuery(o, "await", func(string) (bool, error) { return true, pawl.Sleep(o, 0) }),
		pawl.HandleQuery(o, "panic", func(string) (bool, error) { panic("boom") }),
		pawl.HandleQuery(o, "exit", func(string) (bool, error) { runtime.Goexit(); return true, nil }),
	); err != nil {
		return "", err
	}
	for {
		item, err := pawl.Event[string](o, "item").Await()
		switch {
		case err != nil:
			return "", err
		case item == "pay":
			return strings.Join(items, "+"), nil
		case item == "fail":
			return "", errRefused
		case item == "again":
			return "", pawl.ContinueAsNew(items)
		}
		items = append(items, item)
	}
}

var errRefused = pawl.ErrorKind("refused")

// raise raises events that must be taken.
func (w *world) raise(app *pawl.App, id, name string, payloads ...any) {
	w.Helper()
	for _, p := range payloads {
		if err := pawl.Raise(w.ctx, app, id, name, p, nil); err != nil {
			w.Fatalf("raise %v: %v", p, err)
		}
	}
}

// items asks a cart, time and again, until it has what is wanted: what an event brings is there when its turn is committed.
func (w *world) items(app *pawl.App, id string, want ...string) {
	w.Helper()
	w.eventually(fmt.Sprintf("items %v of %s", want, id), func() bool {
		got, err := pawl.Query[[]string](w.ctx, app, id, "items", "")
		if err != nil {
			w.Fatalf("query of %s: %v", id, err)
		}
		return slices.Equal(got, want)
	})
}

// queriesAnswer: from any capable process, whatever the status is, and nothing is written.
func queriesAnswer(w *world) {
	name := pawl.Name("cart")
	first := w.app(nil, orchestration(cart, name))
	client := w.app(nil)
	for _, id := range []string{"pays", "fails", "goes on", "is cancelled", "is terminated", "is suspended"} {
		if _, err := pawl.StartByName[string](w.ctx, client, "cart", []string{"0"}, &pawl.StartOptions{InstanceID: id}); err != nil {
			w.Fatal(err)
		}
		w.raise(client, id, "item", "1", "2")
		w.items(first, id, "0", "1", "2")
	}
	w.raise(client, "pays", "item", "pay")
	w.raise(client, "fails", "item", "fail")
	w.raise(client, "goes on", "item", "again", "3")
	if err := errors.Join(client.Cancel(w.ctx, "is cancelled", "r"), client.Terminate(w.ctx, "is terminated", "r", nil), client.Suspend(w.ctx, "is suspended", "r")); err != nil {
		w.Fatal(err)
	}
	for id, status := range map[string]string{"pays": "completed", "fails": "failed", "is cancelled": "cancelled", "is terminated": "terminated"} {
		w.eventually(id, func() bool { return w.status(client, id) == status })
	}
	w.items(first, "goes on", "0", "1", "2", "3")
	if err := first.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	second := w.app(nil, orchestration(cart, name))
	for _, id := range []string{"pays", "fails", "is cancelled", "is terminated", "is suspended"} {
		before, err := client.Describe(w.ctx, id)
		if err != nil {
			w.Fatal(err)
		}
		w.items(second, id, "0", "1", "2")
		if got, err := pawl.Query[[]string](w.ctx, second, id, "items", "2"); err != nil || !slices.Equal(got, []string{"2"}) {
			w.Errorf("%s: %v, %v", id, got, err)
		}
		after, err := client.Describe(w.ctx, id)
		if err != nil || before.Events != after.Events || before.Status != after.Status || before.Parked != after.Parked || before.Execution != after.Execution {
			w.Errorf("%s was changed: %+v, now %+v, %v", id, before, after, err)
		}
	}
}

// queriesFail: whatever a query does wrong, the caller is told and the instance goes on.
func queriesFail(w *world) {
	name := pawl.Name("cart")
	app := w.app(nil, orchestration(cart, name), activity(greet))
	client := w.app(nil)
	run, err := pawl.StartByName[string](w.ctx, app, "cart", []string{}, &pawl.StartOptions{InstanceID: "c"})
	if err != nil {
		w.Fatal(err)
	}
	w.raise(client, "c", "item", "1")
	w.items(app, "c", "1")
	for query, want := range map[string]error{"refuse": errRefused, "schedule": pawl.ErrMisuse, "status": pawl.ErrMisuse, "await": pawl.ErrMisuse,
		"panic": pawl.ErrPanic, "exit": pawl.ErrGoexit, "what": pawl.ErrUnknownQuery} {
		_, err := pawl.Query[bool](w.ctx, app, "c", query, "")
		var qe *pawl.QueryError
		if !errors.Is(err, want) || !errors.As(err, &qe) || qe.Query != query || qe.InstanceID != "c" {
			w.Errorf("query %s: %v", query, err)
		}
		if query == "what" && !strings.Contains(fmt.Sprint(err), `: no such query, but "await", `) {
			w.Errorf("the known queries are not named: %v", err)
		}
	}
	if _, err := pawl.Query[bool](w.ctx, app, "c", "items", 5); !errors.Is(err, pawl.ErrBadPayload) {
		w.Errorf("input of another type: %v", err)
	}
	if _, err := pawl.Query[bool](w.ctx, app, "c", "items", ""); !errors.Is(err, pawl.ErrBadPayload) {
		w.Errorf("answer of another type: %v", err)
	}
	if _, err := pawl.Query[bool](w.ctx, app, "nobody", "items", ""); !errors.Is(err, pawl.ErrNotFound) {
		w.Errorf("unknown instance: %v", err)
	}
	if _, err := pawl.Query[bool](w.ctx, client, "c", "items", ""); !errors.Is(err, pawl.ErrNotCapable) || !strings.Contains(err.Error(), `"cart"`) {
		w.Errorf("process without the code: %v", err)
	}
	if _, err := pawl.Query[bool](w.ctx, app, "c", "", ""); !errors.Is(err, pawl.ErrInvalid) {
		w.Errorf("no name: %v", err)
	}
	w.raise(client, "c", "item", "pay")
	if got := result(w, run); got != "1" {
		w.Errorf("result %q", got)
	}
}

// queryStuck: code that does not come back costs the caller the time of a turn, and nobody else anything.
func queryStuck(w *world) {
	release := make(chan struct{})
	w.Cleanup(func() { close(release) })
	stuck := func(o *pawl.Context, _ string) (string, error) {
		pawl.HandleQuery(o, "stuck", func(string) (int, error) { <-release; return 1, nil })
		pawl.HandleQuery(o, "fine", func(string) (int, error) { return 2, nil })
		return pawl.Event[string](o, "end").Await()
	}
	app := w.app(&pawl.Options{TurnTimeout: w.short()}, orchestration(stuck, pawl.Name("stuck")))
	run, err := pawl.StartByName[string](w.ctx, app, "stuck", "", &pawl.StartOptions{InstanceID: "s"})
	if err != nil {
		w.Fatal(err)
	}
	if _, err := pawl.Query[int](w.ctx, app, "s", "stuck", ""); !errors.Is(err, pawl.ErrTimeout) {
		w.Errorf("stuck query: %v", err)
	}
	if got, err := pawl.Query[int](w.ctx, app, "s", "fine", ""); got != 2 || err != nil {
		w.Errorf("query: %d, %v", got, err)
	}
	w.raise(app, "s", "end", "done")
	result(w, run)
}

// queryBeforeFirstTurn: there is no state yet.
func queryBeforeFirstTurn(w *world) {
	client := w.app(nil)
	if _, err := pawl.StartByName[string](w.ctx, client, "cart", []string{"0"}, &pawl.StartOptions{InstanceID: "c"}); err != nil {
		w.Fatal(err)
	}
	if err := client.Suspend(w.ctx, "c", "not yet"); err != nil {
		w.Fatal(err)
	}
	app := w.app(nil, orchestration(cart, pawl.Name("cart")))
	if _, err := pawl.Query[[]string](w.ctx, app, "c", "items", ""); !errors.Is(err, pawl.ErrNotBegun) {
		w.Errorf("query of what has not begun: %v", err)
	}
	if err := client.Resume(w.ctx, "c"); err != nil {
		w.Fatal(err)
	}
	if got, err := pawl.Query[[]string](w.ctx, app, "c", "items", ""); err != nil || !slices.Equal(got, []string{"0"}) {
		w.Errorf("%v, %v", got, err)
	}
}

// queryDiverged: code that did not write the history has no answer, and harms nothing.
func queryDiverged(w *world) {
	other := func(o *pawl.Context, _ []string) (string, error) {
		pawl.HandleQuery(o, "items", func(string) ([]string, error) { return nil, nil })
		return pawl.Activity(o, greet, "x").Await()
	}
	first := w.app(nil, orchestration(cart, pawl.Name("cart")))
	run, err := pawl.StartByName[string](w.ctx, first, "cart", []string{}, &pawl.StartOptions{InstanceID: "c"})
	if err != nil {
		w.Fatal(err)
	}
	w.raise(first, "c", "item", "1")
	w.items(first, "c", "1")
	second := w.app(nil, orchestration(other, pawl.Name("cart")))
	if _, err := pawl.Query[[]string](w.ctx, second, "c", "items", ""); !errors.Is(err, pawl.ErrDiverged) || !strings.Contains(err.Error(), "query_test.go:") {
		w.Errorf("query of diverged code: %v", err)
	}
	if in, err := first.Describe(w.ctx, "c"); err != nil || in.Parked != "" {
		w.Errorf("%+v, %v", in, err)
	}
	if err := second.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	w.raise(first, "c", "item", "pay")
	result(w, run)
}
