package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
)

// beatState is what the pulse goroutine remembers.
type beatState struct {
	joined bool
	serves []provider.ClassID // what the store knows of the classes of this worker
	peers  map[provider.WorkerID]peerBeat
}

// peerBeat is another worker's beat and when this process first saw it.
type peerBeat struct {
	beat  int64
	since time.Time
}

// errLost says that the store does not know this session any more.
var errLost = errors.New("the worker was declared dead by another, or was silent for too long")

// errDoubt says that the store may hold leases for this session that the session does not know of.
var errDoubt = errors.New("the outcome of a call could not be learned")

// pulseLoop sends one pulse an interval, for the worker and for those who wait for instances. Stores that cannot be
// reached are tried again at the next interval; nothing is queued up.
func (e *Engine) pulseLoop() {
	ticker := time.NewTicker(e.opts.PulseInterval)
	defer ticker.Stop()
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-ticker.C:
		}
		s := e.current()
		var err error
		if s != nil {
			switch {
			case s.overdue() > e.opts.TTL: // this process was frozen or cut off: others may have taken over
				err = errLost
			case s.doubt.Load():
				err = errDoubt
			default:
				err = s.boundedPulse()
			}
		} else {
			err = e.clientPulse()
		}
		switch {
		case err == nil || e.ctx.Err() != nil:
		case s != nil && (errors.Is(err, errLost) || errors.Is(err, errDoubt) || s.overdue() > e.opts.TTL):
			e.renew(s, err)
		default:
			e.log.Warn("pulse failed", "error", err)
		}
	}
}

// overdue is how long ago the last successful beat was sent.
func (s *session) overdue() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.lastBeat)
}

// boundedPulse is a pulse that gives up in time for the next. It repeats the call: a broken connection must not cost a
// beat. A try that is under way is given longer, until others may take over: a store that is slow takes the beat all the
// same.
func (s *session) boundedPulse() error {
	repeat, cancelRepeat := context.WithTimeout(s.ctx, s.e.opts.TTL/2)
	defer cancelRepeat()
	ctx, cancel := context.WithTimeout(s.ctx, s.e.opts.TTL)
	defer cancel()
	return s.e.call(repeat, func(context.Context) error { return s.pulse(ctx) })
}

// pulse beats and acts on the answer.
func (s *session) pulse(ctx context.Context) error {
	e := s.e
	sent := time.Now()
	if s.overdue() > 2*e.opts.PulseInterval { // nobody was watched meanwhile: the store may have been away for all
		clear(s.beat.peers)
	}
	items, runs, expired := s.heldWork(sent)
	for _, run := range expired {
		run.timeOut(history.TimeoutStartToClose)
	}
	serves := s.newsOfServes()
	workClasses, _ := s.workTerms()
	reply, err := e.store.Pulse(ctx, &provider.PulseRequest{
		Worker: s.worker, Join: !s.beat.joined, Serves: serves, BeatLasts: e.opts.TTL, Name: e.opts.Name, TTL: e.opts.PulseInterval / 2, Reap: s.suspects(sent),
		Classes: e.claimable(), WorkClasses: workClasses, Routed: s.hosted.ever.Load(), Sleep: true, Watch: e.waiters.watched(),
		Held: items, ClassesFrom: e.registry.unheard(),
	})
	if err != nil {
		return err
	}
	if reply.Lost {
		return errLost
	}
	e.clock.observe(reply.Now)
	e.lookForStatuses()
	e.hear(reply.Classes)
	s.beat.joined = true
	if serves != nil {
		s.beat.serves = serves
	}
	s.mu.Lock()
	s.lastBeat = sent
	answered := time.Now()
	if answered.Sub(sent) < e.opts.TTL { // else this process was frozen meanwhile
		s.heard = answered
	}
	s.mu.Unlock()
	s.notePeers(reply.Stale, answered)
	s.forgetStrays()
	s.pulsed(runs, reply.Gone)
	e.finished(reply.Done)
	if reply.OrchestrationsReady {
		s.orch.kick()
	}
	if reply.WorkReady || s.awaited() {
		s.work.force.Store(true) // code that does not come back must not keep the queue waiting
		s.work.kick()
	}
	if !reply.NextTimer.IsZero() && reply.NextTimer.Sub(e.clock.now()) < 2*e.opts.PulseInterval {
		s.addTimer(reply.NextTimer)
	}
	return nil
}

// newsOfServes are the classes this worker serves, or nil if the store knows them. One that drains serves none any more.
func (s *session) newsOfServes() []provider.ClassID {
	s.mu.Lock()
	draining := s.draining
	s.mu.Unlock()
	serves := []provider.ClassID{}
	if !draining {
		serves = append(append(serves, s.e.claimable()...), s.e.serves().work.classes...)
	}
	if s.beat.joined && slices.Equal(serves, s.beat.serves) {
		return nil
	}
	return serves
}

// suspects are the workers whose beat this process itself has seen unchanged for a TTL of its own successful beats. The
// store's clock alone does not do: after its restart or failover every beat looks old at once. So beats are reported
// from half an interval on, which starts the observation early: a worker that dies is released at most an interval and
// a half after its TTL.
func (s *session) suspects(now time.Time) []provider.Beat {
	var reap []provider.Beat
	for w, p := range s.beat.peers {
		if now.Sub(p.since) >= s.e.opts.TTL-s.e.opts.PulseInterval/4 { // a quarter for the ticker's jitter
			reap = append(reap, provider.Beat{Worker: w, Beat: p.beat})
		}
	}
	return reap
}

