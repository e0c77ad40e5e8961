package providertest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pawlrun/pawl/provider"
)

var messageCases = []Case{
	{"message/answers-per-item", []string{"M1"}, messagePerItem},
	{"message/refused-is-not-stored", []string{"M1"}, messageRefusedNotStored},
	{"message/first-in-first-out", []string{"M2", "F7"}, messageFIFO},
	{"message/fifo-of-concurrent-senders", []string{"M2", "M1"}, messageConcurrentFIFO},
	{"message/waits-for-its-name", []string{"M3", "F3"}, messageWaitsForName},
	{"message/waits-replaced", []string{"M4"}, messageWaitsReplaced},
	{"message/engine-messages-need-no-wait", []string{"M5"}, messageEngine},
	{"message/cancel", []string{"M5", "M12"}, messageCancel},
	{"message/stays-until-consumed", []string{"M6", "B1"}, messageStays},
	{"message/more-than-max", []string{"M7", "A10"}, messageMoreThanMax},
	{"message/max-is-per-name", []string{"M7"}, messageMaxPerName},
	{"message/left-behind-wakes", []string{"M7", "M8"}, messageLeftBehind},
	{"message/to-instance-held-by-another", []string{"M8", "F8"}, messageHeldByAnother},
	{"message/arrives-while-held-then-abandoned", []string{"M8"}, messageThenAbandoned},
	{"message/sent-by-commit", []string{"M9", "M12"}, messageByCommit},
	{"message/to-unknown-and-ended-by-commit", []string{"M9"}, messageDropped},
	{"message/to-itself", []string{"M10"}, messageToItself},
	{"message/within-one-call", []string{"M10"}, messageWithinCall},
	{"message/sender-races-releasing-ack", []string{"M8"}, messageRace},
	{"message/senders-race-fetch", []string{"M8", "M6"}, messageFetchRace},
	{"message/crossing", []string{"M11", "M8"}, messageCrossing},
}

// engineMessage makes a message that needs no wait.
func engineMessage(target, id string) provider.NewMessage {
	return provider.NewMessage{Target: target, Kind: provider.MessageChildDone, Execution: 1, ID: id,
		Body: fmt.Appendf(nil, `{"type":"ChildCompleted","id":%q}`, id)}
}

func messagePerItem(f *fixture) {
	w := f.worker()
	l := f.granted(w, "ended")
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	f.idle(w, "a", "x")
	st, err := f.p.EnqueueMessages(f.ctx, []provider.NewMessage{
		event("nobody", "x", "1"), event("a", "x", "2"), event("ended", "x", "3"), event("a", "x", "4"), engineMessage("nobody", "5")})
	f.ok("M1", err)
	equal(f, "M1", "statuses", fmt.Sprint(st), "[not-found applied gone applied not-found]")
	l = f.fetchOne("M1", w, "a")
	equal(f, "M1", "messages", fmt.Sprint(messageIDs(l.Messages)), "[2 4]")
}

