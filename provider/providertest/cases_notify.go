package providertest

import (
	"context"
	"errors"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// A provider that is no Notifier, or whose Listen says that there are none to be had, passes these cases.
var notifyCases = []Case{
	{"notify/stops", []string{"N1"}, notifyStops},
	{"notify/ready", []string{"N2"}, notifyReady},
	{"notify/work-ready", []string{"N2"}, notifyWorkReady},
	{"notify/held", []string{"N2", "F8"}, notifyHeld},
	{"notify/done", []string{"N2"}, notifyDone},
}

// listening is a Listen under way.
type listening struct {
	got  chan provider.Notification
	gone chan struct{} // closed when Listen has returned
}

// listen listens for a worker on the handle of the fixture until the case ends, and returns another process: a fixture
// with another handle. ok is false if the provider does not notify.
func (f *fixture) listen(w provider.WorkerID) (l listening, elsewhere *fixture, ok bool) {
	f.Helper()
	n, ok := f.p.(provider.Notifier)
	if !ok {
		return l, nil, false
	}
	other := *f
	other.p = f.handle()
	l = listening{make(chan provider.Notification, 1000), make(chan struct{})}
	ctx, cancel := context.WithCancel(f.ctx)
	go func() {
		defer close(l.gone)
		n.Listen(ctx, w, func(n provider.Notification) {
			select {
			case l.got <- n:
			default: // hints may be lost
			}
		})
	}()
	f.Cleanup(func() {
		cancel()
		<-l.gone
	})
	return l, &other, true
}

// hears causes something again and again until a notification of it arrives.
func (f *fixture) hears(l listening, kind provider.NotificationKind, what string, cause func() (id string)) {
	f.Helper()
	deadline := time.Now().Add(f.patience)
	for time.Now().Before(deadline) {
		id := cause()
		round := time.NewTimer(f.patience / 20)
		for waiting := true; waiting; {
			select {
			case n := <-l.got:
				// What makes a worker fetch its instances tells a holder as well.
				serves := n.Kind == kind || kind == provider.NotifyHeld && n.Kind == provider.NotifyReady
				if serves && (kind != provider.NotifyDone || n.InstanceID == id) {
					if n.State != nil {
						equal(f, "N2", "instance whose state came along", n.State.InstanceID, id)
					}
					round.Stop()
					return
				}
			case <-l.gone: // there are no notifications to be had
				round.Stop()
				return
			case <-round.C:
				waiting = false
			}
		}
	}
	f.fail("N2", "no notification within %v: %s", f.patience, what)
}

func notifyStops(f *fixture) {
	n, ok := f.handle().(provider.Notifier)
	if !ok {
		return
	}
	ctx, cancel := context.WithCancel(f.ctx)
	returned := make(chan error, 1)
	go func() { returned <- n.Listen(ctx, provider.NewWorkerID(), func(provider.Notification) {}) }()
	cancel()
	select {
	case err := <-returned:
		f.check("N1", err != nil, "Listen returned nil")
		if !errors.Is(err, context.Canceled) {
			f.Logf("Listen returned %v: no notifications to be had", err)
		}
	case <-time.After(f.patience):
		f.fail("N1", "Listen has not returned %v after its context ended", f.patience)
	}
}

// fallAsleep has a worker find nothing to do.
func (f *fixture) fallAsleep(w provider.WorkerID) {
	f.Helper()
	for asleep := false; !asleep; {
		req := f.fetchRequest(w, 10, f.flow)
		req.Sleep = true
		items, err := f.p.FetchOrchestrationItems(f.ctx, req)
		f.ok("N2", err)
		work, err := f.p.FetchWorkItems(f.ctx, &provider.FetchWorkRequest{Worker: w, Request: provider.NewToken(),
			Classes: []provider.ClassID{f.job}, Max: 10, Sleep: true})
		f.ok("N2", err)
		asleep = len(items)+len(work.Work) == 0
	}
	f.pulse(&provider.PulseRequest{Worker: w, Classes: []provider.ClassID{f.flow}, WorkClasses: []provider.ClassID{f.job}, Sleep: true})
}

func notifyReady(f *fixture) {
	w := f.worker()
	l, elsewhere, ok := f.listen(w)
	if !ok {
		return
	}
	f.hears(l, provider.NotifyReady, "an instance was started while a worker slept", func() string {
		f.fallAsleep(w)
		id := f.fresh("a")
		elsewhere.start(id)
		return id
	})
}

func notifyWorkReady(f *fixture) {
	w := f.worker()
	l, elsewhere, ok := f.listen(w)
	if !ok {
		return
	}
	other := elsewhere.worker()
	f.hears(l, provider.NotifyWork, "work was queued while a worker slept", func() string {
		held := elsewhere.granted(other, f.fresh("a"))
		f.fallAsleep(w)
		for drained := false; !drained; { // only what comes from now on counts
			select {
			case <-l.got:
			default:
				drained = true
			}
		}
		elsewhere.ack(held, f.turn(2, func(c *provider.Commit) { c.Work = []provider.NewWork{f.work(1, false)} }))
		return held.InstanceID
	})
}

func notifyHeld(f *fixture) {
	w := f.worker()
	l, elsewhere, ok := f.listen(w)
	if !ok {
		return
	}
	held := f.granted(w, "a")
	f.ack(held, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	f.hears(l, provider.NotifyHeld, "a message came for a held instance", func() string {
		elsewhere.send(engineMessage("a", f.fresh("m")))
		return "a"
	})
}

func notifyDone(f *fixture) {
	w := f.worker()
	l, elsewhere, ok := f.listen(w)
	if !ok {
		return
	}
	other := elsewhere.worker()
	f.hears(l, provider.NotifyDone, "a watched instance ended", func() string {
		held := elsewhere.granted(other, f.fresh("a"))
		_, err := f.p.ReadInstances(f.ctx, []string{held.InstanceID}, true)
		f.ok("N2", err)
		elsewhere.ack(held, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
		return held.InstanceID
	})
}
