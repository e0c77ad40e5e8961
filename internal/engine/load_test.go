package engine

import (
	"context"
	"fmt"
	"slices"
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

// ms is what a call takes where nothing else is said.
const ms = time.Millisecond

var nothing history.Payload

// lasting is the activity "work" that takes d and counts how often it was begun.
func lasting(d time.Duration, begun *atomic.Int64) Activity {
	return Activity{Name: "work", Run: func(ctx context.Context, _ ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
		begun.Add(1)
		if !passes(ctx, d) {
			return nothing, &history.Failure{Kind: history.FailureError, Message: "cancelled"}
		}
		return nothing, nil
	}}
}

// hog goes on for ever, one activity after the other.
var hog = Orchestration{Name: "hog", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
	for {
		if _, err := x.Await(x.Root().Activity("work", nothing, nil)); err != nil {
			return nothing, err
		}
	}
}}

// spinner goes on for ever, one execution after the other, and waits for nothing.
var spinner = Orchestration{Name: "spinner", Run: func(_ *replay.Execution, in history.Payload) (history.Payload, error) {
	return nothing, &replay.ContinueAsNew{Input: in}
}}

// roomy are options of a process with room for all.
func roomy(t *testing.T) Options {
	o := options(t)
	o.Slots, o.MaxInstances, o.MaxBatch, o.MaxBatchBytes, o.CacheBytes = 100, 1000, 128, 16<<20, 64<<20
	return o
}

// load is clients that start instances one after the other, each when the last has ended.
type load struct {
	e     *Engine
	stop  context.CancelFunc
	done  sync.WaitGroup
	ended atomic.Int64

	mu   sync.Mutex
	took []time.Duration
}

// press begins a load of n clients. It is over with halt.
func press(t *testing.T, e *Engine, name string, n int) *load {
	ctx, stop := context.WithCancel(t.Context())
	l := &load{e: e, stop: stop}
	for i := range n {
		l.done.Go(func() {
			for j := 0; ctx.Err() == nil; j++ {
				begun := time.Now()
				id := fmt.Sprint(name, "-", i, "-", j)
				w := e.Watch(id, true)
				if status, err := e.StartInstance(t.Context(), StartSpec{InstanceID: id, Name: name, Waiter: w}); err != nil || status != provider.Applied {
					t.Errorf("start of %s: %v, %v", id, status, err)
					return
				}
				if o, _, err := w.Wait(t.Context()); err != nil || o.Failure != nil {
					t.Errorf("%s: %+v, %v", id, o, err)
					return
				}
				l.mu.Lock()
				l.took = append(l.took, time.Since(begun))
				l.mu.Unlock()
				l.ended.Add(1)
			}
		})
	}
	return l
}

// halt ends a load and returns how long its instances took, the shortest first.
func (l *load) halt() []time.Duration {
	l.stop()
	l.done.Wait()
	slices.Sort(l.took)
	return l.took
}

// quantile of sorted durations.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// TestQueueBehindEndlessSequences: activities in the queue get slots although the instances that have them all go on for
// ever, each step here.
func TestQueueBehindEndlessSequences(t *testing.T) {
	const queued = 6
	for _, slots := range []int{1, 2, 5} {
		for _, d := range []time.Duration{0, ms, 10 * ms} {
			t.Run(fmt.Sprint(slots, " slots, activities of ", d), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := strain(model.New(model.Options{}).Open(), ms, 0)
					o := roomy(t)
					o.Slots = slots
					var begun atomic.Int64
					e := launch(t, store, o, []Orchestration{hog, single}, []Activity{lasting(d, &begun)})
					for i := range slots {
						begin(t, e, fmt.Sprint("hog-", i), "hog")
						pass(1100 * time.Microsecond) // out of step with the others
					}
					before := begun.Load()
					var waiters []*Waiter
					for i := range queued {
						waiters = append(waiters, begin(t, e, fmt.Sprint("i-", i), "single"))
					}
					for _, w := range waiters {
						ends(t, w, time.Second)
					}
					// Each had to wait until as many had begun as make up a share, and no longer.
					most := int64(queued*(queueShare+1) + 4*slots)
					if n := begun.Load() - before; n > most {
						t.Errorf("%d activities were begun until %d from the queue had ended, want at most %d", n, queued, most)
					}
					before = begun.Load()
					pass(20*ms + 4*d)
					if begun.Load() == before {
						t.Error("the sequences do not go on")
					}
				})
			})
		}
	}
}

