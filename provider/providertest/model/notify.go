package model

import (
	"context"

	"github.com/pawlrun/pawl/provider"
)

var _ provider.Notifier = (*Provider)(nil)

// listener is one Listen under way.
type listener struct {
	worker provider.WorkerID
	notify func(provider.Notification)
}

// Listen implements provider.Notifier.
func (p *Provider) Listen(ctx context.Context, w provider.WorkerID, notify func(provider.Notification)) error {
	l := &listener{w, notify}
	p.s.mu.Lock()
	p.s.listeners[l] = true
	p.s.mu.Unlock()
	<-ctx.Done()
	p.s.mu.Lock()
	delete(p.s.listeners, l)
	p.s.mu.Unlock()
	return ctx.Err()
}

// notify tells listeners of something: all of them, or one worker.
func (s *Store) notify(w provider.WorkerID, n provider.Notification) {
	for l := range s.listeners {
		if (w == 0 || l.worker == w) && !s.broken(NeverNotifies) {
			l.notify(n)
		}
	}
}
