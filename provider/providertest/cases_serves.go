package providertest

import (
	"fmt"
	"strings"
	"time"

	"github.com/pawlrun/pawl/provider"
)

var servesCases = []Case{
	{"serves/counted", []string{"L13", "L14"}, servesCounted},
	{"serves/replaced", []string{"L13"}, servesReplaced},
	{"serves/gone", []string{"L14"}, servesGone},
	{"serves/silent", []string{"L14"}, servesSilent},
	{"serves/where-looked-up", []string{"L14"}, servesWhereLookedUp},
	{"serves/not-granted-by", []string{"L13"}, servesGrantsNothing},
	{"serves/unserved", []string{"L15"}, servesUnserved},
	{"serves/unserved-queued", []string{"L15"}, servesUnservedQueued},
	{"serves/unserved-bounded", []string{"L15"}, servesUnservedBounded},
	{"serves/unserved-priorities", []string{"L15"}, servesUnservedPriorities},
}

// serve pulses as a worker and says what it serves; joining if it is new.
func (f *fixture) serve(w provider.WorkerID, classes ...provider.ClassID) {
	f.Helper()
	f.serveFor(w, 0, classes...)
}

// serveFor is serve by a worker whose beats last for d.
func (f *fixture) serveFor(w provider.WorkerID, d time.Duration, classes ...provider.ClassID) {
	f.Helper()
	if classes == nil {
		classes = []provider.ClassID{}
	}
	r := f.pulse(&provider.PulseRequest{Worker: w, Join: true, Serves: classes, BeatLasts: d})
	equal(f, "L1", "a worker that says what it serves is lost", r.Lost, false)
}

// unserved names the classes of an instance's queued work that nobody serves.
func (f *fixture) unserved(id string) string {
	f.Helper()
	var names []string
	for _, c := range f.state(id).Unserved {
		names = append(names, strings.TrimSuffix(fmt.Sprintf("%d %s@%s#%s", c.Kind, c.Name, c.Version, c.Tag), "@#"))
	}
	return strings.Join(names, ", ")
}

func servesCounted(f *fixture) {
	w, other := f.worker(), provider.NewWorkerID()
	f.start("a")
	n := f.instance("b")
	n.Class = f.otherFlow
	f.startItem(provider.StartItem{NewInstance: n}, 0)
	equal(f, "L13", "workers when nobody has said what it serves", f.state("a").Workers, 0)
	f.serve(w, f.flow, f.job)
	equal(f, "L14", "workers of one class", f.state("a").Workers, 1)
	equal(f, "L14", "workers of another class", f.state("b").Workers, 0)
	f.serve(other, f.otherFlow, f.flow)
	equal(f, "L14", "workers of a class that two serve", f.state("a").Workers, 2)
	equal(f, "L14", "workers of a class that one serves", f.state("b").Workers, 1)
	g := *f
	g.p = f.handle()
	equal(f, "L14", "workers, through another handle", g.state("a").Workers, 2)
	l := f.fetchOne("F1", w, "a")
	equal(f, "L14", "workers of a held instance", f.state("a").Workers, 2)
	next := f.nextExecution()
	next.Class = f.otherFlow
	f.ack(l, f.continued(false, next))
	equal(f, "L14", "workers of the class it has continued as", f.state("a").Workers, 1)
	f.pulse(&provider.PulseRequest{Serves: []provider.ClassID{f.flow, f.otherFlow}})
	equal(f, "L13", "workers when one that is no worker says that it serves", f.state("b").Workers, 1)
	stranger := provider.NewWorkerID()
	r := f.pulse(&provider.PulseRequest{Worker: stranger, Serves: []provider.ClassID{f.otherFlow}})
	equal(f, "L1", "an unknown worker is lost, whatever it serves", r.Lost, true)
	equal(f, "L14", "workers when an unknown one says that it serves", f.state("b").Workers, 1)
	f.pulse(&provider.PulseRequest{Worker: stranger, Join: true})
	equal(f, "L13", "workers when that one has joined", f.state("b").Workers, 1)
}

