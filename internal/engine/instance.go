package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
)

// instance is one orchestration instance as this session knows it: held, or cached. Its fields belong to session.mu,
// except that x is touched only by whoever set busy.
type instance struct {
	s  *session
	id string
	provider.Ref
	class     provider.ClassID
	execution int32
	nextSeq   int32
	token     provider.Token

	watched bool // the store will notify the end
	held    bool // the store has this session as owner, as far as is known
	busy    bool // a turn or its commit is under way
	seated  bool // busy, and counted in session.seated
	dropped bool // not in session.instances any more
	missed  bool // news came while it was busy
	x       *replay.Execution
	size    int64 // estimated bytes of x
	// replayed: x was made from a history and no turn of it was committed yet.
	replayed bool

	pending  []replay.Message            // from the inbox, for the next turn
	finished []replay.Message            // results of local activities, for the next turn
	given    []replay.Message            // those given to the turn under way
	local    map[int32]*activityRun      // activities of the instance running here
	regrant  *provider.OrchestrationItem // granted again before the releasing ack was answered
	history  []provider.Turn             // that came with the grant: all, the latest turns, or none
	lru      cacheEntry
}

// grant takes over an item the store has granted.
func (s *session) grant(item *provider.OrchestrationItem) {
	s.mu.Lock()
	if s.draining && !item.Held {
		s.mu.Unlock()
		s.abandon(provider.AbandonedInstance{Ref: item.Ref, Token: item.Token, UndoAttempt: true})
		return
	}
	in := s.instances[item.Ref]
	if item.Held {
		s.news(in, item)
		s.mu.Unlock()
		return
	}
	if in != nil && in.busy {
		in.regrant = item
		s.mu.Unlock()
		return
	}
	if in == nil {
		in = s.newInstance(item.Ref, item.InstanceID)
	}
	in.take(item)
	s.mu.Unlock()
}

// hold takes over an instance that came with work, without doing anything for it yet. s.mu is held.
func (s *session) hold(item *provider.OrchestrationItem) {
	in := s.instances[item.Ref]
	if in != nil && in.busy {
		in.regrant = item
		return
	}
	if in == nil {
		in = s.newInstance(item.Ref, item.InstanceID)
	}
	in.adopt(item)
}

// heldAgain reports that the instance was granted again before the answer to the commit that released it is here, in the
// same execution as that commit. s.mu is held.
func (in *instance) heldAgain(execution int32) bool {
	return in.regrant != nil && !in.dropped && in.execution == execution && in.regrant.Execution == execution
}

// news takes in what a fetch found for an instance that is held here already (in may be nil). The item was read under
// the lock of the instance's row. s.mu is held.
func (s *session) news(in *instance, item *provider.OrchestrationItem) {
	switch {
	case in == nil || in.token != item.Token:
		// The answer to the call that set this token is still on its way. Nobody would bring the news again, so they
		// wait for it (commit.go, applied).
		s.strays[item.Ref] = stray{item, time.Now()}
	case in.busy:
		// A commit that is under way comes after this read and brings what it leaves. If it is being given back instead,
		// the news is for whoever claims it then.
		in.missed = true
	case in.held:
		in.pending = in.messages(item.Messages)
		in.proceed()
	}
}

// claimMissed has an instance looked for that was given back while news came for it. s.mu is held.
func (in *instance) claimMissed() {
	if in.missed {
		in.missed = false
		in.s.orch.kick()
	}
}

// unread returns what is unread after a call that made token the instance's: the call's answer, or the news that
// overtook it. s.mu is held.
func (in *instance) unread(token provider.Token, answer []provider.Message) []provider.Message {
	kept, ok := in.s.strays[in.Ref]
	if !ok {
		return answer
	}
	delete(in.s.strays, in.Ref)
	if kept.item.Token == token {
		return kept.item.Messages
	}
	return answer
}

// stray is news under a token that is not known here, or not any more.
type stray struct {
	item *provider.OrchestrationItem
	came time.Time
}

