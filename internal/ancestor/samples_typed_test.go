package ancestor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pawlrun/pawl"
)

type addRequest struct{ A, B int }

type addAnswer struct{ Sum int }

type ack struct {
	OK bool
	By string `json:"by,omitempty"`
}

// AddNumbers and Calculate are functions that are known by their own names.
func AddNumbers(_ context.Context, r addRequest) (addAnswer, error) { return addAnswer{r.A + r.B}, nil }

func Calculate(o *pawl.Context, r addRequest) (addAnswer, error) {
	return pawl.Activity(o, AddNumbers, r).Await()
}

func registerCalculate(app *pawl.App) error {
	return errors.Join(pawl.RegisterActivity(app, AddNumbers), pawl.RegisterOrchestration(app, Calculate))
}

func typedActivity(w *world) {
	app := w.app(nil, registerCalculate)
	run, err := pawl.Start(w.ctx, app, Calculate, addRequest{2, 3}, &pawl.StartOptions{InstanceID: "typed"})
	if err != nil {
		w.Fatal(err)
	}
	expect(w, run, addAnswer{5})
	check(w, "name", w.describe(app, "typed").Name, "Calculate")
	// What does not fit is an error, not a zero value.
	wrong, err := pawl.Attach[string](app, "typed")
	if err != nil {
		w.Fatal(err)
	}
	expectError(w, wrong, pawl.ErrBadPayload)
	expectError(w, begin[addAnswer](w, app, "Calculate", "no numbers", "misfit"), pawl.ErrBadPayload)
}

func typedEvent(w *world) {
	app := w.app(nil, orchestration("Wait", func(o *pawl.Context, _ struct{}) (string, error) {
		event, err := pawl.Event[ack](o, "ready").Await()
		return fmt.Sprintf("%+v", event), err
	}))
	run := begin[string](w, app, "Wait", struct{}{}, "typed")
	w.tell(app, "typed", "ready", ack{OK: true, By: "Ada"})
	expect(w, run, "{OK:true By:Ada}")
	misfit := begin[string](w, app, "Wait", struct{}{}, "misfit")
	w.tell(app, "misfit", "ready", "a text")
	expectError(w, misfit, pawl.ErrBadPayload)
}

// mix awaits one of a typed activity, an activity of texts and an event.
func mix(o *pawl.Context) (string, error) {
	sum := pawl.Activity(o, AddNumbers, addRequest{1, 2})
	text := pawl.ActivityByName[string](o, "Upper", "hello")
	event := pawl.Event[ack](o, "never")
	first, err := pawl.Select(event, sum, text)
	if err != nil || first == 0 {
		return "", fmt.Errorf("winner %d: %w", first, err)
	}
	answer, err := sum.Await()
	if err != nil {
		return "", err
	}
	upper, err := text.Await()
	return fmt.Sprintf("%d %s", answer.Sum, upper), err
}

func mixedInTyped(w *world) {
	type request struct{ Note string }
	app := w.app(nil, registerCalculate, activity("Upper", upper), orchestration("Mixed", func(o *pawl.Context, r request) (ack, error) {
		answer, err := mix(o)
		return ack{OK: true, By: r.Note + answer}, err
	}))
	expect(w, begin[ack](w, app, "Mixed", request{"note "}, "mixed"), ack{OK: true, By: "note 3 HELLO"})
}

func mixedInText(w *world) {
	app := w.app(nil, registerCalculate, activity("Upper", upper), orchestration("Mixed", func(o *pawl.Context, note string) (string, error) {
		answer, err := mix(o)
		return note + answer, err
	}))
	expect(w, begin[string](w, app, "Mixed", "note ", "mixed"), "note 3 HELLO")
	// The same result as the document it is.
	run, err := pawl.Attach[json.RawMessage](app, "mixed")
	if err != nil {
		w.Fatal(err)
	}
	raw, err := run.Result(w.ctx)
	if err != nil || string(raw) != `"note 3 HELLO"` {
		w.Errorf("as a document: %s, %v", raw, err)
	}
}

// version registers an orchestration that tells its version.
func version(v string, opts ...pawl.RegisterOption) registration {
	if v != "" {
		opts = append(opts, pawl.Version(v))
	}
	return orchestration("Versioned", func(o *pawl.Context, in string) (string, error) { return in + "@" + v, nil }, opts...)
}

func versionsOfStarts(w *world) {
	latest := w.app(nil, version("1.0.0"), version("2.0.0"))
	exact := w.app(&pawl.Options{Versions: map[string]string{"Versioned": "1.0.0"}}, version("1.0.0"), version("2.0.0"))
	expect(w, begin[string](w, latest, "Versioned", "latest", "latest"), "latest@2.0.0")
	expect(w, begin[string](w, exact, "Versioned", "pinned", "pinned"), "pinned@1.0.0")
	for v, app := range map[string]*pawl.App{"1.0.0": latest, "2.0.0": exact} {
		run := beginWith[string](w, app, "Versioned", "asked", &pawl.StartOptions{InstanceID: "asked " + v, Version: v})
		expect(w, run, "asked@"+v)
		check(w, "recorded version", w.describe(app, "asked "+v).Version, v)
	}
}

