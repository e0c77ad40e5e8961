package providertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/pawlrun/pawl/provider"
)

var terminateCases = []Case{
	{"terminate/free", []string{"D1", "R2"}, terminateFree},
	{"terminate/held", []string{"D1", "D2"}, terminateHeld},
	{"terminate/parked", []string{"D1"}, terminateParked},
	{"terminate/execution", []string{"D1", "D5"}, terminateExecution},
	{"terminate/what-is-queued", []string{"D3", "L12"}, terminateQueued},
	{"terminate/answers-per-item", []string{"D4", "I9"}, terminatePerItem},
	{"terminate/repeated-ack-and-start", []string{"I5", "I1", "D2"}, terminateRepeats},
	{"terminate/tells-free-parent", []string{"D5"}, terminateTellsParent},
	{"terminate/tells-holder-of-parent", []string{"D5", "F8"}, terminateTellsHolder},
	{"terminate/answer-by-every-grant", []string{"D5"}, terminateAnswerGranted},
	{"terminate/tells-parked-parent", []string{"D5", "B4"}, terminateTellsParked},
	{"terminate/tells-no-ended-parent", []string{"D5"}, terminateTellsNobody},
	{"terminate/children", []string{"D6"}, terminateChildren},
	{"terminate/without-children", []string{"D6"}, terminateWithoutChildren},
	{"terminate/parent-and-child-in-one-call", []string{"D4", "D5"}, terminateFamily},
	{"terminate/done", []string{"D1", "L8"}, terminateDone},
	{"terminate/many-in-one-call", []string{"D4", "D5"}, terminateMany},
	{"ack/terminal-statuses", []string{"A12", "R7"}, ackTerminalStatuses},
}

// termination makes a termination with an event and an answer of its own.
func (f *fixture) termination(id string) provider.Termination {
	n := f.serial.Add(1)
	return provider.Termination{InstanceID: id, Events: fmt.Appendf(nil, `[ {"type":"Terminated", "serial":%d} ]`, n),
		Answer: fmt.Appendf(nil, `{"type":"ChildTerminated", "serial":%d}`, n)}
}

// terminate terminates instances and returns the statuses.
func (f *fixture) terminate(items ...provider.Termination) []provider.ItemStatus {
	f.Helper()
	st, err := f.p.TerminateInstances(f.ctx, items)
	f.ok("D1", err)
	equal(f, "D4", "number of statuses", len(st), len(items))
	return st
}

// terminateOne terminates an instance, which must be applied.
func (f *fixture) terminateOne(t provider.Termination) {
	f.Helper()
	equal(f, "D1", "status of the termination of "+t.InstanceID, f.terminate(t)[0], provider.Applied)
}

// checkTerminated checks that an instance was ended by a termination after so many turns and events.
func (f *fixture) checkTerminated(clause string, t provider.Termination, id string, turns int, events int32) {
	f.Helper()
	st := f.state(id)
	equal(f, clause, "status of "+id, st.Status, provider.StatusTerminated)
	f.check(clause, !st.EndedAt.IsZero(), "%s has no end time", id)
	equal(f, clause, "owner of "+id, st.Worker, 0)
	f.check(clause, st.Parked == nil, "%s has ended and is parked: %s", id, st.Parked)
	equal(f, clause, "next event number of "+id, st.NextSeq, events+1)
	last := provider.Turn{Seq: events, Count: 1, Events: t.Events}
	f.checkTurns(clause, []provider.Turn{st.LastTurn}, []provider.Turn{last})
	history := f.history(id)
	equal(f, clause, "turns of "+id, len(history), turns+1)
	f.checkTurns(clause, history[turns:], []provider.Turn{last})
}

// spawn has l commit a turn that starts a child, which the same worker holds then; l is kept.
func (f *fixture) spawn(l *lease, id string, event int32) *lease {
	f.Helper()
	ch := f.child(l, id, event)
	ch.Lease = true
	r := f.ackItem(l, l.item(f.turn(1, func(c *provider.Commit) { c.Keep, c.Children = true, []provider.NewInstance{ch} })))
	f.check("K2", len(r.Granted) == 1 && r.Granted[0].InstanceID == id, "granted %s, want %s", describe(r.Granted), id)
	return &lease{r.Granted[0], l.worker}
}

