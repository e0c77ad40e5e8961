package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// calls is a handle on a store that lists the calls made through it, pulses and reads of states left out.
type calls struct {
	*hook
	mu   sync.Mutex
	list []string
}

func listed(p *model.Provider) *calls {
	c := &calls{}
	c.hook = &hook{Provider: p, before: func(op string, _ int) error {
		if op != "Pulse" && op != "FetchOrchestrationItems" {
			c.add(op)
		}
		return nil
	}}
	return c
}

func (c *calls) add(op string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, op)
}

// since returns the calls after the first n, equal ones that follow each other once: a model wakes everybody for
// everything, and who finds nothing looks again.
func (c *calls) since(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(slices.Compact(slices.Clone(c.list[n:])), " ")
}

func (c *calls) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.list)
}

func (c *calls) ReadHistory(ctx context.Context, q provider.HistoryQuery) ([]provider.Turn, error) {
	c.add(fmt.Sprint("ReadHistory from ", q.From))
	return c.hook.ReadHistory(ctx, q)
}

func (c *calls) AbandonItems(ctx context.Context, r *provider.AbandonRequest) error {
	c.add("AbandonItems")
	return c.hook.AbandonItems(ctx, r)
}

// pingPong runs so many activities of each name one after the other, and counts how often the code begins.
func pingPong(begun *atomic.Int32, rounds int, names ...string) Orchestration {
	return Orchestration{Name: "ping-pong", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
		begun.Add(1)
		for range rounds {
			for _, name := range names {
				if _, err := x.Await(x.Root().Activity(name, history.Payload{}, nil)); err != nil {
					return history.Payload{}, err
				}
			}
		}
		return history.Payload{}, nil
	}}
}

func named(name string) Activity { return Activity{Name: name, Run: work.Run} }

// ended checks that instances have ended and nobody holds them.
func ended(t *testing.T, e *Engine, ids ...string) {
	t.Helper()
	for _, id := range ids {
		st, err := e.Read(t.Context(), id)
		if err != nil || !st.Status.Terminal() || st.Worker != 0 {
			t.Errorf("%s: %v, held by %d, %v", id, st.Status, st.Worker, err)
		}
	}
}

// TestWorkBringsItsInstance: an instance whose activities are run by two processes in turns takes two calls a step
// however long its history is, and neither begins its code twice.
func TestWorkBringsItsInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rounds = 2 * provider.MaxGrantTurns
		store := model.New(model.Options{})
		var begunHere, begunThere atomic.Int32
		here, there := listed(store.Open()), listed(store.Open())
		e := launch(t, here, patient(t), []Orchestration{pingPong(&begunHere, rounds, "there", "here")}, []Activity{named("here")})
		launch(t, there, patient(t), []Orchestration{pingPong(&begunThere, rounds, "there", "here")}, []Activity{named("there")})
		synctest.Wait()
		from := here.len()
		fromThere := there.len()
		ends(t, begin(t, e, "i", "ping-pong"), time.Minute)
		for name, list := range map[string]string{"here": here.since(from), "there": there.since(fromThere)} {
			want := strings.TrimSpace(strings.Repeat("FetchWorkItems AckOrchestrationItems ", rounds))
			if strings.TrimSuffix(list, " FetchWorkItems") != want {
				t.Errorf("calls %s:\n%s", name, list)
			}
		}
		if begunHere.Load() != 1 || begunThere.Load() != 1 {
			t.Errorf("the code was begun %d and %d times", begunHere.Load(), begunThere.Load())
		}
		ended(t, e, "i")
	})
}

// TestMovedInstanceReadsWhatItLacks: a process that has run an instance too long ago reads the turns since, one that has
// never run it all of them.
func TestMovedInstanceReadsWhatItLacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		names := append(slices.Repeat([]string{"here"}, 3), "there")
		names = append(append(names, slices.Repeat([]string{"here"}, 2*provider.MaxGrantTurns)...), "there", "elsewhere")
		var begun [3]atomic.Int32
		here, there, elsewhere := listed(store.Open()), listed(store.Open()), listed(store.Open())
		var e *Engine
		for i, c := range []struct {
			calls *calls
			name  string
		}{{here, "here"}, {there, "there"}, {elsewhere, "elsewhere"}} {
			started := launch(t, c.calls, options(t), []Orchestration{pingPong(&begun[i], 1, names...)}, []Activity{named(c.name)})
			if e == nil {
				e = started
			}
		}
		ends(t, begin(t, e, "i", "ping-pong"), time.Minute)
		reads := func(c *calls) (n []string) {
			for _, op := range c.list {
				if strings.HasPrefix(op, "ReadHistory") {
					n = append(n, op)
				}
			}
			return n
		}
		if got := reads(here); len(got) != 0 {
			t.Errorf("here: %v", got)
		}
		// Three events a turn, two in the first.
		if got := fmt.Sprint(reads(there)); got != fmt.Sprintf("[ReadHistory from %d]", 2+4*3) {
			t.Errorf("there: %v", got)
		}
		if got := fmt.Sprint(reads(elsewhere)); got != "[ReadHistory from 0]" {
			t.Errorf("elsewhere: %v", got)
		}
		for i := range begun {
			if n := begun[i].Load(); n != 1 {
				t.Errorf("process %d has begun the code %d times", i, n)
			}
		}
		ended(t, e, "i")
	})
}

