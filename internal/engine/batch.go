package engine

import (
	"slices"
	"sync"
	"time"
)

// How many calls of one kind may be under way at a time (docs/adr/0009-senders.md). One does for a crowd: what comes while it is
// under way makes up the next, and larger calls cost less for each item. A second one is for those who would wait for
// long without making a crowd: a few callers, or a server that is far away.
const (
	maxSenders = 2
	crowd      = 4 // items under way
	longCall   = 2 * time.Millisecond
)

// batchItem is what a batcher can bound and answer.
type batchItem interface {
	comparable
	bytes() int
	// fail answers the item when it could not be sent.
	fail(error)
}

// batcher sends items in groups without ever making one wait for company: whenever a flusher is free it takes all that
// is queued, up to the limits. Alone, that is one item at once; under load, groups grow by themselves.
type batcher[T batchItem] struct {
	e     *Engine
	flush func([]T, *carrier)

	mu       sync.Mutex
	queue    []T
	senders  int
	underWay int       // items in calls
	sent     time.Time // when the last call began
}

func newBatcher[T batchItem](e *Engine, flush func([]T, *carrier)) *batcher[T] {
	return &batcher[T]{e: e, flush: flush}
}

// add queues an item. Its answer comes through the item itself; add does not block.
func (b *batcher[T]) add(item T) {
	if b.enqueue(item) && !b.e.enlist(b.run) {
		b.abort()
	}
}

// addHere is add for a goroutine of the engine that has nothing else to do: if a sender is wanted, it is the one.
func (b *batcher[T]) addHere(c *carrier, item T) {
	if b.enqueue(item) && !b.e.adopt(c, b.run) {
		b.abort()
	}
}

// enqueue queues an item and reports whether another sender is wanted.
func (b *batcher[T]) enqueue(item T) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append(b.queue, item)
	if b.senders > 0 && (b.senders == maxSenders || b.underWay >= crowd && time.Since(b.sent) < longCall) {
		return false
	}
	b.senders++
	return true
}

// withdraw takes back an item whose caller does not wait any longer, so that those who come again and again while the store
// is slow do not pile up here. It reports false if the item is in a call, or has been.
func (b *batcher[T]) withdraw(item T) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.queue, item) // those who have waited longest give up first
	if i < 0 {
		return false
	}
	b.queue = slices.Delete(b.queue, i, i+1)
	return true
}

// run flushes until nothing is queued. What a lone item leads to is offered to the carrier; if it accepts, whatever has
// been queued meanwhile gets another sender.
func (b *batcher[T]) run(c *carrier) {
	n := 0
	for {
		b.e.crew.letOthersRun()
		b.mu.Lock()
		if b.over(n) {
			b.mu.Unlock()
			return
		}
		size := 0
		for n = 0; n < len(b.queue) && n < b.e.opts.MaxBatch; n++ {
			size += b.queue[n].bytes()
			if n > 0 && size > b.e.opts.MaxBatchBytes {
				break
			}
		}
		group := b.queue[:n:n]
		if b.queue = b.queue[n:]; len(b.queue) == 0 {
			b.queue = nil // its memory, and all that has been in it, goes with the group
		}
		b.underWay += n
		b.sent = time.Now()
		b.mu.Unlock()
		if n > 1 {
			b.flush(group, nil)
			continue
		}
		b.flush(group, c)
		if c != nil && c.next != nil {
			b.handOver(n)
			return
		}
	}
}

// handOver ends a sender, in favour of another if one is wanted.
func (b *batcher[T]) handOver(sent int) {
	b.mu.Lock()
	over := b.over(sent)
	b.mu.Unlock()
	if !over && !b.e.enlist(b.run) {
		b.abort()
	}
}

// over notes that a sender has sent so many, and reports whether that was the last it had to do. b.mu is held.
func (b *batcher[T]) over(sent int) bool {
	b.underWay -= sent
	if len(b.queue) > 0 {
		return false
	}
	b.senders--
	return true
}

// refused deals with a call that failed as a whole: its items are sent one by one, so that a bad one does not cost the
// others, unless there is just one or nothing can be sent any more.
func refused[T batchItem](items []T, ended bool, err error, flush func([]T, *carrier)) {
	if len(items) > 1 && !ended {
		for i := range items {
			flush(items[i:i+1], nil)
		}
		return
	}
	for _, item := range items {
		item.fail(err)
	}
}

// abort answers what is queued when the engine has stopped.
func (b *batcher[T]) abort() {
	b.mu.Lock()
	queue := b.queue
	b.queue = nil
	b.senders--
	b.mu.Unlock()
	for _, item := range queue {
		item.fail(ErrStopped)
	}
}
