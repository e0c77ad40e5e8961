package providertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pawlrun/pawl/provider"
)

var valueCases = []Case{
	{"value/identifiers", []string{"E2", "C1"}, valueIdentifiers},
	{"value/identifiers-differ-by-bytes", []string{"E2"}, valueIdentifiersDiffer},
	{"value/unstorable-text", []string{"E3", "E1"}, valueUnstorable},
	{"value/documents", []string{"E4"}, valueDocuments},
	{"value/mebibyte", []string{"E4"}, valueMebibyte},
	{"value/parked-reason", []string{"E4", "B4"}, valueReason},
	{"value/no-items", []string{"E5"}, valueNoItems},
	{"value/closed-handle", []string{"E6", "E1"}, valueClosed},
	{"value/done-context", []string{"E1", "I10"}, valueDoneContext},
	{"value/two-handles", []string{"E6", "E7"}, valueTwoHandles},
	{"value/large-batch", []string{"A8", "S4", "W2"}, valueLargeBatch},
}

// strangeTexts are identifiers that stores tend to stumble over.
var strangeTexts = []string{
	"simple", "with space", " leading", "trailing ", "'quote'", `"double"`, `back\slash`, "semi;colon--", "a/b/c", "100%",
	"under_score", "{brace,comma}", "NULL", "Zürich", "東京", "🧪🔁", "e\u0301", "\u00e9", "tab\tnew\nline", "\u200b",
	"עברית", strings.Repeat("long", 60), "$1", "?", "\\N", "\ufeffbom", "\x01",
}

func valueIdentifiers(f *fixture) {
	w := f.worker()
	for _, text := range strangeTexts {
		cl, err := f.p.RegisterClasses(f.ctx, []provider.Class{{Kind: provider.ClassOrchestration, Name: text, Version: text, Tag: text}})
		f.ok("E2", err)
		n := f.instance(text)
		n.Class = cl[0]
		f.startItem(provider.StartItem{NewInstance: n}, 0)
		st := f.state(text)
		equal(f, "E2", "name", st.Name, text)
		equal(f, "E2", "version", st.Version, text)
		items := f.fetchOf(w, 10, cl[0])
		f.check("E2", len(items) == 1 && items[0].InstanceID == text, "fetched %s, want %q", describe(items), text)
		l := &lease{items[0], w}
		child := f.child(l, text+"/child", 1)
		f.ack(l, f.turn(1, func(c *provider.Commit) { c.Waits, c.Children = []string{"other", text}, []provider.NewInstance{child} }))
		m := event(text, text, text)
		m.Body = []byte(`{}`)
		f.send(m)
		items = f.fetchOf(w, 10, cl[0])
		f.check("E2", len(items) == 1 && len(items[0].Messages) == 1, "fetched %s, want %q with a message", describe(items), text)
		got := items[0].Messages[0]
		f.check("E2", got.Name == text && got.ID == text, "sent %q, read name %q and id %q", text, got.Name, got.ID)
		equal(f, "E2", "parent", f.state(text+"/child").ParentID, text)
		equal(f, "E2", "turns by id", len(f.history(text)), 2)
		f.reap(f.workerNamed(text))
	}
}

// workerNamed joins a worker of that name.
func (f *fixture) workerNamed(name string) provider.WorkerID {
	f.Helper()
	w := provider.NewWorkerID()
	f.pulse(&provider.PulseRequest{Worker: w, Join: true, Name: name})
	return w
}

func valueIdentifiersDiffer(f *fixture) {
	for _, id := range append(strangeTexts, "Simple", "with  space", "ZÜRICH", "zürich", "leading", "trailing") {
		r, err := f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Items: []provider.StartItem{{NewInstance: f.instance(id)}}})
		f.ok("E2", err)
		equal(f, "E2", fmt.Sprintf("status of %q", id), r.Results[0].Status, provider.Applied)
	}
	equal(f, "E2", "instances", len(f.list(provider.ListQuery{Limit: 1000})), len(strangeTexts)+6)
}