func servesReplaced(f *fixture) {
	w := f.worker()
	f.start("a")
	f.serve(w, f.flow)
	f.pulse(&provider.PulseRequest{Worker: w, Classes: []provider.ClassID{f.otherFlow}})
	equal(f, "L13", "workers after a pulse that does not say what it serves", f.state("a").Workers, 1)
	f.pulse(&provider.PulseRequest{Worker: w, Serves: []provider.ClassID{f.otherFlow, f.job}})
	equal(f, "L13", "workers when it serves another class", f.state("a").Workers, 0)
	f.pulse(&provider.PulseRequest{Worker: w, Join: true, Serves: []provider.ClassID{f.flow}})
	equal(f, "L13", "workers when it serves the class again", f.state("a").Workers, 1)
	f.serve(w)
	equal(f, "L13", "workers when it serves nothing", f.state("a").Workers, 0)
}

func servesGone(f *fixture) {
	reaped, retired := f.worker(), f.worker()
	f.start("a")
	f.serve(reaped, f.flow)
	f.serve(retired, f.flow)
	equal(f, "L14", "workers", f.state("a").Workers, 2)
	f.reap(reaped)
	equal(f, "L14", "workers after one was reaped", f.state("a").Workers, 1)
	f.ok("L6", f.p.RetireWorker(f.ctx, retired))
	equal(f, "L14", "workers after the other has retired", f.state("a").Workers, 0)
}

// servesSilent has the only worker die, so that nobody is left to reap it.
func servesSilent(f *fixture) {
	w, steady := provider.NewWorkerID(), provider.NewWorkerID()
	f.start("a")
	f.serve(steady, f.flow)
	f.serveFor(w, time.Hour, f.flow)
	equal(f, "L14", "workers whose beats last", f.state("a").Workers, 2)
	f.serveFor(w, 50*time.Millisecond, f.flow)
	f.eventually("L14", "a silent worker is not counted", func() bool { return f.state("a").Workers == 1 })
	f.serveFor(w, time.Hour, f.flow)
	equal(f, "L14", "workers when the silent one has beaten", f.state("a").Workers, 2)
}

func servesWhereLookedUp(f *fixture) {
	w := f.worker()
	f.serve(w, f.flow)
	f.scheduled(w, "a", 1)
	l := f.granted(w, "ended")
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	equal(f, "L14", "workers", f.state("a").Workers, 1)
	equal(f, "L14", "workers of an ended instance", f.state("ended").Workers, -1)
	watched, err := f.p.ReadInstances(f.ctx, []string{"a", "ended"}, true)
	f.ok("R1", err)
	listed, err := f.p.ListInstances(f.ctx, provider.ListQuery{})
	f.ok("R6", err)
	done := f.pulse(&provider.PulseRequest{Watch: []string{"a", "ended"}}).Done
	equal(f, "L8", "instances done", len(done), 1)
	for what, states := range map[string][]provider.InstanceState{"a read with watch": watched, "a list": listed, "Done": done} {
		for _, st := range states {
			equal(f, "L14", "workers of "+st.InstanceID+" in "+what, st.Workers, -1)
			equal(f, "L14", "unserved classes of "+st.InstanceID+" in "+what, len(st.Unserved), 0)
		}
	}
}

// servesGrantsNothing checks that what a worker serves is for readers only.
func servesGrantsNothing(f *fixture) {
	w := f.worker()
	f.serve(w, f.otherFlow)
	f.start("a")
	f.fetchOne("L13", w, "a")
	f.serve(w, f.flow)
	f.start("b")
	r := f.pulse(&provider.PulseRequest{Worker: w, Serves: []provider.ClassID{f.flow}})
	equal(f, "L13", "ready for a worker that asks for no class", r.OrchestrationsReady, false)
	items := f.fetchOf(w, 10, f.otherFlow)
	equal(f, "L13", "instances of a class that was not asked for", len(items), 0)
}

