package providertest

import (
	"fmt"
	"time"

	"github.com/pawlrun/pawl/provider"
)

var ackCases = []Case{
	{"ack/whole-turn", []string{"A1", "T5"}, ackWholeTurn},
	{"ack/stale-token", []string{"A2", "A7"}, ackStaleToken},
	{"ack/stale-sequence", []string{"A3"}, ackStaleSeq},
	{"ack/stale-execution", []string{"A4", "X4"}, ackStaleExecution},
	{"ack/released-token", []string{"A5"}, ackReleasedToken},
	{"ack/finished-work-must-be-held", []string{"A6", "A7"}, ackFinishedMissing},
	{"ack/fenced-has-no-effect", []string{"A7"}, ackFencedNoEffect},
	{"ack/answers-per-item", []string{"A8"}, ackPerItem},
	{"ack/twice-in-one-call", []string{"A9", "E1"}, ackTwiceInOneCall},
	{"ack/keep-and-release", []string{"A10", "R3"}, ackKeepAndRelease},
	{"ack/unread-keeps-held", []string{"A10", "A11"}, ackUnreadKeepsHeld},
	{"ack/new-waits-release-buffered", []string{"A11", "M3"}, ackNewWaits},
	{"ack/terminal", []string{"A12", "R2"}, ackTerminal},
	{"ack/consumes-what-is-named", []string{"A13", "M6"}, ackConsumes},
	{"ack/one-of-two-applies", []string{"A14", "A2"}, ackConcurrent},
	{"ack/clock", []string{"A15"}, ackClock},
}

func ackWholeTurn(f *fixture) {
	w := f.worker()
	f.start("friend")
	l := f.fetchOne("F1", w, "friend")
	f.ack(l, f.turn(1, nil))
	l = f.granted(w, "a")
	fireAt := f.now().Add(time.Hour).Truncate(time.Microsecond)
	turn := f.turn(7, func(c *provider.Commit) {
		c.Work = []provider.NewWork{f.work(1, false)}
		c.Timers = []provider.NewTimer{{Event: 2, FireAt: fireAt}}
		c.Messages = []provider.NewMessage{{Target: "friend", Kind: provider.MessageChildDone, Execution: 1, ID: "m", Body: []byte(`{}`)}}
		c.Children = []provider.NewInstance{f.instance("child")}
	})
	f.ack(l, turn)
	turns := f.history("a")
	equal(f, "A1", "turns", len(turns), 2)
	equal(f, "A1", "the turn", fmt.Sprint(turns[1].Seq, turns[1].Count, string(turns[1].Events)), fmt.Sprint(1, 7, string(turn.Events)))
	equal(f, "A1", "next event number", f.state("a").NextSeq, 8)
	equal(f, "A1", "work", len(f.fetchWork(w, 10)), 1)
	next := f.pulse(&provider.PulseRequest{}).NextTimer
	f.check("T5", next.Equal(fireAt), "next timer is at %v, want %v", next, fireAt)
	ready := f.fetch(w, 10)
	f.check("A1", len(ready) == 2, "fetched %s, want the child and the friend", describe(ready))
}

func ackStaleToken(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	old := l.Token
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	for name, token := range map[string]provider.Token{"previous": old, "unknown": provider.NewToken()} {
		item := l.item(f.turn(1, nil))
		item.Token = token
		equal(f, "A2", "ack under the "+name+" token", f.tryAck(w, item), provider.Fenced)
	}
	equal(f, "A7", "turns", len(f.history("a")), 2)
	f.ack(l, f.turn(1, nil))
}

func ackStaleSeq(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Keep = true }))
	for _, seq := range []int32{0, 1, l.NextSeq - 1, l.NextSeq + 1} {
		item := l.item(f.turn(1, nil))
		item.Seq = seq
		equal(f, "A3", fmt.Sprintf("ack at %d of %d", seq, l.NextSeq), f.tryAck(w, item), provider.Fenced)
	}
	equal(f, "A3", "turns", len(f.history("a")), 2)
	f.ack(l, f.turn(1, nil))
}

func ackStaleExecution(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	next := f.nextExecution()
	f.ack(l, f.turn(1, func(c *provider.Commit) {
		c.Keep, c.Status, c.Next = true, provider.StatusContinuedAsNew, next
	}))
	for _, execution := range []int32{0, 1, 3} {
		item := l.item(f.turn(1, nil))
		item.Execution = execution
		equal(f, "A4", fmt.Sprintf("ack for execution %d of 2", execution), f.tryAck(w, item), provider.Fenced)
	}
	equal(f, "A4", "turns", len(f.history("a")), 1)
	f.ack(l, f.turn(1, nil))
}

