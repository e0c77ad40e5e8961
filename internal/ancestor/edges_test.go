package ancestor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pawlrun/pawl"
)

// TestEdges are rules where the ancestors lose, hang or say nothing, as Pawl's documentation has them.
func TestEdges(t *testing.T) {
	t.Parallel()
	onEveryStore(t, []tale{
		{"an event before its wait is kept, over executions too", earlyEvent},
		{"a cancelled wait leaves the event to the next", cancelledWait},
		{"a raise that is repeated is taken once", repeatedRaise},
		{"a cancellation before the first turn is seen in it", cancelBeforeBegin},
		{"a cancellation is carried over continue-as-new", cancelOverRoll},
		{"who ignores a cancellation may complete", cancelIgnored},
		{"a cancellation reaches grandchildren and comes back", cancelGrandchild},
		{"termination needs no worker and reaches the parent", terminateChild},
		{"a thousand activities fan in", largeFanIn},
		{"what nobody has registered waits", unregistered},
		{"an activity of an ended instance is told", activityOfEnded},
		{"timers may be zero or negative", zeroTimers},
		{"select prefers the earlier argument", selectOrder},
		{"a panicking orchestration fails with its stack", panicking},
		{"a suspended instance loses nothing", suspended},
		{"a result comes from outside", resultFromOutside},
		{"an update races continue-as-new and is done once", updateOverRolls},
		{"a failed future does not hide the others", failedAmongMany},
	})
}

func earlyEvent(w *world) {
	app := w.app(&pawl.Options{CacheBytes: -1}, orchestration("Late", func(o *pawl.Context, n int) (string, error) {
		if _, err := pawl.Event[string](o, "go").Await(); err != nil {
			return "", err
		}
		if n < 2 {
			return "", pawl.ContinueAsNew(n + 1)
		}
		return pawl.Event[string](o, "early").Await()
	}))
	run := begin[string](w, app, "Late", 0, "late")
	w.tell(app, "late", "early", "was kept")
	for range 3 {
		w.tell(app, "late", "go", "")
	}
	expect(w, run, "was kept")
}

func cancelledWait(w *world) {
	app := w.app(&pawl.Options{CacheBytes: -1}, orchestration("Wait", func(o *pawl.Context, _ struct{}) (string, error) {
		first, second, third := pawl.Event[int](o, "n"), pawl.Event[int](o, "n"), pawl.Event[int](o, "n")
		if err := pawl.Sleep(o, time.Millisecond); err != nil {
			return "", err
		}
		second.Cancel("not needed")
		if err := pawl.SetCustomStatus(o, "waiting"); err != nil {
			return "", err
		}
		a, err1 := first.Await()
		_, err2 := second.Await()
		c, err3 := third.Await()
		d, err4 := pawl.Event[int](o, "n").Await()
		return fmt.Sprint(a, c, d, errors.Is(err2, pawl.ErrCancelled)), errors.Join(err1, err3, err4)
	}))
	run := begin[string](w, app, "Wait", struct{}{}, "wait")
	if _, _, err := pawl.WaitForStatus[string](w.ctx, app, "wait", 0); err != nil {
		w.Fatal(err)
	}
	for n := range 3 {
		w.tell(app, "wait", "n", n+1)
	}
	expect(w, run, "1 2 3 true")
}

func repeatedRaise(w *world) {
	app := w.app(nil, orchestration("Sum", func(o *pawl.Context, sum int) (int, error) {
		n, err := pawl.Event[int](o, "n").Await()
		if err != nil || n == 0 {
			return sum, err
		}
		return 0, pawl.ContinueAsNew(sum + n)
	}))
	run := begin[int](w, app, "Sum", 0, "sum")
	for range 3 {
		for _, n := range []int{1, 10} {
			if err := pawl.Raise(w.ctx, app, "sum", "n", n, &pawl.RaiseOptions{MessageID: fmt.Sprint("message ", n)}); err != nil {
				w.Fatal(err)
			}
		}
	}
	w.tell(app, "sum", "n", 0)
	expect(w, run, 11)
}

func cancelBeforeBegin(w *world) {
	client := w.app(nil)
	run := begin[string](w, client, "Later", struct{}{}, "later")
	for _, reason := range []string{"the first reason", "another reason"} {
		if err := client.Cancel(w.ctx, "later", reason); err != nil {
			w.Fatal(err)
		}
	}
	seen := make(chan string, 10)
	w.app(nil, activity("Nothing", greet), orchestration("Later", func(o *pawl.Context, _ struct{}) (string, error) {
		seen <- fmt.Sprint(o.Err())
		return pawl.ActivityByName[string](o, "Nothing", "x").Await()
	}))
	err := expectError(w, run, pawl.ErrCancelled)
	if !strings.Contains(err.Error(), "the first reason") {
		w.Errorf("the error has another reason: %v", err)
	}
	if first := receive(w, "the code runs", seen); !strings.Contains(first, "the first reason") {
		w.Errorf("the code began with %s", first)
	}
	check(w, "status", w.describe(client, "later").Status, "cancelled")
}

