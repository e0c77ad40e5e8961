// Package provider is the storage seam of Pawl: the operations the runtime needs from a store, the values they
// exchange and the errors they return.
//
// A store keeps instances, their append-only history, an inbox of messages per instance, a queue of activity work
// items, durable timers and the liveness of workers. The contract is batch first: every call takes arrays, answers per
// item, and is one atomic commit. docs/provider-contract.md numbers each promise; package providertest proves them.
//
// Two rules carry the whole protocol:
//
//   - Every item of a call carries a request id: random, made once by the caller, unchanged when the call is repeated.
//     A lease that the call grants gets that id as its token, and every row it creates is named by the caller. So the
//     answer to a repeated call is recomputed, not remembered, and a call whose outcome is unknown is simply repeated.
//   - The fence is data, not time. An instance is fenced by (token, execution, next event number), a work item by its
//     key and token. A takeover replaces the token under the row lock; whoever comes later with the old one is refused.
//
// The package knows nothing of replay, goroutines or user code. Events, message bodies and payloads are opaque UTF-8
// JSON documents to a provider (package history defines them).
package provider

import (
	"context"
	"time"
)

// Provider is what the runtime needs from a store. All methods are safe for concurrent use.
//
// A cancelled context may leave a call's outcome unknown; repeating it with the same request ids is always safe and is
// how the outcome is learned. Errors are *Error values that say what the caller may do (see Retry). A failing call has
// changed nothing or everything it would have changed had it succeeded; per-item refusals are no errors but statuses.
type Provider interface {
	// RegisterClasses returns the ids of the given classes in order, creating those that do not exist yet. It is
	// idempotent. Ids are stable for the life of the store, so callers cache them.
	RegisterClasses(ctx context.Context, classes []Class) ([]ClassID, error)

	// StartOrchestrations creates instances. An item with First set is an eager start: the caller has run the first
	// turn already and its outcome commits together with the creation. Repeats are recognised by execution id.
	StartOrchestrations(ctx context.Context, req *StartRequest) (*AckReply, error)

	// EnqueueMessages puts messages into inboxes. It only inserts: it takes no lock on an instance, so a sender never
	// delays a turn. Within one sender, messages to one instance are read in the order sent.
	EnqueueMessages(ctx context.Context, messages []NewMessage) ([]ItemStatus, error)

	// FetchOrchestrationItems leases instances that have something to do. See FetchRequest.
	FetchOrchestrationItems(ctx context.Context, req *FetchRequest) ([]OrchestrationItem, error)

	// AckOrchestrationItems commits the outcome of turns: the checkpoint. See AckRequest.
	AckOrchestrationItems(ctx context.Context, req *AckRequest) (*AckReply, error)

	// FetchWorkItems leases queued activity work items of the given classes, oldest first, and with them those of their
	// instances that are free: the caller then needs no other call to go on with their results. See FetchWorkRequest.
	FetchWorkItems(ctx context.Context, req *FetchWorkRequest) (*FetchWorkReply, error)

	// AckWorkItems records results of work items by a process that need not own their instances.
	AckWorkItems(ctx context.Context, req *AckWorkRequest) (*AckReply, error)

	// AbandonItems gives leased instances and work items back without an outcome. Items whose token no longer matches
	// are left alone; it never fails because of them.
	AbandonItems(ctx context.Context, req *AbandonRequest) error

	// Pulse is the one periodic call of a process: beat, reap, fire due timers, look for ready items, read watched
	// instances. At most one a second per process.
	Pulse(ctx context.Context, req *PulseRequest) (*PulseReply, error)

	// RetireWorker releases everything a worker incarnation holds and forgets it. Idempotent.
	RetireWorker(ctx context.Context, worker WorkerID) error

	// ResumeInstances makes parked instances claimable again, their attempt counters reset. Statuses per id: Applied
	// (also if it was not parked), NotFound, Gone when it is finished.
	ResumeInstances(ctx context.Context, instanceIDs []string) ([]ItemStatus, error)

	// ReadInstances returns the committed state of the instances that exist among the given ids, in any order. With
	// watch, instances still running are marked so that their end is notified (see Notifier).
	ReadInstances(ctx context.Context, instanceIDs []string, watch bool) ([]InstanceState, error)

	// ReadHistory returns turns of one execution in order. See HistoryQuery.
	ReadHistory(ctx context.Context, q HistoryQuery) ([]Turn, error)

	// ListInstances returns instances newest first, without their last turn. See ListQuery.
	ListInstances(ctx context.Context, q ListQuery) ([]InstanceState, error)

	// Close releases connections. Calls under way fail or finish; nothing of the store's content changes.
	Close() error
}

