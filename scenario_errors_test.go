package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/pawlrun/pawl"
)

type odd struct{ N int }

func (e *odd) Error() string { return fmt.Sprintf("%d is odd", e.N) }

func mustBeEven(_ context.Context, n int) (int, error) {
	if n%2 != 0 {
		return 0, fmt.Errorf("check: %w", &odd{n})
	}
	return n, nil
}

func check(o *pawl.Context, n int) (int, error) { return pawl.Activity(o, mustBeEven, n).Await() }

func checkChild(o *pawl.Context, n int) (int, error) {
	v, err := pawl.SubOrchestration(o, check, n, nil).Await()
	if err != nil {
		return 0, fmt.Errorf("child: %w", err)
	}
	return v, nil
}

func errorsCross(w *world) {
	app := w.app(nil, orchestration(check), orchestration(checkChild), activity(mustBeEven))
	if got := result(w, start(w, app, checkChild, 4, "even")); got != 4 {
		w.Fatalf("got %d", got)
	}
	_, err := start(w, app, checkChild, 3, "odd").Result(w.ctx)
	var oe *pawl.OrchestrationError
	var f *pawl.Failure
	if !errors.As(err, &oe) || oe.InstanceID != "odd" || !errors.As(err, &f) {
		w.Fatalf("got %T %v", err, err)
	}
	var types []string
	for e := error(f); e != nil; e = errors.Unwrap(e) {
		types = append(types, e.(*pawl.Failure).Type)
	}
	want := []string{"*fmt.wrapError", "*pawl.OrchestrationError", "*pawl.ActivityError", "*fmt.wrapError", "*pawl_test.odd"}
	if !slices.Equal(types, want) || !strings.Contains(err.Error(), "3 is odd") {
		w.Fatalf("chain of types %v, text %v", types, err)
	}
}

const (
	errDeclined = pawl.ErrorKind("card-declined")
	errBroken   = pawl.ErrorKind("till-broken")
)

// decline is what the bank says of a card it declines.
type decline struct {
	Code  int
	Cards []string
}

// badErrors are what charge fails with, and what must match on the other side of each border.
var badErrors = map[string]struct {
	err  error
	want []error
}{
	"declined": {fmt.Errorf("charge: %w", &pawl.Error{Kind: errDeclined, Message: "no money", Details: decline{51, []string{"42"}}, NonRetryable: true,
		Cause: fmt.Errorf("bank: %w", context.DeadlineExceeded)}), []error{errDeclined, context.DeadlineExceeded}},
	"kind":      {errBroken, []error{errBroken}},
	"several":   {errors.Join(errDeclined, fmt.Errorf("%w and %w", errBroken, context.Canceled)), []error{errDeclined, errBroken, context.Canceled}},
	"timeout":   {&pawl.TimeoutError{Type: pawl.TimeoutHeartbeat}, []error{pawl.ErrTimeout}},
	"cancelled": {fmt.Errorf("till: %w", &pawl.CancelledError{Reason: "closed"}), []error{pawl.ErrCancelled, context.Canceled}},
	"text":      {errors.New("\xff\x00" + strings.Repeat("x", 1<<20)), nil},
	"details":   {&pawl.Error{Kind: errBroken, Details: func() {}}, []error{errBroken}},
}

func charge(_ context.Context, how string) (int, error) {
	if how == "panic" {
		panic("boom")
	}
	return 0, pawl.NonRetryable(badErrors[how].err)
}

// pay passes the activity's error on as it is.
func pay(o *pawl.Context, how string) (int, error) {
	n, err := pawl.Activity(o, charge, how).Await()
	return n, explained(how, err)
}

// order adds to the error of its child.
func order(o *pawl.Context, how string) (int, error) {
	n, err := pawl.SubOrchestration(o, pay, how, nil).Await()
	return n, explained(how, fmt.Errorf("order: %w", err))
}

// explained returns err, or what is wrong with it.
func explained(how string, err error) error {
	var ae *pawl.ActivityError
	if !errors.As(err, &ae) || ae.Activity != "charge" {
		return fmt.Errorf("no activity error in %w", err)
	}
	for _, kind := range []error{errDeclined, errBroken, pawl.ErrTimeout, pawl.ErrCancelled, context.Canceled, context.DeadlineExceeded} {
		if want := slices.Contains(badErrors[how].want, kind); errors.Is(err, kind) != want {
			return fmt.Errorf("%v matches %v: %v", err, kind, !want)
		}
	}
	return err
}

