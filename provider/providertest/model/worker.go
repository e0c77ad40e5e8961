package model

import (
	"context"
	"slices"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// AbandonItems implements provider.Provider.
func (p *Provider) AbandonItems(ctx context.Context, req *provider.AbandonRequest) error {
	s, err := p.enter(ctx, "abandon_items")
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	for _, a := range req.Instances {
		i := s.instances[a.Ref]
		if i == nil || i.status.Terminal() || ((i.owner == 0 || i.token != a.Token) && !s.broken(AbandonTokenUnchecked)) {
			continue
		}
		s.release(i, s.now().Add(a.Delay))
		if a.UndoAttempt && i.attempt > 0 && !s.broken(UndoAttemptIgnored) || s.broken(AttemptAlwaysUndone) && i.attempt > 0 {
			i.attempt--
		}
		if a.Park != nil {
			i.parked, i.readyAt = slices.Clone(a.Park), s.now()
		}
		if s.broken(AbandonDropsMessages) {
			i.inbox = nil
		}
	}
	for _, a := range req.Work {
		k := s.work[a.WorkKey]
		free := k != nil && k.owner == 0 && !(k.handed && s.broken(HandedOverAbandoned))
		if k == nil || ((free || k.token != a.Token) && !s.broken(AbandonTokenUnchecked)) {
			continue
		}
		s.abandonWork(k, &a)
	}
	return nil
}

// abandonWork gives one work item back, or hands it over.
func (s *Store) abandonWork(k *work, a *provider.AbandonedWork) {
	if a.State != nil && !s.broken(AbandonedStateLost) || s.broken(AbandonClearsState) {
		k.state = slices.Clone(a.State)
	}
	if a.HandOver {
		k.handed = true
		if !s.broken(HandedOverReaped) {
			k.owner = 0
		}
		return
	}
	s.releaseWork(k, s.now().Add(a.Delay))
	if a.UndoAttempt && k.attempt > 0 && !s.broken(UndoAttemptIgnored) {
		k.attempt--
	}
}

// ResumeInstances implements provider.Provider.
func (p *Provider) ResumeInstances(ctx context.Context, instanceIDs []string) ([]provider.ItemStatus, error) {
	s, err := p.enter(ctx, "resume_instances", instanceIDs...)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	statuses := make([]provider.ItemStatus, len(instanceIDs))
	for n, id := range instanceIDs {
		i := s.ids[id]
		switch {
		case i == nil:
			statuses[n] = provider.NotFound
		case i.status.Terminal():
			statuses[n] = provider.Gone
		default:
			statuses[n] = provider.Applied
			if i.parked != nil || s.broken(ResumeReleasesHeld) {
				i.parked, i.readyAt, i.owner = nil, s.now(), 0
				if !s.broken(ResumeKeepsAttempts) {
					i.attempt = 0
				}
			}
		}
	}
	return statuses, nil
}

// Pulse implements provider.Provider.
func (p *Provider) Pulse(ctx context.Context, req *provider.PulseRequest) (*provider.PulseReply, error) {
	s, err := p.enter(ctx, "pulse", append([]string{req.Name}, req.Watch...)...)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	r := &provider.PulseReply{Now: s.now()}
	r.Lost = s.beat(req)
	for _, b := range req.Reap {
		w := s.workers[b.Worker]
		if w != nil && (w.beat == b.Beat || s.broken(ReapIgnoresBeat)) {
			s.forget(b.Worker)
		}
	}
	s.releaseUnknown()
	if !s.broken(PulseFiresNothing) {
		s.fireTimers()
	}
	for id, w := range s.workers {
		if id != req.Worker && (w.at.Add(req.TTL).Before(s.now()) || s.broken(StaleAtOnce)) {
			r.Stale = append(r.Stale, provider.Beat{Worker: id, Beat: w.beat})
		}
	}
	s.lookAround(req, r)
	s.heldWork(req, r)
	if asked := req.ClassesFrom > 0 || s.broken(ClassesAlways); asked && (!r.Lost || s.broken(ClassesForLost)) {
		r.Classes = s.classesFrom(req.ClassesFrom)
	}
	return r, nil
}

// heldWork keeps the states of the work a worker runs and tells it what of that is gone.
func (s *Store) heldWork(req *provider.PulseRequest, r *provider.PulseReply) {
	for _, h := range req.Held {
		k := s.work[h.WorkKey]
		held := k != nil && k.leased() && k.token == h.Token
		if k != nil && h.State != nil && (held && !s.broken(PulseStateLost) || s.broken(PulseStateUnchecked)) {
			k.state = slices.Clone(h.State)
		}
		held = held && !(k.handed && s.broken(HandedOverGone)) || s.broken(GoneNever)
		if !held || s.broken(GoneAlways) {
			r.Gone = append(r.Gone, h.WorkKey)
		}
	}
}

// beat notes that the worker lives and reports whether it is lost.
func (s *Store) beat(req *provider.PulseRequest) (lost bool) {
	if req.Worker == 0 {
		return false
	}
	w := s.workers[req.Worker]
	if w == nil {
		if !req.Join && !s.broken(LostRevived) {
			return true
		}
		w = &worker{}
		s.workers[req.Worker] = w
	}
	w.at = s.now()
	s.serve(req)
	if !s.broken(BeatStandsStill) {
		w.beat++
	}
	return false
}

// forget releases all that a worker holds.
func (s *Store) forget(id provider.WorkerID) {
	delete(s.workers, id)
	if !s.broken(DeadServe) {
		delete(s.serving, id)
	}
	for _, i := range s.instances {
		if (i.owner == id || s.broken(ReapTouchesAll)) && i.owner != 0 {
			s.release(i, s.now())
			if s.broken(ReapUndoesAttempt) && i.attempt > 0 {
				i.attempt--
			}
		}
	}
	s.unroute(id)
	for _, k := range s.work {
		if (k.owner == id || s.broken(ReapTouchesAll)) && k.owner != 0 && !s.broken(ReapKeepsWork) {
			s.releaseWork(k, s.now())
		}
	}
}

// releaseUnknown releases what calls have taken for workers that were forgotten meanwhile.
func (s *Store) releaseUnknown() {
	if s.broken(LateTakesStay) {
		return
	}
	unknown := map[provider.WorkerID]bool{}
	for _, i := range s.instances {
		unknown[i.owner] = i.owner != 0 && s.workers[i.owner] == nil
	}
	for _, k := range s.work {
		unknown[k.owner] = k.owner != 0 && s.workers[k.owner] == nil
	}
	for id, is := range unknown {
		if is {
			s.forget(id)
		}
	}
}

// lookAround fills in what a pulse says about instances, work and timers.
func (s *Store) lookAround(req *provider.PulseRequest, r *provider.PulseReply) {
	for _, i := range s.instances {
		if !s.serves(req.Classes, i.class) {
			continue
		}
		news := i.owner == req.Worker && i.owner != 0 &&
			slices.ContainsFunc(s.usable(i), func(m provider.Message) bool { return m.Order > i.told })
		r.OrchestrationsReady = r.OrchestrationsReady || s.ready(i) || news
	}
	c := &claim{worker: req.Worker, classes: req.WorkClasses, routed: req.Routed && !s.broken(RoutedNeverReady)}
	for _, k := range s.work {
		ready := s.mayClaim(c, k) || k.home != 0 && k.home == req.Worker && s.broken(RoutedReadyUnasked)
		if !k.leased() && ready && !k.due.After(s.now()) {
			r.WorkReady = true
		}
	}
	if s.broken(ReadyAlways) {
		r.OrchestrationsReady, r.WorkReady = true, true
	}
	if s.broken(ReadyNever) {
		r.OrchestrationsReady, r.WorkReady = false, false
	}
	for _, t := range s.timers {
		if r.NextTimer.IsZero() || t.at.Before(r.NextTimer) != s.broken(NextTimerLatest) {
			r.NextTimer = t.at
		}
	}
	for _, id := range req.Watch {
		if i := s.ids[id]; i != nil && (i.status.Terminal() || s.broken(DoneListsRunning)) {
			r.Done = append(r.Done, s.state(i, true))
		}
	}
}

// timersPerCall bounds the timers one call fires.
const timersPerCall = 500

// fireTimers moves due timers into the inboxes.
func (s *Store) fireTimers() {
	var due []timerKey
	for k, t := range s.timers {
		if !t.at.After(s.now()) || s.broken(TimerEarly) {
			due = append(due, k)
		}
	}
	slices.SortFunc(due, func(a, b timerKey) int { return s.timers[a].at.Compare(s.timers[b].at) })
	lost := due[min(len(due), timersPerCall):]
	for _, k := range due[:min(len(due), timersPerCall)] {
		t := s.timers[k]
		if i := s.instances[k.Ref]; (!i.status.Terminal() || s.broken(EndedGranted)) && s.fires(k, t) {
			s.deliver(i, provider.Message{Kind: provider.MessageTimerFired, Execution: k.execution, Event: k.event,
				ID: "", At: t.at})
		}
		if s.broken(TimerFiresTwice) && t.at.Before(s.now().Add(-time.Millisecond)) {
			s.timers[k] = timer{at: s.now()}
			continue
		}
		delete(s.timers, k)
	}
	if s.broken(TimersBeyondBoundLost) {
		for _, k := range lost {
			delete(s.timers, k)
		}
	}
}

// fires reports whether a due timer fires or is only removed.
func (s *Store) fires(k timerKey, t timer) bool {
	if !t.unlessStarted || s.broken(UnlessStartedIgnored) {
		return true
	}
	w := s.work[provider.WorkKey{Ref: k.Ref, Execution: k.execution, Event: k.event}]
	if w == nil {
		return s.broken(UnlessStartedFiresForGone)
	}
	return w.attempt == 0 && !s.broken(UnlessStartedNeverFires)
}

// RetireWorker implements provider.Provider.
func (p *Provider) RetireWorker(ctx context.Context, id provider.WorkerID) error {
	s, err := p.enter(ctx, "retire_worker")
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	if !s.broken(RetireForgetsOnly) {
		s.forget(id)
	}
	delete(s.workers, id)
	return nil
}