// Notifier is implemented by providers that can push wake-ups between processes. Notifications are hints: they may be
// lost, repeated or late, and Pulse is the truth.
type Notifier interface {
	// Listen calls notify for every notification until ctx ends, reconnecting as needed, and returns ctx's error; any
	// other return means that notifications are not to be had and the pulse serves alone. notify must not block.
	Listen(ctx context.Context, worker WorkerID, notify func(Notification)) error
}

// Notification is one hint. Fields that do not apply are zero.
type Notification struct {
	Kind NotificationKind
	// InstanceID names the finished instance of NotifyDone.
	InstanceID string
	// State is the finished instance when it was small enough to ride along, else nil: read it.
	State *InstanceState
}

// NotificationKind says what a Notification is about.
type NotificationKind uint8

// The kinds of notification.
const (
	// NotifyReady: instances may be ready; fetch.
	NotifyReady NotificationKind = iota + 1
	// NotifyHeld: an instance held by the listening worker has new messages; fetch.
	NotifyHeld
	// NotifyDone: a watched instance has ended.
	NotifyDone
	// NotifyWork: activity work items may be ready; fetch.
	NotifyWork
)

// Identifiers.
type (
	// Token is a request id and, once granted, the lease token: random, never zero.
	Token int64
	// WorkerID names one incarnation of a worker process: random, never zero, never used again.
	WorkerID int64
	// ClassID is the store's number for a Class.
	ClassID int32
	// ExecutionID is the random 128-bit id of one execution, 32 hexadecimal digits as text.
	ExecutionID [16]byte
)

// Ref is the store's own key of an instance: the partition, computed from the instance id by PartitionOf, and the row
// number in the store. It never changes while the instance exists.
type Ref struct {
	Part int16
	Row  int64
}

// WorkKey names one activity work item: the event that scheduled it.
type WorkKey struct {
	Ref
	Execution int32
	Event     int32 // number of the scheduling event within the execution
}

// ClassKind tells orchestrations from activities.
type ClassKind uint8

// The kinds of class.
const (
	ClassOrchestration ClassKind = 1
	ClassActivity      ClassKind = 2
)

// Class is what a worker must have registered to run an item: claim queues are ordered by class, so that a backlog
// nobody here can run costs nothing.
type Class struct {
	Kind    ClassKind
	Name    string
	Version string // "" for activities and unversioned orchestrations
	Tag     string // "" unless routed
}

// InstanceStatus is the status of an instance.
type InstanceStatus uint8

// The statuses of an instance. StatusContinuedAsNew is a status of a commit only: the instance goes on running.
const (
	StatusRunning InstanceStatus = iota
	StatusCompleted
	StatusFailed
	StatusContinuedAsNew
)

// Terminal reports whether the instance has ended.
func (s InstanceStatus) Terminal() bool { return s == StatusCompleted || s == StatusFailed }

// String returns the status as users see it.
func (s InstanceStatus) String() string {
	switch s {
	case StatusRunning:
		return "running"
	case StatusCompleted:
		return "completed"
	case StatusFailed:
		return "failed"
	case StatusContinuedAsNew:
		return "continued-as-new"
	}
	return "unknown"
}

// ItemStatus is the answer to one item of a call.
type ItemStatus uint8

// The answers to an item.
const (
	// Applied: the item took effect, now or in an earlier try of the same request.
	Applied ItemStatus = iota + 1
	// Fenced: the caller no longer owns the instance; nothing of the item took effect. Drop cached state, fetch again.
	Fenced
	// Exists: an instance with that id exists already with another execution id.
	Exists
	// NotFound: no such instance.
	NotFound
	// Gone: the instance has ended, or the work item was already recorded, cancelled or taken over.
	Gone
)

// String names the status for logs.
func (s ItemStatus) String() string {
	return [...]string{"none", "applied", "fenced", "exists", "not-found", "gone"}[min(int(s), 5)]
}

// Turn is one history row: the events one commit appended, a JSON array.
type Turn struct {
	Seq    int32 // number of the first event, counted from 0 within the execution
	Count  int32 // how many events
	Events []byte
}