// forgetStrays drops the news whose answer has not come within a TTL: it came before them, and the commit after it has
// read the inbox again.
func (s *session) forgetStrays() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ref, kept := range s.strays {
		if time.Since(kept.came) > s.e.opts.TTL {
			delete(s.strays, ref)
		}
	}
}

// newInstance adds an instance. s.mu is held.
func (s *session) newInstance(ref provider.Ref, id string) *instance {
	in := &instance{s: s, id: id, Ref: ref, local: map[int32]*activityRun{}}
	s.instances[ref] = in
	return in
}

// take makes a granted item the state of the instance and runs it. s.mu is held, the instance is not busy.
func (in *instance) take(item *provider.OrchestrationItem) {
	s := in.s
	in.adopt(item)
	if item.Attempt > s.e.opts.MaxAttempts {
		in.busy = true
		s.busy++
		s.e.spawn(func() {
			in.park(parkReason{Reason: "quarantined", Attempts: item.Attempt - 1,
				Detail: "its turn was begun that often without an outcome: it may crash or hang its process"})
		})
		return
	}
	in.goOn()
}

// adopt makes a granted item the state of the instance. s.mu is held, the instance is not busy.
func (in *instance) adopt(item *provider.OrchestrationItem) {
	in.s.cache.remove(in)
	if in.x != nil && !in.leadsTo(item) {
		in.discard()
	}
	in.class, in.execution, in.nextSeq = item.Class, item.Execution, item.NextSeq
	in.token, in.held = item.Token, true
	in.history = item.History
	in.pending = in.messages(in.unread(item.Token, item.Messages))
}

// leadsTo reports whether the cached execution is that of a granted item, or was some turns ago.
func (in *instance) leadsTo(item *provider.OrchestrationItem) bool {
	known := in.x.Known()
	return in.execution == item.Execution && (known == item.NextSeq ||
		known < item.NextSeq && in.x.Started().ExecutionID == item.ExecutionID.String())
}

// goOn does what a held instance is there for: a turn if it has input or has never run, else it waits for its activities
// that run here. If there are none, nothing will come of holding it. s.mu is held, the instance is not busy.
func (in *instance) goOn() {
	switch {
	case len(in.pending)+len(in.finished) > 0 || in.nextSeq <= 1:
		in.seated = true
		in.s.seated++
		in.begin()
	case len(in.local) == 0:
		in.letGo()
	}
}

// letGo gives an idle instance back. Results that it has not recorded go their own way then. s.mu is held.
func (in *instance) letGo() {
	in.occupy()
	a := provider.AbandonedInstance{Ref: in.Ref, Token: in.token}
	if !in.s.e.spawn(func() { in.leave(a) }) {
		in.idle()
	}
}

// messages converts unread messages to inputs of a turn.
func (in *instance) messages(messages []provider.Message) []replay.Message {
	var inputs []replay.Message
	for i := range messages {
		inputs = append(inputs, in.s.e.message(in.id, &messages[i]))
	}
	return inputs
}

// message converts an inbox message to an input of a turn. One that cannot be read is logged and used up.
func (e *Engine) message(instanceID string, m *provider.Message) replay.Message {
	r := replay.Message{Order: m.Order, Execution: m.Execution, At: m.At}
	if m.Kind == provider.MessageTimerFired {
		r.Event = &history.TimerFired{Scheduled: m.Event}
		return r
	}
	ev, err := history.Decode(m.Body)
	if err != nil {
		e.log.Error("unreadable message is ignored", "instance", instanceID, "error", err, "body", string(m.Body))
		return r
	}
	switch ev := ev.(type) {
	case *history.EventReceived:
		ev.MessageID = m.ID
	case *history.ChildFailed:
		if m.Event != 0 { // the child was terminated: the store knows who it belongs to, the body does not
			ev.Scheduled = m.Event
		}
	}
	r.Event = ev
	return r
}

// proceed begins a turn if there is input for one. s.mu is held.
func (in *instance) proceed() {
	if in.hasInput() {
		in.begin()
	}
}

// hasInput reports whether a turn can and should be begun. s.mu is held.
func (in *instance) hasInput() bool {
	return in.held && !in.busy && len(in.pending)+len(in.finished) > 0
}