func messageRefusedNotStored(f *fixture) {
	w := f.worker()
	st, err := f.p.EnqueueMessages(f.ctx, []provider.NewMessage{event("a", "x", "early"), engineMessage("a", "early too")})
	f.ok("M1", err)
	equal(f, "M1", "statuses", fmt.Sprint(st), "[not-found not-found]")
	l := f.granted(w, "a")
	equal(f, "M1", "messages older than the instance", len(l.Messages), 0)
	r := f.ack(l, f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x"} }))
	equal(f, "M1", "messages older than the instance", len(r.Messages), 0)
	_, err = f.p.ReadInstances(f.ctx, []string{"nobody"}, false)
	f.ok("R1", err)
	equal(f, "M1", "instances", len(f.list(provider.ListQuery{})), 1)
}

func messageFIFO(f *fixture) {
	w := f.worker()
	f.idle(w, "a", "x", "y")
	f.idle(w, "b", "x", "y")
	handles := []provider.Provider{f.p, f.handle()}
	var want []string
	for call := range 10 {
		var ms []provider.NewMessage
		for i := range 7 {
			id := fmt.Sprintf("%d.%d", call, i)
			want = append(want, id)
			ms = append(ms, event("a", []string{"x", "y"}[i%2], id), event("b", []string{"y", "x"}[i%2], id))
		}
		_, err := handles[call%2].EnqueueMessages(f.ctx, ms)
		f.ok("M2", err)
	}
	items := f.fetch(w, 10)
	equal(f, "M2", "instances fetched", len(items), 2)
	for _, it := range items {
		equal(f, "M2", "order in "+it.InstanceID, fmt.Sprint(messageIDs(it.Messages)), fmt.Sprint(want))
	}
}

func messageConcurrentFIFO(f *fixture) {
	const senders, each = 6, 30
	w := f.worker()
	f.idle(w, "a", "x")
	handles := []provider.Provider{f.p, f.handle()}
	errs := together(senders, func(s int) error {
		for i := range each {
			st, err := handles[s%2].EnqueueMessages(f.ctx, []provider.NewMessage{event("a", "x", fmt.Sprintf("%d.%03d", s, i))})
			if err != nil {
				return err
			}
			if st[0] != provider.Applied {
				return fmt.Errorf("status %v", st[0])
			}
		}
		return nil
	})
	f.check("M1", len(errs) == 0, "sending: %v", errs)
	last := map[byte]string{}
	n := 0
	for _, m := range f.fetchOne("M1", w, "a").Messages {
		f.check("M2", m.ID > last[m.ID[0]], "message %s was read after %s", m.ID, last[m.ID[0]])
		last[m.ID[0]] = m.ID
		n++
	}
	equal(f, "M1", "messages", n, senders*each)
}

func messageWaitsForName(f *fixture) {
	w := f.worker()
	f.idle(w, "a", "x")
	f.send(event("a", "y", "1"), event("a", "X", "2"), event("a", "", "3"), event("a", "x ", "4"))
	f.fetchNone("M3", w, "the instance waits for another name")
	equal(f, "M3", "ready", f.pulse(&provider.PulseRequest{Worker: w, Classes: []provider.ClassID{f.flow}}).OrchestrationsReady, false)
	f.send(event("a", "x", "5"))
	l := f.fetchOne("M3", w, "a")
	equal(f, "M3", "messages", fmt.Sprint(messageIDs(l.Messages)), "[5]")
	item := consuming(l.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"y", "x "} })), l.Messages)
	r := f.ackItem(l, item).Results[0]
	equal(f, "M3", "messages once waited for", fmt.Sprint(messageIDs(r.Messages)), "[1 4]")
}

func messageWaitsReplaced(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep, c.Waits = true, []string{"x"} }))
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Waits = []string{"y"} }))
	f.send(event("a", "x", "1"))
	f.fetchNone("M4", w, "the instance does not wait for x any more")
	f.send(event("a", "y", "2"))
	l = f.fetchOne("M4", w, "a")
	equal(f, "M4", "messages", fmt.Sprint(messageIDs(l.Messages)), "[2]")
}

func messageEngine(f *fixture) {
	w := f.worker()
	f.idle(w, "a", "go")
	f.send(event("a", "x", "1"), engineMessage("a", "2"),
		provider.NewMessage{Target: "a", Kind: provider.MessageActivityDone, Execution: 1, ID: "3", Body: []byte(`{}`)})
	l := f.fetchOne("M5", w, "a")
	equal(f, "M5", "messages", fmt.Sprint(messageIDs(l.Messages)), "[2 3]")
}

