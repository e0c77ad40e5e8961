package providertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// routedCases are about work that only one worker may claim.
var routedCases = []Case{
	{"routed/for-its-worker-alone", []string{"O1", "O7"}, routedAlone},
	{"routed/by-eager-start", []string{"O1"}, routedEagerly},
	{"routed/by-several-commits-at-once", []string{"O1", "A8"}, routedTogether},
	{"routed/claimed-with-ack", []string{"O1", "W9"}, routedClaimed},
	{"routed/claimed-with-result", []string{"O1", "W9"}, routedClaimedWithResult},
	{"routed/before-others", []string{"O2"}, routedFirst},
	{"routed/given-back", []string{"O3"}, routedGivenBack},
	{"routed/given-back-with-delay", []string{"O3"}, routedGivenBackLater},
	{"routed/retired", []string{"O4", "L6"}, routedRetired},
	{"routed/reaped", []string{"O4", "L4"}, routedReaped},
	{"routed/to-unknown-worker", []string{"O4"}, routedToUnknown},
	{"routed/races-retirement", []string{"O4"}, routedRacesRetirement},
	{"routed/born-leased-late", []string{"O4", "L11"}, routedLate},
	{"routed/ready", []string{"O5", "L9"}, routedReady},
	{"routed/born-leased", []string{"O6", "O3"}, routedBornLeased},
	{"routed/lease-refused", []string{"O6"}, routedLeaseRefused},
	{"routed/cancelled", []string{"O7", "W7"}, routedCancelled},
	{"routed/ended", []string{"O7", "D3"}, routedEnded},
	{"routed/handed-over", []string{"O7", "H2", "H3"}, routedHandedOver},
	{"routed/with-instance", []string{"O7", "W16"}, routedWithInstance},
	{"routed/repeated", []string{"O1", "I4", "I5"}, routedRepeated},
}

// workFor makes a work item of class job that only one worker may claim.
func (f *fixture) workFor(to provider.WorkerID, event int32) provider.NewWork {
	work := f.work(event, false)
	work.Worker = to
	return work
}

// routed is scheduled with work that is for one worker alone.
func (f *fixture) routed(w provider.WorkerID, id string, to provider.WorkerID, n int) *lease {
	f.Helper()
	l := f.granted(w, id)
	f.ack(l, f.turn(int32(n+1), func(c *provider.Commit) {
		for ev := range n {
			c.Work = append(c.Work, f.workFor(to, int32(ev+1)))
		}
	}))
	return l
}

// fetchRouted fetches work of class job as a worker that asks for what is for it alone, too.
func (f *fixture) fetchRouted(w provider.WorkerID, most int) []provider.WorkItem {
	f.Helper()
	r, err := f.p.FetchWorkItems(f.ctx, &provider.FetchWorkRequest{Worker: w, Request: provider.NewToken(),
		Classes: []provider.ClassID{f.job}, Routed: true, Max: most})
	f.ok("O1", err)
	return r.Work
}

// routedNone checks that a worker is granted no work, whether it asks for what is for it alone or not.
func (f *fixture) routedNone(clause, why string, w provider.WorkerID) {
	f.Helper()
	items := append(f.fetchWork(w, 10), f.fetchRouted(w, 10)...)
	f.check(clause, len(items) == 0, "%s: fetched the work of events %s", why, eventsOf(items))
}

