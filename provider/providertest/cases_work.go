package providertest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pawlrun/pawl/provider"
)

var workCases = []Case{
	{"work/queued-by-commit", []string{"W1", "W8"}, workQueued},
	{"work/exclusive-and-max", []string{"W2"}, workExclusive},
	{"work/oldest-first", []string{"W3"}, workOldestFirst},
	{"work/result-reaches-instance", []string{"W4", "W10"}, workResult},
	{"work/result-refused", []string{"W5"}, workResultRefused},
	{"work/result-of-taken-over", []string{"W5", "L10", "W8"}, workTakenOver},
	{"work/born-leased", []string{"W6", "W8"}, workBornLeased},
	{"work/finished-by-owner", []string{"W7"}, workFinishedByOwner},
	{"work/cancelled", []string{"W7", "W5", "A6"}, workCancelled},
	{"work/scheduled-and-cancelled-at-once", []string{"W7"}, workScheduledAndCancelled},
	{"work/claimed-with-ack", []string{"W9", "C2"}, workClaimedWithAck},
	{"work/claimed-with-own-commit", []string{"W15"}, workClaimedWithOwnCommit},
	{"work/claimed-with-result", []string{"W9"}, workClaimedWithResult},
	{"work/result-grants-instance", []string{"W10", "W11"}, workResultGrants},
	{"work/result-does-not-grant", []string{"W10", "C2"}, workResultDoesNotGrant},
	{"work/result-tells-holder", []string{"W10", "F8"}, workResultTellsHolder},
	{"work/history-from-cached", []string{"W11"}, workHistoryFromCached},
	{"work/results-together", []string{"W12"}, workResultsTogether},
	{"work/result-after-end", []string{"W13"}, workResultAfterEnd},
	{"work/result-of-earlier-execution", []string{"W13", "X4"}, workResultOfEarlierExecution},
	{"work/answers-per-item", []string{"W14"}, workPerItem},
	{"work/disjoint-among-many", []string{"W2"}, workDisjoint},
}

// scheduled starts an instance whose first turn, run by w, queues n work items for events 1 to n, and frees it.
func (f *fixture) scheduled(w provider.WorkerID, id string, n int) *lease {
	f.Helper()
	l := f.granted(w, id)
	f.ack(l, f.turn(int32(n+1), func(c *provider.Commit) {
		for ev := range n {
			c.Work = append(c.Work, f.work(int32(ev+1), false))
		}
	}))
	return l
}

// fetchWorkOne fetches the one work item there must be.
func (f *fixture) fetchWorkOne(clause string, w provider.WorkerID) provider.WorkItem {
	f.Helper()
	items := f.fetchWork(w, 10)
	if len(items) != 1 {
		f.fail(clause, "fetched %d work items, want 1", len(items))
	}
	return items[0]
}

func workQueued(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	work := f.work(3, false)
	f.ack(l, f.turn(4, func(c *provider.Commit) { c.Work = []provider.NewWork{work} }))
	req := &provider.FetchWorkRequest{Worker: other, Request: provider.NewToken(), Classes: []provider.ClassID{f.job}, Max: 10}
	r, err := f.handle().FetchWorkItems(f.ctx, req)
	f.ok("W1", err)
	equal(f, "W1", "items", len(r.Work), 1)
	it := r.Work[0]
	equal(f, "W1", "key", it.WorkKey, provider.WorkKey{Ref: l.Ref, Execution: 1, Event: 3})
	equal(f, "W1", "instance id", it.InstanceID, "a")
	equal(f, "W1", "class", it.Class, f.job)
	equal(f, "W1", "input", string(it.Input), string(work.Input))
	equal(f, "W2", "token", it.Token, req.Request)
	equal(f, "W8", "attempt", it.Attempt, 1)
	f.fetchNone("W1", w, "only work was scheduled")
}

