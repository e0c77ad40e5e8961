package ancestor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/pawlrun/pawl"
)

func greet(_ context.Context, name string) (string, error) { return "Hello, " + name + "!", nil }

func helloWorld(w *world) {
	app := w.app(nil, activity("Hello", greet), orchestration("HelloWorld", func(o *pawl.Context, name string) (string, error) {
		o.Logger().Info("before the first")
		if _, err := pawl.ActivityByName[string](o, "Hello", "Rust").Await(); err != nil {
			return "", err
		}
		o.Logger().Info("before the second")
		return pawl.ActivityByName[string](o, "Hello", name).Await()
	}))
	expect(w, begin[string](w, app, "HelloWorld", "World", "hello"), "Hello, World!")
	// Whoever comes later, from another process, finds the same.
	elsewhere, err := pawl.Attach[string](w.app(nil), "hello")
	if err != nil {
		w.Fatal(err)
	}
	expect(w, elsewhere, "Hello, World!")
}

func controlFlow(w *world) {
	app := w.app(nil,
		activity("GetFlag", func(_ context.Context, flag string) (string, error) { return flag, nil }),
		activity("SayYes", func(context.Context, struct{}) (string, error) { return "picked yes", nil }),
		activity("SayNo", func(context.Context, struct{}) (string, error) { return "picked no", nil }),
		orchestration("Branch", func(o *pawl.Context, flag string) (string, error) {
			answer, err := pawl.ActivityByName[string](o, "GetFlag", flag).Await()
			if err != nil {
				return "", err
			}
			if answer == "yes" {
				return pawl.ActivityByName[string](o, "SayYes", struct{}{}).Await()
			}
			return pawl.ActivityByName[string](o, "SayNo", struct{}{}).Await()
		}))
	expect(w, begin[string](w, app, "Branch", "yes", "branch-yes"), "picked yes")
	expect(w, begin[string](w, app, "Branch", "no", "branch-no"), "picked no")
}

func loop(w *world) {
	var log journal
	// Without a cache every turn replays the ones before it.
	app := w.app(&pawl.Options{CacheBytes: -1, Logger: log.logger(slog.LevelInfo)},
		activity("Append", func(_ context.Context, s string) (string, error) { return s + "x", nil }),
		orchestration("Loop", func(o *pawl.Context, acc string) (string, error) {
			for i := range 3 {
				longer, err := pawl.ActivityByName[string](o, "Append", acc).Await()
				if err != nil {
					return "", err
				}
				acc = longer
				o.Logger().Info("appended", "round", i)
				// A wait in which the instance is not in memory.
				if _, err := pawl.Event[string](o, "next").Await(); err != nil {
					return "", err
				}
			}
			return acc, nil
		}))
	run := begin[string](w, app, "Loop", "start", "loop")
	for range 3 {
		w.tell(app, "loop", "next", "")
	}
	expect(w, run, "startxxx")
	for i := range 3 {
		lines := 0
		for _, line := range log.all() {
			if strings.Contains(line, "msg=appended") && strings.Contains(line, fmt.Sprintf("round=%d", i)) {
				lines++
				if !strings.Contains(line, "loop") {
					w.Errorf("a line of the orchestration does not name its instance: %s", line)
				}
			}
		}
		check(w, fmt.Sprintf("log lines of round %d", i), lines, 1)
	}
}

func compensation(w *world) {
	app := w.app(nil,
		activity("Fragile", func(_ context.Context, in string) (string, error) {
			if in == "bad" {
				return "", errors.New("boom")
			}
			return "ok", nil
		}),
		activity("Recover", func(context.Context, struct{}) (string, error) { return "recovered", nil }),
		orchestration("Guarded", func(o *pawl.Context, in string) (string, error) {
			answer, err := pawl.ActivityByName[string](o, "Fragile", in).Await()
			var failed *pawl.ActivityError
			if errors.As(err, &failed) && failed.Activity == "Fragile" && strings.Contains(err.Error(), "boom") {
				return pawl.ActivityByName[string](o, "Recover", struct{}{}).Await()
			}
			return answer, err
		}))
	expect(w, begin[string](w, app, "Guarded", "bad", "bad"), "recovered")
	expect(w, begin[string](w, app, "Guarded", "good", "good"), "ok")
}

func timerRace(w *world) {
	withdrawn := make(chan error, 1)
	app := w.app(nil,
		activity("Long", func(ctx context.Context, _ struct{}) (string, error) {
			<-ctx.Done()
			withdrawn <- context.Cause(ctx)
			return "too late", nil
		}),
		orchestration("Race", func(o *pawl.Context, _ struct{}) (string, error) {
			long, timer := pawl.ActivityByName[string](o, "Long", struct{}{}), pawl.Timer(o, 50*time.Millisecond)
			first, err := pawl.Select(long, timer)
			if err != nil || first != 1 {
				return "", fmt.Errorf("winner %d, %w", first, err)
			}
			long.Cancel("the timer was first")
			_, err = long.Await()
			var cancelled *pawl.CancelledError
			if !errors.As(err, &cancelled) || cancelled.Reason != "the timer was first" {
				return "", fmt.Errorf("the loser has another error: %w", err)
			}
			return "timeout", nil
		}))
	expect(w, begin[string](w, app, "Race", struct{}{}, "race"), "timeout")
	if cause := receive(w, "the activity is told", withdrawn); !errors.Is(cause, pawl.ErrCancelled) {
		w.Errorf("the activity was told %v", cause)
	}
}

