package providertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// rankCases are about what is granted first of several classes.
var rankCases = []Case{
	{"rank/instances", []string{"F11"}, rankInstances},
	{"rank/instances-alike", []string{"F11"}, rankInstancesAlike},
	{"rank/instances-repeated", []string{"F11", "I3"}, rankInstancesRepeated},
	{"rank/work", []string{"W18"}, rankWork},
	{"rank/work-of-many-instances", []string{"W18"}, rankWorkOfMany},
	{"rank/work-alike", []string{"W18"}, rankWorkAlike},
	{"rank/work-delayed", []string{"W18"}, rankWorkDelayed},
	{"rank/work-repeated", []string{"W18", "I4"}, rankWorkRepeated},
	{"rank/work-claimed-with-ack", []string{"W18", "W9"}, rankWorkClaimed},
	{"rank/work-claimed-with-result", []string{"W18", "W9"}, rankWorkClaimedWithResult},
	{"rank/one-for-each-class", []string{"E9"}, rankForEachClass},
}

// lanes registers a class in several priorities.
func (f *fixture) lanes(kind provider.ClassKind, name string, priorities ...int8) []provider.ClassID {
	f.Helper()
	classes := make([]provider.Class, len(priorities))
	for n, priority := range priorities {
		classes[n] = provider.Class{Kind: kind, Name: name, Priority: priority}
	}
	return f.register(classes...)
}

// startOf starts an instance of a class.
func (f *fixture) startOf(class provider.ClassID, id string) {
	f.Helper()
	n := f.instance(id)
	n.Class = class
	f.startItem(provider.StartItem{NewInstance: n}, 0)
}

// queue has l queue work items of these classes, one after the other in commits of their own, so that their age differs.
func (f *fixture) queue(l *lease, classes ...provider.ClassID) {
	f.Helper()
	for _, class := range classes {
		work := f.work(l.NextSeq, false)
		work.Class = class
		f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{work} }))
	}
}

// queueAtOnce has l queue so many work items of a class in one commit.
func (f *fixture) queueAtOnce(l *lease, class provider.ClassID, n int) {
	f.Helper()
	f.ack(l, f.turn(int32(n), func(c *provider.Commit) {
		c.Keep = true
		for i := range int32(n) {
			work := f.work(l.NextSeq+i, false)
			work.Class = class
			c.Work = append(c.Work, work)
		}
	}))
}

// fetchRanked fetches work of classes with ranks.
func (f *fixture) fetchRanked(w provider.WorkerID, most int, classes []provider.ClassID, ranks ...int16) []provider.WorkItem {
	f.Helper()
	r, err := f.p.FetchWorkItems(f.ctx, &provider.FetchWorkRequest{Worker: w, Request: provider.NewToken(), Classes: classes,
		Ranks: ranks, Max: most})
	f.ok("W18", err)
	return r.Work
}

// classesOf names the classes of work items by their places in a list.
func classesOf(items []provider.WorkItem, classes []provider.ClassID) string {
	places := make([]int, len(items))
	for n, it := range items {
		places[n] = slices.Index(classes, it.Class)
	}
	return fmt.Sprint(places)
}

// eventsOf returns the events of work items.
func eventsOf(items []provider.WorkItem) string {
	events := make([]int32, len(items))
	for n, it := range items {
		events[n] = it.Event
	}
	return fmt.Sprint(events)
}

func rankInstances(f *fixture) {
	w := f.worker()
	classes := f.lanes(provider.ClassOrchestration, "flow", -2, 0, 1, 2)
	for _, round := range []string{"1", "2"} {
		for n, name := range []string{"lowest", "normal", "high", "highest"} {
			f.startOf(classes[n], name+round)
		}
	}
	// The order of the list and the priorities say nothing; high and highest have the same rank.
	var got []string
	for range 8 {
		req := f.fetchRequest(w, 1, classes[1], classes[3], classes[0], classes[2])
		req.Ranks = []int16{0, -7, 300, -7}
		items, err := f.p.FetchOrchestrationItems(f.ctx, req)
		f.ok("F11", err)
		equal(f, "F4", "instances fetched with Max 1", len(items), 1)
		got = append(got, items[0].InstanceID)
	}
	equal(f, "F11", "instances in order", fmt.Sprint(got),
		"[high1 highest1 high2 highest2 normal1 normal2 lowest1 lowest2]")

	// More at once: the rest is filled up.
	for n := range 6 {
		f.startOf(classes[0], fmt.Sprint("old", n))
	}
	for n := range 4 {
		f.startOf(classes[3], fmt.Sprint("new", n))
	}
	for _, want := range []string{"new new new", "new old old", "old old old", "old"} {
		req := f.fetchRequest(w, 3, classes[0], classes[3])
		req.Ranks = []int16{1, 0}
		items, err := f.p.FetchOrchestrationItems(f.ctx, req)
		f.ok("F11", err)
		var names []string
		for _, it := range items {
			names = append(names, it.InstanceID[:3])
		}
		slices.Sort(names)
		equal(f, "F11", "instances fetched at once", fmt.Sprint(names), "["+want+"]")
	}
}