func workExclusive(f *fixture) {
	w, other := f.worker(), f.worker()
	f.scheduled(w, "a", 5)
	seen := map[int32]bool{}
	for i, want := range []int{2, 2, 1, 0} {
		items := f.fetchWork([]provider.WorkerID{w, other}[i%2], 2)
		equal(f, "W2", "granted with Max 2", len(items), want)
		for _, it := range items {
			f.check("W2", !seen[it.Event], "the work of event %d was granted twice", it.Event)
			seen[it.Event] = true
		}
	}
	equal(f, "W2", "items for Max 0", len(f.fetchWork(w, 0)), 0)
}

func workOldestFirst(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	for ev := range int32(6) {
		f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.work(ev, false)} }))
	}
	for ev := range int32(6) {
		items := f.fetchWork(w, 1)
		f.check("W3", len(items) == 1 && items[0].Event == ev, "fetched %+v, want the work of event %d", items, ev)
	}
}

func workResult(f *fixture) {
	w, other := f.worker(), f.worker()
	f.scheduled(w, "a", 1)
	it := f.fetchWorkOne("W1", other)
	f.fetchNone("W4", w, "no result was recorded")
	equal(f, "W4", "status", f.finishWork(other, it.WorkKey, it.Token), provider.Applied)
	equal(f, "W4", "work left", len(f.fetchWork(other, 10)), 0)
	l := f.fetchOne("W10", w, "a")
	equal(f, "W4", "messages", len(l.Messages), 1)
	m := l.Messages[0]
	f.check("W4", m.Kind == provider.MessageActivityDone && m.Execution == 1 && m.Name == "" && string(m.Body) == string(done(1)),
		"the result's message is %+v", m)
}

func workResultRefused(f *fixture) {
	w := f.worker()
	l := f.scheduled(w, "a", 2)
	key := provider.WorkKey{Ref: l.Ref, Execution: 1, Event: 1}
	equal(f, "W5", "result of queued work", f.finishWork(w, key, provider.NewToken()), provider.Gone)
	equal(f, "W5", "result of queued work under token 0", f.finishWork(w, key, 0), provider.Gone)
	items := f.fetchWork(w, 10)
	equal(f, "W5", "work left by refused results", len(items), 2)
	token := items[0].Token
	equal(f, "W5", "result under another token", f.finishWork(w, key, provider.NewToken()), provider.Gone)
	unknown := key
	unknown.Event = 9
	equal(f, "W5", "result of unknown work", f.finishWork(w, unknown, token), provider.Gone)
	unknown = key
	unknown.Row += 1 << 40
	equal(f, "W5", "result for an unknown instance", f.finishWork(w, unknown, token), provider.Gone)
	f.fetchNone("W5", w, "no result was recorded")
	equal(f, "W4", "result under the token", f.finishWork(w, key, token), provider.Applied)
	equal(f, "W5", "second result", f.finishWork(w, key, token), provider.Gone)
	got := f.fetchOne("W5", w, "a")
	equal(f, "W5", "messages", len(got.Messages), 1)
}

func workTakenOver(f *fixture) {
	w, other := f.worker(), f.worker()
	f.scheduled(w, "a", 1)
	old := f.fetchWorkOne("W1", other)
	f.ok("L6", f.p.RetireWorker(f.ctx, other))
	equal(f, "L10", "result of the retired, item queued", f.finishWork(other, old.WorkKey, old.Token), provider.Gone)
	it := f.fetchWorkOne("L6", w)
	equal(f, "W8", "attempt", it.Attempt, 2)
	equal(f, "W5", "result of the retired, item leased to another", f.finishWork(other, old.WorkKey, old.Token), provider.Gone)
	equal(f, "L10", "result of the new holder", f.finishWork(w, it.WorkKey, it.Token), provider.Applied)
}

