package engine

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
)

// What users call a session, several activities in one process, is here a hosted session: session is the word for one
// incarnation of a worker. Two activities of the engine's own make one. OpenSession runs wherever there is room for another
// session; its result, a history.Session, names the worker. HoldSession is scheduled for that worker alone and runs until it
// is cancelled: as long as it is there the session is, and when its worker dies it is queued anew, found not to belong to
// whoever claims it, and fails. So the store knows nothing of sessions but that some work is for one worker. Neither takes a
// slot.
const (
	OpenSession = "pawl:open-session"
	HoldSession = "pawl:session"
)

// sessionActivities are registered with others, but claimed only once somebody has scheduled one.
var sessionActivities = [...]Activity{
	{Name: OpenSession, Run: openSession, opens: true},
	{Name: HoldSession, Run: holdSession, hosts: true},
}

// takesSlot reports whether the activity is one of those that Options.Slots bounds.
func (a *Activity) takesSlot() bool { return !a.opens && !a.hosts }

// fullDelay is how long an opening stays away from everybody that was claimed where there is no room.
const fullDelay = 50 * time.Millisecond

// openSession is the activity of that name.
func openSession(_ context.Context, info ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
	s, id := info.run.s, info.IdempotencyKey()
	if !s.serves() || !s.hosted.reserve(s.ctx, id) { // it began here, and not by a claim
		info.run.unfit.Store(true)
		return history.Payload{}, nil
	}
	body, err := json.Marshal(history.Session{Worker: int64(s.worker), ID: id})
	if err != nil { // cannot be: a number and a text
		return history.Payload{}, &history.Failure{Kind: history.FailureBadPayload, Source: OpenSession, Message: err.Error()}
	}
	return history.Payload{Encoding: history.EncodingJSON, Data: body}, nil
}

// holdSession is the activity of that name. A worker that stops tells at once, and lets the activities of the session return
// before what they rely on goes.
func holdSession(ctx context.Context, info ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
	s, id := info.run.s, info.run.terms.Session.ID
	<-ctx.Done()
	if cause := context.Cause(ctx); errors.Is(cause, ErrStopped) {
		s.hosted.endAfterRuns(id, cause)
	} else if s.hosted.end(id, cause) {
		s.work.kick()
	}
	return history.Payload{}, &lostHere(info.Event).Failure
}

// lostHere is the result of an activity whose session ends because this worker stops.
func lostHere(scheduled int32) *history.ActivityFailed {
	return &history.ActivityFailed{Scheduled: scheduled, Failure: *sessionLost("", "the worker of the session stops")}
}

func sessionLost(activity, why string) *history.Failure {
	return &history.Failure{Kind: history.FailureSessionLost, Source: activity, Message: why}
}

// ofSession returns the session that an activity belongs to, nil if it is none's.
func (run *activityRun) ofSession() *history.Session {
	if run.terms == nil {
		return nil
	}
	return run.terms.Session
}

// beginInSession has the session know of an activity that begins. s.mu is held.
func (run *activityRun) beginInSession(session *history.Session) {
	s := run.s
	if !run.activity.hosts {
		s.hosted.enter(session.ID)
		return
	}
	s.hosted.hold(s.ctx, session.ID)
	if s.draining {
		run.cancel(ErrStopped)
	}
}

// strayed returns the failure of an activity whose session was at another worker, nil if it was not: that worker has ended.
func (run *activityRun) strayed() *history.Failure {
	if session := run.ofSession(); session == nil || session.Worker == int64(run.s.worker) {
		return nil
	}
	return sessionLost(run.activity.Name, "the worker of the session has ended")
}

// Session returns the id of the session the activity belongs to and a context that ends with it. ok is false if it belongs
// to none.
func (i ActivityInfo) Session() (id string, ctx context.Context, ok bool) {
	session := i.run.ofSession()
	if session == nil {
		return "", nil, false
	}
	return session.ID, i.run.s.hosted.context(session.ID), true
}

// workTerms are the classes of a claim of queued work and how it is to prefer them. Openings of sessions are not among them if
// there is no room, or others may have waited for it: they would come by the dozen, and those that find none lose their turn.
func (s *session) workTerms() (classes []provider.ClassID, ranks []int16) {
	served := s.e.serves()
	classes, ranks = s.work.terms(&served.work)
	if !served.opens {
		return classes, ranks
	}
	if n, crowded := s.hosted.room(); n > 0 && !crowded {
		return classes, ranks
	}
	return served.sift(classes, ranks, false)
}

// sift returns those classes, with their ranks, that are openings of sessions, or those that are not.
func (v *served) sift(classes []provider.ClassID, ranks []int16, opens bool) (sifted []provider.ClassID, siftedRanks []int16) {
	for i, id := range classes {
		if v.activities[id].opens != opens {
			continue
		}
		sifted = append(sifted, id)
		if ranks != nil {
			siftedRanks = append(siftedRanks, ranks[i])
		}
	}
	return sifted, siftedRanks
}

// awaited reports whether there is room that openings in the store may wait for.
func (s *session) awaited() bool {
	n, crowded := s.hosted.room()
	return crowded && n > 0 && s.e.serves().opens
}

// fetchOpenings claims as many openings as there is room for.
func (s *session) fetchOpenings() {
	for s.awaited() && s.beginFetch() {
		served := s.e.serves()
		n, _ := s.hosted.room()
		req := &provider.FetchWorkRequest{Worker: s.worker, Request: provider.NewToken(), Max: min(n, fetchMax), Serves: s.e.claimable()}
		req.Classes, req.Ranks = served.sift(served.work.classes, served.work.ranks, true)
		var reply *provider.FetchWorkReply
		err := s.call(func(ctx context.Context) (err error) {
			reply, err = s.e.store.FetchWorkItems(ctx, req)
			return err
		})
		if err != nil {
			s.settled()
			s.logUnlessEnded("fetch of openings failed", err)
			return // the next pulse kicks again
		}
		if len(reply.Work) < req.Max {
			s.hosted.relieved()
		}
		s.launchClaimed(reply.Work, reply.Granted, 0)
		s.settled()
	}
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

// refuseRouted answers what is scheduled in sessions of this worker while it drains: it begins nothing any more, and nobody else
// is to wait for its end.
func (s *session) refuseRouted() {
	s.mu.Lock()
	wanted := s.quiet != nil && s.hosted.ever.Load()
	if wanted {
		s.settling++
	}
	s.mu.Unlock()
	if !wanted {
		return
	}
	defer s.settled()
	req := &provider.FetchWorkRequest{Worker: s.worker, Request: provider.NewToken(), Routed: true, Max: fetchMax}
	var reply *provider.FetchWorkReply
	err := s.call(func(ctx context.Context) (err error) {
		reply, err = s.e.store.FetchWorkItems(ctx, req)
		return err
	})
	if err != nil {
		s.logUnlessEnded("fetch of activities of sessions failed", err)
		return // the next pulse kicks again
	}
	var refused []*ackWorkCall
	for i := range reply.Work {
		item := &reply.Work[i]
		refused = append(refused, s.newAckWork(item.WorkKey, item.Token, lostHere(item.Event)))
	}
	s.refuse(refused)
	if len(reply.Work) == req.Max {
		s.work.kick()
	}
}
