package replay

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl/history"
)

// Misuse of the context, returned to the code that misuses it; ErrForeignGoroutine also fails the execution.
var (
	ErrForeignGoroutine = errors.New("orchestration context used from a goroutine that is not the orchestration's")
	ErrForeignFuture    = errors.New("future of another orchestration")
	ErrNothingToAwait   = errors.New("await of no future")
)

// Function is an orchestration in untyped form. A *ContinueAsNew error ends the execution as continued; any other error
// fails it.
type Function func(x *Execution, input history.Payload) (history.Payload, error)

// ContinueAsNew is returned by a Function to end this execution and start the next.
type ContinueAsNew struct {
	Input   history.Payload
	Version *string // nil for the same version
}

// Error implements error, so that the request travels as a return value.
func (*ContinueAsNew) Error() string { return "continue as new" }

// FailureOf converts an error of user code to its stored form. The caller of New supplies it, because error types
// belong to the public package.
type FailureOf func(err error) history.Failure

// Execution is one live execution: its coroutine and what it waits for. Its methods are of two kinds: Turn and Close are
// for the owner, from any one goroutine at a time; all others are for the coroutine.
type Execution struct {
	fn         Function
	failureOf  FailureOf
	instanceID string
	execution  int32
	started    *history.ExecutionStarted

	// The record.
	recorded []history.Event // history still to be applied; shrinks from the front
	next     int32           // number of the next event to be applied or appended
	live     bool            // the turn's own events are being appended
	pending  []Message       // messages of this turn not yet used
	now      time.Time
	ids      uint64 // NewID calls so far

	// What is open.
	open  map[int32]*Future    // scheduled and unanswered: activities, timers, children
	waits map[string][]*Future // waits by event name, oldest first; nil until the first
	seen  seenMessages
	root  Scope

	// What the code has told.
	patches map[string]bool
	values  map[string]history.Payload // key-value state; nil while it is as it was at the start
	queries map[string]Query
	updates map[string]Update
	checks  int32 // calls of Check so far
	// Updates that were answered, and what code that is called for an answer may do.
	answered answeredUpdates
	handling bool        // the code of an update is running: it must not wait
	readOnly bool        // code is running that may only look
	refused  atomic.Bool // it tried to do more
	// The next execution, once the code has asked for it.
	continued *ContinueAsNew

	out    Outcome
	limits Limits
	// What the code has issued in this turn.
	issued, issuedBytes int

	// The hand-over.
	foreign  atomic.Bool
	dead     atomic.Bool
	begun    bool
	ended    bool
	resume   chan struct{}
	parked   chan struct{}
	exited   chan struct{}
	stuck    chan struct{} // closed when Turn has given up
	progress func()
}

// New makes an execution from its history, of which event 0 must be ExecutionStarted. The coroutine starts with the
// first Turn; until then there is nothing to close.
func New(instanceID string, execution int32, recorded []history.Event, fn Function, failureOf FailureOf) (*Execution, error) {
	if len(recorded) == 0 {
		return nil, errors.New("replay: empty history")
	}
	started, ok := recorded[0].(*history.ExecutionStarted)
	if !ok {
		return nil, fmt.Errorf("replay: history begins with %s, not ExecutionStarted", recorded[0].Type())
	}
	x := &Execution{
		fn: fn, failureOf: failureOf, instanceID: instanceID, execution: execution, started: started,
		recorded: withoutTermination(recorded[1:]), next: 1, now: started.StartedAt,
		open:   map[int32]*Future{},
		resume: make(chan struct{}), parked: make(chan struct{}), exited: make(chan struct{}), stuck: make(chan struct{}),
	}
	x.seen.seed(started.SeenMessages)
	for _, at := range started.Updates {
		x.answered.add(at)
	}
	x.root.x = x
	if started.Cancelled != nil {
		x.root.cancelled = cancellation(started.Cancelled.Reason)
	}
	return x, nil
}

// withoutTermination leaves out what the store has recorded without the code's knowledge: for the code, an execution that
// was terminated waits for ever.
func withoutTermination(recorded []history.Event) []history.Event {
	if n := len(recorded) - 1; n >= 0 {
		if _, ok := recorded[n].(*history.ExecutionTerminated); ok {
			return recorded[:n]
		}
	}
	return recorded
}

// Follow adds events that another process has recorded since the last Turn here. The next Turn replays them first, as if
// they had been in the history from the beginning.
func (x *Execution) Follow(recorded []history.Event) error {
	if x.ended {
		return errors.New("replay: events after the end of the execution")
	}
	x.recorded = slices.Concat(x.recorded, withoutTermination(recorded))
	x.live = false
	return nil
}

