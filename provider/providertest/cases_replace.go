package providertest

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// Starts that replace an ended instance, and starts with messages.
var replaceCases = []Case{
	{"start/replaces-ended", []string{"S8", "R6"}, startReplaces},
	{"start/replaces-what-was-left", []string{"S8"}, startReplacesLeftovers},
	{"start/replaces-under-a-holder", []string{"S8", "D2", "A2"}, startReplacesUnderHolder},
	{"start/replaces-none-running", []string{"S8", "S3"}, startReplacesNoneRunning},
	{"start/replaces-eagerly", []string{"S8", "S6", "S9"}, startReplacesEagerly},
	{"start/replacement-repeated", []string{"S9", "I1"}, startReplacementRepeated},
	{"start/replaced-by-twenty-at-once", []string{"S10"}, startReplacersRace},
	{"start/replacement-races-all-others", []string{"S10", "M1", "D7"}, startReplacementRaces},
	{"start/with-messages", []string{"S11"}, startWithMessages},
	{"start/with-messages-eagerly", []string{"S11"}, startWithMessagesEagerly},
	{"start/all-kinds-in-one-call", []string{"S4", "S8", "S11"}, startAllKinds},
	{"start/messages-dropped", []string{"S11"}, startMessagesDropped},
	{"start/messages-repeated", []string{"S11", "I1"}, startMessagesRepeated},
}

// ended makes an instance that has ended.
func (f *fixture) ended(w provider.WorkerID, id string) *lease {
	f.Helper()
	l := f.granted(w, id)
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	return l
}

// tryStart starts one instance and returns the result.
func (f *fixture) tryStart(w provider.WorkerID, item provider.StartItem) provider.AckResult {
	f.Helper()
	r, err := f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Worker: w, Items: []provider.StartItem{item}})
	f.ok("S1", err)
	equal(f, "S1", "number of results", len(r.Results), 1)
	return r.Results[0]
}

// replacing makes a start of class flow that replaces an ended instance.
func (f *fixture) replacing(id string) provider.StartItem {
	return provider.StartItem{NewInstance: f.instance(id), ReplaceEnded: true}
}

func startReplaces(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.continued(true, f.nextExecution()))
	f.ack(l, f.turn(2, func(c *provider.Commit) {
		c.Status, c.CustomStatus, c.Values = provider.StatusFailed, []byte(`"old"`), []provider.Value{{Key: "k", Data: []byte(`1`)}}
	}))
	before := f.state("a")
	item := f.replacing("a")
	item.Class = f.otherFlow
	r := f.startItem(item, 0)
	st := f.state("a")
	equal(f, "S8", "Ref in the answer", r.Ref, st.Ref)
	f.check("S8", r.Ref.Row > before.Row, "row %d took the place of row %d", r.Ref.Row, before.Row)
	equal(f, "S8", "status", st.Status, provider.StatusRunning)
	equal(f, "S8", "execution", st.Execution, 1)
	equal(f, "S8", "execution id", st.ExecutionID, item.ExecutionID)
	equal(f, "S8", "next event number", st.NextSeq, 1)
	equal(f, "S8", "name", st.Name, "otherFlow")
	equal(f, "S8", "custom status", string(st.CustomStatus), "")
	equal(f, "S8", "version of the custom status", st.StatusVersion, 0)
	f.check("S8", st.EndedAt.IsZero(), "the new instance has an end: %v", st.EndedAt)
	f.check("S8", !st.CreatedAt.Before(before.EndedAt), "created at %v, before the end of the old one at %v", st.CreatedAt, before.EndedAt)
	turns := f.history("a")
	equal(f, "S8", "turns", len(turns), 1)
	equal(f, "S8", "events", string(turns[0].Events), string(item.Events))
	equal(f, "S8", "turns of a second execution", len(f.historyOf("a", 2)), 0)
	equal(f, "S8", "values", fmt.Sprint(f.values("a")), "[]")
	equal(f, "S8", "instances listed", len(f.list(provider.ListQuery{})), 1)
	equal(f, "S8", "late ack of the old one", f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
	items := f.fetchOf(other, 10, f.otherFlow)
	f.check("S8", len(items) == 1 && items[0].InstanceID == "a" && items[0].Attempt == 1 && len(items[0].History) == 1,
		"fetched %s, want a with one turn", describe(items))
	f.ack(&lease{items[0], other}, f.turn(1, nil))
	f.start("c")
	f.terminateOne(f.termination("a"))
	f.startItem(f.replacing("a"), 0)
	equal(f, "R6", "instances, newest first", fmt.Sprint(ids(f.list(provider.ListQuery{}))), "[a c]")
	f.fetchOf(w, 10, f.flow)
	f.startItem(f.replacing("b"), 0)
	f.fetchOne("S8", w, "b")
}

