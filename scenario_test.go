package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl"
)

var scenarios = []scenario{
	{name: "hello", run: hello},
	{name: "hello in other process", run: helloApart},
	{name: "sequence", run: sequence},
	{name: "fan-out", run: fanOut},
	{name: "fan-out beyond slots", run: fanOutBeyondSlots},
	{name: "select", run: selectFirst},
	{name: "timer", run: timerFires},
	{name: "months of waiting", run: monthsOfWaiting, virtual: true},
	{name: "events are buffered in order", run: eventsBuffered},
	{name: "event is received once", run: eventOnce},
	{name: "event reaches a held instance", run: eventWhileHeld},
	{name: "sub-orchestrations", run: subOrchestrations},
	{name: "child id taken", run: childIDTaken},
	{name: "continue as new", run: continueAsNew},
	{name: "events survive continue-as-new", run: eventsOverContinueAsNew},
	{name: "errors", run: errorsCross},
	{name: "panics and exits", run: panicsAndExits},
	{name: "one start of many wins", run: manyStarts},
	{name: "client errors", run: clientErrors},
	{name: "roles apart", run: rolesApart},
	{name: "replay after restart", run: replayAfterRestart},
	{name: "replay without cache", run: replayWithoutCache},
	{name: "unfused", run: unfused},
	{name: "stop drains", run: stopDrains},
	{name: "stop cuts short", run: stopCutsShort},
	{name: "divergence parks", run: divergenceParks},
	{name: "stuck turn is quarantined", run: stuckTurn, virtual: true},
	{name: "many at once", run: manyAtOnce},
	{name: "time is the turn's", run: turnTime},
}

func greet(_ context.Context, name string) (string, error) { return "Hello, " + name + "!", nil }

func helloWorld(o *pawl.Context, name string) (string, error) {
	return pawl.Activity(o, greet, name).Await()
}

func hello(w *world) {
	app := w.app(nil, orchestration(helloWorld), activity(greet))
	if got := result(w, start(w, app, helloWorld, "Ada", "hello-1")); got != "Hello, Ada!" {
		w.Fatalf("got %q", got)
	}
	in, err := app.Describe(w.ctx, "hello-1")
	if err != nil || in.Status != "completed" || in.Name != "helloWorld" || in.EndedAt.IsZero() {
		w.Fatalf("describe: %+v, %v", in, err)
	}
}

func helloApart(w *world) {
	w.app(nil, orchestration(helloWorld), activity(greet))
	client := w.app(nil)
	for i := range 3 {
		if got := result(w, start(w, client, helloWorld, "Ada", fmt.Sprint("hello-", i))); got != "Hello, Ada!" {
			w.Fatalf("got %q", got)
		}
	}
	late, err := pawl.Attach[string](client, "hello-0")
	if err != nil || result(w, late) != "Hello, Ada!" {
		w.Fatal("attach to a finished instance")
	}
}

func increment(_ context.Context, n int) (int, error) { return n + 1, nil }

