package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl"
)

// fits and tooMuch are, encoded, as large as the limit of these tests allows and one byte more.
var (
	fits    = strings.Repeat("x", 18)
	tooMuch = strings.Repeat("x", 19)
)

func smallPayloads() *pawl.Options { return &pawl.Options{Limits: pawl.Limits{PayloadBytes: 20}} }

// overLimit says what is wrong with the error of something that exceeds a limit by one, "" if nothing is.
func overLimit(err error, what string, limit int64, option string) string {
	var le *pawl.LimitError
	if !errors.Is(err, pawl.ErrLimit) || !errors.As(err, &le) {
		return fmt.Sprintf("%s: error %v", what, err)
	}
	if want := (pawl.LimitError{What: what, Size: limit + 1, Limit: limit, Option: option}); *le != want {
		return fmt.Sprintf("%+v, want %+v", *le, want)
	}
	for _, part := range []string{what, fmt.Sprint(limit), fmt.Sprint(limit + 1), option} {
		if !strings.Contains(err.Error(), part) {
			return fmt.Sprintf("%q does not name %s", err, part)
		}
	}
	return ""
}

func tooLarge(err error, what string) string { return overLimit(err, what, 20, "Limits.PayloadBytes") }

// echo answers updates and queries, and ends with an event, which is its result.
func echo(o *pawl.Context, _ string) (string, error) {
	same := func(s string) (string, error) { return s, nil }
	longer := func(s string) (string, error) { return s + "x", nil }
	if err := errors.Join(pawl.HandleQuery(o, "same", same), pawl.HandleUpdate(o, "same", pawl.UpdateHandler[string, string]{Handle: same}),
		pawl.HandleUpdate(o, "longer", pawl.UpdateHandler[string, string]{Handle: longer})); err != nil {
		return "", err
	}
	return pawl.Event[string](o, "end").Await()
}

// payloadLimitOfClients: what a client sends is refused at the call, and nothing happens.
func payloadLimitOfClients(w *world) {
	app := w.app(smallPayloads(), orchestration(echo))
	check := func(err error, what string) {
		w.Helper()
		if wrong := tooLarge(err, what); wrong != "" {
			w.Error(wrong)
		}
	}
	_, err := pawl.Start(w.ctx, app, echo, tooMuch, &pawl.StartOptions{InstanceID: "e"})
	check(err, "input of echo")
	_, err = pawl.Start(w.ctx, app, echo, "", &pawl.StartOptions{InstanceID: "e", Events: []pawl.StartEvent{{Name: "end", Payload: tooMuch}}})
	check(err, "payload of event end")
	if _, err := app.Describe(w.ctx, "e"); !errors.Is(err, pawl.ErrNotFound) {
		w.Errorf("a refused start: %v", err)
	}
	run := start(w, app, echo, fits, "e")
	check(pawl.Raise(w.ctx, app, "e", "end", tooMuch, nil), "payload of event end")
	_, err = pawl.Update[string](w.ctx, app, "e", "same", tooMuch, nil)
	check(err, "input of update same")
	_, err = pawl.Query[string](w.ctx, app, "e", "same", tooMuch)
	check(err, "input of query same")
	_, err = pawl.Update[string](w.ctx, app, "e", "longer", fits, nil)
	check(err, "answer of update longer")
	check(pawl.CompleteActivity(w.ctx, app, "token", tooMuch), "result of an activity")
	for name, ask := range map[string]func() (string, error){
		"update": func() (string, error) { return pawl.Update[string](w.ctx, app, "e", "same", fits, nil) },
		"query":  func() (string, error) { return pawl.Query[string](w.ctx, app, "e", "same", fits) },
	} {
		if got, err := ask(); got != fits || err != nil {
			w.Errorf("%s: %q, %v", name, got, err)
		}
	}
	w.raise(app, "e", "end", fits)
	if got := result(w, run); got != fits {
		w.Errorf("got %q", got)
	}
}

// grow ends with its input and one more; it does that itself, has an activity do it, or hands it to its next execution.
func grow(o *pawl.Context, s string) (string, error) {
	if o.Execution() == 2 {
		return "", nil
	}
	if o.Name() == "continued" {
		return "", pawl.ContinueAsNew(s + "x")
	}
	return s + "x", nil
}

