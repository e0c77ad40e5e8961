package ancestor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pawlrun/pawl"
)

// TestEdgesOfNamesAndTexts are ids, names and texts as nobody chooses them, and races for ids.
func TestEdgesOfNamesAndTexts(t *testing.T) {
	t.Parallel()
	onEveryStore(t, []tale{
		{"odd names and ids are names and ids", oddNames},
		{"odd texts travel unchanged", oddTexts},
		{"odd texts in errors fail what they belong to", oddErrors},
		{"odd reasons reach the other side", oddReasons},
		{"large values travel", largeValues},
		{"of many starts of one id one succeeds", startRace},
		{"of many replacing starts the last stays", replaceRace},
		{"what is refused leaves nothing", refused},
		{"reading what cannot be harms no neighbour", badNeighbour},
	})
}

var odd = []string{
	"it's \"quoted\" \\back\\ $1 %s {a,b} NULL", "line\nbreak\ttab\r", "😀 \u202e right to left \u00e9 e\u0301", "null", " ", ",", "{}",
	strings.Repeat("é", 127) + "x", "a/b/../c?x=1&y=<z>#", "--; drop table instance",
}

func oddNames(w *world) {
	var registrations []registration
	for _, name := range odd {
		registrations = append(registrations, activity(name, upper), orchestration(name, func(o *pawl.Context, child string) (string, error) {
			if err := pawl.SetValue(o, name, name); err != nil {
				return "", err
			}
			event, err := pawl.Event[string](o, name).Await()
			if err != nil {
				return "", err
			}
			if child != "" {
				answer := pawl.SubOrchestrationByName[string](o, name, "", &pawl.ChildOptions{InstanceID: child})
				if err := pawl.SendEvent(o, child, name, "child's "+event); err != nil {
					return "", err
				}
				return answer.Await()
			}
			return pawl.ActivityByName[string](o, name, event, pawl.ActivityOptions{Tag: name}).Await()
		}))
	}
	app := w.app(&pawl.Options{Tags: odd, CacheBytes: -1, Name: odd[0]}, registrations...)
	for i, name := range odd {
		child := fmt.Sprint("child\n", i, " of it's $1 😀 {\"}")
		run := begin[string](w, app, name, child, name)
		if err := pawl.Raise(w.ctx, app, name, name, "event", &pawl.RaiseOptions{MessageID: name}); err != nil {
			w.Fatalf("raise %q: %v", name, err)
		}
		expect(w, run, "CHILD'S EVENT")
		if value, ok, err := pawl.ReadValue[string](w.ctx, app, name, name); value != name || !ok || err != nil {
			w.Errorf("value %q: %q, %v, %v", name, value, ok, err)
		}
		check(w, "name", w.describe(app, name).Name, name)
		check(w, "parent", w.describe(app, child).ParentID, name)
	}
}

// texts are payloads that not every database takes as they are.
var texts = []string{"\x00", "a\x00b", "\\u0000", "\\", `"`, "\u2028", "<&>", "\x7f\x01\x1f", "\ufffd", "😀", "", "null", "\ud7ff\ue000\U0010ffff"}

func oddTexts(w *world) {
	app := w.app(&pawl.Options{CacheBytes: -1}, activity("Echo", func(_ context.Context, s string) (string, error) { return s, nil }),
		orchestration("Echo", func(o *pawl.Context, s string) (string, error) {
			echo, err := pawl.ActivityByName[string](o, "Echo", s).Await()
			if err != nil {
				return "", err
			}
			if err := errors.Join(pawl.SetCustomStatus(o, echo), pawl.SetValue(o, "text", echo)); err != nil {
				return "", err
			}
			event, err := pawl.Event[string](o, "text").Await()
			if err != nil || o.Execution() == 2 {
				return event, err
			}
			return "", pawl.ContinueAsNew(event)
		}))
	for i, text := range texts {
		id := fmt.Sprint("echo ", i)
		run := begin[string](w, app, "Echo", text, id)
		w.tell(app, id, "text", text)
		w.tell(app, id, "text", text)
		expect(w, run, text)
		status, _, err := pawl.CustomStatus[string](w.ctx, app, id)
		value, _, err2 := pawl.ReadValue[string](w.ctx, app, id, "text")
		if err := errors.Join(err, err2); err != nil || status != text || value != text {
			w.Errorf("%q: status %q, value %q, %v", text, status, value, err)
		}
	}
}

