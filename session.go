package pawl

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/engine"
	"github.com/pawlrun/pawl/internal/replay"
)

// ErrSessionLost: the worker of a session has ended, by a crash or because it was stopped, and with it whatever the
// activities of the session had there. Open another session and begin again.
var ErrSessionLost = errors.New("session lost")

// Session has activities run in one process, one after another or at the same time: what one of them leaves in the memory or
// on the disk of that process is there for the next. It belongs to the execution that has opened it, and ends with Close,
// with the execution (also when that continues as new), or with the process.
type Session struct {
	o      *Context
	tag    string
	bound  history.Session
	hold   *replay.Future
	closed bool
}

// SessionOptions change how a session is opened. The zero value means the defaults.
type SessionOptions struct {
	// Tag has the session opened by a worker that has the tag in Options.Tags. Activities of the session that have no tag of
	// their own have this one. Default: by a worker of any tags.
	Tag string
	// ScheduleToStart bounds the wait for a worker that has room for the session (Options.MaxSessions). Default: no limit.
	ScheduleToStart time.Duration
	// Priority of the opening among those that wait for room. Default: that of the instance.
	Priority Priority
}

// OpenSession chooses a worker for the activities that are then scheduled with ActivityOptions.Session, and waits until
// there is one: any that has activities registered, serves the tag and has room, this process first. Which activities those are
// is not asked: in that process others fail with ErrBadPayload. Where workers differ, a tag chooses.
//
//	session, err := pawl.OpenSession(o, nil)
//	if err != nil {
//		return err
//	}
//	defer session.Close()
//	path, err := pawl.Activity(o, Download, url, pawl.ActivityOptions{Session: session}).Await()
//
// The error is a *CancelledError if o is cancelled, an *ActivityError with ErrTimeout if nobody had room in time, or
// ErrInvalid. It costs one step, as an activity does; Close costs nothing.
func OpenSession(o *Context, opts *SessionOptions) (*Session, error) {
	if opts == nil {
		opts = &SessionOptions{}
	}
	options, err := opts.record()
	if err == nil {
		err = o.x.MayAwait()
	}
	if err != nil {
		return nil, fmt.Errorf("open session: %w", err)
	}
	bound, err := activityFuture[history.Session](o, engine.OpenSession, history.Payload{}, options).Await()
	if err != nil {
		return nil, fmt.Errorf("open session: %w", err)
	}
	s := &Session{o: o, tag: opts.Tag, bound: bound}
	// In a scope of its own: it is there for cleaning up, too. Without a tag, so that any worker can tell of its loss.
	s.hold = Detached(o).scope.Activity(engine.HoldSession, history.Payload{}, &history.ActivityOptions{Session: &s.bound})
	return s, nil
}

// record is the recorded form of the options, or all that is wrong with them.
func (opts *SessionOptions) record() (*history.ActivityOptions, error) {
	var errs []error
	if opts.ScheduleToStart < 0 {
		errs = append(errs, fmt.Errorf("%w: SessionOptions.ScheduleToStart is %v, it must not be negative", ErrInvalid, opts.ScheduleToStart))
	}
	if opts.Tag != "" {
		errs = append(errs, checkName("SessionOptions.Tag", opts.Tag))
	}
	priority, err := opts.Priority.recorded("SessionOptions.Priority")
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	if *opts == (SessionOptions{}) {
		return nil, nil
	}
	return &history.ActivityOptions{Tag: opts.Tag, ScheduleToStart: opts.ScheduleToStart, Priority: priority}, nil
}

// ID is the id of the session, unique in the store: that in ActivityInfo.SessionID of its activities.
func (s *Session) ID() string { return s.bound.ID }

// Close ends the session: what SessionContext returns in its activities is cancelled there, within about a second, and there
// is room for another. Activities that were scheduled go on. It may be called again, and in a defer.
func (s *Session) Close() {
	s.closed = true
	s.hold.Cancel("the session was closed")
}

// Ended is a future for Select: it fails with ErrSessionLost when the worker of the session has ended, and with ErrCancelled
// when the session was closed.
func (s *Session) Ended() *Future[struct{}] {
	return &Future[struct{}]{raw: s.hold, o: s.o, what: "end of session"}
}

// usable returns why an activity cannot be scheduled by o in the session, nil if it can.
func (s *Session) usable(o *Context) error {
	switch {
	case s.o == nil || s.o.x != o.x:
		return fmt.Errorf("%w: ActivityOptions.Session is of another execution; only OpenSession makes one", ErrInvalid)
	case s.closed:
		return fmt.Errorf("%w: ActivityOptions.Session is closed", ErrInvalid)
	}
	if _, failure, _ := s.hold.Answer(); failure != nil {
		return restoreFailure(failure)
	}
	return nil
}

// SessionContext returns a context that ends with the session of the activity that ctx belongs to: because it was closed, its
// execution has ended, or the process stops, which then waits for the activities of the session first. It outlives the
// activity. So what the session has here can be let go:
//
//	session, _ := pawl.SessionContext(ctx)
//	context.AfterFunc(session, func() { os.RemoveAll(dir) })
//
// ok is false outside a session. A process that dies runs nothing of the kind.
func SessionContext(ctx context.Context) (session context.Context, ok bool) {
	a, ok := runningActivity(ctx)
	if !ok {
		return nil, false
	}
	_, session, ok = a.Session()
	return session, ok
}
