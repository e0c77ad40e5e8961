package providertest

import (
	"fmt"

	"github.com/pawlrun/pawl/provider"
)

var childCases = []Case{
	{"child/created-with-commit", []string{"K1"}, childCreated},
	{"child/born-leased", []string{"K2"}, childLeased},
	{"child/id-taken", []string{"K3", "A10"}, childTaken},
	{"child/id-taken-quietly", []string{"K3"}, childTakenQuietly},
	{"child/same-execution-id", []string{"K4", "K3"}, childSame},
	{"child/two-parents-one-id", []string{"K3"}, childTwoParents},
	{"child/detached", []string{"K5", "K2"}, childDetached},
	{"child/detached-id-taken", []string{"K5", "K3"}, childDetachedTaken},
	{"child/detached-at-the-end", []string{"K5"}, childDetachedAtEnd},
	{"child/outlives-parent", []string{"K1", "A12"}, childOutlives},
	{"child/reports-to-parent", []string{"G1", "M5"}, childReports},
}

// child makes a child of l scheduled by the event.
func (f *fixture) child(l *lease, id string, event int32) provider.NewInstance {
	n := f.instance(id)
	n.Parent = &provider.Parent{InstanceID: l.InstanceID, Execution: l.Execution, Event: event}
	n.ExistsBody = fmt.Appendf(nil, `{"type":"ChildFailed","scheduled":%d}`, event)
	return n
}

func childCreated(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "parent")
	ch := f.child(l, "child", 2)
	r := f.ackItem(l, l.item(f.turn(3, func(c *provider.Commit) { c.Keep, c.Children = true, []provider.NewInstance{ch} })))
	f.check("K1", len(r.Granted) == 0, "granted %s without being asked", describe(r.Granted))
	st := f.state("child")
	equal(f, "K1", "parent", st.ParentID, "parent")
	equal(f, "K1", "execution id", st.ExecutionID, ch.ExecutionID)
	equal(f, "K1", "next event number", st.NextSeq, 1)
	got := f.fetchOne("K1", other, "child")
	f.checkHistory("K1", got, 1)
	equal(f, "K1", "events", string(got.History[0].Events), string(ch.Events))
}

func childLeased(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "parent")
	ch := f.child(l, "child", 2)
	ch.Lease, ch.Class = true, f.otherFlow
	plain := f.child(l, "plain", 3)
	turn := f.turn(4, func(c *provider.Commit) { c.Children = []provider.NewInstance{plain, ch} })
	r := f.ackItem(l, l.item(turn))
	f.check("K2", len(r.Granted) == 1 && r.Granted[0].InstanceID == "child", "granted %s, want the leased child", describe(r.Granted))
	got := &lease{r.Granted[0], w}
	equal(f, "K2", "token", got.Token, turn.Request)
	equal(f, "K2", "attempt", got.Attempt, 1)
	equal(f, "K2", "Ref", got.Ref, f.state("child").Ref)
	equal(f, "K2", "execution", got.Execution, 1)
	equal(f, "K2", "execution id", got.ExecutionID, ch.ExecutionID)
	equal(f, "K2", "class", got.Class, f.otherFlow)
	equal(f, "K2", "next event number", got.NextSeq, 1)
	equal(f, "K2", "turns sent", len(got.History), 0)
	equal(f, "K2", "owner", f.state("child").Worker, w)
	items := f.fetchOf(other, 10, f.flow, f.otherFlow)
	f.check("K2", len(items) == 1 && items[0].InstanceID == "plain", "fetched %s, want the child without lease", describe(items))
	f.ack(got, f.turn(1, nil))
	equal(f, "K2", "turns of the child", len(f.history("child")), 2)
}

// checkExists checks the message that tells a parent that a child's id is taken.
func (f *fixture) checkExists(m provider.Message, ch provider.NewInstance) {
	f.Helper()
	f.check("K3", m.Kind == provider.MessageChildDone && m.Execution == ch.Parent.Execution && m.ID == ch.ExecutionID.String() &&
		string(m.Body) == string(ch.ExistsBody), "the message is %+v, want kind %d, id %v, body %s", m,
		provider.MessageChildDone, ch.ExecutionID, ch.ExistsBody)
}

