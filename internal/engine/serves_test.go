package engine

import (
	"context"
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

// pulseSpy remembers what workers have said they serve.
type pulseSpy struct {
	provider.Provider
	silent atomic.Bool // neither beats nor retirements arrive

	mu   sync.Mutex
	said [][]provider.ClassID // of each pulse
}

// take returns what was said since the last call.
func (p *pulseSpy) take() [][]provider.ClassID {
	p.mu.Lock()
	defer p.mu.Unlock()
	said := p.said
	p.said = nil
	return said
}

func (p *pulseSpy) Pulse(ctx context.Context, req *provider.PulseRequest) (*provider.PulseReply, error) {
	if p.silent.Load() {
		return nil, &provider.Error{Op: "pulse", Retry: provider.RetryCall, Err: context.DeadlineExceeded}
	}
	if req.Worker != 0 {
		p.mu.Lock()
		p.said = append(p.said, req.Serves)
		p.mu.Unlock()
	}
	return p.Provider.Pulse(ctx, req)
}

func (p *pulseSpy) RetireWorker(ctx context.Context, w provider.WorkerID) error {
	if p.silent.Load() {
		return &provider.Error{Op: "retire", Retry: provider.GiveUp, Err: context.DeadlineExceeded}
	}
	return p.Provider.RetireWorker(ctx, w)
}

// untilStopped runs until its process stops.
var untilStopped = Activity{Name: "slow", Run: func(ctx context.Context, _ ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
	<-ctx.Done()
	return history.Payload{}, &history.Failure{Kind: history.FailureError, Message: "stopped"}
}}

// TestWorkersSayWhatTheyServe: with the first beat, and again only when it changes; the store counts those that live.
func TestWorkersSayWhatTheyServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		store := model.New(model.Options{})
		spy := &pulseSpy{Provider: store.Open()}
		opts := options(t)
		opts.Tags = []string{"gpu"}
		e := New(spy, opts)
		o := Orchestration{Name: "o", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
			for _, tag := range []string{"", "gpu", "tpu"} {
				x.Root().Activity("slow", history.Payload{}, &history.ActivityOptions{Tag: tag})
			}
			_, err := x.Await(x.Root().Activity("unknown", history.Payload{}, nil))
			return history.Payload{}, err
		}}
		if err := e.Start(ctx, []Orchestration{o, {Name: "other", Run: o.Run}}, []Activity{untilStopped}); err != nil {
			t.Fatal(err)
		}
		if _, err := e.StartInstance(ctx, StartSpec{InstanceID: "i", Name: "o"}); err != nil {
			t.Fatal(err)
		}
		pulses := func(n int) {
			timer := time.NewTimer(time.Duration(n)*opts.PulseInterval + opts.PulseInterval/2)
			<-timer.C
			synctest.Wait()
		}
		workers := func() int {
			st, err := e.Read(ctx, "i")
			if err != nil || st == nil {
				t.Fatal(st, err)
			}
			return st.Workers
		}
		pulses(3)
		st, err := e.Read(ctx, "i")
		unserved := []provider.Class{{Kind: provider.ClassActivity, Name: "slow", Tag: "tpu"}, {Kind: provider.ClassActivity, Name: "unknown"}}
		if err != nil || st.Workers != 1 || !slices.Equal(st.Unserved, unserved) {
			t.Errorf("%v: %d workers, unserved %v, want 1 and %v", err, st.Workers, st.Unserved, unserved)
		}
		said := spy.take()
		if len(said) < 3 || len(said[0]) != 4 || slices.ContainsFunc(said[1:], func(s []provider.ClassID) bool { return s != nil }) {
			t.Errorf("said %v, want 4 classes at first and nothing after", said)
		}
		for _, id := range []string{"a", "b", "c"} {
			e.noteDivergence(e.registered("o", ""), id, parkReason{Reason: "diverged"})
		}
		pulses(3)
		if n := workers(); n != 0 {
			t.Errorf("%d workers serve a class that was left to others", n)
		}
		said = slices.DeleteFunc(spy.take(), func(s []provider.ClassID) bool { return s == nil })
		if len(said) != 1 || len(said[0]) != 3 {
			t.Errorf("said %v, want once the 3 classes that are left", said)
		}

		// One that drains still runs its activities, but nothing else any more.
		if _, err := e.StartInstance(ctx, StartSpec{InstanceID: "j", Name: "other"}); err != nil {
			t.Fatal(err)
		}
		stopped := make(chan error)
		go func() {
			ending, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			stopped <- e.Stop(ending)
		}()
		for _, want := range []int{1, 0} {
			states, err := store.Open().ReadInstances(ctx, []string{"j"}, false)
			if err != nil || len(states) != 1 || states[0].Workers != want {
				t.Errorf("%v: states %+v, want %d workers", err, states, want)
			}
			pulses(2)
		}
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
	})
}

// TestDeadWorkersAreNotCounted: also if nobody is left to reap the worker.
func TestDeadWorkersAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		store := model.New(model.Options{})
		spy := &pulseSpy{Provider: store.Open()}
		opts := options(t)
		e := New(spy, opts)
		o := Orchestration{Name: "o", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
			_, err := x.Await(x.Root().Event("never"))
			return history.Payload{}, err
		}}
		if err := e.Start(ctx, []Orchestration{o}, nil); err != nil {
			t.Fatal(err)
		}
		client := New(store.Open(), options(t))
		if err := client.Start(ctx, nil, nil); err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := e.StartInstance(ctx, StartSpec{InstanceID: "i", Name: "o"}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{1, 0} {
			timer := time.NewTimer(2 * opts.TTL)
			<-timer.C
			st, err := client.Read(ctx, "i")
			if err != nil || st.Workers != want {
				t.Fatalf("%v: %d workers, want %d", err, st.Workers, want)
			}
			spy.silent.Store(true)
		}
		spy.silent.Store(false)
		if err := e.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	})
}
