package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pawlrun/pawl"
)

// eventWithin: a wait that has timed out takes no later event, and one that was answered leaves no timer.
func eventWithin(w *world) {
	o := func(o *pawl.Context, _ string) (string, error) {
		if _, err := pawl.EventWithin[string](o, "item", 20*time.Millisecond); !errors.Is(err, pawl.ErrTimeout) || errors.Is(err, pawl.ErrCancelled) {
			return "", fmt.Errorf("first: %v", err)
		}
		if _, err := pawl.EventWithin[string](o, "", time.Hour); !errors.Is(err, pawl.ErrInvalid) {
			return "", fmt.Errorf("no name: %v", err)
		}
		if _, err := pawl.Event[string](o, "go").Await(); err != nil {
			return "", err
		}
		a, err := pawl.EventWithin[string](o, "item", time.Hour)
		if err != nil {
			return "", err
		}
		b, err := pawl.EventWithin[string](o, "item", 0) // there already
		if err != nil {
			return "", err
		}
		if _, err := pawl.EventWithin[string](o, "item", 0); !errors.Is(err, pawl.ErrTimeout) {
			return "", fmt.Errorf("third: %v", err)
		}
		return a + b, nil
	}
	app := w.app(nil, orchestration(o, pawl.Name("o")))
	run := startNamed(w, app, "within")
	w.events(app, "within", 7) // start, wait, timer; turn, fired, withdrawn, wait
	for _, e := range [][2]string{{"item", "a"}, {"item", "b"}, {"go", ""}} {
		if err := pawl.Raise(w.ctx, app, "within", e[0], e[1], nil); err != nil {
			w.Fatal(err)
		}
	}
	if got := result(w, run); got != "ab" {
		w.Errorf("got %q", got)
	}
}

// eventTimesOut: time is the store's, and the error of an orchestration that returns it says what it was.
func eventTimesOut(w *world) {
	o := func(o *pawl.Context, d time.Duration) (string, error) { return pawl.EventWithin[string](o, "never", d) }
	app := w.app(&pawl.Options{PulseInterval: 12 * time.Hour, TTL: 48 * time.Hour}, orchestration(o, pawl.Name("o")))
	begin := time.Now()
	const d = 30 * 24 * time.Hour
	run, err := pawl.StartByName[string](w.ctx, app, "o", d, nil)
	if err != nil {
		w.Fatal(err)
	}
	_, err = run.Result(w.ctx)
	if took := time.Since(begin); took < d || took > d+2*time.Second || !errors.Is(err, pawl.ErrTimeout) || !strings.Contains(err.Error(), `"never"`) {
		w.Errorf("after %v: %v", took, err)
	}
}

// sendEvent: instances send each other events, each once and in order, also in the turn that ends the sender.
func sendEvent(w *world) {
	const n = 20
	sender := func(o *pawl.Context, _ string) (string, error) {
		for i := range n {
			if err := pawl.SendEvent(o, "receiver", "item", fmt.Sprint(i)); err != nil {
				return "", err
			}
			if i%5 == 0 {
				if err := pawl.Sleep(o, time.Millisecond); err != nil {
					return "", err
				}
			}
		}
		for _, err := range []error{pawl.SendEvent(o, "", "item", ""), pawl.SendEvent(o, "receiver", "", "")} {
			if !errors.Is(err, pawl.ErrInvalid) {
				return "", fmt.Errorf("no name: %v", err)
			}
		}
		if err := pawl.SendEvent(o, "receiver", "item", func() {}); !errors.Is(err, pawl.ErrBadPayload) {
			return "", fmt.Errorf("payload: %v", err)
		}
		return "sent", errors.Join(pawl.SendEvent(o, "nobody", "item", ""), pawl.SendEvent(o, "receiver", "end", "end"))
	}
	app := w.app(nil, orchestration(collect), orchestration(sender, pawl.Name("o")))
	w.app(nil, orchestration(collect), orchestration(sender, pawl.Name("o")))
	run := start(w, app, collect, n, "receiver")
	result(w, startNamed(w, app, "sender"))
	var want []string
	for i := range n {
		want = append(want, fmt.Sprint(i))
	}
	if got := result(w, run); got != strings.Join(append(want, "end"), ",") {
		w.Errorf("got %q", got)
	}
}