// notePeers keeps the stale workers of the latest answer, with the time each beat was first seen.
func (s *session) notePeers(stale []provider.Beat, now time.Time) {
	peers := make(map[provider.WorkerID]peerBeat, len(stale))
	for _, b := range stale {
		p, ok := s.beat.peers[b.Worker]
		if !ok || p.beat != b.Beat {
			p = peerBeat{beat: b.Beat, since: now}
		}
		peers[b.Worker] = p
	}
	s.beat.peers = peers
}

// renew replaces a session that is over.
func (e *Engine) renew(old *session, why error) {
	if e.current() != old {
		return // drained and retired meanwhile
	}
	e.log.Warn("worker begins anew: its leases may have been taken over", "error", why)
	old.end()
	if e.stopping() {
		return // Stop retires it
	}
	next := newSession(e)
	err := e.retire(old) // nobody else may be there to do it
	if err == nil {
		err = next.boundedPulse()
	}
	if err != nil {
		next.lastBeat, next.heard = time.Time{}, time.Time{} // tried again at the next tick
		e.log.Warn("worker could not begin anew, will retry", "error", err)
	}
	if !e.replace(old, next) {
		next.end()
	} else if err == nil {
		next.run()
	}
}

// retire releases what a session that is over held.
func (e *Engine) retire(old *session) error {
	ctx, cancel := context.WithTimeout(e.ctx, e.opts.TTL)
	defer cancel()
	return e.call(ctx, func(ctx context.Context) error { return e.store.RetireWorker(ctx, old.worker) })
}

// replace makes next the session, or nobody if it is nil, unless old is not the session any more or the engine is
// stopping.
func (e *Engine) replace(old, next *session) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.session != old || next != nil && e.stopped {
		return false
	}
	e.session = next
	close(old.over)
	return true
}

// clientPulse looks after waiters in a process that is no worker.
func (e *Engine) clientPulse() error {
	e.lookForStatuses()
	watch := e.waiters.watched()
	if len(watch) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(e.ctx, e.opts.TTL)
	defer cancel()
	var reply *provider.PulseReply
	err := e.call(ctx, func(ctx context.Context) (err error) {
		reply, err = e.store.Pulse(ctx, &provider.PulseRequest{TTL: e.opts.TTL, Watch: watch})
		return err
	})
	if err != nil {
		return err
	}
	e.clock.observe(reply.Now)
	e.finished(reply.Done)
	return nil
}

// listen passes the store's notifications on.
func (e *Engine) listen(n provider.Notifier) {
	for e.ctx.Err() == nil {
		s := e.current()
		var worker provider.WorkerID
		ctx := e.ctx
		if s != nil {
			worker, ctx = s.worker, s.ctx
		}
		err := n.Listen(ctx, worker, func(note provider.Notification) { e.notified(s, note) })
		if ctx.Err() == nil {
			e.log.Info("notifications are not available; the pulse serves alone", "error", err)
			return
		}
		if s != nil { // its successor comes in a moment
			select {
			case <-s.over:
			case <-e.ctx.Done():
			}
		}
	}
}

func (e *Engine) notified(s *session, note provider.Notification) {
	switch note.Kind {
	case provider.NotifyDone:
		if note.State != nil {
			e.finished([]provider.InstanceState{*note.State})
		} else if e.waiters.has(note.InstanceID) || e.statuses.has(note.InstanceID) {
			e.reads.add(readCall(note.InstanceID))
		}
	case provider.NotifyStatus:
		e.statusChanged(note.InstanceID)
	case provider.NotifyHeld:
		if s != nil {
			s.orch.kick()
			if s.hosted.ever.Load() { // it may be work for this worker alone
				s.work.kick()
			}
		}
	case provider.NotifyReady:
		if s != nil {
			s.orch.kick()
		}
	case provider.NotifyWork:
		if s != nil {
			s.work.kick()
		}
	}
}

// readCall is an instance somebody here waits for, to be read and marked: it has ended without room for its outcome in the
// notification, or it has just been released to whoever claims it.
type readCall string

func (c readCall) bytes() int { return len(c) }

// fail implements batchItem; the pulse will find the outcome.
func (c readCall) fail(error) {}

// flushReads reads instances that are waited for and has the ends of those still running notified.
func (e *Engine) flushReads(calls []readCall, _ *carrier) {
	ids := make([]string, len(calls))
	for i, c := range calls {
		ids[i] = string(c)
	}
	states, err := e.store.ReadInstances(e.ctx, ids, true)
	if err != nil {
		e.log.Debug("read of awaited instances failed; the pulse will find them", "error", err)
		return
	}
	e.finished(states)
}

// finished answers those who wait for instances that have ended.
func (e *Engine) finished(states []provider.InstanceState) {
	for i := range states {
		e.statuses.tell(states[i].InstanceID, states[i])
	}
	for i := range states {
		o, err := OutcomeOf(&states[i])
		if err != nil {
			o = &Outcome{Status: states[i].Status, Failure: &history.Failure{Kind: history.FailureBadPayload, Message: "the outcome cannot be read: " + err.Error()}}
		}
		if o != nil {
			e.waiters.complete(states[i].InstanceID, states[i].Ref, o)
		}
	}
}

// OutcomeOf reads the outcome of a finished instance, nil if it is still running.
func OutcomeOf(st *provider.InstanceState) (*Outcome, error) {
	if !st.Status.Terminal() {
		return nil, nil
	}
	events, err := history.DecodeTurn(st.LastTurn.Events)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return nil, errors.New("finished instance without a last event")
	}
	if o := outcomeOf(events[len(events)-1]); o != nil {
		return o, nil
	}
	return nil, errors.New("last event of finished instance is " + events[len(events)-1].Type())
}