// Known is how many events of the history the execution has, those that the next Turn will replay included.
func (x *Execution) Known() int32 { return x.next + int32(len(x.recorded)) }

// Input is what a turn begins with.
type Input struct {
	// At is the time of the turn; time never goes backwards for the code.
	At time.Time
	// Fresh marks the eager first turn, which belongs to ExecutionStarted itself: no TurnStarted is recorded, unless there is
	// nothing else. See Outcome.Silent.
	Fresh bool
	// ReplayOnly applies the history and stops: no TurnStarted, no messages.
	ReplayOnly bool
	Messages   []Message
	Limits     Limits
	// Watchdog fires when the code has had its time; nil for no limit. Progress, if set, is called whenever an await
	// has given the code something new, to start that time afresh.
	Watchdog <-chan time.Time
	Progress func()
}

// Turn runs the execution until it blocks with every usable message applied, or ends. If the code neither blocks nor
// ends before the watchdog fires, Turn gives up with ErrStuck; then only Close may be called.
func (x *Execution) Turn(in Input) (Outcome, error) {
	if x.ended {
		return Outcome{}, errors.New("replay: turn after the end of the execution")
	}
	x.out = Outcome{}
	x.progress, x.limits, x.issued, x.issuedBytes = in.Progress, in.Limits, 0, 0
	switch {
	case in.ReplayOnly:
		x.pending = nil
	case in.Fresh:
		x.live, x.pending = true, in.Messages
	default:
		x.pending = append([]Message{{Event: &history.TurnStarted{At: in.At}}}, in.Messages...)
	}
	if !x.begun {
		x.begun = true
		go x.coroutine()
	}
	x.resume <- struct{}{}
	select {
	case <-x.parked:
	case <-x.exited:
		x.ended = true
	case <-in.Watchdog:
		x.dead.Store(true)
		x.ended = true
		close(x.stuck)
		return Outcome{}, ErrStuck
	}
	if x.foreign.Load() {
		x.fail(history.Failure{Kind: history.FailureMisuse, Message: ErrForeignGoroutine.Error()})
	}
	if in.Fresh && x.out.Status == Running && x.out.Divergence == nil && len(x.out.Events) == 0 {
		x.out.Silent = true // an execution without any event but its start would count as one that has never run
		x.put(&history.TurnStarted{At: x.now})
	}
	x.finish()
	return x.out, nil
}

// ErrStuck is returned by Turn when orchestration code does not come back.
var ErrStuck = errors.New("orchestration code neither awaited nor returned within the turn's time limit")

// Gone reports whether there is no coroutine to be closed (any more).
func (x *Execution) Gone() bool {
	if !x.begun {
		return true
	}
	select {
	case <-x.exited:
		return true
	default:
		return false
	}
}

// Close unwinds a parked coroutine and waits for it until giveUp fires; it reports whether the coroutine is gone. It
// is idempotent, and must not be called during a Turn.
func (x *Execution) Close(giveUp <-chan time.Time) bool {
	if !x.begun {
		return true
	}
	if !x.dead.Swap(true) {
		select {
		case x.resume <- struct{}{}:
		case <-x.exited:
			return true
		}
	}
	x.ended = true
	select {
	case <-x.exited:
		return true
	case <-giveUp:
		return false
	}
}

// coroutine is the goroutine orchestration code runs on.
func (x *Execution) coroutine() {
	returned := false
	var result history.Payload
	var err error
	defer close(x.exited)
	defer func() {
		r := recover() // also when a deferred function panics while the coroutine is unwound
		if x.dead.Load() {
			return
		}
		var end history.Event
		switch {
		case r != nil:
			end = x.becauseOf(panicked(r), r)
		case !returned:
			end = &history.ExecutionFailed{Failure: history.Failure{Kind: history.FailureGoexit,
				Message: "orchestration code called runtime.Goexit (testing.T.FailNow does)"}}
		default:
			end = x.returned(result, err)
		}
		// Code that has ended takes nothing more: what comes while children are waited for is the next execution's.
		x.updates, x.waits, x.handling = nil, nil, false
		x.awaitChildren()
		x.end(end)
	}()
	<-x.resume
	if x.dead.Load() {
		return
	}
	x.begin()
	result, err = x.fn(x, x.started.Input)
	returned = true
}

