// Package model is the contract of package provider as a program: a store made of maps under one mutex, written to be
// read. The conformance suite runs on it, and the broken providers that prove the suite are this one with a Defect.
// It is of use wherever a correct store is needed and nothing has to last. It knows nothing of other stores.
package model

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/pawlrun/pawl/provider"
)

// Options configure a Store.
type Options struct {
	// Now is the clock, time.Now by default.
	Now func() time.Time
	// Parts is the number of partitions, 16 by default.
	Parts int
	// Defects are promises to break on purpose.
	Defects []Defect
}

// Store is the content of one store. Handles on it come from Open.
type Store struct {
	opts Options

	mu        sync.Mutex
	last      time.Time // the latest time handed out
	classes   []provider.Class
	instances map[provider.Ref]*instance
	ids       map[string]*instance
	work      map[provider.WorkKey]*work
	timers    map[timerKey]timer
	workers   map[provider.WorkerID]*worker
	serving   map[provider.WorkerID]served
	listeners map[*listener]bool
	rows      int64 // instance rows so far
	order     int64 // messages and work items so far
}

// instance is one instance with its histories and inbox.
type instance struct {
	provider.Ref
	id          string
	class       provider.ClassID
	status      provider.InstanceStatus
	execution   int32
	executionID provider.ExecutionID
	firstID     provider.ExecutionID // of execution 1: names the start
	nextSeq     int32
	owner       provider.WorkerID // zero: free
	committer   provider.WorkerID // of the last turn: has the whole history
	token       provider.Token
	attempt     int32
	waits       []string
	parked      []byte
	parent      provider.Parent // without an instance id: none
	custom      []byte          // status set by the instance
	customs     int64           // how often it was set
	values      map[string]provider.Value
	watched     bool
	created     time.Time
	ended       time.Time
	readyAt     time.Time      // not granted before
	told        int64          // order of the last message its holder has been given
	toldBy      provider.Token // the fetch that last brought news of it
	asleep      bool           // set by defects only: ready, but nobody looks
	turns       map[int32][]turn
	inbox       []provider.Message // by Order
}

// turn is a row of history and who wrote it.
type turn struct {
	provider.Turn
	token provider.Token
}

// work is an activity work item.
type work struct {
	provider.WorkKey
	class   provider.ClassID
	home    provider.WorkerID // the only one who may claim it; zero: whoever serves its class
	input   []byte
	due     time.Time
	order   int64
	owner   provider.WorkerID // zero: queued, unless handed over
	handed  bool              // leased under the token, by no worker
	token   provider.Token
	attempt int32
	state   []byte
}

// leased reports whether the item is in no queue.
func (k *work) leased() bool { return k.owner != 0 || k.handed }

type timerKey struct {
	provider.Ref
	execution, event int32
}

// timer is when a timer fires, and whether only an unstarted work item of its event lets it.
type timer struct {
	at            time.Time
	unlessStarted bool
}

type worker struct {
	beat int64
	at   time.Time
}

// New returns an empty store.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Parts == 0 {
		o.Parts = 16
	}
	return &Store{
		opts:      o,
		instances: map[provider.Ref]*instance{},
		ids:       map[string]*instance{},
		work:      map[provider.WorkKey]*work{},
		timers:    map[timerKey]timer{},
		workers:   map[provider.WorkerID]*worker{},
		serving:   map[provider.WorkerID]served{},
		listeners: map[*listener]bool{},
	}
}

// Open returns a handle on the store.
func (s *Store) Open() *Provider { return &Provider{s: s} }

// Provider is a handle on a Store.
type Provider struct {
	s      *Store
	closed atomic.Bool
}

var _ provider.Provider = (*Provider)(nil)

// Close implements provider.Provider.
func (p *Provider) Close() error {
	p.closed.Store(true)
	return nil
}

// enter begins a call: it refuses what cannot be served and locks the store; the caller unlocks it.
func (p *Provider) enter(ctx context.Context, op string, texts ...string) (*Store, error) {
	if p.closed.Load() {
		return nil, &provider.Error{Op: op, Retry: provider.GiveUp, Err: errors.New("the handle is closed")}
	}
	if err := ctx.Err(); err != nil {
		return nil, &provider.Error{Op: op, Retry: provider.RetryCall, Err: err}
	}
	for _, t := range texts {
		if p.s.broken(TextUnchecked) {
			break
		}
		if !utf8.ValidString(t) || strings.ContainsRune(t, 0) {
			return nil, &provider.Error{Op: op, Retry: provider.GiveUp, Err: errors.New("text is not UTF-8 without NUL")}
		}
	}
	p.s.mu.Lock()
	return p.s, nil
}

func (s *Store) broken(d Defect) bool { return slices.Contains(s.opts.Defects, d) }

// now is the store's clock: microseconds, never backwards.
func (s *Store) now() time.Time {
	if t := s.opts.Now().UTC().Truncate(time.Microsecond); t.After(s.last) {
		s.last = t
	}
	return s.last
}

// RegisterClasses implements provider.Provider.
func (p *Provider) RegisterClasses(ctx context.Context, classes []provider.Class) ([]provider.ClassID, error) {
	var texts []string
	for _, c := range classes {
		texts = append(texts, c.Name, c.Version, c.Tag)
	}
	s, err := p.enter(ctx, "register_classes", texts...)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	ids := make([]provider.ClassID, len(classes))
	for i, c := range classes {
		if s.broken(ClassTagIgnored) {
			c.Tag = ""
		}
		if s.broken(ClassPriorityIgnored) {
			c.Priority = 0
		}
		n := slices.Index(s.classes, c)
		if n < 0 || s.broken(ClassAlwaysNew) {
			n = len(s.classes)
			s.classes = append(s.classes, c)
		}
		ids[i] = provider.ClassID(n + 1)
	}
	return ids, nil
}