// messageCancel sends requests to cancel to instances that wait for something else.
func messageCancel(f *fixture) {
	w := f.worker()
	cancel := func(id string) provider.NewMessage {
		return provider.NewMessage{Target: id, Kind: provider.MessageCancel, ID: "cancel", Body: []byte(`{"reason": "why"}`)}
	}
	f.idle(w, "a", "x")
	f.start("new")
	f.send(cancel("a"), cancel("new"))
	for _, it := range f.fetch(w, 10) {
		f.check("M5", len(it.Messages) == 1, "granted %s, want one message", describe([]provider.OrchestrationItem{it}))
		m := it.Messages[0]
		f.check("M12", m.Kind == provider.MessageCancel && m.Execution == 0 && m.Event == 0 && m.Name == "" && m.ID == "cancel" &&
			string(m.Body) == `{"reason": "why"}`, "the message is %+v", m)
		l := &lease{it, w}
		f.ackItem(l, consuming(l.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x"} })), it.Messages))
	}
	equal(f, "M5", "turns of a", len(f.history("a")), 3)
	equal(f, "M5", "turns of new", len(f.history("new")), 2)
	sender := f.granted(w, "sender")
	held := f.granted(w, "held")
	f.ack(held, f.turn(1, func(c *provider.Commit) { c.Keep, c.Waits = true, []string{"x"} }))
	f.ack(sender, f.turn(1, func(c *provider.Commit) { c.Messages = []provider.NewMessage{cancel("held"), cancel("a")} }))
	for _, it := range f.fetch(w, 10) {
		equal(f, "M5", "held", it.Held, it.InstanceID == "held")
		equal(f, "M5", "messages of "+it.InstanceID, fmt.Sprint(messageIDs(it.Messages)), "[cancel]")
	}
	r := f.ack(held, f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x"} }))
	equal(f, "M5", "messages in the reply", fmt.Sprint(messageIDs(r.Messages)), "[cancel]")
}

func messageStays(f *fixture) {
	w, other := f.worker(), f.worker()
	f.idle(w, "a", "x")
	f.send(event("a", "x", "1"), event("a", "x", "2"))
	l := f.fetchOne("M6", w, "a")
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token})
	l = f.fetchOne("B1", other, "a")
	equal(f, "M6", "after an abandon", fmt.Sprint(messageIDs(l.Messages)), "[1 2]")
	f.ok("L6", f.p.RetireWorker(f.ctx, other))
	l = f.fetchOne("M6", w, "a")
	equal(f, "M6", "after a takeover", fmt.Sprint(messageIDs(l.Messages)), "[1 2]")
	for range 2 {
		r := f.ackItem(l, l.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x"} })))
		equal(f, "M6", "after a commit that names none", fmt.Sprint(messageIDs(r.Results[0].Messages)), "[1 2]")
	}
}

func messageMoreThanMax(f *fixture) {
	const sent = 2*provider.MaxMessages + 50
	w := f.worker()
	f.idle(w, "a", "x")
	var ms []provider.NewMessage
	for i := range sent {
		ms = append(ms, event("a", "x", fmt.Sprintf("%04d", i)))
	}
	f.send(ms...)
	l := f.fetchOne("M7", w, "a")
	got := l.Messages
	var read []string
	for len(got) > 0 {
		f.check("M7", len(got) <= provider.MaxMessages, "%d messages of one name at once", len(got))
		read = append(read, messageIDs(got)...)
		equal(f, "A10", "owner while messages come back", f.state("a").Worker, w)
		f.check("M7", len(read) <= sent, "%d messages read, %d sent", len(read), sent)
		item := consuming(l.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x"} })), got)
		got = f.ackItem(l, item).Results[0].Messages
	}
	equal(f, "M7", "messages read", len(read), sent)
	f.check("M7", slices.IsSorted(read), "not read in the order sent")
	equal(f, "A10", "owner when all are read", f.state("a").Worker, 0)
}

func messageMaxPerName(f *fixture) {
	w := f.worker()
	f.idle(w, "a", "x", "y")
	var ms []provider.NewMessage
	for i := range provider.MaxMessages + 5 {
		ms = append(ms, event("a", "x", fmt.Sprintf("%04d", i)))
	}
	f.send(append(ms, event("a", "y", "last"), engineMessage("a", "engine"))...)
	l := f.fetchOne("M7", w, "a")
	equal(f, "M7", "messages", len(l.Messages), provider.MaxMessages+2)
	equal(f, "M7", "the last two", fmt.Sprint(messageIDs(l.Messages)[provider.MaxMessages:]), "[last engine]")
}

func messageLeftBehind(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.send(event("a", "x", "1"))
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Waits = []string{"y"} }))
	f.send(event("a", "y", "2"))
	l = f.fetchOne("M8", w, "a")
	r := f.ackItem(l, consuming(l.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x"} })), l.Messages))
	equal(f, "M8", "messages", fmt.Sprint(messageIDs(r.Results[0].Messages)), "[1]")
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token})
	l = f.fetchOne("M8", other, "a")
	equal(f, "M8", "messages left behind", fmt.Sprint(messageIDs(l.Messages)), "[1]")
}

func messageHeldByAnother(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.send(engineMessage("a", "1"))
	// Another worker's fetch sees that the instance is held; that must not use up the wake-up.
	f.fetchNone("F8", other, "the instance is held")
	news := f.fetchOne("M8", w, "a")
	equal(f, "M8", "held", news.Held, true)
	f.send(engineMessage("a", "2"))
	f.fetchNone("F8", other, "the instance is held")
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token})
	got := f.fetchOne("M8", other, "a")
	equal(f, "M8", "messages", fmt.Sprint(messageIDs(got.Messages)), "[1 2]")
}

