package sqlite

import (
	"context"
	"database/sql"
	"slices"
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
	watched   map[string]int64 // instances somebody here waits for, by id: the last version of their custom status seen
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
		h.watched = map[string]int64{}
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

// watch remembers an instance whose end, and whose custom statuses after a version, are to be notified.
func (h *hub) watch(id string, version int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.init()
	if len(h.watched) >= maxWatched {
		for other := range h.watched {
			delete(h.watched, other)
			break
		}
	}
	h.watched[id] = version
}

// unseen returns those of the statuses of watched instances that have not been notified.
func (h *hub) unseen(statuses []statusNews) []statusNews {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(statuses, func(s statusNews) bool {
		seen, watched := h.watched[s.instanceID]
		return !watched || seen == s.version
	})
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
	if !news.ready && !news.queued && len(news.held) == 0 && len(news.done) == 0 && len(news.statuses) == 0 {
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
	for _, s := range news.statuses {
		h.publishStatus(s)
	}
	for n := range news.done {
		h.publishDone(&news.done[n])
	}
}

// publishStatus notifies a new custom status; mu is held.
func (h *hub) publishStatus(s statusNews) {
	if _, watched := h.watched[s.instanceID]; watched {
		h.watched[s.instanceID] = s.version
	}
	for l := range h.listeners {
		l.notify(provider.Notification{Kind: provider.NotifyStatus, InstanceID: s.instanceID})
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
	fenced  int64 // how often instances had been taken from the worker at the last look
}

const (
	dataVersion = `PRAGMA data_version`
	// anythingLeft asks whether there are instances, and work items, another process may have left for this one.
	anythingLeft = `SELECT EXISTS (SELECT 1 FROM instance INDEXED BY instance_ready WHERE owner IS NULL AND due IS NOT NULL)
    OR EXISTS (SELECT 1 FROM instance INDEXED BY instance_told WHERE owner = ?1 AND due IS NOT NULL),
    EXISTS (SELECT 1 FROM work INDEXED BY work_queue WHERE owner IS NULL AND due IS NOT NULL AND home IS NULL),
    EXISTS (SELECT 1 FROM work INDEXED BY work_home WHERE owner IS NULL AND due IS NOT NULL AND home = ?1),
    coalesce((SELECT fenced FROM worker WHERE id = ?1), 0)`
	runningStatuses = `SELECT instance_id, status_version FROM instance
 WHERE instance_id IN (SELECT value FROM json_each(?)) AND status = 0 AND status_version > 0`
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
		fenced := v.fenced
		var routed bool
		t.first(anythingLeft, args{v.worker}, &news.ready, &news.queued, &routed, &v.fenced)
		if routed || before != 0 && v.fenced != fenced {
			news.held = append(news.held, v.worker)
		}
		if ids := v.p.hub.watchedIDs(); len(ids) > 0 {
			t.states(endedStatesByID, args{namesList(ids)}, func(s provider.InstanceState) {
				news.done = append(news.done, s)
			})
			t.each(runningStatuses, args{namesList(ids)}, func(rows *sql.Rows) error {
				var s statusNews
				err := rows.Scan(&s.instanceID, &s.version)
				news.statuses = append(news.statuses, s)
				return err
			})
		}
	})
	if err != nil {
		v.version = 0 // look again
		return false
	}
	news.statuses = v.p.hub.unseen(news.statuses)
	v.p.hub.publish(&news)
	return changed
}
