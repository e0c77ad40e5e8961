package engine

import (
	"container/heap"
	"context"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// fetchMax is how many items one fetch asks for at most.
const fetchMax = 128

// claimer is the wake-up of a claim loop. maybe says that the queue may hold more than was fetched.
type claimer struct {
	wake  chan struct{}
	maybe atomic.Bool
	force atomic.Bool // of the loop that claims work: not to be left to a commit

	passedOver atomic.Int32 // claims by rank, since the last that was not, that may have left something behind
	urgent     atomic.Int32 // the priority of the least urgent item of the last claim, if there may be more of these
}

func (c *claimer) init() {
	c.wake = make(chan struct{}, 1)
	c.urgent.Store(noneUrgent)
}

// kick wakes the loop; kicks that come while it is awake count once.
func (c *claimer) kick() {
	c.maybe.Store(true)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// claimInstances is the loop that leases ready instances: woken by kicks and by the due times of timers.
func (s *session) claimInstances() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		due := false
		select {
		case <-s.ctx.Done():
			return
		case <-s.orch.wake:
		case <-timer.C:
			due = true
		}
		if due {
			s.mu.Lock()
			s.timersDue = true
			s.mu.Unlock()
		}
		if due || s.orch.maybe.Load() {
			s.fetchInstances()
		}
		timer.Reset(s.untilNextTimer())
	}
}

func (s *session) fetchInstances() {
	if len(s.e.claimable()) == 0 {
		return
	}
	for s.beginFetch() {
		s.mu.Lock()
		s.timersDue = s.timers.popDue(s.e.clock.now()) || s.timersDue
		timers := s.timersDue
		room := min(s.room(), fetchMax)
		if room <= 0 && !s.backlog {
			s.fetched(0, true)
		}
		s.mu.Unlock()
		if room <= 0 {
			s.orch.maybe.Store(true) // the end of a turn kicks again
			s.settled()
			return
		}
		s.orch.maybe.Store(false)
		req := &provider.FetchRequest{Worker: s.worker, Request: provider.NewToken(), Max: room, Timers: timers, Sleep: true}
		req.Classes, req.Ranks = s.orch.terms(&s.e.serves().turns)
		var items []provider.OrchestrationItem
		err := s.call(func(ctx context.Context) (err error) {
			items, err = s.e.store.FetchOrchestrationItems(ctx, req)
			return err
		})
		s.mu.Lock()
		s.fetched(len(items), len(items) >= room)
		s.timersDue = s.timersDue && (err != nil || !timers)
		s.mu.Unlock()
		if err != nil {
			s.settled()
			s.logUnlessEnded("fetch of instances failed", err)
			return // the next pulse kicks again
		}
		s.orch.noteUrgency(len(items) >= room, req.Ranks,
			levelsOf(s.e.serves(), items, func(item *provider.OrchestrationItem) provider.ClassID { return item.Class }))
		for i := range items {
			s.grant(&items[i])
		}
		s.settled()
		if len(items) < room {
			return
		}
		s.orch.maybe.Store(true)
	}
}

// claimWork is the loop that leases queued activities into free slots: woken by kicks and when the delay of a retry is over.
func (s *session) claimWork() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		woken := false
		select {
		case <-s.ctx.Done():
			return
		case <-s.work.wake:
			woken = true
		case <-s.retryAdded: // to reset the timer
		case <-timer.C:
		}
		due, _ := s.retriesDue()
		if due {
			s.work.maybe.Store(true)
		}
		if due || woken {
			s.fetchWork()
		}
		_, next := s.retriesDue()
		timer.Reset(next)
	}
}

// fetchWork fills free slots. While a turn or a commit is under way it leaves that to the commit, which claims along the
// way; when none is left it is woken again.
func (s *session) fetchWork() {
	s.fetchOpenings()
	s.refuseRouted()
	force := s.work.force.Swap(false)
	for s.works() {
		s.mu.Lock()
		if s.busy > 0 && !force {
			s.mu.Unlock()
			return
		}
		n := s.reserveForClaim()
		s.mu.Unlock()
		if n == 0 {
			return // a freed slot kicks again
		}
		if !s.beginFetch() {
			s.mu.Lock()
			s.slots += n
			s.mu.Unlock()
			return
		}
		s.work.maybe.Store(false)
		req := &provider.FetchWorkRequest{Worker: s.worker, Request: provider.NewToken(), Max: n, Sleep: true, Serves: s.e.claimable(), Routed: s.hosted.ever.Load()}
		req.Classes, req.Ranks = s.workTerms()
		var reply *provider.FetchWorkReply
		err := s.call(func(ctx context.Context) (err error) {
			reply, err = s.e.store.FetchWorkItems(ctx, req)
			return err
		})
		if err != nil {
			s.logUnlessEnded("fetch of activities failed", err)
			reply = &provider.FetchWorkReply{}
		}
		s.noteWork(reply.Work, len(reply.Work) >= n, req.Ranks)
		s.launchClaimed(reply.Work, reply.Granted, n)
		s.settled()
		if len(reply.Work) < n {
			return
		}
		s.work.maybe.Store(true) // and no slot may be free before one of these ends
	}
}

