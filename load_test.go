package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
	"github.com/pawlrun/pawl/provider/providertest"
	"github.com/pawlrun/pawl/provider/providertest/model"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// counted passes calls on and counts them. In virtual time they take as long as told, on four connections and one more for
// pulses.
type counted struct {
	provider.Provider
	takes       atomic.Int64 // nanoseconds
	connections chan struct{}

	mu    sync.Mutex
	calls map[string]int
}

func count(p provider.Provider, takes time.Duration) *counted {
	c := &counted{connections: make(chan struct{}, 4), calls: map[string]int{}}
	c.takes.Store(int64(takes))
	c.Provider = providertest.Faulty(p, func(op string, _ int) providertest.Fault {
		c.mu.Lock()
		c.calls[op]++
		c.mu.Unlock()
		if d := time.Duration(c.takes.Load()); d > 0 {
			if op != "Pulse" {
				c.connections <- struct{}{}
				defer func() { <-c.connections }()
			}
			_ = pass(context.Background(), d)
		}
		return providertest.NoFault
	})
	return c
}

// made returns how many calls there were of some methods.
func (c *counted) made(ops ...string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, op := range ops {
		n += c.calls[op]
	}
	return n
}

// onStores runs a test in virtual time on the model and on SQLite, whose calls take a millisecond, and as it is on
// PostgreSQL.
func onStores(t *testing.T, test func(w *world, store *counted)) {
	t.Helper()
	virtually := func(name string, open func(t *testing.T) provider.Provider) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				store := count(open(t), time.Millisecond)
				test(&world{TB: t, ctx: ctx, open: func(testing.TB) provider.Provider { return store }}, store)
			})
		})
	}
	virtually("model", func(*testing.T) provider.Provider { return model.New(model.Options{}).Open() })
	virtually("sqlite", func(t *testing.T) provider.Provider { return onSQLite(t) })
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		store := count(onPostgres(t), 0)
		test(&world{TB: t, ctx: ctx, open: func(testing.TB) provider.Provider { return store }}, store)
	})
}

