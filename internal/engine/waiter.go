package engine

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pawlrun/pawl/provider"
)

// Waiter waits for the end of one instance.
type Waiter struct {
	e       *Engine
	id      string
	done    chan struct{}
	outcome *Outcome
	marked  atomic.Bool // the store knows that somebody waits

	// Which instance of that id it is about, of waiters.mu: a start may put a new one in the place of one that has ended, and
	// news of the old one may still be on its way.
	known bool
	ref   provider.Ref // once it is known
	early []news       // what was told before that, one for each instance
	lost  bool         // another has taken its place
}

// news is the end of an instance.
type news struct {
	ref     provider.Ref
	outcome *Outcome
}

// waiters are those who wait in this process.
type waiters struct {
	mu         sync.Mutex
	byInstance map[string][]*Waiter
	closed     bool
}

// Watch registers a waiter. A marked one is for the instance of the start it is given to; the other for the instance that
// exists when Wait is called for the first time. The caller must Close it.
func (e *Engine) Watch(instanceID string, marked bool) *Waiter {
	w := &Waiter{e: e, id: instanceID, done: make(chan struct{})}
	w.marked.Store(marked)
	e.waiters.mu.Lock()
	defer e.waiters.mu.Unlock()
	if e.waiters.closed {
		close(w.done)
		return w
	}
	e.waiters.byInstance[instanceID] = append(e.waiters.byInstance[instanceID], w)
	return w
}

// born says which instance it is, unless that is known. w may be nil.
func (w *Waiter) born(ref provider.Ref) {
	if w == nil {
		return
	}
	ws := &w.e.waiters
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w.known {
		return
	}
	early := w.early
	w.known, w.ref, w.early = true, ref, nil
	if !slices.Contains(ws.byInstance[w.id], w) {
		return // closed meanwhile
	}
	for _, end := range early {
		if w.hear(end) {
			ws.remove(w)
			return
		}
	}
}

// hear takes the end of an instance of that id, and reports whether the wait is over. waiters.mu is held.
func (w *Waiter) hear(end news) bool {
	switch {
	case !w.known:
		if !slices.ContainsFunc(w.early, func(other news) bool { return other.ref == end.ref }) {
			w.early = append(w.early, end)
		}
		return false
	case end.ref != w.ref:
		if end.ref.Row < w.ref.Row { // row numbers grow: the one whose place it took
			return false
		}
		w.lost = true
	default:
		w.outcome = end.outcome
	}
	close(w.done)
	return true
}

// Close unregisters the waiter. Idempotent.
func (w *Waiter) Close() {
	ws := &w.e.waiters
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.remove(w)
}

// remove unregisters a waiter. ws.mu is held.
func (ws *waiters) remove(w *Waiter) {
	ws.keep(w.id, func(other *Waiter) bool { return other != w })
}

// keep unregisters those who wait for an instance and are not kept. ws.mu is held.
func (ws *waiters) keep(id string, kept func(*Waiter) bool) {
	rest := slices.DeleteFunc(ws.byInstance[id], func(w *Waiter) bool { return !kept(w) })
	if len(rest) == 0 {
		delete(ws.byInstance, id)
	} else {
		ws.byInstance[id] = rest
	}
}

// Wait returns the outcome of the instance; found is false if there is no such instance, or not any more.
func (w *Waiter) Wait(ctx context.Context) (o *Outcome, found bool, err error) {
	select {
	case <-w.done:
		return w.result()
	default:
	}
	if !w.marked.Load() {
		var states []provider.InstanceState
		err := w.e.call(ctx, func(ctx context.Context) (err error) {
			states, err = w.e.store.ReadInstances(ctx, []string{w.id}, true)
			return err
		})
		if err != nil {
			return nil, false, err
		}
		if len(states) == 0 {
			return nil, false, nil
		}
		w.marked.Store(true)
		w.born(states[0].Ref)
		w.e.finished(states)
	}
	select {
	case <-w.done:
		return w.result()
	case <-ctx.Done():
		return nil, true, context.Cause(ctx)
	}
}

func (w *Waiter) result() (*Outcome, bool, error) {
	switch {
	case w.lost:
		return nil, false, nil
	case w.outcome == nil:
		return nil, true, ErrStopped
	}
	return w.outcome, true, nil
}

// complete answers those who wait for an instance that has ended.
func (ws *waiters) complete(id string, ref provider.Ref, o *Outcome) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.keep(id, func(w *Waiter) bool { return !w.hear(news{ref, o}) })
}

// has reports whether somebody is to be told of the end of an instance.
func (ws *waiters) has(id string) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return slices.ContainsFunc(ws.byInstance[id], (*Waiter).listens)
}

// listens reports whether it is to be told. One that does not know its instance looks when it does. waiters.mu is held.
func (w *Waiter) listens() bool { return w.known }

// watchLimit bounds what one pulse reads; which ones it reads is left to chance, so all get their turn.
const watchLimit = 500

// watched returns instances somebody waits for.
func (ws *waiters) watched() []string {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var ids []string
	for id, waiting := range ws.byInstance {
		if len(ids) == watchLimit {
			break
		}
		if slices.ContainsFunc(waiting, (*Waiter).listens) {
			ids = append(ids, id)
		}
	}
	return ids
}

// closeAll ends all waits with ErrStopped.
func (ws *waiters) closeAll() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	for _, waiting := range ws.byInstance {
		for _, w := range waiting {
			close(w.done)
		}
	}
	clear(ws.byInstance)
}
