package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// bounded is single with options.
func bounded(o history.ActivityOptions) Orchestration {
	return Orchestration{Name: "single", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
		f := x.Root().Activity("work", history.Payload{}, &o)
		if _, err := x.Await(f); err != nil {
			return history.Payload{}, err
		}
		result, failure, err := f.Answer()
		if failure != nil {
			err = fmt.Errorf("%s %s %d: %s", failure.Kind, failure.Timeout, failure.Attempts, failure.Message)
		}
		return result, err
	}}
}

var everySecond = &history.RetryPolicy{InitialDelay: time.Second, Coefficient: 1}

func failing(message string) *history.Failure {
	return &history.Failure{Kind: history.FailureError, Message: message}
}

// settledState checks that a worker has nothing left: every slot free, nothing busy, no instance held.
func settledState(t *testing.T, e *Engine) {
	t.Helper()
	s := e.current()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slots != e.opts.Slots || len(s.runs)+len(s.lingering) != 0 || s.busy != 0 {
		t.Errorf("%d of %d slots free, %d activities running, %d instances busy", s.slots, e.opts.Slots, len(s.runs)+len(s.lingering), s.busy)
	}
	for _, in := range s.instances {
		if in.held {
			t.Errorf("instance %s is still held", in.id)
		}
	}
}

// TestRetriesLeakNothing: activities that fail now and then, under faults, with two workers and more activities than slots,
// come to their end, each having had as many outcomes as its policy allows or fewer.
func TestRetriesLeakNothing(t *testing.T) {
	tired := Orchestration{Name: "tired", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
		options := &history.ActivityOptions{Retry: &history.RetryPolicy{InitialDelay: 100 * time.Millisecond, Coefficient: 2, MaxAttempts: 4, Jitter: 0.5},
			StartToClose: time.Second, ScheduleToClose: time.Hour}
		for range 2 {
			var futures []*replay.Future
			for range 4 {
				futures = append(futures, x.Root().Activity("work", history.Payload{}, options))
			}
			for _, f := range futures {
				if _, err := x.Await(f); err != nil {
					return history.Payload{}, err
				}
			}
		}
		return history.Payload{}, nil
	}}
	var runs atomic.Int32
	moody := Activity{Name: "work", Run: func(ctx context.Context, _ ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
		n := runs.Add(1)
		pass(time.Duration(n%7) * 10 * time.Millisecond)
		switch n % 5 {
		case 0, 1:
			return history.Payload{}, failing("moody")
		case 2:
			if n%3 == 0 {
				<-ctx.Done()
				return history.Payload{}, failing("too long")
			}
		}
		return history.Payload{}, nil
	}}
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := model.New(model.Options{})
				var engines []*Engine
				for i := range uint64(2) {
					p := providertest.Faulty(store.Open(), providertest.RandomFaults(seed<<4+i, 10))
					engines = append(engines, launch(t, p, options(t), []Orchestration{tired}, []Activity{moody}))
				}
				var waiters []*Waiter
				for i := range 30 {
					waiters = append(waiters, begin(t, engines[i%2], fmt.Sprint("i-", i), "tired"))
				}
				for _, w := range waiters {
					ends(t, w, time.Hour)
				}
				pass(time.Minute)
				for _, e := range engines {
					settledState(t, e)
				}
			})
		})
	}
}

// TestDelayedRetryHoldsNothing: while the delay of a retry runs nobody holds its instance, and when it is over the worker
// that gave it back looks for it at once.
func TestDelayedRetryHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		var second time.Time
		twice := Activity{Name: "work", Run: func(_ context.Context, info ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
			if n.Add(1) == 1 {
				return history.Payload{}, failing("once")
			}
			second = time.Now()
			return history.Payload{}, nil
		}}
		retry := &history.RetryPolicy{InitialDelay: 1300 * time.Millisecond}
		e := launch(t, model.New(model.Options{}).Open(), options(t), []Orchestration{bounded(history.ActivityOptions{Retry: retry})}, []Activity{twice})
		begun := time.Now()
		w := begin(t, e, "i", "single")
		synctest.Wait()
		st, err := e.Read(t.Context(), "i")
		if err != nil || st.Worker != 0 || n.Load() != 1 {
			t.Errorf("held by %d, %d runs, %v", st.Worker, n.Load(), err)
		}
		settledState(t, e)
		ends(t, w, time.Minute)
		if took := second.Sub(begun); took < retry.InitialDelay || took > retry.InitialDelay+100*time.Millisecond {
			t.Errorf("tried again after %v", took)
		}
	})
}

