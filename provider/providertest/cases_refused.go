package providertest

import (
	"fmt"
	"strings"

	"github.com/pawlrun/pawl/provider"
)

// Calls of several items of which some are refused, and calls that are refused as a whole.
var refusedCases = []Case{
	{"take/refused-for-item-of-same-call", []string{"G2"}, takeOwnItem},
	{"terminate/children-in-order", []string{"D6"}, terminateInOrder},
	{"terminate/children-of-replaced", []string{"D6", "D5"}, terminateReplaced},
	{"work/claimed-by-nobody", []string{"W9"}, workClaimedByNobody},
	{"values/refused", []string{"E8"}, valuesRefused},
}

// takeOwnItem has an item send with Take to the instance of another one that is fenced, which is free.
func takeOwnItem(f *fixture) {
	w, other := f.worker(), f.worker()
	b := f.idle(w, "b", "x")
	a := f.granted(w, "a")
	m := event("b", "x", "1")
	m.Take = true
	req := &provider.AckRequest{Worker: w, Serves: []provider.ClassID{f.flow}, Items: []provider.AckItem{
		a.item(f.turn(1, func(c *provider.Commit) { c.Keep, c.Messages = true, []provider.NewMessage{m} })),
		b.item(f.turn(1, nil)),
	}}
	for range 2 {
		r, err := f.p.AckOrchestrationItems(f.ctx, req)
		f.ok("G2", err)
		equal(f, "G2", "statuses", fmt.Sprint(r.Results[0].Status, r.Results[1].Status), "applied fenced")
		f.check("G2", len(r.Granted) == 0, "granted %s, the instance of an item of the call", describe(r.Granted))
	}
	equal(f, "G2", "owner", f.state("b").Worker, 0)
	got := f.fetchOne("G2", other, "b")
	equal(f, "G2", "messages", fmt.Sprint(messageIDs(got.Messages)), "[1]")
}

// terminateInOrder ends a child alone before its parent ends with its children, and after.
func terminateInOrder(f *fixture) {
	w := f.worker()
	with := func(id string) provider.Termination {
		t := f.termination(id)
		t.Children = true
		return t
	}
	_, _, grandchild := f.family(w)
	st := f.terminate(f.termination("child"), with("root"), with("child"))
	equal(f, "D4", "statuses", fmt.Sprint(st), "[applied applied gone]")
	for _, id := range []string{"grandchild", "great"} {
		equal(f, "D6", "status of "+id+", whose parent had ended before", f.state(id).Status, provider.StatusRunning)
	}
	f.ack(grandchild, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	f.fetch(w, 10)
	root := f.granted(w, "root2")
	child := f.spawn(root, "child2", 1)
	f.spawn(child, "grandchild2", 1)
	t := with("root2")
	equal(f, "D4", "statuses", fmt.Sprint(f.terminate(t, f.termination("child2"), with("root2"))), "[applied gone gone]")
	f.checkTerminated("D6", t, "grandchild2", 1, 1)
}

// terminateReplaced ends an instance that has taken the place of one whose child runs on, and then the child.
func terminateReplaced(f *fixture) {
	w := f.worker()
	old := f.granted(w, "a")
	child := f.spawn(old, "child", 1)
	f.ack(old, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	f.startItem(f.replacing("a"), 0)
	f.start("b")
	t := f.termination("a")
	t.Children = true
	f.terminateOne(t)
	equal(f, "D6", "status of the child of the earlier instance", f.state("child").Status, provider.StatusRunning)
	f.ack(child, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	f.startItem(f.replacing("a"), 0)
	next := f.fetch(w, 10)
	equal(f, "S8", "instances that are ready", fmt.Sprint(grantedIDs(next)), "[a b]")
	f.terminateOne(f.termination("child"))
	for _, item := range next {
		r := f.ack(&lease{item, w}, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
		equal(f, "D5", "messages of "+item.InstanceID, len(r.Messages), 0)
	}
}

func workClaimedByNobody(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.work(1, false)} }))
	_, err := f.p.AckWorkItems(f.ctx, &provider.AckWorkRequest{ClaimWork: 1, WorkClasses: []provider.ClassID{f.job}, ClaimRequest: provider.NewToken()})
	f.givesUp("W9", err)
	_, err = f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{ClaimWork: 1, WorkClasses: []provider.ClassID{f.job}, ClaimRequest: provider.NewToken()})
	f.givesUp("W9", err)
	f.fetchWorkOne("W9", w)
}

func valuesRefused(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	longest := strings.Repeat("ü", provider.MaxValueKeyBytes/2) + strings.Repeat("x", provider.MaxValueKeyBytes%2)
	for _, c := range []provider.Commit{
		f.setting("k", `1`, "l", `2`, "k", `3`),
		f.setting("k", `1`, "k", ""),
		f.setting("k", `1`, longest+"x", `2`),
		f.setting(longest+"x", ""),
	} {
		_, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{l.item(c)}})
		f.givesUp("E8", err)
		c.Keep = false
		_, err = f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Worker: w, Items: []provider.StartItem{
			{NewInstance: f.instance("good")}, {NewInstance: f.instance("bad"), First: &c}}})
		f.givesUp("E8", err)
	}
	equal(f, "E8", "values", len(f.values("a")), 0)
	equal(f, "E8", "instances", len(f.list(provider.ListQuery{})), 1)
	f.ack(l, f.setting(longest, `1`))
	equal(f, "E8", "values", fmt.Sprint(f.values("a", longest)), fmt.Sprint([]string{longest + "=1"}))
}
