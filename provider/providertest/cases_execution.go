package providertest

import (
	"fmt"

	"github.com/pawlrun/pawl/provider"
)

var executionCases = []Case{
	{"execution/continued-as-new", []string{"X1", "R4", "A10"}, executionContinued},
	{"execution/released-is-ready", []string{"X2", "F6"}, executionReleased},
	{"execution/released-with-news", []string{"X2", "A10"}, executionReleasedWithNews},
	{"execution/changes-class", []string{"X2", "C2"}, executionChangesClass},
	{"execution/keeps-inbox", []string{"X3", "M6"}, executionKeepsInbox},
	{"execution/eager-start-continues", []string{"X1", "S6"}, executionEager},
}

// continued makes the turn that ends an execution and starts the next.
func (f *fixture) continued(keep bool, next *provider.NewExecution) provider.Commit {
	return f.turn(2, func(c *provider.Commit) {
		c.Keep, c.Status, c.Next = keep, provider.StatusContinuedAsNew, next
	})
}

func executionContinued(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	next := f.nextExecution()
	last := f.continued(true, next)
	r := f.ack(l, last)
	equal(f, "X1", "messages", len(r.Messages), 0)
	st := f.state("a")
	equal(f, "X1", "status", st.Status, provider.StatusRunning)
	equal(f, "X1", "execution", st.Execution, 2)
	equal(f, "X1", "execution id", st.ExecutionID, next.ExecutionID)
	equal(f, "X1", "next event number", st.NextSeq, 1)
	equal(f, "X1", "last turn", string(st.LastTurn.Events), string(next.Events))
	f.check("X1", st.EndedAt.IsZero(), "a running instance has an end: %v", st.EndedAt)
	equal(f, "A10", "owner", st.Worker, w)
	f.fetchNone("X2", other, "the instance was kept")
	equal(f, "R4", "turns of the current execution", len(f.history("a")), 1)
	old := f.historyOf("a", 1)
	equal(f, "X1", "turns of the old execution", len(old), 2)
	equal(f, "X1", "its last turn", fmt.Sprint(old[1].Seq, old[1].Count, string(old[1].Events)), fmt.Sprint(1, 2, string(last.Events)))
	f.ack(l, f.turn(3, nil))
	equal(f, "X1", "next event number after a turn", f.state("a").NextSeq, 4)
	equal(f, "X1", "turns of the new execution", len(f.historyOf("a", 2)), 2)
}

func executionReleased(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	next := f.nextExecution()
	f.ack(l, f.continued(false, next))
	equal(f, "X2", "owner", f.state("a").Worker, 0)
	got := f.fetchOne("X2", other, "a")
	equal(f, "X2", "execution", got.Execution, 2)
	equal(f, "X2", "execution id", got.ExecutionID, next.ExecutionID)
	equal(f, "X2", "next event number", got.NextSeq, 1)
	equal(f, "X2", "attempt", got.Attempt, 1)
	f.checkHistory("F6", got, 1)
	f.fetchNone("X2", w, "the new execution was granted")
}

// executionReleasedWithNews: what is unread does not hold the next execution where the commit does not keep it.
func executionReleasedWithNews(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.send(provider.NewMessage{Target: "a", Kind: provider.MessageCancel, ID: "c", Body: []byte(`{}`)})
	r := f.ack(l, f.continued(false, f.nextExecution()))
	equal(f, "X2", "messages", len(r.Messages), 0)
	equal(f, "X2", "owner", f.state("a").Worker, 0)
	got := f.fetchOne("X2", other, "a")
	equal(f, "X2", "execution", got.Execution, 2)
	equal(f, "M6", "messages of the new execution", len(got.Messages), 1)
}

func executionChangesClass(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	next := f.nextExecution()
	next.Class = f.otherFlow
	f.ack(l, f.continued(false, next))
	f.fetchNone("X2", w, "the new execution is of another class")
	equal(f, "X1", "name", f.state("a").Name, "otherFlow")
	items := f.fetchOf(w, 10, f.otherFlow)
	f.check("X2", len(items) == 1 && items[0].Class == f.otherFlow, "fetched %s, want a in its new class", describe(items))
	l = &lease{items[0], w}
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x"} }))
	f.send(event("a", "x", "1"))
	f.fetchNone("X2", w, "messages wake the instance in its new class")
	equal(f, "X2", "instances of the new class", len(f.fetchOf(w, 10, f.otherFlow)), 1)
}

func executionKeepsInbox(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep, c.Waits = true, []string{"x"} }))
	f.send(event("a", "x", "1"), event("a", "y", "2"), event("a", "x", "3"))
	news := f.fetchOne("F8", w, "a")
	f.ackItem(l, consuming(l.item(f.continued(true, f.nextExecution())), news.Messages[:1]))
	r := f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	equal(f, "X3", "messages without waits", len(r.Messages), 0)
	f.send(event("a", "x", "4"))
	r = f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep, c.Waits = true, []string{"x", "y"} }))
	equal(f, "X3", "messages kept", fmt.Sprint(messageIDs(r.Messages)), "[2 3 4]")
	f.ackItem(l, consuming(l.item(f.continued(false, f.nextExecution())), r.Messages[:2]))
	l = f.fetchOne("X2", w, "a")
	equal(f, "X3", "messages without waits", len(l.Messages), 0)
	r = f.ack(l, f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x"} }))
	equal(f, "X3", "messages kept", fmt.Sprint(messageIDs(r.Messages)), "[4]")
}

func executionEager(f *fixture) {
	w := f.worker()
	next := f.nextExecution()
	first := f.continued(false, next)
	n := f.instance("a")
	f.startItem(provider.StartItem{NewInstance: n, First: &first}, w)
	st := f.state("a")
	equal(f, "X1", "execution", st.Execution, 2)
	equal(f, "X1", "turns of the old execution", len(f.historyOf("a", 1)), 1)
	l := f.fetchOne("X2", w, "a")
	equal(f, "X1", "execution id", l.ExecutionID, next.ExecutionID)
	// A repeat is still known by the id of the first execution.
	r := f.startItem(provider.StartItem{NewInstance: n, First: &first}, w)
	equal(f, "I1", "Ref of a repeat", r.Ref, st.Ref)
	equal(f, "I2", "execution after a repeat", f.state("a").Execution, 2)
}