// classesFrom returns the classes with an id or a higher one, by id.
func (s *Store) classesFrom(from provider.ClassID) []provider.KnownClass {
	if s.broken(ClassesFromExclusive) {
		from++
	}
	var known []provider.KnownClass
	for n, c := range s.classes {
		if id := provider.ClassID(n + 1); id >= from {
			known = append(known, provider.KnownClass{ID: id, Class: c})
		}
	}
	if s.broken(ClassesNewestFirst) {
		slices.Reverse(known)
	}
	if len(known) > provider.MaxClasses && !s.broken(ClassesUnbounded) {
		known = known[:provider.MaxClasses]
	}
	return known
}

// serves reports whether class is among classes.
func (s *Store) serves(classes []provider.ClassID, class provider.ClassID) bool {
	if s.broken(EmptyClassesMatchAll) && len(classes) == 0 {
		return true
	}
	return slices.Contains(classes, class)
}

// current returns the turns of the current execution.
func (i *instance) current() []turn { return i.turns[i.execution] }

// neverRun reports whether nothing but the start of the current execution is recorded.
func (i *instance) neverRun() bool { return i.nextSeq == 1 && len(i.current()) == 1 }

// usable returns the unread messages the instance can use now, at most MaxMessages of a name.
func (s *Store) usable(i *instance) []provider.Message {
	var ms []provider.Message
	perName := map[string]int{}
	for _, m := range i.inbox {
		if m.Kind == provider.MessageExternalEvent && !slices.Contains(i.waits, m.Name) && !s.broken(WaitsIgnored) {
			continue
		}
		engine := m.Kind != provider.MessageExternalEvent
		if engine && s.broken(EngineMessagesWait) && len(i.waits) > 0 || m.Kind == provider.MessageCancel && s.broken(CancelNeedsWait) {
			continue
		}
		if perName[m.Name]++; perName[m.Name] <= provider.MaxMessages || s.broken(MaxMessagesIgnored) {
			m.Body = slices.Clone(m.Body)
			ms = append(ms, m)
		}
	}
	if s.broken(NewestMessageFirst) {
		slices.Reverse(ms)
	}
	return ms
}

// free reports whether the instance may be granted if it is ready.
func (s *Store) free(i *instance) bool {
	running := !i.status.Terminal() || s.broken(EndedGranted)
	return i.owner == 0 && running && (i.parked == nil || s.broken(ParkIgnored))
}

// ready reports whether the instance is free and has something to do.
func (s *Store) ready(i *instance) bool {
	if !s.free(i) || i.asleep {
		return false
	}
	if i.readyAt.After(s.now()) && !s.broken(DelayIgnored) {
		return false
	}
	return i.neverRun() || len(s.usable(i)) > 0 || s.broken(IdleGranted)
}

// lease gives the instance to a worker.
func (s *Store) lease(i *instance, w provider.WorkerID, token provider.Token) {
	if !s.broken(LeaseNotTaken) {
		i.owner = w
	}
	if !s.broken(TokenKeptOnTakeover) || i.attempt == 0 {
		i.token = token
	}
	if !s.broken(AttemptNotCounted) {
		i.attempt++
	}
	i.told = 0
}

// grant describes a leased instance to its holder.
func (s *Store) grant(i *instance, w provider.WorkerID) provider.OrchestrationItem {
	it := provider.OrchestrationItem{Ref: i.Ref, InstanceID: i.id, Execution: i.execution, ExecutionID: i.executionID,
		Class: i.class, NextSeq: i.nextSeq, Token: i.token, Attempt: i.attempt, Messages: s.usable(i)}
	if i.committer == w || s.broken(HistoryOmittedForStrangers) {
		it.HistoryOmitted = true
	} else {
		it.History = turnsOf(i.current(), 0)
	}
	if s.broken(HistoryOutOfOrder) {
		slices.Reverse(it.History)
	}
	s.tell(i, it.Messages)
	return it
}

// tell notes what the holder of an instance has been given.
func (s *Store) tell(i *instance, ms []provider.Message) {
	for _, m := range ms {
		i.told = max(i.told, m.Order)
	}
}

// release makes an instance free under a token nobody knows.
func (s *Store) release(i *instance, readyAt time.Time) {
	i.owner, i.readyAt = 0, readyAt
	s.notify(0, provider.Notification{Kind: provider.NotifyReady})
	if !s.broken(TokenKeptOnRelease) && !s.broken(TokenKeptOnTakeover) {
		i.token = provider.NewToken()
	}
}

// turnsOf copies turns from event number from on.
func turnsOf(ts []turn, from int32) []provider.Turn {
	var out []provider.Turn
	for _, t := range ts {
		if t.Seq >= from {
			c := t.Turn
			c.Events = slices.Clone(c.Events)
			out = append(out, c)
		}
	}
	return out
}

// sortedInstances returns all instances by row.
func (s *Store) sortedInstances() []*instance {
	all := make([]*instance, 0, len(s.instances))
	for _, i := range s.instances {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b *instance) int { return int(a.Row - b.Row) })
	return all
}

// deliver puts a message into an inbox.
func (s *Store) deliver(i *instance, m provider.Message) {
	s.order++
	m.Order = s.order
	if m.At.IsZero() {
		m.At = s.now()
	}
	i.inbox = append(i.inbox, m)
	i.asleep = s.broken(WakeLost)
	if i.owner != 0 {
		s.notify(i.owner, provider.Notification{Kind: provider.NotifyHeld})
	} else {
		s.notify(0, provider.Notification{Kind: provider.NotifyReady})
	}
}
