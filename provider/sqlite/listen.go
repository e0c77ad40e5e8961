package sqlite

import (
	"context"
	"sync"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// How often a listener looks for commits of other processes: the first right after one, the second when all is quiet.
const (
	pollBusy  = 20 * time.Millisecond
	pollQuiet = 100 * time.Millisecond
)

// maxWatched bounds the instances whose end in another process is looked for; the pulse reads the others.
const maxWatched = 1000

// hub tells the listeners of this Provider about its own commits.
type hub struct {
	mu        sync.Mutex
	listeners map[*listener]struct{}
	watched   map[string]struct{} // ids of instances somebody here waits for
	closed    chan struct{}
}

type listener struct {
	worker provider.WorkerID
	notify func(provider.Notification)
}

// init makes the zero value usable; mu is held.
func (h *hub) init() {
	if h.closed == nil {
		h.closed = make(chan struct{})
		h.listeners = map[*listener]struct{}{}
		h.watched = map[string]struct{}{}
	}
}

func (h *hub) add(l *listener) (closed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.init()
	h.listeners[l] = struct{}{}
	return h.closed
}

func (h *hub) remove(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.listeners, l)
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.init()
	close(h.closed)
}

// watch remembers instances whose end is to be notified.
func (h *hub) watch(ids ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.init()
	for _, id := range ids {
		if len(h.watched) >= maxWatched {
			for other := range h.watched {
				delete(h.watched, other)
				break
			}
		}
		h.watched[id] = struct{}{}
	}
}

func (h *hub) watchedIDs() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]string, 0, len(h.watched))
	for id := range h.watched {
		ids = append(ids, id)
	}
	return ids
}

// publish notifies the listeners of what a committed transaction did. Listeners don't block.
func (h *hub) publish(news *effects) {
	if !news.ready && !news.queued && len(news.held) == 0 && len(news.done) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.listeners {
		if news.ready {
			l.notify(provider.Notification{Kind: provider.NotifyReady})
		}
		if news.queued {
			l.notify(provider.Notification{Kind: provider.NotifyWork})
		}
		for _, owner := range news.held {
			if owner == l.worker {
				l.notify(provider.Notification{Kind: provider.NotifyHeld})
				break
			}
		}
	}
	for n := range news.done {
		h.publishDone(&news.done[n])
	}
}

// publishDone notifies the end of an instance; mu is held.
func (h *hub) publishDone(s *provider.InstanceState) {
	delete(h.watched, s.InstanceID)
	for l := range h.listeners {
		state := *s
		l.notify(provider.Notification{Kind: provider.NotifyDone, InstanceID: s.InstanceID, State: &state})
	}
}

// Listen implements provider.Notifier. This process's own commits are notified at once; those of other processes are
// found by polling the file. What is ready already when it begins is notified too.
func (p *Provider) Listen(ctx context.Context, worker provider.WorkerID, notify func(provider.Notification)) error {
	l := &listener{worker, notify}
	closed := p.hub.add(l)
	defer p.hub.remove(l)
	view := fileView{p: p, worker: worker}
	interval := pollBusy
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		changed := view.look(ctx)
		switch {
		case p.memory && view.version != 0:
			timer.Stop() // there are no other processes
		case changed:
			timer.Reset(pollBusy)
			interval = pollBusy
		default:
			interval = min(interval+interval/2, pollQuiet)
			timer.Reset(interval)
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-closed:
			return classify("listen", errClosed)
		}
	}
}

// fileView is what a listener knows of the commits of other processes.
type fileView struct {
	p       *Provider
	worker  provider.WorkerID
	version int64 // 0: it has not looked yet
}

const (
	dataVersion = `PRAGMA data_version`
	// anythingLeft asks whether there are instances, and work items, another process may have left for this one.
	anythingLeft = `SELECT EXISTS (SELECT 1 FROM instance INDEXED BY instance_ready WHERE owner IS NULL AND due IS NOT NULL)
    OR EXISTS (SELECT 1 FROM instance INDEXED BY instance_told WHERE owner = ? AND due IS NOT NULL),
    EXISTS (SELECT 1 FROM work INDEXED BY work_queue WHERE owner IS NULL)`
)

// look notifies what changed in the file since the last look and reports whether something did. It asks on the writing
// connection, whose data version changes with every commit but its own.
func (v *fileView) look(ctx context.Context) (changed bool) {
	var news effects
	_, err := v.p.writer.do(ctx, inspect, func(t *tx) {
		before := v.version
		if !t.first(dataVersion, nil, &v.version) || v.version == before {
			return
		}
		changed = true
		t.first(anythingLeft, args{v.worker}, &news.ready, &news.queued)
		if ids := v.p.hub.watchedIDs(); len(ids) > 0 {
			t.states(endedStatesByID, args{namesList(ids)}, func(s provider.InstanceState) {
				news.done = append(news.done, s)
			})
		}
	})
	if err != nil {
		v.version = 0 // look again
		return false
	}
	v.p.hub.publish(&news)
	return changed
}
