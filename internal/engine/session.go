package engine

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// session is one incarnation of a worker: everything it holds in the store carries its worker id, everything it knows
// is forgotten when it ends.
type session struct {
	e      *Engine
	worker provider.WorkerID

	// ctx ends with the session; calls to the store use it. workCtx is the activities' and ends earlier when a drain
	// runs out of time.
	ctx        context.Context
	cancel     context.CancelFunc
	workCtx    context.Context
	cancelWork context.CancelCauseFunc

	acks     *batcher[*ackCall]
	ackWorks *batcher[*ackWorkCall]
	returns  *batcher[*returnCall]
	orch     claimer
	work     claimer
	reads    chan struct{} // one for each history that is being read

	hosted hostedSessions
	beat   beatState // of the pulse goroutine alone

	mu        sync.Mutex
	instances map[provider.Ref]*instance
	strays    map[provider.Ref]stray // news that overtook the answer they follow
	cache     cache
	slots     int                               // free activity slots
	runs      map[provider.WorkKey]*activityRun // activities running
	lingering map[*activityRun]time.Time        // those whose attempt was ended without them, and when; zero once reported
	passed    int                               // activities begun here since older ones were last claimed from the queue
	busy      int                               // instances with a turn or commit under way
	seated    int                               // of those, the ones in their first turn since they were granted
	backlog   bool                              // more instances wait in the store than were fetched
	ahead     int                               // starts that may yet go before those
	settling  int                               // fetches under way, and instances between a commit and what follows from it
	timers    timerQueue
	retries   timerQueue // when the delays end of what was given back here, by the local clock
	draining  bool
	lastBeat  time.Time                // local time the last successful beat was sent
	heard     time.Time                // local time its answer came, if that can be relied on
	timersDue bool                     // a timer this process knows of is due and not yet looked for
	cut       []provider.AbandonedWork // activities that the drain cut short
	quiet     chan struct{}

	retryAdded chan struct{} // the first of retries has changed

	// doubt is set when a call whose outcome was unknown then failed for good: the store may hold leases for this
	// session that it does not know of.
	doubt atomic.Bool
	over  chan struct{} // closed when this is not the engine's session any more
}

func newSession(e *Engine) *session {
	s := &session{e: e, worker: provider.NewWorkerID(), instances: map[provider.Ref]*instance{}, strays: map[provider.Ref]stray{}, runs: map[provider.WorkKey]*activityRun{}, lingering: map[*activityRun]time.Time{}, retryAdded: make(chan struct{}, 1), slots: e.opts.Slots, lastBeat: time.Now(), heard: time.Now(), over: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(e.ctx)
	s.workCtx, s.cancelWork = context.WithCancelCause(s.ctx)
	s.acks = newBatcher(e, s.flushAcks)
	s.ackWorks = newBatcher(e, s.flushAckWorks)
	s.returns = newBatcher(e, s.flushReturns)
	s.reads = make(chan struct{}, maxReads)
	s.orch.init()
	s.work.init()
	s.hosted.most, s.hosted.open = e.opts.MaxSessions, map[string]*hostedSession{}
	s.cache.limit = e.opts.CacheBytes
	s.beat.peers = map[provider.WorkerID]peerBeat{}
	return s
}

// run starts the session's claim loops.
func (s *session) run() {
	s.e.spawn(s.claimInstances)
	s.e.spawn(s.claimWork)
	s.orch.kick()
	s.work.kick()
}

// drain lets the session's work finish until ctx ends, releases what is left and ends the session.
func (s *session) drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	s.endHosted()
	quiet := make(chan struct{})
	s.quiet = quiet
	s.checkQuiet()
	s.mu.Unlock()
	select {
	case <-quiet:
	case <-ctx.Done():
		s.cancelWork(ErrStopped)
		grace := time.NewTimer(time.Second)
		defer grace.Stop()
		select {
		case <-quiet:
		case <-grace.C:
		}
	}
	s.mu.Lock()
	left, cut := len(s.runs)+len(s.lingering), s.cut
	s.mu.Unlock()
	s.e.replace(s, nil) // no beat after the retirement

	retire, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if len(cut) > 0 {
		// They are not to blame. If this fails they are released all the same, with their attempts counted.
		_ = s.e.call(retire, func(ctx context.Context) error {
			return s.e.store.AbandonItems(ctx, &provider.AbandonRequest{Work: cut})
		})
	}
	err := s.e.call(retire, func(ctx context.Context) error { return s.e.store.RetireWorker(ctx, s.worker) })
	s.end()
	switch {
	case left > 0:
		return fmt.Errorf("%d activities did not return after their context was cancelled; their work was released", left)
	case err != nil:
		return fmt.Errorf("release of leases: %w (they end by themselves after %v)", err, s.e.opts.TTL)
	}
	return nil
}