func workBornLeased(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	turn := f.turn(3, func(c *provider.Commit) {
		c.Keep = true
		c.Work = []provider.NewWork{f.work(1, true), f.work(2, true)}
	})
	f.ack(l, turn)
	equal(f, "W6", "work in the queue", len(f.fetchWork(other, 10)), 0)
	p := f.pulse(&provider.PulseRequest{Worker: other, WorkClasses: []provider.ClassID{f.job}})
	equal(f, "L9", "work ready", p.WorkReady, false)
	key := provider.WorkKey{Ref: l.Ref, Execution: 1, Event: 1}
	equal(f, "W6", "result under the commit's request", f.finishWork(w, key, turn.Request), provider.Applied)
	f.ok("L6", f.p.RetireWorker(f.ctx, w))
	it := f.fetchWorkOne("L6", other)
	equal(f, "W6", "event", it.Event, 2)
	equal(f, "W8", "attempt after the leased birth", it.Attempt, 2)
}

func workFinishedByOwner(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(4, func(c *provider.Commit) {
		c.Keep = true
		c.Work = []provider.NewWork{f.work(1, true), f.work(2, true), f.work(3, false)}
	}))
	token := l.Token
	fetched := f.fetchWorkOne("W1", w)
	item := l.item(f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	item.Finished = []provider.FinishedWork{{Event: 1, Token: token}, {Event: 3, Token: fetched.Token}}
	f.ackItem(l, item)
	equal(f, "W7", "result of finished work", f.finishWork(w, fetched.WorkKey, fetched.Token), provider.Gone)
	f.ok("L6", f.p.RetireWorker(f.ctx, w))
	left := f.fetchWorkOne("W7", f.worker())
	equal(f, "W7", "event of the work left", left.Event, 2)
}

func workCancelled(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(5, func(c *provider.Commit) {
		c.Keep = true
		c.Work = []provider.NewWork{f.work(1, true), f.work(2, false), f.work(3, false), f.work(4, false)}
	}))
	born := l.Token
	fetched := f.fetchWork(w, 1)
	equal(f, "W1", "items fetched", len(fetched), 1)
	var queued int32 = 5
	for ev := int32(2); ev <= 4; ev++ {
		if ev != fetched[0].Event {
			queued = ev
		}
	}
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep, c.CancelWork = true, []int32{1, fetched[0].Event, queued, 77} }))
	equal(f, "W7", "result of cancelled work born leased",
		f.finishWork(w, provider.WorkKey{Ref: l.Ref, Execution: 1, Event: 1}, born), provider.Gone)
	equal(f, "W7", "result of cancelled work", f.finishWork(w, fetched[0].WorkKey, fetched[0].Token), provider.Gone)
	left := f.fetchWorkOne("W7", w)
	f.check("W7", left.Event != queued && left.Event != fetched[0].Event, "cancelled work of event %d is in the queue", left.Event)
	item := l.item(f.turn(1, nil))
	item.Finished = []provider.FinishedWork{{Event: 1, Token: born}}
	equal(f, "A6", "ack with cancelled work finished", f.tryAck(w, item), provider.Fenced)
}

func workScheduledAndCancelled(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(4, func(c *provider.Commit) {
		c.Work = []provider.NewWork{f.work(1, false), f.work(2, true), f.work(3, false)}
		c.CancelWork = []int32{1, 2}
	}))
	equal(f, "W7", "event of the work left", f.fetchWorkOne("W7", w).Event, 3)
	f.ok("L6", f.p.RetireWorker(f.ctx, w))
	equal(f, "W7", "event of the work left", f.fetchWorkOne("W7", f.worker()).Event, 3)
}

