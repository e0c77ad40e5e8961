package providertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// What becomes of a work item apart from its result: the state its attempts leave, hand-over to whoever has the
// token, and what a worker learns of the items it runs.
var handOverCases = []Case{
	{"work/state-of-abandoned", []string{"H1"}, workStateAbandoned},
	{"work/state-by-pulse", []string{"H1"}, workStateByPulse},
	{"work/state-needs-token", []string{"H1", "L12"}, workStateToken},
	{"work/handed-over-stays", []string{"H2", "L12"}, workHandedOverStays},
	{"work/handed-over-result", []string{"H3"}, workHandedOverResult},
	{"work/handed-over-finished-by-owner", []string{"H3", "A6"}, workHandedOverFinished},
	{"work/handed-over-cancelled", []string{"H4", "L12"}, workHandedOverCancelled},
	{"work/abandoned-in-one-call", []string{"H1", "H2", "B3", "B6"}, workAbandonedTogether},
	{"work/handed-over-not-fetched-again", []string{"H2", "I4"}, workHandedOverRepeat},
	{"work/state-of-born-leased", []string{"H1"}, workStateBornLeased},
	{"work/handed-over-state", []string{"H1", "H3"}, workHandedOverState},
	{"liveness/held-work-gone", []string{"L12"}, livenessWorkGone},
}

// giveBack abandons a work item as edit says.
func (f *fixture) giveBack(it provider.WorkItem, edit func(*provider.AbandonedWork)) {
	f.Helper()
	a := provider.AbandonedWork{WorkKey: it.WorkKey, Token: it.Token}
	edit(&a)
	f.ok("B6", f.p.AbandonItems(f.ctx, &provider.AbandonRequest{Work: []provider.AbandonedWork{a}}))
}

// handOver hands a work item over.
func (f *fixture) handOver(it provider.WorkItem) {
	f.Helper()
	f.giveBack(it, func(a *provider.AbandonedWork) { a.HandOver = true })
}

// goneOf pulses as w and returns which of the items are gone, by their events, sorted.
func (f *fixture) goneOf(w provider.WorkerID, items ...provider.WorkItem) []int32 {
	f.Helper()
	req := &provider.PulseRequest{Worker: w}
	for _, it := range items {
		req.Held = append(req.Held, provider.HeldWork{WorkKey: it.WorkKey, Token: it.Token})
	}
	var events []int32
	for _, k := range f.pulse(req).Gone {
		f.check("L12", slices.ContainsFunc(items, func(it provider.WorkItem) bool { return it.WorkKey == k }),
			"%+v is gone, which the worker does not hold", k)
		events = append(events, k.Event)
	}
	slices.Sort(events)
	return events
}

func workStateAbandoned(f *fixture) {
	w, other := f.worker(), f.worker()
	f.scheduled(w, "a", 1)
	state := func(doc string) func(*provider.AbandonedWork) {
		return func(a *provider.AbandonedWork) { a.State = []byte(doc) }
	}
	for n, step := range []struct {
		before string
		edit   func(*provider.AbandonedWork)
	}{
		{"", func(*provider.AbandonedWork) {}},
		{"", state(`{"step": 1}`)},
		{`{"step": 1}`, func(a *provider.AbandonedWork) { a.Delay = time.Millisecond }},
		{`{"step": 1}`, func(a *provider.AbandonedWork) { a.UndoAttempt, a.State = true, []byte(`[ 2 ]`) }},
		{`[ 2 ]`, func(*provider.AbandonedWork) {}},
	} {
		var items []provider.WorkItem
		f.eventually("B6", "the item is back", func() bool {
			items = f.fetchWork([]provider.WorkerID{w, other}[n%2], 10)
			return len(items) > 0
		})
		equal(f, "H1", fmt.Sprintf("state at grant %d", n+1), string(items[0].State), step.before)
		f.check("H1", step.before != "" || items[0].State == nil, "state of an item that has none: %q, want nil", items[0].State)
		f.giveBack(items[0], step.edit)
	}
	l := f.granted(w, "b")
	r, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{l.item(f.turn(1, nil))},
		ClaimWork: 1, WorkClasses: []provider.ClassID{f.job}, ClaimRequest: provider.NewToken()})
	f.ok("W9", err)
	equal(f, "W9", "items claimed", len(r.Work), 1)
	equal(f, "H1", "state of a claimed item", string(r.Work[0].State), `[ 2 ]`)
	f.giveBack(r.Work[0], func(a *provider.AbandonedWork) { a.State = []byte(`3`) })
	results, err := f.p.AckWorkItems(f.ctx, &provider.AckWorkRequest{Worker: w, ClaimWork: 1, WorkClasses: []provider.ClassID{f.job},
		ClaimRequest: provider.NewToken()})
	f.ok("W9", err)
	equal(f, "W9", "items claimed with results", len(results.Work), 1)
	equal(f, "H1", "state of an item claimed with results", string(results.Work[0].State), `3`)
}

