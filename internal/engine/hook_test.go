package engine

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// hook is a handle on a store with a test in between: before and after are called around each of the calls below, with
// the method's name and how many such calls there were before. Their error is the call's. They may take their time: a
// request on its way to the store is not called back by its context.
type hook struct {
	*model.Provider
	before, after func(op string, n int) error

	mu    sync.Mutex
	calls map[string]int
}

var (
	// errDown is what a store that cannot be reached says.
	errDown = &provider.Error{Op: "call", Retry: provider.RetryCall, Err: errors.New("the store is down")}
	// errRefused is what no repeat of the call will change.
	errRefused = &provider.Error{Op: "call", Retry: provider.GiveUp, Err: errors.New("no access to the store")}
)

// hooked makes one call with what the test puts around it.
func hooked[R any](ctx context.Context, h *hook, op string, call func(context.Context) (R, error)) (R, error) {
	h.mu.Lock()
	if h.calls == nil {
		h.calls = map[string]int{}
	}
	n := h.calls[op]
	h.calls[op]++
	h.mu.Unlock()
	var none R
	if h.before != nil {
		if err := h.before(op, n); err != nil {
			return none, err
		}
	}
	r, err := call(context.WithoutCancel(ctx))
	if err == nil && h.after != nil {
		err = h.after(op, n)
	}
	if err != nil {
		return none, err
	}
	return r, nil
}

func (h *hook) FetchOrchestrationItems(ctx context.Context, r *provider.FetchRequest) ([]provider.OrchestrationItem, error) {
	return hooked(ctx, h, "FetchOrchestrationItems", func(ctx context.Context) ([]provider.OrchestrationItem, error) {
		return h.Provider.FetchOrchestrationItems(ctx, r)
	})
}

func (h *hook) FetchWorkItems(ctx context.Context, r *provider.FetchWorkRequest) (*provider.FetchWorkReply, error) {
	return hooked(ctx, h, "FetchWorkItems", func(ctx context.Context) (*provider.FetchWorkReply, error) {
		return h.Provider.FetchWorkItems(ctx, r)
	})
}

func (h *hook) AckOrchestrationItems(ctx context.Context, r *provider.AckRequest) (*provider.AckReply, error) {
	return hooked(ctx, h, "AckOrchestrationItems", func(ctx context.Context) (*provider.AckReply, error) {
		return h.Provider.AckOrchestrationItems(ctx, r)
	})
}

func (h *hook) AckWorkItems(ctx context.Context, r *provider.AckWorkRequest) (*provider.AckReply, error) {
	return hooked(ctx, h, "AckWorkItems", func(ctx context.Context) (*provider.AckReply, error) {
		return h.Provider.AckWorkItems(ctx, r)
	})
}

func (h *hook) AbandonItems(ctx context.Context, r *provider.AbandonRequest) error {
	_, err := hooked(ctx, h, "AbandonItems", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, h.Provider.AbandonItems(ctx, r)
	})
	return err
}

func (h *hook) RetireWorker(ctx context.Context, w provider.WorkerID) error {
	_, err := hooked(ctx, h, "RetireWorker", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, h.Provider.RetireWorker(ctx, w)
	})
	return err
}

func (h *hook) Pulse(ctx context.Context, r *provider.PulseRequest) (*provider.PulseReply, error) {
	return hooked(ctx, h, "Pulse", func(ctx context.Context) (*provider.PulseReply, error) { return h.Provider.Pulse(ctx, r) })
}

// slowly is a before or after that delays the calls of one method while when is true.
func slowly(method string, d time.Duration, when func() bool) func(string, int) error {
	return func(op string, _ int) error {
		if op == method && when() {
			pass(d)
		}
		return nil
	}
}

func always() bool { return true }

// pass lets virtual time pass.
func pass(d time.Duration) {
	t := time.NewTimer(d)
	<-t.C
}

// waiting ends with its first event x.
var waiting = Orchestration{Name: "waiting", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
	_, err := x.Await(x.Root().Event("x"))
	return history.Payload{}, err
}}

// single ends with its only activity.
var single = Orchestration{Name: "single", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
	_, err := x.Await(x.Root().Activity("work", history.Payload{}, nil))
	return history.Payload{}, err
}}

// napping ends when its timer of d fires.
func napping(d time.Duration) Orchestration {
	return Orchestration{Name: "napping", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
		_, err := x.Await(x.Root().Timer(d))
		return history.Payload{}, err
	}}
}

// launch starts an engine that stops with the test.
func launch(t *testing.T, p provider.Provider, o Options, orchestrations []Orchestration, activities []Activity) *Engine {
	t.Helper()
	e := New(p, o)
	if err := e.Start(t.Context(), orchestrations, activities); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return e
}

// begin starts an instance and returns who waits for it.
func begin(t *testing.T, e *Engine, id, name string) *Waiter {
	t.Helper()
	w := e.Watch(id, true)
	if status, err := e.StartInstance(t.Context(), StartSpec{InstanceID: id, Name: name, Waiter: w}); err != nil || status != provider.Applied {
		t.Fatalf("start of %s: %v, %v", id, status, err)
	}
	return w
}

// raiseX sends the event that waiting waits for.
func raiseX(t *testing.T, e *Engine, id string) {
	t.Helper()
	if status, err := e.Raise(t.Context(), id, RaisedEvent{Name: "x", MessageID: "message to " + id}); err != nil || status != provider.Applied {
		t.Fatalf("raise to %s: %v, %v", id, status, err)
	}
}

// ends checks that an instance ends well within limit.
func ends(t *testing.T, w *Waiter, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	begun := time.Now()
	o, found, err := w.Wait(ctx)
	switch {
	case err != nil:
		st, readErr := w.e.Read(t.Context(), w.id)
		if readErr != nil {
			t.Fatalf("%s: %v; %v", w.id, err, readErr)
		}
		t.Fatalf("%s after %v: %v; %v, held by %d, parked %q", w.id, time.Since(begun), err, st.Status, st.Worker, st.Parked)
	case !found:
		t.Fatalf("%s does not exist", w.id)
	case o.Failure != nil:
		t.Fatalf("%s failed: %+v", w.id, o.Failure)
	}
}