func rankInstancesAlike(f *fixture) {
	w := f.worker()
	classes := f.lanes(provider.ClassOrchestration, "flow", -1, 1)
	for n, id := range []string{"a", "b", "c", "d"} {
		f.startOf(classes[n%2], id)
	}
	for _, id := range []string{"a", "b", "c", "d"} {
		items := f.fetchOf(w, 1, classes[1], classes[0])
		f.check("F11", len(items) == 1 && items[0].InstanceID == id, "without ranks fetched %s, want %s", describe(items), id)
	}
}

func rankInstancesRepeated(f *fixture) {
	w := f.worker()
	classes := f.lanes(provider.ClassOrchestration, "flow", 0, 1)
	f.startOf(classes[0], "first")
	req := f.fetchRequest(w, 1, classes...)
	req.Ranks = []int16{1, 0}
	for range 2 {
		items, err := f.p.FetchOrchestrationItems(f.ctx, req)
		f.ok("F11", err)
		f.check("I3", len(items) == 1 && items[0].InstanceID == "first" && items[0].Attempt == 1,
			"fetched %s, want first alone", describe(items))
		f.startOf(classes[1], f.fresh("later"))
	}
	items := f.fetchOf(w, 10, classes...)
	equal(f, "I3", "instances left by the repeat", len(items), 2)
}

func rankWork(f *fixture) {
	w, other := f.worker(), f.worker()
	classes := f.lanes(provider.ClassActivity, "job", -1, 0, 2)
	l := f.granted(w, "a")
	const low, high = 48, 40
	f.queueAtOnce(l, classes[0], low)
	f.queueAtOnce(l, classes[2], high)
	f.queue(l, classes[1], classes[1])
	// However many there are: nothing of a higher rank while something of a lower one is left, and each oldest first.
	var got []provider.WorkItem
	for most := 7; len(got) < low+high+2; {
		items := f.fetchRanked(other, most, classes, 2, 1, 0)
		f.check("W18", len(items) > 0 && len(items) <= most, "fetched %d items of %d left, at most %d", len(items), low+high+2-len(got), most)
		got = append(got, items...)
	}
	want := slices.Concat(slices.Repeat([]int{2}, high), []int{1, 1}, slices.Repeat([]int{0}, low))
	equal(f, "W18", "classes in order", classesOf(got, classes), fmt.Sprint(want))
	for n := 1; n < len(got); n++ {
		same := got[n].Class == got[n-1].Class
		f.check("W18", !same || got[n].Event > got[n-1].Event, "the item of event %d came after that of %d", got[n].Event, got[n-1].Event)
	}

	// Two classes with the same rank.
	f.queue(l, classes[0], classes[1], classes[2], classes[1], classes[2])
	var order []string
	for range 5 {
		order = append(order, classesOf(f.fetchRanked(other, 1, classes, 5, -5, -5), classes))
	}
	equal(f, "W18", "classes in order, two of them alike", fmt.Sprint(order), "[[1] [2] [1] [2] [0]]")
}

func rankWorkOfMany(f *fixture) {
	w, other := f.worker(), f.worker()
	classes := f.lanes(provider.ClassActivity, "job", 0, 1)
	const instances, each = 6, 5
	for n := range instances {
		l := f.granted(w, fmt.Sprint("i", n))
		f.queueAtOnce(l, classes[0], each)
		f.queueAtOnce(l, classes[1], each)
	}
	var got []provider.WorkItem
	for len(got) < 2*instances*each {
		items := f.fetchRanked(other, 4, classes, 1, 0)
		f.check("W18", len(items) > 0, "fetched nothing, %d items are left", 2*instances*each-len(got))
		got = append(got, items...)
	}
	want := slices.Concat(slices.Repeat([]int{1}, instances*each), slices.Repeat([]int{0}, instances*each))
	equal(f, "W18", "classes in order", classesOf(got, classes), fmt.Sprint(want))
}

func rankWorkAlike(f *fixture) {
	w, other := f.worker(), f.worker()
	classes := f.lanes(provider.ClassActivity, "job", -1, 1)
	l := f.granted(w, "a")
	f.queue(l, classes[0], classes[1], classes[0], classes[1])
	var order []string
	for range 4 {
		order = append(order, classesOf(f.fetchRanked(other, 1, classes), classes))
	}
	equal(f, "W18", "classes in order, without ranks", fmt.Sprint(order), "[[0] [1] [0] [1]]")
}

func rankWorkDelayed(f *fixture) {
	w, other := f.worker(), f.worker()
	classes := f.lanes(provider.ClassActivity, "job", 0, 1)
	l := f.granted(w, "a")
	f.queue(l, classes[1], classes[0], classes[0])
	first := f.fetchRanked(other, 1, classes, 1, 0)
	equal(f, "W18", "class of the first", classesOf(first, classes), "[1]")
	f.abandonWorkItem(first[0], false, time.Hour)
	equal(f, "W18", "classes while the first is delayed", classesOf(f.fetchRanked(other, 5, classes, 1, 0), classes), "[0 0]")
}