func errorsMatch(w *world) {
	app := w.app(nil, orchestration(order), orchestration(pay), activity(charge))
	started := 0
	fail := func(how string) error {
		started++
		_, err := start(w, app, order, how, fmt.Sprint(how, started)).Result(w.ctx)
		if bad := explained(how, err); bad != err {
			w.Errorf("%s: %v", how, bad)
		}
		var outer *pawl.OrchestrationError
		var f *pawl.Failure
		if !errors.As(err, &outer) || !errors.As(err, &f) {
			w.Fatalf("%s: %T %v", how, err, err)
		}
		var inner *pawl.OrchestrationError
		if !errors.As(f, &inner) || inner.Orchestration != "pay" {
			w.Errorf("%s: the child's error is %v", how, inner)
		}
		return err
	}
	for how := range badErrors {
		fail(how)
	}
	err := fail("declined")
	details, ok := pawl.Details[decline](err)
	var e *pawl.Error
	if !ok || details.Code != 51 || details.Cards[0] != "42" || !errors.As(err, &e) || e.Message != "no money" || !e.NonRetryable {
		w.Errorf("details %v (%v) of %v", details, ok, e)
	}
	var timeout *pawl.TimeoutError
	if err := fail("timeout"); !errors.As(err, &timeout) || timeout.Type != pawl.TimeoutHeartbeat {
		w.Errorf("got %v of %v", timeout, err)
	}
	var cancelled *pawl.CancelledError
	if err := fail("cancelled"); !errors.As(err, &cancelled) || cancelled.Reason != "closed" {
		w.Errorf("got %v of %v", cancelled, err)
	}
	err = fail("panic")
	var f *pawl.Failure
	for e := err; e != nil; e = errors.Unwrap(e) {
		errors.As(e, &f)
	}
	if !errors.Is(err, pawl.ErrPanic) || f.Kind != "panic" || f.Type != "string" || !strings.Contains(f.Stack, "charge") {
		w.Errorf("the panic is %+v", f)
	}
}

func explode(_ context.Context, how string) (string, error) {
	switch how {
	case "panic":
		panic("boom")
	case "goexit":
		exitGoroutine()
	}
	return "", nil
}

func explodeIn(o *pawl.Context, where string) (string, error) {
	switch where {
	case "panic":
		panic("boom")
	case "goexit":
		exitGoroutine()
	case "foreign":
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = pawl.Activity(o, greet, "x").Await() })
		wg.Wait()
		return pawl.Activity(o, greet, "x").Await()
	case "bad result":
		return pawl.ActivityByName[string](o, "increment", 1).Await()
	}
	return pawl.Activity(o, explode, strings.TrimPrefix(where, "activity ")).Await()
}

func panicsAndExits(w *world) {
	app := w.app(nil, orchestration(explodeIn), activity(explode), activity(greet), activity(increment))
	for where, want := range map[string]error{
		"panic": pawl.ErrPanic, "goexit": pawl.ErrGoexit, "foreign": pawl.ErrMisuse, "bad result": pawl.ErrBadPayload,
		"activity panic": pawl.ErrPanic, "activity goexit": pawl.ErrGoexit,
	} {
		_, err := start(w, app, explodeIn, where, where).Result(w.ctx)
		if !errors.Is(err, want) {
			w.Errorf("%s: got %v, want %v", where, err, want)
		}
		var f *pawl.Failure
		if want == pawl.ErrPanic {
			for e := err; e != nil; e = errors.Unwrap(e) {
				errors.As(e, &f)
			}
			if f == nil || !strings.Contains(f.Stack, "explode") {
				w.Errorf("%s: no stack of the panic in %+v", where, f)
			}
		}
	}
}

func clientErrors(w *world) {
	app := w.app(nil, orchestration(helloWorld), activity(greet))
	ghost, err := pawl.Attach[string](app, "ghost")
	if err != nil {
		w.Fatal(err)
	}
	if _, err := ghost.Result(w.ctx); !errors.Is(err, pawl.ErrNotFound) {
		w.Errorf("result of unknown: %v", err)
	}
	if err := pawl.Raise(w.ctx, app, "ghost", "e", 1, nil); !errors.Is(err, pawl.ErrNotFound) {
		w.Errorf("raise to unknown: %v", err)
	}
	if _, err := app.Describe(w.ctx, "ghost"); !errors.Is(err, pawl.ErrNotFound) {
		w.Errorf("describe unknown: %v", err)
	}
	result(w, start(w, app, helloWorld, "x", "done"))
	if err := pawl.Raise(w.ctx, app, "done", "e", 1, nil); !errors.Is(err, pawl.ErrNotRunning) {
		w.Errorf("raise to finished: %v", err)
	}
	var ie *pawl.InstanceError
	if _, err := pawl.Start(w.ctx, app, helloWorld, "x", &pawl.StartOptions{InstanceID: "done"}); !errors.As(err, &ie) || ie.InstanceID != "done" {
		w.Errorf("start again: %v", err)
	}
	for _, id := range []string{strings.Repeat("x", 256), "nul\x00", "bad\xff"} {
		if _, err := pawl.Start(w.ctx, app, helloWorld, "x", &pawl.StartOptions{InstanceID: id}); !errors.Is(err, pawl.ErrInvalid) {
			w.Errorf("start %q: %v", id, err)
		}
	}
	canceled, cancel := context.WithCancel(w.ctx)
	cancel()
	run := start(w, app, collect, 1, "waits") // nobody here can run it
	if _, err := run.Result(canceled); !errors.Is(err, context.Canceled) {
		w.Errorf("cancelled wait: %v", err)
	}
}
