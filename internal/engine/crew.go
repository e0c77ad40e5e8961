package engine

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// carrier is a goroutine of the engine that learns from what it runs what to run next. A lone step stays on one
// goroutine that way: the one that reads the answer to a commit runs the activity the commit has leased, and then the
// turn and the commit that follow from it. Waking another goroutine for each would cost more than all of them together.
// A nil carrier takes nothing.
type carrier struct{ next func(*carrier) }

// offer gives the carrier something to run when it returns from what it runs now. It reports false if it has that
// already.
func (c *carrier) offer(f func(*carrier)) bool {
	if c == nil || c.next != nil {
		return false
	}
	c.next = f
	return true
}

// maxIdle is how many goroutines a crew keeps for later. More than can run at a time would be of no use if work came
// evenly; it comes in groups.
const maxIdle = 64

// crew keeps goroutines that have nothing to do: the stack of a new one has to grow first, several times.
type crew struct {
	active atomic.Int32 // goroutines that are running something

	mu     sync.Mutex
	idle   []chan func(*carrier)
	closed bool
	parked sync.WaitGroup
}

// letOthersRun lets those of the crew go first that can run: what they come up with goes into the same call. It does not
// wait for any.
func (c *crew) letOthersRun() {
	if c.active.Load() > 1 {
		runtime.Gosched()
	}
}

// run runs f on a goroutine of its own.
func (c *crew) run(f func(*carrier)) {
	c.active.Add(1)
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		idle := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		idle <- f
		return
	}
	c.mu.Unlock()
	go c.work(f)
}

// work is one goroutine of the crew.
func (c *crew) work(f func(*carrier)) {
	me := carrier{next: f}
	defer func() {
		c.active.Add(-1)
		if me.next != nil { // user code has ended this goroutine, by Goexit
			c.run(me.next)
		}
	}()
	wake := make(chan func(*carrier), 1)
	for {
		for me.next != nil {
			f := me.next
			me.next = nil
			f(&me)
		}
		if !c.park(wake) {
			return
		}
		me.next = <-wake
		c.parked.Done()
		if me.next == nil {
			c.active.Add(1) // as if it had not parked
			return
		}
	}
}

// park offers a goroutine for later; it reports false if it is not wanted.
func (c *crew) park(wake chan func(*carrier)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) == maxIdle {
		return false
	}
	c.active.Add(-1)
	c.parked.Add(1)
	c.idle = append(c.idle, wake)
	return true
}

// close ends the goroutines that have nothing to do and waits for them; the others end when they have done what they do.
func (c *crew) close() {
	c.mu.Lock()
	c.closed = true
	for _, wake := range c.idle {
		close(wake)
	}
	c.idle = nil
	c.mu.Unlock()
	c.parked.Wait()
}
