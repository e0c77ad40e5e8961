package providertest

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl/provider"
)

var repeatCases = []Case{
	{"repeat/start", []string{"I1"}, repeatStart},
	{"repeat/start-later", []string{"I1"}, repeatStartLater},
	{"repeat/eager-start", []string{"I2"}, repeatEagerStart},
	{"repeat/fetch", []string{"I3"}, repeatFetch},
	{"repeat/fetch-after-other-owners", []string{"I3", "F6"}, repeatFetchHistory},
	{"repeat/fetch-after-release", []string{"I3", "L10"}, repeatFetchAfterRelease},
	{"repeat/work-fetch", []string{"I4"}, repeatWorkFetch},
	{"repeat/work-fetch-with-instance", []string{"I4", "W16"}, repeatWorkFetchGranted},
	{"repeat/ack", []string{"I5", "T1"}, repeatAck},
	{"repeat/ack-later", []string{"I5"}, repeatAckLater},
	{"repeat/ack-after-takeover", []string{"I5", "I6"}, repeatAckAfterTakeover},
	{"repeat/ack-of-ended", []string{"I5"}, repeatAckEnded},
	{"repeat/ack-that-continued-as-new", []string{"I5", "X1"}, repeatAckContinued},
	{"repeat/ack-returns-messages-again", []string{"I6"}, repeatAckMessages},
	{"repeat/ack-returns-grants-again", []string{"I6", "K2", "G1"}, repeatAckGrants},
	{"repeat/ack-with-message-to-itself", []string{"I6", "M10"}, repeatAckToItself},
	{"repeat/ack-returns-work-again", []string{"I6", "W9"}, repeatAckWork},
	{"repeat/ack-of-freed-grants-nothing", []string{"I6", "A10"}, repeatAckFreed},
	{"repeat/result-with-grant", []string{"I7"}, repeatResultGranted},
	{"repeat/result-without-grant", []string{"I7", "W12"}, repeatResult},
	{"repeat/enqueue", []string{"I8", "M2"}, repeatEnqueue},
	{"repeat/ack-at-once", []string{"I11"}, repeatAckAtOnce},
	{"repeat/fetch-at-once", []string{"I11", "I3"}, repeatFetchAtOnce},
	{"repeat/ack-in-batch", []string{"I5", "A8"}, repeatAckInBatch},
}

func repeatStart(f *fixture) {
	items := []provider.StartItem{{NewInstance: f.instance("a")}, {NewInstance: f.instance("b")}}
	req := &provider.StartRequest{Items: items}
	first, err := f.p.StartOrchestrations(f.ctx, req)
	f.ok("S1", err)
	for _, p := range []provider.Provider{f.p, f.handle()} {
		again, err := p.StartOrchestrations(f.ctx, req)
		f.ok("I1", err)
		for i := range items {
			equal(f, "I1", "status", again.Results[i].Status, provider.Applied)
			equal(f, "I1", "Ref", again.Results[i].Ref, first.Results[i].Ref)
		}
	}
	equal(f, "I1", "turns", len(f.history("a")), 1)
	equal(f, "I1", "instances ready", len(f.fetch(f.worker(), 10)), 2)
	equal(f, "I1", "instances", len(f.list(provider.ListQuery{})), 2)
}

func repeatStartLater(f *fixture) {
	w := f.worker()
	n := f.instance("a")
	first := f.startItem(provider.StartItem{NewInstance: n}, 0)
	again := func(when string) {
		f.Helper()
		r, err := f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Items: []provider.StartItem{{NewInstance: n}}})
		f.ok("I1", err)
		equal(f, "I1", "status of a repeat "+when, r.Results[0].Status, provider.Applied)
		equal(f, "I1", "Ref of a repeat "+when, r.Results[0].Ref, first.Ref)
	}
	l := f.fetchOne("F1", w, "a")
	again("while it is held")
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Keep = true }))
	again("after a turn")
	equal(f, "I1", "turns", len(f.history("a")), 2)
	equal(f, "I1", "owner", f.state("a").Worker, w)
	f.ack(l, f.continued(true, f.nextExecution()))
	again("after continue-as-new")
	equal(f, "I1", "execution", f.state("a").Execution, 2)
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	again("after the end")
	f.fetchNone("I1", w, "the instance has ended")
}

