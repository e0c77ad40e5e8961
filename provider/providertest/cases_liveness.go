package providertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/pawlrun/pawl/provider"
)

var livenessCases = []Case{
	{"liveness/join", []string{"L1", "I9"}, livenessJoin},
	{"liveness/beats", []string{"L2", "L3"}, livenessBeats},
	{"liveness/stale", []string{"L3", "L2"}, livenessStale},
	{"liveness/reap", []string{"L4", "L10", "B1"}, livenessReap},
	{"liveness/reap-spares-who-has-beaten", []string{"L5"}, livenessReapChangedBeat},
	{"liveness/reap-unknown", []string{"L5", "L7"}, livenessReapUnknown},
	{"liveness/reap-releases-kept-instance", []string{"L4", "W6"}, livenessReapKept},
	{"liveness/reap-counts-attempts", []string{"L4", "W8", "F5"}, livenessReapAttempts},
	{"liveness/retire", []string{"L6", "L7", "L10"}, livenessRetire},
	{"liveness/late-takes", []string{"L11"}, livenessLateTakes},
	{"liveness/old-token-after-takeover", []string{"L10", "L4"}, livenessOldToken},
	{"liveness/done", []string{"L8", "R2"}, livenessDone},
	{"liveness/orchestrations-ready", []string{"L9", "C2"}, livenessOrchestrationsReady},
	{"liveness/work-ready", []string{"L9", "C2"}, livenessWorkReady},
	{"liveness/reapers-race", []string{"L4", "I9", "F2"}, livenessReapersRace},
}

// beatOf returns the beat of a worker as another sees it.
func (f *fixture) beatOf(w provider.WorkerID) provider.Beat {
	f.Helper()
	var beat provider.Beat
	f.eventually("L3", "the beat of a silent worker gets stale", func() bool {
		stale := f.pulse(&provider.PulseRequest{TTL: time.Millisecond}).Stale
		i := slices.IndexFunc(stale, func(b provider.Beat) bool { return b.Worker == w })
		if i >= 0 {
			beat = stale[i]
		}
		return i >= 0
	})
	return beat
}

// reap reaps a worker as another would that has seen no beat of it.
func (f *fixture) reap(w provider.WorkerID) {
	f.Helper()
	f.pulse(&provider.PulseRequest{Reap: []provider.Beat{f.beatOf(w)}})
}

func livenessJoin(f *fixture) {
	w := provider.NewWorkerID()
	equal(f, "L1", "lost before joining", f.pulse(&provider.PulseRequest{Worker: w}).Lost, true)
	equal(f, "L1", "lost still: the pulse has not made it known", f.pulse(&provider.PulseRequest{Worker: w}).Lost, true)
	for range 2 {
		equal(f, "I9", "lost when joining", f.pulse(&provider.PulseRequest{Worker: w, Join: true, Name: "me"}).Lost, false)
	}
	equal(f, "L1", "lost after joining", f.pulse(&provider.PulseRequest{Worker: w}).Lost, false)
	equal(f, "L1", "a client that is no worker is lost", f.pulse(&provider.PulseRequest{}).Lost, false)
}

func livenessBeats(f *fixture) {
	w := f.worker()
	first := f.beatOf(w)
	equal(f, "L2", "beat of a silent worker", f.beatOf(w), first)
	f.pulse(&provider.PulseRequest{Worker: w})
	second := f.beatOf(w)
	f.check("L2", second.Beat != first.Beat, "the beat is %d before and after a pulse", first.Beat)
}

func livenessStale(f *fixture) {
	const ttl = 80 * time.Millisecond
	before := f.now()
	w, silent := f.worker(), f.worker()
	r := f.pulse(&provider.PulseRequest{Worker: w, TTL: time.Hour})
	equal(f, "L3", "workers stale within an hour", len(r.Stale), 0)
	var at time.Time
	f.eventually("L3", "a silent worker gets stale", func() bool {
		r := f.pulse(&provider.PulseRequest{Worker: w, TTL: ttl})
		for _, b := range r.Stale {
			equal(f, "L3", "the stale worker", b.Worker, silent)
			at = r.Now
		}
		return len(r.Stale) > 0
	})
	f.check("L3", at.Sub(before) >= ttl, "stale after %v, TTL %v", at.Sub(before), ttl)
	r = f.pulse(&provider.PulseRequest{TTL: time.Nanosecond})
	for _, b := range r.Stale {
		f.check("L2", b.Worker != 0, "a pulse without worker has beaten")
	}
}