// startReplacesLeftovers replaces an instance that has ended with work, a timer and messages left behind.
func startReplacesLeftovers(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(5, func(c *provider.Commit) {
		c.Keep, c.Work = true, []provider.NewWork{f.work(1, false), f.work(2, false), f.work(3, false)}
		c.Timers = timers(f.now().Add(time.Hour))
	}))
	held := f.fetchWork(w, 2)
	equal(f, "W1", "items", len(held), 2)
	f.handOver(held[1])
	f.send(event("a", "x", "old"), engineMessage("a", "old"))
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	f.startItem(f.replacing("a"), 0)
	for _, it := range held {
		equal(f, "S8", "result of work of the old one", f.finishWork(w, it.WorkKey, it.Token), provider.Gone)
	}
	equal(f, "S8", "items in the queue", len(f.fetchWork(w, 10)), 0)
	next := f.pulse(&provider.PulseRequest{Worker: w}).NextTimer
	f.check("S8", next.IsZero(), "a timer of the old one is pending for %v", next)
	got := f.fetchOne("S8", w, "a")
	equal(f, "S8", "messages", len(got.Messages), 0)
	r := f.ack(got, f.turn(1, func(c *provider.Commit) { c.Keep, c.Waits = true, []string{"x"} }))
	equal(f, "S8", "messages", len(r.Messages), 0)
}

func startReplacesNoneRunning(f *fixture) {
	w := f.worker()
	held := f.granted(w, "held")
	f.idle(w, "idle", "x")
	f.start("new")
	for _, id := range []string{"new", "held", "idle"} {
		before := f.state(id)
		first := f.turn(1, func(c *provider.Commit) { c.Values = []provider.Value{{Key: "k", Data: []byte(`1`)}} })
		for _, item := range []provider.StartItem{f.replacing(id), {NewInstance: f.instance(id), ReplaceEnded: true, First: &first}} {
			equal(f, "S8", "status of "+id, f.tryStart(w, item).Status, provider.Exists)
		}
		after := f.state(id)
		equal(f, "S8", "execution id of "+id, after.ExecutionID, before.ExecutionID)
		equal(f, "S8", "Ref of "+id, after.Ref, before.Ref)
		equal(f, "S8", "owner of "+id, after.Worker, before.Worker)
		equal(f, "S8", "next event number of "+id, after.NextSeq, before.NextSeq)
		equal(f, "S8", "values of "+id, len(f.values(id)), 0)
	}
	f.ack(held, f.turn(1, nil))
	f.fetchOne("S8", w, "new")
	f.ended(w, "ended")
	equal(f, "S3", "status without ReplaceEnded", f.tryStart(w, provider.StartItem{NewInstance: f.instance("ended")}).Status, provider.Exists)
}

func startReplacesEagerly(f *fixture) {
	w := f.worker()
	f.ended(w, "a")
	item := f.replacing("a")
	first := f.turn(3, func(c *provider.Commit) {
		c.Keep, c.Work, c.CustomStatus = true, []provider.NewWork{f.work(1, true), f.work(2, false)}, []byte(`"s"`)
	})
	item.First = &first
	r := f.startItem(item, w)
	for range 2 {
		st := f.state("a")
		equal(f, "S8", "status", st.Status, provider.StatusRunning)
		equal(f, "S8", "owner", st.Worker, w)
		equal(f, "S8", "Ref in the answer", r.Ref, st.Ref)
		equal(f, "S8", "next event number", st.NextSeq, 3)
		equal(f, "S8", "version of the custom status", st.StatusVersion, 1)
		equal(f, "S8", "turns", len(f.history("a")), 1)
		again := f.startItem(item, w)
		equal(f, "S9", "Ref of the repeat", again.Ref, r.Ref)
	}
	equal(f, "S8", "items queued", len(f.fetchWork(w, 10)), 1)
	key := provider.WorkKey{Ref: r.Ref, Execution: 1, Event: 1}
	equal(f, "S8", "result of work born leased", f.finishWork(w, key, first.Request), provider.Applied)
}

