package provider

import "time"

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
	MessageCancel        MessageKind = 5
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
	// Event is the number of the event a timer was scheduled by (MessageTimerFired, which has no body), or by which the
	// parent scheduled a child that was terminated (MessageChildDone, whose body cannot name it); else 0.
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
	// State is what attempts before this one have left: see HeldWork and AbandonedWork. Nil until one did.
	State   []byte
	Token   Token
	Attempt int32
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
	// Parent is nil for an instance without one, also among the children of a commit: a detached instance.
	Parent *Parent
	Events []byte // JSON array with the one event that starts the execution
	Watch  bool   // notify the end of the instance, and before that each custom status
	// Values are set with the creation. Of an eager start those of the first turn come after them.
	Values []Value
	// Lease asks for the lease of the new instance (children only; token: the request of the item). The grant comes
	// back in AckReply.Granted without history: the caller made it.
	Lease bool
	// ExistsBody, for a child, detached or not, is the body of the MessageChildDone that the committing instance gets if
	// the id is taken.
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
	// Worker, unless zero, is the only one who may claim the item (see FetchWorkRequest.Routed), however often it is given
	// back, as long as that worker lives. When it has ended, now or later, the item is queued for whoever serves its class.
	// Lease is then only for that worker's own commits.
	Worker WorkerID
}

// NewTimer is a durable timer: at FireAt by the store's clock the instance gets a MessageTimerFired for Event.
type NewTimer struct {
	Event  int32
	FireAt time.Time
	// UnlessStarted has the timer removed instead of fired if the work item of the same Event has been granted (its attempt
	// is not 0) or is there no more.
	UnlessStarted bool
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
	// it the instance becomes free, unless it goes on in this execution and unread messages it waits for came back in the
	// reply: then it stays held.
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
	// CustomStatus, a JSON document, replaces the instance's custom status; nil keeps it, also over continue-as-new.
	CustomStatus []byte
	// Values are set or removed, each key once; they outlive executions and the end of the instance. A call with a key that is
	// given twice, or has more than MaxValueKeyBytes, is refused (GiveUp).
	Values []Value
}

// Value is one entry of an instance's key-value state. In a commit, nil Data removes the key. Setting a key that is set
// replaces its data and whether it is searchable.
type Value struct {
	Key  string
	Data []byte // JSON document
	// Searchable has the instance found by the entry (ListQuery.Values). Data then has at most MaxSearchableBytes; a call with
	// more is refused (GiveUp).
	Searchable bool
}

// Termination ends an instance from outside. What it holds and has queued goes as with a terminal commit: the instance is
// fenced, work and timers are removed (who runs an item learns that its result is Gone), those who watch are notified. The
// parent, if there is one, gets a MessageChildDone for the execution and event that scheduled the instance, named by its
// first execution id.
type Termination struct {
	InstanceID string
	Events     []byte // JSON array with the one event that ends the execution; it becomes the last turn
	Answer     []byte // body of the message to the parent
	// Children ends those of its children that are running, and theirs, in the same way, with the same event. They answer
	// nobody: their parents have ended. Its children are those that it has started, not those of an earlier instance of its id
	// (StartItem.ReplaceEnded); and they are found only through parents that this item ends.
	Children bool
}