// TestShareOfTheQueue: of activities that follow each other here, each time so many go by one is left to the queue, if it
// may hold any and no slot is free.
func TestShareOfTheQueue(t *testing.T) {
	o := options(t)
	o.Slots = 1
	e := New(model.New(model.Options{}).Open(), o)
	defer e.Close()
	e.serve(&served{activities: map[provider.ClassID]*Activity{1: {}}})
	s := newSession(e)
	defer s.end()
	here := func() (n int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for ; n < 10 && s.reserveHere(1) == 1; n++ {
			s.slots++
		}
		return n
	}
	if n := here(); n != 10 {
		t.Errorf("%d of 10 with nothing in the queue", n)
	}
	s.work.maybe.Store(true)
	for range 3 {
		if n := here(); n != queueShare-1 {
			t.Errorf("%d here until the queue had its turn", n)
		}
		if n := here(); n != 0 {
			t.Errorf("%d more before it was claimed from", n)
		}
		if n, _ := s.claimAlong(0); n != 1 {
			t.Errorf("%d slots for the queue", n)
		}
		s.release(1)
		s.work.maybe.Store(true)
	}
}

// TestReadyInstanceBehindEndlessOnes: an instance that an event or a timer has woken gets its turn although those that are
// held fill the process for ever, and those keep to their places.
func TestReadyInstanceBehindEndlessOnes(t *testing.T) {
	for _, endless := range []Orchestration{hog, spinner} {
		for _, places := range []int{1, 4, 40} {
			t.Run(fmt.Sprint(endless.Name, ", ", places, " places"), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := strain(model.New(model.Options{}).Open(), ms, 0)
					o := roomy(t)
					o.MaxInstances = places
					var begun atomic.Int64
					e := launch(t, store, o, []Orchestration{endless, waiting, napping(100 * ms)}, []Activity{lasting(0, &begun)})
					old, timed := begin(t, e, "old", "waiting"), begin(t, e, "timed", "napping")
					for i := range 2 * places {
						begin(t, e, fmt.Sprint("endless-", i), endless.Name)
					}
					pass(50 * ms)
					raiseX(t, e, "old")
					ends(t, old, 10*ms)
					ends(t, timed, 60*ms)
					s := e.current()
					s.mu.Lock()
					defer s.mu.Unlock()
					// Those that have activities here are not put off.
					if most := places + max(places/queueShare, 1); s.busy > most && endless.Name == spinner.Name {
						t.Errorf("%d instances at work, %d may be", s.busy, most)
					}
				})
			})
		}
	}
}

// TestLatencyUnderLoad: what a hello takes, counted in calls. It needs two; under load each waits for no more than the one
// that is under way.
func TestLatencyUnderLoad(t *testing.T) {
	for _, c := range []struct{ clients, p50, p99, most int }{
		{1, 2, 2, 2}, {2, 2, 2, 2}, {4, 2, 4, 4}, {16, 3, 4, 4}, {64, 4, 4, 5},
	} {
		t.Run(fmt.Sprint(c.clients), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := strain(model.New(model.Options{}).Open(), ms, 0)
				var begun atomic.Int64
				e := launch(t, store, roomy(t), []Orchestration{single}, []Activity{lasting(0, &begun)})
				ends(t, begin(t, e, "first", "single"), time.Second) // whose commit finds the queue empty
				l := press(t, e, "single", c.clients)
				pass(50 * ms)
				took := l.halt()
				p50, p99, most := quantile(took, 0.5), quantile(took, 0.99), quantile(took, 1)
				t.Logf("%d hellos in %d calls, p50 %v, p99 %v, at most %v", len(took), store.made(), p50, p99, most)
				if p50 > time.Duration(c.p50)*ms || p99 > time.Duration(c.p99)*ms || most > time.Duration(c.most)*ms {
					t.Errorf("p50 %v, p99 %v, at most %v; a call takes 1ms", p50, p99, most)
				}
			})
		})
	}
}

