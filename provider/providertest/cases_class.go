package providertest

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl/provider"
)

var classCases = []Case{
	{"class/stable-ids", []string{"C1"}, classStableIDs},
	{"class/every-field-distinguishes", []string{"C1"}, classEveryField},
	{"class/registered-at-once", []string{"C1"}, classRegisteredAtOnce},
	{"class/heard-of", []string{"C4"}, classHeardOf},
	{"class/heard-of-bounded", []string{"C4"}, classHeardOfBounded},
	{"class/heard-of-while-registered", []string{"C4", "C5"}, classHeardOfWhileRegistered},
	{"class/orchestrations-filtered", []string{"C2", "C3", "F3"}, classOrchestrationsFiltered},
	{"class/work-filtered", []string{"C2", "C3"}, classWorkFiltered},
}

func classStableIDs(f *fixture) {
	a := provider.Class{Kind: provider.ClassOrchestration, Name: "a", Version: "1"}
	b := provider.Class{Kind: provider.ClassActivity, Name: "b", Tag: "gpu"}
	first, err := f.p.RegisterClasses(f.ctx, []provider.Class{a, b})
	f.ok("C1", err)
	again, err := f.handle().RegisterClasses(f.ctx, []provider.Class{b, a, b})
	f.ok("C1", err)
	if len(first) != 2 || len(again) != 3 {
		f.fail("C1", "2 and 3 classes registered, got ids %v and %v", first, again)
	}
	if again[0] != first[1] || again[1] != first[0] || again[2] != first[1] {
		f.fail("C1", "a, b have ids %v; b, a, b have ids %v", first, again)
	}
}

func classEveryField(f *fixture) {
	classes := []provider.Class{
		{Kind: provider.ClassOrchestration, Name: "x"},
		{Kind: provider.ClassActivity, Name: "x"},
		{Kind: provider.ClassOrchestration, Name: "y"},
		{Kind: provider.ClassOrchestration, Name: "x", Version: "1"},
		{Kind: provider.ClassOrchestration, Name: "x", Tag: "1"},
		{Kind: provider.ClassOrchestration, Name: "x", Version: "1", Tag: "1"},
		{Kind: provider.ClassOrchestration, Name: "x", Version: "1", Tag: "1", Priority: 2},
		{Kind: provider.ClassOrchestration, Name: "x", Priority: 1},
		{Kind: provider.ClassOrchestration, Name: "x", Priority: -1},
		{Kind: provider.ClassOrchestration, Name: "X"},
		{Kind: provider.ClassOrchestration, Name: "x "},
	}
	ids, err := f.p.RegisterClasses(f.ctx, classes)
	f.ok("C1", err)
	seen := map[provider.ClassID]provider.Class{}
	for i, id := range ids {
		if other, twice := seen[id]; twice {
			f.fail("C1", "%+v and %+v have the same id %d", other, classes[i], id)
		}
		seen[id] = classes[i]
	}
	equal(f, "C1", "number of ids", len(seen), len(classes))
}

func classRegisteredAtOnce(f *fixture) {
	const callers = 8
	classes := make([]provider.Class, 10)
	for i := range classes {
		classes[i] = provider.Class{Kind: provider.ClassActivity, Name: fmt.Sprint("n", i)}
	}
	handles := []provider.Provider{f.p, f.handle()}
	var got [callers][]provider.ClassID
	errs := together(callers, func(i int) (err error) {
		mine := make([]provider.Class, len(classes))
		for j := range classes { // everybody in another order
			mine[j] = classes[(j+i)%len(classes)]
		}
		got[i], err = handles[i%2].RegisterClasses(f.ctx, mine)
		return err
	})
	f.check("C1", len(errs) == 0, "registering at once failed: %v", errs)
	for i := range callers {
		for j := range classes {
			if got[i][j] != got[0][(j+i)%len(classes)] {
				f.fail("C1", "class %d has ids %d and %d", (j+i)%len(classes), got[i][j], got[0][(j+i)%len(classes)])
			}
		}
	}
}

// register registers classes, which must be possible.
func (f *fixture) register(classes ...provider.Class) []provider.ClassID {
	f.Helper()
	ids, err := f.p.RegisterClasses(f.ctx, classes)
	f.ok("C1", err)
	equal(f, "C1", "number of ids", len(ids), len(classes))
	return ids
}

// classesFrom has a client's pulse tell the classes from an id on.
func (f *fixture) classesFrom(from provider.ClassID) []provider.KnownClass {
	f.Helper()
	return f.pulse(&provider.PulseRequest{ClassesFrom: from}).Classes
}

