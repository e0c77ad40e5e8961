package providertest

import (
	"fmt"
	"sync"
	"time"

	"github.com/pawlrun/pawl/provider"
)

var fetchCases = []Case{
	{"fetch/grant-carries-everything", []string{"F1", "F5", "F6"}, fetchGrant},
	{"fetch/exclusive", []string{"F2"}, fetchExclusive},
	{"fetch/max", []string{"F4", "F2"}, fetchMax},
	{"fetch/not-ready", []string{"F3"}, fetchNotReady},
	{"fetch/attempts", []string{"F5"}, fetchAttempts},
	{"fetch/history-omitted-for-last-committer", []string{"F6"}, fetchHistoryOmitted},
	{"fetch/messages-in-order", []string{"F7", "M12"}, fetchMessages},
	{"fetch/held-gets-news", []string{"F8", "M8"}, fetchHeld},
	{"fetch/held-repeated", []string{"F8"}, fetchHeldRepeated},
	{"fetch/held-races-commit", []string{"F8", "M8"}, fetchHeldRace},
	{"fetch/timers", []string{"F9", "T4"}, fetchTimers},
	{"fetch/ended", []string{"F10"}, fetchEnded},
	{"fetch/disjoint-among-many", []string{"F2"}, fetchDisjoint},
}

func fetchGrant(f *fixture) {
	w := f.worker()
	n := f.start("a")
	req := f.fetchRequest(w, 10, f.flow)
	items, err := f.p.FetchOrchestrationItems(f.ctx, req)
	f.ok("F1", err)
	equal(f, "F1", "items", len(items), 1)
	it := items[0]
	equal(f, "F1", "instance id", it.InstanceID, "a")
	equal(f, "F1", "token", it.Token, req.Request)
	equal(f, "F1", "Ref", it.Ref, f.state("a").Ref)
	equal(f, "F1", "execution", it.Execution, 1)
	equal(f, "F1", "execution id", it.ExecutionID, n.ExecutionID)
	equal(f, "F1", "class", it.Class, f.flow)
	equal(f, "F1", "next event number", it.NextSeq, 1)
	equal(f, "F1", "held before", it.Held, false)
	equal(f, "F5", "attempt", it.Attempt, 1)
	equal(f, "F6", "history omitted", it.HistoryOmitted, false)
	equal(f, "F6", "turns", len(it.History), 1)
	equal(f, "F6", "events", string(it.History[0].Events), string(n.Events))
	equal(f, "F1", "owner", f.state("a").Worker, w)
}

func fetchExclusive(f *fixture) {
	w, other := f.worker(), f.worker()
	f.granted(w, "a")
	f.fetchNone("F2", other, "the instance is leased")
	f.fetchNone("F2", w, "the instance is leased by the caller already")
	items, err := f.handle().FetchOrchestrationItems(f.ctx, f.fetchRequest(other, 10, f.flow))
	f.ok("F2", err)
	f.check("F2", len(items) == 0, "fetched %s through another handle", describe(items))
}

func fetchMax(f *fixture) {
	w := f.worker()
	for i := range 5 {
		f.start(fmt.Sprint("i", i))
	}
	seen := map[string]bool{}
	for _, want := range []int{2, 2, 1, 0} {
		items := f.fetch(w, 2)
		equal(f, "F4", "granted with Max 2", len(items), want)
		for _, it := range items {
			f.check("F2", !seen[it.InstanceID], "%s was granted twice", it.InstanceID)
			seen[it.InstanceID] = true
		}
	}
	equal(f, "F2", "instances granted", len(seen), 5)
}

func fetchNotReady(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.idle(w, "a", "go")
	f.send(event("a", "unasked", "e0"))
	f.fetchNone("F3", w, "the instance waits for another event")
	f.fetchNone("F3", other, "the instance waits for another event")
	f.send(event("a", "go", "e1"))
	got := f.fetchOne("F3", other, "a")
	equal(f, "F3", "attempt after being looked at", got.Attempt, 1)
	equal(f, "F3", "next event number", got.NextSeq, l.NextSeq)
}

func fetchAttempts(f *fixture) {
	w := f.worker()
	f.start("a")
	var l *lease
	for n := range int32(3) {
		l = f.fetchOne("F5", w, "a")
		equal(f, "F5", "attempt", l.Attempt, n+1)
		if n < 2 {
			f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token})
		}
	}
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Waits = []string{"go"} }))
	f.send(event("a", "go", "e1"))
	equal(f, "F5", "attempt after a commit", f.fetchOne("F5", w, "a").Attempt, 1)
}