// payloadLimitOfCode: what code hands on is refused at the call, what it returns fails it; neither diverges in a replay.
func payloadLimitOfCode(w *world) {
	var attempts atomic.Int32
	growing := func(_ context.Context, s string) (string, error) {
		if s == fits {
			attempts.Add(1)
		}
		return s + "x", nil
	}
	wasteful := func(o *pawl.Context, _ string) (string, error) {
		refused := func(err error, what string) {
			if wrong := tooLarge(err, what); wrong != "" {
				w.Error(wrong)
			}
		}
		await := func(f *pawl.Future[string]) error { _, err := f.Await(); return err }
		again := pawl.ActivityOptions{Retry: &pawl.RetryPolicy{MaxAttempts: 5, InitialDelay: time.Millisecond}}
		refused(await(pawl.ActivityByName[string](o, "growing", tooMuch)), "input of activity growing")
		refused(await(pawl.ActivityByName[string](o, "growing", fits, again)), "result of activity growing")
		refused(await(pawl.SubOrchestrationByName[string](o, "grow", tooMuch, nil)), "input of orchestration grow")
		refused(await(pawl.SubOrchestrationByName[string](o, "grow", fits, nil)), "result of orchestration grow")
		refused(await(pawl.SubOrchestrationByName[string](o, "continued", fits, nil)), "input of continue-as-new")
		_, err := pawl.StartDetachedByName(o, "grow", tooMuch, nil)
		refused(err, "input of orchestration grow")
		refused(pawl.SendEvent(o, "nobody", "e", tooMuch), "payload of event e")
		_, err = pawl.StartDetachedByName(o, "grow", fits[1:], nil)
		return "", errors.Join(err, pawl.SendEvent(o, "nobody", "e", fits),
			await(pawl.ActivityByName[string](o, "growing", fits[1:])), await(pawl.SubOrchestrationByName[string](o, "grow", fits[1:], nil)),
			await(pawl.SubOrchestrationByName[string](o, "continued", fits[1:], nil)))
	}
	opts := smallPayloads()
	opts.CacheBytes = -1
	app := w.app(opts, orchestration(wasteful, pawl.Name("o")), orchestration(grow, pawl.Aliases("continued")), activity(growing, pawl.Name("growing")))
	result(w, startNamed(w, app, "wasteful"))
	if n := attempts.Load(); n != 1 {
		w.Errorf("what is too large was tried %d times", n)
	}
	_, err := start(w, app, grow, fits, "grown").Result(w.ctx)
	if wrong := tooLarge(err, "result of orchestration grow"); wrong != "" {
		w.Error(wrong)
	}
}

// limitsOfHistory: an execution whose history or turn is full fails; its parent and clients learn why, it can still be asked,
// and continue-as-new in time is the cure.
func limitsOfHistory(w *world) {
	timers := func(o *pawl.Context, n int) (string, error) {
		if err := pawl.HandleQuery(o, "n", func(string) (int, error) { return n, nil }); err != nil {
			return "", err
		}
		for range n {
			pawl.Timer(o, time.Hour)
		}
		return "", nil
	}
	inputs := func(o *pawl.Context, n int) (string, error) {
		for range n {
			pawl.Activity(o, greet, fits)
		}
		return "", nil
	}
	loop := func(o *pawl.Context, n int) (string, error) {
		for ; n > 0; n-- {
			if o.HistoryLength() > 20 {
				return "", pawl.ContinueAsNew(n)
			}
			if _, err := pawl.Activity(o, increment, n).Await(); err != nil {
				return "", err
			}
		}
		return "", nil
	}
	parent := func(o *pawl.Context, n int) (string, error) {
		_, err := pawl.SubOrchestrationByName[string](o, "timers", n, nil).Await()
		var le *pawl.LimitError
		if !errors.As(err, &le) || !errors.Is(err, pawl.ErrLimit) {
			return "", fmt.Errorf("the parent has learnt %v", err)
		}
		return "", nil
	}
	app := w.app(&pawl.Options{Limits: pawl.Limits{PayloadBytes: 20, HistoryEvents: 30, TurnEvents: 25, TurnBytes: 200}},
		orchestration(timers, pawl.Name("timers")), orchestration(inputs, pawl.Name("inputs")), orchestration(loop, pawl.Name("loop")),
		orchestration(parent, pawl.Name("parent")), activity(greet), activity(increment))
	begin := func(name string, n int) error {
		run, err := pawl.StartByName[string](w.ctx, app, name, n, &pawl.StartOptions{InstanceID: fmt.Sprint(name, n)})
		if err != nil {
			return err
		}
		_, err = run.Result(w.ctx)
		return err
	}
	for _, ok := range []error{begin("timers", 25), begin("inputs", 10), begin("loop", 100), begin("parent", 26)} {
		if ok != nil {
			w.Error(ok)
		}
	}
	if wrong := overLimit(begin("timers", 26), "events scheduled in one turn", 25, "Limits.TurnEvents"); wrong != "" {
		w.Error(wrong)
	}
	var le *pawl.LimitError
	if err := begin("inputs", 11); !errors.As(err, &le) || le.Size != 220 || le.Limit != 200 || le.Option != "Limits.TurnBytes" {
		w.Errorf("%v", err)
	}
	if n, err := pawl.Query[int](w.ctx, app, "timers26", "n", ""); n != 26 || err != nil {
		w.Errorf("query of what a limit has ended: %d, %v", n, err)
	}
}

