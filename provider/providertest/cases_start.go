package providertest

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl/provider"
)

var startCases = []Case{
	{"start/committed-with-first-turn", []string{"S1", "S2", "E7"}, startCommitted},
	{"start/taken-id", []string{"S3"}, startTakenID},
	{"start/taken-id-of-ended-instance", []string{"S3"}, startTakenByEnded},
	{"start/answers-per-item", []string{"S4", "S3"}, startPerItem},
	{"start/two-hundred-at-once", []string{"S5", "I11"}, startManyAtOnce},
	{"start/eager-whole-turn", []string{"S6", "W6"}, startEagerWholeTurn},
	{"start/eager-kept", []string{"S7", "A10"}, startEagerKept},
	{"start/eager-released", []string{"S7", "F6"}, startEagerReleased},
	{"start/eager-terminal", []string{"S7", "A12"}, startEagerTerminal},
	{"start/eager-taken-id", []string{"S3"}, startEagerTaken},
}

func startCommitted(f *fixture) {
	w := f.worker()
	n := f.instance("a")
	r := f.startItem(provider.StartItem{NewInstance: n}, 0)
	st := f.state("a")
	equal(f, "S1", "Ref in the answer", r.Ref, st.Ref)
	equal(f, "S1", "status", st.Status, provider.StatusRunning)
	equal(f, "S1", "execution", st.Execution, 1)
	equal(f, "S1", "execution id", st.ExecutionID, n.ExecutionID)
	equal(f, "S1", "next event number", st.NextSeq, 1)
	equal(f, "S1", "name", st.Name, "flow")
	equal(f, "S1", "parent", st.ParentID, "")
	f.check("S1", st.EndedAt.IsZero(), "a running instance has an end: %v", st.EndedAt)
	f.check("S1", !st.CreatedAt.IsZero(), "no creation time")
	equal(f, "E7", "Part below 0", st.Part < 0, false)
	turns := f.history("a")
	equal(f, "S1", "turns", len(turns), 1)
	equal(f, "S1", "number of the first event", turns[0].Seq, 0)
	equal(f, "S1", "count of events", turns[0].Count, 1)
	equal(f, "S1", "events", string(turns[0].Events), string(n.Events))
	l := f.fetchOne("S2", w, "a")
	equal(f, "E7", "Ref of the grant", l.Ref, r.Ref)
	equal(f, "S2", "messages of a new instance", len(l.Messages), 0)
}

func startTakenID(f *fixture) {
	w := f.worker()
	f.start("a")
	before := f.state("a")
	other := f.instance("a")
	other.Class = f.otherFlow
	r, err := f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Items: []provider.StartItem{{NewInstance: other}}})
	f.ok("S3", err)
	equal(f, "S3", "status", r.Results[0].Status, provider.Exists)
	after := f.state("a")
	equal(f, "S3", "execution id", after.ExecutionID, before.ExecutionID)
	equal(f, "S3", "name", after.Name, "flow")
	equal(f, "S3", "history", len(f.history("a")), 1)
	if items := f.fetchOf(w, 10, f.otherFlow); len(items) != 0 {
		f.fail("S3", "the refused start is ready: %s", describe(items))
	}
	f.fetchOne("S3", w, "a")
	f.fetchNone("S3", w, "one instance was started")
}

func startTakenByEnded(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	r, err := f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Items: []provider.StartItem{{NewInstance: f.instance("a")}}})
	f.ok("S3", err)
	equal(f, "S3", "status", r.Results[0].Status, provider.Exists)
	equal(f, "S3", "status of the instance", f.state("a").Status, provider.StatusCompleted)
	f.fetchNone("S3", w, "the instance has ended")
}

func startPerItem(f *fixture) {
	f.start("b")
	items := []provider.StartItem{{NewInstance: f.instance("a")}, {NewInstance: f.instance("b")}, {NewInstance: f.instance("c")}}
	r, err := f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Items: items})
	f.ok("S4", err)
	equal(f, "S4", "number of results", len(r.Results), 3)
	for i, want := range []provider.ItemStatus{provider.Applied, provider.Exists, provider.Applied} {
		equal(f, "S4", "status of "+items[i].InstanceID, r.Results[i].Status, want)
	}
	for _, i := range []int{0, 2} {
		st := f.state(items[i].InstanceID)
		equal(f, "S4", "execution id of "+st.InstanceID, st.ExecutionID, items[i].ExecutionID)
		equal(f, "S4", "Ref of "+st.InstanceID, st.Ref, r.Results[i].Ref)
	}
}

func startManyAtOnce(f *fixture) {
	const callers, rivals = 200, 20 // each rival tries ten times
	var ids [rivals]provider.ExecutionID
	for i := range ids {
		ids[i] = provider.NewExecutionID()
	}
	handles := []provider.Provider{f.p, f.handle()}
	var applied [rivals]atomic.Int32
	errs := together(callers, func(i int) error {
		n := f.instance("a")
		n.ExecutionID = ids[i%rivals]
		r, err := handles[i%2].StartOrchestrations(f.ctx, &provider.StartRequest{Items: []provider.StartItem{{NewInstance: n}}})
		if err != nil {
			return err
		}
		switch r.Results[0].Status {
		case provider.Applied:
			applied[i%rivals].Add(1)
		case provider.Exists:
		default:
			return fmt.Errorf("status %v", r.Results[0].Status)
		}
		return nil
	})
	f.check("S5", len(errs) == 0, "starting at once failed: %v", errs)
	won := f.state("a").ExecutionID
	for i := range ids {
		want := int32(0)
		if ids[i] == won {
			want = callers / rivals
		}
		equal(f, "S5", fmt.Sprintf("Applied answers of %v (won: %v)", ids[i], won), applied[i].Load(), want)
	}
	equal(f, "S5", "turns", len(f.history("a")), 1)
	f.fetchOne("S5", f.worker(), "a")
}

