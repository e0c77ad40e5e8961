package providertest

import (
	"fmt"
	"time"

	"github.com/pawlrun/pawl/provider"
)

var abandonCases = []Case{
	{"abandon/ready-at-once", []string{"B1", "B3"}, abandonAtOnce},
	{"abandon/after-delay", []string{"B1"}, abandonDelay},
	{"abandon/token-must-match", []string{"B2"}, abandonTokenMustMatch},
	{"abandon/undo-attempt", []string{"B3", "I9"}, abandonUndo},
	{"abandon/parked", []string{"B4", "R7"}, abandonParked},
	{"abandon/resumed", []string{"B5", "F5"}, abandonResumed},
	{"abandon/resume-answers-per-id", []string{"B5"}, abandonResumePerID},
	{"abandon/resume-leaves-held-alone", []string{"B5", "I9"}, abandonResumeHeld},
	{"abandon/work", []string{"B6", "B3", "B2"}, abandonWork},
	{"abandon/work-after-delay", []string{"B6"}, abandonWorkDelay},
}

func abandonAtOnce(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.send(engineMessage("a", "1"))
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token})
	equal(f, "B1", "owner", f.state("a").Worker, 0)
	got := f.fetchOne("B1", other, "a")
	equal(f, "B3", "attempt", got.Attempt, 2)
	equal(f, "B1", "messages", fmt.Sprint(messageIDs(got.Messages)), "[1]")
	equal(f, "B1", "ack under the abandoned token", f.tryAck(w, l.item(f.turn(1, nil))), provider.Fenced)
	f.ackItem(got, consuming(got.item(f.turn(1, nil)), got.Messages))
}

func abandonDelay(f *fixture) {
	const delay = 120 * time.Millisecond
	w := f.worker()
	l := f.granted(w, "a")
	before := f.now()
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token, Delay: delay})
	equal(f, "B1", "owner", f.state("a").Worker, 0)
	f.eventually("B1", "an abandoned instance is ready again after its delay", func() bool { return len(f.fetch(w, 10)) == 1 })
	after := f.now()
	f.check("B1", after.Sub(before) >= delay, "ready again after %v, delayed by %v", after.Sub(before), delay)
}

func abandonTokenMustMatch(f *fixture) {
	w := f.worker()
	a, b := f.granted(w, "a"), f.granted(w, "b")
	unknown := a.Ref
	unknown.Row += 1 << 40
	f.abandon(
		provider.AbandonedInstance{Ref: a.Ref, Token: provider.NewToken(), UndoAttempt: true},
		provider.AbandonedInstance{Ref: unknown, Token: a.Token},
		provider.AbandonedInstance{Ref: a.Ref, Token: b.Token, Park: []byte(`{}`)},
		provider.AbandonedInstance{Ref: b.Ref, Token: b.Token})
	equal(f, "B2", "owner of a", f.state("a").Worker, w)
	equal(f, "B2", "a is parked", f.state("a").Parked != nil, false)
	got := f.fetchOne("B2", w, "b")
	f.abandon(provider.AbandonedInstance{Ref: got.Ref, Token: b.Token, Park: []byte(`{}`)})
	equal(f, "B2", "owner of b after a late abandon", f.state("b").Worker, w)
	f.ack(a, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	f.abandon(provider.AbandonedInstance{Ref: a.Ref, Token: a.Token})
	equal(f, "B2", "status of the ended", f.state("a").Status, provider.StatusCompleted)
	f.fetchNone("B2", w, "a has ended and b is held")
}

func abandonUndo(f *fixture) {
	w := f.worker()
	f.start("a")
	for _, step := range []struct {
		undo    bool
		attempt int32
	}{{true, 1}, {true, 1}, {false, 1}, {true, 2}, {false, 2}, {false, 3}, {true, 4}, {false, 4}} {
		l := f.fetchOne("B3", w, "a")
		equal(f, "B3", "attempt", l.Attempt, step.attempt)
		again := provider.AbandonedInstance{Ref: l.Ref, Token: l.Token, UndoAttempt: step.undo}
		f.abandon(again)
		f.abandon(again)
	}
	l := f.fetchOne("I9", w, "a")
	equal(f, "I9", "attempt after repeated abandons", l.Attempt, 5)
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Keep = true }))
	f.send(engineMessage("a", "1"))
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token, UndoAttempt: true})
	equal(f, "B3", "attempt after one that was never counted is undone", f.fetchOne("B3", w, "a").Attempt, 1)
}