func workStateByPulse(f *fixture) {
	w, other := f.worker(), f.worker()
	f.scheduled(w, "a", 2)
	items := f.fetchWork(w, 10)
	equal(f, "W1", "items", len(items), 2)
	held := func(state string) []provider.HeldWork {
		hs := []provider.HeldWork{{WorkKey: items[0].WorkKey, Token: items[0].Token}, {WorkKey: items[1].WorkKey, Token: items[1].Token}}
		if state != "" {
			hs[0].State = []byte(state)
		}
		return hs
	}
	for _, state := range []string{"", `"first"`, `{"second": "\u0000"}`, ""} {
		r := f.pulse(&provider.PulseRequest{Worker: w, Held: held(state)})
		equal(f, "L12", "items gone", len(r.Gone), 0)
	}
	f.reap(w)
	taken := f.fetchWork(other, 10)
	equal(f, "L4", "items released", len(taken), 2)
	for _, it := range taken {
		want := ""
		if it.WorkKey == items[0].WorkKey {
			want = `{"second": "\u0000"}`
		}
		equal(f, "H1", fmt.Sprintf("state of the work of event %d after the reap", it.Event), string(it.State), want)
	}
	repeated := &provider.FetchWorkRequest{Worker: other, Request: taken[0].Token, Classes: []provider.ClassID{f.job}, Max: 10}
	again, err := f.p.FetchWorkItems(f.ctx, repeated)
	f.ok("I4", err)
	equal(f, "I4", "items of the repeated fetch", len(again.Work), 2)
	for _, it := range again.Work {
		if it.WorkKey == items[0].WorkKey {
			equal(f, "H1", "state in the repeated fetch", string(it.State), `{"second": "\u0000"}`)
		}
	}
}

func workStateToken(f *fixture) {
	w, other := f.worker(), f.worker()
	f.scheduled(w, "a", 1)
	old := f.fetchWorkOne("W1", w)
	f.giveBack(old, func(a *provider.AbandonedWork) { a.State = []byte(`"mine"`) })
	late := func(when string) {
		f.giveBack(old, func(a *provider.AbandonedWork) { a.State = []byte(`"late"`) })
		r := f.pulse(&provider.PulseRequest{Worker: w, Held: []provider.HeldWork{{WorkKey: old.WorkKey, Token: old.Token, State: []byte(`"late"`)}}})
		f.check("L12", len(r.Gone) == 1 && r.Gone[0] == old.WorkKey, "%s: gone %+v, want %+v", when, r.Gone, old.WorkKey)
	}
	late("queued again")
	it := f.fetchWorkOne("B6", other)
	equal(f, "H1", "state", string(it.State), `"mine"`)
	late("held by another")
	f.giveBack(it, func(*provider.AbandonedWork) {})
	equal(f, "H1", "state", string(f.fetchWorkOne("B6", other).State), `"mine"`)
}