func messageThenAbandoned(f *fixture) {
	w, other := f.worker(), f.worker()
	f.idle(w, "a", "x")
	f.send(event("a", "x", "1"))
	l := f.fetchOne("F1", w, "a")
	f.send(event("a", "x", "2"))
	f.fetchNone("F8", other, "the instance is held")
	f.ok("L6", f.p.RetireWorker(f.ctx, w))
	got := f.fetchOne("M8", other, "a")
	equal(f, "M8", "messages", fmt.Sprint(messageIDs(got.Messages)), "[1 2]")
	equal(f, "A2", "ack of the retired", f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
}

func messageByCommit(f *fixture) {
	w := f.worker()
	f.idle(w, "b", "x")
	l := f.granted(w, "a")
	m := event("b", "x", "1")
	m.Execution = 1
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Messages = []provider.NewMessage{m, engineMessage("b", "2")} }))
	got := f.fetchOne("M9", w, "b")
	equal(f, "M9", "messages", fmt.Sprint(messageIDs(got.Messages)), "[1 2]")
	first := got.Messages[0]
	f.check("M12", first.Kind == m.Kind && first.Name == "x" && first.Execution == 1 && string(first.Body) == string(m.Body),
		"sent %+v, read %+v", m, first)
}

func messageDropped(f *fixture) {
	w := f.worker()
	ended := f.granted(w, "ended")
	f.ack(ended, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	f.idle(w, "b", "x")
	l := f.granted(w, "a")
	f.ack(l, f.turn(1, func(c *provider.Commit) {
		c.Messages = []provider.NewMessage{event("nobody", "x", "1"), event("ended", "x", "2"), event("b", "x", "3")}
		c.Messages[0].Take, c.Messages[1].Take = true, true
	}))
	got := f.fetchOne("M9", w, "b")
	equal(f, "M9", "messages", fmt.Sprint(messageIDs(got.Messages)), "[3]")
	l = f.granted(w, "nobody")
	equal(f, "M9", "messages older than the instance", len(l.Messages), 0)
}

func messageToItself(f *fixture) {
	w := f.worker()
	for _, keep := range []bool{false, true} {
		id := fmt.Sprint("a-", keep)
		l := f.granted(w, id)
		r := f.ack(l, f.turn(1, func(c *provider.Commit) {
			c.Keep, c.Waits = keep, []string{"x"}
			c.Messages = []provider.NewMessage{event(id, "x", "self")}
		}))
		ms := r.Messages
		if len(ms) == 0 {
			got := f.fetchOne("M10", w, id)
			ms = got.Messages
			l.Token = got.Token
		}
		equal(f, "M10", "messages", fmt.Sprint(messageIDs(ms)), "[self]")
		f.ackItem(l, consuming(l.item(f.turn(1, nil)), ms))
	}
}

func messageWithinCall(f *fixture) {
	w := f.worker()
	names := []string{"a", "b", "c", "d"}
	var items []provider.AckItem
	leases := map[string]*lease{}
	for i, id := range names {
		l := f.granted(w, id)
		leases[id] = l
		items = append(items, l.item(f.turn(1, func(c *provider.Commit) {
			c.Keep = i == 2
			for _, to := range names {
				m := engineMessage(to, id+">"+to)
				m.Take = i%2 == 0
				c.Messages = append(c.Messages, m)
			}
		})))
	}
	r, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: items, Serves: []provider.ClassID{f.flow}})
	f.ok("M10", err)
	read := map[string][]string{}
	for i, id := range names {
		equal(f, "M10", "status of "+id, r.Results[i].Status, provider.Applied)
		read[id] = messageIDs(r.Results[i].Messages)
	}
	equal(f, "G2", "targets granted that were items of the call", len(r.Granted), 0)
	for _, it := range f.fetch(w, 10) {
		if len(it.Messages) > len(read[it.InstanceID]) {
			read[it.InstanceID] = messageIDs(it.Messages)
		}
	}
	for _, id := range names {
		slices.Sort(read[id])
		equal(f, "M10", "messages to "+id, fmt.Sprint(read[id]), fmt.Sprintf("[a>%[1]s b>%[1]s c>%[1]s d>%[1]s]", id))
	}
}

// messageRace lets a message meet the commit that frees its instance, again and again: one of them must notice.
func messageRace(f *fixture) {
	const rounds = 40
	w := f.worker()
	handles := []provider.Provider{f.p, f.handle()}
	l := f.granted(w, "a")
	waits := func(c *provider.Commit) { c.Waits = []string{"x"} }
	var unread []provider.Message
	for round := range rounds {
		id := fmt.Sprint(round)
		item := consuming(l.item(f.turn(1, waits)), unread)
		var reply *provider.AckReply
		errs := together(2, func(i int) (err error) {
			if i == round%2 { // take turns in coming first
				reply, err = handles[0].AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{item}})
				return err
			}
			_, err = handles[1].EnqueueMessages(f.ctx, []provider.NewMessage{event("a", "x", id)})
			return err
		})
		f.check("M8", len(errs) == 0, "%v", errs)
		equal(f, "A1", "status", reply.Results[0].Status, provider.Applied)
		l.advance(item.Commit)
		unread = reply.Results[0].Messages
		if len(unread) == 0 {
			f.eventually("M8", "a message that met a releasing commit wakes its instance", func() bool {
				for _, it := range f.fetch(w, 10) {
					l.Token, unread = it.Token, it.Messages
				}
				return len(unread) > 0
			})
		}
		equal(f, "M8", "messages", fmt.Sprint(messageIDs(unread)), "["+id+"]")
	}
}