func childTaken(f *fixture) {
	w, other := f.worker(), f.worker()
	f.idle(w, "taken", "x")
	l := f.granted(w, "parent")
	taken, itself, free := f.child(l, "taken", 1), f.child(l, "parent", 2), f.child(l, "free", 3)
	taken.Lease, itself.Lease = true, true
	r := f.ackItem(l, l.item(f.turn(4, func(c *provider.Commit) { c.Children = []provider.NewInstance{taken, itself, free} })))
	f.check("K3", len(r.Granted) == 0, "granted %s, none of them created", describe(r.Granted))
	ms := r.Results[0].Messages
	equal(f, "K3", "messages", len(ms), 2)
	for _, m := range ms {
		if m.ID == taken.ExecutionID.String() {
			f.checkExists(m, taken)
		} else {
			f.checkExists(m, itself)
		}
	}
	equal(f, "A10", "owner", f.state("parent").Worker, w)
	f.fetchOne("K3", other, "free")
	equal(f, "K3", "turns of the instance that has the id", len(f.history("taken")), 2)
	f.ackItem(l, consuming(l.item(f.turn(1, nil)), ms))
}

func childTakenQuietly(f *fixture) {
	w := f.worker()
	f.idle(w, "taken", "x")
	l := f.granted(w, "parent")
	ch := f.child(l, "taken", 1)
	ch.ExistsBody = nil
	r := f.ack(l, f.turn(2, func(c *provider.Commit) { c.Children = []provider.NewInstance{ch} }))
	equal(f, "K3", "messages without ExistsBody", len(r.Messages), 0)
	f.fetchNone("K3", w, "nothing was created")
}

func childSame(f *fixture) {
	w := f.worker()
	l := f.granted(w, "parent")
	ch := f.child(l, "child", 1)
	f.startItem(provider.StartItem{NewInstance: ch}, 0)
	r := f.ackItem(l, l.item(f.turn(2, func(c *provider.Commit) { c.Children = []provider.NewInstance{ch} })))
	equal(f, "K4", "messages", len(r.Results[0].Messages), 0)
	equal(f, "K4", "turns of the child", len(f.history("child")), 1)
	f.fetchOne("K4", w, "child")
}

func childTwoParents(f *fixture) {
	w := f.worker()
	ls := []*lease{f.granted(w, "p1"), f.granted(w, "p2")}
	var children [2]provider.NewInstance
	var items []provider.AckItem
	for i, l := range ls {
		children[i] = f.child(l, "child", 1)
		items = append(items, l.item(f.turn(2, func(c *provider.Commit) { c.Children = children[i : i+1] })))
	}
	r, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: items})
	f.ok("K3", err)
	won := f.state("child").ExecutionID
	for i := range ls {
		ms := r.Results[i].Messages
		if children[i].ExecutionID == won {
			equal(f, "K3", "messages to the parent of the child", len(ms), 0)
			continue
		}
		equal(f, "K3", "messages to the other parent", len(ms), 1)
		f.checkExists(ms[0], children[i])
	}
}

func childOutlives(f *fixture) {
	w := f.worker()
	l := f.granted(w, "parent")
	f.ack(l, f.turn(2, func(c *provider.Commit) {
		c.Status, c.Children = provider.StatusCompleted, []provider.NewInstance{f.child(l, "child", 1)}
	}))
	got := f.fetchOne("K1", w, "child")
	r := f.ack(got, f.turn(1, func(c *provider.Commit) {
		c.Status, c.Messages = provider.StatusCompleted, []provider.NewMessage{engineMessage("parent", "late")}
	}))
	equal(f, "A12", "messages", len(r.Messages), 0)
	f.fetchNone("A12", w, "both have ended")
}

