package providertest

import (
	"fmt"

	"github.com/pawlrun/pawl/provider"
)

var takeCases = []Case{
	{"take/grants-free-target", []string{"G1"}, takeGrants},
	{"take/history-for-stranger", []string{"G1", "F6"}, takeHistory},
	{"take/refused-for-held", []string{"G2", "M8"}, takeHeld},
	{"take/refused-for-other-class", []string{"G2", "C2"}, takeOtherClass},
	{"take/refused-for-parked", []string{"G2", "B4"}, takeParked},
	{"take/one-grant-for-several-messages", []string{"G3"}, takeSeveral},
	{"take/not-asked", []string{"G1", "M5"}, takeNotAsked},
}

// sendTaking commits a turn of l that sends the messages with Take, and returns the reply.
func (f *fixture) sendTaking(l *lease, serves []provider.ClassID, ms ...provider.NewMessage) (*provider.AckReply, provider.Token) {
	f.Helper()
	turn := f.turn(1, func(c *provider.Commit) {
		c.Keep = true
		for _, m := range ms {
			m.Take = true
			c.Messages = append(c.Messages, m)
		}
	})
	r, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: l.worker, Serves: serves,
		Items: []provider.AckItem{l.item(turn)}})
	f.ok("G1", err)
	equal(f, "A1", "status", r.Results[0].Status, provider.Applied)
	l.advance(turn)
	return r, turn.Request
}

func takeGrants(f *fixture) {
	w, other := f.worker(), f.worker()
	b := f.idle(w, "b", "x")
	l := f.granted(w, "a")
	r, request := f.sendTaking(l, []provider.ClassID{f.flow}, event("b", "x", "1"))
	f.check("G1", len(r.Granted) == 1 && r.Granted[0].InstanceID == "b", "granted %s, want b", describe(r.Granted))
	got := r.Granted[0]
	equal(f, "G1", "token", got.Token, request)
	equal(f, "G1", "attempt", got.Attempt, 1)
	equal(f, "G1", "held before", got.Held, false)
	equal(f, "G1", "Ref", got.Ref, b.Ref)
	equal(f, "G1", "next event number", got.NextSeq, b.NextSeq)
	equal(f, "G1", "class", got.Class, f.flow)
	equal(f, "G1", "history omitted for the last committer", got.HistoryOmitted, true)
	equal(f, "G1", "messages", fmt.Sprint(messageIDs(got.Messages)), "[1]")
	equal(f, "G1", "owner", f.state("b").Worker, w)
	f.fetchNone("G1", other, "the target was granted with the ack")
	lb := &lease{got, w}
	f.ackItem(lb, consuming(lb.item(f.turn(1, nil)), got.Messages))
	f.fetchNone("G1", other, "the message was consumed")
}

func takeHistory(f *fixture) {
	w, other := f.worker(), f.worker()
	f.idle(other, "b", "x")
	l := f.granted(w, "a")
	r, _ := f.sendTaking(l, []provider.ClassID{f.flow}, event("b", "x", "1"))
	equal(f, "G1", "instances granted", len(r.Granted), 1)
	f.checkHistory("F6", &lease{r.Granted[0], w}, 2)
}

func takeHeld(f *fixture) {
	w, other := f.worker(), f.worker()
	b := f.granted(other, "b")
	f.ack(b, f.turn(1, func(c *provider.Commit) { c.Keep, c.Waits = true, []string{"x"} }))
	l := f.granted(w, "a")
	r, _ := f.sendTaking(l, []provider.ClassID{f.flow}, event("b", "x", "1"))
	f.check("G2", len(r.Granted) == 0, "granted %s, which another worker holds", describe(r.Granted))
	news := f.fetchOne("M8", other, "b")
	equal(f, "G2", "held", news.Held, true)
	f.ackItem(b, consuming(b.item(f.turn(1, nil)), news.Messages))
}

func takeOtherClass(f *fixture) {
	w, other := f.worker(), f.worker()
	for _, serves := range [][]provider.ClassID{nil, {f.otherFlow}, {f.job, f.otherFlow}} {
		id := f.fresh("b")
		f.idle(other, id, "x")
		l := f.granted(w, f.fresh("a"))
		r, _ := f.sendTaking(l, serves, event(id, "x", "1"))
		f.check("G2", len(r.Granted) == 0, "granted %s, Serves %v, class %d", describe(r.Granted), serves, f.flow)
		got := f.fetchOne("G2", other, id)
		equal(f, "G2", "attempt", got.Attempt, 1)
		equal(f, "G2", "messages", len(got.Messages), 1)
	}
}

func takeParked(f *fixture) {
	w := f.worker()
	b := f.granted(w, "b")
	f.abandon(provider.AbandonedInstance{Ref: b.Ref, Token: b.Token, Park: []byte(`{"why":"test"}`)})
	l := f.granted(w, "a")
	r, _ := f.sendTaking(l, []provider.ClassID{f.flow}, engineMessage("b", "1"))
	f.check("G2", len(r.Granted) == 0, "granted %s, which is parked", describe(r.Granted))
	f.fetchNone("B4", w, "the instance is parked")
	f.resume("b")
	got := f.fetchOne("G2", w, "b")
	equal(f, "G2", "messages", fmt.Sprint(messageIDs(got.Messages)), "[1]")
}

// resume resumes instances, which must all be applied.
func (f *fixture) resume(ids ...string) {
	f.Helper()
	st, err := f.p.ResumeInstances(f.ctx, ids)
	f.ok("B5", err)
	equal(f, "B5", "number of statuses", len(st), len(ids))
	for i, s := range st {
		equal(f, "B5", "status of "+ids[i], s, provider.Applied)
	}
}

func takeSeveral(f *fixture) {
	w, other := f.worker(), f.worker()
	f.idle(w, "target", "x")
	a, b := f.granted(w, "a"), f.granted(w, "b")
	send := func(l *lease, ids ...string) provider.AckItem {
		return l.item(f.turn(1, func(c *provider.Commit) {
			for _, id := range ids {
				m := event("target", "x", id)
				m.Take = true
				c.Messages = append(c.Messages, m)
			}
		}))
	}
	items := []provider.AckItem{send(b, "1", "2"), send(a, "3")}
	r, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: items, Serves: []provider.ClassID{f.flow}})
	f.ok("G3", err)
	f.check("G3", len(r.Granted) == 1, "granted %s, want the target once", describe(r.Granted))
	equal(f, "G3", "token", r.Granted[0].Token, items[0].Request)
	equal(f, "G3", "attempt", r.Granted[0].Attempt, 1)
	ids := messageIDs(r.Granted[0].Messages)
	equal(f, "G3", "messages", len(ids), 3)
	f.fetchNone("G3", other, "the target was granted with the ack")
}

func takeNotAsked(f *fixture) {
	w, other := f.worker(), f.worker()
	f.idle(w, "b", "x")
	l := f.granted(w, "a")
	r := f.ackItem(l, l.item(f.turn(1, func(c *provider.Commit) { c.Messages = []provider.NewMessage{event("b", "x", "1")} })))
	f.check("G1", len(r.Granted) == 0, "granted %s without being asked", describe(r.Granted))
	f.fetchOne("M5", other, "b")
}
