package providertest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/pawlrun/pawl/provider"
)

// workGrantCases are about the instances that come with fetched work.
var workGrantCases = []Case{
	{"work/fetch-grants-instance", []string{"W16", "W7"}, workFetchGrants},
	{"work/fetch-grants-instance-once", []string{"W16"}, workFetchGrantsOnce},
	{"work/fetch-grants-instance-with-messages", []string{"W16"}, workFetchGrantsMessages},
	{"work/fetch-does-not-grant", []string{"W16", "C2"}, workFetchDoesNotGrant},
	{"work/fetch-does-not-grant-to-earlier-execution", []string{"W16"}, workFetchOfEarlierExecution},
	{"work/history-with-fetch", []string{"W17"}, workHistoryWithFetch},
}

// fetchWorkServing makes the request for work of class job by a worker that runs class flow too.
func (f *fixture) fetchWorkServing(w provider.WorkerID, most int) *provider.FetchWorkRequest {
	return &provider.FetchWorkRequest{Worker: w, Request: provider.NewToken(), Classes: []provider.ClassID{f.job}, Max: most,
		Serves: []provider.ClassID{f.otherFlow, f.flow}}
}

// fetchMoving fetches the one work item there must be with its instance.
func (f *fixture) fetchMoving(w provider.WorkerID) (provider.WorkItem, *lease) {
	f.Helper()
	r, err := f.p.FetchWorkItems(f.ctx, f.fetchWorkServing(w, 10))
	f.ok("W16", err)
	equal(f, "W1", "work items", len(r.Work), 1)
	f.check("W16", len(r.Granted) == 1 && r.Granted[0].Ref == r.Work[0].Ref, "granted %s, want the instance of the item", describe(r.Granted))
	return r.Work[0], &lease{r.Granted[0], w}
}

func workFetchGrants(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.scheduled(w, "a", 1)
	it, got := f.fetchMoving(other)
	equal(f, "W16", "token", got.Token, it.Token)
	equal(f, "W16", "attempt", got.Attempt, 0)
	equal(f, "W16", "instance id", got.InstanceID, "a")
	equal(f, "W16", "execution", got.Execution, 1)
	equal(f, "W16", "class", got.Class, f.flow)
	equal(f, "W16", "next event number", got.NextSeq, l.NextSeq)
	equal(f, "W16", "held before", got.Held, false)
	equal(f, "W16", "messages", len(got.Messages), 0)
	equal(f, "W16", "owner", f.state("a").Worker, other)
	f.send(engineMessage("a", "1"))
	f.fetchNone("W16", w, "the instance was granted with its work")
	item := got.item(f.turn(2, func(c *provider.Commit) { c.Work = []provider.NewWork{f.work(got.NextSeq, false)} }))
	item.Finished = []provider.FinishedWork{{Event: it.Event, Token: it.Token}}
	r := f.ackItem(got, item)
	equal(f, "W16", "messages that came meanwhile", len(r.Results[0].Messages), 1)
	equal(f, "W7", "result of finished work", f.finishWork(other, it.WorkKey, it.Token), provider.Gone)
	f.ackItem(got, consuming(got.item(f.turn(1, nil)), r.Results[0].Messages))

	// It moves back, is released without a turn, and counts as never tried.
	_, back := f.fetchMoving(w)
	f.abandon(provider.AbandonedInstance{Ref: back.Ref, Token: back.Token})
	f.send(engineMessage("a", "2"))
	equal(f, "W16", "attempt after a grant with work", f.fetchOne("W16", other, "a").Attempt, 1)
}

func workFetchGrantsOnce(f *fixture) {
	w, other := f.worker(), f.worker()
	f.scheduled(w, "a", 3)
	f.scheduled(w, "b", 1)
	r, err := f.p.FetchWorkItems(f.ctx, f.fetchWorkServing(other, 10))
	f.ok("W16", err)
	equal(f, "W1", "work items", len(r.Work), 4)
	var ids []string
	for _, it := range r.Granted {
		ids = append(ids, it.InstanceID)
		f.checkHistory("W17", &lease{it, other}, 2)
	}
	slices.Sort(ids)
	equal(f, "W16", "instances granted", fmt.Sprint(ids), "[a b]")
	f.ok("L6", f.p.RetireWorker(f.ctx, other))
	equal(f, "W16", "owner after the worker has retired", f.state("a").Worker, 0)
	equal(f, "W16", "work after the worker has retired", len(f.fetchWork(w, 10)), 4)
}

