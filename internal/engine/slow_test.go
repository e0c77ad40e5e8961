package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// watch is what is the most of an engine, looked at time and again.
type watch struct {
	goroutines, queued atomic.Int64
	stop               context.CancelFunc
	done               sync.WaitGroup
}

func observe(t *testing.T, e *Engine) *watch {
	ctx, stop := context.WithCancel(t.Context())
	w := &watch{stop: stop}
	w.done.Go(func() {
		for passes(ctx, 20*ms) {
			w.goroutines.Store(max(w.goroutines.Load(), int64(runtime.NumGoroutine())))
			if s := e.current(); s != nil {
				n := queued(e.starts) + queued(e.sends) + queued(s.acks) + queued(s.ackWorks)
				w.queued.Store(max(w.queued.Load(), int64(n)))
			}
		}
	})
	return w
}

func (w *watch) end() {
	w.stop()
	w.done.Wait()
}

func queued[T batchItem](b *batcher[T]) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}

// mostCalls is how many calls of each kind a process may have under way at a time.
var mostCalls = map[string]int{"StartOrchestrations": maxSenders, "AckOrchestrationItems": maxSenders, "AckWorkItems": maxSenders,
	"EnqueueMessages": maxSenders, "FetchOrchestrationItems": 1, "FetchWorkItems": 1, "Pulse": 1, "ReadHistory": maxReads}

// TestStoreSlowsDown: calls of a millisecond take seconds for a while. Clients wait, nothing is queued but what they wait
// for, and when the store is itself again so is all else. As long as pulses are answered within the TTL, no lease is lost
// and no activity runs twice, however long other calls take.
func TestStoreSlowsDown(t *testing.T) {
	const clients = 32
	for _, c := range []struct {
		call, pulse time.Duration
		kept        bool
	}{
		{2 * time.Second, ms, true}, {7 * time.Second, ms, true}, {time.Second, time.Second, true},
		{2 * time.Second, 2 * time.Second, true}, {4 * time.Second, 4 * time.Second, false},
	} {
		t.Run(fmt.Sprint("calls of ", c.call, ", pulses of ", c.pulse), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := model.New(model.Options{})
				var begun, patient atomic.Int64
				patiently := Activity{Name: "patiently", Run: func(ctx context.Context, _ ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
					patient.Add(1)
					passes(ctx, 40*time.Second)
					return nothing, nil
				}}
				long := Orchestration{Name: "long", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
					_, err := x.Await(x.Root().Activity("patiently", nothing, nil))
					return nothing, err
				}}
				peer := strain(store.Open(), ms, 0)
				other := launch(t, peer, roomy(t), []Orchestration{waiting}, nil)
				here := strain(store.Open(), ms, 0)
				e := launch(t, here, roomy(t), []Orchestration{single, long}, []Activity{lasting(200*ms, &begun), patiently})
				worker, second := e.current().worker, other.current().worker
				longest := begin(t, e, "long", "long")
				look, l := observe(t, e), press(t, e, "single", clients)
				pass(time.Second)
				rate := l.ended.Load()
				pass(time.Second)
				rate = l.ended.Load() - rate
				normal := look.goroutines.Load()

				here.takes(c.call, c.pulse)
				peer.takes(c.call, c.pulse)
				pass(25 * time.Second)
				// A hello takes two calls, and may find each of them taken.
				if n := l.ended.Load() - 2*rate; c.kept && n < max(1, clients*int64(25*time.Second/(5*c.call))) {
					t.Errorf("%d ended meanwhile", n)
				}
				here.takes(ms, ms)
				peer.takes(ms, ms)
				// The calls that were under way, and where the session was lost the beginning of the next.
				pass(max(c.call, c.pulse) + 2*time.Second)
				after := l.ended.Load()
				pass(time.Second)
				if after = l.ended.Load() - after; after < rate*9/10 {
					t.Errorf("%d ended in a second after recovery, %d before", after, rate)
				}
				l.halt()
				ends(t, longest, time.Minute)
				look.end()
				fewCalls(t, here)
				if n := look.goroutines.Load(); n > normal+2*clients {
					t.Errorf("up to %d goroutines, %d before", n, normal)
				}
				if n := look.queued.Load(); n > clients+1 {
					t.Errorf("up to %d items queued for %d clients", n, clients)
				}
				if !c.kept {
					return
				}
				if e.current().worker != worker || other.current().worker != second {
					t.Error("a session was lost")
				}
				if n := begun.Load(); n != l.ended.Load() || patient.Load() != 1 {
					t.Errorf("%d activities begun for %d, the long one %d times", n, l.ended.Load(), patient.Load())
				}
			})
		})
	}
}

// fewCalls checks that a slow store was not met with more calls at a time.
func fewCalls(t *testing.T, store *strained) {
	t.Helper()
	for op, n := range store.peaks() {
		if n > mostCalls[op] && mostCalls[op] > 0 {
			t.Errorf("%d calls of %s under way at a time", n, op)
		}
	}
}