func repeatEagerStart(f *fixture) {
	w := f.worker()
	f.idle(w, "friend", "x")
	n := f.instance("a")
	turn := f.turn(3, func(c *provider.Commit) {
		c.Keep = true
		c.Work = []provider.NewWork{f.work(1, false), f.work(2, true)}
		c.Messages = []provider.NewMessage{event("friend", "x", "1")}
		c.Children = []provider.NewInstance{f.instance("child")}
		c.Children[0].Lease = true
	})
	req := &provider.StartRequest{Worker: w, Items: []provider.StartItem{{NewInstance: n, First: &turn}}}
	var ref provider.Ref
	for i := range 3 {
		r, err := f.p.StartOrchestrations(f.ctx, req)
		f.ok("I2", err)
		equal(f, "I2", "status", r.Results[0].Status, provider.Applied)
		f.check("I2", i == 0 || r.Results[0].Ref == ref, "Ref %v, was %v", r.Results[0].Ref, ref)
		ref = r.Results[0].Ref
		f.check("I2", len(r.Granted) == 1 && r.Granted[0].InstanceID == "child", "try %d: granted %s, want the child", i, describe(r.Granted))
	}
	equal(f, "I2", "turns", len(f.history("a")), 1)
	equal(f, "I2", "owner", f.state("a").Worker, w)
	equal(f, "I2", "work queued", len(f.fetchWork(w, 10)), 1)
	equal(f, "I2", "messages to the friend", len(f.fetchOne("M9", w, "friend").Messages), 1)
	l := &lease{provider.OrchestrationItem{Ref: ref, InstanceID: "a", Execution: 1, NextSeq: 3, Token: turn.Request}, w}
	f.ack(l, f.turn(1, nil))
	r, err := f.p.StartOrchestrations(f.ctx, req)
	f.ok("I2", err)
	equal(f, "I2", "status of a repeat after the next turn", r.Results[0].Status, provider.Applied)
	equal(f, "I2", "turns", len(f.history("a")), 2)
	equal(f, "I2", "owner", f.state("a").Worker, 0)
}

