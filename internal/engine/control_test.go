package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// endless runs until its context ends, and says so.
func endless(begun, told chan<- string) Activity {
	return Activity{Name: "work", Run: func(ctx context.Context, info ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
		begun <- info.InstanceID
		<-ctx.Done()
		told <- info.InstanceID
		return history.Payload{}, nil
	}}
}

// nothingHeld checks that a session has all its slots and holds nothing.
func nothingHeld(t *testing.T, e *Engine) {
	t.Helper()
	s := e.current()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slots != e.opts.Slots || len(s.runs) != 0 || s.busy != 0 {
		t.Errorf("%d of %d slots free, %d activities running, %d instances busy", s.slots, e.opts.Slots, len(s.runs), s.busy)
	}
	for _, in := range s.instances {
		if in.held {
			t.Errorf("%s is still held", in.id)
		}
	}
}

// TestTerminatedElsewhere: an engine whose instance was terminated behind its back stops the activities of it within a second
// or so, answers those who wait, and holds nothing any more.
func TestTerminatedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		begun, told := make(chan string, 1), make(chan string, 1)
		worker := launch(t, store.Open(), options(t), []Orchestration{single}, []Activity{endless(begun, told)})
		client := launch(t, store.Open(), options(t), nil, nil)
		w := begin(t, worker, "i", "single")
		<-begun
		at := time.Now()
		if status, err := client.Terminate(t.Context(), "i", "r", false); err != nil || status != provider.Applied {
			t.Fatal(status, err)
		}
		o, _, err := w.Wait(t.Context())
		if err != nil || o.Status != provider.StatusTerminated || o.Failure.Message != "r" || time.Since(at) > 1100*time.Millisecond {
			t.Errorf("%+v, %v after %v", o, err, time.Since(at))
		}
		<-told
		if took := time.Since(at); took > 1100*time.Millisecond {
			t.Errorf("the activity was told after %v", took)
		}
		pass(10 * time.Second)
		nothingHeld(t, worker)
	})
}

// TestTerminatedHere: who terminates what it holds itself need not wait for anything.
func TestTerminatedHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, told := make(chan string, 1), make(chan string, 1)
		e := launch(t, model.New(model.Options{}).Open(), options(t), []Orchestration{single}, []Activity{endless(begun, told)})
		w := begin(t, e, "i", "single")
		<-begun
		at := time.Now()
		if status, err := e.Terminate(t.Context(), "i", "r", false); err != nil || status != provider.Applied {
			t.Fatal(status, err)
		}
		<-told
		if o, _, err := w.Wait(t.Context()); err != nil || o.Status != provider.StatusTerminated || time.Since(at) > 0 {
			t.Errorf("%+v, %v after %v", o, err, time.Since(at))
		}
		synctest.Wait()
		nothingHeld(t, e)
	})
}

// TestRepeatedControl: a call whose answer was lost is repeated, and what it finds then is what it did.
func TestRepeatedControl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		worker := launch(t, store.Open(), options(t), []Orchestration{waiting}, nil)
		for id, do := range map[string]func(*Engine) (provider.ItemStatus, error){
			"terminate": func(e *Engine) (provider.ItemStatus, error) { return e.Terminate(t.Context(), "terminate", "r", true) },
			"cancel":    func(e *Engine) (provider.ItemStatus, error) { return e.Cancel(t.Context(), "cancel", "r") },
		} {
			begin(t, worker, id, "waiting").Close()
			client := launch(t, &lossy{Provider: store.Open()}, options(t), nil, nil)
			if status, err := do(client); err != nil || status != provider.Applied {
				t.Errorf("%s: %v, %v", id, status, err)
			}
			if st, err := client.Read(t.Context(), id); err != nil || !st.Status.Terminal() {
				t.Errorf("%s: %+v, %v", id, st, err)
			}
			if status, err := do(client); err != nil || status != provider.Gone { // no repeat, but another
				t.Errorf("%s again: %v, %v", id, status, err)
			}
		}
	})
}

// lossy loses the answer to the first call of each kind that ends instances; a second passes before it is repeated.
type lossy struct {
	*model.Provider
	terminated, enqueued atomic.Bool
}

func (l *lossy) TerminateInstances(ctx context.Context, items []provider.Termination) ([]provider.ItemStatus, error) {
	r, err := l.Provider.TerminateInstances(ctx, items)
	if !l.terminated.Swap(true) {
		return nil, errDown
	}
	return r, err
}

func (l *lossy) EnqueueMessages(ctx context.Context, messages []provider.NewMessage) ([]provider.ItemStatus, error) {
	r, err := l.Provider.EnqueueMessages(ctx, messages)
	if !l.enqueued.Swap(true) {
		pass(time.Second)
		return nil, errDown
	}
	return r, err
}

// TestNewsOfAnother: who waits for an instance that takes the place of another hears nothing of that one's end, however late
// the news of it comes.
func TestNewsOfAnother(t *testing.T) {
	e := New(model.New(model.Options{}).Open(), options(t))
	defer e.Close()
	old, mine, newer := provider.Ref{Row: 1}, provider.Ref{Row: 2}, provider.Ref{Row: 3}
	outcome := func(ref provider.Ref) *Outcome {
		return &Outcome{Result: history.Payload{Encoding: fmt.Sprint(ref.Row)}}
	}
	tell := func(ref provider.Ref) { e.waiters.complete("i", ref, outcome(ref)) }
	heard := func(w *Waiter) string {
		select {
		case <-w.done:
		default:
			return "nothing"
		}
		if o, found, _ := w.result(); found {
			return o.Result.Encoding
		}
		return "lost"
	}
	for name, tt := range map[string]struct {
		before, after    []provider.Ref
		earlier, started string // what those hear who started the old one and the new one
	}{
		"late news":        {nil, []provider.Ref{old, mine}, "1", "2"},
		"early news":       {[]provider.Ref{old, mine}, nil, "1", "2"},
		"nothing yet":      {[]provider.Ref{old}, []provider.Ref{old}, "1", "nothing"},
		"replaced by then": {nil, []provider.Ref{newer}, "lost", "lost"},
	} {
		t.Run(name, func(t *testing.T) {
			earlier, started := e.Watch("i", true), e.Watch("i", true)
			earlier.born(old)
			for _, ref := range tt.before {
				tell(ref)
			}
			started.born(mine)
			for _, ref := range tt.after {
				tell(ref)
			}
			if got := [2]string{heard(earlier), heard(started)}; got != [2]string{tt.earlier, tt.started} {
				t.Errorf("heard %q", got)
			}
			earlier.Close()
			started.Close()
			if e.waiters.has("i") {
				t.Error("somebody is left")
			}
		})
	}
}

// TestNewsBeforeTheWait: who waits without having started the instance gets the end of the one there is when the wait begins,
// not that of one whose place it has taken.
func TestNewsBeforeTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		worker := launch(t, store.Open(), options(t), []Orchestration{waiting}, nil)
		client := launch(t, store.Open(), options(t), nil, nil)
		begin(t, worker, "i", "waiting").Close()
		w := client.Watch("i", false)
		defer w.Close()
		for range 3 {
			client.waiters.complete("i", provider.Ref{}, &Outcome{Status: provider.StatusFailed, Failure: &history.Failure{Message: "of another"}})
		}
		if ids := client.waiters.watched(); len(ids) > 0 || len(w.early) != 1 {
			t.Errorf("nobody waits yet, and %q are watched, %d ends kept", ids, len(w.early))
		}
		raiseX(t, worker, "i")
		ends(t, w, time.Minute)
	})
}