func fetchHistoryOmitted(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	for range 3 {
		f.ack(l, f.turn(2, func(c *provider.Commit) { c.Keep = true }))
	}
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Waits = []string{"go"} }))
	f.send(event("a", "go", "e1"))
	l = f.fetchOne("F6", w, "a")
	equal(f, "F6", "history omitted for the last committer", l.HistoryOmitted, true)
	equal(f, "F6", "turns sent to the last committer", len(l.History), 0)
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token})
	l = f.fetchOne("F6", other, "a")
	f.checkHistory("F6", l, 5)
	// The event stays unread, so the other worker still holds the instance after its commit.
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Waits = []string{"go"} }))
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token})
	l = f.fetchOne("F6", w, "a")
	f.checkHistory("F6", l, 6)
}

// checkHistory checks that a grant carries all turns of the current execution.
func (f *fixture) checkHistory(clause string, l *lease, turns int) {
	f.Helper()
	equal(f, clause, "history omitted", l.HistoryOmitted, false)
	equal(f, clause, "turns in the grant", len(l.History), turns)
	f.checkTurns(clause, l.History, f.history(l.InstanceID))
	last := l.History[turns-1]
	equal(f, clause, "end of the last turn", last.Seq+last.Count, l.NextSeq)
}

// checkTurns compares turns and checks that their numbers join.
func (f *fixture) checkTurns(clause string, got, want []provider.Turn) {
	f.Helper()
	equal(f, clause, "number of turns", len(got), len(want))
	for i, t := range got {
		equal(f, clause, fmt.Sprint("turn ", i), fmt.Sprint(t.Seq, t.Count, string(t.Events)),
			fmt.Sprint(want[i].Seq, want[i].Count, string(want[i].Events)))
		if i > 0 {
			equal(f, clause, "number of the first event", t.Seq, got[i-1].Seq+got[i-1].Count)
		}
	}
}

func fetchMessages(f *fixture) {
	w := f.worker()
	f.idle(w, "a", "x", "y")
	before := f.now()
	sent := []provider.NewMessage{
		event("a", "x", "1"),
		{Target: "a", Kind: provider.MessageChildDone, Execution: 1, ID: "2", Body: []byte(`{"type":"ChildCompleted"}`)},
		event("a", "unasked", "3"),
		event("a", "y", "4"),
		{Target: "a", Kind: provider.MessageActivityDone, Execution: 7, ID: "5", Body: []byte(`{}`)},
		event("a", "x", "6"),
	}
	f.send(sent...)
	after := f.now()
	l := f.fetchOne("F7", w, "a")
	equal(f, "F7", "ids", fmt.Sprint(messageIDs(l.Messages)), "[1 2 4 5 6]")
	want := append(sent[:2:2], sent[3:]...)
	for i, m := range l.Messages {
		f.check("M12", m.Kind == want[i].Kind && m.Execution == want[i].Execution && m.Name == want[i].Name &&
			m.Event == 0 && string(m.Body) == string(want[i].Body), "read %+v, sent %+v", m, want[i])
		f.check("M12", !m.At.Before(before) && !m.At.After(after), "arrived at %v, sent between %v and %v", m.At, before, after)
		f.check("F7", i == 0 || m.Order > l.Messages[i-1].Order, "order numbers do not rise: %+v", l.Messages)
	}
}

// now reads the store's clock.
func (f *fixture) now() time.Time {
	f.Helper()
	return f.pulse(&provider.PulseRequest{}).Now
}

func fetchHeld(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep, c.Waits = true, []string{"go"} }))
	f.fetchNone("F8", w, "there is no news")
	f.send(event("a", "unasked", "e0"))
	f.fetchNone("F8", w, "the held instance does not wait for this event")
	f.send(event("a", "go", "e1"))
	f.fetchNone("F8", other, "the instance is held by another worker")
	news := f.fetchOne("F8", w, "a")
	equal(f, "F8", "held", news.Held, true)
	equal(f, "F8", "token", news.Token, l.Token)
	equal(f, "F8", "messages", fmt.Sprint(messageIDs(news.Messages)), "[e1]")
	f.send(event("a", "go", "e2"))
	news = f.fetchOne("F8", w, "a")
	equal(f, "F8", "messages", fmt.Sprint(messageIDs(news.Messages)), "[e1 e2]")
	equal(f, "F8", "owner", f.state("a").Worker, w)
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token})
	l = f.fetchOne("F8", other, "a")
	equal(f, "F8", "attempt: the news was no grant", l.Attempt, 1)
	f.ackItem(l, consuming(l.item(f.turn(1, nil)), l.Messages))
	f.fetchNone("F8", w, "the message was consumed")
}