func startReplacementRepeated(f *fixture) {
	w := f.worker()
	old := f.start("a")
	f.ack(f.fetchOne("F1", w, "a"), f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	item := f.replacing("a")
	ref := f.startItem(item, 0).Ref
	repeat := func(when string) {
		f.Helper()
		r := f.tryStart(0, item)
		equal(f, "S9", "status of the repeat "+when, r.Status, provider.Applied)
		equal(f, "S9", "Ref of the repeat "+when, r.Ref, ref)
		equal(f, "S9", "execution id "+when, f.state("a").ExecutionID, item.ExecutionID)
	}
	repeat("at once")
	l := f.fetchOne("S9", w, "a")
	last := f.turn(2, func(c *provider.Commit) {
		c.Keep, c.Values = true, []provider.Value{{Key: "k", Data: []byte(`1`)}}
	})
	f.ack(l, last)
	repeat("once it has run on")
	equal(f, "S9", "owner", f.state("a").Worker, w)
	equal(f, "S9", "status of a late repeat of the old start", f.tryStart(0, provider.StartItem{NewInstance: old}).Status, provider.Exists)
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusFailed }))
	repeat("once it has ended")
	equal(f, "S9", "status of the instance", f.state("a").Status, provider.StatusFailed)
	equal(f, "S9", "turns", len(f.history("a")), 3)
	equal(f, "S9", "values", len(f.values("a")), 1)
	equal(f, "S9", "instances listed", len(f.list(provider.ListQuery{})), 1)
	f.fetchNone("S9", w, "the instance has ended")
}

func startReplacersRace(f *fixture) {
	const rivals, rounds = 20, 3
	w := f.worker()
	handles := []provider.Provider{f.p, f.handle()}
	for round := range rounds {
		id := f.fresh("a")
		f.ended(w, id)
		var applied atomic.Int32
		errs := together(rivals, func(i int) error {
			r, err := handles[i%2].StartOrchestrations(f.ctx, &provider.StartRequest{Items: []provider.StartItem{f.replacing(id)}})
			if err != nil {
				return err
			}
			switch r.Results[0].Status {
			case provider.Applied:
				applied.Add(1)
			case provider.Exists:
			default:
				return fmt.Errorf("status %v", r.Results[0].Status)
			}
			return nil
		})
		f.check("S10", len(errs) == 0, "replacing at once failed: %v", errs)
		equal(f, "S10", fmt.Sprintf("round %d: Applied answers", round), applied.Load(), 1)
		equal(f, "S10", "turns", len(f.history(id)), 1)
		f.fetchOne("S10", w, id)
	}
	equal(f, "S10", "instances listed", len(f.list(provider.ListQuery{})), rounds)
}

// firstMessages are messages of a start, with a target that must not matter.
func firstMessages(target string) []provider.NewMessage {
	return []provider.NewMessage{event(target, "x", "1"), event(target, "y", "2"), event(target, "x", "3"), engineMessage(target, "4")}
}

