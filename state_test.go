package pawl_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pawlrun/pawl"
)

type progress struct {
	Done, Of int
}

// load does so many steps, each when an event says so, and shows how far it is.
func load(o *pawl.Context, p progress) (string, error) {
	for p.Done < p.Of {
		if err := errors.Join(pawl.SetCustomStatus(o, progress{-1, -1}), pawl.SetCustomStatus(o, p)); err != nil {
			return "", err
		}
		if _, err := pawl.Event[string](o, "step").Await(); err != nil {
			return "", err
		}
		p.Done++
		if p.Done == 2 {
			return "", pawl.ContinueAsNew(p)
		}
	}
	return "loaded", nil
}

func statusFollowed(w *world) {
	w.app(nil, orchestration(load))
	client := w.app(nil)
	if _, _, err := pawl.CustomStatus[progress](w.ctx, client, "l"); !errors.Is(err, pawl.ErrNotFound) {
		w.Errorf("status of nobody: %v", err)
	}
	if _, _, err := pawl.WaitForStatus[progress](w.ctx, client, "l", 0); !errors.Is(err, pawl.ErrNotFound) {
		w.Errorf("wait for the status of nobody: %v", err)
	}
	run := start(w, client, load, progress{0, 4}, "l")
	version := int64(0)
	for done := range 4 {
		p, v, err := pawl.WaitForStatus[progress](w.ctx, client, "l", version)
		if err != nil || v <= version || p != (progress{done, 4}) {
			w.Fatalf("status %+v in version %d, %v; want %d done", p, v, err, done)
		}
		version = v
		if now, v, err := pawl.CustomStatus[progress](w.ctx, client, "l"); err != nil || v != version || now != p {
			w.Fatalf("status %+v in version %d, %v", now, v, err)
		}
		w.raise(client, "l", "step", "go")
	}
	if version != 4 { // one a turn
		w.Errorf("version %d", version)
	}
	if _, v, err := pawl.WaitForStatus[progress](w.ctx, client, "l", version); !errors.Is(err, pawl.ErrNotRunning) || v != version {
		w.Errorf("wait after the last: version %d, %v", v, err)
	}
	result(w, run)
	if p, v, err := pawl.WaitForStatus[progress](w.ctx, client, "l", 0); err != nil || v != 4 || p != (progress{3, 4}) {
		w.Errorf("status after the end: %+v, %d, %v", p, v, err)
	}
	in, err := client.Describe(w.ctx, "l")
	if err != nil || in.StatusVersion != 4 || in.CustomStatus != `{"Done":3,"Of":4}` {
		w.Errorf("%+v, %v", in, err)
	}
	if _, _, err := pawl.CustomStatus[string](w.ctx, client, "l"); !errors.Is(err, pawl.ErrBadPayload) {
		w.Errorf("status of another type: %v", err)
	}
	waitInVain := func(o *pawl.Context, _ string) (string, error) { return pawl.Event[string](o, "end").Await() }
	app := w.app(nil, orchestration(waitInVain, pawl.Name("mute")))
	if _, err := pawl.StartByName[string](w.ctx, app, "mute", "", &pawl.StartOptions{InstanceID: "mute"}); err != nil {
		w.Fatal(err)
	}
	short, cancel := context.WithTimeout(w.ctx, w.short())
	defer cancel()
	if _, _, err := pawl.WaitForStatus[string](short, app, "mute", 0); !errors.Is(err, context.DeadlineExceeded) {
		w.Errorf("wait for what does not come: %v", err)
	}
	if s, v, err := pawl.CustomStatus[string](w.ctx, app, "mute"); s != "" || v != 0 || err != nil {
		w.Errorf("no status: %q, %d, %v", s, v, err)
	}
}