func livenessReap(f *fixture) {
	w, other := f.worker(), f.worker()
	f.scheduled(w, "b", 1)
	it := f.fetchWorkOne("W1", w)
	l := f.granted(w, "a")
	f.send(engineMessage("a", "1"))
	f.reap(w)
	equal(f, "L4", "owner", f.state("a").Worker, 0)
	got := f.fetchOne("L4", other, "a")
	equal(f, "L4", "attempt", got.Attempt, 2)
	equal(f, "L4", "messages", fmt.Sprint(messageIDs(got.Messages)), "[1]")
	work := f.fetchWorkOne("L4", other)
	equal(f, "L4", "attempt of the work", work.Attempt, 2)
	equal(f, "L4", "lost", f.pulse(&provider.PulseRequest{Worker: w}).Lost, true)
	equal(f, "L10", "ack of the reaped", f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
	equal(f, "L10", "result of the reaped", f.finishWork(w, it.WorkKey, it.Token), provider.Gone)
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token})
	equal(f, "L10", "owner after an abandon of the reaped", f.state("a").Worker, other)
	f.ackItem(got, consuming(got.item(f.turn(1, nil)), got.Messages))
	equal(f, "L10", "result of the new holder", f.finishWork(other, work.WorkKey, work.Token), provider.Applied)
}

func livenessReapChangedBeat(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	beat := f.beatOf(w)
	equal(f, "L1", "lost", f.pulse(&provider.PulseRequest{Worker: w}).Lost, false)
	f.pulse(&provider.PulseRequest{Reap: []provider.Beat{beat}})
	equal(f, "L5", "lost", f.pulse(&provider.PulseRequest{Worker: w}).Lost, false)
	equal(f, "L5", "owner", f.state("a").Worker, w)
	f.fetchNone("L5", f.worker(), "the worker has beaten since")
	f.ack(l, f.turn(1, nil))
}

func livenessReapUnknown(f *fixture) {
	w, other := f.worker(), f.worker()
	a := f.granted(w, "a")
	f.scheduled(other, "b", 1)
	it := f.fetchWorkOne("W1", other)
	beat := f.beatOf(w)
	f.pulse(&provider.PulseRequest{Worker: other, Reap: []provider.Beat{{Worker: provider.NewWorkerID(), Beat: beat.Beat}}})
	equal(f, "L5", "owner", f.state("a").Worker, w)
	f.reap(w)
	equal(f, "L7", "work that another holds", len(f.fetchWork(w, 10)), 0)
	equal(f, "L7", "result of the other", f.finishWork(other, it.WorkKey, it.Token), provider.Applied)
	equal(f, "L10", "ack of the reaped", f.tryAck(w, a.item(f.turn(1, nil))), provider.Fenced)
}

func livenessReapKept(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.turn(2, func(c *provider.Commit) { c.Keep, c.Work = true, []provider.NewWork{f.work(1, true)} }))
	f.reap(w)
	equal(f, "L4", "owner", f.state("a").Worker, 0)
	f.fetchNone("F3", other, "the instance waits for its work")
	it := f.fetchWorkOne("L4", other)
	equal(f, "W4", "result", f.finishWork(other, it.WorkKey, it.Token), provider.Applied)
	got := f.fetchOne("L4", other, "a")
	equal(f, "F3", "attempt", got.Attempt, 1)
	f.checkHistory("F6", got, 2)
}

func livenessReapAttempts(f *fixture) {
	f.scheduled(f.worker(), "b", 1)
	f.start("a")
	for n := range int32(3) {
		w := f.worker()
		equal(f, "L4", "attempt", f.fetchOne("L4", w, "a").Attempt, n+1)
		equal(f, "L4", "attempt of the work", f.fetchWorkOne("L4", w).Attempt, n+1)
		f.reap(w)
	}
}