// fetchHeldRepeated loses the reply that brought news.
func fetchHeldRepeated(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep, c.Waits = true, []string{"go"} }))
	f.send(event("a", "go", "e1"))
	req := f.fetchRequest(w, 10, f.flow)
	for range 3 {
		items, err := f.p.FetchOrchestrationItems(f.ctx, req)
		f.ok("F8", err)
		equal(f, "F8", "items", len(items), 1)
		equal(f, "F8", "held", items[0].Held, true)
		equal(f, "F8", "token", items[0].Token, l.Token)
		equal(f, "F8", "messages", fmt.Sprint(messageIDs(items[0].Messages)), "[e1]")
	}
}

// fetchHeldRace has a holder fetch while a commit of its own is under way. An item under the old token was read before
// the commit, whose reply must then have the messages too, or the holder would take them for news of an older turn.
func fetchHeldRace(f *fixture) {
	const rounds = 30
	w := f.worker()
	handles := []provider.Provider{f.p, f.handle()}
	l := f.granted(w, "a")
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	var unread []provider.Message
	for round := range rounds {
		id := fmt.Sprint(round)
		f.send(engineMessage("a", id))
		item := consuming(l.item(f.turn(1, func(c *provider.Commit) { c.Keep = true })), unread)
		var reply *provider.AckReply
		var held []provider.OrchestrationItem
		errs := together(2, func(i int) (err error) {
			if i == round%2 {
				reply, err = handles[0].AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{item}})
			} else {
				held, err = handles[1].FetchOrchestrationItems(f.ctx, f.fetchRequest(w, 10, f.flow))
			}
			return err
		})
		f.check("F8", len(errs) == 0, "%v", errs)
		equal(f, "A1", "status", reply.Results[0].Status, provider.Applied)
		unread = reply.Results[0].Messages
		equal(f, "M8", "messages of the reply", fmt.Sprint(messageIDs(unread)), "["+id+"]")
		for _, it := range held {
			f.check("F8", it.Held, "granted %s", describe(held))
			f.check("F8", it.Token == l.Token || it.Token == item.Request, "the token is neither that before nor that after the commit")
			if it.Token == item.Request {
				equal(f, "F8", "messages under the new token", fmt.Sprint(messageIDs(it.Messages)), "["+id+"]")
			}
		}
		l.advance(item.Commit)
	}
}

func fetchTimers(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(1, func(c *provider.Commit) {
		c.Timers = []provider.NewTimer{{Event: 1, FireAt: f.now().Add(-time.Second)}}
	}))
	req := f.fetchRequest(w, 10, f.flow)
	req.Timers = true
	items, err := f.p.FetchOrchestrationItems(f.ctx, req)
	f.ok("F9", err)
	f.check("F9", len(items) == 1 && len(items[0].Messages) == 1, "a timer is due, fetched %s", describe(items))
	equal(f, "T4", "kind", items[0].Messages[0].Kind, provider.MessageTimerFired)
}

func fetchEnded(f *fixture) {
	w := f.worker()
	f.idle(w, "a", "go")
	f.send(engineMessage("a", "1"), engineMessage("a", "2"))
	l := f.fetchOne("F1", w, "a")
	item := consuming(l.item(f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusFailed })), l.Messages[:1])
	f.ackItem(l, item)
	f.fetchNone("F10", w, "the instance has ended, though a message is unread")
	f.fetchNone("F10", f.worker(), "the instance has ended, though a message is unread")
}

func fetchDisjoint(f *fixture) {
	const instances, fetchers = 60, 8
	var starts []provider.StartItem
	for i := range instances {
		starts = append(starts, provider.StartItem{NewInstance: f.instance(fmt.Sprint("i", i))})
	}
	_, err := f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Items: starts})
	f.ok("S1", err)
	handles := []provider.Provider{f.p, f.handle()}
	var mu sync.Mutex
	granted := map[string]int{}
	deadline := time.Now().Add(f.patience)
	errs := together(fetchers, func(n int) error {
		w := provider.NewWorkerID()
		for time.Now().Before(deadline) {
			items, err := handles[n%2].FetchOrchestrationItems(f.ctx, f.fetchRequest(w, 3, f.flow))
			if err != nil {
				return err
			}
			mu.Lock()
			for _, it := range items {
				granted[it.InstanceID]++
			}
			all := len(granted) == instances
			mu.Unlock()
			if all {
				return nil
			}
		}
		return fmt.Errorf("after %v not all instances are granted", f.patience)
	})
	f.check("F2", len(errs) == 0, "fetching at once: %v", errs)
	for id, n := range granted {
		equal(f, "F2", "grants of "+id, n, 1)
	}
}