func startWithMessages(f *fixture) {
	w := f.worker()
	f.idle(w, "bystander", "x")
	ms := firstMessages("bystander")
	f.startItem(provider.StartItem{NewInstance: f.instance("a"), Messages: ms}, 0)
	l := f.fetchOne("S11", w, "a")
	equal(f, "S11", "messages without waits", fmt.Sprint(messageIDs(l.Messages)), "[4]")
	f.send(event("a", "x", "5"))
	r := f.ackItem(l, consuming(l.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x", "y"} })), l.Messages)).Results[0]
	equal(f, "S11", "messages", fmt.Sprint(messageIDs(r.Messages)), "[1 2 3 5]")
	for i, m := range r.Messages[:3] {
		f.check("S11", m.Kind == ms[i].Kind && m.Name == ms[i].Name && string(m.Body) == string(ms[i].Body) && !m.At.IsZero(),
			"sent %+v, read %+v", ms[i], m)
	}
	f.ended(w, "b")
	item := f.replacing("b")
	item.Messages = ms
	f.startItem(item, 0)
	equal(f, "S11", "messages of a replacement", fmt.Sprint(messageIDs(f.fetchOne("S11", w, "b").Messages)), "[4]")
}

func startWithMessagesEagerly(f *fixture) {
	w := f.worker()
	first := f.turn(2, func(c *provider.Commit) { c.Waits = []string{"x"} })
	r := f.startItem(provider.StartItem{NewInstance: f.instance("a"), First: &first, Messages: firstMessages("a")}, w)
	equal(f, "S11", "messages", fmt.Sprint(messageIDs(r.Messages)), "[1 3 4]")
	equal(f, "S11", "owner", f.state("a").Worker, w)
	l := &lease{provider.OrchestrationItem{Ref: r.Ref, InstanceID: "a", Execution: 1, NextSeq: 2, Token: first.Request}, w}
	after := f.ackItem(l, consuming(l.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"y"} })), r.Messages)).Results[0]
	equal(f, "S11", "messages after the next turn", fmt.Sprint(messageIDs(after.Messages)), "[2]")
	first = f.turn(2, func(c *provider.Commit) { c.Waits = []string{"z"} })
	r = f.startItem(provider.StartItem{NewInstance: f.instance("b"), First: &first, Messages: firstMessages("b")[:3]}, w)
	equal(f, "S11", "messages it does not wait for", len(r.Messages), 0)
	equal(f, "S11", "owner", f.state("b").Worker, 0)
	first = f.turn(2, func(c *provider.Commit) { c.Status = provider.StatusCompleted })
	r = f.startItem(provider.StartItem{NewInstance: f.instance("c"), First: &first, Messages: firstMessages("c")}, w)
	equal(f, "A12", "messages of one that has ended", len(r.Messages), 0)
	f.fetchNone("S11", w, "nobody has anything to do")
}

func startMessagesDropped(f *fixture) {
	w := f.worker()
	f.idle(w, "a", "x", "y")
	f.ended(w, "ended")
	first := f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x"} })
	for _, item := range []provider.StartItem{
		{NewInstance: f.instance("a"), Messages: firstMessages("a")},
		{NewInstance: f.instance("a"), Messages: firstMessages("a"), ReplaceEnded: true},
		{NewInstance: f.instance("a"), Messages: firstMessages("a"), First: &first},
		{NewInstance: f.instance("ended"), Messages: firstMessages("ended")},
	} {
		r := f.tryStart(w, item)
		equal(f, "S11", "status for "+item.InstanceID, r.Status, provider.Exists)
		equal(f, "S11", "messages returned", len(r.Messages), 0)
	}
	f.fetchNone("S11", w, "the starts were refused")
	f.send(engineMessage("a", "only"))
	equal(f, "S11", "messages", fmt.Sprint(messageIDs(f.fetchOne("S11", w, "a").Messages)), "[only]")
}

func startMessagesRepeated(f *fixture) {
	w := f.worker()
	item := provider.StartItem{NewInstance: f.instance("a"), Messages: firstMessages("a")}
	f.startItem(item, 0)
	f.startItem(item, 0)
	l := f.fetchOne("S11", w, "a")
	equal(f, "S11", "messages after a repeat", fmt.Sprint(messageIDs(l.Messages)), "[4]")
	r := f.ackItem(l, consuming(l.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x", "y"} })), l.Messages)).Results[0]
	equal(f, "S11", "messages", fmt.Sprint(messageIDs(r.Messages)), "[1 2 3]")
	f.ackItem(l, consuming(l.item(f.turn(1, func(c *provider.Commit) { c.Waits = []string{"x"} })), r.Messages))
	f.startItem(item, 0)
	f.fetchNone("S11", w, "the messages were delivered and used")
	first := f.turn(2, func(c *provider.Commit) { c.Waits = []string{"x"} })
	eager := provider.StartItem{NewInstance: f.instance("b"), Messages: firstMessages("b"), First: &first}
	for range 2 {
		equal(f, "S11", "messages of an eager start", fmt.Sprint(messageIDs(f.startItem(eager, w).Messages)), "[1 3 4]")
	}
	ended := f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted })
	f.ended(w, "c")
	replacing := f.replacing("c")
	replacing.First, replacing.Messages = &ended, firstMessages("c")
	for range 2 {
		f.startItem(replacing, w)
	}
	equal(f, "S9", "turns of one that replaced and ended at once", len(f.history("c")), 1)
}