// livenessLateTakes has calls of a worker arrive after it was retired, as those do that were on their way.
func livenessLateTakes(f *fixture) {
	w, other := f.worker(), f.worker()
	f.scheduled(other, "busy", 1)
	f.start("a")
	f.ok("L6", f.p.RetireWorker(f.ctx, w))
	f.fetch(w, 10)
	f.fetchWork(w, 10)
	f.eventually("L11", "what the late calls took is released", func() bool {
		f.pulse(&provider.PulseRequest{Worker: other, TTL: time.Hour})
		return f.state("a").Worker == 0
	})
	f.fetchOne("L11", other, "a")
	f.fetchWorkOne("L11", other)
}

func livenessRetire(f *fixture) {
	w, other, third := f.worker(), f.worker(), f.worker()
	f.scheduled(other, "b", 2)
	mine, theirs := f.fetchWork(w, 1)[0], f.fetchWork(other, 1)[0]
	a, c := f.granted(w, "a"), f.granted(other, "c")
	for range 2 {
		f.ok("L6", f.p.RetireWorker(f.ctx, w))
	}
	f.ok("L6", f.p.RetireWorker(f.ctx, provider.NewWorkerID()))
	got := f.fetchOne("L6", third, "a") // at once: without a pulse that would release it too
	equal(f, "L6", "attempt", got.Attempt, 2)
	equal(f, "L6", "work released", f.fetchWorkOne("L6", third).WorkKey, mine.WorkKey)
	equal(f, "L6", "lost", f.pulse(&provider.PulseRequest{Worker: w}).Lost, true)
	equal(f, "L7", "the other is lost", f.pulse(&provider.PulseRequest{Worker: other}).Lost, false)
	equal(f, "L10", "ack of the retired", f.tryAck(w, a.item(f.turn(1, nil))), provider.Fenced)
	f.ok("L6", f.p.RetireWorker(f.ctx, w))
	equal(f, "L7", "owner after another retirement", f.state("a").Worker, third)
	f.ack(c, f.turn(1, nil))
	equal(f, "L7", "result of the other", f.finishWork(other, theirs.WorkKey, theirs.Token), provider.Applied)
}

// livenessOldToken checks that neither a release nor a takeover leaves the old token good for anything, whoever asks.
func livenessOldToken(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.scheduled(other, "b", 1)
	it := f.fetchWorkOne("W1", w)
	f.reap(w)
	for _, worker := range []provider.WorkerID{w, other} {
		equal(f, "L10", "ack under the old token, instance free", f.tryAck(worker, l.item(f.turn(1, nil))), provider.Fenced)
		equal(f, "L10", "result under the old token, work queued", f.finishWork(worker, it.WorkKey, it.Token), provider.Gone)
	}
	got := f.fetchOne("L4", other, "a")
	f.check("L10", got.Token != l.Token, "the takeover goes on under the old token")
	work := f.fetchWorkOne("L4", other)
	f.check("L10", work.Token != it.Token, "the takeover of work goes on under the old token")
	equal(f, "L10", "ack of the reaped, instance held by another", f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
	f.ack(got, f.turn(1, nil))
}

func livenessDone(f *fixture) {
	w := f.worker()
	ids := []string{"a", "b", "c", "nobody"}
	var last provider.Commit
	for _, id := range ids[:3] {
		l := f.granted(w, id)
		if id == "b" {
			last = f.turn(2, func(c *provider.Commit) { c.Status = provider.StatusFailed })
			f.ack(l, last)
		}
	}
	_, err := f.p.ReadInstances(f.ctx, ids, true)
	f.ok("R1", err)
	r := f.pulse(&provider.PulseRequest{Watch: ids})
	f.check("L8", len(r.Done) == 1 && r.Done[0].InstanceID == "b", "done: %+v, want b", r.Done)
	equal(f, "L8", "status", r.Done[0].Status, provider.StatusFailed)
	equal(f, "L8", "last turn", string(r.Done[0].LastTurn.Events), string(last.Events))
	equal(f, "L8", "done without watching", len(f.pulse(&provider.PulseRequest{}).Done), 0)
	equal(f, "L8", "done once more", len(f.pulse(&provider.PulseRequest{Worker: w, Watch: []string{"b"}}).Done), 1)
}

func livenessOrchestrationsReady(f *fixture) {
	w, other := f.worker(), f.worker()
	ready := func(w provider.WorkerID, classes ...provider.ClassID) bool {
		return f.pulse(&provider.PulseRequest{Worker: w, Classes: classes}).OrchestrationsReady
	}
	equal(f, "L9", "ready in an empty store", ready(w, f.flow), false)
	f.start("a")
	equal(f, "L9", "ready once started", ready(w, f.flow, f.otherFlow), true)
	equal(f, "C2", "ready for another class", ready(w, f.otherFlow), false)
	equal(f, "C2", "ready for no class", ready(w), false)
	l := f.fetchOne("F1", w, "a")
	equal(f, "L9", "ready when leased", ready(w, f.flow), false)
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep, c.Waits = true, []string{"x"} }))
	f.send(event("a", "x", "1"))
	equal(f, "L9", "ready for the holder", ready(w, f.flow), true)
	equal(f, "L9", "ready for others", ready(other, f.flow), false)
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token})
	equal(f, "L9", "ready when abandoned", ready(other, f.flow), true)
	p := f.pulse(&provider.PulseRequest{Classes: []provider.ClassID{f.flow}})
	equal(f, "L9", "ready as a client sees it", p.OrchestrationsReady, true)
}