func onSQLite(t *testing.T) provider.Provider {
	p, err := sqlite.Open(context.Background(), sqlite.Memory, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func onPostgres(t *testing.T) provider.Provider {
	p, err := postgres.Open(context.Background(), pgtest.URL(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// press has clients start hello worlds, each the next when the last has ended, until the test is over or halt is called.
// ended counts them.
func press(w *world, app *pawl.App, clients int) (ended *atomic.Int64, halt func()) {
	ended = new(atomic.Int64)
	ctx, stop := context.WithCancel(w.ctx)
	var done sync.WaitGroup
	for i := range clients {
		done.Go(func() {
			for j := 0; ctx.Err() == nil; j++ {
				id := fmt.Sprint("hello-", i, "-", j)
				run, err := pawl.Start(w.ctx, app, helloWorld, "Ada", &pawl.StartOptions{InstanceID: id})
				if err == nil {
					_, err = run.Result(w.ctx)
				}
				if err != nil {
					w.Errorf("%s: %v", id, err)
					return
				}
				ended.Add(1)
			}
		})
	}
	halt = func() {
		stop()
		done.Wait()
	}
	w.Cleanup(halt)
	return ended, halt
}

// TestSaturation: while many more hello worlds are under way than the process has places and slots, none of those that have
// something to do besides is overtaken by more of them than are under way a few times over: an old instance that gets an
// event, one that a timer wakes, one whose long history must be read again, one whose activities are in the queue.
func TestSaturation(t *testing.T) {
	const clients, long = 60, 800
	const most = 5 * clients
	onStores(t, func(w *world, store *counted) {
		opts := &pawl.Options{MaxTurns: 8, MaxActivities: 5, CacheBytes: -1}
		app := w.app(opts, orchestration(helloWorld), activity(greet), orchestration(collect), orchestration(nap),
			orchestration(sumOfSquares), activity(square))
		old := start(w, app, collect, 0, "old")
		large := start(w, app, collect, long, "large")
		var raising sync.WaitGroup
		for i := range long {
			raising.Go(func() {
				if err := pawl.Raise(w.ctx, app, "large", "item", fmt.Sprint(i), nil); err != nil {
					w.Error(err)
				}
			})
		}
		raising.Wait()
		w.eventually("the long history", func() bool {
			in, err := app.Describe(w.ctx, "large")
			return err == nil && in.Events > long
		})
		ended, halt := press(w, app, clients)
		w.eventually("saturation", func() bool { return ended.Load() > clients })

		// passes is how often the instance has to queue up.
		overtaken := func(what string, passes int64, run func()) {
			before := ended.Load()
			run()
			n := ended.Load() - before
			if virtual := store.takes.Load() > 0; virtual && n > passes*most { // elsewhere a single call can take as long as many
				w.Errorf("%d hello worlds ended before the %s instance, of %d under way", n, what, clients)
			}
		}
		for what, run := range map[string]*pawl.Run[string]{"old": old, "large": large} {
			overtaken(what, 1, func() {
				if err := pawl.Raise(w.ctx, app, run.InstanceID(), "end", "end", nil); err != nil {
					w.Error(err)
				}
				result(w, run)
			})
		}
		overtaken("timed", 2, func() { result(w, start(w, app, nap, time.Millisecond, "timed")) })
		overtaken("queued", 3, func() {
			if got := result(w, start(w, app, sumOfSquares, 20, "queued")); got != 2470 {
				w.Errorf("got %d", got)
			}
		})
		before := ended.Load()
		w.eventually("that the load goes on", func() bool { return ended.Load() > before })
		halt()
	})
}

func again(o *pawl.Context, _ string) (string, error) { return "", pawl.ContinueAsNew("") }

// TestEndlessInstancesTakeTurns: instances that go on for ever, more than the process has places, all go on, at about the
// same pace.
func TestEndlessInstancesTakeTurns(t *testing.T) {
	const places, instances = 2, 7
	synctest.Test(t, func(t *testing.T) {
		store := count(onSQLite(t), time.Millisecond)
		w := &world{TB: t, ctx: t.Context(), open: func(testing.TB) provider.Provider { return store }}
		app := w.app(&pawl.Options{MaxTurns: places}, orchestration(again))
		for i := range instances {
			start(w, app, again, "", fmt.Sprint("again-", i))
		}
		executions := make([]int, instances)
		_ = pass(w.ctx, 100*time.Millisecond)
		for i := range instances {
			in, err := app.Describe(w.ctx, fmt.Sprint("again-", i))
			if err != nil {
				t.Fatal(err)
			}
			executions[i] = int(in.Execution)
		}
		if least, most := slices.Min(executions), slices.Max(executions); least < 5 || most > 3*least {
			t.Errorf("executions after 100 calls one after the other: %v", executions)
		}
	})
}

// TestQueueNobodyServes: ten thousand activities that no process here can run cost the others nothing, and hundreds of
// starts beyond the places of the process are left to the queue and all end.
func TestQueueNobodyServes(t *testing.T) {
	const foreign, hellos, starts = 10_000, 20, 300
	onStores(t, func(w *world, store *counted) {
		scatter := func(o *pawl.Context, _ string) (string, error) {
			for range foreign {
				pawl.ActivityByName[string](o, "elsewhere", "")
			}
			return pawl.Event[string](o, "never").Await()
		}
		app := w.app(&pawl.Options{MaxTurns: 10, MaxActivities: 10, PulseInterval: time.Minute, TTL: 3 * time.Minute},
			orchestration(scatter, pawl.Name("o")), orchestration(helloWorld), activity(greet))
		startNamed(w, app, "scattered")
		result(w, start(w, app, helloWorld, "Ada", "first")) // finds the queue empty
		work := []string{"StartOrchestrations", "AckOrchestrationItems", "AckWorkItems", "FetchWorkItems", "FetchOrchestrationItems", "ReadHistory"}
		before := store.made(work...)
		for i := range hellos {
			result(w, start(w, app, helloWorld, "Ada", fmt.Sprint("hello-", i)))
		}
		if n := store.made(work...) - before; n != 2*hellos {
			w.Errorf("%d calls for %d hello worlds", n, hellos)
		}
		var all sync.WaitGroup
		for i := range starts {
			all.Go(func() { result(w, start(w, app, helloWorld, "Ada", fmt.Sprint("many-", i))) })
		}
		all.Wait()
	})
}

// TestSlowStoreIsFelt: who calls while the store is slow waits, no longer than its context; then all is as before.
func TestSlowStoreIsFelt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := count(model.New(model.Options{}).Open(), time.Millisecond)
		w := &world{TB: t, ctx: t.Context(), open: func(testing.TB) provider.Provider { return store }}
		app := w.app(nil, orchestration(helloWorld), activity(greet), orchestration(collect))
		waiting := start(w, app, collect, 0, "waiting")
		store.takes.Store(int64(2 * time.Second))
		felt := func(what string, limit, want time.Duration, call func(ctx context.Context) error) {
			ctx, cancel := context.WithTimeout(w.ctx, limit)
			defer cancel()
			begun := time.Now()
			err := call(ctx)
			if took := time.Since(begun); took != want || (limit == want) != errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v after %v, want %v", what, err, took, want)
			}
		}
		hello := func(id string) func(ctx context.Context) error {
			return func(ctx context.Context) error {
				_, err := pawl.Start(ctx, app, helloWorld, "Ada", &pawl.StartOptions{InstanceID: id})
				return err
			}
		}
		raise := func(ctx context.Context) error { return pawl.Raise(ctx, app, "waiting", "other", "", nil) }
		felt("start with little time", time.Second, time.Second, hello("a"))
		felt("raise with little time", time.Second, time.Second, raise)
		_ = pass(w.ctx, 10*time.Second)
		felt("start", time.Minute, 2*time.Second, hello("b"))
		felt("raise", time.Minute, 2*time.Second, raise)
		_ = pass(w.ctx, 10*time.Second)
		store.takes.Store(int64(time.Millisecond))
		begun := time.Now()
		result(w, start(w, app, helloWorld, "Ada", "c"))
		if took := time.Since(begun); took != 2*time.Millisecond {
			t.Errorf("a hello took %v when the store was itself again", took)
		}
		if err := pawl.Raise(w.ctx, app, "waiting", "end", "end", nil); err != nil {
			t.Error(err)
		}
		if got := result(w, waiting); got != "end" {
			t.Errorf("got %q", got)
		}
	})
}

// TestOldestFirst: fetches with room for a few grant what has waited longest, whatever its partition and class.
func TestOldestFirst(t *testing.T) {
	const instances, atOnce = 60, 6
	for name, open := range map[string]func(*testing.T) provider.Provider{"sqlite": onSQLite, "postgres": onPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, ctx := open(t), t.Context()
			classes, err := p.RegisterClasses(ctx, []provider.Class{{Kind: provider.ClassOrchestration, Name: "a"},
				{Kind: provider.ClassOrchestration, Name: "b"}, {Kind: provider.ClassActivity, Name: "c"}, {Kind: provider.ClassActivity, Name: "d"}})
			if err != nil {
				t.Fatal(err)
			}
			worker := provider.NewWorkerID()
			if _, err := p.Pulse(ctx, &provider.PulseRequest{Worker: worker, Join: true, TTL: time.Hour}); err != nil {
				t.Fatal(err)
			}
			for i := range instances {
				item := provider.StartItem{NewInstance: provider.NewInstance{InstanceID: fmt.Sprint("i-", i), ExecutionID: provider.NewExecutionID(),
					Class: classes[i%2], Events: []byte(`[{}]`)}}
				if _, err := p.StartOrchestrations(ctx, &provider.StartRequest{Items: []provider.StartItem{item}}); err != nil {
					t.Fatal(err)
				}
			}
			for from := 0; from < instances; from += atOnce {
				items, err := p.FetchOrchestrationItems(ctx, &provider.FetchRequest{Worker: worker, Request: provider.NewToken(),
					Classes: classes[:2], Max: atOnce})
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				ack := &provider.AckRequest{Worker: worker}
				for i := range items {
					it := &items[i]
					got = append(got, it.InstanceID)
					ack.Items = append(ack.Items, provider.AckItem{Ref: it.Ref, Execution: it.Execution, Seq: it.NextSeq, Token: it.Token,
						Commit: provider.Commit{Request: provider.NewToken(), Events: []byte(`[{}]`), EventCount: 1,
							Work: []provider.NewWork{{Event: 1, Class: classes[2+i%2], Input: []byte(`{}`)}}}})
				}
				checkNext(t, got, from, atOnce)
				if _, err := p.AckOrchestrationItems(ctx, ack); err != nil {
					t.Fatal(err)
				}
			}
			for from := 0; from < instances; from += atOnce {
				reply, err := p.FetchWorkItems(ctx, &provider.FetchWorkRequest{Worker: worker, Request: provider.NewToken(), Classes: classes[2:], Max: atOnce})
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, it := range reply.Work {
					got = append(got, it.InstanceID)
				}
				checkNext(t, got, from, atOnce)
			}
		})
	}
}

// checkNext checks that a fetch has brought the n instances from number from on, in any order.
func checkNext(t *testing.T, got []string, from, n int) {
	t.Helper()
	var want []string
	for i := from; i < from+n; i++ {
		want = append(want, fmt.Sprint("i-", i))
	}
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("fetched %v, want %v", got, want)
	}
}