func startEagerWholeTurn(f *fixture) {
	w := f.worker()
	f.start("friend")
	n := f.instance("a")
	first := f.turn(5, func(c *provider.Commit) {
		c.Keep = true
		c.Work = []provider.NewWork{f.work(1, true), f.work(2, false)}
		c.Timers = []provider.NewTimer{{Event: 3, FireAt: f.now().Add(-time.Minute)}}
		c.Waits = []string{"go"}
		child := f.instance("child")
		child.Parent = &provider.Parent{InstanceID: "a", Execution: 1, Event: 4}
		c.Children = []provider.NewInstance{child}
		c.Messages = []provider.NewMessage{{Target: "friend", Kind: provider.MessageChildDone, Execution: 1, ID: "m", Body: []byte(`{}`)}}
	})
	r := f.startItem(provider.StartItem{NewInstance: n, First: &first}, w)
	turns := f.history("a")
	equal(f, "S6", "turns", len(turns), 1)
	equal(f, "S6", "first turn", fmt.Sprint(turns[0].Seq, turns[0].Count, string(turns[0].Events)), fmt.Sprint(0, 5, string(first.Events)))
	st := f.state("a")
	equal(f, "S6", "next event number", st.NextSeq, 5)
	equal(f, "S6", "owner", st.Worker, w)
	queued := f.fetchWork(w, 10)
	equal(f, "W6", "queued work items", len(queued), 1)
	equal(f, "S6", "event of the queued item", queued[0].Event, 2)
	f.pulse(&provider.PulseRequest{}) // fires the timer
	f.send(event("a", "go", "e1"))
	ready := map[string]provider.OrchestrationItem{}
	for _, it := range f.fetch(w, 10) {
		ready[it.InstanceID] = it
	}
	f.check("S6", len(ready) == 3, "fetched %v, want the child, the friend and news of the held one", ready)
	equal(f, "S6", "messages of the friend", len(ready["friend"].Messages), 1)
	equal(f, "S6", "parent of the child", f.state("child").ParentID, "a")
	equal(f, "S6", "held", ready["a"].Held, true)
	equal(f, "S6", "messages of the eagerly started (timer, event)", len(ready["a"].Messages), 2)
	l := &lease{provider.OrchestrationItem{Ref: r.Ref, InstanceID: "a", Execution: 1, NextSeq: 5, Token: first.Request}, w}
	item := l.item(f.turn(1, nil))
	item.Finished = []provider.FinishedWork{{Event: 1, Token: first.Request}}
	f.ackItem(l, item)
}

func startEagerKept(f *fixture) {
	w := f.worker()
	first := f.turn(2, func(c *provider.Commit) { c.Keep = true })
	n := f.instance("a")
	r := f.startItem(provider.StartItem{NewInstance: n, First: &first}, w)
	equal(f, "S7", "owner", f.state("a").Worker, w)
	f.fetchNone("S7", f.worker(), "the instance is held by its starter")
	l := &lease{provider.OrchestrationItem{Ref: r.Ref, InstanceID: "a", Execution: 1, NextSeq: 2, Token: first.Request}, w}
	f.ack(l, f.turn(1, nil))
}

func startEagerReleased(f *fixture) {
	w, other := f.worker(), f.worker()
	first := f.turn(2, func(c *provider.Commit) { c.Waits = []string{"go"} })
	f.startItem(provider.StartItem{NewInstance: f.instance("a"), First: &first}, w)
	equal(f, "S7", "owner", f.state("a").Worker, 0)
	f.fetchNone("S7", other, "its first turn has been run")
	f.send(event("a", "go", "e1"))
	l := f.fetchOne("S7", other, "a")
	equal(f, "S7", "next event number", l.NextSeq, 2)
	equal(f, "F6", "history omitted for another worker", l.HistoryOmitted, false)
	equal(f, "F6", "turns in the grant", len(l.History), 1)
}

func startEagerTerminal(f *fixture) {
	w := f.worker()
	first := f.turn(2, func(c *provider.Commit) { c.Status, c.Keep = provider.StatusCompleted, true })
	f.startItem(provider.StartItem{NewInstance: f.instance("a"), First: &first}, w)
	st := f.state("a")
	equal(f, "S7", "status", st.Status, provider.StatusCompleted)
	equal(f, "A12", "owner", st.Worker, 0)
	equal(f, "S7", "outcome", string(st.LastTurn.Events), string(first.Events))
	f.check("S7", !st.EndedAt.IsZero(), "no end time")
	f.fetchNone("S7", w, "the instance has ended")
}

func startEagerTaken(f *fixture) {
	w := f.worker()
	f.idle(w, "friend", "x")
	f.start("a")
	first := f.turn(2, func(c *provider.Commit) {
		c.Keep = true
		c.Work = []provider.NewWork{f.work(1, false)}
		c.Messages = []provider.NewMessage{event("friend", "x", "m")}
		c.Children = []provider.NewInstance{f.instance("child")}
		c.Timers = []provider.NewTimer{{Event: 1, FireAt: f.now().Add(time.Hour)}}
	})
	r, err := f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Worker: w,
		Items: []provider.StartItem{{NewInstance: f.instance("a"), First: &first}}})
	f.ok("S3", err)
	equal(f, "S3", "status", r.Results[0].Status, provider.Exists)
	equal(f, "S3", "history", len(f.history("a")), 1)
	equal(f, "S3", "work queued by a refused start", len(f.fetchWork(w, 10)), 0)
	f.check("S3", f.pulse(&provider.PulseRequest{}).NextTimer.IsZero(), "a refused start has set a timer")
	f.fetchOne("S3", w, "a")
}
