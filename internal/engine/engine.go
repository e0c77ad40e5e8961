// Package engine runs orchestrations and activities against a store: it claims instances and work, runs turns on the
// replay core, commits each with one call, and lets one call serve many instances when many are ready.
//
// # Who does what
//
// An Engine is one process's connection to a store, worker or client or both. As a worker it lives through sessions: a
// session is one incarnation, with a worker id of its own, that beats once a second (pulse.go) and holds leases. When
// its beats fail for too long the session is over, everything it held is forgotten and a new one begins.
//
// An instance (instance.go) is run by at most one goroutine at a time: turn, commit, next turn. Its coroutine stays
// cached between turns (cache.go), its lease is held only while local activities are in flight. One that comes back after
// others have run it is led on by their turns (catchup.go). Activities run in slots (activity.go). The result of a local
// activity, the turn it causes and the lease of the next activity are one call. Calls of the same kind that wait while
// another is under way are sent together (batch.go).
//
// # What it may not know
//
// The engine knows neither SQL nor user types: values are payloads, functions are replay.Function and ActivityFunc.
package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
)

// ActivityFunc runs an activity. The failure, if any, is its recorded form.
type ActivityFunc func(ctx context.Context, info ActivityInfo, input history.Payload) (history.Payload, *history.Failure)

// ActivityInfo tells an activity who it is.
type ActivityInfo struct {
	InstanceID string
	Execution  int32
	Event      int32 // number of the scheduling event: with the two above the identity of the activity
	Name       string
	Attempt    int32
	// Deadline is when the attempt is ended, at the latest, by the local clock.
	Deadline time.Time
	// LastFailure is how the last attempt with an outcome has failed, nil if there was none.
	LastFailure *history.Failure

	run *activityRun
}

// Orchestration is a registered orchestration.
type Orchestration struct {
	Name, Version string
	Run           replay.Function
}

// Activity is a registered activity.
type Activity struct {
	Name string
	Run  ActivityFunc

	opens bool // a session: not begun where there is no room for one
	hosts bool // a session: takes no slot, and lasts as long as that
}

// Options configure an Engine. All fields but Tags must be set (package pawl supplies the defaults).
type Options struct {
	Logger *slog.Logger
	// Name is shown to operators.
	Name string
	// ClientOnly makes no worker of a process, whatever functions it has.
	ClientOnly bool
	// Slots is how many activities run at a time.
	Slots int
	// MaxInstances is how many instances may be held at a time.
	MaxInstances int
	// CacheBytes bounds the estimated memory of idle cached instances.
	CacheBytes int64
	// PulseInterval and TTL: a worker beats every interval; one not heard of for TTL is dead.
	PulseInterval, TTL time.Duration
	// TurnTimeout bounds orchestration code between two awaits.
	TurnTimeout time.Duration
	// MaxAttempts is how often an item is tried without an outcome before it is quarantined.
	MaxAttempts int32
	// ActivityTimeout bounds one attempt of an activity that was scheduled without a limit of its own.
	ActivityTimeout time.Duration
	// MaxSessions is how many sessions this process hosts at a time.
	MaxSessions int
	// Tags are those that this process serves, beside activities without a tag.
	Tags []string
	// MaxBatch bounds the items of one call, MaxBatchBytes their payload bytes.
	MaxBatch      int
	MaxBatchBytes int
	// Limits bound what a turn records; zero is no limit.
	Limits replay.Limits
	// MaxCalls bound how many calls of clients may be under way.
	MaxCalls MaxCalls
	// FailureOf converts errors of orchestration code.
	FailureOf replay.FailureOf
	// CauseOf makes the error that a running activity finds as the cause of its context's end.
	CauseOf func(*history.Failure) error
}

// ErrStopped is returned by calls on an engine that has been stopped.
var ErrStopped = errors.New("the app is stopped")

// Engine is one process's connection to a store. Its methods are safe for concurrent use.
type Engine struct {
	store provider.Provider
	opts  Options
	log   *slog.Logger

	registry    registry
	classes     classCache
	clock       clock
	waiters     waiters
	updates     subscribers[updateKey, history.Event]       // to answers
	statuses    subscribers[string, provider.InstanceState] // to custom statuses, by instance
	divergences divergences
	watchdogs   watchdogs

	starts *batcher[*startCall]
	sends  *batcher[*sendCall]
	// sendDoubt is of calls of sends.
	sendDoubt doubt
	reads     *batcher[readCall]

	startPlaces, messagePlaces, queryPlaces places

	// ctx ends when the engine has stopped; all calls use it or a child.
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	session *session      // nil: not a running worker
	stopped bool          // Stop was called
	closed  bool          // no goroutine may start any more
	done    chan struct{} // closed when Stop has done its work
	tasks   sync.WaitGroup
	crew    crew
}

