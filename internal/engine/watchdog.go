package engine

import (
	"sync"
	"time"
)

// watchdogs are the timers of turns, kept for reuse: every turn needs one and hardly any fires.
type watchdogs struct{ idle sync.Pool }

func (w *watchdogs) start(d time.Duration) *time.Timer {
	if t, ok := w.idle.Get().(*time.Timer); ok {
		t.Reset(d)
		return t
	}
	return time.NewTimer(d)
}

// stop ends a watchdog that nobody else can reset any more.
func (w *watchdogs) stop(t *time.Timer) {
	t.Stop()
	w.idle.Put(t)
}