// claimAlong decides about the claim of queued work that a call with the outcomes of so many makes along the way: none
// unless the queue may hold some and slots are free. claimedAlong must follow.
func (s *session) claimAlong(outcomes int) (n int, request provider.Token) {
	if !s.works() || !s.work.maybe.Load() {
		return 0, 0
	}
	s.mu.Lock()
	// What is queued has waited longer than what happens here meanwhile, so all; but where there are many, a slot for each
	// that is just having its turn: without one its activity would take two calls more.
	n = s.slots - min(s.busy-outcomes, s.slots/queueShare)
	n = s.claimed(s.reserve(min(n, fetchMax)))
	s.mu.Unlock()
	if n > 0 {
		s.work.maybe.Store(false) // a kick from now on is news
	}
	return n, provider.NewToken()
}

// claimedAlong takes what the claim for n slots, with those ranks, has brought.
func (s *session) claimedAlong(items []provider.WorkItem, n int, ranks []int16) {
	if n == 0 {
		return
	}
	s.noteWork(items, len(items) >= n, ranks)
	if len(items) == n {
		s.work.maybe.Store(true)
	}
	s.launchClaimed(items, nil, n)
}

// works reports whether there may be queued work for this worker.
func (s *session) works() bool { return len(s.e.serves().work.classes) > 0 }

// noteWork keeps what a claim of work says of the queue.
func (s *session) noteWork(items []provider.WorkItem, full bool, ranks []int16) {
	s.work.noteUrgency(full, ranks, levelsOf(s.e.serves(), items, func(item *provider.WorkItem) provider.ClassID { return item.Class }))
}

// levelsOf are the priorities of claimed items.
func levelsOf[T any](served *served, items []T, class func(*T) provider.ClassID) iter.Seq[int8] {
	return func(yield func(int8) bool) {
		for i := range items {
			if !yield(served.levels[class(&items[i])]) {
				return
			}
		}
	}
}

func (s *session) logUnlessEnded(msg string, err error) {
	if s.ctx.Err() == nil {
		s.e.log.Error(msg, "error", err)
	}
}

// timerQueue holds the due times of timers this process knows of; it decides when to look, not what is due.
type timerQueue []time.Time

func (q timerQueue) Len() int           { return len(q) }
func (q timerQueue) Less(i, j int) bool { return q[i].Before(q[j]) }
func (q timerQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *timerQueue) Push(x any) { *q = append(*q, x.(time.Time)) }

// Pop implements heap.Interface.
func (q *timerQueue) Pop() any {
	old := *q
	t := old[len(old)-1]
	*q = old[:len(old)-1]
	return t
}

// maxTimers bounds the queue; timers beyond it are found by the pulse.
const maxTimers = 100_000

// add puts t in. When there is no room the later half goes: the pulse finds those when their time comes near.
func (q *timerQueue) add(t time.Time) {
	if len(*q) >= maxTimers {
		slices.SortFunc(*q, time.Time.Compare)
		*q = slices.Clip((*q)[:maxTimers/2])
	}
	heap.Push(q, t)
}

// popDue removes the due times up to now and reports whether there were any.
func (q *timerQueue) popDue(now time.Time) bool {
	any := false
	for len(*q) > 0 && !(*q)[0].After(now) {
		heap.Pop(q)
		any = true
	}
	return any
}

// addTimer makes the claim loop look at t.
func (s *session) addTimer(t time.Time) {
	s.mu.Lock()
	first := len(s.timers) == 0 || t.Before(s.timers[0])
	s.timers.add(t)
	s.mu.Unlock()
	if first {
		select {
		case s.orch.wake <- struct{}{}: // to reset its timer
		default:
		}
	}
}

func (s *session) untilNextTimer() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.timers) == 0 {
		return time.Hour
	}
	return max(s.timers[0].Sub(s.e.clock.now()), 0) + time.Millisecond
}
