package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// blocked is a handle on a store whose starts and sends stand still until release is closed.
type blocked struct {
	*model.Provider
	release chan struct{}
	arrived atomic.Int32
}

func (b *blocked) StartOrchestrations(ctx context.Context, r *provider.StartRequest) (*provider.AckReply, error) {
	b.arrived.Add(int32(len(r.Items)))
	<-b.release
	return b.Provider.StartOrchestrations(context.WithoutCancel(ctx), r)
}

func (b *blocked) EnqueueMessages(ctx context.Context, m []provider.NewMessage) ([]provider.ItemStatus, error) {
	b.arrived.Add(int32(len(m)))
	<-b.release
	return b.Provider.EnqueueMessages(context.WithoutCancel(ctx), m)
}

// TestPlaces: of the calls of one kind so many are under way as may be. The others wait, in order; one whose context ends
// meanwhile says that nothing was done, and is not.
func TestPlaces(t *testing.T) {
	for name, call := range map[string]func(ctx context.Context, e *Engine, id string) (provider.ItemStatus, error){
		"start": func(ctx context.Context, e *Engine, id string) (provider.ItemStatus, error) {
			return e.StartInstance(ctx, StartSpec{InstanceID: id, Name: "fan"})
		},
		"raise": func(ctx context.Context, e *Engine, id string) (provider.ItemStatus, error) {
			return e.Raise(ctx, "target", RaisedEvent{Name: "e", MessageID: id})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &blocked{Provider: model.New(model.Options{}).Open(), release: make(chan struct{})}
				opts := options(t)
				opts.MaxCalls = MaxCalls{Starts: 2, Messages: 2, Queries: 1}
				e := New(store, opts)
				defer e.Close()
				answers := make(chan error, 3)
				for i := range 3 {
					go func() {
						_, err := call(t.Context(), e, fmt.Sprint("i-", i))
						answers <- err
					}()
					synctest.Wait()
				}
				if n := store.arrived.Load(); n > 2 {
					t.Errorf("%d calls have come through", n)
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				late := make(chan error, 1)
				go func() {
					_, err := call(ctx, e, "late")
					late <- err
				}()
				synctest.Wait()
				why := errors.New("not any more")
				cancel(why)
				if err := <-late; !errors.Is(err, why) || !strings.Contains(err.Error(), "was not "+map[string]string{"start": "started", "raise": "sent"}[name]) ||
					!strings.Contains(err.Error(), "2 others") {
					t.Errorf("late: %v", err)
				}
				close(store.release)
				for range 3 {
					if err := <-answers; err != nil {
						t.Error(err)
					}
				}
				if _, err := call(t.Context(), e, "after"); err != nil {
					t.Error(err)
				}
				if st, err := e.Read(t.Context(), "late"); st != nil || err != nil {
					t.Errorf("the late one: %+v, %v", st, err)
				}
				if n := len(e.startPlaces) + len(e.messagePlaces); n != 0 {
					t.Errorf("%d places are taken in the end", n)
				}
			})
		})
	}
}

// TestPlacesWhenStopped: who waits for a place of an engine that stops is told.
func TestPlacesWhenStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(model.New(model.Options{}).Open(), options(t))
		p := newPlaces(1)
		if err := p.take(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		waiting := make(chan error, 1)
		go func() { waiting <- p.take(t.Context(), e) }()
		synctest.Wait()
		e.Close()
		if err := <-waiting; !errors.Is(err, ErrStopped) {
			t.Errorf("%v", err)
		}
		p.leave()
		s := seat{places: p}
		for range 2 {
			if err := s.take(t.Context(), e); err != nil {
				t.Error(err)
			}
		}
		s.leave()
		s.leave()
		if len(p) != 0 {
			t.Error("the seat is taken yet")
		}
	})
}

// TestNextInput: a turn is given what fits into a commit, and at least one input; nothing is given twice or lost.
func TestNextInput(t *testing.T) {
	answer := func(n int32, size int) replay.Message {
		return replay.Message{Token: 1, Event: &history.ActivityCompleted{Scheduled: n, Result: payloadOf(size)}}
	}
	failed := func(n int32, size int) replay.Message {
		return replay.Message{Token: 1, Event: &history.ActivityFailed{Scheduled: n, Failure: history.Failure{Message: strings.Repeat("m", size-2),
			Cause: &history.Failure{Message: "mm"}}}}
	}
	event := func(n int64, size int) replay.Message {
		return replay.Message{Order: n, Event: &history.EventReceived{Payload: payloadOf(size)}}
	}
	for name, test := range map[string]struct {
		limit             int
		finished, pending []replay.Message
		given, left       int
	}{
		"nothing":                {100, nil, nil, 0, 0},
		"no limit":               {0, []replay.Message{answer(1, 500)}, []replay.Message{event(1, 500)}, 2, 0},
		"all fit":                {100, []replay.Message{answer(1, 30), failed(2, 30)}, []replay.Message{event(1, 40)}, 3, 0},
		"an event too many":      {99, []replay.Message{answer(1, 30), failed(2, 30)}, []replay.Message{event(1, 40)}, 2, 0},
		"a failure too many":     {59, []replay.Message{answer(1, 30), failed(2, 30)}, []replay.Message{event(1, 40)}, 1, 1},
		"one that is too large":  {10, []replay.Message{answer(1, 30), answer(2, 1)}, []replay.Message{event(1, 1)}, 1, 1},
		"an event too large":     {10, nil, []replay.Message{event(1, 30), event(2, 1)}, 1, 0},
		"small after too large":  {10, []replay.Message{answer(1, 30)}, []replay.Message{event(1, 1)}, 1, 0},
		"timers weigh nothing":   {1, nil, []replay.Message{{Event: &history.TimerFired{}}, {Event: &history.TimerFired{}}}, 2, 0},
		"unreadable ones do not": {1, nil, []replay.Message{{Order: 1}, {Order: 2}}, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			opts := options(t)
			opts.Limits.TurnBytes = test.limit
			in := &instance{s: &session{e: &Engine{opts: opts}}, finished: test.finished, pending: test.pending}
			given := in.nextInput()
			if len(given) != test.given || len(in.finished) != test.left || in.pending != nil {
				t.Errorf("given %d, left %d and %d; want %d and %d", len(given), len(in.finished), len(in.pending), test.given, test.left)
			}
			if len(in.given)+len(in.finished) != len(test.finished) || len(in.given) > 0 && in.given[0].Event != test.finished[0].Event {
				t.Errorf("of %d results %d are given and %d left", len(test.finished), len(in.given), len(in.finished))
			}
		})
	}
}

func payloadOf(size int) history.Payload {
	return history.Payload{Encoding: history.EncodingJSON, Data: []byte(strings.Repeat("1", size))}
}