func routedAlone(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(other, "a")
	work := f.workFor(w, 2)
	f.ack(l, f.turn(3, func(c *provider.Commit) { c.Work = []provider.NewWork{work} }))
	f.routedNone("O1", "another worker", other)
	equal(f, "O1", "work fetched by its worker, which does not ask for it", len(f.fetchWork(w, 10)), 0)
	req := &provider.FetchWorkRequest{Worker: w, Request: provider.NewToken(), Routed: true, Max: 10}
	r, err := f.handle().FetchWorkItems(f.ctx, req)
	f.ok("O1", err)
	equal(f, "O1", "work fetched by its worker, which lists no class", len(r.Work), 1)
	it := r.Work[0]
	equal(f, "W1", "key", it.WorkKey, provider.WorkKey{Ref: l.Ref, Execution: 1, Event: 2})
	equal(f, "W1", "instance id", it.InstanceID, "a")
	equal(f, "W1", "class", it.Class, f.job)
	equal(f, "W1", "input", string(it.Input), string(work.Input))
	equal(f, "W2", "token", it.Token, req.Request)
	equal(f, "W8", "attempt", it.Attempt, 1)
	f.routedNone("W2", "it is leased", w)
	equal(f, "O7", "result", f.finishWork(w, it.WorkKey, it.Token), provider.Applied)
	equal(f, "O7", "messages", len(f.fetchOne("O7", other, "a").Messages), 1)

	f.routed(w, "b", w, 1) // to itself
	f.routedNone("O1", "another worker than the one that has queued it for itself", other)
	equal(f, "O1", "work fetched by who has queued it for itself", len(f.fetchRouted(w, 10)), 1)
}

func routedEagerly(f *fixture) {
	w, other := f.worker(), f.worker()
	first := f.turn(3, func(c *provider.Commit) { c.Work = []provider.NewWork{f.workFor(w, 1), f.work(2, false)} })
	f.startItem(provider.StartItem{NewInstance: f.instance("a"), First: &first}, other)
	equal(f, "O1", "work fetched by another", eventsOf(f.fetchRouted(other, 10)), "[2]")
	equal(f, "O1", "work fetched by its worker", eventsOf(f.fetchRouted(w, 10)), "[1]")
}

// routedTogether has one call commit turns that queue work for different workers.
func routedTogether(f *fixture) {
	w, other := f.worker(), f.worker()
	var items []provider.AckItem
	for n, to := range []provider.WorkerID{w, other, 0} {
		l := f.granted(other, fmt.Sprint("i", n))
		items = append(items, l.item(f.turn(3, func(c *provider.Commit) {
			c.Work = []provider.NewWork{f.workFor(to, int32(2*n+1)), f.workFor(w, int32(2*n+2))}
		})))
	}
	r, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: other, Items: items})
	f.ok("A1", err)
	for n := range r.Results {
		equal(f, "A8", "status", r.Results[n].Status, provider.Applied)
	}
	events := func(items []provider.WorkItem) string {
		slices.SortFunc(items, func(a, b provider.WorkItem) int { return int(a.Event - b.Event) })
		return eventsOf(items)
	}
	equal(f, "O1", "work fetched by nobody it is for", events(f.fetchRouted(f.worker(), 10)), "[5]")
	equal(f, "O1", "work fetched by the one who has committed", events(f.fetchRouted(other, 10)), "[3]")
	equal(f, "O1", "work fetched by the other", events(f.fetchRouted(w, 10)), "[1 2 4 6]")
}

func routedClaimed(f *fixture) {
	w, other := f.worker(), f.worker()
	f.routed(other, "a", w, 3)
	claim := func(by provider.WorkerID, l *lease, routed bool) []provider.WorkItem {
		turn := f.turn(1, func(c *provider.Commit) { c.Keep = true })
		req := &provider.AckRequest{Worker: by, Items: []provider.AckItem{l.item(turn)}, ClaimWork: 2,
			WorkClasses: []provider.ClassID{f.job}, Routed: routed, ClaimRequest: provider.NewToken()}
		r, err := f.p.AckOrchestrationItems(f.ctx, req)
		f.ok("W9", err)
		equal(f, "A1", "status", r.Results[0].Status, provider.Applied)
		l.advance(turn)
		for _, it := range r.Work {
			equal(f, "W9", "token", it.Token, req.ClaimRequest)
			equal(f, "W9", "attempt", it.Attempt, 1)
		}
		return r.Work
	}
	mine, others := f.granted(w, "b"), f.granted(other, "c")
	equal(f, "O1", "claimed by another", len(claim(other, others, true)), 0)
	equal(f, "O1", "claimed by its worker, which does not ask for it", len(claim(w, mine, false)), 0)
	equal(f, "O1", "claimed by its worker", eventsOf(claim(w, mine, true)), "[1 2]")
	equal(f, "O1", "claimed by its worker again", eventsOf(claim(w, mine, true)), "[3]")

	// What it has queued for itself, together with the commit that would give the instance back.
	event := mine.NextSeq
	f.ack(mine, f.turn(1, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.workFor(w, event)} }))
	turn := f.turn(1, nil)
	r, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{mine.item(turn)}, ClaimWork: 1,
		WorkClasses: []provider.ClassID{f.job}, Routed: true, ClaimRequest: provider.NewToken()})
	f.ok("W9", err)
	equal(f, "O1", "claimed by who has queued it", eventsOf(r.Work), fmt.Sprint([]int32{event}))
	equal(f, "W15", "owner of the instance whose work was claimed", f.state("b").Worker, w)
}

