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

import "context"

// Provider is what the runtime needs from a store. All methods are safe for concurrent use.
//
// A cancelled context may leave a call's outcome unknown; repeating it with the same request ids is always safe and is
// how the outcome is learned. Errors are *Error values that say what the caller may do (see Retry). A failing call has
// changed nothing or everything it would have changed had it succeeded; per-item refusals are no errors but statuses.
type Provider interface {
	// RegisterClasses returns the ids of the given classes in order, creating those that do not exist yet. It is
	// idempotent. Ids are stable for the life of the store, so callers cache them. They grow in the order in which classes
	// become visible to others: who has seen an id has seen all lower ones (see PulseRequest.ClassesFrom).
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

	// SuspendInstances parks instances from outside, held or free: whoever holds one is fenced, and nobody claims it until
	// ResumeInstances. Reason, a JSON document, is shown to whoever reads the instance. Statuses per id: Applied (also if it
	// was parked: it then keeps its reason), NotFound, Gone when it has ended.
	SuspendInstances(ctx context.Context, instanceIDs []string, reason []byte) ([]ItemStatus, error)

	// TerminateInstances ends instances at once, whoever holds them and whether or not any worker is alive. See
	// Termination. Statuses per item: Applied, NotFound, Gone when it has ended before (a repeat finds that too).
	TerminateInstances(ctx context.Context, items []Termination) ([]ItemStatus, error)

	// ReadInstances returns the committed state of the instances that exist among the given ids, in any order. With
	// watch, instances still running are marked so that their end is notified (see Notifier); without, workers that serve
	// them are looked up (see InstanceState.Workers).
	ReadInstances(ctx context.Context, instanceIDs []string, watch bool) ([]InstanceState, error)

	// ReadValues returns the values an instance has set (Commit.Values), sorted by key, of those keys or, without any, all.
	// found is false if there is no such instance. The values of one call are those of one committed turn.
	ReadValues(ctx context.Context, instanceID string, keys []string) (values []Value, found bool, err error)

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
	// NotifyHeld: an instance held by the listening worker has new messages, or was taken from it by a termination or a
	// suspension; fetch, and pulse to learn what of its work is gone. Or there is work for this worker alone (NewWork.Worker);
	// fetch that, too.
	NotifyHeld
	// NotifyDone: a watched instance has ended.
	NotifyDone
	// NotifyWork: activity work items may be ready; fetch.
	NotifyWork
	// NotifyStatus: a watched instance has a new custom status.
	NotifyStatus
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
// number in the store. It never changes while the instance exists, and no other instance ever has it: one that takes the
// place of an ended one (StartItem.ReplaceEnded) has a higher Row.
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
	// Priority sets apart what is to be preferred or to be left for later: a queue of its own. What it means is up to whoever
	// fetches (see FetchRequest.Ranks).
	Priority int8
}

// KnownClass is a class with its number.
type KnownClass struct {
	ID ClassID
	Class
}

// InstanceStatus is the status of an instance.
type InstanceStatus uint8

// The statuses of an instance. StatusContinuedAsNew is a status of a commit only: the instance goes on running.
const (
	StatusRunning InstanceStatus = iota
	StatusCompleted
	StatusFailed
	StatusContinuedAsNew
	StatusCancelled
	StatusTerminated
)

// Terminal reports whether the instance has ended.
func (s InstanceStatus) Terminal() bool { return s != StatusRunning && s != StatusContinuedAsNew }

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
	case StatusCancelled:
		return "cancelled"
	case StatusTerminated:
		return "terminated"
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
