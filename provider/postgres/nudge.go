package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// A worker that falls asleep cannot be seen by those who are just committing something for it. Its fetch tells that there may
// be such, and it notifies itself to look again after nudgeAfter: what they have queued is there by then, or it looks once
// more after twice that time. While there is much to do this takes the place of notifications, each of which makes a commit
// wait for the one before.
const (
	nudgeAfter  = 2 * time.Millisecond
	nudgeAtMost = time.Second
)

// nudges are the notifications that the workers of a process send themselves.
type nudges struct {
	mu      sync.Mutex
	workers map[provider.WorkerID]*nudged
}

// nudged is what a worker has told itself to do. The lock is that of nudges.
type nudged struct {
	due     map[provider.NotificationKind]time.Time
	pause   map[provider.NotificationKind]time.Duration // the last one, while nothing has been found
	changed chan struct{}
}

// settle is for after a fetch: again says that others were just writing, found that it has brought something.
func (n *nudges) settle(worker provider.WorkerID, kind provider.NotificationKind, again, found bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.workers[worker]
	switch {
	case w == nil:
	case !again:
		delete(w.pause, kind)
	default:
		pause := nudgeAfter
		if !found {
			pause = min(max(2*w.pause[kind], nudgeAfter), nudgeAtMost)
		}
		w.pause[kind] = pause
		w.due[kind] = time.Now().Add(pause)
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

// has reports whether a worker listens for what it tells itself.
func (n *nudges) has(worker provider.WorkerID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.workers[worker] != nil
}

// listen passes on to a worker what it tells itself, until ctx ends.
func (n *nudges) listen(ctx context.Context, worker provider.WorkerID, notify func(provider.Notification)) {
	w := &nudged{due: make(map[provider.NotificationKind]time.Time), pause: make(map[provider.NotificationKind]time.Duration),
		changed: make(chan struct{}, 1)}
	n.mu.Lock()
	if n.workers == nil {
		n.workers = make(map[provider.WorkerID]*nudged)
	}
	n.workers[worker] = w
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.workers[worker] == w {
			delete(n.workers, worker)
		}
	}()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.changed:
		case <-timer.C:
		}
		kinds, next := n.take(w)
		for _, kind := range kinds {
			notify(provider.Notification{Kind: kind})
		}
		timer.Reset(next)
	}
}

// take returns what is due, and when the rest will be.
func (n *nudges) take(w *nudged) (kinds []provider.NotificationKind, next time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	next = time.Hour
	for kind, due := range w.due {
		if left := time.Until(due); left > 0 {
			next = min(next, left)
			continue
		}
		kinds = append(kinds, kind)
		delete(w.due, kind)
	}
	return kinds, next
}

// sleepParam says whether a fetch may leave the worker asleep: 0 no, 1 yes, 2 it rather looks again.
func (p *Provider) sleepParam(worker provider.WorkerID, sleep bool) param {
	switch {
	case !sleep:
		return int4Param(0)
	case p.nudges.has(worker):
		return int4Param(2)
	}
	return int4Param(1)
}