func workHandedOverStays(f *fixture) {
	w, other, third := f.worker(), f.worker(), f.worker()
	l := f.granted(w, "a")
	turn := f.turn(4, func(c *provider.Commit) {
		c.Work = []provider.NewWork{f.work(1, false), f.work(2, false), f.work(3, true)}
	})
	f.ack(l, turn)
	items := append(f.fetchWork(w, 10),
		provider.WorkItem{WorkKey: provider.WorkKey{Ref: l.Ref, Execution: 1, Event: 3}, Token: turn.Request})
	equal(f, "W1", "items", len(items), 3)
	nobodyGets := func(when string) {
		f.Helper()
		equal(f, "H2", "items granted "+when, len(f.fetchWork(other, 10)), 0)
		r := f.pulse(&provider.PulseRequest{Worker: third, WorkClasses: []provider.ClassID{f.job}})
		equal(f, "H2", "work ready "+when, r.WorkReady, false)
		equal(f, "L12", "items gone "+when, fmt.Sprint(f.goneOf(third, items...)), "[]")
	}
	for _, it := range items {
		f.handOver(it)
	}
	nobodyGets("once handed over")
	for _, it := range items {
		f.handOver(it)
	}
	nobodyGets("once handed over again")
	f.giveBack(items[0], func(a *provider.AbandonedWork) { a.UndoAttempt = true })
	f.giveBack(items[1], func(a *provider.AbandonedWork) { a.Delay = time.Millisecond })
	nobodyGets("once abandoned")
	f.reap(w)
	nobodyGets("once the worker was reaped")
	f.ok("L6", f.p.RetireWorker(f.ctx, other))
	other = f.worker()
	nobodyGets("once another has retired")
	for _, it := range items {
		equal(f, "H3", "result", f.finishWork(other, it.WorkKey, it.Token), provider.Applied)
	}
	got := f.fetchOne("W10", other, "a")
	equal(f, "W4", "messages", len(got.Messages), 3)
}

func workHandedOverResult(f *fixture) {
	w, other := f.worker(), f.worker()
	for n, process := range []provider.WorkerID{w, other, 0} {
		id := fmt.Sprint("a", n)
		f.scheduled(w, id, 1)
		it := f.fetchWorkOne("W1", w)
		f.handOver(it)
		equal(f, "H3", "result under another token", f.finishWork(process, it.WorkKey, provider.NewToken()), provider.Gone)
		equal(f, "H3", "result under no token", f.finishWork(process, it.WorkKey, 0), provider.Gone)
		f.fetchNone("H3", w, "no result was recorded")
		equal(f, "H3", fmt.Sprintf("result by process %d", n), f.finishWork(process, it.WorkKey, it.Token), provider.Applied)
		equal(f, "W5", "second result", f.finishWork(process, it.WorkKey, it.Token), provider.Gone)
		got := f.fetchOne("H3", w, id)
		equal(f, "H3", "messages", len(got.Messages), 1)
		equal(f, "H3", "body", string(got.Messages[0].Body), string(done(1)))
		f.ackItem(got, consuming(got.item(f.turn(1, nil)), got.Messages))
	}
}

func workHandedOverFinished(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(3, func(c *provider.Commit) {
		c.Keep, c.Work = true, []provider.NewWork{f.work(1, true), f.work(2, false)}
	}))
	born := provider.WorkItem{WorkKey: provider.WorkKey{Ref: l.Ref, Execution: 1, Event: 1}, Token: l.Token}
	fetched := f.fetchWorkOne("W1", other)
	f.handOver(born)
	f.handOver(fetched)
	item := l.item(f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	item.Finished = []provider.FinishedWork{{Event: 1, Token: born.Token}, {Event: 2, Token: provider.NewToken()}}
	equal(f, "A6", "ack that names one under another token", f.tryAck(w, item), provider.Fenced)
	item.Finished[1].Token = fetched.Token
	f.ackItem(l, item)
	equal(f, "H3", "items gone", fmt.Sprint(f.goneOf(w, born, fetched)), "[1 2]")
	equal(f, "H3", "result once finished", f.finishWork(0, fetched.WorkKey, fetched.Token), provider.Gone)
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.work(4, true)} }))
	born = provider.WorkItem{WorkKey: provider.WorkKey{Ref: l.Ref, Execution: 1, Event: 4}, Token: l.Token}
	f.handOver(born)
	item = l.item(f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	item.Finished = []provider.FinishedWork{{Event: 4, Token: provider.NewToken()}}
	equal(f, "A6", "last ack that names it under another token", f.tryAck(w, item), provider.Fenced)
	item.Finished[0].Token = born.Token
	f.ackItem(l, item)
	equal(f, "H3", "result once finished by the last turn", f.finishWork(0, born.WorkKey, born.Token), provider.Gone)
}