// runaway awaits activities for ever.
func runaway(o *pawl.Context, _ string) (string, error) {
	for {
		if _, err := pawl.Activity(o, greet, fits).Await(); err != nil {
			return "", err
		}
	}
}

func limitOfRunaway(w *world) {
	app := w.app(&pawl.Options{Limits: pawl.Limits{HistoryEvents: 100}}, orchestration(runaway), activity(greet))
	_, err := start(w, app, runaway, "", "r").Result(w.ctx)
	if wrong := overLimit(err, "events in the history", 100, "Limits.HistoryEvents"); wrong != "" {
		w.Error(wrong)
	}
	if in, err := app.Describe(w.ctx, "r"); err != nil || in.Status != "failed" {
		w.Errorf("%+v, %v", in, err)
	}
}

// limitsLowered: what was recorded under larger limits replays under smaller ones, which then hold for what is new.
func limitsLowered(w *world) {
	hand := func(o *pawl.Context, n int) (string, error) {
		for range n {
			if _, err := pawl.Activity(o, greet, fits).Await(); err != nil {
				return "", err
			}
		}
		if err := pawl.SetCustomStatus(o, "done"); err != nil {
			return "", err
		}
		if _, err := pawl.Event[string](o, "go").Await(); err != nil {
			return "", err
		}
		if _, err := pawl.Activity(o, greet, fits).Await(); err == nil || n > 1 {
			return "", fmt.Errorf("not refused: %v", err)
		}
		return "told", nil
	}
	first := w.app(nil, orchestration(hand, pawl.Name("hand")), activity(greet))
	for _, n := range []int{1, 10} {
		id := fmt.Sprint("hand", n)
		if _, err := pawl.StartByName[string](w.ctx, first, "hand", n, &pawl.StartOptions{InstanceID: id}); err != nil {
			w.Fatal(err)
		}
		w.eventually("the activities are done", func() bool {
			in, err := first.Describe(w.ctx, id)
			return err == nil && in.CustomStatus == `"done"`
		})
	}
	if err := first.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	client := w.app(nil)
	for _, id := range []string{"hand1", "hand10"} { // before anybody whose limits end it has a turn for another reason
		w.raise(client, id, "go", "")
	}
	second := w.app(&pawl.Options{Limits: pawl.Limits{PayloadBytes: 10, HistoryEvents: 20}}, orchestration(hand, pawl.Name("hand")), activity(greet))
	for _, id := range []string{"hand1", "hand10"} {
		run, err := pawl.Attach[string](second, id)
		if err != nil {
			w.Fatal(err)
		}
		switch got, err := run.Result(w.ctx); {
		case id == "hand1" && (got != "told" || err != nil):
			w.Errorf("%q, %v", got, err)
		case id == "hand10" && !errors.Is(err, pawl.ErrLimit):
			w.Errorf("a full history: %v", err)
		}
	}
}