// TestSequencesSideBySide: of two sequences none waits for the other, of four each for a call of others now and then, also
// while hints keep coming that there is something in the queue.
func TestSequencesSideBySide(t *testing.T) {
	const steps = 20
	sequence := Orchestration{Name: "sequence", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
		for range steps {
			if _, err := x.Await(x.Root().Activity("work", nothing, nil)); err != nil {
				return nothing, err
			}
		}
		return nothing, nil
	}}
	for _, c := range []struct{ sequences, most int }{{1, 1 + steps}, {2, 1 + steps}, {4, 35}} {
		for _, hints := range []bool{false, true} {
			for _, apart := range []time.Duration{0, 300 * time.Microsecond} {
				t.Run(fmt.Sprint(c.sequences, " begun ", apart, " apart, hints ", hints), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						store := strain(model.New(model.Options{}).Open(), ms, 0)
						var begun atomic.Int64
						e := launch(t, store, roomy(t), []Orchestration{sequence}, []Activity{lasting(0, &begun)})
						var done sync.WaitGroup
						for i := range c.sequences {
							done.Go(func() {
								from := time.Now()
								ends(t, begin(t, e, fmt.Sprint("i-", i), "sequence"), time.Second)
								if took := time.Since(from); took > time.Duration(c.most)*ms {
									t.Errorf("sequence %d took %v, want at most %d calls", i, took, c.most)
								}
							})
							pass(apart)
						}
						for range 100 {
							pass(400 * time.Microsecond)
							if hints {
								e.current().work.kick()
							}
						}
						done.Wait()
					})
				})
			}
		}
	}
}

// TestManyWakeUpsAtOnce: hundreds of instances that must read their history, each with a call, delay what is under way by
// few calls.
func TestManyWakeUpsAtOnce(t *testing.T) {
	const asleep = 300
	synctest.Test(t, func(t *testing.T) {
		store := strain(model.New(model.Options{}).Open(), ms, 0)
		o := roomy(t)
		o.CacheBytes = 0
		var begun atomic.Int64
		e := launch(t, store, o, []Orchestration{single, waiting}, []Activity{lasting(0, &begun)})
		var asleepers []*Waiter
		for i := range asleep {
			asleepers = append(asleepers, begin(t, e, fmt.Sprint("asleep-", i), "waiting"))
		}
		l := press(t, e, "single", 8)
		pass(20 * ms)
		var raising sync.WaitGroup
		for i := range asleep {
			raising.Go(func() { raiseX(t, e, fmt.Sprint("asleep-", i)) })
		}
		raising.Wait()
		for _, w := range asleepers {
			ends(t, w, 2*asleep/maxReads*ms) // they share the connections
		}
		took := l.halt()
		if n := store.made("ReadHistory"); n != asleep {
			t.Errorf("%d reads for %d instances", n, asleep)
		}
		if n := store.peaks()["ReadHistory"]; n > maxReads {
			t.Errorf("%d reads at a time", n)
		}
		if most := quantile(took, 1); most > 10*ms {
			t.Errorf("a hello took up to %v; a call takes 1ms", most)
		}
	})
}

// TestNewcomersDoNotOvertake: instances that wait in the store are overtaken by a few that are just started for each that
// is fetched, also where a fetch takes much longer than other calls.
func TestNewcomersDoNotOvertake(t *testing.T) {
	const clients, places = 40, 4
	synctest.Test(t, func(t *testing.T) {
		slowFetches := &hook{Provider: model.New(model.Options{}).Open(), before: slowly("FetchOrchestrationItems", 15*ms, always)}
		store := strain(slowFetches, ms, 0)
		o := roomy(t)
		o.MaxInstances = places
		var begun atomic.Int64
		e := launch(t, store, o, []Orchestration{single}, []Activity{lasting(0, &begun)})
		l := press(t, e, "single", clients)
		defer l.halt()
		pass(100 * ms)
		for i := range 5 {
			before := l.ended.Load()
			ends(t, begin(t, e, fmt.Sprint("one-", i), "single"), time.Second)
			if n := l.ended.Load() - before; n > (clients+1)*(queueShare+1) {
				t.Errorf("overtaken by %d, of %d under way", n, clients)
			}
		}
	})
}