func livenessWorkReady(f *fixture) {
	w := f.worker()
	ready := func(classes ...provider.ClassID) bool {
		return f.pulse(&provider.PulseRequest{Worker: w, WorkClasses: classes}).WorkReady
	}
	equal(f, "L9", "work ready in an empty store", ready(f.job), false)
	f.scheduled(w, "a", 1)
	equal(f, "L9", "work ready", ready(f.job), true)
	equal(f, "C2", "work of another class ready", ready(f.otherJob), false)
	equal(f, "C2", "work of no class ready", ready(), false)
	it := f.fetchWorkOne("W1", w)
	equal(f, "L9", "leased work ready", ready(f.job), false)
	f.abandonWorkItem(it, false, time.Hour)
	equal(f, "L9", "delayed work ready", ready(f.job), false)
}

// livenessReapersRace has several processes reap one dead worker and fetch what it held.
func livenessReapersRace(f *fixture) {
	const instances, reapers = 20, 4
	dead := f.worker()
	for i := range instances {
		f.start(fmt.Sprint("i", i))
	}
	held := f.fetch(dead, instances)
	equal(f, "F1", "instances held", len(held), instances)
	beat := f.beatOf(dead)
	handles := []provider.Provider{f.p, f.handle()}
	grants := make([]int, reapers)
	deadline := time.Now().Add(f.patience)
	workers := make([]provider.WorkerID, reapers)
	for n := range workers {
		workers[n] = f.worker()
	}
	errs := together(reapers, func(n int) error {
		p := handles[n%2]
		if _, err := p.Pulse(f.ctx, &provider.PulseRequest{TTL: time.Hour, Reap: []provider.Beat{beat}}); err != nil {
			return err
		}
		w := workers[n]
		for empty := 0; empty < 3 && time.Now().Before(deadline); {
			items, err := p.FetchOrchestrationItems(f.ctx, f.fetchRequest(w, 4, f.flow))
			if err != nil {
				return err
			}
			grants[n] += len(items)
			if len(items) == 0 {
				empty++
			}
		}
		return nil
	})
	f.check("L4", len(errs) == 0, "reaping at once: %v", errs)
	total := 0
	for _, n := range grants {
		total += n
	}
	rest := f.fetch(f.worker(), 100)
	equal(f, "F2", "grants after the reap", total+len(rest), instances)
	equal(f, "L4", "lost", f.pulse(&provider.PulseRequest{Worker: dead}).Lost, true)
}