func workClaimedWithAck(f *fixture) {
	w, other := f.worker(), f.worker()
	f.scheduled(other, "a", 3)
	l := f.granted(w, "b")
	claim := func(n int, classes ...provider.ClassID) []provider.WorkItem {
		turn := f.turn(2, func(c *provider.Commit) {
			c.Keep = true
			c.Work = []provider.NewWork{f.work(l.NextSeq, true)}
		})
		req := &provider.AckRequest{Worker: w, Items: []provider.AckItem{l.item(turn)}, ClaimWork: n,
			WorkClasses: classes, ClaimRequest: provider.NewToken()}
		r, err := f.p.AckOrchestrationItems(f.ctx, req)
		f.ok("W9", err)
		equal(f, "A1", "status", r.Results[0].Status, provider.Applied)
		l.advance(turn)
		for _, it := range r.Work {
			equal(f, "W9", "token", it.Token, req.ClaimRequest)
			equal(f, "W9", "attempt", it.Attempt, 1)
			equal(f, "W9", "instance of the work claimed", it.InstanceID, "a")
			f.check("W9", len(it.Input) > 0, "no input: %+v", it)
		}
		return r.Work
	}
	equal(f, "W9", "claimed of another class", len(claim(5, f.otherJob)), 0)
	equal(f, "C2", "claimed of no class", len(claim(5)), 0)
	equal(f, "W9", "claimed with 0", len(claim(0, f.job)), 0)
	got := claim(2, f.otherJob, f.job)
	equal(f, "W9", "claimed with 2", len(got), 2)
	equal(f, "W9", "work left", len(f.fetchWork(other, 10)), 1)
	equal(f, "W9", "result of claimed work", f.finishWork(w, got[0].WorkKey, got[0].Token), provider.Applied)
	equal(f, "W9", "claimed when none is left", len(claim(2, f.job)), 0)
}

func workClaimedWithOwnCommit(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	scheduled := f.turn(2, func(c *provider.Commit) {
		c.Keep = true
		c.Work = []provider.NewWork{f.work(l.NextSeq, true), f.work(l.NextSeq+1, false)}
	})
	f.ack(l, scheduled)
	// The result of the leased item is recorded; the queued one is claimed along the way, and holds the instance.
	turn := f.turn(1, nil)
	req := &provider.AckRequest{Worker: w, Items: []provider.AckItem{l.item(turn)}, ClaimWork: 1, WorkClasses: []provider.ClassID{f.job},
		ClaimRequest: provider.NewToken()}
	req.Items[0].Finished = []provider.FinishedWork{{Event: l.NextSeq - 2, Token: scheduled.Request}}
	for range 2 { // the call and a repeat
		r, err := f.p.AckOrchestrationItems(f.ctx, req)
		f.ok("W9", err)
		equal(f, "A1", "status", r.Results[0].Status, provider.Applied)
		equal(f, "W9", "claimed", len(r.Work), 1)
	}
	l.advance(turn)
	f.send(event("a", "x", "1"))
	f.fetchNone("W15", other, "the instance is held with the work claimed")
	st := f.state("a")
	equal(f, "W15", "owner", st.Worker, w)

	// The last result, under the token of that commit; a claim that brings nothing of the instance does not hold it.
	f.scheduled(other, "b", 1)
	last := f.turn(1, func(c *provider.Commit) { c.Waits = []string{"y"} })
	req2 := &provider.AckRequest{Worker: w, Items: []provider.AckItem{l.item(last)}, ClaimWork: 5, WorkClasses: []provider.ClassID{f.job},
		ClaimRequest: provider.NewToken()}
	req2.Items[0].Finished = []provider.FinishedWork{{Event: scheduled.EventCount, Token: req.ClaimRequest}}
	r, err := f.p.AckOrchestrationItems(f.ctx, req2)
	f.ok("W15", err)
	equal(f, "W15", "status under the token of the commit", r.Results[0].Status, provider.Applied)
	equal(f, "W9", "claimed of another instance", len(r.Work), 1)
	equal(f, "W15", "owner after a claim of other instances' work", f.state("a").Worker, 0)
}