func routedClaimedWithResult(f *fixture) {
	w, other := f.worker(), f.worker()
	f.routed(other, "a", w, 2)
	f.scheduled(w, "b", 2)
	items := f.fetchWork(w, 2)
	equal(f, "W1", "work", len(items), 2)
	finish := func(it provider.WorkItem, routed bool) []provider.WorkItem {
		r, err := f.p.AckWorkItems(f.ctx, &provider.AckWorkRequest{Worker: w, ClaimWork: 5, Routed: routed, ClaimRequest: provider.NewToken(),
			Items: []provider.AckWorkItem{{WorkKey: it.WorkKey, Token: it.Token, Request: provider.NewToken(), Body: done(it.Event)}}})
		f.ok("W9", err)
		equal(f, "W4", "status", r.Results[0].Status, provider.Applied)
		return r.Work
	}
	equal(f, "O1", "claimed without asking for it", len(finish(items[0], false)), 0)
	equal(f, "O1", "claimed", eventsOf(finish(items[1], true)), "[1 2]")
}

func routedFirst(f *fixture) {
	w, other := f.worker(), f.worker()
	classes := f.lanes(provider.ClassActivity, "job", 2)
	l := f.granted(other, "a")
	f.queue(l, f.job, classes[0], f.job)
	for range 3 {
		f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.workFor(w, l.NextSeq)} }))
	}
	fetch := func(most int, ranks ...int16) string {
		r, err := f.p.FetchWorkItems(f.ctx, &provider.FetchWorkRequest{Worker: w, Request: provider.NewToken(), Routed: true, Max: most,
			Classes: []provider.ClassID{f.job, classes[0]}, Ranks: ranks})
		f.ok("O2", err)
		return eventsOf(r.Work)
	}
	equal(f, "O2", "the first item", fetch(1, 1, 0), "[4]")
	equal(f, "O2", "the next items", fetch(3, 1, 0), "[5 6 2]")
	equal(f, "O2", "the items left", fetch(5), "[1 3]")
}

func routedGivenBack(f *fixture) {
	w, other := f.worker(), f.worker()
	f.routed(other, "a", w, 1)
	for attempt := range int32(3) {
		items := f.fetchRouted(w, 10)
		f.check("O3", len(items) == 1 && items[0].Attempt == attempt+1, "fetched %+v, want the item in attempt %d", items, attempt+1)
		f.giveBack(items[0], func(a *provider.AbandonedWork) { a.State = fmt.Appendf(nil, `{"tried":%d}`, attempt) })
		f.routedNone("O3", "another worker, when it was given back", other)
		equal(f, "O3", "result under the abandoned token", f.finishWork(w, items[0].WorkKey, items[0].Token), provider.Gone)
		equal(f, "O5", "ready for its worker", f.pulse(&provider.PulseRequest{Worker: w, Routed: true}).WorkReady, true)
	}
	equal(f, "O7", "state", string(f.fetchRouted(w, 1)[0].State), `{"tried":2}`)
}

func routedGivenBackLater(f *fixture) {
	const delay = 120 * time.Millisecond
	w, other := f.worker(), f.worker()
	f.routed(other, "a", w, 1)
	items := f.fetchRouted(w, 10)
	equal(f, "O1", "items", len(items), 1)
	before := f.now()
	f.abandonWorkItem(items[0], false, delay)
	f.eventually("O3", "abandoned work is back after its delay", func() bool {
		f.routedNone("O3", "another worker", other)
		return len(f.fetchRouted(w, 10)) == 1
	})
	after := f.now()
	f.check("O3", after.Sub(before) >= delay, "back after %v, delayed by %v", after.Sub(before), delay)
}