// drained takes all events there are, in executions of a thousand, and checks that none is missing or twice.
func drained(o *pawl.Context, got int) (int, error) {
	for range 1000 {
		n, err := pawl.Event[int](o, "item").Await()
		if err != nil {
			return got, err
		}
		if n < 0 {
			return got, nil
		}
		got++
	}
	if o.ContinueAsNewSuggested() || o.HistoryLength() < 2001 {
		return got, fmt.Errorf("%d events in the history", o.HistoryLength())
	}
	return 0, pawl.ContinueAsNew(got)
}

// manyEvents: what was buffered while no worker was there is taken when one is.
func manyEvents(w *world) {
	const n = 3000
	client := w.app(nil)
	run, err := pawl.Start(w.ctx, client, drained, 0, &pawl.StartOptions{InstanceID: "drain"})
	if err != nil {
		w.Fatal(err)
	}
	w.raiseMany(client, "drain", n)
	w.app(nil, orchestration(drained))
	if got := result(w, run); got != n {
		w.Errorf("%d of %d events", got, n)
	}
}

// raiseMany raises n items from many goroutines, and then the one that ends drained.
func (w *world) raiseMany(app *pawl.App, id string, n int) {
	w.Helper()
	var wg sync.WaitGroup
	items := make(chan int)
	for range 256 {
		wg.Go(func() {
			for i := range items {
				if err := pawl.Raise(w.ctx, app, id, "item", i, nil); err != nil {
					w.Errorf("raise: %v", err)
				}
			}
		})
	}
	for i := range n {
		items <- i
	}
	close(items)
	wg.Wait()
	if err := pawl.Raise(w.ctx, app, id, "item", -1, nil); err != nil {
		w.Fatal(err)
	}
}

// continueSuggested: the hint comes at the length that is documented, in every replay.
func continueSuggested(w *world) {
	o := func(o *pawl.Context, _ string) (int, error) {
		for !o.ContinueAsNewSuggested() {
			if err := pawl.Sleep(o, 0); err != nil {
				return 0, err
			}
			for range 5000 {
				pawl.Timer(o, time.Hour).Cancel("")
			}
		}
		return o.HistoryLength(), nil
	}
	app := w.app(&pawl.Options{CacheBytes: -1}, orchestration(o, pawl.Name("o")))
	run, err := pawl.StartByName[int](w.ctx, app, "o", "", nil)
	if err != nil {
		w.Fatal(err)
	}
	if got := result(w, run); got < pawl.LongHistory || got > 3*pawl.LongHistory {
		w.Errorf("%d events", got)
	}
}

// TestBufferedEventsDrain: a hundred thousand events that were raised while no worker was there are taken, each once, without
// a continue-as-new that would lose any.
func TestBufferedEventsDrain(t *testing.T) {
	const n = 100_000
	for name, open := range map[string]func(*testing.T) opener{"SQLite": sqliteFile, "PostgreSQL": postgresDatabase} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			w := &world{TB: t, ctx: ctx, open: open(t)}
			client := w.app(nil)
			run, err := pawl.Start(ctx, client, drained, 0, &pawl.StartOptions{InstanceID: "drain"})
			if err != nil {
				t.Fatal(err)
			}
			w.raiseMany(client, "drain", n)
			w.app(nil, orchestration(drained))
			if got := result(w, run); got != n {
				t.Errorf("%d of %d events", got, n)
			}
			if in, err := client.Describe(ctx, "drain"); err != nil || in.Execution != n/1000+1 {
				t.Errorf("%+v, %v", in, err)
			}
		})
	}
}