func servesUnserved(f *fixture) {
	w := f.worker()
	tagged, err := f.p.RegisterClasses(f.ctx, []provider.Class{
		{Kind: provider.ClassActivity, Name: "job", Tag: "gpu"}, {Kind: provider.ClassActivity, Name: `ä "b"\`, Tag: "x y"}})
	f.ok("C1", err)
	l := f.granted(w, "a")
	f.ack(l, f.turn(6, func(c *provider.Commit) {
		for n, class := range []provider.ClassID{tagged[1], f.otherJob, f.job, f.job, tagged[0]} {
			work := f.work(int32(n+1), false)
			work.Class = class
			c.Work = append(c.Work, work)
		}
	}))
	f.idle(w, "none")
	equal(f, "L15", "unserved", f.unserved("a"), `2 job, 2 job@#gpu, 2 otherJob, 2 ä "b"\@#x y`)
	equal(f, "L15", "unserved of an instance without work", f.unserved("none"), "")
	f.serve(w, f.flow, f.otherJob, tagged[0])
	equal(f, "L15", "unserved when a worker serves some", f.unserved("a"), `2 job, 2 ä "b"\@#x y`)
	other := f.worker()
	f.serve(other, f.job, tagged[1])
	equal(f, "L15", "unserved when two workers serve all", f.unserved("a"), "")
	f.ok("L6", f.p.RetireWorker(f.ctx, w))
	equal(f, "L15", "unserved when one has retired", f.unserved("a"), "2 job@#gpu, 2 otherJob")
	both, err := f.p.ReadInstances(f.ctx, []string{"none", "a"}, false)
	f.ok("R1", err)
	for _, st := range both {
		equal(f, "L15", "unserved classes of "+st.InstanceID+", read with another", len(st.Unserved), map[string]int{"a": 2}[st.InstanceID])
	}
}

func servesUnservedQueued(f *fixture) {
	w := f.worker()
	f.scheduled(w, "a", 2)
	equal(f, "L15", "unserved", f.unserved("a"), "2 job")
	items := f.fetchWork(w, 2)
	equal(f, "W2", "items leased", len(items), 2)
	equal(f, "L15", "unserved when the work is leased", f.unserved("a"), "")
	f.handOver(items[0])
	equal(f, "L15", "unserved when an item is handed over", f.unserved("a"), "")
	f.abandonWorkItem(items[1], false, time.Hour)
	equal(f, "L15", "unserved when an item is delayed", f.unserved("a"), "2 job")
}

func servesUnservedBounded(f *fixture) {
	w := f.worker()
	const classes = provider.MaxUnserved + 4
	var names []provider.Class
	for n := range classes {
		names = append(names, provider.Class{Kind: provider.ClassActivity, Name: fmt.Sprintf("many %02d", classes-n)})
	}
	ids, err := f.p.RegisterClasses(f.ctx, names)
	f.ok("C1", err)
	l := f.granted(w, "a")
	f.ack(l, f.turn(classes+1, func(c *provider.Commit) {
		for n, class := range ids {
			work := f.work(int32(n+1), false)
			work.Class = class
			c.Work = append(c.Work, work)
		}
	}))
	got := f.state("a").Unserved
	equal(f, "L15", "unserved classes", len(got), provider.MaxUnserved)
	for n, c := range got {
		equal(f, "L15", "an unserved class", c.Name, fmt.Sprintf("many %02d", n+1))
	}
}

func servesUnservedPriorities(f *fixture) {
	w := f.worker()
	classes := f.lanes(provider.ClassActivity, "job", 2, -1, 0)
	l := f.granted(w, "a")
	f.queue(l, classes...)
	priorities := func() string {
		var got []string
		for _, c := range f.state("a").Unserved {
			got = append(got, fmt.Sprint(c.Name, c.Priority))
		}
		return fmt.Sprint(got)
	}
	equal(f, "L15", "unserved", priorities(), "[job-1 job0 job2]")
	f.serve(w, f.job)
	equal(f, "L15", "unserved when a worker serves one of the priorities", priorities(), "[job-1 job2]")
}
