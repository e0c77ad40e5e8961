package ancestor_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/pawlrun/pawl"
)

// numbered are events that are raised with a start.
func numbered(count int) []pawl.StartEvent {
	events := make([]pawl.StartEvent, count)
	for i := range events {
		events[i] = pawl.StartEvent{Name: "number", Payload: i}
	}
	return events
}

// takeInOrder takes events, which must have the numbers from first to last-1.
func takeInOrder(o *pawl.Context, first, last int) error {
	for want := first; want < last; want++ {
		got, err := pawl.Event[int](o, "number").Await()
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("event %d came in the place of %d", got, want)
		}
	}
	return nil
}

func drainThousand(w *world) {
	const count = 1000
	app := w.app(nil, orchestration("Drain", func(o *pawl.Context, wait bool) (int, error) {
		if wait {
			if _, err := pawl.Event[string](o, "begin").Await(); err != nil {
				return 0, err
			}
		}
		return count, takeInOrder(o, 0, count)
	}))
	expect(w, beginWith[int](w, app, "Drain", false, &pawl.StartOptions{InstanceID: "at the start", Events: numbered(count)}), count)
	run := beginWith[int](w, app, "Drain", true, &pawl.StartOptions{InstanceID: "later", Events: numbered(count)})
	if err := app.Suspend(w.ctx, "later", "to let events pile up"); err != nil {
		w.Fatal(err)
	}
	w.tell(app, "later", "begin", "")
	if err := app.Resume(w.ctx, "later"); err != nil {
		w.Fatal(err)
	}
	expect(w, run, count)
}

func continueAsNewKeepsEvents(w *world) {
	const count, each = 1300, 130
	type state struct{ Rolls, Next int }
	app := w.app(nil, orchestration("Roll", func(o *pawl.Context, s state) (string, error) {
		if s.Rolls < 3 { // with all of them unread
			return "", pawl.ContinueAsNew(state{Rolls: s.Rolls + 1})
		}
		if err := takeInOrder(o, s.Next, s.Next+each); err != nil {
			return "", err
		}
		if s.Next += each; s.Next < count {
			return "", pawl.ContinueAsNew(s)
		}
		_, err := pawl.EventWithin[int](o, "number", 0)
		return fmt.Sprint(s.Next, " and no more: ", errors.Is(err, pawl.ErrTimeout)), nil
	}))
	expect(w, beginWith[string](w, app, "Roll", state{}, &pawl.StartOptions{InstanceID: "roll", Events: numbered(count)}), "1300 and no more: true")
}

func raisedWhileRolling(w *world) {
	const senders, each = 4, 15
	type state struct {
		Next [senders]int
		All  int
	}
	app := w.app(nil, orchestration("Roll", func(o *pawl.Context, s state) (int, error) {
		event, err := pawl.Event[[2]int](o, "from").Await()
		if err != nil {
			return 0, err
		}
		from, n := event[0], event[1]
		if s.Next[from] != n {
			return 0, fmt.Errorf("event %d of sender %d came in the place of %d", n, from, s.Next[from])
		}
		s.Next[from]++
		if s.All++; s.All < senders*each {
			return 0, pawl.ContinueAsNew(s)
		}
		return s.All, nil
	}))
	run := begin[int](w, app, "Roll", state{}, "roll")
	var all sync.WaitGroup
	for from := range senders {
		all.Go(func() {
			for n := range each {
				if err := pawl.Raise(w.ctx, app, "roll", "from", [2]int{from, n}, nil); err != nil {
					w.Errorf("raise: %v", err)
				}
			}
		})
	}
	all.Wait()
	expect(w, run, senders*each)
}