func valueUnstorable(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.start("good")
	for _, bad := range []string{"nul\x00", "\x00", "bad\xff", "half\xc3"} {
		_, err := f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Items: []provider.StartItem{
			{NewInstance: f.instance("unborn")}, {NewInstance: f.instance(bad)}}})
		f.givesUp("E3", err)
		_, err = f.p.EnqueueMessages(f.ctx, []provider.NewMessage{engineMessage("a", "m"), event("a", bad, "m")})
		f.givesUp("E3", err)
		_, err = f.p.EnqueueMessages(f.ctx, []provider.NewMessage{event("a", "x", bad)})
		f.givesUp("E3", err)
		_, err = f.p.RegisterClasses(f.ctx, []provider.Class{{Kind: provider.ClassActivity, Name: bad}})
		f.givesUp("E3", err)
		_, err = f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{
			l.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x", bad} }))}})
		f.givesUp("E3", err)
	}
	equal(f, "E3", "instances", len(f.list(provider.ListQuery{})), 2)
	r := f.ack(l, f.turn(1, nil))
	equal(f, "E3", "messages of refused calls", len(r.Messages), 0)
	equal(f, "E3", "turns", len(f.history("a")), 2)
}

// documents are JSON documents that must not be reformatted, as a string of every kind.
var documents = []string{
	`{"json":"\u0000"}`,
	`{"a":"\u0000\u0001\ud83d\ude00\\u0000\"\/","b":1e400,"b":2.0,"c":12345678901234567890}`,
	"{ \"spaced\" :\n\t[ 1 ,2 ] }",
	`"it's 'quoted', a \\ and $1 ? %s {}"`,
	`{"日本":"ça va 🧪","":null}`,
	`"\ud800"`,
	`[]`, `null`, `0`, `-0.0`, `""`,
}

func valueDocuments(f *fixture) {
	w := f.worker()
	for _, doc := range documents {
		f.check("E4", json.Valid([]byte(doc)), "%s is no JSON", doc)
		f.roundTrip(w, f.fresh("a"), []byte(doc))
	}
}

// roundTrip puts a document everywhere a document can be and checks that it comes back.
func (f *fixture) roundTrip(w provider.WorkerID, id string, doc []byte) {
	f.Helper()
	same := func(what string, got []byte) {
		f.Helper()
		if !bytes.Equal(got, doc) && len(doc) < 1000 {
			f.fail("E4", "%s: got %s, want %s", what, got, doc)
		}
		f.check("E4", bytes.Equal(got, doc), "%s: %d bytes, want %d", what, len(got), len(doc))
	}
	array := arrayOf(doc)
	sameArray := func(what string, got []byte) {
		f.Helper()
		f.check("E4", bytes.Equal(got, array), "%s: %.1000s, want %.1000s", what, got, array)
	}
	n := f.instance(id)
	n.Events = array
	f.startItem(provider.StartItem{NewInstance: n}, 0)
	sameArray("last turn", f.state(id).LastTurn.Events)
	l := f.fetchOne("F1", w, id)
	sameArray("granted history", l.History[0].Events)
	f.send(provider.NewMessage{Target: id, Kind: provider.MessageChildDone, ID: "m", Body: doc})
	turn := f.turn(1, func(c *provider.Commit) {
		c.Events = array
		c.Work = []provider.NewWork{{Event: 1, Class: f.job, Input: doc}}
		taken := f.child(l, id, 1)
		taken.ExistsBody = doc
		c.Children = []provider.NewInstance{taken}
	})
	r := f.ack(l, turn)
	equal(f, "K3", "messages", len(r.Messages), 2)
	same("message", r.Messages[0].Body)
	same("message that the id is taken", r.Messages[1].Body)
	sameArray("history", f.history(id)[1].Events)
	it := f.fetchWorkOne("W1", w)
	same("input", it.Input)
	f.ackItem(l, consuming(l.item(f.turn(1, nil)), r.Messages))
	res, err := f.p.AckWorkItems(f.ctx, &provider.AckWorkRequest{Worker: w, Serves: []provider.ClassID{f.flow}, Items: []provider.AckWorkItem{
		{WorkKey: it.WorkKey, Token: it.Token, Request: provider.NewToken(), Body: doc, Take: true}}})
	f.ok("E4", err)
	f.check("W10", len(res.Granted) == 1 && len(res.Granted[0].Messages) == 1, "granted %s", describe(res.Granted))
	same("result", res.Granted[0].Messages[0].Body)
	l.OrchestrationItem = res.Granted[0]
	f.ackItem(l, consuming(l.item(f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted })), l.Messages))
}