// New makes an engine. It does no I/O.
func New(store provider.Provider, opts Options) *Engine {
	e := &Engine{store: store, opts: opts, log: opts.Logger, classes: classCache{ids: map[provider.Class]provider.ClassID{}}}
	e.registry.init()
	e.serve(&served{})
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.done = make(chan struct{})
	e.waiters.byInstance = map[string][]*Waiter{}
	e.starts = newBatcher(e, e.flushStarts)
	e.sends, e.sendDoubt = newBatcher(e, e.flushSends), newDoubt()
	e.reads = newBatcher(e, e.flushReads)
	e.startPlaces, e.messagePlaces, e.queryPlaces = newPlaces(opts.MaxCalls.Starts), newPlaces(opts.MaxCalls.Messages), newPlaces(opts.MaxCalls.Queries)
	return e
}

// Start makes the engine a worker for the given functions; with none it is a client that still follows instances it
// waits for. ctx bounds the start only.
func (e *Engine) Start(ctx context.Context, orchestrations []Orchestration, activities []Activity) error {
	if err := e.register(ctx, orchestrations, activities); err != nil {
		return err
	}
	worker := !e.opts.ClientOnly && len(orchestrations)+len(activities) > 0
	if worker {
		s := newSession(e)
		if err := e.call(ctx, s.pulse); err != nil {
			s.end()
			return err
		}
		e.mu.Lock()
		e.session = s
		e.mu.Unlock()
		s.run()
	}
	e.spawn(e.pulseLoop)
	if n, ok := e.store.(provider.Notifier); ok {
		e.spawn(func() { e.listen(n) })
	}
	return nil
}

// Stop ends the engine: it claims nothing more, lets running turns and activities finish until ctx ends, then cancels
// them and releases what is left. It returns when every goroutine of the engine has ended, except activities that
// ignore their cancelled context; those are counted in the returned error. Idempotent.
func (e *Engine) Stop(ctx context.Context) error {
	e.mu.Lock()
	s := e.session // stays current, and beats, until it is drained
	already := e.stopped
	e.stopped = true
	e.mu.Unlock()
	if already {
		select {
		case <-e.done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	defer close(e.done)
	var err error
	if s != nil {
		err = s.drain(ctx)
	}
	e.Close()
	e.waiters.closeAll()
	return err
}

// current returns the running session, nil if there is none.
func (e *Engine) current() *session {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.session
}

// stopping reports whether Stop has been called.
func (e *Engine) stopping() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stopped
}

// spawn runs f on a goroutine that Stop waits for. It reports false, and does nothing, once the engine has stopped.
func (e *Engine) spawn(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.tasks.Go(f)
	return true
}

// enlist is spawn for what is part of a step: its goroutine is one of the crew, which can be told what to do next. For
// that Stop does not wait.
func (e *Engine) enlist(f func(*carrier)) bool {
	if !e.join() {
		return false
	}
	e.crew.run(func(c *carrier) {
		defer e.tasks.Done()
		f(c)
	})
	return true
}

// join adds one to the tasks that Stop waits for. It reports false once the engine has stopped.
func (e *Engine) join() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.tasks.Add(1)
	return true
}

// adopt runs f on the calling goroutine, for which Stop then waits: within a step a hand-over to another goroutine costs
// more than the work itself. It reports false, and does nothing, once the engine has stopped.
func (e *Engine) adopt(c *carrier, f func(*carrier)) bool {
	if !e.join() {
		return false
	}
	defer e.tasks.Done()
	f(c)
	return true
}

// callTimeout bounds one try of a store call, so that a connection that has silently died does not hold it for ever.
const callTimeout = 30 * time.Second

// call repeats a store call until it succeeds, fails for good, or ctx ends. Each try is the same call with the same
// request ids, which is how an unknown outcome is resolved.
func (e *Engine) call(ctx context.Context, f func(context.Context) error) error {
	_, err := e.try(ctx, f)
	return err
}

// try is call; uncertain tells that after the error the store may or may not have done what was asked.
func (e *Engine) try(ctx context.Context, f func(context.Context) error) (uncertain bool, err error) {
	const first, last = 10 * time.Millisecond, time.Second
	for delay := first; ; delay = min(2*delay, last) {
		err := e.once(ctx, f)
		if err == nil || !provider.Retryable(err) || ctx.Err() != nil {
			return err != nil && (uncertain || provider.Retryable(err)), err
		}
		uncertain = true
		e.log.Debug("store call will be repeated", "error", err, "delay", delay)
		t := time.NewTimer(delay)
		select {
		case <-ctx.Done():
			t.Stop()
			return true, err
		case <-t.C:
		}
	}
}

// once is one try.
func (e *Engine) once(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return f(ctx)
}

// Close ends what is left of an engine that was stopped, or has never been started.
func (e *Engine) Close() {
	e.cancel()
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.tasks.Wait()
	e.crew.close()
}
