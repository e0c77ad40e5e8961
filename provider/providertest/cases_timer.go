package providertest

import (
	"fmt"
	"time"

	"github.com/pawlrun/pawl/provider"
)

var timerCases = []Case{
	{"timer/fires-once", []string{"T1", "T2"}, timerFiresOnce},
	{"timer/not-early", []string{"T1"}, timerNotEarly},
	{"timer/fired-by-anyones-pulse", []string{"T2", "T4"}, timerByAnyPulse},
	{"timer/cancelled", []string{"T3"}, timerCancelled},
	{"timer/cancelled-too-late", []string{"T3"}, timerCancelledTooLate},
	{"timer/tells-holder", []string{"T4", "F8"}, timerHeld},
	{"timer/next", []string{"T5"}, timerNext},
	{"timer/many-due-at-once", []string{"T6", "M7"}, timerMany},
	{"timer/of-ended-instance", []string{"T7", "F10"}, timerOfEnded},
	{"timer/unless-started-fires", []string{"T8"}, timerUnlessStartedFires},
	{"timer/unless-started-removed", []string{"T8"}, timerUnlessStartedRemoved},
	{"timer/unless-started-many", []string{"T8", "T6"}, timerUnlessStartedMany},
	{"timer/unless-started-by-fetch", []string{"T8", "F9"}, timerUnlessStartedByFetch},
	{"timer/unless-started-by-its-own-work", []string{"T8"}, timerUnlessStartedOfAnother},
	{"timer/of-earlier-execution", []string{"X4"}, timerOfEarlierExecution},
}

// timers makes timers for events 1, 2 and so on.
func timers(fireAt ...time.Time) []provider.NewTimer {
	var ts []provider.NewTimer
	for i, at := range fireAt {
		ts = append(ts, provider.NewTimer{Event: int32(i + 1), FireAt: at})
	}
	return ts
}

func timerFiresOnce(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	due := f.now().Add(-time.Second).Truncate(time.Microsecond)
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Timers = timers(due) }))
	f.pulse(&provider.PulseRequest{Worker: w})
	l = f.fetchOne("T1", w, "a")
	equal(f, "T1", "messages", len(l.Messages), 1)
	m := l.Messages[0]
	f.check("T1", m.Kind == provider.MessageTimerFired && m.Event == 1 && m.Execution == 1 && m.Name == "" && len(m.Body) == 0,
		"the timer's message is %+v", m)
	f.check("T1", m.At.Equal(due), "At = %v, FireAt = %v", m.At, due)
	f.ackItem(l, consuming(l.item(f.turn(1, nil)), l.Messages))
	f.never("T1", "the timer has fired again", 50*time.Millisecond, func() bool {
		f.pulse(&provider.PulseRequest{Worker: w})
		return len(f.fetch(w, 10)) > 0
	})
}

func timerNotEarly(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	fireAt := f.now().Add(150 * time.Millisecond)
	f.ack(l, f.turn(3, func(c *provider.Commit) { c.Timers = timers(fireAt, fireAt.Add(time.Hour)) }))
	var fired time.Time
	f.eventually("T1", "the timer fires", func() bool {
		now := f.pulse(&provider.PulseRequest{Worker: w}).Now
		items := f.fetch(w, 10)
		if len(items) == 0 {
			return false
		}
		equal(f, "T1", "messages", len(items[0].Messages), 1)
		equal(f, "T1", "event of the timer that fired", items[0].Messages[0].Event, 1)
		fired = now
		return true
	})
	f.check("T1", !fired.Before(fireAt.Truncate(time.Microsecond)), "set for %v, fired by a pulse at %v", fireAt, fired)
}

func timerByAnyPulse(f *fixture) {
	w := f.worker()
	for i, pulse := range []provider.PulseRequest{{}, {Worker: f.worker()}, {Worker: w, Classes: []provider.ClassID{f.otherFlow}}} {
		id := fmt.Sprint("a", i)
		l := f.granted(w, id)
		f.ack(l, f.turn(2, func(c *provider.Commit) { c.Timers = timers(f.now().Add(-time.Second)) }))
		f.pulse(&pulse)
		l = f.fetchOne("T2", w, id)
		equal(f, "T2", "messages", len(l.Messages), 1)
	}
}