// checkQuiet signals a waiting drain when nothing is under way. s.mu is held.
func (s *session) checkQuiet() {
	if s.quiet != nil && len(s.runs)+len(s.lingering) == 0 && s.busy == 0 && s.settling == 0 {
		close(s.quiet)
		s.quiet = nil
	}
}

// settled ends a fetch or the settling of an instance.
func (s *session) settled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settling--
	s.checkQuiet()
}

// end forgets everything and ends the session's goroutines.
func (s *session) end() {
	s.cancel()
	s.mu.Lock()
	s.draining = true
	var idle []*instance
	for _, in := range s.instances {
		if !in.busy {
			idle = append(idle, in)
		}
		in.dropped = true
	}
	clear(s.instances)
	s.mu.Unlock()
	for _, in := range idle {
		in.discard()
	}
}

// serves reports whether new work may be begun here.
func (s *session) serves() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closing()
}

// closing reports that nothing new may be begun here: the session is draining, or its beats are not answered. That they
// are answered late is no reason: all is. s.mu is held.
func (s *session) closing() bool { return s.draining || time.Since(s.heard) > s.e.opts.TTL/2 }

// beginFetch reports whether a fetch may be made, and has a drain wait for it: what is granted after the worker is
// retired would be held for ever. settled must follow.
func (s *session) beginFetch() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing() {
		return false
	}
	s.settling++
	return true
}

// call is Engine.call within the session.
func (s *session) call(f func(context.Context) error) error {
	uncertain, err := s.e.try(s.ctx, f)
	if uncertain && s.ctx.Err() == nil {
		s.doubt.Store(true)
	}
	return err
}

// reserve takes up to n activity slots and returns how many. s.mu is held.
func (s *session) reserve(n int) int {
	if s.closing() {
		return 0
	}
	n = min(n, s.slots)
	s.slots -= n
	return n
}

// reserveForClaim takes slots for a claim of queued work: half of the free ones, so that what happens here meanwhile finds
// some too. s.mu is held.
func (s *session) reserveForClaim() int { return s.claimed(s.reserve(min((s.slots+1)/2, fetchMax))) }

// claimed notes a claim of queued work for n slots. s.mu is held.
func (s *session) claimed(n int) int {
	if n > 0 {
		s.passed = 0
	}
	return n
}

// queueShare is what those that wait in the store are sure of: one in so many activities that begin here while no slot is
// free, of the instances that are at work here while all places are taken, and of those that come to it while some wait.
const queueShare = 4

// reserveHere takes up to n slots for activities of an instance that is held here. If that leaves none for the queue time
// and again, part of them goes behind those that wait there: the commit that queues them claims the oldest along. s.mu is
// held.
func (s *session) reserveHere(n int) int {
	n = s.reserve(n)
	if n == 0 || s.slots > 0 || !s.work.maybe.Load() {
		return n
	}
	if s.passed += n; s.passed < queueShare {
		return n
	}
	turn := max(n/queueShare, 1)
	s.slots += turn
	return n - turn
}

// room is how many instances may be claimed now. Those that are held here and have turn after turn, and those that are
// started here, could fill the process for ever: if all places are taken there are some more, for instances in their first
// turn since they were granted. s.mu is held.
func (s *session) room() int {
	most := s.e.opts.MaxInstances
	return max(most-s.busy, max(most/queueShare, 1)-s.seated)
}

// fetched notes that a fetch of instances has brought n and left some or not. s.mu is held.
func (s *session) fetched(n int, backlog bool) {
	s.backlog, s.ahead = backlog, (queueShare-1)*n
}

// admit reports whether an instance of that priority that is just started may run here at once, before those that wait in the store. s.mu is
// held.
func (s *session) admit(level int8) bool {
	if s.backlog && s.orch.outranks(level) {
		return false
	}
	if s.closing() || s.busy >= s.e.opts.MaxInstances || s.backlog && s.ahead == 0 {
		return false
	}
	if s.backlog {
		s.ahead--
	}
	return true
}

// crowded reports that more instances are at work here than there are places, or that all are taken and others wait. s.mu
// is held.
func (s *session) crowded() bool {
	most := s.e.opts.MaxInstances
	return s.busy > most || s.busy == most && s.orch.maybe.Load()
}

// unbusy ends the busy state of n instances or results. s.mu is held; checkQuiet must follow.
func (s *session) unbusy(n int) {
	s.busy -= n
	if s.orch.maybe.Load() && s.room() > 0 {
		s.orch.kick() // there was no room for what is ready
	}
	if s.busy == 0 && s.slots > 0 && s.work.maybe.Load() {
		s.work.kick() // no commit is left that would claim along
	}
}

// release gives slots back and looks for work to fill them with.
func (s *session) release(n int) {
	if n == 0 {
		return
	}
	s.mu.Lock()
	s.slots += n
	s.mu.Unlock()
	if s.work.maybe.Load() {
		s.work.kick()
	}
}