func cancelOverRoll(w *world) {
	app := w.app(&pawl.Options{CacheBytes: -1}, orchestration("Roll", func(o *pawl.Context, n int) (string, error) {
		if n > 0 {
			_, err := pawl.Timer(o, time.Hour).Await()
			return fmt.Sprint("execution ", o.Execution()), err
		}
		_, err := pawl.Event[string](o, "never").Await()
		if !errors.Is(err, pawl.ErrCancelled) {
			return "", fmt.Errorf("not cancelled: %w", err)
		}
		return "", pawl.ContinueAsNew(n + 1)
	}))
	run := begin[string](w, app, "Roll", 0, "roll")
	if err := app.Cancel(w.ctx, "roll", "enough"); err != nil {
		w.Fatal(err)
	}
	expectError(w, run, pawl.ErrCancelled)
	instance := w.describe(app, "roll")
	check(w, "executions", instance.Execution, 2)
	check(w, "status", instance.Status, "cancelled")
}

func cancelIgnored(w *world) {
	app := w.app(nil, orchestration("Stubborn", func(o *pawl.Context, _ struct{}) (string, error) {
		if _, err := pawl.Event[string](o, "never").Await(); !errors.Is(err, context.Canceled) {
			return "", fmt.Errorf("not cancelled: %w", err)
		}
		return pawl.Event[string](pawl.Detached(o), "all the same").Await()
	}))
	run := begin[string](w, app, "Stubborn", struct{}{}, "stubborn")
	if err := app.Cancel(w.ctx, "stubborn", ""); err != nil {
		w.Fatal(err)
	}
	w.tell(app, "stubborn", "all the same", "done")
	expect(w, run, "done")
	check(w, "status", w.describe(app, "stubborn").Status, "completed")
}

func cancelGrandchild(w *world) {
	leaves := make(chan struct{}, 1)
	app := w.app(&pawl.Options{CacheBytes: -1}, activity("Begun", func(context.Context, struct{}) (string, error) { leaves <- struct{}{}; return "", nil }),
		orchestration("Tree", func(o *pawl.Context, depth int) (string, error) {
			if depth > 0 {
				return pawl.SubOrchestrationByName[string](o, "Tree", depth-1, &pawl.ChildOptions{InstanceID: fmt.Sprint("depth ", depth-1)}).Await()
			}
			if _, err := pawl.ActivityByName[string](o, "Begun", struct{}{}).Await(); err != nil {
				return "", err
			}
			return pawl.Event[string](o, "never").Await()
		}))
	run := begin[string](w, app, "Tree", 3, "depth 3")
	receive(w, "the leaf begins", leaves)
	if err := app.Cancel(w.ctx, "depth 3", "felled"); err != nil {
		w.Fatal(err)
	}
	err := expectError(w, run, pawl.ErrCancelled)
	if !strings.Contains(err.Error(), "felled") {
		w.Errorf("no reason in %v", err)
	}
	for depth := range 4 {
		check(w, "status", w.describe(app, fmt.Sprint("depth ", depth)).Status, "cancelled")
	}
}

func terminateChild(w *world) {
	app := w.app(nil, orchestration("Parent", func(o *pawl.Context, _ struct{}) (string, error) {
		_, err := pawl.SubOrchestrationByName[string](o, "Nowhere", struct{}{}, &pawl.ChildOptions{InstanceID: "child"}).Await()
		if !errors.Is(err, pawl.ErrTerminated) || !strings.Contains(err.Error(), "nobody runs it") {
			return "", fmt.Errorf("not terminated: %w", err)
		}
		return "told", nil
	}))
	run := begin[string](w, app, "Parent", struct{}{}, "parent")
	w.eventually("the child exists", func() bool { _, err := app.Describe(w.ctx, "child"); return err == nil })
	if err := app.Terminate(w.ctx, "child", "nobody runs it", nil); err != nil {
		w.Fatal(err)
	}
	expect(w, run, "told")
	check(w, "status", w.describe(app, "child").Status, "terminated")
	if err := app.Terminate(w.ctx, "child", "again", nil); !errors.Is(err, pawl.ErrNotRunning) {
		w.Errorf("second termination: %v", err)
	}
}