// routedKinds queues for w four items of a: one that stays queued, one that is leased, one that is delayed, and one that is
// handed over; these are their events in order. It returns the leased one.
func (f *fixture) routedKinds(w, by provider.WorkerID) (leased provider.WorkItem) {
	f.Helper()
	f.routed(by, "a", w, 3)
	items := f.fetchRouted(w, 10)
	equal(f, "O1", "items", len(items), 3)
	f.abandonWorkItem(items[1], true, time.Hour)
	f.handOver(items[2])
	l := f.granted(by, "b")
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Work = []provider.NewWork{f.workFor(w, 1)} }))
	return items[0]
}

// checkTakenOver checks that what routedKinds has queued is everybody's now, but for what is handed over.
func (f *fixture) checkTakenOver(w provider.WorkerID, leased provider.WorkItem) {
	f.Helper()
	equal(f, "O4", "ready", f.pulse(&provider.PulseRequest{WorkClasses: []provider.ClassID{f.job}}).WorkReady, true)
	items := f.fetchWork(w, 10)
	var got []string
	for _, it := range items {
		got = append(got, fmt.Sprint(it.InstanceID, it.Event, " attempt ", it.Attempt))
	}
	slices.Sort(got)
	equal(f, "O4", "items taken over", fmt.Sprint(got), "[a1 attempt 2 a2 attempt 1 b1 attempt 1]")
	equal(f, "L10", "late result", f.finishWork(w, leased.WorkKey, leased.Token), provider.Gone)
	f.abandonWorkItem(items[0], false, 0)
	equal(f, "O4", "items that are given back by who has taken them over", len(f.fetchWork(f.worker(), 10)), 1)
}

func routedRetired(f *fixture) {
	w, other := f.worker(), f.worker()
	leased := f.routedKinds(w, other)
	bystander := f.worker()
	f.routed(other, "c", bystander, 1)
	for range 2 {
		f.ok("L6", f.p.RetireWorker(f.ctx, w))
	}
	f.checkTakenOver(other, leased)
	f.routedNone("L7", "the work of a worker that has not retired", other)
	equal(f, "L7", "the work of a worker that has not retired", len(f.fetchRouted(bystander, 10)), 1)
}

func routedReaped(f *fixture) {
	w, other := f.worker(), f.worker()
	leased := f.routedKinds(w, other)
	f.reap(w)
	f.checkTakenOver(other, leased)
}

func routedToUnknown(f *fixture) {
	other, gone := f.worker(), f.worker()
	f.ok("L6", f.p.RetireWorker(f.ctx, gone))
	l := f.granted(other, "a")
	f.ack(l, f.turn(4, func(c *provider.Commit) {
		c.Work = []provider.NewWork{f.workFor(provider.NewWorkerID(), 1), f.workFor(gone, 2), f.workFor(other, 3)}
	}))
	equal(f, "O4", "ready", f.pulse(&provider.PulseRequest{WorkClasses: []provider.ClassID{f.job}}).WorkReady, true)
	equal(f, "O4", "work that was for nobody who is known", eventsOf(f.fetchWork(f.worker(), 10)), "[1 2]")
	equal(f, "O4", "work that is for one who is known", eventsOf(f.fetchRouted(other, 10)), "[3]")
}

// routedRacesRetirement queues work for a worker that retires at the same time.
func routedRacesRetirement(f *fixture) {
	other, taker := f.worker(), f.worker()
	elsewhere := f.handle()
	for round := range 12 {
		w := f.worker()
		l := f.granted(other, f.fresh("a"))
		errs := together(2, func(i int) error {
			if i == round%2 {
				return elsewhere.RetireWorker(f.ctx, w)
			}
			_, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: other, Items: []provider.AckItem{
				l.item(f.turn(2, func(c *provider.Commit) { c.Work = []provider.NewWork{f.workFor(w, 1)} }))}})
			return err
		})
		f.check("O4", len(errs) == 0, "the calls failed: %v", errs)
		f.eventually("O4", "work for a worker that has retired meanwhile is everybody's", func() bool {
			f.pulse(&provider.PulseRequest{Worker: taker})
			return len(f.fetchWork(taker, 10)) == 1
		})
	}
}