func activityAgainstEvent(w *world) {
	proceed := make(chan struct{})
	app := w.app(nil,
		activity("Work", func(ctx context.Context, patient bool) (string, error) {
			if patient {
				select {
				case <-proceed:
				case <-ctx.Done():
				}
			}
			return "worked", nil
		}),
		orchestration("Race", func(o *pawl.Context, patient bool) (string, error) {
			work, event := pawl.ActivityByName[string](o, "Work", patient), pawl.Event[string](o, "go")
			first, err := pawl.Select(work, event)
			if err != nil {
				return "", err
			}
			answer, err := []*pawl.Future[string]{work, event}[first].Await()
			return fmt.Sprint(first, " ", answer), err
		}))
	expect(w, begin[string](w, app, "Race", false, "activity-first"), "0 worked")
	run := begin[string](w, app, "Race", true, "event-first")
	w.tell(app, "event-first", "go", "raised")
	expect(w, run, "1 raised")
	close(proceed)
}

func fanOutGreetings(w *world) {
	app := w.app(nil, activity("Greetings", greet), orchestration("FanOut", func(o *pawl.Context, _ struct{}) (string, error) {
		a := pawl.ActivityByName[string](o, "Greetings", "Gabbar")
		b := pawl.ActivityByName[string](o, "Greetings", "Samba")
		both, err := pawl.All(b, a) // in the order of the arguments
		return strings.Join(both, " "), err
	}))
	expect(w, begin[string](w, app, "FanOut", struct{}{}, "fan-out"), "Hello, Samba! Hello, Gabbar!")
}

func timeAndIDs(w *world) {
	type facts struct {
		At       time.Time
		ID, ID2  string
		Later    time.Time
		Replayed bool
	}
	app := w.app(&pawl.Options{CacheBytes: -1}, orchestration("Facts", func(o *pawl.Context, _ struct{}) (facts, error) {
		f := facts{At: o.Now(), ID: o.NewID(), ID2: o.NewID()}
		if err := pawl.SetCustomStatus(o, f); err != nil {
			return f, err
		}
		if _, err := pawl.Event[string](o, "next").Await(); err != nil {
			return f, err
		}
		f.Later = o.Now()
		return f, nil
	}))
	began := time.Now()
	run := begin[facts](w, app, "Facts", struct{}{}, "facts")
	shown, _, err := pawl.WaitForStatus[facts](w.ctx, app, "facts", 0)
	if err != nil {
		w.Fatal(err)
	}
	w.tell(app, "facts", "next", "")
	got, err := run.Result(w.ctx)
	if err != nil {
		w.Fatal(err)
	}
	if !got.At.Equal(shown.At) || got.ID != shown.ID || got.ID2 != shown.ID2 {
		w.Errorf("before the replay %+v, after it %+v", shown, got)
	}
	if got.ID == got.ID2 || len(got.ID) != 32 {
		w.Errorf("ids %q and %q", got.ID, got.ID2)
	}
	if got.Later.Before(got.At) || got.At.Sub(began).Abs() > time.Hour {
		w.Errorf("began %v, first turn %v, last turn %v", began, got.At, got.Later)
	}
	other, err := begin[facts](w, app, "Facts", struct{}{}, "other"), error(nil)
	w.tell(app, "other", "next", "")
	differs, err2 := other.Result(w.ctx)
	if err := errors.Join(err, err2); err != nil || differs.ID == got.ID {
		w.Errorf("another instance has id %q as well, error %v", differs.ID, err)
	}
}

func statusPolling(w *world) {
	app := w.app(nil, orchestration("Wait", func(o *pawl.Context, _ struct{}) (string, error) {
		if err := pawl.SetCustomStatus(o, "waiting"); err != nil {
			return "", err
		}
		if _, err := pawl.Event[string](o, "end").Await(); err != nil {
			return "", err
		}
		return "done", pawl.SetCustomStatus(o, "ending")
	}))
	if _, err := app.Describe(w.ctx, "poll"); !errors.Is(err, pawl.ErrNotFound) {
		w.Errorf("before the start: %v", err)
	}
	run := begin[string](w, app, "Wait", struct{}{}, "poll")
	status, version, err := pawl.WaitForStatus[string](w.ctx, app, "poll", 0)
	if err != nil || status != "waiting" || version != 1 {
		w.Errorf("first status %q, version %d, error %v", status, version, err)
	}
	instance := w.describe(app, "poll")
	check(w, "status", instance.Status, "running")
	check(w, "name", instance.Name, "Wait")
	check(w, "end is unknown", instance.EndedAt.IsZero(), true)
	w.tell(app, "poll", "end", "")
	instance = w.ended(app, "poll")
	check(w, "status at the end", instance.Status, "completed")
	check(w, "custom status at the end", instance.CustomStatus, `"ending"`)
	check(w, "end is known", instance.EndedAt.Before(instance.CreatedAt), false)
	expect(w, run, "done")
	if status, version, err := pawl.WaitForStatus[string](w.ctx, app, "poll", version); err != nil || status != "ending" || version != 2 {
		w.Errorf("last status %q, version %d, error %v", status, version, err)
	}
	if _, _, err := pawl.WaitForStatus[string](w.ctx, app, "poll", 2); !errors.Is(err, pawl.ErrNotRunning) {
		w.Errorf("after the last status: %v", err)
	}
}