// begin applies the TurnStarted that precedes the first line of user code, and requests to cancel that came before it.
func (x *Execution) begin() {
	if x.started.Begun { // what is recorded first came when the code was waiting
		return
	}
	if len(x.recorded) > 0 {
		if _, ok := x.recorded[0].(*history.TurnStarted); !ok {
			return
		}
	} else if x.live {
		return
	}
	_ = x.step() // there is an entry
	for {
		if _, ok := x.nextRecorded().(*history.CancelRequested); !ok {
			break
		}
		_ = x.step()
	}
	if len(x.recorded) > 0 {
		return
	}
	for i := 0; i < len(x.pending); {
		if _, ok := x.pending[i].Event.(*history.CancelRequested); ok && x.live {
			x.take(x.pending[i])
			x.pending = slices.Concat(x.pending[:i], x.pending[i+1:])
		} else {
			i++
		}
	}
}

// awaitChildren holds the end back until the children are done that it is to wait for.
func (x *Execution) awaitChildren() {
	for _, f := range x.openFutures() {
		if f.kind == openChild && f.close == history.CloseWait && !f.detached {
			_, _ = x.Await(f) // refused only to a goroutine that has failed the execution already
		}
	}
}

// panicked is the end of an execution whose code panicked; it runs while the panic unwinds, so the stack is the user's.
func panicked(r any) *history.ExecutionFailed {
	return &history.ExecutionFailed{Failure: history.PanicFailure(r, debug.Stack())}
}

// becauseOf adds the error that code panicked with, so that it can be told by what it is.
func (x *Execution) becauseOf(end *history.ExecutionFailed, r any) *history.ExecutionFailed {
	if err, ok := r.(error); ok && !isRuntimeError(r) {
		cause := x.failureSafely(err)
		end.Failure.SetCauses([]*history.Failure{&cause})
	}
	return end
}

// isRuntimeError tells a panic of the language, which says all in its text, from an error that code has panicked with.
func isRuntimeError(r any) bool {
	_, ok := r.(runtime.Error)
	return ok
}

// returned is the end of an execution whose function has returned.
func (x *Execution) returned(result history.Payload, err error) (end history.Event) {
	defer func() {
		if r := recover(); r != nil { // in a method of err, which is user code
			end = panicked(r)
		}
	}()
	if err == nil {
		return &history.ExecutionCompleted{Result: result}
	}
	var can *ContinueAsNew
	if errors.As(err, &can) {
		x.continued = can
		version := ""
		if can.Version != nil {
			version = *can.Version
		}
		return &history.ExecutionContinuedAsNew{Input: can.Input, Version: version}
	}
	failure := x.failureOf(err)
	if x.root.cancelled != nil && isCancellation(&failure) {
		return &history.ExecutionCancelled{Failure: failure}
	}
	return &history.ExecutionFailed{Failure: failure}
}

// fail records the failure of the execution, unless it has ended already.
func (x *Execution) fail(f history.Failure) {
	if x.out.Status == Running && x.out.Divergence == nil {
		x.end(&history.ExecutionFailed{Failure: f})
	}
}

// end records the last event of the execution, or checks it against the recorded one.
func (x *Execution) end(ev history.Event) {
	x.skipPatches()
	if failed := x.recordedLimit(); failed != nil {
		ev = failed
	}
	switch {
	case len(x.recorded) > 0 && x.recorded[0].Type() == ev.Type():
		x.recorded = x.recorded[1:]
		x.next++
	case !x.live:
		x.out.Divergence = x.divergence(describe(ev), "")
		return
	default:
		x.put(ev)
	}
	switch ev.(type) {
	case *history.ExecutionCompleted:
		x.out.Status = Completed
	case *history.ExecutionContinuedAsNew:
		x.out.Status = ContinuedAsNew
	case *history.ExecutionCancelled:
		x.out.Status = Cancelled
	default:
		x.out.Status = Failed
	}
}

// enter unwinds a dead coroutine that uses its context, and stops code that may only look.
func (x *Execution) enter() {
	if x.readOnly {
		x.refuse()
	}
	if x.dead.Load() {
		runtime.Goexit()
	}
}

// park hands control back to Turn and returns with the next one. It refuses strangers: another goroutine that parks
// would silently become the coroutine.
func (x *Execution) park() error {
	if !onCoroutine() {
		x.foreign.Store(true)
		return ErrForeignGoroutine
	}
	select {
	case x.parked <- struct{}{}:
		<-x.resume
	case <-x.stuck: // too late: nobody waits for this turn any more
	}
	x.enter()
	return nil
}

// stop ends the coroutine for good, with the outcome as it stands.
func (x *Execution) stop() {
	x.dead.Store(true)
	runtime.Goexit()
}