func largeFanIn(w *world) {
	const count = 1100
	app := w.app(nil, activity("Square", func(_ context.Context, n int) (int, error) { return n * n, nil }),
		orchestration("FanIn", func(o *pawl.Context, _ struct{}) (int, error) {
			all := make([]*pawl.Future[int], count)
			for i := range all {
				all[i] = pawl.ActivityByName[int](o, "Square", i)
			}
			squares, err := pawl.All(all...)
			if err != nil {
				return 0, err
			}
			for i, square := range squares {
				if square != i*i {
					return 0, fmt.Errorf("result %d is %d", i, square)
				}
			}
			return len(squares), nil
		}))
	expect(w, begin[int](w, app, "FanIn", struct{}{}, "fan-in"), count)
}

func unregistered(w *world) {
	client := w.app(&pawl.Options{MaxAttempts: 1, CacheBytes: -1}, orchestration("Known", func(o *pawl.Context, _ struct{}) (string, error) {
		return pawl.ActivityByName[string](o, "Greet later", "World").Await()
	}))
	known := begin[string](w, client, "Known", struct{}{}, "known")
	unknown := begin[string](w, client, "Unknown", "x", "unknown")
	instance := w.describe(client, "unknown")
	check(w, "capable", instance.Capable, false)
	check(w, "status", instance.Status, "running")
	w.app(nil, activity("Greet later", greet), orchestration("Unknown", func(_ *pawl.Context, in string) (string, error) { return in, nil }))
	expect(w, known, "Hello, World!")
	expect(w, unknown, "x")
}

func activityOfEnded(w *world) {
	running, told := make(chan struct{}, 2), make(chan error, 2)
	work := activity("Work", func(ctx context.Context, _ struct{}) (string, error) {
		running <- struct{}{}
		<-ctx.Done()
		told <- context.Cause(ctx)
		return "", nil
	})
	wait := orchestration("Leave", func(o *pawl.Context, _ struct{}) (string, error) {
		pawl.ActivityByName[string](o, "Work", struct{}{})
		return pawl.Event[string](o, "end").Await()
	})
	w.app(nil, work)
	app := w.app(nil, wait)
	run := begin[string](w, app, "Leave", struct{}{}, "leave")
	begin[string](w, app, "Leave", struct{}{}, "terminated")
	for range 2 {
		receive(w, "both activities run", running)
	}
	w.tell(app, "leave", "end", "left")
	expect(w, run, "left")
	if err := app.Terminate(w.ctx, "terminated", "enough", nil); err != nil {
		w.Fatal(err)
	}
	for range 2 {
		if cause := receive(w, "both activities are told", told); !errors.Is(cause, pawl.ErrCancelled) {
			w.Errorf("an activity was told %v", cause)
		}
	}
}

func zeroTimers(w *world) {
	app := w.app(&pawl.Options{CacheBytes: -1}, orchestration("Timers", func(o *pawl.Context, _ struct{}) (string, error) {
		for _, d := range []time.Duration{0, -time.Hour, 1} {
			if err := pawl.Sleep(o, d); err != nil {
				return "", err
			}
		}
		return "awake", nil
	}))
	expect(w, begin[string](w, app, "Timers", struct{}{}, "timers"), "awake")
}

func selectOrder(w *world) {
	app := w.app(&pawl.Options{CacheBytes: -1}, orchestration("Order", func(o *pawl.Context, _ struct{}) (string, error) {
		a, b := pawl.Event[string](o, "a"), pawl.Event[string](o, "b")
		if err := pawl.Sleep(o, time.Millisecond); err != nil {
			return "", err
		}
		if _, err := pawl.Event[string](o, "both").Await(); err != nil {
			return "", err
		}
		first, err1 := pawl.Select(b, a)
		second, err2 := pawl.Select(a, b)
		return fmt.Sprint(first, second, a.Ready(), b.Ready()), errors.Join(err1, err2)
	}))
	run := begin[string](w, app, "Order", struct{}{}, "order")
	for _, event := range []string{"a", "b", "both"} {
		w.tell(app, "order", event, "")
	}
	expect(w, run, "0 0 true true")
}

func panicking(w *world) {
	app := w.app(nil, orchestration("Panic", func(o *pawl.Context, _ struct{}) (string, error) {
		if err := pawl.Sleep(o, time.Millisecond); err != nil {
			return "", err
		}
		nothing := []int{}
		return fmt.Sprint(nothing[len(nothing)]), nil
	}))
	err := expectError(w, begin[string](w, app, "Panic", struct{}{}, "panic"), pawl.ErrPanic)
	var failure *pawl.Failure
	if !errors.As(err, &failure) || !strings.Contains(failure.Stack, "edges_test.go") || !strings.Contains(err.Error(), "out of range") {
		w.Errorf("no stack in %+v", failure)
	}
}