// nextExecution makes an execution for continue-as-new, of class flow.
func (f *fixture) nextExecution() *provider.NewExecution {
	return &provider.NewExecution{ExecutionID: provider.NewExecutionID(), Class: f.flow, Events: f.events(1)}
}

func ackReleasedToken(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Waits = []string{"go"} }))
	equal(f, "A5", "ack under the token of the releasing commit", f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
	f.send(event("a", "go", "e1"))
	equal(f, "A5", "the same with a message unread", f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
	l = f.fetchOne("A5", w, "a")
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token})
	equal(f, "A5", "ack under the abandoned token", f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
	l = f.fetchOne("A5", w, "a")
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token, Park: []byte(`{}`)})
	equal(f, "A5", "ack under the token of the parked", f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
	equal(f, "A5", "turns", len(f.history("a")), 2)
}

func ackFinishedMissing(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(3, func(c *provider.Commit) {
		c.Keep = true
		c.Work = []provider.NewWork{f.work(1, true), f.work(2, false)}
	}))
	leased := provider.FinishedWork{Event: 1, Token: l.Token}
	for name, finished := range map[string][]provider.FinishedWork{
		"unknown work":         {leased, {Event: 3, Token: l.Token}},
		"another token":        {{Event: 1, Token: provider.NewToken()}},
		"queued work":          {leased, {Event: 2, Token: l.Token}},
		"queued work, token 0": {leased, {Event: 2}},
	} {
		item := l.item(f.turn(1, func(c *provider.Commit) { c.Keep = true }))
		item.Finished = finished
		equal(f, "A6", "ack with "+name, f.tryAck(w, item), provider.Fenced)
		equal(f, "A7", "turns after "+name, len(f.history("a")), 2)
	}
	item := l.item(f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	item.Finished = []provider.FinishedWork{leased}
	f.ackItem(l, item)
	item = l.item(f.turn(1, nil))
	item.Finished = []provider.FinishedWork{leased}
	equal(f, "A6", "ack with work that was finished before", f.tryAck(w, item), provider.Fenced)
}

func ackFencedNoEffect(f *fixture) {
	w := f.worker()
	f.idle(w, "friend", "x")
	l := f.granted(w, "a")
	fireAt := f.now().Add(time.Hour).Truncate(time.Microsecond)
	f.ack(l, f.turn(4, func(c *provider.Commit) {
		c.Keep, c.Waits = true, []string{"go"}
		c.Work = []provider.NewWork{f.work(1, true), f.work(2, false)}
		c.Timers = []provider.NewTimer{{Event: 3, FireAt: fireAt}}
	}))
	f.send(event("a", "go", "e1"))
	news := f.fetchOne("F8", w, "a")
	stale := l.item(f.turn(3, func(c *provider.Commit) {
		c.Status = provider.StatusCompleted
		c.Work = []provider.NewWork{f.work(5, false)}
		c.CancelWork = []int32{2}
		c.Timers = []provider.NewTimer{{Event: 6, FireAt: fireAt.Add(-time.Minute)}}
		c.CancelTimers = []int32{3}
		c.Children = []provider.NewInstance{f.instance("child")}
		c.Messages = []provider.NewMessage{event("friend", "x", "m")}
		c.Messages[0].Take = true
	}))
	stale.Token = provider.NewToken()
	stale.Finished = []provider.FinishedWork{{Event: 1, Token: l.Token}}
	r, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Serves: []provider.ClassID{f.flow},
		Items: []provider.AckItem{consuming(stale, news.Messages)}})
	f.ok("A7", err)
	equal(f, "A2", "status", r.Results[0].Status, provider.Fenced)
	equal(f, "A7", "instances granted", len(r.Granted), 0)
	equal(f, "A7", "messages returned", len(r.Results[0].Messages), 0)
	st := f.state("a")
	equal(f, "A7", "status of the instance", st.Status, provider.StatusRunning)
	equal(f, "A7", "next event number", st.NextSeq, l.NextSeq)
	equal(f, "A7", "owner", st.Worker, w)
	equal(f, "A7", "turns", len(f.history("a")), 2)
	next := f.pulse(&provider.PulseRequest{}).NextTimer
	f.check("A7", next.Equal(fireAt), "next timer is at %v, want %v", next, fireAt)
	f.fetchNone("A7", w, "the fenced item created a child or sent a message")
	work := f.fetchWork(w, 10)
	f.check("A7", len(work) == 1 && work[0].Event == 2, "queued work: %+v, want that of event 2", work)
	good := l.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"go"} }))
	good.Finished = []provider.FinishedWork{{Event: 1, Token: l.Token}}
	reply := f.ackItem(l, good)
	equal(f, "A7", "messages left unread", fmt.Sprint(messageIDs(reply.Results[0].Messages)), "[e1]")
	equal(f, "A7", "instances", len(f.list(provider.ListQuery{})), 2)
}