// dies takes the queued work of a store, with its instances, and dies of it.
func dies(t *testing.T, store *model.Store, class provider.ClassID, serves []provider.ClassID) {
	t.Helper()
	p, worker := store.Open(), provider.NewWorkerID()
	if _, err := p.Pulse(t.Context(), &provider.PulseRequest{Worker: worker, Join: true}); err != nil {
		t.Fatal(err)
	}
	r, err := p.FetchWorkItems(t.Context(), &provider.FetchWorkRequest{Worker: worker, Request: provider.NewToken(), Max: 10,
		Classes: []provider.ClassID{class}, Serves: serves})
	if err != nil || len(r.Work) == 0 || len(r.Granted) == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := p.RetireWorker(t.Context(), worker); err != nil {
		t.Fatal(err)
	}
}

// TestDeadlyActivityIsToBlame: an activity that ends its process time and again is not run any more, and the instance,
// which has died with it as often, goes on with that failure.
func TestDeadlyActivityIsToBlame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		var ran atomic.Int32
		tolerant := Orchestration{Name: "tolerant", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
			f := x.Root().Activity("work", history.Payload{}, nil)
			if _, err := x.Await(f); err != nil {
				return history.Payload{}, err
			}
			if _, failure, _ := f.Answer(); failure == nil || failure.Kind != history.FailureQuarantined {
				return history.Payload{}, fmt.Errorf("failure %+v", failure)
			}
			return history.Payload{}, nil
		}}
		deadly := Activity{Name: "work", Run: func(context.Context, ActivityInfo, history.Payload) (history.Payload, *history.Failure) {
			ran.Add(1)
			return history.Payload{}, nil
		}}
		e := launch(t, store.Open(), options(t), []Orchestration{tolerant}, nil)
		w := begin(t, e, "i", "tolerant")
		synctest.Wait()
		class := e.classes.ids[activityClass("work", "", 0)]
		for range options(t).MaxAttempts {
			dies(t, store, class, e.claimable())
		}
		other := listed(store.Open())
		launch(t, other, options(t), []Orchestration{tolerant}, []Activity{deadly})
		ends(t, w, time.Minute)
		if ran.Load() != 0 {
			t.Error("it was run again")
		}
		for _, op := range []string{"AbandonItems", "AckWorkItems"} {
			if got := other.since(0); !strings.Contains(got, op) {
				t.Errorf("the instance was not given back and then asked for, so that the attempt counts: %s", got)
			}
		}
		ended(t, e, "i")
	})
}

// TestStopReleasesFetchedInstance: what a fetch under way brings a stopping worker is free again at once, though another
// activity keeps the worker alive.
func TestStopReleasesFetchedInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		both := Orchestration{Name: "both", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
			x.Root().Activity("work", history.Payload{}, nil)
			_, err := x.Await(x.Root().Event("x"))
			return history.Payload{}, err
		}}
		slowWork := Activity{Name: "work", Run: func(context.Context, ActivityInfo, history.Payload) (history.Payload, *history.Failure) {
			pass(10 * time.Second)
			return history.Payload{}, nil
		}}
		client := launch(t, store.Open(), options(t), []Orchestration{both}, nil)
		var slow atomic.Bool
		leaving := launch(t, &hook{Provider: store.Open(), before: slowly("FetchWorkItems", 100*time.Millisecond, slow.Load)},
			options(t), []Orchestration{both}, []Activity{slowWork})
		begin(t, client, "busy", "both")
		pass(time.Second) // its activity runs
		slow.Store(true)
		w := begin(t, client, "i", "both")
		pass(10 * time.Millisecond) // the fetch is on its way
		stopped := make(chan error)
		go func() { stopped <- leaving.Stop(context.WithoutCancel(t.Context())) }()
		pass(time.Second)
		if st, err := client.Read(t.Context(), "i"); err != nil || st.Worker != 0 {
			t.Errorf("held by %d, %v", st.Worker, err)
		}
		raiseX(t, client, "i")
		ends(t, w, time.Second)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

// TestGrantedAgainBeforeTheAnswer: the work that a commit queues comes back, with the instance, before the answer to that
// commit. The result waits for it and needs no call of its own.
func TestGrantedAgainBeforeTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		var begun atomic.Int32
		c := listed(store.Open())
		c.hook.after = slowly("AckOrchestrationItems", 100*time.Millisecond, always)
		o := patient(t)
		o.Slots = 1
		e := launch(t, c, o, []Orchestration{waiting, pingPong(&begun, 2, "work")}, []Activity{work})
		synctest.Wait()
		s := e.current()
		s.mu.Lock()
		s.slots-- // another activity runs
		s.mu.Unlock()
		client := launch(t, store.Open(), options(t), nil, nil)
		w := begin(t, client, "i", "ping-pong")
		pass(50 * time.Millisecond) // the commit is made, its answer on its way
		s.mu.Lock()
		s.slots++
		s.mu.Unlock()
		s.work.force.Store(true)
		s.work.kick()
		ends(t, w, time.Second)
		if got := c.since(0); strings.Contains(got, "AckWorkItems") || strings.Contains(got, "ReadHistory") {
			t.Errorf("calls: %s", got)
		}
		if begun.Load() != 1 {
			t.Errorf("the code was begun %d times", begun.Load())
		}
		ended(t, e, "i")
	})
}