func workFetchGrantsMessages(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(2, func(c *provider.Commit) {
		c.Waits, c.Work = []string{"x"}, []provider.NewWork{f.work(1, false)}
	}))
	f.send(event("a", "x", "1"), event("a", "y", "2"), event("a", "x", "3"))
	_, got := f.fetchMoving(other)
	equal(f, "W16", "messages", fmt.Sprint(messageIDs(got.Messages)), "[1 3]")
	f.fetchNone("W16", w, "the instance was granted with its work")
	f.ackItem(got, consuming(got.item(f.turn(1, func(c *provider.Commit) { c.Keep = true })), got.Messages))
	equal(f, "W16", "owner", f.state("a").Worker, other)
}

func workFetchDoesNotGrant(f *fixture) {
	w, other := f.worker(), f.worker()
	none := func(why string, serves ...provider.ClassID) {
		f.Helper()
		req := f.fetchWorkServing(other, 10)
		req.Serves = serves
		r, err := f.p.FetchWorkItems(f.ctx, req)
		f.ok("W16", err)
		equal(f, "W1", why+": work items", len(r.Work), 1)
		f.check("W16", len(r.Granted) == 0, "%s: granted %s", why, describe(r.Granted))
	}
	f.scheduled(w, "a", 1)
	none("no class")
	f.scheduled(w, "b", 1)
	none("another class", f.otherFlow, f.job)
	f.fetchNone("W16", w, "nothing has happened to it")

	l := f.granted(w, "held")
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.work(1, false)} }))
	none("held by another", f.flow)
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Work = []provider.NewWork{f.work(l.NextSeq, false)} }))
	f.send(engineMessage("held", "m"))
	got := f.fetchOne("F1", w, "held")
	f.abandon(provider.AbandonedInstance{Ref: got.Ref, Token: got.Token, Park: []byte(`{}`)})
	none("parked", f.flow)
	f.resume("held")
	equal(f, "W16", "attempt", f.fetchOne("W16", w, "held").Attempt, 1)
}

func workFetchOfEarlierExecution(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.work(1, false)} }))
	f.ack(l, f.continued(false, f.nextExecution()))
	r, err := f.p.FetchWorkItems(f.ctx, f.fetchWorkServing(other, 10)) // whether it brings the item is the store's affair
	f.ok("W16", err)
	f.check("W16", len(r.Granted) == 0, "granted %s, which has begun another execution", describe(r.Granted))
	f.fetchOne("W16", w, "a")
}

func workHistoryWithFetch(f *fixture) {
	w, other := f.worker(), f.worker()
	// An instance with a history of so many small turns before and after one whose events are about as large as given.
	prepared := func(before, size, after int) *lease {
		l := f.granted(w, f.fresh("a"))
		small := func(n int) {
			for range n {
				f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
			}
		}
		small(before)
		if size > 0 {
			f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep, c.Events = true, incompressible(size) }))
		}
		small(after)
		f.ack(l, f.turn(1, func(c *provider.Commit) { c.Work = []provider.NewWork{f.work(l.NextSeq, false)} }))
		return l
	}
	for name, c := range map[string]struct {
		before, size, after, turns int
	}{
		"whole":            {provider.MaxGrantTurns - 2, 0, 0, provider.MaxGrantTurns},
		"many turns":       {2 * provider.MaxGrantTurns, 0, 0, provider.MaxGrantTurns},
		"a large turn":     {1, 2 * provider.MaxGrantBytes, 3, 4},
		"one large enough": {1, provider.MaxGrantBytes / 2, 3, 7},
	} {
		l := prepared(c.before, c.size, c.after)
		_, got := f.fetchMoving(other)
		equal(f, "W17", name+": history omitted", got.HistoryOmitted, false)
		all := f.history(l.InstanceID)
		f.check("W17", len(got.History) == c.turns, "%s: %d turns of %d, want %d", name, len(got.History), len(all), c.turns)
		f.checkTurns("W17", got.History, all[len(all)-c.turns:])
	}
	l := f.granted(w, "last is large")
	f.ack(l, f.turn(1, func(c *provider.Commit) {
		c.Events, c.Work = incompressible(2*provider.MaxGrantBytes), []provider.NewWork{f.work(1, false)}
	}))
	_, got := f.fetchMoving(other)
	f.check("W17", got.HistoryOmitted && len(got.History) == 0, "omitted %t, %d turns", got.HistoryOmitted, len(got.History))

	f.scheduled(w, "own", 1)
	_, got = f.fetchMoving(w)
	f.check("W17", got.HistoryOmitted && len(got.History) == 0, "own: omitted %t, %d turns", got.HistoryOmitted, len(got.History))
}

// incompressible makes a turn of one event of about so many bytes that no store can make much smaller.
func incompressible(size int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(size)))
	b := []byte(`[{"type":"Test","text":"`)
	for len(b) < size {
		b = append(b, byte('0'+r.IntN(10)), byte('A'+r.IntN(26)), byte('a'+r.IntN(26)))
	}
	return append(b, `"}]`...)
}