func oddErrors(w *world) {
	app := w.app(&pawl.Options{CacheBytes: -1},
		activity("Fail", func(_ context.Context, s string) (string, error) { return "", errors.New(s + "\xff\xfe") }),
		activity("Panic", func(_ context.Context, s string) (string, error) { panic(s + "\xff") }),
		activity("Kind", func(_ context.Context, s string) (string, error) {
			return "", &pawl.Error{Kind: pawl.ErrorKind("kind " + s), Message: s, Details: map[string]string{s: s}}
		}),
		orchestration("Fail", func(o *pawl.Context, s string) (string, error) {
			_, err1 := pawl.ActivityByName[string](o, "Fail", s).Await()
			_, err2 := pawl.ActivityByName[string](o, "Panic", s).Await()
			_, err3 := pawl.ActivityByName[string](o, "Kind", s).Await()
			if err1 == nil || !errors.Is(err2, pawl.ErrPanic) || !errors.Is(err3, pawl.ErrorKind("kind "+s)) {
				return "", fmt.Errorf("errors were lost: %v, %v, %v", err1, err2, err3)
			}
			return "", errors.Join(err1, err2, err3)
		}))
	for i, text := range texts {
		_, err := begin[string](w, app, "Fail", text, fmt.Sprint("fail ", i)).Result(w.ctx)
		details, ok := pawl.Details[map[string]string](err)
		if !errors.Is(err, pawl.ErrPanic) || !errors.Is(err, pawl.ErrorKind("kind "+text)) || !ok || details[text] != text {
			w.Errorf("%q: error %v, details %q", text, err, details)
		}
	}
}

func oddReasons(w *world) {
	app := w.app(&pawl.Options{CacheBytes: -1}, orchestration("Wait", func(o *pawl.Context, _ struct{}) (string, error) {
		return pawl.Event[string](o, "never").Await()
	}))
	for i, text := range texts {
		ids := []string{fmt.Sprint("cancel ", i), fmt.Sprint("terminate ", i), fmt.Sprint("suspend ", i)}
		runs := map[string]*pawl.Run[string]{}
		for _, id := range ids {
			runs[id] = begin[string](w, app, "Wait", struct{}{}, id)
		}
		errs := []error{app.Cancel(w.ctx, ids[0], text), app.Terminate(w.ctx, ids[1], text, nil), app.Suspend(w.ctx, ids[2], text)}
		for n, want := range []error{pawl.ErrCancelled, pawl.ErrTerminated} {
			if errors.Is(errs[n], pawl.ErrInvalid) { // said so, instead of failing later
				continue
			}
			if errs[n] != nil {
				w.Errorf("%s because of %q: %v", ids[n], text, errs[n])
				continue
			}
			// As in the texts of errors, what databases do not take is replaced.
			if err := expectError(w, runs[ids[n]], want); !strings.Contains(err.Error(), strings.ReplaceAll(text, "\x00", "\ufffd")) {
				w.Errorf("%s because of %q: %v", ids[n], text, err)
			}
		}
		if err := errs[2]; err != nil && !errors.Is(err, pawl.ErrInvalid) {
			w.Errorf("suspend because of %q: %v", text, err)
		}
	}
}

func largeValues(w *world) {
	large := strings.Repeat("large ", 200_000)
	app := w.app(nil, activity("Echo", func(_ context.Context, s string) (string, error) { return s, nil }),
		orchestration("Large", func(o *pawl.Context, s string) (string, error) {
			echo, err := pawl.ActivityByName[string](o, "Echo", s).Await()
			if err != nil {
				return "", err
			}
			event, err := pawl.Event[string](o, "large").Await()
			if event != echo {
				return "", errors.New("the event is not the activity's result")
			}
			return event, err
		}))
	run := begin[string](w, app, "Large", large, "large")
	w.tell(app, "large", "large", large)
	got, err := run.Result(w.ctx)
	if err != nil || got != large {
		w.Errorf("%d bytes of %d, error %v", len(got), len(large), err)
	}
}

func startRace(w *world) {
	wait := orchestration("Wait", func(o *pawl.Context, _ int) (string, error) { return pawl.Event[string](o, "end").Await() })
	apps := []*pawl.App{w.app(nil, wait), w.app(nil, wait), w.app(nil)}
	var started, refused atomic.Int32
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			_, err := pawl.StartByName[string](w.ctx, apps[i%3], "Wait", i, &pawl.StartOptions{InstanceID: "wanted"})
			switch {
			case err == nil:
				started.Add(1)
			case errors.Is(err, pawl.ErrAlreadyExists):
				refused.Add(1)
			default:
				w.Errorf("start: %v", err)
			}
		})
	}
	all.Wait()
	check(w, "starts", started.Load(), 1)
	check(w, "refusals", refused.Load(), 29)
	w.tell(apps[2], "wanted", "end", "well")
	run, err := pawl.Attach[string](apps[2], "wanted")
	if err != nil {
		w.Fatal(err)
	}
	expect(w, run, "well")
}