// arrayOf returns the JSON array with one document.
func arrayOf(doc []byte) []byte { return append(append([]byte{'['}, doc...), ']') }

func valueMebibyte(f *fixture) {
	w := f.worker()
	for _, unit := range []string{"x", "ü🧪\\u0000"} {
		doc := append(append([]byte{'"'}, bytes.Repeat([]byte(unit), (1<<20)/len(unit))...), '"')
		f.roundTrip(w, f.fresh("a"), doc)
	}
}

func valueReason(f *fixture) {
	w := f.worker()
	for _, doc := range documents {
		if doc == "null" { // may be read as not parked
			continue
		}
		id := f.fresh("a")
		l := f.granted(w, id)
		f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token, Park: []byte(doc)})
		equal(f, "E4", "reason", string(f.state(id).Parked), doc)
	}
}

func valueNoItems(f *fixture) {
	w := f.worker()
	ids, err := f.p.RegisterClasses(f.ctx, nil)
	f.ok("E5", err)
	equal(f, "E5", "ids", len(ids), 0)
	start, err := f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Worker: w})
	f.ok("E5", err)
	equal(f, "E5", "results of a start", len(start.Results), 0)
	ack, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w})
	f.ok("E5", err)
	equal(f, "E5", "results of an ack", len(ack.Results)+len(ack.Granted)+len(ack.Work), 0)
	work, err := f.p.AckWorkItems(f.ctx, &provider.AckWorkRequest{Worker: w})
	f.ok("E5", err)
	equal(f, "E5", "results of a work ack", len(work.Results)+len(work.Granted)+len(work.Work), 0)
	st, err := f.p.EnqueueMessages(f.ctx, nil)
	f.ok("E5", err)
	equal(f, "E5", "statuses of messages", len(st), 0)
	st, err = f.p.ResumeInstances(f.ctx, nil)
	f.ok("E5", err)
	equal(f, "E5", "statuses of resumes", len(st), 0)
	st, err = f.p.SuspendInstances(f.ctx, nil, []byte(`1`))
	f.ok("E5", err)
	equal(f, "E5", "statuses of suspensions", len(st), 0)
	st, err = f.p.TerminateInstances(f.ctx, nil)
	f.ok("E5", err)
	equal(f, "E5", "statuses of terminations", len(st), 0)
	f.ok("E5", f.p.AbandonItems(f.ctx, &provider.AbandonRequest{}))
	equal(f, "E5", "items for Max 0", len(f.fetch(w, 0)), 0)
}

func valueClosed(f *fixture) {
	w := f.worker()
	p := f.open(f.T)
	l := f.granted(w, "a")
	if err := p.Close(); err != nil {
		f.fail("E6", "closing: %v", err)
	}
	_, err := p.ReadInstances(f.ctx, []string{"a"}, false)
	var e *provider.Error
	f.check("E6", errors.As(err, &e), "a read on a closed handle returned %v", err)
	_, err = p.StartOrchestrations(f.ctx, &provider.StartRequest{Items: []provider.StartItem{{NewInstance: f.instance("b")}}})
	f.check("E1", errors.As(err, &e) && e.Op != "" && e.Retry != 0, "a start on a closed handle returned %v", err)
	_, err = p.TerminateInstances(f.ctx, []provider.Termination{f.termination("a")})
	f.check("E1", errors.As(err, &e), "a termination on a closed handle returned %v", err)
	_, _, err = p.ReadValues(f.ctx, "a", nil)
	f.check("E1", errors.As(err, &e), "a read of values on a closed handle returned %v", err)
	equal(f, "E6", "instances", len(f.list(provider.ListQuery{})), 1)
	equal(f, "E6", "owner", f.state("a").Worker, w)
	f.ack(l, f.turn(1, nil))
}

