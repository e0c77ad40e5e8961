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
	classes := make([]provider.Class, len(out.Activities))
	for i, a := range out.Activities {
		classes[i] = activityClass(a.Event.Name, tagOf(a.Event.Options))
	}
	ids, err := s.e.classes.resolve(s.ctx, s.e, classes)
	if err != nil {
		return err
	}
	local := 0
	for _, id := range ids {
		if s.e.activities[id] != nil {
			local++
		}
	}
	s.mu.Lock()
	slots := s.reserveHere(local)
	s.mu.Unlock()
	for i, a := range out.Activities {
		terms := termsOf(a.Event.Options, in.x.Now())
		input, err := workInput(a.Event.Input, terms)
		if err != nil {
			return fmt.Errorf("input of activity %q: %w", a.Event.Name, err)
		}
		w := provider.NewWork{Event: a.Number, Class: ids[i], Input: input}
		if act := s.e.activities[ids[i]]; act != nil && slots > len(p.launch) {
			w.Lease = true
			p.launch = append(p.launch, &activityRun{s: s, key: provider.WorkKey{Ref: in.Ref, Execution: in.execution, Event: a.Number},
				instanceID: in.id, token: p.commit.Request, attempt: 1, activity: act, payload: a.Event.Input, terms: terms, in: in})
		} else if act != nil {
			p.queued = true
		} else {
			s.e.classes.noteForeign(s.e.log, classes[i])
		}
		p.commit.Work = append(p.commit.Work, w)
	}
	return nil
}
