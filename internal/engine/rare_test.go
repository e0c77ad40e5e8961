package engine

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// TestNewsWhileGivenBack: an event that comes while its instance is being given back, because its activity is to be tried
// again later, does not wait for the next pulse.
func TestNewsWhileGivenBack(t *testing.T) {
	racing := Orchestration{Name: "racing", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
		work := x.Root().Activity("work", history.Payload{}, &history.ActivityOptions{Retry: &history.RetryPolicy{InitialDelay: time.Hour}})
		_, err := x.Await(work, x.Root().Event("x"))
		return history.Payload{}, err
	}}
	fails := Activity{Name: "work", Run: func(context.Context, ActivityInfo, history.Payload) (history.Payload, *history.Failure) {
		pass(10 * time.Millisecond)
		return history.Payload{}, failing("not yet")
	}}
	synctest.Test(t, func(t *testing.T) {
		given, heard := make(chan struct{}), make(chan struct{})
		h := &hook{Provider: model.New(model.Options{}).Open()}
		h.before = func(op string, n int) error {
			if op == "AbandonItems" && n == 0 {
				close(given)
				<-heard
			}
			return nil
		}
		quiet := struct{ provider.Provider }{h} // without notifications
		e := launch(t, quiet, options(t), []Orchestration{racing}, []Activity{fails})
		w := begin(t, e, "i", "racing")
		<-given
		raiseX(t, e, "i")
		synctest.Wait() // what the event has led to here is done
		close(heard)
		ends(t, w, 100*time.Millisecond)
	})
}

// TestRefusedReturnEndsTheSession: a lease that cannot be given back ends soon, with the session that has it.
func TestRefusedReturnEndsTheSession(t *testing.T) {
	var runs atomic.Int32
	second := Activity{Name: "work", Run: func(context.Context, ActivityInfo, history.Payload) (history.Payload, *history.Failure) {
		if runs.Add(1) == 1 {
			return history.Payload{}, failing("once")
		}
		return history.Payload{}, nil
	}}
	synctest.Test(t, func(t *testing.T) {
		h := &hook{Provider: model.New(model.Options{}).Open()}
		h.before = func(op string, n int) error {
			if op == "AbandonItems" && n == 0 {
				return errRefused
			}
			return nil
		}
		e := launch(t, h, options(t), []Orchestration{bounded(history.ActivityOptions{Retry: everySecond})}, []Activity{second})
		ends(t, begin(t, e, "i", "single"), time.Minute)
		pass(time.Minute)
		settledState(t, e)
	})
}

// TestTimedOutBeforeItIsTold: when the code of an attempt learns that its time is up, what it then returns cannot become the
// outcome any more.
func TestTimedOutBeforeItIsTold(t *testing.T) {
	obedient := Activity{Name: "work", Run: func(ctx context.Context, _ ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
		<-ctx.Done()
		return history.Payload{}, failing("told to end")
	}}
	synctest.Test(t, func(t *testing.T) {
		o := options(t)
		o.ActivityTimeout = time.Second
		var e *Engine
		told := false
		o.CauseOf = func(*history.Failure) error {
			s := e.current()
			s.mu.Lock()
			defer s.mu.Unlock()
			told = true
			if len(s.lingering) != 1 {
				t.Error("the attempt goes on")
			}
			return context.Canceled
		}
		e = launch(t, model.New(model.Options{}).Open(), o, []Orchestration{single}, []Activity{obedient})
		w := begin(t, e, "i", "single")
		if _, _, err := w.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if synctest.Wait(); !told {
			t.Error("the code was not told")
		}
		settledState(t, e)
	})
}

// TestSilentBeginning: an instance whose first turn has recorded nothing goes on at the same place elsewhere.
func TestSilentBeginning(t *testing.T) {
	silent := Orchestration{Name: "silent", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
		begun, done := x.Now(), false
		x.HandleUpdate("finish", replay.Update{Handle: func(history.Payload) (history.Payload, error) { done = true; return history.Payload{}, nil }})
		if err := x.AwaitUntil(x.Root(), func() bool { return done }); err != nil {
			return history.Payload{}, err
		}
		return document(`"` + begun.Format(time.RFC3339Nano) + `"`), nil
	}}
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		e := launch(t, store.Open(), options(t), []Orchestration{silent}, nil)
		begun := e.clock.now()
		w := begin(t, e, "i", "silent")
		pass(time.Hour)
		e.current().doubt.Store(true) // all that is cached goes
		pass(time.Minute)
		if _, status, err := e.Update(t.Context(), UpdateSpec{InstanceID: "i", Name: "finish", ID: "u"}); err != nil || status != provider.Applied {
			t.Fatal(status, err)
		}
		turns, err := store.Open().ReadHistory(t.Context(), provider.HistoryQuery{InstanceID: "i"})
		if err != nil || len(turns) != 2 {
			t.Errorf("%d turns, %v", len(turns), err)
		}
		o, _, err := w.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := `"` + begun.Format(time.RFC3339Nano) + `"`; string(o.Result.Data) != want {
			t.Errorf("began at %s, was told %s", want, o.Result.Data)
		}
	})
}
