package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pawlrun/pawl"
)

// account keeps a balance that updates change; it continues as new after every few, and ends when it is closed.
func account(o *pawl.Context, balance int) (int, error) {
	closed, since := false, 0
	var notes []*pawl.Future[string]
	if err := errors.Join(
		pawl.HandleUpdate(o, "deposit", pawl.UpdateHandler[int, int]{
			Validate: func(n int) error {
				if n <= 0 {
					return fmt.Errorf("deposit of %d: %w", n, errRefused)
				}
				return nil
			},
			Handle: func(n int) (int, error) {
				balance, since = balance+n, since+1
				return balance, nil
			},
		}),
		pawl.HandleUpdate(o, "note", pawl.UpdateHandler[string, int]{Handle: func(s string) (int, error) {
			notes = append(notes, pawl.Activity(o, greet, s))
			return len(notes), nil
		}}),
		pawl.HandleUpdate(o, "fail", pawl.UpdateHandler[string, int]{Handle: func(string) (int, error) { return 0, errRefused }}),
		pawl.HandleUpdate(o, "panic", pawl.UpdateHandler[string, int]{Handle: func(string) (int, error) { panic("boom") }}),
		pawl.HandleUpdate(o, "wait", pawl.UpdateHandler[string, int]{Handle: func(string) (int, error) {
			_, err := pawl.Event[string](o, "never").Await()
			return 0, err
		}}),
		pawl.HandleUpdate(o, "close", pawl.UpdateHandler[string, string]{Handle: func(why string) (string, error) {
			closed = true
			return "closed: " + why, nil
		}}),
		pawl.HandleQuery(o, "balance", func(string) (int, error) { return balance, nil }),
	); err != nil {
		return 0, err
	}
	for !closed {
		if err := pawl.Sleep(o, 20*time.Millisecond); err != nil {
			return 0, err
		}
		if since >= 3 && !closed {
			return 0, pawl.ContinueAsNew(balance)
		}
	}
	_, err := pawl.All(notes...)
	return balance, err
}

func updatesAnswer(w *world) {
	worker := w.app(nil, orchestration(account), activity(greet))
	client := w.app(nil)
	run := start(w, worker, account, 100, "a")
	for i, app := range []*pawl.App{worker, client} {
		if got, err := pawl.Update[int](w.ctx, app, "a", "deposit", 10, nil); err != nil || got != 110+10*i {
			w.Fatalf("deposit: %d, %v", got, err)
		}
		_, err := pawl.Update[int](w.ctx, app, "a", "deposit", -5, nil)
		var ue *pawl.UpdateError
		if !errors.Is(err, pawl.ErrRejected) || !errors.Is(err, errRefused) || !errors.As(err, &ue) || !ue.Rejected || !strings.Contains(err.Error(), "deposit of -5") {
			w.Errorf("rejected deposit: %v", err)
		}
		_, err = pawl.Update[int](w.ctx, app, "a", "deposit", "ten", nil)
		if !errors.Is(err, pawl.ErrRejected) || !errors.Is(err, pawl.ErrBadPayload) {
			w.Errorf("deposit of another type: %v", err)
		}
		_, err = pawl.Update[int](w.ctx, app, "a", "withdraw", 5, nil)
		if !errors.Is(err, pawl.ErrRejected) || !errors.Is(err, pawl.ErrUnknownUpdate) || !strings.Contains(err.Error(), `: no such update, but "close", "deposit", `) {
			w.Errorf("unknown update: %v", err)
		}
		for name, want := range map[string]error{"fail": errRefused, "panic": pawl.ErrPanic, "wait": pawl.ErrMisuse} {
			_, err := pawl.Update[int](w.ctx, app, "a", name, "", nil)
			if !errors.Is(err, want) || errors.Is(err, pawl.ErrRejected) || !errors.As(err, &ue) || ue.Update != name {
				w.Errorf("%s: %v", name, err)
			}
		}
		if _, err := pawl.Update[int](w.ctx, app, "a", "note", "x", nil); err != nil {
			w.Errorf("note: %v", err)
		}
		if _, err := pawl.Update[int](w.ctx, app, "nobody", "deposit", 1, nil); !errors.Is(err, pawl.ErrNotFound) {
			w.Errorf("unknown instance: %v", err)
		}
	}
	if got, err := pawl.Query[int](w.ctx, worker, "a", "balance", ""); err != nil || got != 120 {
		w.Errorf("balance %d, %v", got, err)
	}
	if err := pawl.Raise(w.ctx, client, "a", "pawl:update", "x", nil); !errors.Is(err, pawl.ErrInvalid) {
		w.Errorf("raise of a reserved name: %v", err)
	}
	if got, err := pawl.Update[string](w.ctx, client, "a", "close", "done", &pawl.UpdateOptions{UpdateID: "last"}); err != nil || got != "closed: done" {
		w.Fatalf("close: %q, %v", got, err)
	}
	if got := result(w, run); got != 120 {
		w.Errorf("balance in the end: %d", got)
	}
	if _, err := pawl.Update[int](w.ctx, client, "a", "deposit", 1, nil); !errors.Is(err, pawl.ErrNotRunning) {
		w.Errorf("update after the end: %v", err)
	}
	if _, err := pawl.Update[int](w.ctx, client, "a", "deposit", 1, &pawl.UpdateOptions{UpdateID: "new"}); !errors.Is(err, pawl.ErrNotRunning) {
		w.Errorf("update after the end: %v", err)
	}
	if got, err := pawl.Update[string](w.ctx, client, "a", "close", "done", &pawl.UpdateOptions{UpdateID: "last"}); err != nil || got != "closed: done" {
		w.Errorf("close repeated after the end: %q, %v", got, err)
	}
}

