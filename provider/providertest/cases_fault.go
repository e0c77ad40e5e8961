package providertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// Each of these cases runs the same life of a few instances again and again, each time with another call of one method
// failing, lost before or after it was committed, and repeated by its caller. The end must always be the same.
var faultCases = []Case{
	{"fault/register", []string{"I10"}, faultsIn("RegisterClasses")},
	{"fault/start", []string{"I10", "I1", "I2"}, faultsIn("StartOrchestrations")},
	{"fault/enqueue", []string{"I10", "I8"}, faultsIn("EnqueueMessages")},
	{"fault/fetch", []string{"I10", "I3"}, faultsIn("FetchOrchestrationItems")},
	{"fault/ack", []string{"I10", "I5", "I6"}, faultsIn("AckOrchestrationItems")},
	{"fault/fetch-work", []string{"I10", "I4"}, faultsIn("FetchWorkItems")},
	{"fault/ack-work", []string{"I10", "I7"}, faultsIn("AckWorkItems")},
	{"fault/abandon", []string{"I10", "I9"}, faultsIn("AbandonItems")},
	{"fault/pulse", []string{"I10", "I9"}, faultsIn("Pulse")},
	{"fault/retire", []string{"I10", "I9"}, faultsIn("RetireWorker")},
	{"fault/resume", []string{"I10", "I9"}, faultsIn("ResumeInstances")},
	{"fault/suspend", []string{"I10", "I9"}, faultsIn("SuspendInstances")},
	{"fault/terminate", []string{"I10", "I9"}, faultsIn("TerminateInstances")},
	{"fault/random", []string{"I10"}, faultsAtRandom},
	{"fault/proxy", []string{"I10", "E1"}, faultProxy},
}

// faultsIn returns the case that lets every call of a method fail in both ways, one at a time.
func faultsIn(op string) func(*fixture) {
	return func(f *fixture) {
		calls := 0
		counting := func(o string, n int) Fault {
			if o == op {
				calls = max(calls, n+1)
			}
			return NoFault
		}
		f.live(counting, "no fault")
		f.check("I10", calls > 0, "the life makes no call of %s", op)
		for n := range calls {
			for _, fault := range []Fault{LostBefore, LostAfter} {
				f.live(FaultAt(op, n, fault), fmt.Sprintf("%s call %d %v", op, n, fault))
			}
		}
	}
}

func faultsAtRandom(f *fixture) {
	for range 10 {
		seed := rand.Uint64()
		f.live(RandomFaults(seed, 30), fmt.Sprintf("seed %d", seed))
	}
}

// live runs the life of a few instances under a plan of faults.
func (f *fixture) live(plan FaultPlan, what string) {
	f.Helper()
	g := *f
	g.p = repeating{Faulty(f.p, plan)}
	g.T = told{f.T, what}
	(&life{fixture: &g, name: f.fresh("life")}).run()
}

// told is a T that says in every failure what was going on.
type told struct {
	T
	what string
}

func (t told) Fatalf(format string, args ...any) {
	t.Helper()
	t.T.Fatalf("%s\n  with %s", fmt.Sprintf(format, args...), t.what)
}

// life is one run of the story: a parent, its child and a friend, with work, timers, events, an abandoned turn, a
// parking, a suspension, a worker that dies and one that retires; and a family that is terminated and replaced.
type life struct {
	*fixture
	name              string
	w, other          provider.WorkerID
	parent            *lease
	child, friend     *lease
	parentID, childID string
	friendID          string
}

func (l *life) run() {
	ids, err := l.p.RegisterClasses(l.ctx, []provider.Class{{Kind: provider.ClassOrchestration, Name: "flow"},
		{Kind: provider.ClassOrchestration, Name: l.name}})
	l.ok("I10", err)
	equal(l.fixture, "I10", "id of class flow", ids[0], l.flow)
	l.w, l.other = l.worker(), l.worker()
	l.parentID, l.childID, l.friendID = l.name+"/parent", l.name+"/child", l.name+"/friend"
	l.begin()
	l.firstTurn()
	l.result()
	l.events()
	l.troubles()
	l.outside()
	l.end()
}