// startAllKinds starts in every way with one call.
func startAllKinds(f *fixture) {
	w := f.worker()
	f.ended(w, "ended")
	f.ended(w, "replaced")
	f.ended(w, "replaced-eagerly")
	f.idle(w, "running", "x")
	eager := func(value string) *provider.Commit {
		c := f.turn(2, func(c *provider.Commit) {
			c.Waits, c.Values = []string{"x"}, []provider.Value{{Key: "k", Data: []byte(value)}}
		})
		return &c
	}
	req := &provider.StartRequest{Worker: w, Items: []provider.StartItem{
		{NewInstance: f.instance("running"), ReplaceEnded: true, Messages: []provider.NewMessage{event("", "x", "r")}},
		{NewInstance: f.instance("plain")},
		{NewInstance: f.instance("replaced"), ReplaceEnded: true, Messages: []provider.NewMessage{engineMessage("", "p")}},
		{NewInstance: f.instance("ended"), Messages: []provider.NewMessage{event("", "x", "e")}},
		{NewInstance: f.instance("eager"), First: eager(`1`), Messages: []provider.NewMessage{event("", "x", "1"), event("", "x", "2")}},
		{NewInstance: f.instance("signalled"), Messages: []provider.NewMessage{engineMessage("", "s1"), engineMessage("", "s2")}},
		{NewInstance: f.instance("replaced-eagerly"), ReplaceEnded: true, First: eager(`2`)},
	}}
	var refs []provider.Ref
	for range 2 {
		r, err := f.p.StartOrchestrations(f.ctx, req)
		f.ok("S4", err)
		equal(f, "S4", "results", len(r.Results), len(req.Items))
		statuses := []provider.ItemStatus{}
		for n, res := range r.Results {
			statuses = append(statuses, res.Status)
			want := "[]"
			if req.Items[n].InstanceID == "eager" {
				want = "[1 2]"
			}
			equal(f, "S11", "messages of "+req.Items[n].InstanceID, fmt.Sprint(messageIDs(res.Messages)), want)
			if res.Status != provider.Applied {
				continue
			}
			st := f.state(req.Items[n].InstanceID)
			equal(f, "S4", "Ref of "+st.InstanceID, res.Ref, st.Ref)
			equal(f, "S4", "execution id of "+st.InstanceID, st.ExecutionID, req.Items[n].ExecutionID)
			refs = append(refs, res.Ref)
		}
		equal(f, "S4", "statuses", fmt.Sprint(statuses), "[exists applied applied exists applied applied applied]")
	}
	equal(f, "I1", "Refs of the repeat", fmt.Sprint(refs[5:]), fmt.Sprint(refs[:5]))
	equal(f, "S8", "values", fmt.Sprint(f.values("eager"), f.values("replaced-eagerly"), f.values("replaced")), "[k=1] [k=2] []")
	got := map[string]string{}
	for _, it := range f.fetch(w, 10) {
		if !it.Held {
			got[it.InstanceID] = fmt.Sprint(messageIDs(it.Messages))
		}
	}
	equal(f, "S11", "instances and their messages", fmt.Sprint(got), "map[plain:[] replaced:[p] signalled:[s1 s2]]")
}

