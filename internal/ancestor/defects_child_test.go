package ancestor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/pawlrun/pawl"
)

func childIDTaken(w *world) {
	app := w.app(nil,
		orchestration("Wait", func(o *pawl.Context, _ struct{}) (string, error) { return pawl.Event[string](o, "end").Await() }),
		orchestration("Parent", func(o *pawl.Context, id string) (string, error) {
			_, err := pawl.SubOrchestrationByName[string](o, "Wait", struct{}{}, &pawl.ChildOptions{InstanceID: id}).Await()
			if !errors.Is(err, pawl.ErrAlreadyExists) {
				return "", fmt.Errorf("child %q: %w", id, err)
			}
			return "taken", nil
		}),
		orchestration("Twins", func(o *pawl.Context, id string) (string, error) {
			options := &pawl.ChildOptions{InstanceID: id}
			first := pawl.SubOrchestrationByName[string](o, "Wait", struct{}{}, options)
			second := pawl.SubOrchestrationByName[string](o, "Wait", struct{}{}, options)
			if _, err := second.Await(); !errors.Is(err, pawl.ErrAlreadyExists) {
				return "", fmt.Errorf("second twin: %w", err)
			}
			if err := pawl.SetCustomStatus(o, "second failed"); err != nil {
				return "", err
			}
			return first.Await()
		}))
	run := begin[string](w, app, "Wait", struct{}{}, "running")
	expect(w, begin[string](w, app, "Parent", "running", "parent of running"), "taken")
	w.tell(app, "running", "end", "unharmed")
	expect(w, run, "unharmed")
	expect(w, begin[string](w, app, "Parent", "running", "parent of ended"), "taken")
	expect(w, begin[string](w, app, "Parent", "myself", "myself"), "taken")

	twins := begin[string](w, app, "Twins", "twin", "twins")
	if _, _, err := pawl.WaitForStatus[string](w.ctx, app, "twins", 0); err != nil {
		w.Fatal(err)
	}
	w.tell(app, "twin", "end", "the first")
	expect(w, twins, "the first")
}

func childrenOverExecutions(w *world) {
	type state struct {
		Round, Sum int
	}
	w.app(nil, orchestration("Child", func(o *pawl.Context, s state) (int, error) {
		if s.Round < 2 {
			return 0, pawl.ContinueAsNew(state{s.Round + 1, s.Sum})
		}
		return s.Sum, nil
	}))
	app := w.app(nil, orchestration("Parent", func(o *pawl.Context, s state) (string, error) {
		for range 2 {
			n, err := pawl.SubOrchestrationByName[int](o, "Child", state{0, s.Round + 1}, nil).Await()
			if err != nil {
				return "", err
			}
			s.Sum += n
		}
		if s.Round++; s.Round < 4 {
			return "", pawl.ContinueAsNew(s)
		}
		return fmt.Sprintf("%d in execution %d", s.Sum, o.Execution()), nil
	}))
	var runs []*pawl.Run[string]
	for i := range 3 {
		runs = append(runs, begin[string](w, app, "Parent", state{}, fmt.Sprint("parent ", i)))
	}
	for _, run := range runs {
		expect(w, run, "20 in execution 4")
	}
}

// usurp answers with what it is given.
func usurp(_ *pawl.Context, answer string) (string, error) { return answer, nil }

func replaceBetweenExecutions(w *world) {
	const executions = 40
	app := w.app(nil, activity("Nothing", func(_ context.Context, n int) (int, error) { return n, nil }),
		orchestration("Roll", func(o *pawl.Context, n int) (string, error) {
			if n < executions {
				next, err := pawl.ActivityByName[int](o, "Nothing", n+1).Await()
				if err != nil {
					return "", err
				}
				return "", pawl.ContinueAsNew(next)
			}
			return pawl.Event[string](o, "end").Await()
		}),
		orchestration("Usurper", usurp))
	run := begin[string](w, app, "Roll", 1, "roll")
	w.eventually("all executions have been", func() bool {
		_, err := pawl.StartByName[string](w.ctx, app, "Usurper", "usurped", &pawl.StartOptions{InstanceID: "roll", Reuse: pawl.ReuseReplaceEnded})
		if !errors.Is(err, pawl.ErrAlreadyExists) {
			w.Fatalf("replaced while it ran: %v", err)
		}
		instance := w.describe(app, "roll")
		if instance.Status != "running" || !instance.EndedAt.IsZero() || instance.Name != "Roll" {
			w.Fatalf("between two executions: %+v", instance)
		}
		return instance.Execution == executions
	})
	w.tell(app, "roll", "end", "untouched")
	expect(w, run, "untouched")
	usurper, err := pawl.StartByName[string](w.ctx, app, "Usurper", "usurped", &pawl.StartOptions{InstanceID: "roll", Reuse: pawl.ReuseReplaceEnded})
	if err != nil {
		w.Fatalf("replacing what has ended: %v", err)
	}
	expect(w, usurper, "usurped")
	// A handle on the replaced one knows the result it has seen, and never that of the other.
	if result, err := run.Result(w.ctx); result == "usurped" || err != nil && !errors.Is(err, pawl.ErrNotFound) {
		w.Errorf("second result of a replaced instance: %q, %v", result, err)
	}
	replacedElsewhere(w, app)
}