func repeatFetch(f *fixture) {
	w, other := f.worker(), f.worker()
	f.start("a")
	f.start("b")
	f.send(engineMessage("b", "1"))
	req := f.fetchRequest(w, 2, f.flow)
	first, err := f.p.FetchOrchestrationItems(f.ctx, req)
	f.ok("F1", err)
	equal(f, "F1", "items", len(first), 2)
	f.start("c")
	for _, p := range []provider.Provider{f.p, f.handle()} {
		again, err := p.FetchOrchestrationItems(f.ctx, req)
		f.ok("I3", err)
		f.check("I3", len(again) == 2, "the repeat returned %s, want a and b", describe(again))
		for _, it := range again {
			f.check("I3", it.InstanceID == "a" || it.InstanceID == "b", "the repeat granted %s", it.InstanceID)
			equal(f, "I3", "token", it.Token, req.Request)
			equal(f, "I3", "attempt", it.Attempt, 1)
			f.checkHistory("I3", &lease{it, w}, 1)
			if it.InstanceID == "b" {
				equal(f, "I3", "messages", len(it.Messages), 1)
			}
		}
	}
	theirs, err := f.p.FetchOrchestrationItems(f.ctx, &provider.FetchRequest{Worker: other, Request: req.Request, Classes: req.Classes, Max: 10})
	f.ok("I3", err)
	f.check("I3", len(theirs) == 1 && theirs[0].InstanceID == "c", "another worker fetched %s, want c", describe(theirs))
	a := &lease{first[0], w}
	f.ack(a, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	again, err := f.p.FetchOrchestrationItems(f.ctx, req)
	f.ok("I3", err)
	f.check("I3", len(again) == 1 && again[0].InstanceID == first[1].InstanceID, "the repeat returned %s, want %s", describe(again), first[1].InstanceID)
}

// repeatFetchHistory repeats a fetch by a worker that was an earlier owner: the first reply, with the turns it does not
// have, was lost, so the second must not say that it has them.
func repeatFetchHistory(f *fixture) {
	w, other := f.worker(), f.worker()
	f.idle(w, "a", "x")
	f.send(event("a", "x", "1"))
	l := f.fetchOne("F1", other, "a")
	f.ackItem(l, consuming(l.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x"} })), l.Messages))
	f.send(event("a", "x", "2"))
	req := f.fetchRequest(w, 1, f.flow)
	for range 3 {
		items, err := f.p.FetchOrchestrationItems(f.ctx, req)
		f.ok("I3", err)
		equal(f, "I3", "items", len(items), 1)
		f.checkHistory("I3", &lease{items[0], w}, 3)
		equal(f, "I3", "messages", fmt.Sprint(messageIDs(items[0].Messages)), "[2]")
	}
}

func repeatFetchAfterRelease(f *fixture) {
	w, other := f.worker(), f.worker()
	f.start("a")
	req := f.fetchRequest(w, 1, f.flow)
	items, err := f.p.FetchOrchestrationItems(f.ctx, req)
	f.ok("F1", err)
	equal(f, "F1", "items", len(items), 1)
	f.reap(w)
	got := f.fetchOne("L4", other, "a")
	again, err := f.p.FetchOrchestrationItems(f.ctx, req)
	f.ok("I3", err)
	f.check("L10", len(again) == 0, "the repeat returned %s, which another holds", describe(again))
	f.ack(got, f.turn(1, nil))
}

func repeatWorkFetch(f *fixture) {
	w, other := f.worker(), f.worker()
	f.scheduled(w, "a", 4)
	req := &provider.FetchWorkRequest{Worker: w, Request: provider.NewToken(), Classes: []provider.ClassID{f.job}, Max: 2}
	r, err := f.p.FetchWorkItems(f.ctx, req)
	f.ok("W1", err)
	first := r.Work
	equal(f, "W2", "items", len(first), 2)
	for _, p := range []provider.Provider{f.p, f.handle()} {
		r, err := p.FetchWorkItems(f.ctx, req)
		f.ok("I4", err)
		equal(f, "I4", "items", len(r.Work), 2)
		for _, it := range r.Work {
			f.check("I4", it.WorkKey == first[0].WorkKey || it.WorkKey == first[1].WorkKey, "the repeat granted %+v", it.WorkKey)
			equal(f, "I4", "token", it.Token, req.Request)
			equal(f, "I4", "attempt", it.Attempt, 1)
			f.check("I4", len(it.Input) > 0, "no input")
		}
	}
	theirs, err := f.p.FetchWorkItems(f.ctx, &provider.FetchWorkRequest{Worker: other, Request: req.Request, Classes: req.Classes, Max: 10})
	f.ok("I4", err)
	equal(f, "I4", "items for another worker", len(theirs.Work), 2)
	equal(f, "W4", "result", f.finishWork(w, first[0].WorkKey, first[0].Token), provider.Applied)
	equal(f, "W4", "result", f.finishWork(w, first[1].WorkKey, first[1].Token), provider.Applied)
}

// repeatWorkFetchGranted repeats a fetch that brought an instance with its work, also when that has moved on.
func repeatWorkFetchGranted(f *fixture) {
	w, other := f.worker(), f.worker()
	f.scheduled(other, "a", 2)
	req := f.fetchWorkServing(w, 1)
	var got *lease
	for try := range 3 {
		r, err := f.p.FetchWorkItems(f.ctx, req)
		f.ok("I4", err)
		f.check("I4", len(r.Work) == 1 && len(r.Granted) == 1, "try %d: %d items, granted %s, want one and its instance", try, len(r.Work), describe(r.Granted))
		got = &lease{r.Granted[0], w}
		equal(f, "I4", "token", got.Token, req.Request)
		equal(f, "I4", "attempt", got.Attempt, 0)
		f.checkHistory("I4", got, 2)
	}
	f.ack(got, f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x"} }))
	r, err := f.p.FetchWorkItems(f.ctx, req)
	f.ok("I4", err)
	equal(f, "I4", "items of the repeat after a commit", len(r.Work), 1)
	f.check("I4", len(r.Granted) == 0, "granted %s again, which was released", describe(r.Granted))
	equal(f, "I4", "owner", f.state("a").Worker, 0)
}

// tryTwice commits one request twice and returns both replies.
func (f *fixture) tryTwice(clause string, req *provider.AckRequest) (first, second *provider.AckReply) {
	f.Helper()
	first, err := f.p.AckOrchestrationItems(f.ctx, req)
	f.ok("A1", err)
	for i, r := range first.Results {
		equal(f, "A1", fmt.Sprint("status of item ", i), r.Status, provider.Applied)
	}
	second, err = f.p.AckOrchestrationItems(f.ctx, req)
	f.ok(clause, err)
	equal(f, clause, "number of results of the repeat", len(second.Results), len(first.Results))
	for i, r := range second.Results {
		equal(f, clause, fmt.Sprint("status of the repeated item ", i), r.Status, provider.Applied)
	}
	return first, second
}

func repeatAck(f *fixture) {
	w := f.worker()
	f.idle(w, "friend", "x")
	l := f.granted(w, "a")
	f.ack(l, f.turn(3, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.work(1, true)} }))
	item := l.item(f.turn(4, func(c *provider.Commit) {
		c.Keep = true
		c.Work = []provider.NewWork{f.work(5, false)}
		c.Timers = []provider.NewTimer{{Event: 6, FireAt: f.now().Add(-time.Second)}}
		c.Children = []provider.NewInstance{f.instance("child")}
		c.Messages = []provider.NewMessage{event("friend", "x", "1")}
	}))
	item.Finished = []provider.FinishedWork{{Event: 1, Token: l.Token}}
	req := &provider.AckRequest{Worker: w, Items: []provider.AckItem{item}}
	f.tryTwice("I5", req)
	f.pulse(&provider.PulseRequest{Worker: w}) // fires the timer, which the next repeat must not set again
	_, err := f.p.AckOrchestrationItems(f.ctx, req)
	f.ok("I5", err)
	l.advance(item.Commit)
	f.pulse(&provider.PulseRequest{Worker: w})
	equal(f, "I5", "turns", len(f.history("a")), 3)
	equal(f, "I5", "next event number", f.state("a").NextSeq, l.NextSeq)
	equal(f, "I5", "owner", f.state("a").Worker, w)
	equal(f, "I5", "work queued", len(f.fetchWork(w, 10)), 1)
	equal(f, "I5", "turns of the child", len(f.history("child")), 1)
	r := f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	equal(f, "T1", "firings of the timer", len(r.Messages), 1)
	for _, it := range f.fetch(w, 10) {
		if it.InstanceID == "friend" {
			equal(f, "I5", "messages to the friend", len(it.Messages), 1)
		}
	}
}

func repeatAckLater(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	item := l.item(f.turn(2, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.work(1, false)} }))
	f.ackItem(l, item)
	it := f.fetchWorkOne("W1", w)
	equal(f, "W4", "result", f.finishWork(w, it.WorkKey, it.Token), provider.Applied)
	for range 2 {
		f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	}
	before := f.state("a")
	equal(f, "I5", "repeat of an ack three turns ago", f.tryAck(w, item), provider.Applied)
	after := f.state("a")
	equal(f, "I5", "next event number", after.NextSeq, before.NextSeq)
	equal(f, "I5", "owner", after.Worker, w)
	equal(f, "I5", "turns", len(f.history("a")), 4)
	equal(f, "I5", "work queued", len(f.fetchWork(w, 10)), 0)
	f.ack(l, f.turn(1, nil))
}