// begin starts the friend eagerly and the parent plainly.
func (l *life) begin() {
	f := l.fixture
	n := f.instance(l.friendID)
	first := f.turn(2, func(c *provider.Commit) {
		c.Waits = []string{"hello"}
		c.Work = []provider.NewWork{f.work(1, false)}
	})
	r := f.startItem(provider.StartItem{NewInstance: n, First: &first}, l.w)
	l.friend = &lease{provider.OrchestrationItem{Ref: r.Ref, InstanceID: l.friendID, Execution: 1, NextSeq: 2}, l.w}
	f.start(l.parentID)
	l.parent = f.fetchOne("I10", l.w, l.parentID)
	equal(f, "I10", "attempt of the parent", l.parent.Attempt, 1)
	f.checkHistory("I10", l.parent, 1)
}

// firstTurn commits a turn of the parent that does a bit of everything.
func (l *life) firstTurn() {
	f := l.fixture
	hello := event(l.friendID, "hello", "hello")
	hello.Take = true
	child := f.child(l.parent, l.childID, 2)
	child.Lease = true
	item := l.parent.item(f.turn(6, func(c *provider.Commit) {
		c.Waits = []string{"go"}
		c.Work = []provider.NewWork{f.work(1, false), f.work(3, true)}
		c.Timers = []provider.NewTimer{{Event: 4, FireAt: f.now().Add(-time.Second)}}
		c.Children, c.Messages, c.Keep = []provider.NewInstance{child}, []provider.NewMessage{hello}, true
	}))
	req := &provider.AckRequest{Worker: l.w, Items: []provider.AckItem{item}, Serves: []provider.ClassID{f.flow},
		ClaimWork: 1, WorkClasses: []provider.ClassID{f.job}, ClaimRequest: provider.NewToken()}
	r, err := f.p.AckOrchestrationItems(f.ctx, req)
	f.ok("I10", err)
	equal(f, "I10", "status", r.Results[0].Status, provider.Applied)
	l.parent.advance(item.Commit)
	f.check("I10", len(r.Granted) == 2, "granted %s, want the child and the friend", describe(r.Granted))
	for _, it := range r.Granted {
		equal(f, "I10", "attempt of "+it.InstanceID, it.Attempt, 1)
		if it.InstanceID == l.childID {
			l.child = &lease{it, l.w}
		} else {
			l.friend = &lease{it, l.w}
		}
	}
	equal(f, "I10", "messages of the friend", fmt.Sprint(messageIDs(l.friend.Messages)), "[hello]")
	f.ackItem(l.friend, consuming(l.friend.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"bye"} })), l.friend.Messages))
	equal(f, "I10", "work claimed", len(r.Work), 1)
	equal(f, "I10", "attempt of the work claimed", r.Work[0].Attempt, 1)
	f.abandonWorkItem(r.Work[0], true, 0)
}

// result records the results of the two queued items, and finishes the leased one with a turn of the parent.
func (l *life) result() {
	f := l.fixture
	born := l.parent.Token
	items := f.fetchWork(l.other, 10)
	equal(f, "I10", "work", len(items), 2)
	for _, it := range items {
		equal(f, "I10", "attempt of work", it.Attempt, 1)
		item := provider.AckWorkItem{WorkKey: it.WorkKey, Token: it.Token, Request: provider.NewToken(), Body: done(it.Event), Take: true}
		r, err := f.p.AckWorkItems(f.ctx, &provider.AckWorkRequest{Worker: l.other, Items: []provider.AckWorkItem{item},
			Serves: []provider.ClassID{f.flow}})
		f.ok("I10", err)
		if it.InstanceID == l.parentID { // held by w: not granted, so that a repeat may find it recorded
			f.check("I10", len(r.Granted) == 0, "granted %s, which another holds", describe(r.Granted))
			continue
		}
		equal(f, "I10", "status of the result", r.Results[0].Status, provider.Applied)
		f.check("I10", len(r.Granted) == 1 && r.Granted[0].InstanceID == l.friendID, "granted %s, want the friend", describe(r.Granted))
		g := &lease{r.Granted[0], l.other}
		equal(f, "I10", "messages of the friend", len(g.Messages), 1)
		f.ackItem(g, consuming(g.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"bye"} })), g.Messages))
		l.friend = g
	}
	item := l.parent.item(f.turn(1, func(c *provider.Commit) { c.Keep, c.Waits = true, []string{"go"} }))
	item.Finished = []provider.FinishedWork{{Event: 3, Token: born}}
	ms := f.ackItem(l.parent, item).Results[0].Messages
	f.pulse(&provider.PulseRequest{Worker: l.w}) // fires the timer, if no pulse has yet
	item = consuming(l.parent.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"go"} })), ms)
	ms = append(ms, f.ackItem(l.parent, item).Results[0].Messages...)
	var kinds []provider.MessageKind
	for _, m := range ms {
		kinds = append(kinds, m.Kind)
	}
	slices.Sort(kinds)
	equal(f, "I10", "kinds of the parent's messages", fmt.Sprint(kinds),
		fmt.Sprint([]provider.MessageKind{provider.MessageActivityDone, provider.MessageTimerFired}))
	rest := ms[len(item.Consumed):]
	if len(rest) > 0 { // came with the second ack, so the parent is still held
		f.ackItem(l.parent, consuming(l.parent.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"go"} })), rest))
	} else {
		l.turnOfNothing()
	}
}

