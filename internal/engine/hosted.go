package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// hostedSession is a session at this worker (session_activities.go).
type hostedSession struct {
	ctx    context.Context // ends with it
	cancel context.CancelCauseFunc
	opened time.Time
	held   bool
	runs   int   // activities of it that are running here
	ending error // set: it ends when the last of them has returned
}

// hostedSessions are those at this worker, by id.
type hostedSessions struct {
	most int
	ever atomic.Bool // a session was opened here: there may be work that only this worker can do

	mu   sync.Mutex
	open map[string]*hostedSession
	// crowded: there was no room for a session, so others may wait in the store.
	crowded bool
}

// reservation is how long a place is kept for a session that was opened and does not begin: what the code has done with it
// never came to the store.
const reservation = 10 * time.Second

var errSessionEnded = errors.New("the session has ended")

// room is how many more sessions there is room for; crowded tells that openings may wait in the store for it.
func (h *hostedSessions) room() (n int, crowded bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expire()
	return max(h.most-len(h.open), 0), h.crowded
}

// expire forgets reservations. h.mu is held.
func (h *hostedSessions) expire() {
	for id, one := range h.open {
		if !one.held && time.Since(one.opened) > reservation {
			h.remove(id, one, errSessionEnded)
		}
	}
}

// remove ends a session. h.mu is held.
func (h *hostedSessions) remove(id string, one *hostedSession, cause error) {
	one.cancel(cause)
	delete(h.open, id)
}

// reserve makes room for a session; it reports false if there is none. A session that has it keeps it.
func (h *hostedSessions) reserve(ctx context.Context, id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expire()
	if h.open[id] != nil {
		return true
	}
	if len(h.open) < h.most {
		h.add(ctx, id)
	}
	if len(h.open) >= h.most {
		h.crowded = true
	}
	return h.open[id] != nil
}

// add makes a session. h.mu is held.
func (h *hostedSessions) add(ctx context.Context, id string) *hostedSession {
	h.ever.Store(true)
	one := &hostedSession{opened: time.Now()}
	one.ctx, one.cancel = context.WithCancelCause(ctx)
	h.open[id] = one
	return one
}

// hold begins a session for which room was made. One whose reservation has expired is taken all the same.
func (h *hostedSessions) hold(ctx context.Context, id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.open[id]
	if one == nil {
		one = h.add(ctx, id)
	}
	one.held = true
}

// enter counts an activity of a session that is running here, until it leaves.
func (h *hostedSessions) enter(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if one := h.open[id]; one != nil {
		one.runs++
	}
}

// leave is the reverse of enter.
func (h *hostedSessions) leave(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.open[id]
	if one == nil {
		return
	}
	if one.runs--; one.runs <= 0 && one.ending != nil {
		h.remove(id, one, one.ending)
	}
}

// end ends a session. It reports whether others may wait for its place.
func (h *hostedSessions) end(id string, cause error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if one := h.open[id]; one != nil {
		h.remove(id, one, cause)
	}
	return h.crowded
}

// endAfterRuns ends a session when its activities that are running here have returned.
func (h *hostedSessions) endAfterRuns(id string, cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if one := h.open[id]; one != nil {
		if one.ending = cause; one.runs <= 0 {
			h.remove(id, one, cause)
		}
	}
}

// forgo ends a session that was opened and has not begun, although the instance has heard of the opening.
func (h *hostedSessions) forgo(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if one := h.open[id]; one != nil && !one.held {
		h.remove(id, one, errSessionEnded)
	}
}

// relieved notes that no openings wait in the store any more.
func (h *hostedSessions) relieved() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.crowded = h.most <= len(h.open)
}

// context returns the context of a session, one that has ended if the session has.
func (h *hostedSessions) context(id string) context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	if one := h.open[id]; one != nil {
		return one.ctx
	}
	ended, cancel := context.WithCancelCause(context.Background())
	cancel(errSessionEnded)
	return ended
}