func workClaimedWithResult(f *fixture) {
	w := f.worker()
	f.scheduled(w, "a", 3)
	it := f.fetchWork(w, 1)[0]
	req := &provider.AckWorkRequest{Worker: w, ClaimWork: 1, WorkClasses: []provider.ClassID{f.job}, ClaimRequest: provider.NewToken(),
		Items: []provider.AckWorkItem{{WorkKey: it.WorkKey, Token: it.Token, Request: provider.NewToken(), Body: done(it.Event)}}}
	r, err := f.p.AckWorkItems(f.ctx, req)
	f.ok("W9", err)
	equal(f, "W4", "status", r.Results[0].Status, provider.Applied)
	equal(f, "W9", "claimed", len(r.Work), 1)
	equal(f, "W9", "token", r.Work[0].Token, req.ClaimRequest)
	f.check("W9", r.Work[0].Event != it.Event, "the finished item was claimed")
	equal(f, "W9", "work left", len(f.fetchWork(w, 10)), 1)
}

// takeWith records the result of a work item asking for the instance.
func (f *fixture) takeWith(w provider.WorkerID, it provider.WorkItem, serves []provider.ClassID, edit func(*provider.AckWorkItem)) (*provider.AckReply, provider.Token) {
	f.Helper()
	item := provider.AckWorkItem{WorkKey: it.WorkKey, Token: it.Token, Request: provider.NewToken(), Body: done(it.Event), Take: true}
	if edit != nil {
		edit(&item)
	}
	r, err := f.p.AckWorkItems(f.ctx, &provider.AckWorkRequest{Worker: w, Items: []provider.AckWorkItem{item}, Serves: serves})
	f.ok("W10", err)
	equal(f, "W10", "number of results", len(r.Results), 1)
	equal(f, "W10", "status", r.Results[0].Status, provider.Applied)
	return r, item.Request
}

func workResultGrants(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.scheduled(w, "a", 1)
	r, request := f.takeWith(other, f.fetchWorkOne("W1", other), []provider.ClassID{f.otherFlow, f.flow}, nil)
	f.check("W10", len(r.Granted) == 1 && r.Granted[0].InstanceID == "a", "granted %s, want a", describe(r.Granted))
	got := &lease{r.Granted[0], other}
	equal(f, "W10", "token", got.Token, request)
	equal(f, "W10", "attempt", got.Attempt, 1)
	equal(f, "W10", "next event number", got.NextSeq, l.NextSeq)
	equal(f, "W10", "messages", len(got.Messages), 1)
	equal(f, "W10", "body", string(got.Messages[0].Body), string(done(1)))
	f.checkHistory("W11", got, 2)
	f.fetchNone("W10", w, "the instance was granted with the result")
	f.ackItem(got, consuming(got.item(f.turn(1, nil)), got.Messages))
	f.fetchNone("W10", w, "the result was consumed")
}

func workResultDoesNotGrant(f *fixture) {
	w, other := f.worker(), f.worker()
	for name, serves := range map[string][]provider.ClassID{"no class": nil, "another class": {f.otherFlow, f.job}, "not asked": {f.flow}} {
		id := f.fresh("a")
		f.scheduled(w, id, 1)
		r, _ := f.takeWith(other, f.fetchWorkOne("W1", other), serves, func(i *provider.AckWorkItem) { i.Take = name != "not asked" })
		f.check("W10", len(r.Granted) == 0, "%s: granted %s", name, describe(r.Granted))
		got := f.fetchOne("W10", w, id)
		equal(f, "W10", "attempt", got.Attempt, 1)
		equal(f, "W10", "messages", len(got.Messages), 1)
	}
	f.scheduled(w, "parked", 1)
	f.send(engineMessage("parked", "m"))
	l := f.fetchOne("F1", w, "parked")
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token, Park: []byte(`{}`)})
	r, _ := f.takeWith(other, f.fetchWorkOne("W1", other), []provider.ClassID{f.flow}, nil)
	f.check("W10", len(r.Granted) == 0, "granted %s, which is parked", describe(r.Granted))
	f.resume("parked")
	equal(f, "W10", "messages of the resumed", len(f.fetchOne("W10", w, "parked").Messages), 2)
}

