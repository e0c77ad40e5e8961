package engine

import (
	"fmt"

	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
)

// planWork adds the activities and timers of a turn that goes on.
func (in *instance) planWork(p *plan, out *replay.Outcome) error {
	s := in.s
	for _, t := range out.Timers {
		p.commit.Timers = append(p.commit.Timers, provider.NewTimer{Event: t.Number, FireAt: t.Event.FireAt})
	}
	for _, t := range out.Timeouts {
		p.commit.Timers = append(p.commit.Timers, provider.NewTimer{Event: t.Number, FireAt: t.FireAt, UnlessStarted: t.UnlessStarted})
	}
	if len(out.Activities) == 0 {
		return nil
	}
	instance := in.x.Started().Priority
	classes := make([]provider.Class, len(out.Activities))
	for i, a := range out.Activities {
		classes[i] = activityClass(a.Event.Name, tagOf(a.Event.Options), levelOf(a.Event.Options, instance))
	}
	ids, err := s.e.classes.resolve(s.ctx, s.e, classes)
	if err != nil {
		return err
	}
	served := s.e.serves()
	// here reports whether an activity can begin here, if there is a slot for it.
	here := func(i int) bool {
		act, w := served.activities[ids[i]], workerOf(out.Activities[i].Event.Options)
		if act == nil {
			return false
		}
		if act.opens {
			if n, crowded := s.hosted.room(); n == 0 || crowded {
				return false
			}
		}
		return w == s.worker || w == 0 && !s.work.outranks(classes[i].Priority)
	}
	wanted := 0
	for i := range ids {
		if here(i) && served.activities[ids[i]].takesSlot() {
			wanted++
		}
	}
	s.mu.Lock()
	slots, closing := s.reserveHere(wanted), s.closing()
	s.mu.Unlock()
	for i, a := range out.Activities {
		terms := termsOf(a.Event.Options, in.x.Now())
		input, err := workInput(a.Event.Input, terms)
		if err != nil {
			s.release(slots)
			return fmt.Errorf("input of activity %q: %w", a.Event.Name, err)
		}
		w := provider.NewWork{Event: a.Number, Class: ids[i], Input: input, Worker: workerOf(a.Event.Options)}
		act := served.activities[ids[i]]
		if here(i) && (!act.takesSlot() && !closing || slots > 0) {
			if act.takesSlot() {
				slots--
			}
			w.Lease = true
			p.launch = append(p.launch, &activityRun{s: s, key: provider.WorkKey{Ref: in.Ref, Execution: in.execution, Event: a.Number},
				instanceID: in.id, token: p.commit.Request, attempt: 1, activity: act, payload: a.Event.Input, terms: terms, in: in})
		} else if act != nil {
			p.queued = p.queued || w.Worker == 0 || w.Worker == s.worker
		} else if w.Worker == 0 {
			s.e.classes.noteForeign(s.e.log, classes[i])
		}
		p.commit.Work = append(p.commit.Work, w)
	}
	s.release(slots)
	return nil
}