func terminateFree(f *fixture) {
	w := f.worker()
	f.idle(w, "idle", "x")
	f.start("new")
	f.send(event("idle", "x", "1"))
	a, b := f.termination("new"), f.termination("idle")
	equal(f, "D1", "statuses", fmt.Sprint(f.terminate(a, b)), "[applied applied]")
	f.checkTerminated("D1", a, "new", 1, 1)
	f.checkTerminated("D1", b, "idle", 2, 2)
	f.fetchNone("D3", w, "both were terminated")
	p := f.pulse(&provider.PulseRequest{Worker: w, Classes: []provider.ClassID{f.flow}})
	equal(f, "D3", "ready", p.OrchestrationsReady, false)
	terminated := provider.StatusTerminated
	equal(f, "R7", "instances listed as terminated", len(f.list(provider.ListQuery{Status: &terminated})), 2)
}

func terminateHeld(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Keep = true }))
	f.send(engineMessage("a", "1"))
	t := f.termination("a")
	st, err := f.handle().TerminateInstances(f.ctx, []provider.Termination{t})
	f.ok("D1", err)
	equal(f, "D1", "statuses", fmt.Sprint(st), "[applied]")
	f.checkTerminated("D1", t, "a", 2, 3)
	equal(f, "D2", "ack of the holder", f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
	after := l.item(f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	after.Seq++
	equal(f, "D2", "ack of the holder at the next event number", f.tryAck(w, after), provider.Fenced)
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token, Park: []byte(`"late"`)})
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token})
	f.checkTerminated("D2", t, "a", 2, 3)
	for _, it := range f.fetch(w, 10) {
		f.fail("D3", "fetched %s, which was terminated", it.InstanceID)
	}
}

func terminateParked(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token, Park: []byte(`"why"`)})
	l = f.granted(w, "b")
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token, Delay: time.Hour})
	a, b := f.termination("a"), f.termination("b")
	equal(f, "D1", "statuses", fmt.Sprint(f.terminate(a, b)), "[applied applied]")
	f.checkTerminated("D1", a, "a", 1, 1)
	f.checkTerminated("D1", b, "b", 1, 1)
	equal(f, "D1", "instances listed as parked", len(f.list(provider.ListQuery{ParkedOnly: true})), 0)
	st, err := f.p.ResumeInstances(f.ctx, []string{"a"})
	f.ok("B5", err)
	equal(f, "B5", "resume", fmt.Sprint(st), "[gone]")
	f.fetchNone("D3", w, "both were terminated")
}

// terminateExecution terminates a child in its second execution: the parent hears the id of the first.
func terminateExecution(f *fixture) {
	w := f.worker()
	parent := f.granted(w, "parent")
	l := f.spawn(parent, "a", 1)
	first := l.ExecutionID
	f.ack(l, f.continued(true, f.nextExecution()))
	f.ack(l, f.turn(3, func(c *provider.Commit) { c.Keep = true }))
	t := f.termination("a")
	f.terminateOne(t)
	f.checkTerminated("D1", t, "a", 2, 4)
	equal(f, "D1", "execution", f.state("a").Execution, 2)
	equal(f, "D1", "turns of the first execution", len(f.historyOf("a", 1)), 2)
	r := f.ack(parent, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	equal(f, "D5", "messages of the parent", fmt.Sprint(messageIDs(r.Messages)), fmt.Sprint([]string{first.String()}))
}

// terminateQueued terminates an instance with work queued, leased, born leased and handed over, and with timers.
func terminateQueued(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	turn := f.turn(6, func(c *provider.Commit) {
		c.Keep, c.Waits = true, []string{"x"}
		c.Work = []provider.NewWork{f.work(1, false), f.work(2, false), f.work(3, true)}
		c.Timers = []provider.NewTimer{{Event: 4, FireAt: f.now().Add(time.Hour)}, {Event: 5, FireAt: f.now().Add(-time.Second)}}
	})
	f.ack(l, turn)
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.work(6, false)} }))
	held := f.fetchWork(other, 2)
	equal(f, "W1", "items", len(held), 2)
	f.handOver(held[0])
	held = append(held, provider.WorkItem{WorkKey: provider.WorkKey{Ref: l.Ref, Execution: 1, Event: 3}, Token: turn.Request})
	f.send(engineMessage("a", "1"), event("a", "x", "2"), event("a", "y", "3"))
	f.terminateOne(f.termination("a"))
	f.fetchNone("D3", w, "the instance was terminated")
	equal(f, "D3", "items in the queue", len(f.fetchWork(w, 10)), 0)
	p := f.pulse(&provider.PulseRequest{Worker: w, Classes: []provider.ClassID{f.flow}, WorkClasses: []provider.ClassID{f.job}})
	f.check("D3", p.NextTimer.IsZero(), "a timer of the terminated instance is pending for %v", p.NextTimer)
	f.check("D3", !p.WorkReady && !p.OrchestrationsReady, "work ready %t, orchestrations ready %t", p.WorkReady, p.OrchestrationsReady)
	equal(f, "L12", "items gone", len(f.goneOf(other, held...)), 3)
	for _, it := range held {
		equal(f, "D3", fmt.Sprintf("result of the work of event %d", it.Event), f.finishWork(other, it.WorkKey, it.Token), provider.Gone)
	}
	f.abandonWorkItem(held[1], false, 0)
	f.ok("L6", f.p.RetireWorker(f.ctx, other))
	equal(f, "D3", "items in the queue after late calls", len(f.fetchWork(w, 10)), 0)
	st, err := f.p.EnqueueMessages(f.ctx, []provider.NewMessage{engineMessage("a", "late")})
	f.ok("D3", err)
	equal(f, "D3", "status of a message", fmt.Sprint(st), "[gone]")
	f.fetchNone("D3", w, "the instance was terminated and got a message")
}