// turnOfNothing lets the parent have as many turns in every run: it is woken by a message and waits again.
func (l *life) turnOfNothing() {
	f := l.fixture
	f.send(engineMessage(l.parentID, "nothing"))
	g := f.fetchOne("I10", l.w, l.parentID)
	f.ackItem(g, consuming(g.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"go"} })), g.Messages))
	l.parent = g
}

// events sends to the parent and the child and abandons the turn that gets them.
func (l *life) events() {
	f := l.fixture
	f.send(event(l.parentID, "go", "1"), event(l.parentID, "go", "2"), event(l.childID, "go", "3"))
	g := f.fetchOne("I10", l.w, l.parentID)
	equal(f, "I10", "attempt", g.Attempt, 1)
	f.abandon(provider.AbandonedInstance{Ref: g.Ref, Token: g.Token, UndoAttempt: true})
	g = f.fetchOne("I10", l.w, l.parentID)
	equal(f, "I10", "attempt after an undone one", g.Attempt, 1)
	f.abandon(provider.AbandonedInstance{Ref: g.Ref, Token: g.Token})
	g = f.fetchOne("I10", l.other, l.parentID)
	equal(f, "I10", "attempt after one that counts", g.Attempt, 2)
	ids := slices.Compact(slices.Sorted(slices.Values(messageIDs(g.Messages)))) // a repeated send may have stored twice
	equal(f, "I10", "messages", fmt.Sprint(ids), "[1 2]")
	l.parent = g
}

// troubles has the parent's worker retire, the parent parked and resumed, and the child's worker die.
func (l *life) troubles() {
	f := l.fixture
	f.ok("I10", f.p.RetireWorker(f.ctx, l.other))
	equal(f, "I10", "lost", f.pulse(&provider.PulseRequest{Worker: l.other}).Lost, true)
	g := f.fetchOne("I10", l.w, l.parentID)
	equal(f, "I10", "attempt after a retirement", g.Attempt, 3)
	f.abandon(provider.AbandonedInstance{Ref: g.Ref, Token: g.Token, Park: []byte(`"life"`)})
	f.fetchNone("I10", l.w, "the parent is parked")
	f.resume(l.parentID)
	g = f.fetchOne("I10", l.w, l.parentID)
	equal(f, "I10", "attempt after a resume", g.Attempt, 1)
	f.ackItem(g, consuming(g.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"report"} })), g.Messages))
	l.parent = g
	f.reap(l.w)
	equal(f, "I10", "ack of the reaped", f.tryAck(l.w, l.child.item(f.turn(1, nil))), provider.Fenced)
	l.w = f.worker()
	l.child = f.fetchOne("I10", l.w, l.childID)
	equal(f, "I10", "attempt after a reap", l.child.Attempt, 2)
}

