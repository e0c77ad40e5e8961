package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
)

// What users call a session, several activities in one process, is here a hosted session: session is the word for one
// incarnation of a worker. Two activities of the engine's own make one. OpenSession runs wherever there is room for another
// session; its result names the worker. HoldSession is scheduled for that worker alone and runs until it is cancelled: as long
// as it is there the session is, and when its worker dies it is queued anew, found not to belong to whoever claims it, and
// fails. So the store knows nothing of sessions but that some work is for one worker.
const (
	OpenSession = "pawl:open-session"
	HoldSession = "pawl:session"
)

// sessionActivities are registered with others, but claimed only once somebody has scheduled one.
var sessionActivities = [...]Activity{
	{Name: OpenSession, Run: openSession, opens: true},
	{Name: HoldSession, Run: holdSession, hosts: true},
}

// reservation is how long a place is kept for a session that was opened and does not begin: its instance has ended.
const reservation = 30 * time.Second

// fullDelay is how long an opening stays away from everybody that has found its worker full.
const fullDelay = 50 * time.Millisecond

// hostedSession is a session at this worker.
type hostedSession struct {
	ctx    context.Context // ends with it
	cancel context.CancelCauseFunc
	opened time.Time
	held   bool
}

// hostedSessions are those at this worker, by the activity that has opened each.
type hostedSessions struct {
	most int
	ever atomic.Bool // a session was opened here: there may be work that only this worker can do

	mu   sync.Mutex
	open map[provider.WorkKey]*hostedSession
}

// full reports whether there is no room for another session.
func (h *hostedSessions) full() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expire()
	return len(h.open) >= h.most
}

// expire forgets reservations. h.mu is held.
func (h *hostedSessions) expire() {
	for key, one := range h.open {
		if !one.held && time.Since(one.opened) > reservation {
			one.cancel(errSessionEnded)
			delete(h.open, key)
		}
	}
}

// reserve makes room for a session; it reports false if there is none. A session that has it keeps it.
func (h *hostedSessions) reserve(ctx context.Context, key provider.WorkKey) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expire()
	if h.open[key] != nil {
		return true
	}
	if len(h.open) >= h.most {
		return false
	}
	h.add(ctx, key)
	return true
}

// add makes a session. h.mu is held.
func (h *hostedSessions) add(ctx context.Context, key provider.WorkKey) *hostedSession {
	one := &hostedSession{opened: time.Now()}
	h.ever.Store(true)
	one.ctx, one.cancel = context.WithCancelCause(ctx)
	h.open[key] = one
	return one
}

// hold begins a session for which room was made.
func (h *hostedSessions) hold(ctx context.Context, key provider.WorkKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.open[key]
	if one == nil { // its reservation has expired
		one = h.add(ctx, key)
	}
	one.held = true
}

// end ends a session. It reports whether there was no room for another until now.
func (h *hostedSessions) end(key provider.WorkKey, cause error) (crowded bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	crowded = len(h.open) >= h.most
	if one := h.open[key]; one != nil {
		one.cancel(cause)
		delete(h.open, key)
	}
	return crowded
}

// context returns the context of a session, one that has ended if the session has.
func (h *hostedSessions) context(key provider.WorkKey) context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	if one := h.open[key]; one != nil {
		return one.ctx
	}
	ended, cancel := context.WithCancelCause(context.Background())
	cancel(errSessionEnded)
	return ended
}

var errSessionEnded = errors.New("the session has ended")

// openSession is the activity of that name. Its result is the worker.
func openSession(_ context.Context, info ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
	s := info.run.s
	if !s.serves() || !s.hosted.reserve(s.ctx, info.run.key) {
		info.run.unfit.Store(true)
		return history.Payload{}, &history.Failure{Kind: history.FailureError, Source: OpenSession, Message: "no room for another session"}
	}
	return history.Payload{Encoding: history.EncodingJSON, Data: fmt.Appendf(nil, `"%d"`, s.worker)}, nil
}

// holdSession is the activity of that name.
func holdSession(ctx context.Context, info ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
	s, key := info.run.s, info.run.sessionKey()
	s.hosted.hold(s.ctx, key)
	<-ctx.Done()
	if s.hosted.end(key, context.Cause(ctx)) {
		s.work.kick() // openings were not claimed meanwhile
	}
	return history.Payload{}, sessionLost(HoldSession, "the worker of the session stops")
}

func sessionLost(activity, why string) *history.Failure {
	return &history.Failure{Kind: history.FailureSessionLost, Source: activity, Message: why}
}

// sessionKey names the session that an activity belongs to by the activity that has opened it.
func (run *activityRun) sessionKey() provider.WorkKey {
	key := run.key
	key.Event = run.terms.Session.Opened
	return key
}

// strayed returns the failure of an activity whose session was at another worker, nil if it was not: that worker has died.
func (run *activityRun) strayed() *history.Failure {
	if run.terms == nil || run.terms.Session == nil || run.terms.Session.Worker == int64(run.s.worker) {
		return nil
	}
	return sessionLost(run.activity.Name, "the worker of the session has ended")
}

// SessionID is the id of the session that an instance has opened by the activity of that event.
func SessionID(instanceID string, execution, opened int32) string {
	return fmt.Sprintf("%s/%d/%d", instanceID, execution, opened)
}

// Session returns the id of the session the activity belongs to and a context that ends with it. ok is false if it belongs
// to none.
func (i ActivityInfo) Session() (id string, ctx context.Context, ok bool) {
	run := i.run
	if run.terms == nil || run.terms.Session == nil {
		return "", nil, false
	}
	key := run.sessionKey()
	return SessionID(run.instanceID, key.Execution, key.Event), run.s.hosted.context(key), true
}

// workTerms are the classes of a claim of queued work and how it is to prefer them: all but the opening of sessions if there
// is no room for another.
func (s *session) workTerms() (classes []provider.ClassID, ranks []int16) {
	served := s.e.serves()
	classes, ranks = s.work.terms(&served.work)
	if !served.opens || !s.hosted.full() {
		return classes, ranks
	}
	var open []provider.ClassID
	var openRanks []int16
	for i, id := range classes {
		if served.activities[id].opens {
			continue
		}
		open = append(open, id)
		if ranks != nil {
			openRanks = append(openRanks, ranks[i])
		}
	}
	return open, openRanks
}

// endHosted ends the sessions at this worker, which is draining: their instances are told at once, although activities may go on
// for long. s.mu is held.
func (s *session) endHosted() {
	for _, run := range s.runs {
		if run.activity.hosts {
			run.cancel(ErrStopped)
		}
	}
}
