package pawl_test

import (
	"errors"
	"strings"

	"github.com/pawlrun/pawl"
)

// payloadsOfOtherTypes: what cannot be decoded is said to be what it is, and whose.
func payloadsOfOtherTypes(w *world) {
	adding := func(o *pawl.Context, n int) (int, error) {
		if n > 0 {
			return pawl.ActivityByName[int](o, "greet", "Ada").Await()
		}
		return pawl.Event[int](o, "add").Await()
	}
	parent := func(o *pawl.Context, _ string) (int, error) {
		return pawl.SubOrchestrationByName[int](o, "text", "", nil).Await()
	}
	text := func(*pawl.Context, string) (string, error) { return "a text", nil }
	app := w.app(nil, activity(greet, pawl.Name("greet")), orchestration(adding, pawl.Name("adding")), orchestration(parent, pawl.Name("parent")),
		orchestration(text, pawl.Name("text")))
	refused := func(what string, err error) {
		if !errors.Is(err, pawl.ErrBadPayload) || !strings.Contains(err.Error(), ": "+what+": json: ") && !strings.HasPrefix(err.Error(), what+": json: ") {
			w.Errorf("want %q: %v", what, err)
		}
	}
	event := start(w, app, adding, 0, "event")
	w.raise(app, "event", "add", "one")
	_, err := event.Result(w.ctx)
	refused(`decode payload of event "add"`, err)
	_, err = start(w, app, adding, 1, "activity").Result(w.ctx)
	refused(`decode result of activity "greet"`, err)
	_, err = start(w, app, parent, "", "parent").Result(w.ctx)
	refused(`decode result of orchestration "text"`, err)
	run, err := pawl.StartByName[int](w.ctx, app, "text", "", &pawl.StartOptions{InstanceID: "t"})
	if err != nil {
		w.Fatal(err)
	}
	_, err = run.Result(w.ctx)
	refused(`decode result of instance "t"`, err)
	if run, err = pawl.StartByName[int](w.ctx, app, "text", 5, nil); err != nil {
		w.Fatal(err)
	}
	_, err = run.Result(w.ctx)
	refused(`decode input of orchestration "text"`, err)
}

// continueWithOtherInput: an input of another type ends the execution that asks for it, not the one that would begin with
// it; another version may take it.
func continueWithOtherInput(w *world) {
	name := pawl.Name("continues")
	text := func(o *pawl.Context, in string) (string, error) {
		switch {
		case o.Execution() > 1:
			return in, nil
		case in == "upgrade":
			return "", pawl.ContinueAsNew(5, pawl.ContinueWithVersion("2.0.0"))
		case in == "nothing":
			return "", pawl.ContinueAsNew[any](nil)
		}
		return "", pawl.ContinueAsNew(5)
	}
	number := func(_ *pawl.Context, in int) (string, error) { return strings.Repeat("x", in), nil }
	app := w.app(&pawl.Options{Versions: map[string]string{"continues": pawl.Unversioned}},
		orchestration(text, name), orchestration(number, name, pawl.Version("2.0.0")))
	_, err := start(w, app, text, "5", "wrong").Result(w.ctx)
	if !errors.Is(err, pawl.ErrBadPayload) || !strings.Contains(err.Error(), "input of continue-as-new: the orchestration takes string: json: ") {
		w.Errorf("a number for a string: %v", err)
	}
	if in, err := app.Describe(w.ctx, "wrong"); err != nil || in.Execution != 1 || in.Status != "failed" {
		w.Errorf("%+v, %v", in, err)
	}
	for in, want := range map[string]string{"upgrade": "xxxxx", "nothing": ""} {
		if got := result(w, start(w, app, text, in, in)); got != want {
			w.Errorf("%s: %q", in, got)
		}
	}
}