func workResultTellsHolder(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.work(1, false)} }))
	r, _ := f.takeWith(other, f.fetchWorkOne("W1", other), []provider.ClassID{f.flow}, nil)
	f.check("W10", len(r.Granted) == 0, "granted %s, which another worker holds", describe(r.Granted))
	news := f.fetchOne("F8", w, "a")
	equal(f, "F8", "held", news.Held, true)
	equal(f, "W10", "messages", len(news.Messages), 1)
	f.ackItem(l, consuming(l.item(f.turn(1, nil)), news.Messages))
}

func workHistoryFromCached(f *fixture) {
	w, other := f.worker(), f.worker()
	for name, c := range map[string]struct {
		execution, seq int32
		turns          []int32 // numbers of the first events of the turns expected
	}{
		"nothing cached":            {0, 0, []int32{0, 1, 3}},
		"sequence without cache":    {0, 3, []int32{0, 1, 3}},
		"another execution":         {2, 3, []int32{0, 1, 3}},
		"the start":                 {1, 1, []int32{1, 3}},
		"all but the last turn":     {1, 3, []int32{3}},
		"everything":                {1, 5, nil},
		"this execution, but empty": {1, 0, []int32{0, 1, 3}},
	} {
		l := f.granted(w, f.fresh("a"))
		f.ack(l, f.turn(2, func(c *provider.Commit) { c.Keep = true }))
		f.ack(l, f.turn(2, func(c *provider.Commit) { c.Work = []provider.NewWork{f.work(4, false)} }))
		r, _ := f.takeWith(other, f.fetchWorkOne("W1", other), []provider.ClassID{f.flow}, func(i *provider.AckWorkItem) {
			i.CachedExecution, i.CachedSeq = c.execution, c.seq
		})
		equal(f, "W10", name+": instances granted", len(r.Granted), 1)
		var seqs []int32
		for _, t := range r.Granted[0].History {
			seqs = append(seqs, t.Seq)
		}
		f.check("W11", slices.Equal(seqs, c.turns), "%s: turns from %v, want %v", name, seqs, c.turns)
	}
}

func workResultsTogether(f *fixture) {
	w, other := f.worker(), f.worker()
	f.scheduled(w, "a", 4)
	f.scheduled(w, "b", 1)
	var items []provider.AckWorkItem
	for _, it := range f.fetchWork(other, 10) {
		items = append(items, provider.AckWorkItem{WorkKey: it.WorkKey, Token: it.Token, Request: provider.NewToken(),
			Body: done(it.Event), Take: true})
	}
	equal(f, "W1", "work items", len(items), 5)
	r, err := f.p.AckWorkItems(f.ctx, &provider.AckWorkRequest{Worker: other, Items: items, Serves: []provider.ClassID{f.flow}})
	f.ok("W12", err)
	for i, res := range r.Results {
		equal(f, "W12", fmt.Sprint("status of item ", i), res.Status, provider.Applied)
	}
	equal(f, "W12", "instances granted", len(r.Granted), 2)
	for _, it := range r.Granted {
		want := map[string]int{"a": 4, "b": 1}[it.InstanceID]
		equal(f, "W12", "messages of "+it.InstanceID, len(it.Messages), want)
		equal(f, "W12", "attempt of "+it.InstanceID, it.Attempt, 1)
		f.check("W12", slices.ContainsFunc(items, func(i provider.AckWorkItem) bool { return i.Ref == it.Ref && i.Request == it.Token }),
			"the token of %s is no request of its items", it.InstanceID)
	}
	f.fetchNone("W12", w, "both were granted")
}