// replacedElsewhere has an instance replaced by another process before its result is looked at in this one.
func replacedElsewhere(w *world, app *pawl.App) {
	elsewhere := w.app(nil, orchestration("Usurper", usurp))
	unread := begin[string](w, app, "Usurper", "first", "unread")
	w.ended(app, "unread")
	usurper, err := pawl.StartByName[string](w.ctx, elsewhere, "Usurper", "usurped again", &pawl.StartOptions{InstanceID: "unread", Reuse: pawl.ReuseReplaceEnded})
	if err != nil {
		w.Fatal(err)
	}
	expect(w, usurper, "usurped again")
	if result, err := unread.Result(w.ctx); result == "usurped again" || err != nil && !errors.Is(err, pawl.ErrNotFound) {
		w.Errorf("result of an instance that another process has replaced: %q, %v", result, err)
	}
	attached, err := pawl.Attach[string](app, "unread")
	if err != nil {
		w.Fatal(err)
	}
	expect(w, attached, "usurped again")
}

func quietCancellation(w *world) {
	var log journal
	options := func() *pawl.Options {
		o := patient()
		o.Logger = log.logger(slog.LevelWarn)
		return o
	}
	running, told := make(chan struct{}, 2), make(chan error, 2)
	work := func(answer string, err error) registration {
		return activity("Work "+answer, func(ctx context.Context, _ struct{}) (string, error) {
			running <- struct{}{}
			<-ctx.Done()
			told <- context.Cause(ctx)
			return answer, err
		})
	}
	worker := w.app(options(), work("remote", nil))
	app := w.app(options(), work("local", context.Canceled), orchestration("Cancel", func(o *pawl.Context, _ struct{}) (string, error) {
		local, remote := pawl.ActivityByName[string](o, "Work local", struct{}{}), pawl.ActivityByName[string](o, "Work remote", struct{}{})
		if _, err := pawl.Event[string](o, "enough").Await(); err != nil {
			return "", err
		}
		local.Cancel("enough")
		remote.Cancel("enough")
		_, err := pawl.All(local, remote)
		return fmt.Sprint(errors.Is(err, pawl.ErrCancelled)), nil
	}))
	run := begin[string](w, app, "Cancel", struct{}{}, "cancel")
	for range 2 {
		receive(w, "both activities run", running)
	}
	w.tell(app, "cancel", "enough", "")
	expect(w, run, "true")
	for range 2 {
		if cause := receive(w, "both activities are told", told); !errors.Is(cause, pawl.ErrCancelled) {
			w.Errorf("an activity was told %v", cause)
		}
	}
	w.stop(worker)
	w.stop(app)
	for _, line := range log.all() {
		w.Errorf("logged: %s", line)
	}
}

func largeVersions(w *world) {
	app := w.app(nil, version("1.999.0"), version("1.1000.0"), version("1.999.100000"), version("0.1.18446744073709551616"))
	expect(w, begin[string](w, app, "Versioned", "highest", "highest"), "highest@1.1000.0")
	for _, v := range []string{"1.999.0", "1.999.100000", "0.1.18446744073709551616"} {
		expect(w, beginWith[string](w, app, "Versioned", "asked", &pawl.StartOptions{InstanceID: v, Version: v}), "asked@"+v)
	}
	// Nobody runs, harms or fails what only a later build can run.
	run := beginWith[string](w, app, "Versioned", "future", &pawl.StartOptions{InstanceID: "future", Version: "2.0.0"})
	instance := w.describe(app, "future")
	check(w, "capable", instance.Capable, false)
	check(w, "status", instance.Status, "running")
	check(w, "parked", instance.Parked, "")
	w.app(nil, version("2.0.0"))
	expect(w, run, "future@2.0.0")
}

func childOfContinuedParent(w *world) {
	app := w.app(nil,
		orchestration("Child", func(o *pawl.Context, _ struct{}) (string, error) { return pawl.Event[string](o, "end").Await() }),
		orchestration("Parent", func(o *pawl.Context, again bool) (string, error) {
			if again {
				return "second execution", nil
			}
			pawl.SubOrchestrationByName[string](o, "Child", struct{}{}, &pawl.ChildOptions{InstanceID: "cancelled", ParentClose: pawl.CloseCancel})
			pawl.SubOrchestrationByName[string](o, "Child", struct{}{}, &pawl.ChildOptions{InstanceID: "abandoned"})
			if _, err := pawl.Event[string](o, "roll").Await(); err != nil {
				return "", err
			}
			return "", pawl.ContinueAsNew(true)
		}))
	run := begin[string](w, app, "Parent", false, "parent")
	w.tell(app, "parent", "roll", "")
	expect(w, run, "second execution")
	check(w, "status of the child to be cancelled", w.ended(app, "cancelled").Status, "cancelled")
	w.tell(app, "abandoned", "end", "went on")
	child, err := pawl.Attach[string](app, "abandoned")
	if err != nil {
		w.Fatal(err)
	}
	expect(w, child, "went on")
}