// routedLate has a worker take work in a call that comes after its retirement.
func routedLate(f *fixture) {
	w, other := f.worker(), f.worker()
	f.ok("L6", f.p.RetireWorker(f.ctx, w))
	first := f.turn(2, func(c *provider.Commit) {
		work := f.workFor(w, 1)
		work.Lease = true
		c.Keep, c.Work = true, []provider.NewWork{work}
	})
	f.startItem(provider.StartItem{NewInstance: f.instance("a"), First: &first}, w)
	f.eventually("L11", "what a late call has taken is everybody's", func() bool {
		f.pulse(&provider.PulseRequest{Worker: other})
		return len(f.fetchWork(other, 10)) == 1
	})
}

func routedReady(f *fixture) {
	w, other := f.worker(), f.worker()
	ready := func(by provider.WorkerID, routed bool) bool {
		f.Helper()
		return f.pulse(&provider.PulseRequest{Worker: by, WorkClasses: []provider.ClassID{f.job}, Routed: routed}).WorkReady
	}
	equal(f, "O5", "ready when there is none", ready(w, true), false)
	f.routed(other, "a", w, 1)
	equal(f, "O5", "ready for its worker", ready(w, true), true)
	equal(f, "O5", "ready for its worker, which does not ask", ready(w, false), false)
	equal(f, "O5", "ready for another worker", ready(other, true), false)
	equal(f, "O5", "ready for nobody", ready(0, true), false)
	items := f.fetchRouted(w, 1)
	equal(f, "O1", "items", len(items), 1)
	equal(f, "O5", "ready when it is leased", ready(w, true), false)
	f.abandonWorkItem(items[0], false, time.Hour)
	equal(f, "O5", "ready when it is delayed", ready(w, true), false)
	f.routed(other, "b", w, 1)
	equal(f, "O5", "ready when one of two is delayed", ready(w, true), true)
}

func routedBornLeased(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	turn := f.turn(2, func(c *provider.Commit) {
		work := f.workFor(w, 1)
		work.Lease = true
		c.Keep, c.Work = true, []provider.NewWork{work}
	})
	f.ack(l, turn)
	f.routedNone("O6", "the work is born leased", w)
	f.routedNone("O6", "the work is born leased", other)
	it := provider.WorkItem{WorkKey: provider.WorkKey{Ref: l.Ref, Execution: 1, Event: 1}, Token: turn.Request}
	equal(f, "O6", "items gone", len(f.goneOf(w, it)), 0)
	f.abandonWorkItem(it, false, 0)
	f.routedNone("O3", "another worker, when it was given back", other)
	items := f.fetchRouted(w, 10)
	f.check("O6", len(items) == 1 && items[0].Attempt == 2, "fetched %+v, want the item in attempt 2", items)
	equal(f, "O6", "result", f.finishWork(w, items[0].WorkKey, items[0].Token), provider.Applied)
}

func routedLeaseRefused(f *fixture) {
	w, other := f.worker(), f.worker()
	l, second := f.granted(other, "a"), f.granted(other, "b")
	wrong := f.turn(2, func(c *provider.Commit) {
		work := f.workFor(w, 1)
		work.Lease = true
		c.Keep, c.Work = true, []provider.NewWork{work}
	})
	_, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: other,
		Items: []provider.AckItem{second.item(f.turn(1, nil)), l.item(wrong)}})
	f.givesUp("O6", err)
	for _, id := range []string{"a", "b"} {
		equal(f, "O6", "next event number of "+id+" after the refusal", f.state(id).NextSeq, 1)
	}
	_, err = f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Worker: other, Items: []provider.StartItem{
		{NewInstance: f.instance("c")}, {NewInstance: f.instance("d"), First: &wrong}}})
	f.givesUp("O6", err)
	states, err := f.p.ReadInstances(f.ctx, []string{"c", "d"}, false)
	f.ok("R1", err)
	equal(f, "O6", "instances of the refused call", len(states), 0)
	f.ack(l, f.turn(1, nil))
}