func abandonParked(f *fixture) {
	w := f.worker()
	f.start("other")
	o := f.fetchOne("F1", w, "other")
	l := f.granted(w, "a")
	reason := []byte(`{"why": "it \"failed\" \u00e9"}`)
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token, Park: reason})
	st := f.state("a")
	equal(f, "B4", "reason", string(st.Parked), string(reason))
	equal(f, "B4", "owner", st.Worker, 0)
	equal(f, "B4", "status", st.Status, provider.StatusRunning)
	f.send(engineMessage("a", "1"))
	f.fetchNone("B4", w, "the instance is parked")
	p := f.pulse(&provider.PulseRequest{Worker: w, Classes: []provider.ClassID{f.flow}})
	equal(f, "B4", "ready", p.OrchestrationsReady, false)
	equal(f, "B4", "the other is parked", f.state("other").Parked != nil, false)
	parked := f.list(provider.ListQuery{ParkedOnly: true})
	f.check("R7", len(parked) == 1 && parked[0].InstanceID == "a", "%d instances listed as parked, want a", len(parked))
	f.ack(o, f.turn(1, nil))
}

func abandonResumed(f *fixture) {
	w := f.worker()
	f.start("a")
	for range 2 {
		l := f.fetchOne("F5", w, "a")
		f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token})
	}
	l := f.fetchOne("F5", w, "a")
	equal(f, "F5", "attempt", l.Attempt, 3)
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token, Park: []byte(`1`)})
	f.send(engineMessage("a", "1"))
	f.resume("a")
	f.resume("a")
	equal(f, "B5", "reason after the resume", f.state("a").Parked == nil, true)
	l = f.fetchOne("B5", w, "a")
	equal(f, "B5", "attempt after the resume", l.Attempt, 1)
	equal(f, "B4", "messages that came while parked", fmt.Sprint(messageIDs(l.Messages)), "[1]")
	f.fetchNone("B5", f.worker(), "the resumed instance is held")
}

func abandonResumePerID(f *fixture) {
	w := f.worker()
	l := f.granted(w, "parked")
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token, Park: []byte(`1`)})
	l = f.granted(w, "ended")
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusFailed }))
	f.idle(w, "idle", "x")
	st, err := f.p.ResumeInstances(f.ctx, []string{"nobody", "ended", "idle", "parked"})
	f.ok("B5", err)
	equal(f, "B5", "statuses", fmt.Sprint(st), "[not-found gone applied applied]")
	f.fetchOne("B5", w, "parked")
}

func abandonResumeHeld(f *fixture) {
	w, other := f.worker(), f.worker()
	l := f.granted(w, "a")
	f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token, Park: []byte(`1`)})
	f.resume("a")
	l = f.fetchOne("B5", w, "a")
	f.resume("a")
	equal(f, "I9", "owner after a late resume", f.state("a").Worker, w)
	f.fetchNone("B5", other, "the instance is held")
	f.ack(l, f.turn(1, nil))
}

// abandonWorkItem gives a work item back.
func (f *fixture) abandonWorkItem(it provider.WorkItem, undo bool, delay time.Duration) {
	f.Helper()
	f.ok("B6", f.p.AbandonItems(f.ctx, &provider.AbandonRequest{Work: []provider.AbandonedWork{
		{WorkKey: it.WorkKey, Token: it.Token, UndoAttempt: undo, Delay: delay}}}))
}

func abandonWork(f *fixture) {
	w, other := f.worker(), f.worker()
	f.scheduled(w, "a", 1)
	var it provider.WorkItem
	for _, step := range []struct {
		undo    bool
		attempt int32
	}{{true, 1}, {false, 1}, {true, 2}, {false, 2}} {
		it = f.fetchWorkOne("B6", w)
		equal(f, "B3", "attempt", it.Attempt, step.attempt)
		f.abandonWorkItem(it, step.undo, 0)
		f.abandonWorkItem(it, step.undo, 0)
		equal(f, "B6", "result under the abandoned token", f.finishWork(w, it.WorkKey, it.Token), provider.Gone)
	}
	got := f.fetchWorkOne("B6", other)
	equal(f, "B3", "attempt after repeated abandons", got.Attempt, 3)
	f.abandonWorkItem(it, false, 0)
	unknown := it
	unknown.Event = 99
	f.abandonWorkItem(unknown, false, 0)
	equal(f, "B2", "work left after late abandons", len(f.fetchWork(w, 10)), 0)
	equal(f, "B2", "result of the holder", f.finishWork(other, got.WorkKey, got.Token), provider.Applied)
}

func abandonWorkDelay(f *fixture) {
	const delay = 120 * time.Millisecond
	w := f.worker()
	f.scheduled(w, "a", 1)
	it := f.fetchWorkOne("W1", w)
	before := f.now()
	f.abandonWorkItem(it, false, delay)
	f.eventually("B6", "abandoned work is back after its delay", func() bool { return len(f.fetchWork(w, 10)) == 1 })
	after := f.now()
	f.check("B6", after.Sub(before) >= delay, "back after %v, delayed by %v", after.Sub(before), delay)
}