func valueDoneContext(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	done, cancel := context.WithCancel(f.ctx)
	cancel()
	n := f.instance("b")
	start := &provider.StartRequest{Items: []provider.StartItem{{NewInstance: n}}}
	ack := &provider.AckRequest{Worker: w, Items: []provider.AckItem{l.item(f.turn(1, nil))}}
	_, startErr := f.p.StartOrchestrations(done, start)
	_, ackErr := f.p.AckOrchestrationItems(done, ack)
	_, pulseErr := f.p.Pulse(done, &provider.PulseRequest{Worker: w, TTL: time.Hour})
	for what, err := range map[string]error{"start": startErr, "ack": ackErr, "pulse": pulseErr} {
		var e *provider.Error
		f.check("E1", errors.As(err, &e), "%s under a done context: error %v is no *provider.Error", what, err)
		f.check("E1", e.Retry == provider.RetryCall && e.Op != "", "%s under a done context: operation %q, retry class %d", what, e.Op, e.Retry)
		f.check("E1", provider.Retryable(err), "%s: not retryable: %v", what, err)
	}
	r, err := f.p.StartOrchestrations(f.ctx, start)
	f.ok("I10", err)
	equal(f, "I10", "status of the repeated start", r.Results[0].Status, provider.Applied)
	r, err = f.p.AckOrchestrationItems(f.ctx, ack)
	f.ok("I10", err)
	equal(f, "I10", "status of the repeated ack", r.Results[0].Status, provider.Applied)
	equal(f, "I10", "turns", len(f.history("a")), 2)
}

func valueTwoHandles(f *fixture) {
	w := f.worker()
	other := f.handle()
	r, err := other.StartOrchestrations(f.ctx, &provider.StartRequest{Items: []provider.StartItem{{NewInstance: f.instance("a")}}})
	f.ok("E6", err)
	l := f.fetchOne("E6", w, "a")
	equal(f, "E7", "Ref", l.Ref, r.Results[0].Ref)
	ack, err := other.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{l.item(f.turn(1, nil))}})
	f.ok("E6", err)
	equal(f, "E6", "status", ack.Results[0].Status, provider.Applied)
	equal(f, "E7", "Ref", f.state("a").Ref, l.Ref)
	f.checkParts()
}

// checkParts checks that the parts of some instances agree with PartitionOf for one count of partitions.
func (f *fixture) checkParts() {
	f.Helper()
	refs := map[string]provider.Ref{}
	for i := range 40 {
		id := fmt.Sprint("part-of-", i)
		refs[id] = f.startItem(provider.StartItem{NewInstance: f.instance(id)}, 0).Ref
	}
	for n := 1; n <= 1024; n++ {
		agrees := true
		for id, ref := range refs {
			agrees = agrees && provider.PartitionOf(id, n) == ref.Part
		}
		if agrees {
			return
		}
	}
	f.fail("E7", "the parts %v are PartitionOf for no count of partitions up to 1024", refs)
}

func valueLargeBatch(f *fixture) {
	const n = 300
	w := f.worker()
	var starts []provider.StartItem
	for i := range n {
		starts = append(starts, provider.StartItem{NewInstance: f.instance(fmt.Sprint("i", i))})
	}
	r, err := f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Items: starts})
	f.ok("S4", err)
	equal(f, "S4", "results", len(r.Results), n)
	items := f.fetch(w, n)
	equal(f, "F4", "grants", len(items), n)
	var acks []provider.AckItem
	for i, it := range items {
		l := &lease{it, w}
		item := l.item(f.turn(2, func(c *provider.Commit) { c.Work = []provider.NewWork{f.work(1, false)} }))
		if i%10 == 0 {
			item.Token = provider.NewToken()
		}
		acks = append(acks, item)
	}
	reply, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: acks})
	f.ok("A8", err)
	for i, res := range reply.Results {
		want := provider.Applied
		if i%10 == 0 {
			want = provider.Fenced
		}
		equal(f, "A8", fmt.Sprint("status of item ", i), res.Status, want)
	}
	equal(f, "W2", "work", len(f.fetchWork(w, n)), n-n/10)
}
