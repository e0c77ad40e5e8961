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
	Version string // "" for the same version
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

	out Outcome

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
		recorded: recorded[1:], next: 1, now: started.StartedAt,
		open:   map[int32]*Future{},
		resume: make(chan struct{}), parked: make(chan struct{}), exited: make(chan struct{}), stuck: make(chan struct{}),
	}
	x.seen.seed(started.SeenMessages)
	return x, nil
}

// Follow adds events that another process has recorded since the last Turn here. The next Turn replays them first, as if
// they had been in the history from the beginning.
func (x *Execution) Follow(recorded []history.Event) error {
	if x.ended {
		return errors.New("replay: events after the end of the execution")
	}
	x.recorded = slices.Concat(x.recorded, recorded)
	x.live = false
	return nil
}

// Known is how many events of the history the execution has, those that the next Turn will replay included.
func (x *Execution) Known() int32 { return x.next + int32(len(x.recorded)) }

// Input is what a turn begins with.
type Input struct {
	// At is the time of the turn; time never goes backwards for the code.
	At time.Time
	// Fresh marks the eager first turn, which belongs to ExecutionStarted itself: no TurnStarted is recorded.
	Fresh bool
	// ReplayOnly applies the history and stops: no TurnStarted, no messages.
	ReplayOnly bool
	Messages   []Message
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
	x.progress = in.Progress
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
		if r != nil {
			x.panicked(r)
		} else if !returned {
			x.fail(history.Failure{Kind: history.FailureGoexit, Message: "orchestration code called runtime.Goexit (testing.T.FailNow does)"})
		} else {
			x.returned(result, err)
		}
	}()
	<-x.resume
	if x.dead.Load() {
		return
	}
	x.begin()
	result, err = x.fn(x, x.started.Input)
	returned = true
}

// begin applies the TurnStarted that precedes the first line of user code.
func (x *Execution) begin() {
	if len(x.recorded) > 0 {
		if _, ok := x.recorded[0].(*history.TurnStarted); !ok {
			return
		}
	} else if x.live {
		return
	}
	_ = x.step() // there is an entry
}

// panicked records a panic of user code; it runs while the panic unwinds, so the stack is the user's.
func (x *Execution) panicked(r any) {
	x.fail(history.Failure{Kind: history.FailurePanic, Message: fmt.Sprint(r), Type: fmt.Sprintf("%T", r), Stack: string(debug.Stack())})
}

// returned records how the function returned.
func (x *Execution) returned(result history.Payload, err error) {
	defer func() {
		if r := recover(); r != nil { // in a method of err, which is user code
			x.panicked(r)
		}
	}()
	var can *ContinueAsNew
	switch {
	case errors.As(err, &can):
		x.end(&history.ExecutionContinuedAsNew{Input: can.Input, Version: can.Version}, ContinuedAsNew)
		x.out.ContinueAsNew = can
	case err != nil:
		x.fail(x.failureOf(err))
	default:
		x.end(&history.ExecutionCompleted{Result: result}, Completed)
	}
}

// fail records the failure of the execution, unless it has ended already.
func (x *Execution) fail(f history.Failure) {
	if x.out.Status == Running && x.out.Divergence == nil {
		x.end(&history.ExecutionFailed{Failure: f}, Failed)
	}
}

// end records the last event of the execution, or checks it against the recorded one.
func (x *Execution) end(ev history.Event, status Status) {
	switch {
	case len(x.recorded) > 0 && x.recorded[0].Type() == ev.Type():
		x.recorded = x.recorded[1:]
		x.next++
		x.out.Status = status
	case !x.live:
		x.out.Divergence = x.divergence(describe(ev), "")
	default:
		x.append(ev)
		x.out.Status = status
	}
}

// enter unwinds a dead coroutine that uses its context.
func (x *Execution) enter() {
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