// messageFetchRace has workers run an instance while others send to it: everything is consumed, once and in the end.
func messageFetchRace(f *fixture) {
	const senders, each, workers = 3, 25, 2
	f.idle(f.worker(), "a", "x")
	var mu sync.Mutex
	read := map[string]int{}
	total := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(read)
	}
	deadline := time.Now().Add(f.patience)
	handles := []provider.Provider{f.p, f.handle()}
	errs := together(senders+workers, func(n int) error {
		p := handles[n%2]
		if n < senders {
			for i := range each {
				if _, err := p.EnqueueMessages(f.ctx, []provider.NewMessage{event("a", "x", fmt.Sprintf("%d.%d", n, i))}); err != nil {
					return err
				}
			}
			return nil
		}
		w := provider.NewWorkerID()
		for total() < senders*each {
			if time.Now().After(deadline) {
				return fmt.Errorf("%d of %d messages read", total(), senders*each)
			}
			items, err := p.FetchOrchestrationItems(f.ctx, f.fetchRequest(w, 1, f.flow))
			if err != nil {
				return err
			}
			for _, it := range items {
				if err := f.consumeAll(p, &lease{it, w}, func(id string) {
					mu.Lock()
					defer mu.Unlock()
					read[id]++
				}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	f.check("M8", len(errs) == 0, "%v", errs)
	for id, n := range read {
		equal(f, "M6", "commits that consumed message "+id, n, 1)
	}
}

// consumeAll commits turns until the instance is free, and reports the ids consumed.
func (f *fixture) consumeAll(p provider.Provider, l *lease, consumed func(id string)) error {
	ms := l.Messages
	for len(ms) > 0 {
		item := consuming(l.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x"} })), ms)
		r, err := p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: l.worker, Items: []provider.AckItem{item}})
		if err != nil {
			return err
		}
		if r.Results[0].Status != provider.Applied {
			return fmt.Errorf("ack of the holder: %v", r.Results[0].Status)
		}
		for _, m := range ms {
			consumed(m.ID)
		}
		l.advance(item.Commit)
		ms = r.Results[0].Messages
	}
	return nil
}

// messageCrossing has pairs of held instances send to each other at the same time, each asking for the other's lease.
func messageCrossing(f *fixture) {
	const rounds = 25
	workers := []provider.WorkerID{f.worker(), f.worker()}
	handles := []provider.Provider{f.p, f.handle()}
	for round := range rounds {
		ids := []string{f.fresh("a"), f.fresh("b")}
		ls := []*lease{f.granted(workers[0], ids[0]), f.granted(workers[1], ids[1])}
		read := map[string]bool{}
		note := func(id string, ms []provider.Message) { read[id] = read[id] || len(ms) > 0 }
		var replies [2]*provider.AckReply
		errs := together(2, func(i int) (err error) {
			item := ls[i].item(f.turn(1, func(c *provider.Commit) {
				c.Keep = round%3 == 0
				m := engineMessage(ids[1-i], fmt.Sprint(round))
				m.Take = true
				c.Messages = []provider.NewMessage{m}
			}))
			replies[i], err = handles[i].AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: workers[i],
				Items: []provider.AckItem{item}, Serves: []provider.ClassID{f.flow}})
			return err
		})
		f.check("M11", len(errs) == 0, "round %d: %v", round, errs)
		for i, r := range replies {
			equal(f, "M11", "status", r.Results[0].Status, provider.Applied)
			note(ids[i], r.Results[0].Messages)
			for _, it := range r.Granted {
				note(it.InstanceID, it.Messages)
			}
		}
		f.eventually("M8", "messages that cross are read", func() bool {
			for _, w := range workers {
				for _, it := range f.fetch(w, 100) {
					note(it.InstanceID, it.Messages)
				}
			}
			return read[ids[0]] && read[ids[1]]
		})
	}
}