// crash has a worker that is not there any more take the next work item, as often as told.
func crash(t *testing.T, p provider.Provider, class provider.ClassID, times int) {
	t.Helper()
	for range times {
		worker := provider.NewWorkerID()
		if _, err := p.Pulse(t.Context(), &provider.PulseRequest{Worker: worker, Join: true, TTL: time.Hour}); err != nil {
			t.Fatal(err)
		}
		reply, err := p.FetchWorkItems(t.Context(), &provider.FetchWorkRequest{Worker: worker, Request: provider.NewToken(), Classes: []provider.ClassID{class}, Max: 1})
		if err != nil || len(reply.Work) != 1 {
			t.Fatalf("%d items, %v", len(reply.Work), err)
		}
		if err := p.RetireWorker(t.Context(), worker); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCrashesAndTriesAreCountedApart: tries do not bring an activity nearer to its quarantine, nor crashes to the end of its
// retries; the attempt counts both.
func TestCrashesAndTriesAreCountedApart(t *testing.T) {
	for _, c := range []struct {
		crashes  int // before each try
		attempts []int32
		end      string
	}{
		{2, []int32{3, 6, 9}, "error  9: try"},
		{3, nil, "quarantined  3: begun 3 times without an outcome: it may crash or hang its process"},
	} {
		synctest.Test(t, func(t *testing.T) {
			store := model.New(model.Options{})
			o := options(t)
			o.MaxAttempts = 3
			policy := *everySecond
			policy.MaxAttempts = 3
			boss := launch(t, store.Open(), o, []Orchestration{bounded(history.ActivityOptions{Retry: &policy})}, nil)
			w := begin(t, boss, "i", "single")
			synctest.Wait()
			class := boss.classes.ids[activityClass("work", "", 0)]
			var attempts []int32
			var hands *Engine
			work := Activity{Name: "work", Run: func(_ context.Context, info ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
				attempts = append(attempts, info.Attempt)
				return history.Payload{}, failing("try")
			}}
			for range 3 {
				crash(t, store.Open(), class, c.crashes)
				hands = New(store.Open(), o)
				if err := hands.Start(t.Context(), nil, []Activity{work}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				stopped, cancel := context.WithCancel(t.Context())
				cancel()
				if err := hands.Stop(stopped); err != nil {
					t.Fatal(err)
				}
				if c.attempts == nil {
					break
				}
				pass(2 * time.Second) // the delay
			}
			got, _, err := w.Wait(t.Context())
			if err != nil || got.Failure == nil || got.Failure.Message != c.end || fmt.Sprint(attempts) != fmt.Sprint(c.attempts) {
				t.Errorf("%+v, %v, attempts %v; want %q, %v", got, err, attempts, c.end, c.attempts)
			}
		})
	}
}

// TestDeafActivityKeepsItsSlot: an attempt that has timed out is over for its instance; its code is not for its worker,
// which counts the slot as taken until it returns and then as free.
func TestDeafActivityKeepsItsSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var cause error
		deaf := Activity{Name: "work", Run: func(ctx context.Context, _ ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
			<-release
			cause = context.Cause(ctx)
			return history.Payload{}, nil
		}}
		e := launch(t, model.New(model.Options{}).Open(), options(t), []Orchestration{bounded(history.ActivityOptions{StartToClose: time.Minute})}, []Activity{deaf})
		w := begin(t, e, "i", "single")
		if o, _, err := w.Wait(t.Context()); err != nil || o.Failure == nil || o.Failure.Message != "timeout start-to-close 0: the start-to-close timeout has passed" {
			t.Fatalf("%+v, %v", o, err)
		}
		s := e.current()
		s.mu.Lock()
		slots, lingering := s.slots, len(s.lingering)
		s.mu.Unlock()
		if slots != e.opts.Slots-1 || lingering != 1 {
			t.Errorf("%d slots free, %d activities linger", slots, lingering)
		}
		close(release)
		synctest.Wait()
		if cause == nil || cause.Error() != "the start-to-close timeout has passed" {
			t.Errorf("cause %v", cause)
		}
		settledState(t, e)
	})
}