// workAbandonedTogether gives items back in every way with one call.
func workAbandonedTogether(f *fixture) {
	w := f.worker()
	f.scheduled(w, "a", 6)
	held := f.fetchWork(w, 10)
	for _, it := range held {
		f.giveBack(it, func(a *provider.AbandonedWork) { a.State = []byte(`"old"`) })
	}
	req := &provider.AbandonRequest{}
	var handed provider.WorkItem
	for _, it := range f.fetchWork(w, 10) {
		a := provider.AbandonedWork{WorkKey: it.WorkKey, Token: it.Token}
		switch it.Event {
		case 1:
			a.State = []byte(`"new"`)
		case 2:
			a.UndoAttempt = true
		case 3:
			a.HandOver, a.State = true, []byte(`"handed"`)
			handed = it
		case 4:
			a.UndoAttempt, a.State = true, []byte(`"undone"`)
		case 5:
			a.Delay = time.Hour
		case 6:
			a.Token, a.State = provider.NewToken(), []byte(`"mistaken"`)
		}
		req.Work = append(req.Work, a)
	}
	equal(f, "W1", "items", len(req.Work), 6)
	f.ok("B6", f.p.AbandonItems(f.ctx, req))
	got := map[int32]string{}
	for _, it := range f.fetchWork(w, 10) {
		got[it.Event] = fmt.Sprint(it.Attempt, string(it.State))
	}
	want := map[int32]string{1: `3"new"`, 2: `2"old"`, 4: `2"undone"`}
	equal(f, "H1", "attempts and states by event", fmt.Sprint(got), fmt.Sprint(want))
	equal(f, "H3", "result of what was handed over", f.finishWork(0, handed.WorkKey, handed.Token), provider.Applied)
}

func workHandedOverCancelled(f *fixture) {
	w := f.worker()
	a, b := f.scheduled(w, "a", 1), f.scheduled(w, "b", 2)
	f.scheduled(w, "c", 3)
	var items []provider.WorkItem
	for _, it := range f.fetchWork(w, 10) {
		f.handOver(it)
		last := map[string]int32{"a": 1, "b": 2, "c": 3}[it.InstanceID]
		if it.Event == last {
			items = append(items, it)
		}
	}
	equal(f, "H2", "items", len(items), 3)
	equal(f, "L12", "items gone", fmt.Sprint(f.goneOf(w, items...)), "[]")
	f.send(engineMessage("a", "1"), engineMessage("b", "1"))
	for _, it := range f.fetch(w, 10) {
		switch l := (&lease{it, w}); l.InstanceID {
		case "a":
			a = l
		case "b":
			b = l
		}
	}
	f.ack(a, f.turn(1, func(c *provider.Commit) { c.Keep, c.CancelWork = true, []int32{1} }))
	f.ack(b, f.turn(1, func(c *provider.Commit) { c.Status, c.CancelWork = provider.StatusFailed, []int32{1, 2} }))
	equal(f, "H4", "statuses of the termination", fmt.Sprint(f.terminate(f.termination("c"))), "[applied]")
	equal(f, "H4", "items gone", fmt.Sprint(f.goneOf(w, items...)), "[1 2 3]")
	for _, it := range items {
		equal(f, "H4", "result for "+it.InstanceID, f.finishWork(0, it.WorkKey, it.Token), provider.Gone)
	}
	equal(f, "H4", "items in the queue", len(f.fetchWork(w, 10)), 0)
}

func workHandedOverState(f *fixture) {
	w := f.worker()
	f.scheduled(w, "a", 1)
	it := f.fetchWorkOne("W1", w)
	f.giveBack(it, func(a *provider.AbandonedWork) { a.HandOver, a.State = true, []byte(`"waits"`) })
	r := f.pulse(&provider.PulseRequest{Held: []provider.HeldWork{{WorkKey: it.WorkKey, Token: it.Token, State: []byte(`"beats"`)}}})
	equal(f, "L12", "items gone", len(r.Gone), 0)
	equal(f, "H3", "result", f.finishWork(0, it.WorkKey, it.Token), provider.Applied)
}