// stock keeps counts as values: each event sets, removes or ends.
func stock(o *pawl.Context, n int) (string, error) {
	for {
		cmd, err := pawl.Event[string](o, "cmd").Await()
		if err != nil {
			return "", err
		}
		key, value, _ := strings.Cut(cmd, "=")
		switch {
		case key == "end":
			return "ended", nil
		case key == "again":
			return "", pawl.ContinueAsNew(n)
		case value == "":
			pawl.DeleteValue(o, key)
		default:
			if err := pawl.SetValue(o, key, progress{Done: len(value)}); err != nil {
				return "", err
			}
			got, ok, err := pawl.Value[progress](o, key)
			if err != nil || !ok || got.Done != len(value) {
				return "", fmt.Errorf("value %s is %v, %v, %v", key, got, ok, err)
			}
		}
		n++
		if err := errors.Join(pawl.SetValue(o, "count", n), pawl.SetValue(o, "count again", n)); err != nil {
			return "", err
		}
		if again, ok, err := pawl.Value[int](o, "count again"); again != n || !ok || err != nil {
			return "", fmt.Errorf("count is %d, %v, %v", again, ok, err)
		}
	}
}

func valuesKept(w *world) {
	w.app(nil, orchestration(stock))
	client := w.app(nil)
	if _, err := client.ReadValues(w.ctx, "s"); !errors.Is(err, pawl.ErrNotFound) {
		w.Errorf("values of nobody: %v", err)
	}
	run := start(w, client, stock, 0, "s")
	if _, ok, err := pawl.ReadValue[int](w.ctx, client, "s", "count"); ok || err != nil {
		w.Errorf("value that is not set: %v, %v", ok, err)
	}
	counted := func(n int) {
		w.Helper()
		w.eventually(fmt.Sprint("count ", n), func() bool {
			values, err := client.ReadValues(w.ctx, "s")
			if err != nil {
				w.Fatal(err)
			}
			if string(values["count"]) != string(values["count again"]) {
				w.Fatalf("values of two turns: %s", values)
			}
			return string(values["count"]) == fmt.Sprint(n)
		})
	}
	w.raise(client, "s", "cmd", "a=x", "b=xx", "c=xxx", "b=")
	counted(4)
	w.raise(client, "s", "cmd", "again", "d=xxxx")
	counted(5)
	if got, ok, err := pawl.ReadValue[progress](w.ctx, client, "s", "d"); got.Done != 4 || !ok || err != nil {
		w.Errorf("d is %v, %v, %v", got, ok, err)
	}
	w.raise(client, "s", "cmd", "end")
	result(w, run)
	values, err := client.ReadValues(w.ctx, "s")
	want := map[string]string{"a": `{"Done":1,"Of":0}`, "c": `{"Done":3,"Of":0}`, "d": `{"Done":4,"Of":0}`, "count": "5", "count again": "5"}
	got := map[string]string{}
	for k, v := range values {
		got[k] = string(v)
	}
	if err != nil || !maps.Equal(got, want) {
		w.Errorf("values in the end: %v, %v", got, err)
	}
	some, err := client.ReadValues(w.ctx, "s", "a", "b", "nobody")
	if err != nil || len(some) != 1 || !json.Valid(some["a"]) {
		w.Errorf("some values: %s, %v", some, err)
	}
	if _, _, err := pawl.ReadValue[string](w.ctx, client, "s", "a"); !errors.Is(err, pawl.ErrBadPayload) {
		w.Errorf("value of another type: %v", err)
	}
}