func rankWorkRepeated(f *fixture) {
	w, other := f.worker(), f.worker()
	classes := f.lanes(provider.ClassActivity, "job", 0, 1)
	l := f.granted(w, "a")
	f.queue(l, classes[0])
	req := &provider.FetchWorkRequest{Worker: other, Request: provider.NewToken(), Classes: classes, Ranks: []int16{1, 0}, Max: 1}
	for range 2 {
		r, err := f.p.FetchWorkItems(f.ctx, req)
		f.ok("W18", err)
		equal(f, "I4", "classes", classesOf(r.Work, classes), "[0]")
		equal(f, "I4", "attempt", r.Work[0].Attempt, 1)
		f.queue(l, classes[1])
	}
	equal(f, "I4", "classes left by the repeat", classesOf(f.fetchRanked(other, 5, classes, 1, 0), classes), "[1 1]")
}

func rankWorkClaimed(f *fixture) {
	w := f.worker()
	classes := f.lanes(provider.ClassActivity, "job", 0, 1)
	l := f.granted(w, "a")
	f.queue(l, classes[0], classes[0], classes[1], classes[1])
	turn := f.turn(1, func(c *provider.Commit) { c.Keep = true })
	req := &provider.AckRequest{Worker: w, Items: []provider.AckItem{l.item(turn)}, ClaimWork: 3, WorkClasses: classes,
		WorkRanks: []int16{1, 0}, ClaimRequest: provider.NewToken()}
	for range 2 { // the call and a repeat
		r, err := f.p.AckOrchestrationItems(f.ctx, req)
		f.ok("W9", err)
		equal(f, "A1", "status", r.Results[0].Status, provider.Applied)
		equal(f, "W9", "items claimed", len(r.Work), 3)
		ofHigher := 0
		for _, it := range r.Work {
			if it.Class == classes[1] {
				ofHigher++
			}
		}
		equal(f, "W18", "items of the class with the lower rank", ofHigher, 2)
	}
}

func rankWorkClaimedWithResult(f *fixture) {
	w, other := f.worker(), f.worker()
	classes := f.lanes(provider.ClassActivity, "job", 0, 1)
	l := f.granted(w, "a")
	f.queue(l, f.otherJob, classes[0], classes[1], classes[0])
	it := f.fetchWorkOf(other, 1, f.otherJob)[0]
	r, err := f.p.AckWorkItems(f.ctx, &provider.AckWorkRequest{Worker: other, ClaimWork: 1, WorkClasses: classes,
		WorkRanks: []int16{3, 2}, ClaimRequest: provider.NewToken(),
		Items: []provider.AckWorkItem{{WorkKey: it.WorkKey, Token: it.Token, Request: provider.NewToken(), Body: done(it.Event)}}})
	f.ok("W9", err)
	equal(f, "W18", "class claimed", classesOf(r.Work, classes), "[1]")
}

func rankForEachClass(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(3, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.work(1, true), f.work(2, false)} }))
	held := provider.WorkKey{Ref: l.Ref, Execution: 1, Event: 1}
	f.start("b")
	for _, ranks := range [][]int16{{}, {1, 2}} {
		fetch := f.fetchRequest(w, 1, f.flow)
		fetch.Ranks = ranks
		_, err := f.p.FetchOrchestrationItems(f.ctx, fetch)
		f.givesUp("E9", err)
		classes := []provider.ClassID{f.job}
		_, err = f.p.FetchWorkItems(f.ctx, &provider.FetchWorkRequest{Worker: w, Request: provider.NewToken(), Classes: classes,
			Ranks: ranks, Max: 1})
		f.givesUp("E9", err)
		_, err = f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{l.item(f.turn(1, nil))},
			ClaimWork: 1, WorkClasses: classes, WorkRanks: ranks, ClaimRequest: provider.NewToken()})
		f.givesUp("E9", err)
		_, err = f.p.AckWorkItems(f.ctx, &provider.AckWorkRequest{Worker: w, Items: []provider.AckWorkItem{
			{WorkKey: held, Token: l.Token, Request: provider.NewToken(), Body: done(1)}},
			ClaimWork: 1, WorkClasses: classes, WorkRanks: ranks, ClaimRequest: provider.NewToken()})
		f.givesUp("E9", err)
	}
	equal(f, "E9", "attempt of what a refused fetch would have granted", f.fetchOne("E9", w, "b").Attempt, 1)
	equal(f, "E9", "attempt of the work", f.fetchWorkOne("E9", w).Attempt, 1)
	equal(f, "E9", "result that was refused before", f.finishWork(w, held, l.Token), provider.Applied)
	equal(f, "E9", "ack that was refused before", f.tryAck(w, l.item(f.turn(1, nil))), provider.Applied)
}