// MessageKind tells a provider what it must know of a message; the body stays opaque.
type MessageKind uint8

// The kinds of message. Only external events are subject to waits (see Commit.Waits); all others are engine messages,
// which every grant returns.
const (
	MessageExternalEvent MessageKind = 1
	MessageActivityDone  MessageKind = 2
	MessageChildDone     MessageKind = 3
	MessageTimerFired    MessageKind = 4
)

// NewMessage is a message on its way into an inbox.
type NewMessage struct {
	Target string // instance id
	Kind   MessageKind
	// Execution the message is for; 0 for whichever is current. The receiver drops what is for an older one.
	Execution int32
	Name      string // event name of an external event, else ""
	ID        string // made by the sender, unchanged over retries; the receiver drops a second one
	Body      []byte // the history event it will become, as JSON
	// Take asks, in an ack, for the lease of the target if it is free and of a class in Serves: the grant comes back
	// in AckReply.Granted with the sending item's request as its token.
	Take bool
}

// Message is an unread message as the owner of an instance sees it.
type Message struct {
	Order     int64 // the store's order of arrival; names the message in AckItem.Consumed
	Kind      MessageKind
	Execution int32
	// Event is the number of the event a timer was scheduled by (MessageTimerFired, which has no body), else 0.
	Event int32
	Name  string
	ID    string
	Body  []byte
	At    time.Time // arrival by the store's clock; for a timer the time it was due
}

// OrchestrationItem is a granted instance.
type OrchestrationItem struct {
	Ref
	InstanceID  string
	Execution   int32
	ExecutionID ExecutionID
	Class       ClassID
	NextSeq     int32 // number of the next event to be written: with Token and Execution, the fence
	Token       Token
	// Attempt counts the grants since the last committed turn, this one included. Grants that come with a fetch of work
	// are not counted: what is tried is the work.
	Attempt int32
	// Held marks an instance the worker held already under Token. Messages are then all it can use, not only the new
	// ones, read under the lock of the instance: a commit that is under way elsewhere either has not read the inbox
	// yet, or the item carries its token.
	Held bool
	// HistoryOmitted is set when the store sent no history because this worker was the last owner, or because none fits
	// the bound (see FetchWorkReply). A worker that has dropped its cache asks ReadHistory.
	HistoryOmitted bool
	History        []Turn
	// Messages holds the unread messages that can be used now, in order: engine messages, and external events with a
	// name in the committed waits; at most MaxMessages of each name. What is left out comes with the next ack.
	Messages []Message
}

// WorkItem is a granted activity work item.
type WorkItem struct {
	WorkKey
	InstanceID string
	Class      ClassID
	Input      []byte
	Token      Token
	Attempt    int32
}

// Parent links a child instance to the event of the parent that scheduled it.
type Parent struct {
	InstanceID string
	Execution  int32
	Event      int32
}

// NewInstance is an instance to be created with execution 1.
type NewInstance struct {
	InstanceID  string
	ExecutionID ExecutionID // makes the creation idempotent, also once the instance has continued as new
	Class       ClassID
	Parent      *Parent
	Events      []byte // JSON array with the one event that starts the execution
	Watch       bool   // notify the end of the instance
	// Lease asks for the lease of the new instance (children only; token: the request of the item). The grant comes
	// back in AckReply.Granted without history: the caller made it.
	Lease bool
	// ExistsBody, for a child, is the body of the MessageChildDone that the parent gets if the id is taken.
	ExistsBody []byte
}

// NewExecution is the execution that continue-as-new starts: the next number, events counted from 0 again.
type NewExecution struct {
	ExecutionID ExecutionID
	Class       ClassID
	Events      []byte // JSON array with the one event that starts the execution
}

// NewWork is an activity work item to be queued or, with Lease, born leased to the caller under the item's request.
type NewWork struct {
	Event int32
	Class ClassID
	Input []byte
	Lease bool
}

// NewTimer is a durable timer: at FireAt by the store's clock the instance gets a MessageTimerFired for Event.
type NewTimer struct {
	Event  int32
	FireAt time.Time
}

// FinishedWork names a work item of the instance whose result is part of the commit.
type FinishedWork struct {
	Event int32
	Token Token
}