// begin runs a turn on a goroutine of its own. s.mu is held, the instance is not busy.
func (in *instance) begin() {
	in.occupy()
	if !in.s.e.enlist(in.runTurn) {
		in.idle()
	}
}

// occupy makes the instance busy; runTurn must follow. s.mu is held.
func (in *instance) occupy() {
	in.busy = true
	in.s.busy++
}

// idle ends the busy state of an instance that is done with. s.mu is held.
func (in *instance) idle() {
	in.rest()
	in.s.checkQuiet()
}

// rest ends the busy state; whoever then begins no turn must call checkQuiet. s.mu is held.
func (in *instance) rest() {
	in.busy = false
	if in.seated {
		in.seated = false
		in.s.seated--
	}
	in.s.unbusy(1)
}

// runTurn runs one turn and hands its outcome to the ack batcher.
func (in *instance) runTurn(c *carrier) {
	s := in.s
	s.e.crew.letOthersRun() // results that are just coming belong into this turn
	s.mu.Lock()
	input := in.nextInput()
	s.mu.Unlock()

	if in.x == nil && in.nextSeq > 1 && s.e.divergences.stopped(s.e.serves().orchestrations[in.class]) {
		in.leave(provider.AbandonedInstance{Ref: in.Ref, Token: in.token, UndoAttempt: true})
		return
	}
	if err := in.catchUp(); err != nil {
		in.loadFailed(err)
		return
	}
	watchdog := s.e.watchdogs.start(s.e.opts.TurnTimeout)
	out, err := in.x.Turn(replay.Input{At: s.turnTime(input), Messages: input, Limits: s.e.opts.Limits, Watchdog: watchdog.C,
		Progress: func() { watchdog.Reset(s.e.opts.TurnTimeout) }})
	if err == nil { // code that is stuck may still reset it
		s.e.watchdogs.stop(watchdog)
	}
	switch {
	case err != nil:
		in.giveBack(err)
	case out.Divergence != nil:
		reason := divergenceReason(out.Divergence)
		s.e.noteDivergence(s.e.serves().orchestrations[in.class], in.id, reason)
		in.park(reason)
	default:
		in.submit(c, out)
	}
}

// turnTime is the time of a turn with these inputs: now, and not before any of them. The clock here lags the store's, so
// a timer could otherwise seem to have fired early.
func (s *session) turnTime(input []replay.Message) time.Time {
	at := s.e.clock.now()
	for _, m := range input {
		if m.At.After(at) {
			at = m.At
		}
	}
	return at
}

// parkReason is what a parked instance shows.
type parkReason struct {
	Reason   string `json:"reason"`
	Detail   string `json:"detail,omitempty"`
	Event    int32  `json:"event,omitempty"`
	Expected string `json:"expected,omitempty"`
	Actual   string `json:"actual,omitempty"`
	Source   string `json:"source,omitempty"`
	Attempts int32  `json:"attempts,omitempty"`
}

// String says it in one line.
func (r parkReason) String() string {
	if r.Expected == "" && r.Actual == "" {
		return r.Reason + ": " + r.Detail
	}
	return fmt.Sprintf("%s: at event %d the history has %s, the code has %s, at %s", r.Reason, r.Event, r.Expected, r.Actual, r.Source)
}

// logged is what a line of the log says about it: what applies.
func (r parkReason) logged() []any {
	fields := []any{"reason", r.Reason}
	if r.Expected != "" || r.Actual != "" {
		fields = append(fields, "event", r.Event, "expected", r.Expected, "actual", r.Actual, "source", r.Source)
	}
	if r.Attempts > 0 {
		fields = append(fields, "attempts", r.Attempts)
	}
	if r.Detail != "" {
		fields = append(fields, "detail", r.Detail)
	}
	return fields
}

func divergenceReason(d *replay.Divergence) parkReason {
	return parkReason{Reason: "diverged", Event: d.Event, Expected: d.Expected, Actual: d.Actual, Source: d.Source}
}