// updatesOnce: many at a time, each sent twice, from several processes, over continue-as-new: each is done once and both
// get its answer.
func updatesOnce(w *world) {
	workers := []*pawl.App{w.app(nil, orchestration(account), activity(greet)), w.app(nil, orchestration(account), activity(greet))}
	apps := append(workers, w.app(nil))
	run := start(w, apps[0], account, 0, "a")
	const n = 30
	var mu sync.Mutex
	answers := map[int]string{} // by balance
	var all sync.WaitGroup
	for i := range n {
		id := fmt.Sprint("deposit-", i)
		for j := range 2 {
			all.Go(func() {
				got, err := pawl.Update[int](w.ctx, apps[(i+j)%len(apps)], "a", "deposit", 1, &pawl.UpdateOptions{UpdateID: id})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					w.Errorf("%s: %v", id, err)
				} else if other, taken := answers[got]; taken && other != id {
					w.Errorf("%s and %s have both made it %d", id, other, got)
				}
				answers[got] = id
			})
		}
	}
	all.Wait()
	if len(answers) != n || w.Failed() {
		w.Fatalf("%d answers to %d updates", len(answers), n)
	}
	// Long after, in other executions.
	for i := range 3 {
		id := fmt.Sprint("deposit-", i)
		got, err := pawl.Update[int](w.ctx, apps[2], "a", "deposit", 1, &pawl.UpdateOptions{UpdateID: id})
		if err != nil || answers[got] != id {
			w.Errorf("%s again: %d, %v", id, got, err)
		}
	}
	if _, err := pawl.Update[string](w.ctx, apps[0], "a", "close", "", nil); err != nil {
		w.Fatal(err)
	}
	if got := result(w, run); got != n {
		w.Errorf("balance %d, want %d", got, n)
	}
}

// updateRepeatedAtRest: an update that was answered is answered again where nobody runs the instance, and where it ends while
// the caller waits.
func updateRepeatedAtRest(w *world) {
	app := w.app(nil, orchestration(account), activity(greet))
	start(w, app, account, 0, "a")
	deposit := func() (int, error) {
		return pawl.Update[int](w.ctx, app, "a", "deposit", 1, &pawl.UpdateOptions{UpdateID: "once"})
	}
	first, err := deposit()
	if err != nil {
		w.Fatal(err)
	}
	check := func(when string) {
		w.Helper()
		if got, err := deposit(); err != nil || got != first {
			w.Errorf("%s: %d, %v; want %d", when, got, err, first)
		}
	}
	if err := app.Suspend(w.ctx, "a", "rest"); err != nil {
		w.Fatal(err)
	}
	check("suspended")
	if err := app.Terminate(w.ctx, "a", "end", nil); err != nil {
		w.Fatal(err)
	}
	check("terminated")
}