// Commit is the outcome of one turn.
type Commit struct {
	// Request makes the commit idempotent and becomes the instance's token and that of all it leases.
	Request    Token
	Events     []byte // JSON array, at least one event
	EventCount int32
	Status     InstanceStatus
	// Keep holds the lease: the caller has local work in flight for the instance or goes on with it at once. Without
	// it the instance becomes free, unless unread messages it waits for came back in the reply: then it stays held.
	Keep bool
	// Waits are the names of external events the execution now waits for; only those leave the inbox.
	Waits        []string
	Work         []NewWork
	CancelWork   []int32 // scheduling events whose work items are removed, also if they are of this commit
	Timers       []NewTimer
	CancelTimers []int32 // scheduling events whose timers are removed, also if they are of this commit
	Children     []NewInstance
	Messages     []NewMessage
	Next         *NewExecution // with StatusContinuedAsNew
}

// StartItem is one instance to be started.
type StartItem struct {
	NewInstance
	// First, if set, is the outcome of the first turn; its Events begin with the event that starts the execution and
	// NewInstance.Events is not used. Without it the instance is ready for any worker of its class.
	First *Commit
}

// StartRequest starts instances. Answers: Applied or Exists.
type StartRequest struct {
	Worker WorkerID // zero for a pure client
	Items  []StartItem
}

// AckItem is the commit of one held instance.
type AckItem struct {
	Ref
	Execution int32
	Seq       int32 // expected next event number
	Token     Token
	Consumed  []int64 // Order of inbox messages used up by the turn
	Finished  []FinishedWork
	Commit
}

// AckRequest commits turns. Each item applies whole or not at all, independent of the others: Applied or Fenced. An
// item applies if the instance is held under Token at (Execution, Seq) and all Finished work is there under its token.
// Two items for one instance are refused (GiveUp).
//
// At the end of an execution (any status but running) the caller lists outstanding work and timers as cancelled.
type AckRequest struct {
	Worker WorkerID
	Items  []AckItem
	// Serves are the orchestration classes the caller can run: limits NewMessage.Take.
	Serves []ClassID
	// ClaimWork asks for up to this many queued work items of WorkClasses in the same commit, under ClaimRequest. An
	// instance that is committed without Keep and goes on stays held if it is the instance of one of them. Other instances
	// are not granted with it, as a fetch of work would.
	ClaimWork    int
	WorkClasses  []ClassID
	ClaimRequest Token
}

// AckResult is the answer to one item of a start or an ack.
type AckResult struct {
	Status ItemStatus
	Ref    Ref
	// Messages are unread messages the instance can use now. If there are any, the instance is held.
	Messages []Message
}

// AckReply answers a start or an ack.
type AckReply struct {
	Results []AckResult // one per item, in order
	Granted []OrchestrationItem
	Work    []WorkItem // claimed by ClaimWork; work born leased is not repeated here
	Now     time.Time  // the store's clock
}

// FetchRequest leases up to Max instances of the given classes that are free and ready: never run, or with unread
// messages they can use. Instances the worker holds already are returned too when they have such messages (Held).
// A repeat with the same Request first returns what that request granted.
type FetchRequest struct {
	Worker  WorkerID
	Request Token
	Classes []ClassID
	Max     int
	// Timers fires due timers first (Pulse always does).
	Timers bool
	// Sleep marks the worker as sleeping if fewer than Max were found, so that the next one to queue something
	// notifies.
	Sleep bool
}

// FetchWorkRequest leases up to Max queued work items. A repeat with the same Request first returns what it granted.
type FetchWorkRequest struct {
	Worker  WorkerID
	Request Token
	Classes []ClassID
	Max     int
	Sleep   bool // as in FetchRequest
	// Serves are the orchestration classes the caller can run. The instance of an item is granted with it, under Request,
	// if it is free, running that execution, not parked and of such a class; never one that another call has locked. It
	// is to be held while the item is in flight, and goes on with its result.
	Serves []ClassID
}

// FetchWorkReply answers a fetch of work.
type FetchWorkReply struct {
	Work []WorkItem
	// Granted are instances of the items, each once. Such a grant counts no attempt, for no turn is tried yet: there is
	// none to undo (see AbandonedInstance.UndoAttempt). Its history is left out if the worker committed the last turn, and
	// bounded otherwise: the latest turns, at most MaxGrantTurns and about MaxGrantBytes of them, which may be none. What
	// is missing before them is to be read.
	Granted []OrchestrationItem
}