// list lists instances.
func (f *fixture) list(q provider.ListQuery) []provider.InstanceState {
	f.Helper()
	states, err := f.p.ListInstances(f.ctx, q)
	f.ok("R6", err)
	return states
}

func ackPerItem(f *fixture) {
	w := f.worker()
	a, b, c := f.granted(w, "a"), f.granted(w, "b"), f.granted(w, "c")
	stale := b.item(f.turn(1, nil))
	stale.Token = provider.NewToken()
	unknown := b.item(f.turn(1, nil))
	unknown.Ref.Row += 1 << 40
	items := []provider.AckItem{a.item(f.turn(1, nil)), stale, unknown, c.item(f.turn(2, nil))}
	r, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: items})
	f.ok("A8", err)
	equal(f, "A8", "number of results", len(r.Results), 4)
	for i, want := range []provider.ItemStatus{provider.Applied, provider.Fenced, provider.Fenced, provider.Applied} {
		equal(f, "A8", fmt.Sprint("status of item ", i), r.Results[i].Status, want)
	}
	equal(f, "A8", "turns of a", len(f.history("a")), 2)
	equal(f, "A8", "turns of b", len(f.history("b")), 1)
	equal(f, "A8", "next event number of c", f.state("c").NextSeq, 3)
	f.ack(b, f.turn(1, nil))
}

func ackTwiceInOneCall(f *fixture) {
	w := f.worker()
	a, b := f.granted(w, "a"), f.granted(w, "b")
	_, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{
		a.item(f.turn(1, nil)), b.item(f.turn(1, nil)), a.item(f.turn(1, nil))}})
	f.givesUp("A9", err)
	for _, l := range []*lease{a, b} {
		equal(f, "A9", "turns of "+l.InstanceID, len(f.history(l.InstanceID)), 1)
		f.ack(l, f.turn(1, nil))
	}
}

func ackKeepAndRelease(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	kept := f.turn(1, func(c *provider.Commit) { c.Keep, c.Waits = true, []string{"go"} })
	f.ack(l, kept)
	equal(f, "A10", "owner after Keep", f.state("a").Worker, w)
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Waits = []string{"go"} }))
	equal(f, "A10", "owner after release", f.state("a").Worker, 0)
	f.send(event("a", "go", "e1"))
	l = f.fetchOne("A10", other, "a")
	equal(f, "A10", "next event number", l.NextSeq, 3)
}

func ackUnreadKeepsHeld(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.send(provider.NewMessage{Target: "a", Kind: provider.MessageChildDone, Execution: 1, ID: "m", Body: []byte(`{}`)})
	r := f.ack(l, f.turn(1, nil))
	equal(f, "A11", "messages", fmt.Sprint(messageIDs(r.Messages)), "[m]")
	equal(f, "A10", "owner", f.state("a").Worker, w)
	f.fetchNone("A10", other, "messages came back with the ack, so its worker holds the instance")
	r = f.ackItem(l, consuming(l.item(f.turn(1, nil)), r.Messages)).Results[0]
	equal(f, "A11", "messages", len(r.Messages), 0)
	equal(f, "A10", "owner", f.state("a").Worker, 0)
	f.fetchNone("A10", other, "everything was consumed")
}

func ackNewWaits(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.send(event("a", "x", "1"), event("a", "y", "2"), event("a", "x", "3"))
	r := f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	equal(f, "M3", "events nobody waits for", len(r.Messages), 0)
	r = f.ack(l, f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x"} }))
	equal(f, "A11", "events of name x", fmt.Sprint(messageIDs(r.Messages)), "[1 3]")
	item := consuming(l.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"y"} })), r.Messages)
	r = f.ackItem(l, item).Results[0]
	equal(f, "A11", "events of name y", fmt.Sprint(messageIDs(r.Messages)), "[2]")
}