// greedy tries what the limits forbid and returns what it was told.
func greedy(o *pawl.Context, _ string) ([]string, error) {
	var told []string
	try := func(err error) {
		var le *pawl.LimitError
		switch {
		case err == nil:
			told = append(told, "ok")
		case errors.As(err, &le) && errors.Is(err, pawl.ErrLimit):
			told = append(told, fmt.Sprintf("%s %q %d>%d %s", le.What, le.Key, le.Size, le.Limit, le.Option))
		default:
			told = append(told, err.Error())
		}
	}
	try(pawl.SetCustomStatus(o, strings.Repeat("x", 18)))
	try(pawl.SetCustomStatus(o, strings.Repeat("x", 19)))
	try(pawl.SetValue(o, "key4", strings.Repeat("x", 8)))
	try(pawl.SetValue(o, "key4", strings.Repeat("x", 9)))
	try(pawl.SetValue(o, "key-5", 1))
	try(pawl.SetValue(o, "k2", 1))
	try(pawl.SetValue(o, "k3", 1))
	try(pawl.SetValue(o, "k2", 2))
	pawl.DeleteValue(o, "k2")
	try(pawl.SetValue(o, "k3", 1))
	if _, err := pawl.Event[string](o, "end").Await(); err != nil {
		return nil, err
	}
	try(pawl.SetCustomStatus(o, strings.Repeat("x", 19)))
	return told, nil
}

// stateLimits: what a limit forbids has no effect and is forbidden in every replay, also by a process with other limits.
func stateLimits(w *world) {
	limits := pawl.Options{Limits: pawl.Limits{StatusBytes: 20, ValueBytes: 10, ValueKeyBytes: 4, Values: 2}}
	first := w.app(&limits, orchestration(greedy))
	start(w, first, greedy, "", "g")
	if s, v, err := pawl.CustomStatus[string](w.ctx, first, "g"); len(s) != 18 || v != 1 || err != nil {
		w.Errorf("status %q, %d, %v", s, v, err)
	}
	if err := first.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	second := w.app(nil, orchestration(greedy))
	w.raise(second, "g", "end", "")
	run, err := pawl.Attach[[]string](second, "g")
	if err != nil {
		w.Fatal(err)
	}
	want := []string{"ok", `custom status "" 21>20 Limits.StatusBytes`, "ok", `value "key4" 11>10 Limits.ValueBytes`,
		`key of value "key-5" 5>4 Limits.ValueKeyBytes`, "ok", `number of values "k3" 3>2 Limits.Values`, "ok", "ok", "ok"}
	if got := result(w, run); !slices.Equal(got, want) {
		w.Errorf("told %q\nwant %q", got, want)
	}
	values, err := second.ReadValues(w.ctx, "g")
	if err != nil || len(values) != 2 || string(values["key4"]) != `"xxxxxxxx"` || string(values["k3"]) != "1" {
		w.Errorf("values %s, %v", values, err)
	}
}

// stateTexts: what is set is read as it was, whatever characters it has.
func stateTexts(w *world) {
	const odd = "a\x00b\u2028<&>\"'\\ é \U0001F600"
	set := func(o *pawl.Context, key string) (string, error) {
		return "", errors.Join(pawl.SetCustomStatus(o, odd), pawl.SetValue(o, key, odd), pawl.SetValue(o, "null", nil))
	}
	const key = "schlüssel <&>\"'\\ \U0001F600"
	app := w.app(nil, orchestration(set, pawl.Name("set")))
	run, err := pawl.StartByName[string](w.ctx, app, "set", key, &pawl.StartOptions{InstanceID: "t"})
	if err != nil {
		w.Fatal(err)
	}
	result(w, run)
	if got, v, err := pawl.CustomStatus[string](w.ctx, app, "t"); got != odd || v != 1 || err != nil {
		w.Errorf("status %q, %d, %v", got, v, err)
	}
	if got, ok, err := pawl.ReadValue[string](w.ctx, app, "t", key); got != odd || !ok || err != nil {
		w.Errorf("value %q, %v, %v", got, ok, err)
	}
	if got, ok, err := pawl.ReadValue[*string](w.ctx, app, "t", "null"); got != nil || !ok || err != nil {
		w.Errorf("null %v, %v, %v", got, ok, err)
	}
	if values, err := app.ReadValues(w.ctx, "t"); err != nil || len(values) != 2 || string(values["null"]) != "null" {
		w.Errorf("values %s, %v", values, err)
	}
}

// short is a time that a test can wait for.
func (w *world) short() time.Duration { return 300 * time.Millisecond }