func classHeardOf(f *fixture) {
	added := []provider.Class{
		{Kind: provider.ClassOrchestration, Name: "flow", Version: "2", Tag: "t", Priority: -2},
		{Kind: provider.ClassActivity, Name: "job", Priority: 2},
	}
	var want []provider.KnownClass
	for _, c := range added {
		want = append(want, provider.KnownClass{ID: f.register(c)[0], Class: c})
	}
	all := f.classesFrom(1)
	f.check("C4", len(all) == 6 && slices.Equal(all[4:], want), "from the first id on: %+v, want %+v to be the last of 6", all, want)
	for n := range all {
		f.check("C4", slices.Equal(f.classesFrom(all[n].ID), all[n:]), "from id %d on: %+v", all[n].ID, f.classesFrom(all[n].ID))
	}
	equal(f, "C4", "classes after the last one", len(f.classesFrom(all[5].ID+1)), 0)
	w := f.worker()
	equal(f, "C4", "classes for a worker", len(f.pulse(&provider.PulseRequest{Worker: w, ClassesFrom: all[5].ID}).Classes), 1)
	equal(f, "C4", "classes for who does not ask", len(f.pulse(&provider.PulseRequest{Worker: w}).Classes), 0)
	lost := f.pulse(&provider.PulseRequest{Worker: provider.NewWorkerID(), ClassesFrom: 1})
	f.check("C4", lost.Lost && len(lost.Classes) == 0, "lost %t, %d classes", lost.Lost, len(lost.Classes))
}

func classHeardOfBounded(f *fixture) {
	classes := make([]provider.Class, provider.MaxClasses)
	for n := range classes {
		classes[n] = provider.Class{Kind: provider.ClassActivity, Name: fmt.Sprint("n", n)}
	}
	f.register(classes...)
	first := f.classesFrom(1)
	equal(f, "C4", "classes at once", len(first), provider.MaxClasses)
	rest := f.classesFrom(first[len(first)-1].ID + 1)
	equal(f, "C4", "classes left", len(rest), 4)
	seen := map[string]bool{}
	for _, c := range slices.Concat(first, rest) {
		seen[fmt.Sprint(c.Kind, c.Name)] = true
	}
	equal(f, "C4", "distinct classes", len(seen), provider.MaxClasses+4)
}

func classHeardOfWhileRegistered(f *fixture) {
	const callers, each = 6, 8
	handles := []provider.Provider{f.p, f.handle()}
	heard := map[string]int{}
	next := provider.ClassID(1)
	listen := func() error {
		r, err := f.p.Pulse(f.ctx, &provider.PulseRequest{TTL: time.Hour, ClassesFrom: next})
		if err != nil {
			return err
		}
		for _, c := range r.Classes {
			heard[c.Name+fmt.Sprint(c.Priority)]++
			next = c.ID + 1
		}
		return nil
	}
	var busy atomic.Int32
	busy.Store(callers)
	errs := together(callers+1, func(i int) error {
		for i == callers && busy.Load() > 0 {
			if err := listen(); err != nil {
				return err
			}
		}
		if i == callers {
			return listen()
		}
		defer busy.Add(-1)
		for n := range each {
			_, err := handles[i%2].RegisterClasses(f.ctx, []provider.Class{
				{Kind: provider.ClassActivity, Name: fmt.Sprint("own ", i, " ", n)},
				{Kind: provider.ClassActivity, Name: fmt.Sprint("shared ", n), Priority: 1},
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	f.check("C5", len(errs) == 0, "registering and listening at once failed: %v", errs)
	for name, times := range heard {
		f.check("C5", times == 1, "class %s was heard of %d times", name, times)
	}
	equal(f, "C5", "classes heard of", len(heard), 4+callers*each+each)
}

func classOrchestrationsFiltered(f *fixture) {
	w := f.worker()
	for i := range 20 {
		n := f.instance(fmt.Sprint("foreign", i))
		n.Class = f.otherFlow
		f.startItem(provider.StartItem{NewInstance: n}, 0)
	}
	if items := f.fetchOf(w, 100); len(items) != 0 {
		f.fail("C2", "a fetch of no classes granted %s", describe(items))
	}
	if items := f.fetchOf(w, 100, f.job); len(items) != 0 {
		f.fail("C2", "a fetch of an activity's class granted %s", describe(items))
	}
	f.fetchNone("C2", w, "only instances of another class are ready")
	f.start("mine")
	f.fetchOne("C3", w, "mine")
	items := f.fetchOf(w, 100, f.flow, f.otherFlow)
	equal(f, "C3", "instances of the other class granted", len(items), 20)
	for _, it := range items {
		equal(f, "C2", "class of "+it.InstanceID, it.Class, f.otherFlow)
		equal(f, "C3", "attempt of "+it.InstanceID+" after being passed over", it.Attempt, 1)
	}
}

func classWorkFiltered(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(3, func(c *provider.Commit) {
		for i := range int32(20) {
			c.Work = append(c.Work, provider.NewWork{Event: i, Class: f.otherJob, Input: []byte(`1`)})
		}
		c.Work = append(c.Work, f.work(20, false))
	}))
	equal(f, "C2", "work items of no classes", len(f.fetchWorkOf(w, 100)), 0)
	equal(f, "C2", "work items of an orchestration's class", len(f.fetchWorkOf(w, 100, f.flow)), 0)
	mine := f.fetchWork(w, 100)
	equal(f, "C3", "work items of class job", len(mine), 1)
	equal(f, "C2", "class of the item", mine[0].Class, f.job)
	others := f.fetchWorkOf(w, 100, f.job, f.otherJob)
	equal(f, "C3", "work items of class otherJob", len(others), 20)
	for _, it := range others {
		equal(f, "C3", "attempt after being passed over", it.Attempt, 1)
	}
}