func timerCancelled(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	fireAt := f.now().Add(60 * time.Millisecond)
	f.ack(l, f.turn(4, func(c *provider.Commit) { c.Keep, c.Timers = true, timers(fireAt, fireAt, fireAt) }))
	f.ack(l, f.turn(1, func(c *provider.Commit) {
		c.CancelTimers = []int32{1, 3, 99, 100}
		c.Timers = []provider.NewTimer{{Event: 100, FireAt: fireAt}}
	}))
	var fired []int32
	f.eventually("T1", "the timer that was not cancelled fires", func() bool {
		f.pulse(&provider.PulseRequest{Worker: w})
		for _, it := range f.fetch(w, 10) {
			l = &lease{it, w}
			for _, m := range it.Messages {
				fired = append(fired, m.Event)
			}
		}
		return len(fired) > 0
	})
	f.ackItem(l, consuming(l.item(f.turn(1, nil)), l.Messages))
	f.pulse(&provider.PulseRequest{Worker: w})
	for _, it := range f.fetch(w, 10) {
		for _, m := range it.Messages {
			fired = append(fired, m.Event)
		}
	}
	equal(f, "T3", "timers fired", fmt.Sprint(fired), "[2]")
}

func timerCancelledTooLate(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Timers = timers(f.now().Add(-time.Second)) }))
	f.pulse(&provider.PulseRequest{Worker: w})
	l = f.fetchOne("T2", w, "a")
	r := f.ackItem(l, consuming(l.item(f.turn(1, func(c *provider.Commit) { c.CancelTimers = []int32{1} })), l.Messages))
	equal(f, "T3", "messages", len(r.Results[0].Messages), 0)
	f.pulse(&provider.PulseRequest{Worker: w})
	f.fetchNone("T3", w, "the timer fired before it was cancelled")
}

func timerHeld(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Keep, c.Timers = true, timers(f.now().Add(-time.Second)) }))
	f.pulse(&provider.PulseRequest{Worker: other})
	f.fetchNone("F8", other, "the instance is held by another worker")
	news := f.fetchOne("T4", w, "a")
	equal(f, "T4", "held", news.Held, true)
	equal(f, "T4", "messages", len(news.Messages), 1)
	equal(f, "T4", "event", news.Messages[0].Event, 1)
	f.ackItem(l, consuming(l.item(f.turn(1, nil)), news.Messages))
}

func timerNext(f *fixture) {
	w := f.worker()
	next := func() time.Time { return f.pulse(&provider.PulseRequest{Worker: w}).NextTimer }
	f.check("T5", next().IsZero(), "there is no timer")
	at := f.now().Add(time.Hour).Truncate(time.Microsecond)
	a, b := f.granted(w, "a"), f.granted(w, "b")
	f.ack(a, f.turn(4, func(c *provider.Commit) { c.Keep, c.Timers = true, timers(at.Add(2*time.Minute), at.Add(time.Minute)) }))
	f.check("T5", next().Equal(at.Add(time.Minute)), "next timer at %v, want %v", next(), at.Add(time.Minute))
	f.ack(b, f.turn(4, func(c *provider.Commit) { c.Keep, c.Timers = true, timers(at) }))
	f.check("T5", next().Equal(at), "next timer at %v, want %v", next(), at)
	f.ack(b, f.turn(1, func(c *provider.Commit) { c.CancelTimers = []int32{1} }))
	f.check("T5", next().Equal(at.Add(time.Minute)), "next timer at %v, want %v", next(), at.Add(time.Minute))
	f.ack(a, f.turn(1, func(c *provider.Commit) { c.CancelTimers = []int32{2, 1} }))
	f.check("T5", next().IsZero(), "all timers are cancelled")
}