func repeatAckAfterTakeover(f *fixture) {
	w, other := f.worker(), f.worker()
	f.idle(w, "a", "x")
	f.send(event("a", "x", "1"))
	l := f.fetchOne("F1", w, "a")
	item := l.item(f.turn(2, func(c *provider.Commit) { c.Waits = []string{"x"} }))
	f.ackItem(l, item)
	f.reap(w)
	got := f.fetchOne("L4", other, "a")
	r, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{item}})
	f.ok("I5", err)
	equal(f, "I5", "repeat after a takeover", r.Results[0].Status, provider.Applied)
	equal(f, "I6", "messages, which another has now", len(r.Results[0].Messages), 0)
	equal(f, "I6", "owner", f.state("a").Worker, other)
	f.ackItem(got, consuming(got.item(f.turn(1, nil)), got.Messages))
}

func repeatAckEnded(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.work(1, true)} }))
	item := l.item(f.turn(2, func(c *provider.Commit) { c.Status, c.Keep = provider.StatusCompleted, true }))
	item.Finished = []provider.FinishedWork{{Event: 1, Token: l.Token}}
	f.tryTwice("I5", &provider.AckRequest{Worker: w, Items: []provider.AckItem{item}})
	st := f.state("a")
	equal(f, "I5", "status", st.Status, provider.StatusCompleted)
	equal(f, "I5", "turns", len(f.history("a")), 3)
	equal(f, "I5", "owner", st.Worker, 0)
}