// startReplacesUnderHolder terminates and replaces an instance that somebody holds: nothing of the old holder reaches the
// new one, which is at the same execution and event number.
func startReplacesUnderHolder(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.terminateOne(f.termination("a"))
	f.startItem(f.replacing("a"), 0)
	late := func(when string) {
		f.Helper()
		item := l.item(f.turn(1, func(c *provider.Commit) {
			c.Status, c.CustomStatus = provider.StatusCompleted, []byte(`"late"`)
			c.Values = []provider.Value{{Key: "late", Data: []byte(`1`)}}
		}))
		equal(f, "D2", "ack of the old holder "+when, f.tryAck(w, item), provider.Fenced)
		f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token, Park: []byte(`"late"`)})
		st := f.state("a")
		f.check("S8", st.Status == provider.StatusRunning && st.Parked == nil && st.StatusVersion == 0, "%s: the new instance is %+v", when, st)
		equal(f, "S8", "values "+when, len(f.values("a")), 0)
	}
	late("while the new one is free")
	got := f.fetchOne("S8", other, "a")
	equal(f, "S8", "attempt", got.Attempt, 1)
	f.check("S8", got.Token != l.Token, "the new instance goes on under the old token")
	late("while the new one is held")
	f.ok("L6", f.p.RetireWorker(f.ctx, w))
	equal(f, "S8", "owner after the old holder retired", f.state("a").Worker, other)
	f.ack(got, f.turn(1, nil))
}

// startReplacementRaces replaces an instance while others send to it, read it, end its children and, in every other round,
// terminate what replaced it.
func startReplacementRaces(f *fixture) {
	const rounds = 12
	w := f.worker()
	handles := []provider.Provider{f.p, f.handle(), f.handle()}
	for round := range rounds {
		id := f.fresh("a")
		l := f.granted(w, id)
		child := f.spawn(l, id+"/child", 1)
		f.ack(l, f.turn(1, func(c *provider.Commit) {
			c.Status, c.Values = provider.StatusFailed, []provider.Value{{Key: "k", Data: []byte(`1`)}}
		}))
		end := child.item(f.turn(1, func(c *provider.Commit) {
			c.Status, c.Messages = provider.StatusCompleted, []provider.NewMessage{engineMessage(id, "child")}
		}))
		replacers := []provider.StartItem{f.replacing(id), f.replacing(id), f.replacing(id)}
		var applied [3]bool
		var sent []provider.ItemStatus
		calls := []func(provider.Provider) error{
			func(p provider.Provider) (err error) {
				sent, err = p.EnqueueMessages(f.ctx, []provider.NewMessage{engineMessage(id, "sent")})
				return err
			},
			func(p provider.Provider) error {
				_, err := p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{end}})
				return err
			},
			func(p provider.Provider) error {
				_, err := p.ReadInstances(f.ctx, []string{id, id + "/child"}, true)
				return err
			},
			func(p provider.Provider) error {
				_, found, err := p.ReadValues(f.ctx, id, nil)
				if err == nil && !found {
					err = fmt.Errorf("%s is not found while it is replaced", id)
				}
				return err
			},
		}
		for i := range replacers {
			calls = append(calls, func(p provider.Provider) error {
				r, err := p.StartOrchestrations(f.ctx, &provider.StartRequest{Items: replacers[i : i+1]})
				applied[i] = err == nil && r.Results[0].Status == provider.Applied
				return err
			})
		}
		terminating := round%2 == 1
		if terminating {
			calls = append(calls, func(p provider.Provider) error {
				_, err := p.TerminateInstances(f.ctx, []provider.Termination{f.termination(id)})
				return err
			})
		}
		errs := together(len(calls), func(i int) error { return calls[i](handles[i%len(handles)]) })
		f.check("D7", len(errs) == 0, "round %d: %v", round, errs)
		f.checkReplaced(id, replacers, applied[:], terminating)
		if items := f.fetch(w, 10); len(items) == 1 {
			has := slices.Contains(messageIDs(items[0].Messages), "sent")
			f.check("M1", terminating || has == (sent[0] == provider.Applied), "a message answered %v is there: %t", sent[0], has)
		} else {
			f.check("S10", terminating && len(items) == 0, "round %d: fetched %s, want %s", round, describe(items), id)
		}
	}
}

// checkReplaced checks that one of the replacers has won, or several one after the other if the winner was terminated.
func (f *fixture) checkReplaced(id string, replacers []provider.StartItem, applied []bool, terminated bool) {
	f.Helper()
	won, winners := f.state(id).ExecutionID, 0
	for i, item := range replacers {
		if applied[i] {
			winners++
		}
		f.check("S10", item.ExecutionID != won || applied[i], "the start of %v won and was not told", won)
	}
	f.check("S10", winners == 1 || winners == 2 && terminated, "%d starts were applied", winners)
	equal(f, "S10", "values", len(f.values(id)), 0)
}