// manyAnswersAtOnce: answers and events that are too much for one commit are taken in several turns, none lost and in order.
func manyAnswersAtOnce(w *world) {
	const n = 40
	gather := func(o *pawl.Context, _ string) (int, error) {
		var futures []*pawl.Future[string]
		for range n {
			futures = append(futures, pawl.ActivityByName[string](o, "same", fits))
			if len(futures)%5 == 0 { // so many are scheduled in one turn
				if err := pawl.Sleep(o, 0); err != nil {
					return 0, err
				}
			}
		}
		got, err := pawl.All(futures...)
		for i := range n {
			v, err := pawl.Event[string](o, "item").Await()
			if err != nil || v != fmt.Sprintf("%018d", i) {
				return 0, fmt.Errorf("item %d is %q, %v", i, v, err)
			}
		}
		return len(got), err
	}
	same := func(_ context.Context, s string) (string, error) { return s, nil }
	opts := func() *pawl.Options { return &pawl.Options{Limits: pawl.Limits{PayloadBytes: 20, TurnBytes: 100}} }
	client := w.app(opts())
	run, err := pawl.StartByName[int](w.ctx, client, "gather", "", &pawl.StartOptions{InstanceID: "g"})
	if err != nil {
		w.Fatal(err)
	}
	for i := range n {
		w.raise(client, "g", "item", fmt.Sprintf("%018d", i))
	}
	w.app(opts(), orchestration(gather, pawl.Name("gather")), activity(same, pawl.Name("same")))
	if got := result(w, run); got != n {
		w.Errorf("%d answers", got)
	}
}

// fewPlaces: with one place for each kind of call all of a crowd come through, one after the other.
func fewPlaces(w *world) {
	app := w.app(&pawl.Options{Limits: pawl.Limits{Starts: 1, Messages: 1, Queries: 1}}, orchestration(echo))
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			id := fmt.Sprint("e", i)
			run, err := pawl.Start(w.ctx, app, echo, "", &pawl.StartOptions{InstanceID: id})
			if err != nil {
				w.Error(err)
				return
			}
			for name, ask := range map[string]func() (string, error){
				"query":  func() (string, error) { return pawl.Query[string](w.ctx, app, id, "same", id) },
				"update": func() (string, error) { return pawl.Update[string](w.ctx, app, id, "same", id, nil) },
				"raise": func() (string, error) {
					return id, pawl.Raise(w.ctx, app, id, "item", id, nil)
				},
			} {
				if got, err := ask(); got != id || err != nil {
					w.Errorf("%s: %q, %v", name, got, err)
				}
			}
			if err := pawl.Raise(w.ctx, app, id, "end", id, nil); err != nil {
				w.Error(err)
			}
			if got, err := run.Result(w.ctx); got != id || err != nil {
				w.Errorf("%q, %v", got, err)
			}
		})
	}
	wg.Wait()
	ended, cancel := context.WithCancel(w.ctx)
	cancel()
	if _, err := pawl.Start(ended, app, echo, "", &pawl.StartOptions{InstanceID: "late"}); !errors.Is(err, context.Canceled) {
		w.Errorf("start with a context that has ended: %v", err)
	}
}

// heartbeatLimit: what a heartbeat brings is bounded, and the activity goes on.
func heartbeatLimit(w *world) {
	beat := func(ctx context.Context, _ string) (string, error) {
		if wrong := overLimit(pawl.Heartbeat(ctx, tooMuch), "details of heartbeat", 20, "Limits.HeartbeatBytes"); wrong != "" {
			return wrong, nil
		}
		return "", pawl.Heartbeat(ctx, fits)
	}
	o := func(o *pawl.Context, _ string) (string, error) {
		return pawl.ActivityByName[string](o, "beat", "").Await()
	}
	app := w.app(&pawl.Options{Limits: pawl.Limits{HeartbeatBytes: 20}}, orchestration(o, pawl.Name("o")), activity(beat, pawl.Name("beat")))
	if wrong := result(w, startNamed(w, app, "h")); wrong != "" {
		w.Error(wrong)
	}
}
