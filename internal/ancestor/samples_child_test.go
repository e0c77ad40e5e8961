package ancestor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pawlrun/pawl"
)

func upper(_ context.Context, s string) (string, error) { return strings.ToUpper(s), nil }

func add(_ context.Context, n [2]int) (int, error) { return n[0] + n[1], nil }

func childBasic(w *world) {
	app := w.app(nil, activity("Upper", upper),
		orchestration("ChildUpper", func(o *pawl.Context, s string) (string, error) {
			return pawl.ActivityByName[string](o, "Upper", s).Await()
		}),
		orchestration("Parent", func(o *pawl.Context, s string) (string, error) {
			answer, err := pawl.SubOrchestrationByName[string](o, "ChildUpper", s, &pawl.ChildOptions{InstanceID: "the-child"}).Await()
			return "parent:" + answer, err
		}))
	expect(w, begin[string](w, app, "Parent", "hi", "the-parent"), "parent:HI")
	child := w.describe(app, "the-child")
	check(w, "parent of the child", child.ParentID, "the-parent")
	check(w, "status of the child", child.Status, "completed")
}

func childFanOut(w *world) {
	app := w.app(nil, activity("Add", add),
		orchestration("Sum", func(o *pawl.Context, n [2]int) (int, error) {
			return pawl.ActivityByName[int](o, "Add", n).Await()
		}),
		orchestration("Parent", func(o *pawl.Context, _ struct{}) (string, error) {
			a := pawl.SubOrchestrationByName[int](o, "Sum", [2]int{1, 2}, nil)
			b := pawl.SubOrchestrationByName[int](o, "Sum", [2]int{3, 4}, nil)
			sums, err := pawl.All(a, b)
			return fmt.Sprint(sums), err
		}))
	expect(w, begin[string](w, app, "Parent", struct{}{}, "parent"), "[3 7]")
}

func childChain(w *world) {
	app := w.app(nil, activity("AppendX", func(_ context.Context, s string) (string, error) { return s + "x", nil }),
		orchestration("Leaf", func(o *pawl.Context, s string) (string, error) {
			return pawl.ActivityByName[string](o, "AppendX", s).Await()
		}),
		orchestration("Mid", func(o *pawl.Context, s string) (string, error) {
			answer, err := pawl.SubOrchestrationByName[string](o, "Leaf", s, nil).Await()
			return answer + "-mid", err
		}),
		orchestration("Root", func(o *pawl.Context, s string) (string, error) {
			answer, err := pawl.SubOrchestrationByName[string](o, "Mid", s, nil).Await()
			return "root:" + answer, err
		}))
	expect(w, begin[string](w, app, "Root", "a", "root"), "root:ax-mid")
}

func detached(w *world) {
	app := w.app(nil, activity("Echo", func(_ context.Context, s string) (string, error) { return s, nil }),
		orchestration("Chained", func(o *pawl.Context, s string) (string, error) {
			return pawl.ActivityByName[string](o, "Echo", s).Await()
		}),
		orchestration("Coordinator", func(o *pawl.Context, _ struct{}) (string, error) {
			for _, id := range []string{"one", "two"} {
				started, err := pawl.StartDetachedByName(o, "Chained", "in "+id, &pawl.DetachedOptions{InstanceID: id})
				if err != nil || started != id {
					return "", fmt.Errorf("started %q: %w", started, err)
				}
			}
			return pawl.StartDetachedByName(o, "Chained", "in the third", nil)
		}))
	third, err := begin[string](w, app, "Coordinator", struct{}{}, "coordinator").Result(w.ctx)
	if err != nil {
		w.Fatal(err)
	}
	for id, want := range map[string]string{"one": "in one", "two": "in two", third: "in the third"} {
		run, err := pawl.Attach[string](app, id)
		if err != nil {
			w.Fatal(err)
		}
		expect(w, run, want)
		check(w, "parent of "+id, w.describe(app, id).ParentID, "")
	}
}

func detachedThenActivity(w *world) {
	var starts counter
	app := w.app(&pawl.Options{CacheBytes: -1}, activity("Echo", func(_ context.Context, s string) (string, error) { return s, nil }),
		activity("Begun", func(_ context.Context, id string) (int, error) { return starts.add(id), nil }),
		orchestration("Chained", func(o *pawl.Context, _ struct{}) (int, error) {
			return pawl.ActivityByName[int](o, "Begun", o.InstanceID()).Await()
		}),
		orchestration("Coordinator", func(o *pawl.Context, s string) (string, error) {
			if _, err := pawl.StartDetachedByName(o, "Chained", struct{}{}, &pawl.DetachedOptions{InstanceID: "chained"}); err != nil {
				return "", err
			}
			for range 3 {
				longer, err := pawl.ActivityByName[string](o, "Echo", s+"!").Await()
				if err != nil {
					return "", err
				}
				s = longer
			}
			return s, nil
		}))
	expect(w, begin[string](w, app, "Coordinator", "hey", "coordinator"), "hey!!!")
	run, err := pawl.Attach[int](app, "chained")
	if err != nil {
		w.Fatal(err)
	}
	expect(w, run, 1)
	check(w, "starts of the detached one", starts.of("chained"), 1)
}

func rollOver(w *world) {
	app := w.app(nil, orchestration("Roll", func(o *pawl.Context, n int) (string, error) {
		if n < 3 {
			return "", pawl.ContinueAsNew(n + 1)
		}
		return fmt.Sprintf("final:%d in execution %d", n, o.Execution()), nil
	}))
	expect(w, begin[string](w, app, "Roll", 0, "roll"), "final:3 in execution 4")
	instance := w.describe(app, "roll")
	check(w, "executions", instance.Execution, 4)
	check(w, "status", instance.Status, "completed")
}

func cancelCascade(w *world) {
	app := w.app(nil,
		orchestration("Child", func(o *pawl.Context, _ struct{}) (string, error) {
			return pawl.Event[string](o, "never").Await()
		}),
		orchestration("Parent", func(o *pawl.Context, _ struct{}) (string, error) {
			a := pawl.SubOrchestrationByName[string](o, "Child", struct{}{}, &pawl.ChildOptions{InstanceID: "awaited"})
			pawl.SubOrchestrationByName[string](o, "Child", struct{}{}, &pawl.ChildOptions{InstanceID: "not-awaited", ParentClose: pawl.CloseCancel})
			if err := pawl.SetCustomStatus(o, "begun"); err != nil {
				return "", err
			}
			return a.Await()
		}))
	run := begin[string](w, app, "Parent", struct{}{}, "parent")
	if _, _, err := pawl.WaitForStatus[string](w.ctx, app, "parent", 0); err != nil {
		w.Fatal(err)
	}
	if err := app.Cancel(w.ctx, "parent", "the user has gone"); err != nil {
		w.Fatal(err)
	}
	err := expectError(w, run, pawl.ErrCancelled)
	if !strings.Contains(err.Error(), "the user has gone") {
		w.Errorf("no reason in %v", err)
	}
	check(w, "status of the parent", w.describe(app, "parent").Status, "cancelled")
	for _, id := range []string{"awaited", "not-awaited"} {
		check(w, "status of "+id, w.ended(app, id).Status, "cancelled")
	}
	if err := app.Cancel(w.ctx, "parent", "again"); !errors.Is(err, pawl.ErrNotRunning) {
		w.Errorf("cancelling what has ended: %v", err)
	}
}