// livenessWorkGone has a worker hold an item for each way to lose one, and one that it keeps.
func livenessWorkGone(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	turn := f.turn(7, func(c *provider.Commit) {
		c.Keep = true
		for ev := range int32(6) {
			c.Work = append(c.Work, f.work(ev, true))
		}
	})
	f.ack(l, turn)
	var items []provider.WorkItem
	for ev := range int32(6) {
		items = append(items, provider.WorkItem{WorkKey: provider.WorkKey{Ref: l.Ref, Execution: 1, Event: ev}, Token: turn.Request})
	}
	equal(f, "L12", "items gone at first", fmt.Sprint(f.goneOf(w, items...)), "[]")
	equal(f, "L12", "gone of none", len(f.pulse(&provider.PulseRequest{Worker: w}).Gone), 0)
	item := l.item(f.turn(1, func(c *provider.Commit) { c.Keep, c.CancelWork = true, []int32{0} }))
	item.Finished = []provider.FinishedWork{{Event: 1, Token: turn.Request}}
	f.ackItem(l, item)
	equal(f, "W4", "result", f.finishWork(w, items[2].WorkKey, items[2].Token), provider.Applied)
	f.giveBack(items[3], func(*provider.AbandonedWork) {})
	f.giveBack(items[4], func(*provider.AbandonedWork) {})
	taken := f.fetchWork(other, 1)
	equal(f, "W1", "items of the other", len(taken), 1)
	equal(f, "L12", "items gone", fmt.Sprint(f.goneOf(w, items...)), "[0 1 2 3 4]")
	equal(f, "L12", "items gone of the other", fmt.Sprint(f.goneOf(other, taken...)), "[]")
	mistaken := taken[0]
	mistaken.Token = provider.NewToken()
	equal(f, "L12", "items gone that are held under another token", len(f.goneOf(other, mistaken)), 1)
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status, c.CancelWork = provider.StatusCompleted, []int32{3, 4, 5} }))
	equal(f, "L12", "items gone once the instance has ended", fmt.Sprint(f.goneOf(w, items...)), "[0 1 2 3 4 5]")
	f.scheduled(w, "b", 1)
	it := f.fetchWorkOne("W1", w)
	f.reap(w)
	equal(f, "L12", "items gone of a reaped worker", fmt.Sprint(f.goneOf(w, it)), "[1]")
}

// workHandedOverRepeat repeats the calls that granted items once these are handed over.
func workHandedOverRepeat(f *fixture) {
	w := f.worker()
	f.scheduled(w, "a", 2)
	l := f.granted(w, "b")
	fetch := &provider.FetchWorkRequest{Worker: w, Request: provider.NewToken(), Classes: []provider.ClassID{f.job}, Max: 1}
	r, err := f.p.FetchWorkItems(f.ctx, fetch)
	f.ok("W1", err)
	ack := &provider.AckRequest{Worker: w, Items: []provider.AckItem{l.item(f.turn(1, nil))},
		ClaimWork: 1, WorkClasses: []provider.ClassID{f.job}, ClaimRequest: provider.NewToken()}
	claimed, err := f.p.AckOrchestrationItems(f.ctx, ack)
	f.ok("W9", err)
	items := append(r.Work, claimed.Work...)
	equal(f, "W1", "items fetched and claimed", len(items), 2)
	for _, it := range items {
		f.handOver(it)
	}
	r, err = f.p.FetchWorkItems(f.ctx, fetch)
	f.ok("I4", err)
	equal(f, "H2", "items of the repeated fetch", len(r.Work), 0)
	claimed, err = f.p.AckOrchestrationItems(f.ctx, ack)
	f.ok("I6", err)
	equal(f, "H2", "items of the repeated claim", len(claimed.Work), 0)
	for _, it := range items {
		equal(f, "H3", "result", f.finishWork(0, it.WorkKey, it.Token), provider.Applied)
	}
}

// workStateBornLeased has work born leased leave states, by a pulse and by an abandon.
func workStateBornLeased(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	turn := f.turn(3, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.work(1, true), f.work(2, true)} })
	f.ack(l, turn)
	key := func(event int32) provider.WorkKey { return provider.WorkKey{Ref: l.Ref, Execution: 1, Event: event} }
	r := f.pulse(&provider.PulseRequest{Worker: w, Held: []provider.HeldWork{
		{WorkKey: key(1), Token: turn.Request, State: []byte(`"beat"`)}, {WorkKey: key(2), Token: turn.Request, State: []byte(`"beat"`)}}})
	equal(f, "L12", "items gone", len(r.Gone), 0)
	f.giveBack(provider.WorkItem{WorkKey: key(2), Token: turn.Request}, func(a *provider.AbandonedWork) {
		a.State = []byte(`"failed"`)
	})
	f.reap(w)
	got := map[int32]string{}
	for _, it := range f.fetchWork(other, 10) {
		got[it.Event] = fmt.Sprint(it.Attempt, string(it.State))
	}
	equal(f, "H1", "attempts and states by event", fmt.Sprint(got), fmt.Sprint(map[int32]string{1: `2"beat"`, 2: `2"failed"`}))
}