func repeatAckContinued(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	item := l.item(f.continued(true, f.nextExecution()))
	req := &provider.AckRequest{Worker: w, Items: []provider.AckItem{item}}
	f.tryTwice("I5", req)
	l.advance(item.Commit)
	equal(f, "X1", "execution", f.state("a").Execution, 2)
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	equal(f, "I5", "repeat after a turn of the next execution", f.tryAck(w, item), provider.Applied)
	equal(f, "I5", "execution", f.state("a").Execution, 2)
	equal(f, "I5", "next event number", f.state("a").NextSeq, 2)
	f.ack(l, f.turn(1, nil))
}

func repeatAckMessages(f *fixture) {
	w, other := f.worker(), f.worker()
	f.idle(w, "taken", "x")
	l := f.granted(w, "a")
	f.send(engineMessage("a", "1"))
	item := l.item(f.turn(2, func(c *provider.Commit) { c.Children = []provider.NewInstance{f.child(l, "taken", 1)} }))
	first, second := f.tryTwice("I6", &provider.AckRequest{Worker: w, Items: []provider.AckItem{item}})
	l.advance(item.Commit)
	want := messageIDs(first.Results[0].Messages)
	equal(f, "A11", "messages", len(want), 2)
	equal(f, "I6", "messages of the repeat", fmt.Sprint(messageIDs(second.Results[0].Messages)), fmt.Sprint(want))
	equal(f, "I6", "owner", f.state("a").Worker, w)
	f.fetchNone("I6", other, "the instance is held")
	r := f.ackItem(l, consuming(l.item(f.turn(1, nil)), second.Results[0].Messages))
	equal(f, "I6", "messages left", len(r.Results[0].Messages), 0)
}

func repeatAckGrants(f *fixture) {
	w, other := f.worker(), f.worker()
	f.idle(other, "target", "x")
	l := f.granted(w, "a")
	item := l.item(f.turn(2, func(c *provider.Commit) {
		m := event("target", "x", "1")
		m.Take = true
		child := f.child(l, "child", 1)
		child.Lease = true
		c.Messages, c.Children = []provider.NewMessage{m}, []provider.NewInstance{child}
	}))
	req := &provider.AckRequest{Worker: w, Items: []provider.AckItem{item}, Serves: []provider.ClassID{f.flow}}
	first, second := f.tryTwice("I6", req)
	for i, r := range []*provider.AckReply{first, second} {
		f.check("I6", len(r.Granted) == 2, "try %d: granted %s, want the child and the target", i, describe(r.Granted))
		for _, it := range r.Granted {
			equal(f, "I6", "token of "+it.InstanceID, it.Token, item.Request)
			equal(f, "I6", "attempt of "+it.InstanceID, it.Attempt, 1)
			if it.InstanceID == "target" {
				equal(f, "I6", "messages of the target", fmt.Sprint(messageIDs(it.Messages)), "[1]")
				f.checkHistory("I6", &lease{it, w}, 2)
			}
		}
	}
	f.fetchNone("I6", other, "both were granted")
	for _, it := range second.Granted {
		g := &lease{it, w}
		f.ackItem(g, consuming(g.item(f.turn(1, nil)), it.Messages))
	}
	third, err := f.p.AckOrchestrationItems(f.ctx, req)
	f.ok("I6", err)
	f.check("I6", len(third.Granted) == 0, "granted %s again after their turns", describe(third.Granted))
}