// AckWorkItem is the result of one work item.
type AckWorkItem struct {
	WorkKey
	Token   Token
	Request Token  // token of the instance if it is granted
	Body    []byte // of the MessageActivityDone that carries the result
	// Take asks for the lease of the instance if it is free and of a class in Serves.
	Take bool
	// CachedExecution and CachedSeq say how much of the history the caller has: only later turns come with the grant.
	// Zero CachedExecution: nothing cached.
	CachedExecution int32
	CachedSeq       int32
}

// AckWorkRequest records results. Answers: Applied, or Gone when the item is not held under its token any more. The
// repeat of an item that was recorded without a grant may find it Gone; its result is stored all the same.
type AckWorkRequest struct {
	Worker       WorkerID
	Items        []AckWorkItem
	Serves       []ClassID
	ClaimWork    int
	WorkClasses  []ClassID
	ClaimRequest Token
}

// AbandonedInstance is a held instance to be given back.
type AbandonedInstance struct {
	Ref
	Token Token
	// UndoAttempt takes back the attempt counted by the grant: the turn was not tried.
	UndoAttempt bool
	// Park keeps the instance from being claimed until ResumeInstances; the reason, a JSON document, is shown to
	// whoever reads the instance. Nil: the instance is ready again after Delay.
	Park  []byte
	Delay time.Duration
}

// AbandonedWork is a held work item to be given back to the queue.
type AbandonedWork struct {
	WorkKey
	Token       Token
	UndoAttempt bool
	Delay       time.Duration
}

// AbandonRequest gives items back.
type AbandonRequest struct {
	Instances []AbandonedInstance
	Work      []AbandonedWork
}

// Beat is what a store knows of another worker's liveness.
type Beat struct {
	Worker WorkerID
	Beat   int64 // changes with every beat; equality is all that counts
}

// PulseRequest is the periodic call of a process.
type PulseRequest struct {
	// Worker beats; zero for a process that is only a client.
	Worker WorkerID
	// Join is set until the first success: it makes the worker known. Later a missing worker is reported Lost.
	Join bool
	// Name is shown to operators (host and process id).
	Name string
	// TTL is how old a beat must be, by the store's clock, for its worker to be reported in Stale.
	TTL time.Duration
	// Reap lists workers that the caller itself has seen unchanged for a TTL: those whose beat still has this value
	// lose everything they hold, with a fresh token, ready at once.
	Reap []Beat
	// Classes and WorkClasses are looked at for ready items.
	Classes     []ClassID
	WorkClasses []ClassID
	// Sleep marks the worker as sleeping if nothing is ready.
	Sleep bool
	// Watch lists instances to be read; those that have ended come back in Done.
	Watch []string
}

// PulseReply answers a pulse.
type PulseReply struct {
	Now time.Time // the store's clock
	// Lost is set when a worker that is not joining is unknown: it was reaped and must begin a new incarnation.
	Lost  bool
	Stale []Beat
	// Ready flags are hints to fetch.
	OrchestrationsReady bool
	WorkReady           bool
	NextTimer           time.Time // the earliest pending timer; zero if none
	Done                []InstanceState
}

// InstanceState is the committed state of an instance.
type InstanceState struct {
	Ref
	InstanceID  string
	Name        string // of the orchestration
	Version     string
	Status      InstanceStatus
	Execution   int32
	ExecutionID ExecutionID
	NextSeq     int32
	ParentID    string // instance id of the parent, "" for a root
	CreatedAt   time.Time
	EndedAt     time.Time // zero while running
	Parked      []byte    // reason, a JSON document; nil unless parked
	Worker      WorkerID  // current owner, zero if free
	// LastTurn is the last committed turn, which for a finished instance ends with its outcome.
	LastTurn Turn
	// Cursor continues a listing after this row (ListQuery.Before).
	Cursor string
}

// HistoryQuery selects turns of one instance, by Ref or, if that is zero, by InstanceID. From must be the first event
// number of a turn (0 for the beginning). The store returns at least one turn if there is one and stops after about
// MaxBytes (0: 4 MiB); the caller goes on from there.
type HistoryQuery struct {
	Ref        Ref
	InstanceID string
	Execution  int32 // 0: the current one
	From       int32
	MaxBytes   int
}

// ListQuery selects instances. Zero fields do not filter.
type ListQuery struct {
	Status     *InstanceStatus
	ParkedOnly bool
	Name       string
	Prefix     string // of the instance id
	Limit      int    // 0: 100; at most 1,000
	// Before continues a listing: the Cursor of its last row.
	Before string
}