func detachedWithContinueAsNew(w *world) {
	app := w.app(nil,
		orchestration("Other", func(o *pawl.Context, from int) (string, error) { return fmt.Sprint("from ", from), nil }),
		orchestration("Mailbox", func(o *pawl.Context, _ struct{}) (int, error) {
			sum := 0
			for range 3 {
				n, err := pawl.Event[int](o, "from").Await()
				if err != nil {
					return 0, err
				}
				sum += n
			}
			return sum, nil
		}),
		orchestration("Roll", func(o *pawl.Context, n int) (string, error) {
			if _, err := pawl.StartDetachedByName(o, "Other", n, &pawl.DetachedOptions{InstanceID: fmt.Sprint("detached ", n)}); err != nil {
				return "", err
			}
			pawl.SubOrchestrationByName[string](o, "Other", n, &pawl.ChildOptions{InstanceID: fmt.Sprint("child ", n)})
			if err := pawl.SendEvent(o, "mailbox", "from", n); err != nil {
				return "", err
			}
			switch n {
			case 1, 2:
				return "", pawl.ContinueAsNew(n + 1)
			default:
				return "end", nil
			}
		}))
	mailbox := begin[int](w, app, "Mailbox", struct{}{}, "mailbox")
	expect(w, begin[string](w, app, "Roll", 1, "roll"), "end")
	expect(w, mailbox, 6)
	for n := 1; n <= 3; n++ {
		for _, id := range []string{"detached", "child"} {
			id = fmt.Sprint(id, " ", n)
			w.eventually(id+" exists", func() bool { _, err := app.Describe(w.ctx, id); return err == nil })
			run, err := pawl.Attach[string](app, id)
			if err != nil {
				w.Fatal(err)
			}
			expect(w, run, fmt.Sprint("from ", n))
		}
	}
}

func deleteManyValues(w *world) {
	const count = 80
	app := w.app(&pawl.Options{CacheBytes: -1}, activity("Nothing", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil }),
		orchestration("Prune", func(o *pawl.Context, round int) (string, error) {
			for i := range count {
				if err := pawl.SetValue(o, fmt.Sprint("key ", i), round); err != nil {
					return "", err
				}
			}
			for range 3 {
				if _, err := pawl.ActivityByName[struct{}](o, "Nothing", struct{}{}).Await(); err != nil {
					return "", err
				}
			}
			for i := 0; i < count; i += 2 {
				pawl.DeleteValue(o, fmt.Sprint("key ", i))
			}
			pawl.DeleteValue(o, "a key that was never there")
			for range 3 {
				if _, err := pawl.ActivityByName[struct{}](o, "Nothing", struct{}{}).Await(); err != nil {
					return "", err
				}
			}
			if round == 1 {
				return "", pawl.ContinueAsNew(2)
			}
			_, even, _ := pawl.Value[int](o, "key 0")
			odd, _, err := pawl.Value[int](o, "key 1")
			return fmt.Sprint(even, " ", odd), err
		}))
	expect(w, begin[string](w, app, "Prune", 1, "prune"), "false 2")
	values, err := app.ReadValues(w.ctx, "prune")
	if err != nil || len(values) != count/2 || string(values["key 79"]) != "2" {
		w.Errorf("%d values, error %v", len(values), err)
	}
}

func sentToNobody(w *world) {
	app := w.app(nil, orchestration("Wait", func(o *pawl.Context, _ struct{}) (string, error) {
		if o.Err() != nil {
			return "", o.Err()
		}
		return pawl.Event[string](o, "end").Await()
	}), orchestration("Post", func(o *pawl.Context, to string) (string, error) {
		return "sent", pawl.SendEvent(o, to, "end", "from an orchestration")
	}))
	calls := map[string]func(id string) error{
		"raise":     func(id string) error { return pawl.Raise(w.ctx, app, id, "end", "too early", nil) },
		"cancel":    func(id string) error { return app.Cancel(w.ctx, id, "too early") },
		"terminate": func(id string) error { return app.Terminate(w.ctx, id, "too early", nil) },
		"suspend":   func(id string) error { return app.Suspend(w.ctx, id, "too early") },
		"resume":    func(id string) error { return app.Resume(w.ctx, id) },
	}
	for name, call := range calls {
		var which *pawl.InstanceError
		if err := call("nobody"); !errors.Is(err, pawl.ErrNotFound) || !errors.As(err, &which) || which.InstanceID != "nobody" {
			w.Errorf("%s to nobody: %v", name, err)
		}
	}
	expect(w, begin[string](w, app, "Post", "nobody", "post"), "sent")
	if _, err := app.Describe(w.ctx, "nobody"); !errors.Is(err, pawl.ErrNotFound) {
		w.Errorf("something was left: %v", err)
	}
	run := begin[string](w, app, "Wait", struct{}{}, "nobody")
	w.tell(app, "nobody", "end", "in time")
	expect(w, run, "in time")
	for name, call := range calls {
		if err := call("nobody"); !errors.Is(err, pawl.ErrNotRunning) {
			w.Errorf("%s to what has ended: %v", name, err)
		}
	}
}