func terminatePerItem(f *fixture) {
	w := f.worker()
	l := f.granted(w, "completed")
	last := f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted })
	f.ack(l, last)
	f.start("a")
	f.start("b")
	a := f.termination("a")
	st := f.terminate(f.termination("nobody"), f.termination("completed"), a, f.termination("b"), f.termination("a"))
	equal(f, "D4", "statuses", fmt.Sprint(st), "[not-found gone applied applied gone]")
	equal(f, "D4", "status of the completed", f.state("completed").Status, provider.StatusCompleted)
	equal(f, "D4", "outcome of the completed", string(f.state("completed").LastTurn.Events), string(last.Events))
	f.checkTerminated("D4", a, "a", 1, 1)
	ended := f.state("a").EndedAt
	equal(f, "I9", "statuses of a repeat", fmt.Sprint(f.terminate(a, f.termination("a"))), "[gone gone]")
	f.checkTerminated("D4", a, "a", 1, 1)
	f.check("D4", f.state("a").EndedAt.Equal(ended), "a repeat has moved the end")
}

func terminateRepeats(f *fixture) {
	w := f.worker()
	n := f.start("a")
	l := f.fetchOne("F1", w, "a")
	item := l.item(f.turn(1, func(c *provider.Commit) { c.Keep, c.Waits = true, []string{"x"} }))
	equal(f, "A1", "ack", f.tryAck(w, item), provider.Applied)
	t := f.termination("a")
	f.terminateOne(t)
	equal(f, "I5", "repeated ack", f.tryAck(w, item), provider.Applied)
	l.advance(item.Commit)
	for range 2 { // at the number it expects, and after the event of the termination
		equal(f, "D2", "next ack", f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
		l.NextSeq++
	}
	f.startItem(provider.StartItem{NewInstance: n}, 0)
	f.checkTerminated("D2", t, "a", 2, 2)
	f.fetchNone("D3", w, "the instance was terminated")
}

// checkAnswer checks the message that tells a parent of a terminated child.
func (f *fixture) checkAnswer(m provider.Message, t provider.Termination, child *lease, execution, event int32) {
	f.Helper()
	f.check("D5", m.Kind == provider.MessageChildDone && m.Execution == execution && m.Event == event && m.Name == "" &&
		m.ID == child.ExecutionID.String() && string(m.Body) == string(t.Answer) && !m.At.IsZero(),
		"the message is %+v (body %s), want kind %d, execution %d, event %d, id %v, body %s", m, m.Body,
		provider.MessageChildDone, execution, event, child.ExecutionID, t.Answer)
}

func terminateTellsParent(f *fixture) {
	w, other := f.worker(), f.worker()
	parent := f.granted(w, "parent")
	f.ack(parent, f.continued(true, f.nextExecution()))
	a, b := f.spawn(parent, "a", 7), f.spawn(parent, "b", 8)
	f.ack(parent, f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x"} }))
	f.fetchNone("F3", other, "the parent waits")
	ta := f.termination("a")
	f.terminateOne(ta)
	equal(f, "D4", "statuses of a repeat", fmt.Sprint(f.terminate(ta)), "[gone]")
	got := f.fetchOne("D5", other, "parent")
	equal(f, "D5", "messages", len(got.Messages), 1)
	f.checkAnswer(got.Messages[0], ta, a, 2, 7)
	tb := f.termination("b")
	f.terminateOne(tb)
	r := f.ackItem(got, consuming(got.item(f.turn(1, nil)), got.Messages)).Results[0]
	equal(f, "D5", "messages", len(r.Messages), 1)
	f.checkAnswer(r.Messages[0], tb, b, 2, 8)
	f.ackItem(got, consuming(got.item(f.turn(1, nil)), r.Messages))
	f.fetchNone("D5", w, "all answers are used up")
}

func terminateTellsHolder(f *fixture) {
	w, other := f.worker(), f.worker()
	parent := f.granted(w, "parent")
	child := f.spawn(parent, "a", 3)
	t := f.termination("a")
	f.terminateOne(t)
	f.fetchNone("F8", other, "the parent is held by another worker")
	ready := f.pulse(&provider.PulseRequest{Worker: w, Classes: []provider.ClassID{f.flow}}).OrchestrationsReady
	equal(f, "D5", "news for the holder", ready, true)
	news := f.fetchOne("D5", w, "parent")
	equal(f, "D5", "held", news.Held, true)
	equal(f, "D5", "token", news.Token, parent.Token)
	equal(f, "D5", "messages", len(news.Messages), 1)
	f.checkAnswer(news.Messages[0], t, child, 1, 3)
	f.ackItem(parent, consuming(parent.item(f.turn(1, nil)), news.Messages))
	f.fetchNone("D5", w, "the answer is used up")
}

// terminateAnswerGranted has the answer come with grants by a fetch of work, with a result and with a message.
func terminateAnswerGranted(f *fixture) {
	w, other := f.worker(), f.worker()
	sender := f.granted(other, "sender")
	for n, grants := range []func(parent *lease) []provider.OrchestrationItem{
		func(*lease) []provider.OrchestrationItem {
			r, err := f.p.FetchWorkItems(f.ctx, f.fetchWorkServing(other, 10))
			f.ok("W16", err)
			return r.Granted
		},
		func(*lease) []provider.OrchestrationItem {
			it := f.fetchWorkOne("W1", other)
			r, err := f.p.AckWorkItems(f.ctx, &provider.AckWorkRequest{Worker: other, Serves: []provider.ClassID{f.flow}, Items: []provider.AckWorkItem{
				{WorkKey: it.WorkKey, Token: it.Token, Request: provider.NewToken(), Body: done(it.Event), Take: true}}})
			f.ok("W10", err)
			return r.Granted
		},
		func(parent *lease) []provider.OrchestrationItem {
			m := engineMessage(parent.InstanceID, "m")
			m.Take = true
			r, _ := f.sendTaking(sender, []provider.ClassID{f.flow}, m)
			return r.Granted
		},
	} {
		parent := f.granted(w, fmt.Sprint("parent", n))
		child := f.spawn(parent, fmt.Sprint("child", n), 7)
		f.ack(parent, f.turn(9, func(c *provider.Commit) { c.Work = []provider.NewWork{f.work(8, false)} }))
		t := f.termination(child.InstanceID)
		f.terminateOne(t)
		granted := grants(parent)
		f.check("D5", len(granted) == 1 && granted[0].InstanceID == parent.InstanceID && len(granted[0].Messages) > 0,
			"way %d: granted %s, want %s with an answer", n, describe(granted), parent.InstanceID)
		f.checkAnswer(granted[0].Messages[0], t, child, 1, 7)
		f.fetchWork(other, 10)
	}
}

func terminateTellsParked(f *fixture) {
	w := f.worker()
	parent := f.granted(w, "parent")
	child := f.spawn(parent, "a", 1)
	f.suspend(`1`, "parent")
	t := f.termination("a")
	f.terminateOne(t)
	f.fetchNone("B4", w, "the parent is suspended")
	f.resume("parent")
	got := f.fetchOne("D5", w, "parent")
	equal(f, "D5", "messages", len(got.Messages), 1)
	f.checkAnswer(got.Messages[0], t, child, 1, 1)
}

func terminateTellsNobody(f *fixture) {
	w := f.worker()
	parent := f.granted(w, "parent")
	f.spawn(parent, "a", 1)
	f.ack(parent, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	f.start("alone")
	n := f.instance("orphan")
	n.Parent = &provider.Parent{InstanceID: "nobody", Execution: 1, Event: 1}
	f.startItem(provider.StartItem{NewInstance: n}, 0)
	st := f.terminate(f.termination("a"), f.termination("alone"), f.termination("orphan"))
	equal(f, "D5", "statuses", fmt.Sprint(st), "[applied applied applied]")
	f.fetchNone("D5", w, "everything has ended")
	equal(f, "D5", "status of the parent", f.state("parent").Status, provider.StatusCompleted)
	equal(f, "D5", "turns of the parent", len(f.history("parent")), 3)
}

// family makes root > child > grandchild > great, all held by w but the last, and two that are no children of them: one
// that the child has started detached, and a stranger.
func (f *fixture) family(w provider.WorkerID) (root, child, grandchild *lease) {
	f.Helper()
	root = f.granted(w, "root")
	child = f.spawn(root, "child", 1)
	grandchild = f.spawn(child, "grandchild", 1)
	great := f.child(grandchild, "great", 1)
	detached := f.child(child, "detached", 2)
	detached.Parent = nil
	f.ack(grandchild, f.turn(1, func(c *provider.Commit) { c.Keep, c.Children = true, []provider.NewInstance{great} }))
	f.ack(child, f.turn(1, func(c *provider.Commit) { c.Keep, c.Children = true, []provider.NewInstance{detached} }))
	f.start("stranger")
	return root, child, grandchild
}

func terminateChildren(f *fixture) {
	w, other := f.worker(), f.worker()
	root, child, grandchild := f.family(w)
	ended := f.spawn(root, "ended", 2)
	f.ack(ended, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	f.ack(grandchild, f.turn(1, func(c *provider.Commit) {
		c.Keep, c.Work = true, []provider.NewWork{f.work(3, false), f.work(4, true)}
		c.Timers = []provider.NewTimer{{Event: 5, FireAt: f.now().Add(time.Hour)}}
	}))
	born := provider.WorkKey{Ref: grandchild.Ref, Execution: 1, Event: 4}
	token := grandchild.Token
	t := f.termination("root")
	t.Children = true
	f.terminateOne(t)
	f.checkTerminated("D6", t, "root", len(f.history("root"))-1, root.NextSeq)
	f.checkTerminated("D6", t, "child", 3, child.NextSeq)
	f.checkTerminated("D6", t, "grandchild", 3, grandchild.NextSeq)
	f.checkTerminated("D6", t, "great", 1, 1)
	equal(f, "D6", "status of the child that had ended", f.state("ended").Status, provider.StatusCompleted)
	for _, l := range []*lease{root, child, grandchild} {
		equal(f, "D6", "ack of "+l.InstanceID, f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
	}
	equal(f, "D6", "result of a grandchild's work", f.finishWork(w, born, token), provider.Gone)
	equal(f, "D6", "items in the queue", len(f.fetchWork(other, 10)), 0)
	f.check("D6", f.pulse(&provider.PulseRequest{}).NextTimer.IsZero(), "the grandchild's timer is pending")
	got := grantedIDs(f.fetch(other, 10))
	equal(f, "D6", "instances that go on", fmt.Sprint(got), "[detached stranger]")
}

// grantedIDs returns the instance ids of items, sorted.
func grantedIDs(items []provider.OrchestrationItem) []string {
	var ids []string
	for _, it := range items {
		ids = append(ids, it.InstanceID)
	}
	slices.Sort(ids)
	return ids
}

func terminateWithoutChildren(f *fixture) {
	w, other := f.worker(), f.worker()
	root, child, grandchild := f.family(w)
	t := f.termination("root")
	f.terminateOne(t)
	f.checkTerminated("D6", t, "root", 2, root.NextSeq)
	equal(f, "D6", "instances that are ready", fmt.Sprint(grantedIDs(f.fetch(other, 10))), "[detached great stranger]")
	f.ack(child, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	f.ack(grandchild, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	middle := f.termination("grandchild")
	middle.Children = true
	f.terminateOne(middle)
	f.checkTerminated("D6", middle, "great", 1, 1)
	r := f.ack(child, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	equal(f, "D5", "messages of the child", len(r.Messages), 1)
	f.checkAnswer(r.Messages[0], middle, grandchild, 1, 1)
}

func terminateFamily(f *fixture) {
	w := f.worker()
	root, child, grandchild := f.family(w)
	tc, tg := f.termination("child"), f.termination("grandchild")
	st := f.terminate(tg, tc, f.termination("grandchild"))
	equal(f, "D4", "statuses", fmt.Sprint(st), "[applied applied gone]")
	f.checkTerminated("D4", tg, "grandchild", 2, grandchild.NextSeq)
	f.checkTerminated("D4", tc, "child", 3, child.NextSeq)
	r := f.ack(root, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	equal(f, "D5", "messages of the root", len(r.Messages), 1)
	f.checkAnswer(r.Messages[0], tc, child, 1, 1)
	last := f.termination("root")
	last.Children = true
	late := f.spawn(root, "late", 9)
	st = f.terminate(last, f.termination("late"), f.termination("great"))
	equal(f, "D4", "statuses", fmt.Sprint(st), "[applied gone applied]")
	f.checkTerminated("D6", last, "late", 1, late.NextSeq)
}

func terminateDone(f *fixture) {
	f.start("a")
	f.start("b")
	_, err := f.p.ReadInstances(f.ctx, []string{"a", "b"}, true)
	f.ok("R1", err)
	t := f.termination("a")
	f.terminateOne(t)
	r := f.pulse(&provider.PulseRequest{Watch: []string{"a", "b"}})
	f.check("L8", len(r.Done) == 1 && r.Done[0].InstanceID == "a", "done: %+v, want a", r.Done)
	equal(f, "L8", "status", r.Done[0].Status, provider.StatusTerminated)
	equal(f, "L8", "last turn", string(r.Done[0].LastTurn.Events), string(t.Events))
}

func ackTerminalStatuses(f *fixture) {
	w := f.worker()
	for _, status := range []provider.InstanceStatus{provider.StatusCompleted, provider.StatusFailed, provider.StatusCancelled, provider.StatusTerminated} {
		id := status.String()
		l := f.granted(w, id)
		f.send(engineMessage(id, "1"))
		r := f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = status }))
		equal(f, "A12", "messages", len(r.Messages), 0)
		st := f.state(id)
		equal(f, "A12", "status", st.Status, status)
		equal(f, "A12", "owner of "+id, st.Worker, 0)
		f.check("A12", !st.EndedAt.IsZero(), "%s has no end time", id)
		equal(f, "A12", "next ack of "+id, f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
		listed := f.list(provider.ListQuery{Status: &status})
		f.check("R7", len(listed) == 1 && listed[0].InstanceID == id, "%d instances listed as %s, want one", len(listed), id)
	}
	f.fetchNone("A12", w, "all have ended")
}

// terminateMany terminates many children of two parents with one call, each with an event and answer of its own.
func terminateMany(f *fixture) {
	const n = 30
	w := f.worker()
	parents := []*lease{f.granted(w, "p0"), f.granted(w, "p1")}
	var children [2][]provider.NewInstance
	var ts []provider.Termination
	for i := range n {
		p := i % 2
		ch := f.child(parents[p], fmt.Sprint("child", i), int32(i+10))
		children[p] = append(children[p], ch)
		ts = append(ts, f.termination(ch.InstanceID), f.termination(fmt.Sprint("nobody", i)))
	}
	for p, l := range parents {
		f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep, c.Children = true, children[p] }))
	}
	st := f.terminate(ts...)
	for i := range n {
		equal(f, "D4", fmt.Sprint("statuses of pair ", i), fmt.Sprint(st[2*i:2*i+2]), "[applied not-found]")
		f.checkTerminated("D4", ts[2*i], ts[2*i].InstanceID, 1, 1)
	}
	for p, l := range parents {
		ms := f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep = true })).Messages
		equal(f, "D5", "messages of "+l.InstanceID, len(ms), n/2)
		for _, m := range ms {
			i := int(m.Event) - 10
			f.check("D5", i >= 0 && i < n && i%2 == p, "%s got a message of event %d", l.InstanceID, m.Event)
			f.checkAnswer(m, ts[2*i], &lease{provider.OrchestrationItem{ExecutionID: children[p][i/2].ExecutionID}, w}, 1, m.Event)
		}
	}
}
