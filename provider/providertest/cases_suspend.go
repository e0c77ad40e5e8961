package providertest

import (
	"fmt"

	"github.com/pawlrun/pawl/provider"
)

var suspendCases = []Case{
	{"suspend/held", []string{"B7", "B8", "B4"}, suspendHeld},
	{"suspend/free", []string{"B7", "B8"}, suspendFree},
	{"suspend/answers-per-id", []string{"B7", "I9"}, suspendPerID},
	{"suspend/keeps-work", []string{"B9"}, suspendKeepsWork},
	{"suspend/result-of-leased-work", []string{"B9", "B8"}, suspendResult},
	{"suspend/worker-dies", []string{"B9", "L4"}, suspendWorkerDies},
	{"suspend/races-ack", []string{"B8", "B7"}, suspendRace},
	{"suspend/repeated-fetch", []string{"B8", "B4"}, suspendRepeatedFetch},
	{"suspend/repeated-ack", []string{"I5", "B8"}, suspendRepeatedAck},
}

// suspend suspends instances, which must be applied.
func (f *fixture) suspend(reason string, ids ...string) {
	f.Helper()
	st, err := f.p.SuspendInstances(f.ctx, ids, []byte(reason))
	f.ok("B7", err)
	equal(f, "B7", "number of statuses", len(st), len(ids))
	for i, s := range st {
		equal(f, "B7", "status of "+ids[i], s, provider.Applied)
	}
}

func suspendHeld(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.send(engineMessage("a", "1"))
	reason := `{"by": "an \u00e9 operator"}`
	f.suspend(reason, "a")
	st := f.state("a")
	equal(f, "B7", "reason", string(st.Parked), reason)
	equal(f, "B7", "owner", st.Worker, 0)
	equal(f, "B7", "status", st.Status, provider.StatusRunning)
	equal(f, "B8", "ack of the holder", f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token, Park: []byte(`"late"`)})
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token})
	equal(f, "B8", "reason after late abandons", string(f.state("a").Parked), reason)
	f.send(engineMessage("a", "2"))
	f.fetchNone("B4", w, "the instance is suspended")
	p := f.pulse(&provider.PulseRequest{Worker: w, Classes: []provider.ClassID{f.flow}})
	equal(f, "B4", "ready", p.OrchestrationsReady, false)
	f.resume("a")
	got := f.fetchOne("B8", other, "a")
	equal(f, "B8", "attempt after the resume", got.Attempt, 1)
	equal(f, "B8", "messages", fmt.Sprint(messageIDs(got.Messages)), "[1 2]")
	equal(f, "B8", "ack of the old holder", f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
	f.ackItem(got, consuming(got.item(f.turn(1, nil)), got.Messages))
}

func suspendFree(f *fixture) {
	w := f.worker()
	f.idle(w, "idle", "x")
	f.start("new")
	f.suspend(`"why"`, "new", "idle")
	f.send(event("idle", "x", "1"))
	f.fetchNone("B7", w, "both are suspended")
	equal(f, "R7", "instances listed as parked", len(f.list(provider.ListQuery{ParkedOnly: true})), 2)
	f.resume("new")
	l := f.fetchOne("B7", w, "new")
	equal(f, "B8", "turns", len(l.History), 1)
	f.resume("idle")
	l = f.fetchOne("B7", w, "idle")
	equal(f, "B8", "messages", fmt.Sprint(messageIDs(l.Messages)), "[1]")
	equal(f, "B7", "reason after the resume", f.state("idle").Parked == nil, true)
}

func suspendPerID(f *fixture) {
	w := f.worker()
	l := f.granted(w, "parked")
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token, Park: []byte(`"first"`)})
	l = f.granted(w, "ended")
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusFailed }))
	f.start("a")
	for _, reason := range []string{`"second"`, `"third"`} {
		st, err := f.p.SuspendInstances(f.ctx, []string{"nobody", "ended", "a", "parked", "a"}, []byte(reason))
		f.ok("B7", err)
		equal(f, "B7", "statuses", fmt.Sprint(st), "[not-found gone applied applied applied]")
	}
	equal(f, "B7", "reason of the parked", string(f.state("parked").Parked), `"first"`)
	equal(f, "I9", "reason after a repeat", string(f.state("a").Parked), `"second"`)
	equal(f, "B7", "status of the ended", f.state("ended").Status, provider.StatusFailed)
	f.check("B7", f.state("ended").Parked == nil, "an ended instance was parked")
}

func suspendKeepsWork(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	turn := f.turn(3, func(c *provider.Commit) {
		c.Keep, c.Work = true, []provider.NewWork{f.work(1, false), f.work(2, true)}
	})
	f.ack(l, turn)
	f.suspend(`1`, "a")
	born := provider.WorkItem{WorkKey: provider.WorkKey{Ref: l.Ref, Execution: 1, Event: 2}, Token: turn.Request}
	equal(f, "B9", "leased work gone", len(f.goneOf(w, born)), 0)
	r, err := f.p.FetchWorkItems(f.ctx, f.fetchWorkServing(other, 10))
	f.ok("B9", err)
	f.check("B9", len(r.Work) == 1 && r.Work[0].Event == 1, "fetched %+v, want the queued work", r.Work)
	f.check("B4", len(r.Granted) == 0, "granted %s, which is suspended", describe(r.Granted))
	take := provider.AckWorkItem{WorkKey: r.Work[0].WorkKey, Token: r.Work[0].Token, Request: provider.NewToken(), Body: done(1), Take: true}
	ack, err := f.p.AckWorkItems(f.ctx, &provider.AckWorkRequest{Worker: other, Items: []provider.AckWorkItem{take}, Serves: []provider.ClassID{f.flow}})
	f.ok("B9", err)
	equal(f, "B9", "result of the queued work", ack.Results[0].Status, provider.Applied)
	f.check("B4", len(ack.Granted) == 0, "granted %s, which is suspended", describe(ack.Granted))
	equal(f, "B9", "result of the leased work", f.finishWork(w, born.WorkKey, born.Token), provider.Applied)
	f.fetchNone("B4", w, "the instance is suspended")
	f.resume("a")
	got := f.fetchOne("B9", other, "a")
	equal(f, "B9", "results", len(got.Messages), 2)
}

