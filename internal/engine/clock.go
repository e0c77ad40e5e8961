package engine

import (
	"sync"
	"time"
)

// clock follows the store's clock: the time of its last reply plus what has passed here since. It lags the store by the
// way of the reply, so what is due by this clock is due there.
type clock struct {
	mu    sync.Mutex
	store time.Time
	local time.Time
}

func (c *clock) observe(store time.Time) {
	if store.IsZero() {
		return
	}
	local := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.local.After(local) {
		c.store, c.local = store, local
	}
}

// now returns the store's time, in UTC and microseconds as stores keep it.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.store.IsZero() {
		return time.Now().UTC().Truncate(time.Microsecond)
	}
	return c.store.Add(time.Since(c.local)).UTC().Truncate(time.Microsecond)
}