func incrementTwenty(o *pawl.Context, n int) (int, error) {
	var err error
	for range 20 {
		if n, err = pawl.Activity(o, increment, n).Await(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func sequence(w *world) {
	app := w.app(nil, orchestration(incrementTwenty), activity(increment))
	if got := result(w, start(w, app, incrementTwenty, 1, "seq")); got != 21 {
		w.Fatalf("got %d", got)
	}
}

func square(_ context.Context, n int) (int, error) { return n * n, nil }

func sumOfSquares(o *pawl.Context, n int) (int, error) {
	var futures []*pawl.Future[int]
	for i := range n {
		futures = append(futures, pawl.Activity(o, square, i))
	}
	squares, err := pawl.All(futures...)
	sum := 0
	for i, s := range squares {
		if s != i*i {
			return 0, fmt.Errorf("square %d is %d", i, s)
		}
		sum += s
	}
	return sum, err
}

func fanOut(w *world) {
	app := w.app(nil, orchestration(sumOfSquares), activity(square))
	if got := result(w, start(w, app, sumOfSquares, 100, "fan")); got != 328350 {
		w.Fatalf("got %d", got)
	}
}

func fanOutBeyondSlots(w *world) {
	opts := pawl.Options{MaxActivities: 3}
	app := w.app(&opts, orchestration(sumOfSquares), activity(square))
	w.app(&opts, orchestration(sumOfSquares), activity(square))
	if got := result(w, start(w, app, sumOfSquares, 100, "fan")); got != 328350 {
		w.Fatalf("got %d", got)
	}
}

func block(ctx context.Context, _ string) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

func firstOfThree(o *pawl.Context, _ string) (string, error) {
	slow := pawl.Activity(o, block, "")
	event := pawl.Event[string](o, "go")
	timer := pawl.Timer(o, time.Hour)
	i, err := pawl.Select(slow, event, timer)
	if err != nil || i != 1 {
		return "", fmt.Errorf("select: %d, %v", i, err)
	}
	return event.Await()
}

func selectFirst(w *world) {
	app := w.app(nil, orchestration(firstOfThree), activity(block))
	run := start(w, app, firstOfThree, "", "select")
	if err := pawl.Raise(w.ctx, app, "select", "go", "went", nil); err != nil {
		w.Fatal(err)
	}
	if got := result(w, run); got != "went" {
		w.Fatalf("got %q", got)
	}
}

func nap(o *pawl.Context, d time.Duration) (time.Duration, error) {
	begin := o.Now()
	err := pawl.Sleep(o, d)
	return o.Now().Sub(begin), err
}

func timerFires(w *world) {
	app := w.app(nil, orchestration(nap))
	for _, d := range []time.Duration{0, 50 * time.Millisecond, -time.Hour} {
		got := result(w, start(w, app, nap, d, fmt.Sprint("nap", d)))
		if got < d || got > max(d, 0)+10*time.Second {
			w.Fatalf("slept %v, want %v", got, d)
		}
	}
}

func monthsOfWaiting(w *world) {
	app := w.app(&pawl.Options{PulseInterval: 12 * time.Hour, TTL: 48 * time.Hour}, orchestration(nap))
	const d = 90 * 24 * time.Hour
	begin := time.Now()
	run := start(w, app, nap, d, "nap")
	if got := result(w, run); got < d || got > d+time.Second {
		w.Fatalf("slept %v", got)
	}
	if took := time.Since(begin); took > d+2*time.Second {
		w.Fatalf("result came after %v", took)
	}
}

func collect(o *pawl.Context, n int) (string, error) {
	var got []string
	for range n {
		v, err := pawl.Event[string](o, "item").Await()
		if err != nil {
			return "", err
		}
		got = append(got, v)
	}
	last, err := pawl.Event[string](o, "end").Await()
	return strings.Join(append(got, last), ","), err
}

func eventsBuffered(w *world) {
	app := w.app(nil, orchestration(collect))
	run := start(w, app, collect, 500, "collect")
	raise := func(name, v string) {
		if err := pawl.Raise(w.ctx, app, "collect", name, v, nil); err != nil {
			w.Fatal(err)
		}
	}
	raise("end", "end")
	var want []string
	for i := range 500 {
		raise("item", fmt.Sprint(i))
		want = append(want, fmt.Sprint(i))
	}
	want = append(want, "end")
	if got := result(w, run); got != strings.Join(want, ",") {
		w.Fatalf("got %q", got)
	}
}

func eventOnce(w *world) {
	app := w.app(nil, orchestration(collect))
	run := start(w, app, collect, 2, "once")
	opts := &pawl.RaiseOptions{MessageID: "m1"}
	for range 3 {
		if err := pawl.Raise(w.ctx, app, "once", "item", "a", opts); err != nil {
			w.Fatal(err)
		}
	}
	for _, e := range [][2]string{{"item", "b"}, {"end", "z"}} {
		if err := pawl.Raise(w.ctx, app, "once", e[0], e[1], nil); err != nil {
			w.Fatal(err)
		}
	}
	if got := result(w, run); got != "a,b,z" {
		w.Fatalf("got %q", got)
	}
}

// eventWhileHeld: a message must not wait behind a long local activity, whichever process sends it.
func eventWhileHeld(w *world) {
	app := w.app(nil, orchestration(firstOfThree), activity(block))
	client := w.app(nil)
	run := start(w, app, firstOfThree, "", "held")
	if err := pawl.Raise(w.ctx, client, "held", "go", "went", nil); err != nil {
		w.Fatal(err)
	}
	if got := result(w, run); got != "went" {
		w.Fatalf("got %q", got)
	}
}

func family(o *pawl.Context, depth int) (int, error) {
	if depth == 0 {
		return pawl.Activity(o, increment, 0).Await()
	}
	a := pawl.SubOrchestration(o, family, depth-1, nil)
	b := pawl.SubOrchestration(o, family, depth-1, &pawl.ChildOptions{InstanceID: o.InstanceID() + "/b"})
	sums, err := pawl.All(a, b)
	if err != nil {
		return 0, err
	}
	return sums[0] + sums[1], nil
}

func subOrchestrations(w *world) {
	app := w.app(nil, orchestration(family), activity(increment))
	w.app(nil, orchestration(family), activity(increment))
	if got := result(w, start(w, app, family, 4, "family")); got != 16 {
		w.Fatalf("got %d", got)
	}
	in, err := app.Describe(w.ctx, "family/b")
	if err != nil || in.ParentID != "family" {
		w.Fatalf("describe child: %+v, %v", in, err)
	}
}

func adopt(o *pawl.Context, id string) (string, error) {
	_, err := pawl.SubOrchestration(o, helloWorld, "x", &pawl.ChildOptions{InstanceID: id}).Await()
	if !errors.Is(err, pawl.ErrAlreadyExists) {
		return "", fmt.Errorf("want ErrAlreadyExists, got %v", err)
	}
	return "refused", nil
}

func childIDTaken(w *world) {
	app := w.app(nil, orchestration(adopt), orchestration(helloWorld), activity(greet))
	result(w, start(w, app, helloWorld, "x", "taken"))
	if got := result(w, start(w, app, adopt, "taken", "adopt")); got != "refused" {
		w.Fatalf("got %q", got)
	}
}

func countdown(o *pawl.Context, n int) (string, error) {
	if n == 0 {
		return fmt.Sprintf("execution %d", o.Execution()), nil
	}
	if _, err := pawl.Activity(o, increment, n).Await(); err != nil {
		return "", err
	}
	return "", pawl.ContinueAsNew(n - 1)
}

func continueAsNew(w *world) {
	app := w.app(nil, orchestration(countdown), activity(increment))
	if got := result(w, start(w, app, countdown, 25, "down")); got != "execution 26" {
		w.Fatalf("got %q", got)
	}
}

// relay takes one event an execution and passes what it has on.
func relay(o *pawl.Context, got []string) ([]string, error) {
	if len(got) == 40 {
		return got, nil
	}
	v, err := pawl.Event[string](o, "item").Await()
	if err != nil {
		return nil, err
	}
	return nil, pawl.ContinueAsNew(append(got, v))
}

func eventsOverContinueAsNew(w *world) {
	app := w.app(nil, orchestration(relay))
	w.app(nil, orchestration(relay))
	run := start(w, app, relay, nil, "relay")
	var want []string
	for i := range 40 {
		v := fmt.Sprint(i)
		want = append(want, v)
		for range 2 { // the repeat is dropped, in a later execution too
			if err := pawl.Raise(w.ctx, app, "relay", "item", v, &pawl.RaiseOptions{MessageID: "id" + v}); err != nil && !errors.Is(err, pawl.ErrNotRunning) {
				w.Fatal(err)
			}
		}
	}
	if got := result(w, run); !slices.Equal(got, want) {
		w.Fatalf("got %q", got)
	}
}

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

func manyStarts(w *world) {
	apps := []*pawl.App{w.app(nil, orchestration(helloWorld), activity(greet)), w.app(nil, orchestration(helloWorld), activity(greet)), w.app(nil)}
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			_, err := pawl.Start(w.ctx, apps[i%len(apps)], helloWorld, fmt.Sprint(i), &pawl.StartOptions{InstanceID: "one"})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, pawl.ErrAlreadyExists) {
				w.Errorf("start: %v", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		w.Fatalf("%d starts won", won.Load())
	}
	run, _ := pawl.Attach[string](apps[2], "one")
	result(w, run)
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

// rolesApart: turns in one process, activities in another.
func rolesApart(w *world) {
	turns := w.app(nil, orchestration(incrementTwenty))
	w.app(nil, activity(increment))
	if got := result(w, start(w, turns, incrementTwenty, 1, "apart")); got != 21 {
		w.Fatalf("got %d", got)
	}
}

func twoSteps(o *pawl.Context, _ string) (string, error) {
	a, err := pawl.Activity(o, greet, "a").Await()
	if err != nil {
		return "", err
	}
	v, err := pawl.Event[string](o, "go").Await()
	if err != nil {
		return "", err
	}
	b, err := pawl.Activity(o, greet, v).Await()
	return a + b, err
}

func replayAfterRestart(w *world) {
	first := w.app(nil, orchestration(twoSteps), activity(greet))
	start(w, first, twoSteps, "", "restart")
	w.eventually("first step recorded", func() bool {
		in, err := first.Describe(w.ctx, "restart")
		return err == nil && in.Events >= 5
	})
	if err := first.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	second := w.app(nil, orchestration(twoSteps), activity(greet))
	if err := pawl.Raise(w.ctx, second, "restart", "go", "b", nil); err != nil {
		w.Fatal(err)
	}
	run, _ := pawl.Attach[string](second, "restart")
	if got := result(w, run); got != "Hello, a!Hello, b!" {
		w.Fatalf("got %q", got)
	}
}

func replayWithoutCache(w *world) {
	app := w.app(&pawl.Options{CacheBytes: -1}, orchestration(collect), orchestration(twoSteps), activity(greet))
	run := start(w, app, twoSteps, "", "cold")
	w.eventually("first step recorded", func() bool {
		in, err := app.Describe(w.ctx, "cold")
		return err == nil && in.Events >= 5
	})
	if err := pawl.Raise(w.ctx, app, "cold", "go", "b", nil); err != nil {
		w.Fatal(err)
	}
	if got := result(w, run); got != "Hello, a!Hello, b!" {
		w.Fatalf("got %q", got)
	}
}

func unfused(w *world) {
	opts := pawl.Options{Unfused: true}
	app := w.app(&opts, orchestration(incrementTwenty), orchestration(sumOfSquares), orchestration(family), activity(increment), activity(square))
	if got := result(w, start(w, app, incrementTwenty, 1, "seq")); got != 21 {
		w.Fatalf("got %d", got)
	}
	if got := result(w, start(w, app, sumOfSquares, 10, "fan")); got != 285 {
		w.Fatalf("got %d", got)
	}
	if got := result(w, start(w, app, family, 2, "family")); got != 4 {
		w.Fatalf("got %d", got)
	}
}

// stopDrains: what is running when Stop is called is finished and recorded, and what follows is left to others.
func stopDrains(w *world) {
	begun, release := make(chan struct{}), make(chan struct{})
	var runs atomic.Int32
	slow := func(_ context.Context, s string) (string, error) {
		if runs.Add(1) == 1 {
			close(begun)
			<-release
		}
		return s, nil
	}
	orch := func(o *pawl.Context, s string) (string, error) {
		if _, err := pawl.ActivityByName[string](o, "slow", s).Await(); err != nil {
			return "", err
		}
		return pawl.ActivityByName[string](o, "slow", s+"!").Await()
	}
	register := []func(*pawl.App){orchestration(orch, pawl.Name("orch")), activity(slow, pawl.Name("slow"))}
	first := w.app(nil, register...)
	if _, err := pawl.StartByName[string](w.ctx, first, "orch", "x", &pawl.StartOptions{InstanceID: "drain"}); err != nil {
		w.Fatal(err)
	}
	<-begun
	stopped := make(chan error)
	go func() { stopped <- first.Stop(w.ctx) }()
	close(release)
	if err := <-stopped; err != nil {
		w.Fatal(err)
	}
	second := w.app(nil, register...)
	run, _ := pawl.Attach[string](second, "drain")
	if got := result(w, run); got != "x!" || runs.Load() != 2 {
		w.Fatalf("got %q after %d activity runs", got, runs.Load())
	}
}

// stopCutsShort: an activity that does not finish in time is cancelled, not failed, and runs again elsewhere.
func stopCutsShort(w *world) {
	begun := make(chan struct{}, 2)
	var runs atomic.Int32
	stubborn := func(ctx context.Context, s string) (string, error) {
		begun <- struct{}{}
		if runs.Add(1) == 1 {
			<-ctx.Done()
			return "", ctx.Err()
		}
		return s, nil
	}
	orch := func(o *pawl.Context, s string) (string, error) {
		return pawl.ActivityByName[string](o, "stubborn", s).Await()
	}
	register := []func(*pawl.App){orchestration(orch, pawl.Name("orch")), activity(stubborn, pawl.Name("stubborn"))}
	first := w.app(nil, register...)
	if _, err := pawl.StartByName[string](w.ctx, first, "orch", "x", &pawl.StartOptions{InstanceID: "cut"}); err != nil {
		w.Fatal(err)
	}
	<-begun
	expired, cancel := context.WithCancel(w.ctx)
	cancel()
	if err := first.Stop(expired); err != nil {
		w.Fatal(err)
	}
	second := w.app(nil, register...)
	run, _ := pawl.Attach[string](second, "cut")
	if got := result(w, run); got != "x" || runs.Load() != 2 {
		w.Fatalf("got %q after %d activity runs", got, runs.Load())
	}
}

// divergenceParks: changed code does not fail a running instance; mended code resumes it.
func divergenceParks(w *world) {
	before := func(o *pawl.Context, s string) (string, error) {
		if _, err := pawl.Activity(o, greet, s).Await(); err != nil {
			return "", err
		}
		return pawl.Event[string](o, "go").Await()
	}
	changed := func(o *pawl.Context, s string) (string, error) {
		if _, err := pawl.Activity(o, increment, 1).Await(); err != nil {
			return "", err
		}
		return "changed", nil
	}
	name := pawl.Name("orch")
	first := w.app(nil, orchestration(before, name), activity(greet))
	if _, err := pawl.StartByName[string](w.ctx, first, "orch", "x", &pawl.StartOptions{InstanceID: "diverge"}); err != nil {
		w.Fatal(err)
	}
	w.eventually("first step recorded", func() bool {
		in, err := first.Describe(w.ctx, "diverge")
		return err == nil && in.Events >= 5
	})
	if err := first.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	second := w.app(nil, orchestration(changed, name), activity(greet), activity(increment))
	if err := pawl.Raise(w.ctx, second, "diverge", "go", "went", nil); err != nil {
		w.Fatal(err)
	}
	var in *pawl.Instance
	w.eventually("parked", func() bool {
		var err error
		in, err = second.Describe(w.ctx, "diverge")
		return err == nil && in.Parked != ""
	})
	for _, want := range []string{`"diverged"`, `ActivityScheduled(\"greet\")`, `ActivityScheduled(\"increment\")`, "scenario_test.go:"} {
		if !strings.Contains(in.Parked, want) {
			w.Errorf("parked without %s: %s", want, in.Parked)
		}
	}
	if in.Status != "running" {
		w.Errorf("status %s", in.Status)
	}
	if err := second.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	third := w.app(nil, orchestration(before, name), activity(greet))
	if err := third.Resume(w.ctx, "diverge"); err != nil {
		w.Fatal(err)
	}
	run, _ := pawl.Attach[string](third, "diverge")
	if got := result(w, run); got != "went" {
		w.Fatalf("got %q", got)
	}
}

// stuckTurn: orchestration code that never comes back costs its own instance only.
func stuckTurn(w *world) {
	release := make(chan struct{})
	w.Cleanup(func() { close(release) })
	stuck := func(o *pawl.Context, s string) (string, error) {
		if _, err := pawl.Activity(o, greet, s).Await(); err != nil {
			return "", err
		}
		<-release
		return "", nil
	}
	app := w.app(&pawl.Options{MaxAttempts: 3}, orchestration(stuck, pawl.Name("stuck")), orchestration(helloWorld), activity(greet))
	if _, err := pawl.StartByName[string](w.ctx, app, "stuck", "x", &pawl.StartOptions{InstanceID: "stuck"}); err != nil {
		w.Fatal(err)
	}
	w.eventually("quarantined", func() bool {
		in, err := app.Describe(w.ctx, "stuck")
		return err == nil && strings.Contains(in.Parked, "quarantined")
	})
	result(w, start(w, app, helloWorld, "x", "other"))
}

func manyAtOnce(w *world) {
	apps := []*pawl.App{w.app(nil, orchestration(helloWorld), activity(greet)), w.app(nil, orchestration(helloWorld), activity(greet))}
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			run, err := pawl.Start(w.ctx, apps[i%2], helloWorld, fmt.Sprint(i), nil)
			if err != nil {
				w.Errorf("start: %v", err)
				return
			}
			if got, err := run.Result(w.ctx); err != nil || got != fmt.Sprintf("Hello, %d!", i) {
				w.Errorf("%d: %q, %v", i, got, err)
			}
		})
	}
	wg.Wait()
}

func watchClock(o *pawl.Context, _ string) ([]time.Time, error) {
	times := []time.Time{o.Now(), o.Now()}
	if _, err := pawl.Activity(o, greet, "x").Await(); err != nil {
		return nil, err
	}
	times = append(times, o.Now())
	if _, err := pawl.Event[string](o, "go").Await(); err != nil {
		return nil, err
	}
	return append(times, o.Now()), nil
}

// turnTime: time stands still within a turn, never goes back, and a replay sees the same.
func turnTime(w *world) {
	register := []func(*pawl.App){orchestration(watchClock), activity(greet)}
	first := w.app(nil, register...)
	start(w, first, watchClock, "", "clock")
	w.eventually("step recorded", func() bool {
		in, err := first.Describe(w.ctx, "clock")
		return err == nil && in.Events >= 5
	})
	if err := first.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	second := w.app(nil, register...)
	if err := pawl.Raise(w.ctx, second, "clock", "go", "", nil); err != nil {
		w.Fatal(err)
	}
	run, _ := pawl.Attach[[]time.Time](second, "clock")
	times := result(w, run)
	in, err := second.Describe(w.ctx, "clock")
	if err != nil || !times[0].Equal(times[1]) || !slices.IsSortedFunc(times, time.Time.Compare) || times[0].Before(in.CreatedAt.Add(-time.Minute)) {
		w.Fatalf("times %v, created %v", times, in.CreatedAt)
	}
}