// park gives the instance back so that nobody claims it until it is resumed. The instance is busy.
func (in *instance) park(reason parkReason) {
	in.s.e.log.Error("instance parked", append([]any{"instance", in.id, "execution", in.execution}, reason.logged()...)...)
	if err := in.failParent(reason); err != nil {
		in.giveBack(fmt.Errorf("parent not told that the instance is parked: %w", err))
		return
	}
	body, err := json.Marshal(reason)
	if err != nil {
		body = []byte(`{"reason":"unknown"}`)
	}
	in.leave(provider.AbandonedInstance{Ref: in.Ref, Token: in.token, Park: body})
}

// giveBack gives the instance back after a failure that may pass. Its attempts count; too many quarantine it.
func (in *instance) giveBack(err error) {
	if in.s.ctx.Err() == nil {
		in.s.e.log.Error("turn failed, instance given back", "instance", in.id, "execution", in.execution, "error", err)
	}
	in.leave(provider.AbandonedInstance{Ref: in.Ref, Token: in.token, Delay: time.Second})
}

// leave ends the session's hold on a busy instance and forgets it.
func (in *instance) leave(a provider.AbandonedInstance) {
	in.s.abandon(a)
	in.drop()
	if in.s.work.maybe.Load() {
		in.s.work.kick() // the commit that did not come would have claimed along
	}
}

// abandon gives an instance back. If the store cannot be reached the lease ends with the session.
func (s *session) abandon(a provider.AbandonedInstance) {
	err := s.call(func(ctx context.Context) error {
		return s.e.store.AbandonItems(ctx, &provider.AbandonRequest{Instances: []provider.AbandonedInstance{a}})
	})
	if err != nil {
		s.logUnlessEnded("instance could not be given back", err)
	}
}

// drop forgets a busy instance. Results of its activities that it has not recorded go their own way.
func (in *instance) drop() {
	s := in.s
	s.mu.Lock()
	s.settling++
	defer s.settled()
	orphans := in.detach()
	regrant := in.regrant
	in.regrant = nil
	in.claimMissed()
	in.idle()
	s.mu.Unlock()
	s.record(orphans)
	in.discard()
	if regrant != nil {
		s.grant(regrant)
	}
}

// detach takes the instance out of the session and returns the results it has not recorded. s.mu is held.
func (in *instance) detach() []*ackWorkCall {
	s := in.s
	s.cache.remove(in)
	if !in.dropped {
		delete(s.instances, in.Ref)
		in.dropped = true
	}
	in.held = false
	for _, run := range in.local {
		run.in = nil
	}
	orphans := in.orphans()
	in.local = nil
	return orphans
}

// orphans turns results that are recorded nowhere yet into calls for record. s.mu is held.
func (in *instance) orphans() []*ackWorkCall {
	var calls []*ackWorkCall
	for _, m := range slices.Concat(in.given, in.finished) {
		calls = append(calls, in.s.newAckWork(in.workKey(m), provider.Token(m.Token), m.Event))
	}
	in.s.busy += len(calls) // until they are recorded
	in.given, in.finished = nil, nil
	return calls
}

func (in *instance) workKey(m replay.Message) provider.WorkKey {
	key := provider.WorkKey{Ref: in.Ref, Execution: m.Execution}
	switch ev := m.Event.(type) {
	case *history.ActivityCompleted:
		key.Event = ev.Scheduled
	case *history.ActivityFailed:
		key.Event = ev.Scheduled
	}
	return key
}

// discard unwinds the coroutine of an instance, in the background if it takes time: deferred functions of user code run.
// Nobody else may be using the coroutine.
func (in *instance) discard() {
	x := in.x
	in.x = nil
	if x == nil {
		return
	}
	id, s := in.id, in.s
	if x.Gone() || !s.e.spawn(func() { s.closeExecution(id, x) }) {
		s.closeExecution(id, x)
	}
}

// closeExecution unwinds a coroutine; code that does not let go is reported and left behind.
func (s *session) closeExecution(id string, x *replay.Execution) {
	t := time.NewTimer(5 * time.Second)
	defer t.Stop()
	if !x.Close(t.C) {
		s.e.log.Error("orchestration code does not return; its goroutine is left behind", "instance", id)
	}
}