// TestStartsBeyondTheLimit: far more starts than the process may have at work are left to the queue and all end.
func TestStartsBeyondTheLimit(t *testing.T) {
	const starts, places = 400, 8
	synctest.Test(t, func(t *testing.T) {
		store := strain(model.New(model.Options{}).Open(), ms, 0)
		o := roomy(t)
		o.MaxInstances, o.Slots = places, places
		var begun atomic.Int64
		e := launch(t, store, o, []Orchestration{single}, []Activity{lasting(ms, &begun)})
		var most atomic.Int64
		watched, stopWatching := context.WithCancel(t.Context())
		var watch sync.WaitGroup
		watch.Go(func() {
			for passes(watched, ms/4) {
				s := e.current()
				s.mu.Lock()
				most.Store(max(most.Load(), int64(s.busy)))
				s.mu.Unlock()
			}
		})
		waiters := make([]*Waiter, starts)
		var starting sync.WaitGroup
		for i := range starts {
			starting.Go(func() { waiters[i] = begin(t, e, fmt.Sprint("i-", i), "single") })
		}
		starting.Wait()
		for _, w := range waiters {
			ends(t, w, time.Second)
		}
		stopWatching()
		watch.Wait()
		if n := begun.Load(); n != starts {
			t.Errorf("%d activities begun for %d instances", n, starts)
		}
		// Beside those in their places: some granted although all were taken, and those whose activities run here.
		if n := most.Load(); n > places+places/queueShare+places {
			t.Errorf("%d instances at work at a time, %d may be", n, places)
		}
		t.Logf("%d calls; %d at work at a time", store.made(), most.Load())
	})
}

// TestForeignQueue: activities that nobody here can run, however many, cost those that can be run no call.
func TestForeignQueue(t *testing.T) {
	const foreign, hellos = 10_000, 20
	synctest.Test(t, func(t *testing.T) {
		store := strain(model.New(model.Options{}).Open(), ms, 0)
		scatter := Orchestration{Name: "scatter", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
			for range foreign {
				x.Root().Activity("elsewhere", nothing, nil)
			}
			_, err := x.Await(x.Root().Event("never"))
			return nothing, err
		}}
		var begun atomic.Int64
		e := launch(t, store, roomy(t), []Orchestration{scatter, single}, []Activity{lasting(0, &begun)})
		begin(t, e, "scattered", "scatter")
		pass(1500 * ms) // over a pulse
		calls, from := store.made("StartOrchestrations", "AckOrchestrationItems"), time.Now()
		all := store.made() - store.made("Pulse")
		for i := range hellos {
			ends(t, begin(t, e, fmt.Sprint("i-", i), "single"), time.Second)
		}
		if took := time.Since(from); took != 2*hellos*ms {
			t.Errorf("%d hellos took %v", hellos, took)
		}
		if n := store.made("StartOrchestrations", "AckOrchestrationItems") - calls; n != 2*hellos {
			t.Errorf("%d calls for %d hellos", n, hellos)
		}
		if n := store.made() - store.made("Pulse") - all; n != 2*hellos {
			t.Errorf("%d calls in all", n)
		}
	})
}

// TestGiantAmongOthers: items are sent in the order they came in; one that fills a call alone delays the others by no more
// than that call.
func TestGiantAmongOthers(t *testing.T) {
	const giant, small, n, at = 16 << 20, 1000, 60, 25
	giantCall := 160 * ms
	synctest.Test(t, func(t *testing.T) {
		e := New(model.New(model.Options{}).Open(), roomy(t))
		defer e.Close()
		type sending struct {
			size int
			over time.Time
		}
		var mu sync.Mutex
		var order []int
		done := make([]sending, n)
		all := make(chan struct{}, n)
		b := newBatcher(e, func(group []*item, _ *carrier) {
			var s sending
			mu.Lock()
			for _, it := range group {
				order = append(order, it.n)
				s.size += it.size
			}
			mu.Unlock()
			pass(ms + time.Duration(int64(giantCall)*int64(s.size)/giant))
			s.over = time.Now()
			for _, it := range group {
				done[it.n] = s
				all <- struct{}{}
			}
		})
		came := make([]time.Time, n)
		for i := range n {
			size := small
			if i == at {
				size = giant
			}
			came[i] = time.Now()
			b.add(&item{n: i, size: size})
			if i%5 == 4 {
				pass(200 * time.Microsecond)
			}
		}
		for range n {
			<-all
		}
		if !slices.IsSorted(order) {
			t.Errorf("sent in the order %v", order)
		}
		for i := range n {
			switch took := done[i].over.Sub(came[i]); {
			case i == at:
				if done[i].size != giant {
					t.Errorf("the giant went with %d bytes of others", done[i].size-giant)
				}
			case i < at && took > 5*ms:
				t.Errorf("item %d, before the giant, took %v", i, took)
			case took > giantCall+5*ms:
				t.Errorf("item %d took %v", i, took)
			}
		}
	})
}