func routedCancelled(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(other, "a")
	f.ack(l, f.turn(5, func(c *provider.Commit) {
		c.Keep = true
		for ev := range int32(4) {
			c.Work = append(c.Work, f.workFor(w, ev+1))
		}
		c.CancelWork = []int32{4}
	}))
	items := f.fetchRouted(w, 1)
	equal(f, "O7", "items leased", eventsOf(items), "[1]")
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.CancelWork = []int32{1, 2} }))
	equal(f, "O7", "items gone", fmt.Sprint(f.goneOf(w, items...)), "[1]")
	equal(f, "O7", "result of a cancelled item", f.finishWork(w, items[0].WorkKey, items[0].Token), provider.Gone)
	equal(f, "O7", "items left", eventsOf(f.fetchRouted(w, 10)), "[3]")
}

func routedEnded(f *fixture) {
	w, other := f.worker(), f.worker()
	f.routed(other, "a", w, 2)
	items := f.fetchRouted(w, 1)
	f.terminateOne(f.termination("a"))
	f.routedNone("D3", "the instance was terminated", w)
	equal(f, "D3", "result for a terminated instance", f.finishWork(w, items[0].WorkKey, items[0].Token), provider.Gone)

	f.routed(other, "b", w, 1)
	f.suspend(`{}`, "b")
	suspended := f.fetchRouted(w, 10)
	equal(f, "O7", "work of a suspended instance", len(suspended), 1)
	equal(f, "O7", "result for a suspended instance", f.finishWork(w, suspended[0].WorkKey, suspended[0].Token), provider.Applied)
}

func routedHandedOver(f *fixture) {
	w, other := f.worker(), f.worker()
	f.routed(other, "a", w, 1)
	items := f.fetchRouted(w, 1)
	equal(f, "O1", "items", len(items), 1)
	f.handOver(items[0])
	f.routedNone("H2", "it was handed over", w)
	f.ok("L6", f.p.RetireWorker(f.ctx, w))
	f.pulse(&provider.PulseRequest{Worker: other})
	f.routedNone("O7", "it was handed over by a worker that has retired", other)
	equal(f, "H3", "result", f.finishWork(0, items[0].WorkKey, items[0].Token), provider.Applied)
}

func routedWithInstance(f *fixture) {
	w, other := f.worker(), f.worker()
	f.routed(other, "a", w, 1)
	req := f.fetchWorkServing(w, 10)
	req.Routed = true
	r, err := f.p.FetchWorkItems(f.ctx, req)
	f.ok("W16", err)
	equal(f, "O7", "items", len(r.Work), 1)
	f.check("O7", len(r.Granted) == 1 && r.Granted[0].InstanceID == "a", "granted %s, want the instance of the item", describe(r.Granted))
	l := &lease{r.Granted[0], w}
	item := l.item(f.turn(1, nil))
	item.Finished = []provider.FinishedWork{{Event: 1, Token: r.Work[0].Token}}
	f.ackItem(l, item)
	equal(f, "W7", "result of finished work", f.finishWork(w, r.Work[0].WorkKey, r.Work[0].Token), provider.Gone)
}

func routedRepeated(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(other, "a")
	item := l.item(f.turn(2, func(c *provider.Commit) { c.Work = []provider.NewWork{f.workFor(w, 1)} }))
	for range 2 {
		equal(f, "I5", "status", f.tryAck(other, item), provider.Applied)
	}
	req := &provider.FetchWorkRequest{Worker: w, Request: provider.NewToken(), Routed: true, Max: 5}
	for range 2 {
		r, err := f.p.FetchWorkItems(f.ctx, req)
		f.ok("I4", err)
		f.check("I4", len(r.Work) == 1 && r.Work[0].Token == req.Request && r.Work[0].Attempt == 1, "fetched %+v, want the one item", r.Work)
	}
	equal(f, "I5", "status of a late repeat", f.tryAck(other, item), provider.Applied)
	f.routedNone("I5", "the commit was repeated", w)
	f.routedNone("O1", "the commit was repeated", other)
}