// outside has the parent suspended and resumed, and another with a child terminated, replaced and terminated again.
func (l *life) outside() {
	f := l.fixture
	f.suspend(`"life"`, l.parentID)
	equal(f, "I10", "reason", string(f.state(l.parentID).Parked), `"life"`)
	f.resume(l.parentID)
	id := l.name + "/doomed"
	for range 2 {
		item := f.replacing(id)
		item.Messages = []provider.NewMessage{event(id, "go", "go")}
		f.startItem(item, 0)
		g := f.fetchOne("I10", l.w, id)
		child := f.child(g, f.fresh(id), 1)
		r := f.ack(g, f.turn(2, func(c *provider.Commit) {
			c.Waits, c.CustomStatus, c.Values = []string{"go"}, []byte(`"doomed"`), []provider.Value{{Key: "k", Data: []byte(`1`)}}
			c.Children, c.Work = []provider.NewInstance{child}, []provider.NewWork{f.work(2, false)}
		}))
		equal(f, "I10", "messages", fmt.Sprint(messageIDs(r.Messages)), "[go]")
		work := f.fetchWorkOne("I10", l.w)
		f.giveBack(work, func(a *provider.AbandonedWork) { a.State = []byte(`"tried"`) })
		work = f.fetchWorkOne("I10", l.w)
		equal(f, "I10", "attempt and state", fmt.Sprint(work.Attempt, string(work.State)), `2"tried"`)
		f.handOver(work)
		t := f.termination(id)
		t.Children = true
		status := f.terminate(t)[0]
		f.check("I10", status == provider.Applied || status == provider.Gone, "status of the termination: %v", status)
		f.checkTerminated("I10", t, id, 2, 3)
		f.checkTerminated("I10", t, child.InstanceID, 1, 1)
		f.checkStatus("I10", "in the end", id, `"doomed"`, 1)
		equal(f, "I10", "values", fmt.Sprint(f.values(id)), "[k=1]")
		equal(f, "I10", "result of the work", f.finishWork(0, work.WorkKey, work.Token), provider.Gone)
	}
}

// end has the child continue as new and report, and everything complete.
func (l *life) end() {
	f := l.fixture
	c := l.child
	f.ack(c, f.continued(true, f.nextExecution()))
	r := f.ack(c, f.turn(1, func(c *provider.Commit) { c.Waits = []string{"go"} }))
	f.check("I10", len(r.Messages) >= 1 && r.Messages[0].ID == "3", "messages of the child: %v, want 3", messageIDs(r.Messages))
	report := engineMessage(l.parentID, "report")
	report.Take = true
	reply := f.ackItem(c, c.item(f.turn(1, func(c *provider.Commit) {
		c.Status, c.Messages = provider.StatusCompleted, []provider.NewMessage{report}
	})))
	f.check("I10", len(reply.Granted) == 1 && reply.Granted[0].InstanceID == l.parentID, "granted %s, want the parent", describe(reply.Granted))
	p := &lease{reply.Granted[0], l.w}
	equal(f, "I10", "messages of the parent", fmt.Sprint(messageIDs(p.Messages)), "[report]")
	complete := func(c *provider.Commit) { c.Status = provider.StatusCompleted }
	f.ackItem(p, consuming(p.item(f.turn(1, complete)), p.Messages))
	f.send(event(l.friendID, "bye", "bye"))
	g := f.fetchOne("I10", l.w, l.friendID)
	f.ackItem(g, consuming(g.item(f.turn(1, complete)), g.Messages[:1]))
	for id, turns := range map[string]int{l.parentID: 7, l.childID: 3, l.friendID: 4} {
		equal(f, "I10", "turns of "+id, len(f.history(id)), turns)
		equal(f, "I10", "status of "+id, f.state(id).Status, provider.StatusCompleted)
	}
	f.fetchNone("I10", l.w, "everything has ended")
	equal(f, "I10", "work left", len(f.fetchWork(l.w, 10)), 0)
}

func faultProxy(f *fixture) {
	start := func(p provider.Provider, id string) error {
		_, err := p.StartOrchestrations(f.ctx, &provider.StartRequest{Items: []provider.StartItem{{NewInstance: f.instance(id)}}})
		return err
	}
	before := Faulty(f.p, FaultAt("StartOrchestrations", 1, LostBefore))
	after := Faulty(f.p, FaultAt("StartOrchestrations", 0, LostAfter))
	f.ok("I10", start(before, "a"))
	for id, p := range map[string]provider.Provider{"lost": before, "unknown": after} {
		f.check("E1", provider.Retryable(start(p, id)), "the fault in starting %s is not retryable", id)
	}
	f.ok("I10", start(before, "b"))
	got := ids(f.list(provider.ListQuery{}))
	slices.Sort(got)
	equal(f, "I10", "instances", fmt.Sprint(got), "[a b unknown]")
	n := 0
	for i := range 1000 {
		if RandomFaults(1, 30)("op", i) != NoFault {
			n++
		}
		equal(f, "I10", "fault of the same seed", RandomFaults(7, 30)("op", i), RandomFaults(7, 30)("op", i))
	}
	f.check("I10", n > 200 && n < 400, "%d of 1000 calls fail, want about 300", n)
}