func suspended(w *world) {
	app := w.app(&pawl.Options{CacheBytes: -1}, activity("Upper", upper), orchestration("Collect", func(o *pawl.Context, _ struct{}) (string, error) {
		answer, timer := pawl.ActivityByName[string](o, "Upper", "x"), pawl.Timer(o, 20*time.Millisecond)
		event, err := pawl.Event[string](o, "event").Await()
		if err != nil {
			return "", err
		}
		upper, err1 := answer.Await()
		_, err2 := timer.Await()
		return event + upper, errors.Join(err1, err2)
	}))
	run := begin[string](w, app, "Collect", struct{}{}, "collect")
	for _, reason := range []string{"maintenance", "another"} {
		if err := app.Suspend(w.ctx, "collect", reason); err != nil {
			w.Fatal(err)
		}
	}
	w.tell(app, "collect", "event", "y")
	if parked := w.describe(app, "collect").Parked; !strings.Contains(parked, "maintenance") {
		w.Errorf("parked because of %s", parked)
	}
	check(w, "status", w.describe(app, "collect").Status, "running")
	if err := app.Resume(w.ctx, "collect"); err != nil {
		w.Fatal(err)
	}
	expect(w, run, "yX")
	check(w, "parked at the end", w.describe(app, "collect").Parked, "")
}

func resultFromOutside(w *world) {
	tokens := make(chan string, 2)
	app := w.app(&pawl.Options{CacheBytes: -1}, activity("Ask", func(ctx context.Context, _ struct{}) (string, error) {
		tokens <- pawl.ActivityToken(ctx)
		return "", pawl.ErrResultPending
	}), orchestration("Approval", func(o *pawl.Context, _ struct{}) (string, error) {
		return pawl.ActivityByName[string](o, "Ask", struct{}{}).Await()
	}))
	client := w.app(nil)
	run := begin[string](w, app, "Approval", struct{}{}, "approved")
	token := receive(w, "a token", tokens)
	if err := pawl.CompleteActivity(w.ctx, client, token, "granted"); err != nil {
		w.Fatal(err)
	}
	expect(w, run, "granted")
	if err := pawl.CompleteActivity(w.ctx, client, token, "too late"); !errors.Is(err, pawl.ErrActivityGone) {
		w.Errorf("second result: %v", err)
	}
	run = begin[string](w, app, "Approval", struct{}{}, "refused")
	if err := pawl.FailActivity(w.ctx, client, receive(w, "a token", tokens), errBadInput); err != nil {
		w.Fatal(err)
	}
	expectError(w, run, errBadInput)
}

func updateOverRolls(w *world) {
	app := w.app(&pawl.Options{CacheBytes: -1}, activity("Nothing", func(context.Context, int) (int, error) { return 0, nil }),
		orchestration("Account", func(o *pawl.Context, balance int) (int, error) {
			err := pawl.HandleUpdate(o, "deposit", pawl.UpdateHandler[int, int]{Handle: func(n int) (int, error) { balance += n; return balance, nil }})
			if err != nil {
				return 0, err
			}
			_, err = pawl.EventWithin[string](o, "close", 20*time.Millisecond)
			if errors.Is(err, pawl.ErrTimeout) {
				return 0, pawl.ContinueAsNew(balance)
			}
			return balance, err
		}))
	run := begin[int](w, app, "Account", 0, "account")
	for i := 1; i <= 10; i++ {
		for range 2 { // each of them twice
			balance, err := pawl.Update[int](w.ctx, app, "account", "deposit", 1, &pawl.UpdateOptions{UpdateID: fmt.Sprint("deposit ", i)})
			if err != nil || balance != i {
				w.Errorf("after deposit %d the balance is %d, error %v", i, balance, err)
			}
		}
	}
	w.tell(app, "account", "close", "")
	expect(w, run, 10)
	if balance, err := pawl.Update[int](w.ctx, app, "account", "deposit", 1, &pawl.UpdateOptions{UpdateID: "deposit 10"}); err != nil || balance != 10 {
		w.Errorf("an update repeated after the end: %d, %v", balance, err)
	}
	if _, err := pawl.Update[int](w.ctx, app, "account", "deposit", 1, nil); !errors.Is(err, pawl.ErrNotRunning) {
		w.Errorf("an update after the end: %v", err)
	}
}

func failedAmongMany(w *world) {
	app := w.app(nil, activity("Validate", validate), orchestration("Many", func(o *pawl.Context, _ struct{}) (string, error) {
		answers, err := pawl.All(pawl.ActivityByName[string](o, "Validate", "a"), pawl.ActivityByName[string](o, "Validate", ""), pawl.ActivityByName[string](o, "Validate", "c"))
		return fmt.Sprintf("%q %v", answers, errors.Is(err, errBadInput)), nil
	}))
	expect(w, begin[string](w, app, "Many", struct{}{}, "many"), `["valid a" "" "valid c"] true`)
}