// TestCallersGiveUp: who calls with little time again and again while the store does not answer gets the word in time,
// leaves nothing queued, and what was never sent does not happen when the store is back.
func TestCallersGiveUp(t *testing.T) {
	const callers, patience = 40, 100 * ms
	synctest.Test(t, func(t *testing.T) {
		store := strain(model.New(model.Options{}).Open(), ms, 0)
		o := roomy(t)
		o.Slots = 10
		var ran atomic.Int64
		e := launch(t, store, o, []Orchestration{single, waiting}, []Activity{lasting(0, &ran)})
		begin(t, e, "waiting", "waiting")
		look := observe(t, e)
		store.takes(10*time.Second, ms)
		ctx, stop := context.WithTimeout(t.Context(), 8*time.Second)
		defer stop()
		var calling sync.WaitGroup
		var mu sync.Mutex
		var unsent []string // instances
		for i := range callers {
			calling.Go(func() {
				for j := 0; ctx.Err() == nil; j++ {
					id, from := fmt.Sprint("i-", i, "-", j), time.Now()
					little, cancel := context.WithTimeout(t.Context(), patience)
					var err error
					if i%2 == 0 {
						_, err = e.StartInstance(little, StartSpec{InstanceID: id, Name: "single"})
					} else {
						_, err = e.Raise(little, "waiting", RaisedEvent{Name: "other", MessageID: id})
					}
					cancel()
					if took := time.Since(from); took != patience || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%v after %v", err, took)
					}
					if strings.Contains(err.Error(), "was not started") {
						mu.Lock()
						unsent = append(unsent, id)
						mu.Unlock()
					}
				}
			})
		}
		calling.Wait()
		store.takes(ms, ms)
		pass(30 * time.Second)
		look.end()
		if n := look.queued.Load(); n > callers {
			t.Errorf("up to %d items queued for %d callers", n, callers)
		}
		tried := 8 * time.Second / patience * callers / 2
		if len(unsent) < int(tried)-callers || int(ran.Load()) > callers {
			t.Errorf("of %d starts %d were not sent, %d ran", tried, len(unsent), ran.Load())
		}
		for _, id := range unsent {
			if st, err := e.Read(t.Context(), id); err != nil || st != nil {
				t.Fatalf("%s, which was not started: %+v, %v", id, st, err)
			}
		}
		s := e.current()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.slots != o.Slots || s.busy != 0 {
			t.Errorf("%d of %d slots free, %d instances at work", s.slots, o.Slots, s.busy)
		}
	})
}

// TestBurstIsForgotten: when a burst is over, none of what was queued is kept in memory.
func TestBurstIsForgotten(t *testing.T) {
	e := New(model.New(model.Options{}).Open(), options(t))
	release, sent := make(chan struct{}), make(chan int, 100)
	b := newBatcher(e, func(group []*item, _ *carrier) {
		<-release
		sent <- len(group)
	})
	const n = 100
	items := make([]weak.Pointer[item], n)
	for i := range n {
		it := &item{n: i}
		items[i] = weak.Make(it)
		b.add(it)
	}
	close(release)
	for left := n; left > 0; {
		left -= <-sent
	}
	e.Close()
	runtime.GC()
	kept := 0
	for _, p := range items {
		if p.Value() != nil {
			kept++
		}
	}
	if kept > 0 {
		t.Errorf("%d of %d items are kept", kept, n)
	}
	runtime.KeepAlive(b)
}

// TestLateAnswerIsNoSilence: a worker is not declared dead for a time in which the answer about its beat was on its way.
func TestLateAnswerIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		here := strain(store.Open(), 0, 0)
		launch(t, here, options(t), []Orchestration{waiting}, nil)
		here.takes(0, 1900*ms) // the pulse of the first second sees the store at 1.95 s and is back at 2.9 s
		slow, worker := store.Open(), provider.NewWorkerID()
		beat := func(at time.Duration, begun time.Time, join bool) {
			pass(time.Until(begun.Add(at)))
			if reply, err := slow.Pulse(t.Context(), &provider.PulseRequest{Worker: worker, Join: join, TTL: time.Hour}); err != nil || reply.Lost {
				t.Errorf("beat after %v: %+v, %v", at, reply, err)
			}
		}
		begun := time.Now()
		beat(1400*ms, begun, true)
		here.takes(0, 0)
		beat(4100*ms, begun, false) // within the TTL
	})
}

// TestAnswerToAFrozenProcess: an answer that has waited for longer than the TTL says nothing about now.
func TestAnswerToAFrozenProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t)
		h := &hook{Provider: model.New(model.Options{}).Open()}
		e := New(h, o)
		defer e.Close()
		s := newSession(e)
		defer s.end()
		for _, frozen := range []time.Duration{0, o.TTL + time.Second} {
			h.after = slowly("Pulse", frozen, always)
			if err := s.pulse(t.Context()); err != nil {
				t.Fatal(err)
			}
			if s.serves() != (frozen == 0) {
				t.Errorf("answered after %v: serves is %v", frozen, s.serves())
			}
		}
	})
}