// suspendResult has the result of leased work arrive after the resume of an instance that was held.
func suspendResult(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	turn := f.turn(2, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.work(1, true)} })
	f.ack(l, turn)
	f.suspend(`1`, "a")
	f.resume("a")
	f.fetchNone("B8", w, "nothing has arrived")
	equal(f, "B9", "result", f.finishWork(w, provider.WorkKey{Ref: l.Ref, Execution: 1, Event: 1}, turn.Request), provider.Applied)
	got := f.fetchOne("B9", w, "a")
	equal(f, "B9", "results", len(got.Messages), 1)
	f.check("B8", got.Token != l.Token, "the new grant goes on under the old token")
	f.ackItem(got, consuming(got.item(f.turn(1, nil)), got.Messages))
}

func suspendWorkerDies(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	turn := f.turn(2, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.work(1, true)} })
	f.ack(l, turn)
	f.suspend(`1`, "a")
	f.reap(w)
	it := f.fetchWorkOne("B9", other)
	equal(f, "B9", "attempt", it.Attempt, 2)
	equal(f, "L10", "result of the reaped", f.finishWork(w, it.WorkKey, turn.Request), provider.Gone)
	equal(f, "B9", "result", f.finishWork(other, it.WorkKey, it.Token), provider.Applied)
	equal(f, "B9", "reason after the reap", string(f.state("a").Parked), `1`)
	f.fetchNone("B4", other, "the instance is suspended")
	f.resume("a")
	equal(f, "B9", "results", len(f.fetchOne("B9", other, "a").Messages), 1)
}

// suspendRepeatedAck repeats an ack whose reply was lost, after the instance was suspended.
func suspendRepeatedAck(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	item := l.item(f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	equal(f, "A1", "ack", f.tryAck(w, item), provider.Applied)
	f.suspend(`1`, "a")
	equal(f, "I5", "repeated ack", f.tryAck(w, item), provider.Applied)
	st := f.state("a")
	equal(f, "B8", "owner", st.Worker, 0)
	equal(f, "B8", "reason", string(st.Parked), `1`)
	l.advance(item.Commit)
	equal(f, "B8", "next ack", f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
	equal(f, "I5", "turns", len(f.history("a")), 2)
}

// suspendRace has an instance suspended while its holder commits turns: a turn is committed or fenced, and none follows.
func suspendRace(f *fixture) {
	const rounds = 20
	w := f.worker()
	other := f.handle()
	for round := range rounds {
		id := f.fresh("a")
		l := f.granted(w, id)
		item := l.item(f.turn(1, func(c *provider.Commit) {
			c.Keep = round%2 == 0
			c.Messages = []provider.NewMessage{engineMessage(id, "1")}
		}))
		var status provider.ItemStatus
		errs := together(2, func(i int) error {
			if i == 0 {
				_, err := other.SuspendInstances(f.ctx, []string{id}, []byte(`"race"`))
				return err
			}
			r, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{item}})
			if err == nil {
				status = r.Results[0].Status
			}
			return err
		})
		f.check("B8", len(errs) == 0, "round %d: %v", round, errs)
		st := f.state(id)
		equal(f, "B7", "owner", st.Worker, 0)
		equal(f, "B7", "reason", string(st.Parked), `"race"`)
		turns := 1
		if status == provider.Applied {
			turns = 2
		}
		equal(f, "B8", fmt.Sprintf("turns, the ack being %v", status), len(f.history(id)), turns)
		l.advance(item.Commit)
		equal(f, "B8", "next ack", f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
		f.fetchNone("B4", w, "the instance is suspended")
		f.resume(id)
		got := f.fetchOne("B8", w, id)
		equal(f, "B8", "messages", len(got.Messages), turns-1)
		f.ackItem(got, consuming(got.item(f.turn(1, nil)), got.Messages))
	}
}

// suspendRepeatedFetch repeats a fetch whose reply was lost, after the instance was suspended.
func suspendRepeatedFetch(f *fixture) {
	w := f.worker()
	f.start("a")
	f.start("b")
	req := f.fetchRequest(w, 2, f.flow)
	first, err := f.p.FetchOrchestrationItems(f.ctx, req)
	f.ok("F1", err)
	equal(f, "F1", "instances", len(first), 2)
	f.suspend(`1`, "a")
	f.terminateOne(f.termination("b"))
	again, err := f.p.FetchOrchestrationItems(f.ctx, req)
	f.ok("I3", err)
	f.check("B8", len(again) == 0, "the repeat granted %s, suspended and terminated", describe(again))
	f.fetchNone("B4", w, "one is suspended, one terminated")
	f.resume("a")
	equal(f, "B8", "attempt", f.fetchOne("B8", w, "a").Attempt, 1)
}