func workResultAfterEnd(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(3, func(c *provider.Commit) {
		c.Keep, c.Work = true, []provider.NewWork{f.work(1, false), f.work(2, false)}
	}))
	items := f.fetchWork(other, 1)
	equal(f, "W1", "items", len(items), 1)
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	equal(f, "W13", "result after the end", f.finishWork(other, items[0].WorkKey, items[0].Token), provider.Gone)
	f.ok("L6", f.p.RetireWorker(f.ctx, other))
	for _, it := range f.fetchWork(w, 10) { // work that was not cancelled may still be handed out, to no effect
		f.check("W13", it.Event != items[0].Event, "the item was not removed")
		equal(f, "W13", "result after the end", f.finishWork(w, it.WorkKey, it.Token), provider.Gone)
	}
	f.fetchNone("W13", w, "the instance has ended")
	equal(f, "W13", "turns", len(f.history("a")), 3)
}

func workResultOfEarlierExecution(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.work(1, false)} }))
	old := f.fetchWorkOne("W1", other)
	f.ack(l, f.turn(1, func(c *provider.Commit) {
		c.Keep, c.Status, c.Next = true, provider.StatusContinuedAsNew, f.nextExecution()
	}))
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Work = []provider.NewWork{f.work(1, false)} }))
	it := f.fetchWorkOne("W1", w)
	equal(f, "W1", "execution of the new work", it.Execution, 2)
	equal(f, "W13", "result for the earlier execution", f.finishWork(other, old.WorkKey, old.Token), provider.Gone)
	f.fetchNone("W13", w, "the result was for an earlier execution")
	equal(f, "X4", "result for the new execution", f.finishWork(w, it.WorkKey, it.Token), provider.Applied)
	got := f.fetchOne("W4", w, "a")
	equal(f, "X4", "messages", len(got.Messages), 1)
	equal(f, "X4", "execution of the message", got.Messages[0].Execution, 2)
}

func workPerItem(f *fixture) {
	w := f.worker()
	f.scheduled(w, "a", 3)
	var items []provider.AckWorkItem
	for _, it := range f.fetchWork(w, 10) {
		items = append(items, provider.AckWorkItem{WorkKey: it.WorkKey, Token: it.Token, Request: provider.NewToken(), Body: done(it.Event)})
	}
	equal(f, "W1", "items", len(items), 3)
	items[1].Token = provider.NewToken()
	r, err := f.p.AckWorkItems(f.ctx, &provider.AckWorkRequest{Worker: w, Items: items})
	f.ok("W14", err)
	var got []provider.ItemStatus
	for _, res := range r.Results {
		got = append(got, res.Status)
	}
	equal(f, "W14", "statuses", fmt.Sprint(got), "[applied gone applied]")
	equal(f, "W14", "messages", len(f.fetchOne("W4", w, "a").Messages), 2)
}

func workDisjoint(f *fixture) {
	const items, fetchers = 80, 8
	f.scheduled(f.worker(), "a", items/2)
	f.scheduled(f.worker(), "b", items/2)
	handles := []provider.Provider{f.p, f.handle()}
	var mu sync.Mutex
	granted := map[provider.WorkKey]int{}
	deadline := time.Now().Add(f.patience)
	errs := together(fetchers, func(n int) error {
		w := provider.NewWorkerID()
		for time.Now().Before(deadline) {
			got, err := handles[n%2].FetchWorkItems(f.ctx, &provider.FetchWorkRequest{Worker: w, Request: provider.NewToken(),
				Classes: []provider.ClassID{f.job}, Max: 3})
			if err != nil {
				return err
			}
			mu.Lock()
			for _, it := range got.Work {
				granted[it.WorkKey]++
			}
			all := len(granted) == items
			mu.Unlock()
			if all {
				return nil
			}
		}
		return fmt.Errorf("after %v not all work is granted", f.patience)
	})
	f.check("W2", len(errs) == 0, "fetching at once: %v", errs)
	for k, n := range granted {
		equal(f, "W2", fmt.Sprintf("grants of %+v", k), n, 1)
	}
}