// repeatAckToItself: the sender holds the target already, by its own right; neither try grants it.
func repeatAckToItself(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	m := event("a", "x", "1")
	m.Take = true
	item := l.item(f.turn(1, func(c *provider.Commit) {
		c.Keep, c.Waits, c.Messages = true, []string{"x"}, []provider.NewMessage{m}
	}))
	first, second := f.tryTwice("I6", &provider.AckRequest{Worker: w, Items: []provider.AckItem{item}, Serves: []provider.ClassID{f.flow}})
	for _, r := range []*provider.AckReply{first, second} {
		equal(f, "I5", "status", r.Results[0].Status, provider.Applied)
		equal(f, "I6", "instances granted", len(r.Granted), 0)
		equal(f, "I6", "messages", len(r.Results[0].Messages), 1)
	}
}

func repeatAckWork(f *fixture) {
	w, other := f.worker(), f.worker()
	f.scheduled(other, "b", 4)
	l := f.granted(w, "a")
	req := &provider.AckRequest{Worker: w, Items: []provider.AckItem{l.item(f.turn(1, nil))}, ClaimWork: 2,
		WorkClasses: []provider.ClassID{f.job}, ClaimRequest: provider.NewToken()}
	first, second := f.tryTwice("I6", req)
	equal(f, "W9", "work claimed", len(first.Work), 2)
	equal(f, "I6", "work of the repeat", len(second.Work), 2)
	for _, it := range second.Work {
		f.check("I6", it.WorkKey == first.Work[0].WorkKey || it.WorkKey == first.Work[1].WorkKey, "the repeat claimed %+v", it.WorkKey)
		equal(f, "I6", "attempt", it.Attempt, 1)
		equal(f, "I6", "token", it.Token, req.ClaimRequest)
	}
	equal(f, "I6", "work left", len(f.fetchWork(other, 10)), 2)
}

func repeatAckFreed(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	item := l.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x"} }))
	req := &provider.AckRequest{Worker: w, Items: []provider.AckItem{item}}
	f.tryTwice("I6", req)
	f.send(event("a", "x", "1"))
	r, err := f.p.AckOrchestrationItems(f.ctx, req)
	f.ok("I6", err)
	equal(f, "I5", "status", r.Results[0].Status, provider.Applied)
	equal(f, "I6", "messages of an instance that was freed", len(r.Results[0].Messages), 0)
	equal(f, "A10", "owner", f.state("a").Worker, 0)
	f.fetchOne("I6", other, "a")
}

func repeatResultGranted(f *fixture) {
	w, other := f.worker(), f.worker()
	f.scheduled(other, "a", 1)
	it := f.fetchWorkOne("W1", w)
	req := &provider.AckWorkRequest{Worker: w, Serves: []provider.ClassID{f.flow}, Items: []provider.AckWorkItem{
		{WorkKey: it.WorkKey, Token: it.Token, Request: provider.NewToken(), Body: done(1), Take: true}}}
	var got *lease
	for i := range 3 {
		r, err := f.p.AckWorkItems(f.ctx, req)
		f.ok("I7", err)
		equal(f, "I7", "status", r.Results[0].Status, provider.Applied)
		f.check("I7", len(r.Granted) == 1 && r.Granted[0].InstanceID == "a", "try %d: granted %s, want a", i, describe(r.Granted))
		got = &lease{r.Granted[0], w}
		equal(f, "I7", "token", got.Token, req.Items[0].Request)
		equal(f, "I7", "attempt", got.Attempt, 1)
		equal(f, "I7", "messages", len(got.Messages), 1)
		f.checkHistory("I7", got, 2)
	}
	f.ackItem(got, consuming(got.item(f.turn(1, nil)), got.Messages))
	f.fetchNone("I7", other, "the result is stored once and consumed")
}