func cleanUp(w *world) {
	var refunds atomic.Int32
	app := w.app(&pawl.Options{CacheBytes: -1},
		activity("Refund", func(context.Context, struct{}) (string, error) { refunds.Add(1); return "refunded", nil }),
		orchestration("Order", func(o *pawl.Context, _ struct{}) (string, error) {
			_, err := pawl.Event[string](o, "paid").Await()
			if !errors.Is(err, pawl.ErrCancelled) {
				return "paid", err
			}
			if _, refused := pawl.ActivityByName[string](o, "Refund", struct{}{}).Await(); !errors.Is(refused, pawl.ErrCancelled) {
				return "", fmt.Errorf("begun although cancelled: %w", refused)
			}
			status, refundErr := pawl.ActivityByName[string](pawl.Detached(o), "Refund", struct{}{}).Await()
			return "", errors.Join(err, refundErr, pawl.SetCustomStatus(o, status))
		}))
	run := begin[string](w, app, "Order", struct{}{}, "order")
	for range 2 { // a repeat changes nothing
		if err := app.Cancel(w.ctx, "order", "no money"); err != nil && !errors.Is(err, pawl.ErrNotRunning) {
			w.Fatal(err)
		}
	}
	err := expectError(w, run, pawl.ErrCancelled)
	var cancelled *pawl.CancelledError
	if !errors.As(err, &cancelled) || cancelled.Reason != "no money" {
		w.Errorf("no reason in %v", err)
	}
	check(w, "refunds", refunds.Load(), 1)
	instance := w.describe(app, "order")
	check(w, "status", instance.Status, "cancelled")
	check(w, "custom status", instance.CustomStatus, `"refunded"`)
}

func childOverLimit(w *world) {
	limited := &pawl.Options{Limits: pawl.Limits{PayloadBytes: 10_000, HistoryEvents: 40, TurnEvents: 25, TurnBytes: 20_000, StatusBytes: 100}}
	long := strings.Repeat("x", 10_001)
	children := map[string]pawl.OrchestrationFunc[struct{}, string]{
		"Result": func(*pawl.Context, struct{}) (string, error) { return long, nil },
		"Status": func(o *pawl.Context, _ struct{}) (string, error) { return "", pawl.SetCustomStatus(o, long) },
		"Activity": func(o *pawl.Context, _ struct{}) (string, error) {
			return pawl.ActivityByName[string](o, "Echo", long).Await()
		},
		"Answer": func(o *pawl.Context, _ struct{}) (string, error) {
			return pawl.ActivityByName[string](o, "Long", 0).Await()
		},
		"Next": func(*pawl.Context, struct{}) (string, error) { return "", pawl.ContinueAsNew(long) },
		"History": func(o *pawl.Context, _ struct{}) (string, error) {
			for {
				if _, err := pawl.ActivityByName[string](o, "Echo", "").Await(); err != nil {
					return "", err
				}
			}
		},
		"Turn": func(o *pawl.Context, _ struct{}) (string, error) {
			var all []*pawl.Future[string]
			for range 30 {
				all = append(all, pawl.ActivityByName[string](o, "Echo", ""))
			}
			_, err := pawl.All(all...)
			return "", err
		},
		"Bytes": func(o *pawl.Context, _ struct{}) (string, error) {
			var all []*pawl.Future[string]
			for range 4 {
				all = append(all, pawl.ActivityByName[string](o, "Echo", long[:8000]))
			}
			_, err := pawl.All(all...)
			return "", err
		},
		"Grandchild": func(o *pawl.Context, _ struct{}) (string, error) {
			return pawl.SubOrchestrationByName[string](o, "Result", struct{}{}, nil).Await()
		},
	}
	registrations := []registration{activity("Echo", func(_ context.Context, s string) (string, error) { return s, nil }),
		activity("Long", func(context.Context, int) (string, error) { return long, nil }),
		orchestration("Panic", func(*pawl.Context, struct{}) (string, error) { panic("no limit at all") }),
		orchestration("Parent", func(o *pawl.Context, name string) (string, error) {
			return pawl.SubOrchestrationByName[string](o, name, struct{}{}, nil).Await()
		})}
	for name, child := range children {
		registrations = append(registrations, orchestration(name, child))
	}
	app := w.app(limited, registrations...)
	runs := map[string]*pawl.Run[string]{}
	for name := range children {
		runs[name] = begin[string](w, app, "Parent", name, "parent of "+name)
	}
	for name, run := range runs {
		err := expectError(w, run, pawl.ErrLimit)
		var limit *pawl.LimitError
		if !errors.As(err, &limit) || limit.Size <= limit.Limit || !strings.HasPrefix(limit.Option, "Limits.") {
			w.Errorf("%s: the limit is not told: %v", name, err)
		}
	}
	expectError(w, begin[string](w, app, "Parent", "Panic", "parent of panic"), pawl.ErrPanic)
}
