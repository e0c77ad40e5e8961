package providertest

import (
	"context"
	"errors"
	"fmt"
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
	{"notify/status", []string{"N3"}, notifyStatus},
	{"notify/status-watched-from-the-start", []string{"N3"}, notifyStatusFromStart},
	{"notify/terminated", []string{"N3"}, notifyTerminated},
	{"notify/terminated-with-parent", []string{"N3", "D6"}, notifyTerminatedChild},
	{"notify/terminated-while-held", []string{"N3"}, notifyTerminatedHeld},
	{"notify/routed", []string{"N4"}, notifyRouted},
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

// drain forgets what has been heard so far: only what comes from now on counts.
func (l listening) drain() {
	for {
		select {
		case <-l.got:
		default:
			return
		}
	}
}

// hears causes something again and again until a notification of it arrives.
func (f *fixture) hears(clause string, l listening, kind provider.NotificationKind, what string, cause func() (id string)) {
	f.Helper()
	f.hearsWhat(clause, l, what, cause, func(n provider.Notification, id string) bool {
		// What makes a worker fetch its instances tells a holder as well.
		serves := n.Kind == kind || kind == provider.NotifyHeld && n.Kind == provider.NotifyReady
		named := kind == provider.NotifyDone || kind == provider.NotifyStatus
		return serves && (!named || n.InstanceID == id)
	})
}

// hearsWhat is hears for notifications that are told by a function.
func (f *fixture) hearsWhat(clause string, l listening, what string, cause func() (id string),
	serves func(n provider.Notification, id string) bool) {
	f.Helper()
	deadline := time.Now().Add(f.patience)
	for time.Now().Before(deadline) {
		id := cause()
		round := time.NewTimer(f.patience / 20)
		for waiting := true; waiting; {
			select {
			case n := <-l.got:
				if serves(n, id) {
					if n.State != nil {
						equal(f, clause, "instance whose state came along", n.State.InstanceID, id)
						f.sameState(clause, *n.State, f.state(id))
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
	f.fail(clause, "no notification within %v: %s", f.patience, what)
}

// sameState checks that the state that came with a notification is what a read shows.
func (f *fixture) sameState(clause string, got, want provider.InstanceState) {
	f.Helper()
	equal(f, clause, "status that came along", got.Status, want.Status)
	equal(f, clause, "custom status that came along", string(got.CustomStatus), string(want.CustomStatus))
	equal(f, clause, "version of the custom status that came along", got.StatusVersion, want.StatusVersion)
	equal(f, clause, "priority that came along", got.Priority, want.Priority)
	equal(f, clause, "next event number that came along", got.NextSeq, want.NextSeq)
	f.checkTurns(clause, []provider.Turn{got.LastTurn}, []provider.Turn{want.LastTurn})
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
	f.hears("N2", l, provider.NotifyReady, "an instance was started while a worker slept", func() string {
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
	f.hears("N2", l, provider.NotifyWork, "work was queued while a worker slept", func() string {
		held := elsewhere.granted(other, f.fresh("a"))
		f.fallAsleep(w)
		l.drain()
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
	f.hears("N2", l, provider.NotifyHeld, "a message came for a held instance", func() string {
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
	f.hears("N2", l, provider.NotifyDone, "a watched instance ended", func() string {
		held := elsewhere.granted(other, f.fresh("a"))
		_, err := f.p.ReadInstances(f.ctx, []string{held.InstanceID}, true)
		f.ok("N2", err)
		elsewhere.ack(held, f.turn(1, func(c *provider.Commit) { c.Keep, c.CustomStatus = true, []byte(`{"a": 1}`) }))
		elsewhere.ack(held, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
		return held.InstanceID
	})
}

// notifyStatus has an instance that is watched once show several statuses and end.
func notifyStatus(f *fixture) {
	w := f.worker()
	l, elsewhere, ok := f.listen(w)
	if !ok {
		return
	}
	held := elsewhere.granted(elsewhere.worker(), "a")
	_, err := f.p.ReadInstances(f.ctx, []string{"a"}, true)
	f.ok("N3", err)
	for _, what := range []string{"a watched instance has shown a status", "a watched instance has shown another status"} {
		l.drain()
		f.hears("N3", l, provider.NotifyStatus, what, func() string {
			elsewhere.ack(held, f.showing(fmt.Sprint(f.serial.Add(1))))
			return "a"
		})
	}
	l.drain()
	ended := false
	f.hears("N2", l, provider.NotifyDone, "a watched instance that has shown statuses ended", func() string {
		if ended { // the mark is gone with the first notification, which may be lost: have another end
			held = elsewhere.granted(elsewhere.worker(), f.fresh("a"))
			_, err := f.p.ReadInstances(f.ctx, []string{held.InstanceID}, true)
			f.ok("N3", err)
			elsewhere.ack(held, f.showing(`1`))
		}
		ended = true
		elsewhere.ack(held, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
		return held.InstanceID
	})
}

func notifyStatusFromStart(f *fixture) {
	w := f.worker()
	l, elsewhere, ok := f.listen(w)
	if !ok {
		return
	}
	n := f.instance("a")
	n.Watch = true
	f.startItem(provider.StartItem{NewInstance: n}, 0) // by the process that listens
	held := elsewhere.fetchOne("S2", elsewhere.worker(), "a")
	f.hears("N3", l, provider.NotifyStatus, "an instance watched from its start has shown a status", func() string {
		elsewhere.ack(held, f.showing(fmt.Sprint(f.serial.Add(1))))
		return "a"
	})
}

func notifyTerminated(f *fixture) {
	w := f.worker()
	l, elsewhere, ok := f.listen(w)
	if !ok {
		return
	}
	f.hears("N3", l, provider.NotifyDone, "a watched instance was terminated", func() string {
		id := f.fresh("a")
		elsewhere.start(id)
		_, err := f.p.ReadInstances(f.ctx, []string{id}, true)
		f.ok("N3", err)
		elsewhere.terminateOne(f.termination(id))
		return id
	})
}

func notifyTerminatedHeld(f *fixture) {
	w := f.worker()
	l, elsewhere, ok := f.listen(w)
	if !ok {
		return
	}
	f.hears("N3", l, provider.NotifyHeld, "an instance was terminated that the worker held", func() string {
		held := f.granted(w, f.fresh("a"))
		f.ack(held, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
		l.drain()
		elsewhere.terminateOne(f.termination(held.InstanceID))
		return held.InstanceID
	})
}

func notifyTerminatedChild(f *fixture) {
	w := f.worker()
	l, elsewhere, ok := f.listen(w)
	if !ok {
		return
	}
	other := elsewhere.worker()
	f.hears("N3", l, provider.NotifyDone, "the parent of a watched instance was terminated with its children", func() string {
		parent := elsewhere.granted(other, f.fresh("parent"))
		child := elsewhere.spawn(parent, f.fresh("child"), 1)
		_, err := f.p.ReadInstances(f.ctx, []string{child.InstanceID}, true)
		f.ok("N3", err)
		t := f.termination(parent.InstanceID)
		t.Children = true
		elsewhere.terminateOne(t)
		return child.InstanceID
	})
}

func notifyRouted(f *fixture) {
	w, other := f.worker(), f.worker()
	l, elsewhere, ok := f.listen(w)
	if !ok {
		return
	}
	l.drain()
	f.hearsWhat("N4", l, "work for the listener alone was queued", func() string {
		return elsewhere.routed(other, f.fresh("a"), w, 1).InstanceID
	}, func(n provider.Notification, _ string) bool { return n.Kind == provider.NotifyHeld })
}