func repeatResult(f *fixture) {
	w, other := f.worker(), f.worker()
	f.scheduled(w, "a", 3)
	var items []provider.AckWorkItem
	for i, it := range f.fetchWork(other, 10) {
		items = append(items, provider.AckWorkItem{WorkKey: it.WorkKey, Token: it.Token, Request: provider.NewToken(),
			Body: done(it.Event), Take: i == 2})
	}
	for try := range 3 {
		r, err := f.p.AckWorkItems(f.ctx, &provider.AckWorkRequest{Worker: other, Items: items})
		f.ok("I7", err)
		for _, res := range r.Results {
			good := res.Status == provider.Applied || try > 0 && res.Status == provider.Gone
			f.check("I7", good, "try %d: status %v", try, res.Status)
		}
		f.check("I7", len(r.Granted) == 0, "granted %s though no class is served", describe(r.Granted))
	}
	equal(f, "I7", "messages", len(f.fetchOne("W4", w, "a").Messages), 3)
}

func repeatEnqueue(f *fixture) {
	w := f.worker()
	f.idle(w, "a", "x")
	ms := []provider.NewMessage{event("a", "x", "1"), event("a", "x", "2"), event("a", "x", "3")}
	for range 2 {
		f.send(ms...)
	}
	var order []string
	seen := map[string]bool{}
	for _, id := range messageIDs(f.fetchOne("I8", w, "a").Messages) {
		if !seen[id] {
			order = append(order, id)
		}
		seen[id] = true
	}
	equal(f, "I8", "first arrivals", fmt.Sprint(order), "[1 2 3]")
}

func repeatAckAtOnce(f *fixture) {
	w := f.worker()
	handles := []provider.Provider{f.p, f.handle()}
	l := f.granted(w, "a")
	for round := range 10 {
		item := l.item(f.turn(2, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.work(l.NextSeq, false)} }))
		errs := together(4, func(i int) error {
			r, err := handles[i%2].AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{item}})
			if err == nil && r.Results[0].Status != provider.Applied {
				err = fmt.Errorf("status %v", r.Results[0].Status)
			}
			return err
		})
		f.check("I11", len(errs) == 0, "round %d: %v", round, errs)
		l.advance(item.Commit)
		equal(f, "I11", "next event number", f.state("a").NextSeq, l.NextSeq)
		equal(f, "I11", "work queued", len(f.fetchWork(w, 10)), 1)
	}
}

func repeatFetchAtOnce(f *fixture) {
	const instances = 20
	w := f.worker()
	for i := range instances {
		f.start(fmt.Sprint("i", i))
	}
	handles := []provider.Provider{f.p, f.handle()}
	req := f.fetchRequest(w, instances, f.flow)
	var bad atomic.Int32
	errs := together(6, func(i int) error {
		items, err := handles[i%2].FetchOrchestrationItems(f.ctx, req)
		for _, it := range items {
			if it.Attempt != 1 || it.Token != req.Request {
				bad.Add(1)
			}
		}
		return err
	})
	f.check("I11", len(errs) == 0, "%v", errs)
	equal(f, "I11", "grants with another attempt or token", bad.Load(), 0)
	items, err := f.p.FetchOrchestrationItems(f.ctx, req)
	f.ok("I3", err)
	equal(f, "I3", "items of the request", len(items), instances)
}

func repeatAckInBatch(f *fixture) {
	w := f.worker()
	a, b, c := f.granted(w, "a"), f.granted(w, "b"), f.granted(w, "c")
	done := a.item(f.turn(1, func(t *provider.Commit) { t.Keep = true }))
	f.ackItem(a, done)
	stale := c.item(f.turn(1, nil))
	stale.Seq++
	r, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w,
		Items: []provider.AckItem{stale, done, b.item(f.turn(1, nil))}})
	f.ok("A8", err)
	var got []provider.ItemStatus
	for _, res := range r.Results {
		got = append(got, res.Status)
	}
	equal(f, "A8", "answers to a stale, a repeated and a new item", fmt.Sprint(got), "[fenced applied applied]")
	equal(f, "I5", "turns of a", len(f.history("a")), 2)
	equal(f, "A8", "turns of b", len(f.history("b")), 2)
}
