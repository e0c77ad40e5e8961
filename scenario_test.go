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

// scenarios are what must work on every store. See inVirtualTime and inRealTime.
var scenarios = slices.Concat([]scenario{
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
	{name: "errors match across borders", run: errorsMatch},
	{name: "panics and exits", run: panicsAndExits},
	{name: "one start of many wins", run: manyStarts},
	{name: "client errors", run: clientErrors},
	{name: "roles apart", run: rolesApart},
	{name: "replay after restart", run: replayAfterRestart},
	{name: "replay without cache", run: replayWithoutCache},
	{name: "one slot", run: oneSlot},
	{name: "abandoned activity is cancelled", run: abandonedActivity},
	{name: "stop drains", run: stopDrains},
	{name: "stop cuts short", run: stopCutsShort},
	{name: "divergence parks", run: divergenceParks},
	{name: "stuck turn is quarantined", run: stuckTurn, virtual: true},
	{name: "many at once", run: manyAtOnce},
	{name: "time is the turn's", run: turnTime},
	{name: "cancel before the first turn", run: cancelBeforeFirstTurn},
	{name: "cancel while all is open", run: cancelWhileOpen},
	{name: "cancel three deep", run: cancelDeep},
	{name: "cancel twice", run: cancelTwice},
	{name: "cancel ignored", run: cancelIgnored},
	{name: "cancel a scope", run: cancelScope},
	{name: "cancel races completion", run: cancelRacesCompletion},
	{name: "cancel over continue-as-new", run: cancelOverContinueAsNew},
	{name: "cancel for odd reasons", run: cancelReason},
	{name: "terminate without a worker", run: terminateAlone},
	{name: "terminate what is held", run: terminateHeld},
	{name: "terminate a tree", run: terminateTree},
	{name: "suspend and resume", run: suspendResume},
	{name: "suspend what is held", run: suspendHeld},
	{name: "end while suspended", run: endWhileSuspended},
	{name: "parent closes", run: parentClose},
	{name: "child ends", run: childEnds},
	{name: "detached in the last turn", run: detachedInLastTurn},
	{name: "stranger under a child's id", run: strangerUnderChildID},
	{name: "child options", run: childOptionsChecked},
	{name: "child parked", run: childParked},
	{name: "child quarantined", run: childQuarantined, virtual: true},
	{name: "event within a time", run: eventWithin},
	{name: "event times out", run: eventTimesOut, virtual: true},
	{name: "events between instances", run: sendEvent},
	{name: "many events", run: manyEvents},
	{name: "continue-as-new is suggested", run: continueSuggested},
	{name: "reuse policies", run: reusePolicies},
	{name: "start with events", run: startWithEvents},
	{name: "many replace each other", run: manyReplace},
	{name: "what a replacement derives from its id", run: replacedDerivesAnew},
	{name: "queries answer", run: queriesAnswer},
	{name: "queries fail", run: queriesFail},
	{name: "stuck query", run: queryStuck},
	{name: "query before the first turn", run: queryBeforeFirstTurn},
	{name: "query of diverged code", run: queryDiverged},
	{name: "updates answer", run: updatesAnswer},
	{name: "updates are done once", run: updatesOnce},
	{name: "update repeated while nothing runs", run: updateRepeatedAtRest},
	{name: "updates wait", run: updateWaits},
	{name: "updates wake", run: awaitUntil},
	{name: "custom status is followed", run: statusFollowed},
	{name: "values are kept", run: valuesKept},
	{name: "attributes are found", run: attributesFound},
	{name: "attributes of children", run: attributesOfChildren},
	{name: "attributes are refused", run: attributesRefused},
	{name: "attributes are replaced", run: attributesReplaced},
	{name: "limits of state", run: stateLimits},
	{name: "limit of payloads of clients", run: payloadLimitOfClients},
	{name: "limit of payloads of code", run: payloadLimitOfCode},
	{name: "limits of a history", run: limitsOfHistory},
	{name: "limit of a runaway", run: limitOfRunaway},
	{name: "limits lowered", run: limitsLowered},
	{name: "many answers at once", run: manyAnswersAtOnce},
	{name: "limit of heartbeats", run: heartbeatLimit},
	{name: "few places", run: fewPlaces},
	{name: "odd texts of state", run: stateTexts},
	{name: "payloads of other types", run: payloadsOfOtherTypes},
	{name: "continue-as-new with another input", run: continueWithOtherInput},
	{name: "versions are chosen", run: versionsChosen},
	{name: "versions stay", run: versionsStay},
	{name: "patch is deployed", run: patchDeployed},
	{name: "diverging build", run: divergingBuild},
	{name: "nobody runs an instance", run: nobodyRunsIt},
	{name: "nobody runs activities", run: nobodyRunsActivities},
}, activityScenarios, priorityScenarios, sessionScenarios)

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

// rolesApart: turns in one process, activities in another.
func rolesApart(w *world) {
	turns := w.app(nil, orchestration(incrementTwenty))
	w.app(nil, activity(increment))
	if got := result(w, start(w, turns, incrementTwenty, 1, "apart")); got != 21 {
		w.Fatalf("got %d", got)
	}
}