func ackTerminal(f *fixture) {
	w := f.worker()
	for _, status := range []provider.InstanceStatus{provider.StatusCompleted, provider.StatusFailed} {
		id := status.String()
		l := f.granted(w, id)
		f.send(provider.NewMessage{Target: id, Kind: provider.MessageChildDone, Execution: 1, ID: "m", Body: []byte(`{}`)})
		turn := f.turn(2, func(c *provider.Commit) { c.Status, c.Keep = status, true })
		r := f.ack(l, turn)
		equal(f, "A12", "messages", len(r.Messages), 0)
		st := f.state(id)
		equal(f, "A12", "status", st.Status, status)
		equal(f, "A12", "owner", st.Worker, 0)
		f.check("A12", !st.EndedAt.Before(st.CreatedAt), "created %v, ended %v", st.CreatedAt, st.EndedAt)
		equal(f, "R2", "last turn", string(st.LastTurn.Events), string(turn.Events))
		equal(f, "R2", "number of its first event", st.LastTurn.Seq, 1)
		equal(f, "A12", "ack after the end", f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
		f.fetchNone("A12", w, "the instance has ended")
	}
}

func ackConsumes(f *fixture) {
	w := f.worker()
	f.idle(w, "a", "x")
	f.idle(w, "b", "x")
	f.send(event("a", "x", "1"), event("a", "x", "2"), event("a", "x", "3"), event("b", "x", "4"))
	got := map[string]*lease{}
	for _, it := range f.fetch(w, 10) {
		got[it.InstanceID] = &lease{it, w}
	}
	a, b := got["a"], got["b"]
	f.check("F2", a != nil && b != nil, "fetched %v, want a and b", got)
	keepWaiting := func(c *provider.Commit) { c.Waits = []string{"x"} }
	item := consuming(a.item(f.turn(1, keepWaiting)), []provider.Message{a.Messages[1], b.Messages[0]})
	r := f.ackItem(a, item).Results[0]
	equal(f, "A13", "left in a", fmt.Sprint(messageIDs(r.Messages)), "[1 3]")
	item = b.item(f.turn(1, keepWaiting))
	r = f.ackItem(b, item).Results[0]
	equal(f, "A13", "left in b after another's commit named its order number", fmt.Sprint(messageIDs(r.Messages)), "[4]")
	r = f.ack(a, f.turn(1, keepWaiting))
	equal(f, "M6", "left in a after a commit that names nothing", fmt.Sprint(messageIDs(r.Messages)), "[1 3]")
}

func ackConcurrent(f *fixture) {
	w := f.worker()
	handles := []provider.Provider{f.p, f.handle()}
	l := f.granted(w, "a")
	for round := range 10 {
		var status [2]provider.ItemStatus
		items := []provider.AckItem{}
		for range status {
			items = append(items, l.item(f.turn(1, func(c *provider.Commit) { c.Keep = true })))
		}
		errs := together(2, func(i int) error {
			r, err := handles[i].AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: items[i : i+1]})
			if err == nil {
				status[i] = r.Results[0].Status
			}
			return err
		})
		f.check("A14", len(errs) == 0, "%v", errs)
		won := 0
		if status[1] == provider.Applied {
			won = 1
		}
		f.check("A14", status[won] == provider.Applied && status[1-won] == provider.Fenced, "answers %v", status)
		l.advance(items[won].Commit)
		equal(f, "A14", "turns", len(f.history("a")), round+2)
	}
}

func ackClock(f *fixture) {
	w := f.worker()
	other := f.handle()
	last := f.now()
	for range 3 {
		l := f.granted(w, f.fresh("a"))
		r := f.ackItem(l, l.item(f.turn(1, nil)))
		f.check("A15", !r.Now.Before(last), "the clock went back from %v to %v", last, r.Now)
		last = r.Now
		p, err := other.Pulse(f.ctx, &provider.PulseRequest{TTL: time.Hour})
		f.ok("A15", err)
		f.check("A15", !p.Now.Before(last), "the clock went back from %v to %v at another handle", last, p.Now)
		last = p.Now
	}
	f.check("A15", !last.IsZero(), "the clock is not set")
}

// fresh makes an instance id from a prefix.
func (f *fixture) fresh(prefix string) string { return fmt.Sprint(prefix, f.serial.Add(1)) }