// awaitUntil: what an update changes wakes the orchestration, a timer bounds the wait, and cancelling ends it.
func awaitUntil(w *world) {
	door := func(o *pawl.Context, patience time.Duration) (string, error) {
		open := false
		if err := errors.Join(
			pawl.HandleUpdate(o, "open", pawl.UpdateHandler[bool, bool]{Handle: func(v bool) (bool, error) {
				open = v
				return open, nil
			}}),
			pawl.HandleUpdate(o, "wait", pawl.UpdateHandler[bool, bool]{Handle: func(bool) (bool, error) {
				return open, pawl.AwaitUntil(o, func() bool { return open })
			}}),
		); err != nil {
			return "", err
		}
		late := pawl.Timer(o, patience)
		if err := pawl.AwaitUntil(o, func() bool { return open || late.Ready() }); err != nil {
			return "", err
		}
		if !open {
			return "too late", nil
		}
		return "open", nil
	}
	name := pawl.Name("door")
	app := w.app(&pawl.Options{CacheBytes: -1}, orchestration(door, name)) // each turn is a replay
	begin := func(id string, patience time.Duration) *pawl.Run[string] {
		run, err := pawl.StartByName[string](w.ctx, app, "door", patience, &pawl.StartOptions{InstanceID: id})
		if err != nil {
			w.Fatal(err)
		}
		return run
	}
	opened, late, cancelled := begin("opened", time.Hour), begin("late", 20*time.Millisecond), begin("cancelled", time.Hour)
	if _, err := pawl.Update[bool](w.ctx, app, "opened", "wait", true, nil); !errors.Is(err, pawl.ErrMisuse) {
		w.Errorf("wait in an update: %v", err)
	}
	for _, v := range []bool{false, true} {
		if got, err := pawl.Update[bool](w.ctx, app, "opened", "open", v, nil); err != nil || got != v {
			w.Errorf("open: %v, %v", got, err)
		}
	}
	if got := result(w, opened); got != "open" {
		w.Errorf("%q", got)
	}
	if got := result(w, late); got != "too late" {
		w.Errorf("%q", got)
	}
	if err := app.Cancel(w.ctx, "cancelled", "enough"); err != nil {
		w.Fatal(err)
	}
	if _, err := cancelled.Result(w.ctx); !errors.Is(err, pawl.ErrCancelled) || w.status(app, "cancelled") != "cancelled" {
		w.Errorf("cancelled: %v", err)
	}
}

// updateWaits: for a suspended instance, and in vain for code that handles none.
func updateWaits(w *world) {
	app := w.app(nil, orchestration(account), orchestration(cart), activity(greet))
	run := start(w, app, account, 1, "a")
	if err := app.Suspend(w.ctx, "a", "maintenance"); err != nil {
		w.Fatal(err)
	}
	short, cancel := context.WithTimeout(w.ctx, w.short())
	defer cancel()
	if _, err := pawl.Update[int](short, app, "a", "deposit", 10, &pawl.UpdateOptions{UpdateID: "u"}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "id u") {
		w.Fatalf("update of a suspended instance: %v", err)
	}
	if err := app.Resume(w.ctx, "a"); err != nil {
		w.Fatal(err)
	}
	if got, err := pawl.Update[int](w.ctx, app, "a", "deposit", 10, &pawl.UpdateOptions{UpdateID: "u"}); err != nil || got != 11 {
		w.Fatalf("the same update: %d, %v", got, err)
	}
	if _, err := pawl.Update[string](w.ctx, app, "a", "close", "", nil); err != nil {
		w.Fatal(err)
	}
	if got := result(w, run); got != 11 {
		w.Errorf("balance %d", got)
	}
	// The end answers those who still wait.
	start(w, app, cart, []string{}, "c")
	ended := make(chan error, 1)
	go func() {
		_, err := pawl.Update[int](w.ctx, app, "c", "deposit", 10, nil)
		ended <- err
	}()
	w.raise(app, "c", "item", "pay")
	if err := <-ended; !errors.Is(err, pawl.ErrNotRunning) {
		w.Errorf("update of code that handles none: %v", err)
	}
}