func versionsOfChildren(w *world) {
	parent := orchestration("Parent", func(o *pawl.Context, in string) (string, error) {
		explicit := pawl.SubOrchestrationByName[string](o, "Versioned", "explicit", &pawl.ChildOptions{Version: "1.0.0"})
		policy := pawl.SubOrchestrationByName[string](o, "Versioned", "policy", nil)
		both, err := pawl.All(explicit, policy)
		return strings.Join(both, " "), err
	})
	app := w.app(nil, version("1.0.0"), version("2.0.0"), parent)
	expect(w, begin[string](w, app, "Parent", "", "parent"), "explicit@1.0.0 policy@2.0.0")
}

func versionUpgrade(w *world) {
	begun := make(chan struct{}, 1)
	app := w.app(nil,
		activity("Begun", func(context.Context, struct{}) (string, error) { begun <- struct{}{}; return "", nil }),
		orchestration("Upgrade", func(o *pawl.Context, state string) (string, error) {
			if _, err := pawl.ActivityByName[string](o, "Begun", struct{}{}).Await(); err != nil {
				return "", err
			}
			return "", pawl.ContinueAsNew(state+" v1", pawl.ContinueWithVersion("2.0.0"))
		}, pawl.Version("1.0.0")),
		orchestration("Upgrade", func(o *pawl.Context, state string) (string, error) {
			return fmt.Sprintf("%s v2 execution %d", state, o.Execution()), nil
		}, pawl.Version("2.0.0")))
	run := beginWith[string](w, app, "Upgrade", "state", &pawl.StartOptions{InstanceID: "upgrade", Version: "1.0.0"})
	receive(w, "version 1 begins", begun)
	expect(w, run, "state v1 v2 execution 2")
	check(w, "version at the end", w.describe(app, "upgrade").Version, "2.0.0")
}

// errBadInput is a kind of error that activities, orchestrations and clients share.
const errBadInput = pawl.ErrorKind("bad-input")

func validate(_ context.Context, in string) (string, error) {
	if in == "" {
		return "", fmt.Errorf("validate: %w", errBadInput)
	}
	return "valid " + in, nil
}

func basicError(w *world) {
	app := w.app(nil, activity("Validate", validate), orchestration("Check", func(o *pawl.Context, in string) (string, error) {
		return pawl.ActivityByName[string](o, "Validate", in).Await()
	}))
	expect(w, begin[string](w, app, "Check", "x", "good"), "valid x")
	err := expectError(w, begin[string](w, app, "Check", "", "bad"), errBadInput)
	var orchestration *pawl.OrchestrationError
	var failed *pawl.ActivityError
	if !errors.As(err, &orchestration) || orchestration.InstanceID != "bad" || !errors.As(err, &failed) || failed.Activity != "Validate" {
		w.Errorf("the error does not say where it comes from: %v", err)
	}
	if !strings.Contains(err.Error(), "validate: bad-input") {
		w.Errorf("text of the error: %v", err)
	}
	check(w, "status", w.describe(app, "bad").Status, "failed")
}

// process is orchestration code in a function of its own.
func process(o *pawl.Context, in string) (string, error) {
	valid, err := pawl.ActivityByName[string](o, "Validate", in).Await()
	if err != nil {
		return "", fmt.Errorf("process %q: %w", in, err)
	}
	return pawl.ActivityByName[string](o, "Upper", valid).Await()
}

func nestedError(w *world) {
	app := w.app(nil, activity("Validate", validate), activity("Upper", upper),
		orchestration("Nested", func(o *pawl.Context, in string) (string, error) {
			answer, err := process(o, in)
			if err != nil {
				return "", fmt.Errorf("nested: %w", err)
			}
			return answer, nil
		}))
	expect(w, begin[string](w, app, "Nested", "x", "good"), "VALID X")
	err := expectError(w, begin[string](w, app, "Nested", "", "bad"), errBadInput)
	if !strings.Contains(err.Error(), `nested: process "": `) {
		w.Errorf("text of the error: %v", err)
	}
}

func errorRecovery(w *world) {
	var attempts counter
	app := w.app(nil,
		activity("Flaky", func(_ context.Context, in string) (string, error) {
			if attempts.add(in) < 3 {
				return "", errors.New("not yet")
			}
			return "ok after 3", nil
		}),
		activity("LogError", func(_ context.Context, text string) (string, error) { return "logged: " + text, nil }),
		activity("Broken", func(context.Context, string) (string, error) { panic("broken for good") }),
		orchestration("Recover", func(o *pawl.Context, in string) (string, error) {
			answer, err := pawl.ActivityByName[string](o, "Flaky", in, pawl.ActivityOptions{
				Retry: &pawl.RetryPolicy{MaxAttempts: 5, InitialDelay: time.Millisecond}}).Await()
			if err != nil {
				return "", err
			}
			_, err = pawl.ActivityByName[string](o, "Broken", in).Await()
			if !errors.Is(err, pawl.ErrPanic) {
				return "", fmt.Errorf("no panic: %w", err)
			}
			var failure *pawl.Failure
			errors.As(err, &failure)
			logged, err := pawl.ActivityByName[string](o, "LogError", failure.Message).Await()
			return answer + ", " + logged, err
		}))
	expect(w, begin[string](w, app, "Recover", "x", "recover"), "ok after 3, logged: broken for good")
	check(w, "attempts", attempts.of("x"), 3)
}