func timerMany(f *fixture) {
	const n = 1200
	w := f.worker()
	l := f.granted(w, "a")
	at := make([]time.Time, n)
	due := f.now().Add(-time.Second)
	for i := range at {
		at[i] = due
	}
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep, c.Timers = true, timers(at...) }))
	fired := map[int32]int{}
	ms := []provider.Message{}
	f.eventually("T6", fmt.Sprintf("%d timers fire", n), func() bool {
		f.pulse(&provider.PulseRequest{Worker: w})
		f.check("M7", len(ms) <= provider.MaxMessages, "%d engine messages at once", len(ms))
		ms = f.ackItem(l, consuming(l.item(f.turn(1, func(c *provider.Commit) { c.Keep = true })), ms)).Results[0].Messages
		for _, m := range ms {
			fired[m.Event]++
		}
		return len(fired) == n
	})
	for ev, times := range fired {
		equal(f, "T1", fmt.Sprintf("firings of timer %d", ev), times, 1)
	}
}

func timerOfEnded(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Keep, c.Timers = true, timers(f.now().Add(-time.Second)) }))
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	f.pulse(&provider.PulseRequest{Worker: w})
	f.fetchNone("T7", w, "the instance has ended")
	p := f.pulse(&provider.PulseRequest{Worker: w, Classes: []provider.ClassID{f.flow}})
	equal(f, "T7", "ready", p.OrchestrationsReady, false)
	f.check("T7", p.NextTimer.IsZero(), "a timer of an ended instance is pending for %v", p.NextTimer)
}

func timerOfEarlierExecution(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Keep, c.Timers = true, timers(f.now().Add(-time.Second)) }))
	f.ack(l, f.turn(1, func(c *provider.Commit) {
		c.Keep, c.Status, c.Next = true, provider.StatusContinuedAsNew, f.nextExecution()
	}))
	f.pulse(&provider.PulseRequest{Worker: w})
	for _, m := range f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep = true })).Messages {
		equal(f, "X4", "execution of a message left from before", m.Execution, 1)
	}
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
}

// unlessStarted makes a timer that is due and watches the start of the work of the event.
func (f *fixture) unlessStarted(event int32) provider.NewTimer {
	return provider.NewTimer{Event: event, FireAt: f.now().Add(-time.Second), UnlessStarted: true}
}

func timerUnlessStartedFires(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(3, func(c *provider.Commit) {
		c.Work, c.Timers = []provider.NewWork{f.work(1, false), f.work(2, false)}, []provider.NewTimer{f.unlessStarted(1)}
	}))
	f.pulse(&provider.PulseRequest{Worker: other})
	got := f.fetchOne("T8", w, "a")
	equal(f, "T8", "messages", len(got.Messages), 1)
	m := got.Messages[0]
	f.check("T8", m.Kind == provider.MessageTimerFired && m.Event == 1 && m.Execution == 1, "the timer's message is %+v", m)
	f.ackItem(got, consuming(got.item(f.turn(1, func(c *provider.Commit) { c.CancelWork = []int32{1} })), got.Messages))
	equal(f, "T8", "event of the work left", f.fetchWorkOne("T8", w).Event, 2)
	f.check("T8", f.pulse(&provider.PulseRequest{}).NextTimer.IsZero(), "the timer is still there")
}