func childReports(f *fixture) {
	w := f.worker()
	l := f.granted(w, "parent")
	ch := f.child(l, "child", 1)
	ch.Lease = true
	r := f.ackItem(l, l.item(f.turn(2, func(c *provider.Commit) { c.Children = []provider.NewInstance{ch} })))
	equal(f, "K2", "instances granted", len(r.Granted), 1)
	got := &lease{r.Granted[0], w}
	report := engineMessage("parent", "done")
	report.Take = true
	r = f.ackItem(got, got.item(f.turn(1, func(c *provider.Commit) {
		c.Status, c.Messages = provider.StatusCompleted, []provider.NewMessage{report}
	})))
	f.check("G1", len(r.Granted) == 1 && r.Granted[0].InstanceID == "parent", "granted %s, want the parent", describe(r.Granted))
	equal(f, "M5", "messages", fmt.Sprint(messageIDs(r.Granted[0].Messages)), "[done]")
}

// detached makes a child that is nobody's.
func (f *fixture) detached(l *lease, id string, event int32) provider.NewInstance {
	n := f.child(l, id, event)
	n.Parent = nil
	return n
}

func childDetached(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "parent")
	ready, leased := f.detached(l, "ready", 2), f.detached(l, "leased", 3)
	leased.Lease = true
	turn := f.turn(4, func(c *provider.Commit) { c.Keep, c.Children = true, []provider.NewInstance{ready, leased} })
	r := f.ackItem(l, l.item(turn))
	f.check("K2", len(r.Granted) == 1 && r.Granted[0].InstanceID == "leased", "granted %s, want the leased one", describe(r.Granted))
	got := f.fetchOne("K5", other, "ready")
	f.checkHistory("K5", got, 1)
	for _, n := range []provider.NewInstance{ready, leased} {
		st := f.state(n.InstanceID)
		equal(f, "K5", "parent of "+n.InstanceID, st.ParentID, "")
		equal(f, "K5", "execution id of "+n.InstanceID, st.ExecutionID, n.ExecutionID)
	}
	f.terminateOne(f.termination("ready"))
	f.ack(&lease{r.Granted[0], w}, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	equal(f, "K5", "messages to who started them", len(f.ack(l, f.turn(1, nil)).Messages), 0)
}

func childDetachedTaken(f *fixture) {
	w := f.worker()
	f.idle(w, "taken", "x")
	l := f.granted(w, "parent")
	loud, quiet := f.detached(l, "taken", 1), f.detached(l, "parent", 2)
	quiet.ExistsBody = nil
	r := f.ack(l, f.turn(3, func(c *provider.Commit) { c.Children = []provider.NewInstance{loud, quiet} }))
	equal(f, "K5", "messages", len(r.Messages), 1)
	m := r.Messages[0]
	f.check("K5", m.Kind == provider.MessageChildDone && m.Execution == 1 && m.ID == loud.ExecutionID.String() &&
		string(m.Body) == string(loud.ExistsBody), "the message is %+v, want id %v, body %s", m, loud.ExecutionID, loud.ExistsBody)
	equal(f, "K5", "parent of the instance that has the id", f.state("taken").ParentID, "")
	equal(f, "K5", "owner", f.state("parent").Worker, w)
	f.ackItem(l, consuming(l.item(f.turn(1, nil)), r.Messages))
	f.fetchNone("K5", w, "nothing was created")
}

// childDetachedAtEnd starts detached instances in the turn that ends the execution, and with an eager start.
func childDetachedAtEnd(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	next := f.continued(false, f.nextExecution())
	next.Children = []provider.NewInstance{f.detached(l, "of-a", 1)}
	f.ack(l, next)
	items := f.fetch(w, 10)
	equal(f, "K5", "instances that are ready", fmt.Sprint(grantedIDs(items)), "[a of-a]")
	for _, it := range items {
		if it.InstanceID == "a" {
			l = &lease{it, w}
		}
	}
	f.ack(l, f.turn(1, func(c *provider.Commit) {
		c.Status, c.Children = provider.StatusCompleted, []provider.NewInstance{f.detached(l, "last", 2)}
	}))
	f.fetchOne("K5", w, "last")
	first := f.turn(2, func(c *provider.Commit) { c.Children = []provider.NewInstance{f.detached(l, "of-b", 1)} })
	f.startItem(provider.StartItem{NewInstance: f.instance("b"), First: &first}, w)
	f.fetchOne("K5", w, "of-b")
	for _, id := range []string{"of-a", "last", "of-b"} {
		equal(f, "K5", "parent of "+id, f.state(id).ParentID, "")
	}
}
