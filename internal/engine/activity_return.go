package engine

import (
	"context"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// returnCall is what this session gives back without a result, in the batcher of such calls: a work item, to be tried again
// or completed from outside, with its instance if nothing of that runs here; or an instance alone.
type returnCall struct {
	s    *session
	work *provider.AbandonedWork // nil: none
	in   *instance               // busy; nil: none
}

func (c *returnCall) bytes() int {
	if c.work == nil {
		return 0
	}
	return len(c.work.State)
}

// giveBackWork prepares the return of a work item. in is its instance if that is held here, else nil. The call counts as
// busy until it is answered. s.mu is held.
func (s *session) giveBackWork(work *provider.AbandonedWork, in *instance) *returnCall {
	c := &returnCall{s: s, work: work}
	s.busy++
	if in != nil && in.pointless() {
		c.in = in
		in.release()
	}
	return c
}

// pointless reports that an instance is held here for nothing: no turn is due and no activity of it runs. s.mu is held.
func (in *instance) pointless() bool {
	return in.held && !in.busy && !in.dropped && len(in.local)+len(in.pending)+len(in.finished) == 0
}

// release ends the hold on an instance; the call that tells the store must follow. The instance is busy until that is
// answered, and stays cached. s.mu is held.
func (in *instance) release() {
	in.s.cache.remove(in)
	in.occupy()
	in.held = false
}

// releaseIfPointless gives an instance back that is held here for nothing. s.mu is held.
func (in *instance) releaseIfPointless() {
	if !in.pointless() {
		return
	}
	in.release()
	call := &returnCall{s: in.s, in: in}
	if !in.s.e.enlist(func(c *carrier) { in.s.returns.addHere(c, call) }) { // to add it here would need s.mu again, if it failed
		in.idle()
	}
}

// flushReturns gives a group back.
func (s *session) flushReturns(calls []*returnCall, _ *carrier) {
	req := &provider.AbandonRequest{}
	for _, c := range calls {
		if c.work != nil {
			req.Work = append(req.Work, *c.work)
		}
		if c.in != nil {
			req.Instances = append(req.Instances, provider.AbandonedInstance{Ref: c.in.Ref, Token: c.in.token})
		}
	}
	err := s.call(func(ctx context.Context) error { return s.e.store.AbandonItems(ctx, req) })
	if err != nil {
		refused(calls, s.ctx.Err() != nil, err, s.flushReturns)
		return
	}
	for _, c := range calls {
		c.done()
		if c.work != nil && !c.work.HandOver {
			s.retryAt(time.Now().Add(c.work.Delay))
		}
	}
}

// fail implements batchItem. The leases end with the session, which is therefore not to last: nobody here knows of them any
// more. An activity then runs again.
func (c *returnCall) fail(err error) {
	c.s.logUnlessEnded("a lease could not be given back; it ends with this worker's session", err)
	c.s.doubt.Store(true)
	c.done()
}

// done goes on with the instance as it is then, and ends the busy state of the call.
func (c *returnCall) done() {
	s := c.s
	s.mu.Lock()
	if in := c.in; in != nil {
		regrant := in.regrant
		in.regrant = nil
		in.claimMissed()
		s.settle(in, nil, false, regrant)
	}
	if c.work != nil {
		s.unbusy(1)
	}
	s.checkQuiet()
	s.mu.Unlock()
}

// retryAt has the queue looked at when the delay of a retry is over, by the local clock: the store tells nobody then. Other
// processes find the item with their pulse.
func (s *session) retryAt(t time.Time) {
	s.mu.Lock()
	first := len(s.retries) == 0 || t.Before(s.retries[0])
	s.retries.add(t)
	s.mu.Unlock()
	if first {
		select {
		case s.retryAdded <- struct{}{}:
		default:
		}
	}
}

// retriesDue forgets the retries whose delay is over and reports whether there were any; next is how long the next one
// takes.
func (s *session) retriesDue() (due bool, next time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	due = s.retries.popDue(now)
	if len(s.retries) == 0 {
		return due, time.Hour
	}
	return due, s.retries[0].Sub(now) + time.Millisecond
}