// timerUnlessStartedRemoved has a timer for work of every kind that is started or gone.
func timerUnlessStartedRemoved(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(8, func(c *provider.Commit) {
		c.Keep = true
		c.Work = []provider.NewWork{f.work(1, false), f.work(2, false), f.work(3, false), f.work(4, true), f.work(5, false)}
		c.CancelWork = []int32{5}
		for _, ev := range []int32{1, 2, 3, 4, 5, 6} { // no work has event 6
			c.Timers = append(c.Timers, provider.NewTimer{Event: ev, FireAt: f.now().Add(time.Hour), UnlessStarted: true})
		}
	}))
	next := f.pulse(&provider.PulseRequest{Worker: w}).NextTimer
	f.check("T5", !next.IsZero(), "no timer is pending")
	items := f.fetchWork(w, 10)
	equal(f, "W1", "items", len(items), 3)
	for _, it := range items {
		switch it.Event {
		case 1: // stays leased
		case 2:
			f.abandonWorkItem(it, false, 0)
		case 3:
			f.handOver(it)
		}
	}
	f.ack(l, f.turn(6, func(c *provider.Commit) {
		c.Keep, c.CancelTimers = true, []int32{1, 2, 3, 4, 5, 6}
	}))
	f.check("T3", f.pulse(&provider.PulseRequest{}).NextTimer.IsZero(), "all timers are cancelled")
	f.ack(l, f.turn(1, func(c *provider.Commit) {
		c.Keep = true
		for _, ev := range []int32{1, 2, 3, 4, 5, 6} {
			c.Timers = append(c.Timers, f.unlessStarted(ev))
		}
	}))
	p := f.pulse(&provider.PulseRequest{Worker: w, Classes: []provider.ClassID{f.flow}})
	f.check("T8", p.NextTimer.IsZero(), "a timer is still pending for %v", p.NextTimer)
	r := f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	for _, m := range r.Messages {
		f.fail("T8", "the timer of event %d fired, whose work was granted or is gone", m.Event)
	}
}

// timerUnlessStartedOfAnother checks that a timer goes by the work of its own instance, execution and event.
func timerUnlessStartedOfAnother(f *fixture) {
	w := f.worker()
	f.scheduled(w, "b", 1)
	f.fetchWorkOne("W1", w)
	l := f.granted(w, "a")
	f.ack(l, f.turn(3, func(c *provider.Commit) {
		c.Keep, c.Work = true, []provider.NewWork{f.work(1, false), f.work(2, true)}
		c.Timers = []provider.NewTimer{f.unlessStarted(1)}
	}))
	f.pulse(&provider.PulseRequest{Worker: w})
	r := f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	equal(f, "T8", "timers fired for work that waits, though other work of that event or instance has begun", len(r.Messages), 1)
	equal(f, "T8", "event", r.Messages[0].Event, 1)
}

// timerUnlessStartedByFetch has due timers dealt with by a fetch, set by an eager start.
func timerUnlessStartedByFetch(f *fixture) {
	w := f.worker()
	first := f.turn(4, func(c *provider.Commit) {
		c.Work = []provider.NewWork{f.work(1, false), f.work(2, true)}
		c.Timers = []provider.NewTimer{f.unlessStarted(1), f.unlessStarted(2), f.unlessStarted(3)}
	})
	f.startItem(provider.StartItem{NewInstance: f.instance("a"), First: &first}, w)
	req := f.fetchRequest(w, 10, f.flow)
	req.Timers = true
	items, err := f.p.FetchOrchestrationItems(f.ctx, req)
	f.ok("F9", err)
	f.check("T8", len(items) == 1 && len(items[0].Messages) == 1 && items[0].Messages[0].Event == 1,
		"fetched %s, want a with the timer of event 1", describe(items))
	f.check("T8", f.pulse(&provider.PulseRequest{}).NextTimer.IsZero(), "a timer is still pending")
}

// timerUnlessStartedMany has more timers due that are removed than a call deals with, before one that fires.
func timerUnlessStartedMany(f *fixture) {
	const n = 1100
	w := f.worker()
	l := f.granted(w, "a")
	due := f.now().Add(-time.Hour)
	f.ack(l, f.turn(1, func(c *provider.Commit) {
		for ev := range int32(n) {
			c.Timers = append(c.Timers, provider.NewTimer{Event: ev + 2, FireAt: due, UnlessStarted: true})
		}
		c.Timers = append(c.Timers, provider.NewTimer{Event: 1, FireAt: due.Add(time.Minute)})
	}))
	f.eventually("T8", "all timers are dealt with", func() bool {
		return f.pulse(&provider.PulseRequest{Worker: w}).NextTimer.IsZero()
	})
	got := f.fetchOne("T6", w, "a")
	equal(f, "T8", "messages", len(got.Messages), 1)
	equal(f, "T8", "event", got.Messages[0].Event, 1)
}
