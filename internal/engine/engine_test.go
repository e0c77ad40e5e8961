package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

func options(t *testing.T) Options {
	return Options{
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), Name: "test",
		Slots: 5, MaxInstances: 20, CacheBytes: 1 << 20, PulseInterval: time.Second, TTL: 3 * time.Second,
		TurnTimeout: time.Second, MaxAttempts: 10, MaxBatch: 8, MaxBatchBytes: 1 << 20, ActivityTimeout: time.Hour,
		CauseOf: func(f *history.Failure) error { return errors.New(f.Message) },
		FailureOf: func(err error) history.Failure {
			return history.Failure{Kind: history.FailureError, Message: err.Error()}
		},
	}
}

// fan is an orchestration of three rounds of four activities, of which only three are awaited.
var fan = Orchestration{Name: "fan", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
	for range 3 {
		var futures []*replay.Future
		for range 4 {
			futures = append(futures, x.Root().Activity("work", history.Payload{}, nil))
		}
		for _, f := range futures[:3] {
			if _, err := x.Await(f); err != nil {
				return history.Payload{}, err
			}
		}
	}
	return history.Payload{}, nil
}}

var work = Activity{Name: "work", Run: func(ctx context.Context, _ ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
	t := time.NewTimer(time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return history.Payload{}, nil
}}

// TestNothingLeaks: after a busy life with faults every slot is free, nothing counts as busy and no instance is held.
func TestNothingLeaks(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				store := model.New(model.Options{})
				var engines []*Engine
				for i := range uint64(2) {
					e := New(providertest.Faulty(store.Open(), providertest.RandomFaults(seed<<4+i, 10)), options(t))
					if err := e.Start(ctx, []Orchestration{fan}, []Activity{work}); err != nil {
						t.Fatal(err)
					}
					engines = append(engines, e)
				}
				var waiters []*Waiter
				for i := range 60 {
					id := fmt.Sprint("i-", i)
					e := engines[i%2]
					waiters = append(waiters, e.Watch(id, true))
					if _, err := e.StartInstance(ctx, StartSpec{InstanceID: id, Name: "fan", Waiter: waiters[len(waiters)-1]}); err != nil {
						t.Fatal(err)
					}
				}
				for _, w := range waiters {
					if o, _, err := w.Wait(ctx); err != nil || o.Failure != nil {
						t.Fatalf("%+v, %v", o, err)
					}
				}
				settled := time.NewTimer(time.Minute) // of virtual time
				<-settled.C
				for _, e := range engines {
					s := e.current()
					s.mu.Lock()
					if s.slots != e.opts.Slots || len(s.runs) != 0 || s.busy != 0 {
						t.Errorf("%d of %d slots free, %d activities running, %d instances busy", s.slots, e.opts.Slots, len(s.runs), s.busy)
					}
					for _, in := range s.instances {
						if in.held {
							t.Errorf("instance %s is still held", in.id)
						}
					}
					if len(s.strays) != 0 {
						t.Errorf("news for %d unknown instances left", len(s.strays))
					}
					s.mu.Unlock()
					if err := e.Stop(ctx); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// TestBatcherBounds: a group never exceeds its limits, nothing is lost, and order within a group is kept.
func TestBatcherBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(model.New(model.Options{}).Open(), options(t))
		got := make(chan []*item, 1000)
		b := newBatcher(e, func(group []*item, _ *carrier) {
			tick := time.NewTimer(time.Second) // others queue up meanwhile
			<-tick.C
			got <- group
		})
		const n = 50
		for i := range n {
			size := 1000
			if i == 20 {
				size = 10 << 20 // alone over the limit, still sent
			}
			b.add(&item{n: i, size: size})
		}
		seen := 0
		for seen < n {
			group := <-got
			bytes := 0
			for i, it := range group {
				bytes += it.size
				if i > 0 && it.n != group[i-1].n+1 {
					t.Errorf("item %d follows %d", it.n, group[i-1].n)
				}
			}
			if len(group) > e.opts.MaxBatch || len(group) > 1 && bytes > e.opts.MaxBatchBytes {
				t.Errorf("group of %d items, %d bytes", len(group), bytes)
			}
			seen += len(group)
		}
		e.Close()
		late := &item{failed: make(chan error, 1)}
		b.add(late)
		if err := <-late.failed; err != ErrStopped {
			t.Errorf("after the end: %v", err)
		}
	})
}

type item struct {
	n, size int
	failed  chan error
}

func (i *item) bytes() int     { return i.size }
func (i *item) fail(err error) { i.failed <- err }

// TestSuspects: a worker is reaped only after this process itself has seen its beat stand still for a TTL.
func TestSuspects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(model.New(model.Options{}).Open(), options(t))
		defer e.Close()
		s := newSession(e)
		defer s.end()
		start := time.Now()
		at := func(seconds int, beat int64) int {
			now := start.Add(time.Duration(seconds) * time.Second)
			n := len(s.suspects(now))
			s.notePeers([]provider.Beat{{Worker: 7, Beat: beat}}, now)
			return n
		}
		for i, want := range []struct {
			beat int64
			n    int
		}{{1, 0}, {1, 0}, {1, 0}, {2, 1}, {2, 0}, {2, 0}, {2, 1}, {2, 1}} {
			if got := at(i, want.beat); got != want.n {
				t.Errorf("pulse %d: %d suspects, want %d", i, got, want.n)
			}
		}
		s.notePeers(nil, start)
		if n := len(s.suspects(start.Add(time.Hour))); n != 0 {
			t.Errorf("%d suspects that the store does not report", n)
		}
	})
}