// TestHeldWorkOfPulse: a pulse carries what has run for a while, with its details when they have changed; what the store
// says is gone is cancelled, and its result dropped.
func TestHeldWorkOfPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &pulses{Provider: model.New(model.Options{}).Open()}
		var cause error
		done := make(chan struct{})
		talk := Activity{Name: "work", Run: func(ctx context.Context, info ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
			defer close(done)
			for i := range 1000 {
				if cause = info.Heartbeat(history.Payload{Encoding: history.EncodingJSON, Data: fmt.Append(nil, min(i/15, 2))}); cause != nil {
					break
				}
				pass(100 * time.Millisecond)
			}
			return history.Payload{}, nil
		}}
		// Withdrawn after five seconds and a half.
		impatient := Orchestration{Name: "impatient", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
			working := x.Root().Activity("work", history.Payload{}, nil)
			_, err := x.Await(x.Root().Timer(5500 * time.Millisecond))
			working.Cancel("enough")
			return history.Payload{}, err
		}}
		launch(t, h, options(t), nil, []Activity{talk})
		boss := launch(t, h.Provider, options(t), []Orchestration{impatient}, nil)
		begun := time.Now()
		ends(t, begin(t, boss, "i", "impatient"), time.Minute)
		<-done
		if took := time.Since(begun); cause == nil || took > 6700*time.Millisecond {
			t.Errorf("cancelled after %v: %v", took, cause)
		}
		if len(h.states) != 3 { // details 0, 1 and 2
			t.Errorf("states %q", h.states)
		}
	})
}

// pulses notes the states that pulses carry.
type pulses struct {
	*model.Provider
	states []string
}

func (p *pulses) Pulse(ctx context.Context, r *provider.PulseRequest) (*provider.PulseReply, error) {
	for _, h := range r.Held {
		if h.State != nil {
			p.states = append(p.states, string(h.State))
		}
	}
	return p.Provider.Pulse(ctx, r)
}

// TestCompleteActivityAfterLostReply: a completion whose answer was lost is repeated and succeeds, once.
func TestCompleteActivityAfterLostReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		var token string
		ask := Activity{Name: "work", Run: func(_ context.Context, info ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
			token = info.Token()
			if !info.Pending() {
				return history.Payload{}, failing("no token")
			}
			return history.Payload{}, nil
		}}
		e := launch(t, store.Open(), options(t), []Orchestration{bounded(history.ActivityOptions{Retry: everySecond})}, []Activity{ask})
		w := begin(t, e, "i", "single")
		synctest.Wait()
		settledState(t, e)
		lossy := &hook{Provider: store.Open()}
		lossy.after = func(op string, n int) error {
			if op == "AckWorkItems" && n == 0 {
				return errDown
			}
			return nil
		}
		client := launch(t, lossy, options(t), nil, nil)
		for i, want := range []provider.ItemStatus{provider.Applied, provider.Gone} {
			status, err := client.CompleteActivity(t.Context(), token, history.Payload{Encoding: history.EncodingJSON, Data: []byte(`1`)}, nil)
			if err != nil || status != want {
				t.Errorf("call %d: %v, %v", i, status, err)
			}
		}
		ends(t, w, time.Minute)
		if _, err := client.CompleteActivity(t.Context(), "token", history.Payload{}, nil); !errors.Is(err, ErrBadToken) {
			t.Errorf("no token: %v", err)
		}
	})
}

// TestRefusedResult: an activity whose result the store refuses runs again soon, and its worker goes on.
func TestRefusedResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		launch(t, store.Open(), options(t), []Orchestration{single}, nil)
		var infos []int32
		handle := &hook{Provider: store.Open(), before: func(op string, n int) error {
			if op == "AckWorkItems" && n < 2 {
				return errRefused
			}
			return nil
		}}
		worker := launch(t, handle, options(t), nil, []Activity{{Name: "work", Run: func(_ context.Context, info ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
			infos = append(infos, info.Attempt)
			return history.Payload{}, nil
		}}})
		first := worker.current()
		begun := time.Now()
		w := begin(t, launch(t, store.Open(), options(t), nil, nil), "i", "single")
		ends(t, w, time.Minute)
		if !slices.Equal(infos, []int32{1, 2, 3}) {
			t.Errorf("attempts %v, want three", infos)
		}
		if took := time.Since(begun); took > 2*refusedDelay+3*time.Second {
			t.Errorf("it took %v", took)
		}
		if worker.current() != first {
			t.Error("the worker has begun a new session")
		}
	})
}