func replaceRace(w *world) {
	wait := orchestration("Wait", func(o *pawl.Context, n int) (int, error) {
		_, err := pawl.Event[string](o, "end").Await()
		return n, err
	})
	apps := []*pawl.App{w.app(nil, wait), w.app(nil, wait)}
	runs := make([]*pawl.Run[int], 8)
	var all sync.WaitGroup
	for i := range runs {
		all.Go(func() {
			run, err := pawl.StartByName[int](w.ctx, apps[i%2], "Wait", i, &pawl.StartOptions{InstanceID: "wanted", Reuse: pawl.ReuseTerminate})
			if err != nil {
				w.Errorf("start: %v", err)
			}
			runs[i] = run
		})
	}
	all.Wait()
	if w.Failed() {
		return
	}
	w.tell(apps[0], "wanted", "end", "")
	won := 0
	for i, run := range runs {
		got, err := run.Result(w.ctx)
		switch {
		case err == nil && got == i:
			won++
		case !errors.Is(err, pawl.ErrNotFound) && !errors.Is(err, pawl.ErrTerminated):
			w.Errorf("result of start %d: %d, %v", i, got, err)
		}
	}
	check(w, "starts that stayed", won, 1)
}

func refused(w *world) {
	app := w.app(nil, orchestration("Nothing", func(*pawl.Context, string) (string, error) { return "", nil }))
	for _, id := range []string{"a\x00b", "\xff", strings.Repeat("x", 256)} {
		if _, err := pawl.StartByName[string](w.ctx, app, "Nothing", "", &pawl.StartOptions{InstanceID: id}); !errors.Is(err, pawl.ErrInvalid) {
			w.Errorf("start of %.20q: %v", id, err)
		}
		if _, err := pawl.StartByName[string](w.ctx, app, id, "", nil); !errors.Is(err, pawl.ErrInvalid) {
			w.Errorf("start of orchestration %.20q: %v", id, err)
		}
		if err := pawl.Raise(w.ctx, app, "nobody", id, nil, nil); !errors.Is(err, pawl.ErrInvalid) {
			w.Errorf("raise %.20q: %v", id, err)
		}
		for call, err := range callsOn(w, app, id) {
			if !errors.Is(err, pawl.ErrInvalid) && !errors.Is(err, pawl.ErrNotFound) {
				w.Errorf("%s %.20q: %v", call, id, err)
			}
		}
	}
	if _, err := pawl.StartByName[string](w.ctx, app, "Nothing", func() {}, &pawl.StartOptions{InstanceID: "unencodable"}); !errors.Is(err, pawl.ErrBadPayload) {
		w.Errorf("start with a function: %v", err)
	}
	if _, err := app.Describe(w.ctx, "unencodable"); !errors.Is(err, pawl.ErrNotFound) {
		w.Errorf("something was left: %v", err)
	}
}

// callsOn makes each call that names an instance.
func callsOn(w *world, app *pawl.App, id string) map[string]error {
	errs := map[string]error{
		"cancel":    app.Cancel(w.ctx, id, ""),
		"terminate": app.Terminate(w.ctx, id, "", nil),
		"suspend":   app.Suspend(w.ctx, id, ""),
		"resume":    app.Resume(w.ctx, id),
		"raise":     pawl.Raise(w.ctx, app, id, "event", nil, nil),
	}
	_, errs["describe"] = app.Describe(w.ctx, id)
	_, errs["read values"] = app.ReadValues(w.ctx, id)
	_, _, errs["read value"] = pawl.ReadValue[string](w.ctx, app, id, "key")
	_, _, errs["custom status"] = pawl.CustomStatus[string](w.ctx, app, id)
	_, _, errs["wait for status"] = pawl.WaitForStatus[string](w.ctx, app, id, 0)
	_, errs["query"] = pawl.Query[string](w.ctx, app, id, "query", nil)
	_, errs["update"] = pawl.Update[string](w.ctx, app, id, "update", nil, nil)
	run, err := pawl.Attach[string](app, id)
	if errs["attach"] = err; err == nil {
		_, errs["result"] = run.Result(w.ctx)
	}
	return errs
}

func badNeighbour(w *world) {
	app := w.app(nil, orchestration("Wait", func(o *pawl.Context, _ struct{}) (string, error) {
		if err := pawl.SetValue(o, "key", "value"); err != nil {
			return "", err
		}
		_, err := pawl.Event[string](o, "end").Await()
		return "", errors.Join(err, pawl.SetCustomStatus(o, "end"))
	}))
	run := begin[string](w, app, "Wait", struct{}{}, "neighbour")
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			if _, err := app.Describe(w.ctx, "\xff"); err == nil {
				w.Error("described what cannot be")
			}
			if _, _, err := pawl.WaitForStatus[string](w.ctx, app, "\xff", 0); err == nil {
				w.Error("waited for what cannot be")
			}
		})
		all.Go(func() {
			if _, err := app.Describe(w.ctx, "neighbour"); err != nil {
				w.Errorf("describe: %v", err)
			}
			if value, _, err := pawl.ReadValue[string](w.ctx, app, "neighbour", "key"); value != "value" {
				w.Errorf("value %q, %v", value, err)
			}
			if status, _, err := pawl.WaitForStatus[string](w.ctx, app, "neighbour", 0); status != "end" {
				w.Errorf("status %q, %v", status, err)
			}
		})
	}
	w.tell(app, "neighbour", "end", "")
	all.Wait()
	expect(w, run, "")
}
