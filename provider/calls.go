package provider

import "time"

// StartItem is one instance to be started.
type StartItem struct {
	NewInstance
	// First, if set, is the outcome of the first turn; its Events begin with the event that starts the execution and
	// NewInstance.Events is not used. Without it the instance is ready for any worker of its class.
	First *Commit
	// ReplaceEnded lets the item take the place of an ended instance of that id, which is removed with all it left behind
	// (history, values, unread messages) in the same commit. One that runs still answers Exists. A repeat is recognised as long
	// as the instance it has started is there: one that comes so late that another has taken that one's place, and has ended,
	// replaces again.
	ReplaceEnded bool
	// Messages are put into the inbox of the instance in the commit that creates it, in order; Target is not used. If the
	// item does not create it they are dropped.
	Messages []NewMessage
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
	// ClaimWork asks for up to this many queued work items of WorkClasses in the same commit, under ClaimRequest, those that
	// this commit queues included. Without a Worker it is refused (GiveUp): nobody would hold them. An instance that is
	// committed without Keep and goes on stays held if it is the instance of one of them. Other instances are not granted
	// with it, as a fetch of work would.
	ClaimWork    int
	WorkClasses  []ClassID
	WorkRanks    []int16 // as Ranks in FetchWorkRequest, like the next
	Routed       bool
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
	// Ranks, unless nil, has one for each of Classes: of more than Max instances those of classes with lower ranks are granted
	// first, and only among equal ranks the oldest. A store may look at the oldest few of each class only.
	Ranks []int16
	Max   int
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
	// Ranks, unless nil, has one for each of Classes: items of classes with lower ranks are granted first, and only among
	// equal ranks the oldest.
	Ranks []int16
	// Routed asks for the items that only Worker may claim (NewWork.Worker), too, whatever their class, before all others.
	Routed bool
	Max    int
	Sleep  bool // as in FetchRequest
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
	// Worker is zero for a process that is no worker, but was handed the tokens of the items. It is granted nothing, and a
	// ClaimWork of it is refused (GiveUp).
	Worker       WorkerID
	Items        []AckWorkItem
	Serves       []ClassID
	ClaimWork    int // as in AckRequest, like those below
	WorkClasses  []ClassID
	WorkRanks    []int16
	Routed       bool
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
	// State, a JSON document, replaces the state of the item; nil keeps it.
	State []byte
	Delay time.Duration
	// HandOver does not queue the item: it stays leased under Token, but by no worker, so that nobody claims it and nobody
	// loses it. Whoever has the token records its result with AckWorkItems; cancelling it and the end of its instance
	// remove it as always. Delay and UndoAttempt do not apply. It cannot be given back any more: an abandon of
	// an item that was handed over is ignored, also under its token.
	HandOver bool
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

// HeldWork is a work item that a worker is running.
type HeldWork struct {
	WorkKey
	Token Token
	// State, a JSON document, replaces the state of the item if that is held under Token; nil keeps it. It is best effort: a
	// store passes over an item that somebody has locked just then, and may lose the state in a crash. So whoever runs the item
	// sends the latest with every pulse.
	State []byte
}

// PulseRequest is the periodic call of a process.
type PulseRequest struct {
	// Worker beats; zero for a process that is only a client.
	Worker WorkerID
	// Join is set until the first success: it makes the worker known. Later a missing worker is reported Lost.
	Join bool
	// Name is shown to operators (host and process id).
	Name string
	// Serves, unless nil, replaces what is known of the classes the worker has registered, orchestrations and activities. It
	// is for those who ask why an instance does not go on (InstanceState.Workers), and changes nothing of what the worker is
	// granted. A worker that has never said so serves nothing.
	Serves []ClassID
	// BeatLasts comes with Serves: for how long a beat shows, by the store's clock, that the worker lives. After that it is
	// not counted among those that serve a class until it beats again. Zero: until it is reaped or retired, which for the
	// last worker of all nobody may be left to do.
	BeatLasts time.Duration
	// TTL is how old a beat must be, by the store's clock, for its worker to be reported in Stale.
	TTL time.Duration
	// Reap lists workers that the caller itself has seen unchanged for a TTL: those whose beat still has this value
	// lose everything they hold, with a fresh token, ready at once.
	Reap []Beat
	// Classes and WorkClasses are looked at for ready items.
	Classes     []ClassID
	WorkClasses []ClassID
	// Routed has WorkReady set for items that only Worker may claim, too.
	Routed bool
	// ClassesFrom asks for the classes with this id or a higher one: how a process hears of priorities and other classes that
	// others use. Zero: none.
	ClassesFrom ClassID
	// Sleep marks the worker as sleeping if nothing is ready.
	Sleep bool
	// Watch lists instances to be read; those that have ended come back in Done.
	Watch []string
	// Held are work items the worker is running: it learns in Gone which of them nobody waits for any more.
	Held []HeldWork
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
	// Classes are those of ClassesFrom, by id, at most MaxClasses: ask again from the last one on. A pulse that is told Lost
	// brings none.
	Classes []KnownClass
	// Gone are those of Held that are not held under their token any more: recorded, cancelled, taken over, or their instance
	// has ended. The token alone decides, not who asks; a pulse that is told Lost is answered too.
	Gone []WorkKey
}
