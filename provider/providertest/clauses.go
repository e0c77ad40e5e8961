package providertest

// Clause is one numbered promise of the contract, as docs/provider-contract.md lists it.
type Clause struct {
	ID   string // an area's letter and a number
	Text string
}

// clauseText returns the text of a clause; an unknown id is a mistake in a case.
func clauseText(id string) string {
	for _, c := range Clauses() {
		if c.ID == id {
			return c.Text
		}
	}
	panic("providertest: no clause " + id)
}

// Clauses returns the contract in order.
func Clauses() []Clause { return clauses }

// clauses is the text of the contract; docs/provider-contract.md is checked against it.
var clauses = []Clause{
	// C: classes
	{"C1", "RegisterClasses answers with one id per class, in order; kind, name, version, tag and priority together make the class, and the same class always has the same id, from any handle and however many register it at once."},
	{"C2", "Fetches, claims and Ready flags see only items of the classes the call lists; an empty list matches nothing."},
	{"C3", "Items of classes nobody lists neither hide nor delay the items of listed ones, and passing over them changes nothing of theirs."},
	{"C4", "A pulse with ClassesFrom returns the classes with that id or a higher one, by id, each as it was registered, at most MaxClasses of them; without it, and if it is told Lost, none."},
	{"C5", "Ids grow in the order in which classes become visible: whoever asks again and again, from the id after the last one it was told, hears of every class once, however many register at once."},

	// S: start
	{"S1", "A started instance exists with the first commit: running, execution 1 under the given execution id, one turn of one event, its Ref in the answer."},
	{"S2", "A started instance is ready at once for any worker of its class, without any message."},
	{"S3", "A start with an instance id that is taken by another execution id, running or ended, answers Exists and changes nothing, whatever else the item carries; only ReplaceEnded (S8) makes an exception for an ended one."},
	{"S4", "Each item of a start is answered for itself: one that exists does not keep the others from being created."},
	{"S5", "However many start one id at the same time, one execution id wins and all others get Exists."},
	{"S6", "An eager start commits the creation and the whole first turn at once, as an ack on the new instance would: events, work, timers, children, messages, waits, status. NewInstance.Events is not used."},
	{"S7", "An eagerly started instance is held under First.Request if First.Keep is set, else free and not ready until something arrives; a terminal First ends it."},
	{"S8", "A start with ReplaceEnded takes the place of an ended instance of that id: in one commit all that one left behind (history, custom status, values, unread messages, work, timers) is gone and the new one is there, as after any start. A running instance answers Exists and is left as it is; without an instance it is a start like any other."},
	{"S9", "A repeated start that replaced is Applied with the same Ref and replaces nothing, also once the new instance has run on or has ended."},
	{"S10", "However many replace one ended instance at the same time, one execution id wins and all others get Exists."},
	{"S11", "Messages of a start are in the inbox of the instance from its creation on, in order: its first grant has those it can use. With First they come back in the result like other unread messages, and the instance stays held. They are dropped if the item does not create the instance, and not delivered again by a repeat."},

	// F: fetch
	{"F1", "A granted instance carries the fetch's request as token and everything of the instance: Ref, id, execution number and id, class, next event number."},
	{"F2", "An instance is granted to one worker at a time, however many fetch, also over several handles; no ready instance is left out for good."},
	{"F3", "Only free and ready instances are granted: never run, or with unread messages they can use. Looking at one that is not ready changes neither its token nor its attempts."},
	{"F4", "A fetch grants at most Max instances."},
	{"F5", "Attempt counts the grants since the last committed turn, this one included and those that came with work (W16) not; a committed turn starts it afresh."},
	{"F6", "A grant carries the whole history of the current execution, in order, unless the worker committed the last turn: then it is left out and HistoryOmitted is set."},
	{"F7", "A grant carries the unread messages the instance can use, in order of arrival, unchanged."},
	{"F8", "A message for an instance that the fetching worker holds comes back as a Held item with all messages it can use: under the current token, the attempt not counted, the lease not disturbed. Other workers get nothing of it. Of a commit of the holder under way at the same time, either the item carries the token or the reply has the messages. A repeat of the fetch brings the item again: the caller may not have got it."},
	{"F9", "Fetching with Timers fires due timers first."},
	{"F10", "An ended instance is never granted again."},
	{"F11", "With Ranks, of more than Max ready instances those of classes with lower ranks are granted first, and among equal ranks the oldest. Without them all classes are alike, whatever their priorities. A store may look at the oldest few of each class only."},

	// A: ack
	{"A1", "An applied ack commits the whole turn at once: the events become one row of history, the next event number advances by their count, and the request becomes the token."},
	{"A2", "An ack under any other token than the current one is Fenced, also the token the worker itself held before."},
	{"A3", "An ack for another next event number than the current one is Fenced."},
	{"A4", "An ack for another execution than the current one is Fenced."},
	{"A5", "An ack for an instance that is not held is Fenced, even under the token of its last commit or grant."},
	{"A6", "An ack whose Finished work is missing, not leased, or leased under another token is Fenced as a whole."},
	{"A7", "A fenced item has no effect: no history, work, cancellation, timer, child, message or consumed message of it is seen, and the instance keeps its owner and token."},
	{"A8", "Each item of an ack is applied or fenced for itself; results come in the order of the items."},
	{"A9", "An ack with two items for one instance is refused as a whole (GiveUp) and changes nothing."},
	{"A10", "With Keep the instance stays held under the request; without it, it becomes free, unless messages come back in the reply: then it stays held."},
	{"A11", "An ack returns the unread messages the instance can now use, including those it had left unread and those the new waits release."},
	{"A12", "A terminal commit (completed, failed, cancelled, terminated) ends the instance: free for good, its status and end time set, the last turn its outcome, and no messages in the reply, whatever Keep says."},
	{"A13", "Consumed messages are removed with the commit, all others stay; an order number of another instance's message removes nothing."},
	{"A14", "Of two concurrent acks under one token with different requests exactly one applies."},
	{"A15", "Now is the store's clock; it does not depend on the handle and does not go back from one call to the next."},

	// X: executions (continue-as-new)
	{"X1", "Continue-as-new commits the last turn of the old execution and starts the next one: number plus one, its own id, class and first turn, next event number 1. The instance goes on running; the old history stays readable."},
	{"X2", "The new execution is ready at once in its own class, and not in the old one, whatever is unread; with Keep it is held under the request instead."},
	{"X3", "Unread external events stay in the inbox over continue-as-new, in order; the waits of the old execution are forgotten."},
	{"X4", "Whatever belongs to the old execution is fenced: its acks are Fenced, results of its work are Gone, its timers and messages do not stop the new one."},

	// K: children
	{"K1", "A child is created with the commit of its parent: linked to the parent, ready for any worker of its class."},
	{"K2", "With Lease the child is born held: granted to the acking worker in the reply, under the item's request, attempt 1, without history, and to nobody else."},
	{"K3", "A child whose id is taken by another execution id is not created; if ExistsBody is set the committing instance gets it as a MessageChildDone, named by the child's execution id, in the reply of the same ack."},
	{"K4", "A child whose id is taken by the same execution id is left as it is."},
	{"K5", "A child without Parent is detached: created with the commit in the same way, but linked to nobody. If its id is taken, the committing instance hears of it as of any child."},

	// M: messages
	{"M1", "Each enqueued message is answered for itself: Applied, NotFound without such an instance, Gone if it has ended. A message not applied is not stored, an applied one is not lost."},
	{"M2", "Messages of one sender to one instance are read in the order sent, over calls, handles and names."},
	{"M3", "An external event stays in the inbox, and does not make its instance ready, until a committed turn waits for its name."},
	{"M4", "Waits hold until the next commit replaces them."},
	{"M5", "Engine messages (kinds 2 to 5) need no wait: they make a free instance ready and come with every grant."},
	{"M6", "A message leaves the inbox only by being named in Consumed: not by being fetched, returned, abandoned or taken over."},
	{"M7", "At most MaxMessages of one name are returned at a time, the oldest; the rest comes with the following acks or grants, none lost, in order."},
	{"M8", "A message that arrives while its instance is held is not lost, whatever the ack and the arrival's timing: it comes back in the ack, as a Held item, or makes the instance ready."},
	{"M9", "Messages in a commit are stored with it; those to unknown or ended instances are dropped silently and the item still applies."},
	{"M10", "Messages to an instance of the same call, itself included, are read like all others."},
	{"M11", "Concurrent acks that send messages across each other's instances do not block or fail."},
	{"M12", "A message read carries kind, execution, name, id and body as sent, and its time of arrival by the store's clock."},

	// G: grants to senders (Take)
	{"G1", "A message with Take grants its target to the acking worker if it is free, running, not parked and of a class in Serves: under the item's request, attempt counted, with messages and history as a fetch would; nobody else is granted it."},
	{"G2", "Take is refused for a target that is held, parked, of another class, or that of an item of the same call, even a refused one; the message is stored and wakes it as without Take."},
	{"G3", "Several messages with Take for one target give one grant, under the request of the first such item."},

	// T: timers
	{"T1", "A timer fires once, not before FireAt by the store's clock: its instance gets one MessageTimerFired with the event and execution it was set by, no body, At = FireAt."},
	{"T2", "Pulse always fires due timers, for any instance and caller."},
	{"T3", "A cancelled timer does not fire, even if one commit sets and cancels it; to cancel one that is unknown or has fired is no error."},
	{"T4", "A fired timer wakes a free instance; for a held one it is a message like any other."},
	{"T5", "NextTimer is the time of the earliest pending timer, zero if there is none."},
	{"T6", "However many timers are due at once, all fire, over bounded calls."},
	{"T7", "A timer of an ended instance does nothing."},
	{"T8", "A timer with UnlessStarted that is due fires if the work item of its event waits in the queue and has not been granted. If that has been granted or is there no more, the timer is removed and nobody hears of it."},

	// W: work
	{"W1", "Work queued by a commit can be fetched once it is committed, by any worker that lists its class, with key, instance id, class and input as committed."},
	{"W2", "A work item is granted to one worker at a time, under the fetch's request; a fetch grants at most Max items."},
	{"W3", "Of one class and one instance the oldest item is granted first."},
	{"W4", "The result of a work item held under its token is Applied: the item is removed and its instance gets a MessageActivityDone of the item's execution with the given body."},
	{"W5", "The result of an item that is not held under that token, is recorded already, cancelled or taken over is Gone and changes nothing."},
	{"W6", "Work born leased is held by the committing worker under the commit's request with attempt 1 and is in no queue."},
	{"W7", "Finished work is removed with the commit, cancelled work too, queued or leased; whoever still runs it gets Gone, and to cancel an unknown item is no error. Work scheduled and cancelled by one commit is not queued."},
	{"W8", "Attempt counts the grants of a work item, its leased birth included."},
	{"W9", "ClaimWork claims up to that many queued items of WorkClasses with an ack, under ClaimRequest, as a fetch would. Without a worker it is refused (GiveUp)."},
	{"W10", "The result of a work item with Take grants the instance if it is free, running, not parked and of a class in Serves: under the item's request, the result among its messages. Otherwise, and without Take, the instance becomes ready, or its holder hears of it."},
	{"W11", "A grant that comes with a result carries the turns from CachedSeq on if CachedExecution is the current execution, else the whole history."},
	{"W12", "Results for one instance may come several in one call; each is stored, and at most one grants it."},
	{"W13", "The result for an ended instance or an earlier execution is Gone; the item is removed."},
	{"W14", "Results are answered each for itself: one that is Gone does not keep the others from being applied."},
	{"W15", "An instance that is committed without Keep and goes on stays held under the commit's request if ClaimWork brings an item of it; otherwise a claim holds no instance."},
	{"W16", "A work fetch grants with an item its instance, if that is free, running the item's execution, not parked and of a class in Serves: once, under the fetch's request, with the messages it can use, and to nobody else. No attempt is counted. Any other instance is left as it is."},
	{"W17", "A grant that comes with work carries the whole history if that is at most MaxGrantTurns turns and MaxGrantBytes bytes, as the store counts them, else as many of the latest turns as fit; with none of them, and if the worker committed the last turn, HistoryOmitted is set."},
	{"W18", "With Ranks in a fetch of work, or WorkRanks in a claim along with an ack, items of classes with lower ranks are granted first: none of a higher rank while one of a lower rank is queued, due and not locked by another call, however many there are. Among equal ranks, and without ranks among all classes whatever their priorities, those of one instance are granted oldest first."},

	// O: work for one worker (NewWork.Worker)
	{"O1", "Work with a Worker that is known is granted to that worker alone, also if others list its class, and only by a fetch or a claim along with an ack that asks for Routed, whatever classes that lists."},
	{"O2", "It is granted before all other work, whatever the ranks, and of one instance oldest first; it counts for Max."},
	{"O3", "Given back, with or without a delay, it stays that worker's, and is granted after Delay, not before."},
	{"O4", "When its worker is reaped or retires, queued, delayed and leased items are queued for whoever lists their class, at once; so is an item whose worker is not known when it is committed, or is gone at that moment."},
	{"O5", "WorkReady is set for such an item that is queued and due only in a pulse of its worker that asks for Routed."},
	{"O6", "With Lease it is born held by its worker, if that commits it. A commit of anybody else that asks for this is refused (GiveUp), with all of its call."},
	{"O7", "In all else it is a work item like others: its result, its state, its cancellation, the end or termination of its instance, the grant of its instance with it. Once handed over it is nobody's, and stays so when its worker is gone."},

	// H: state and hand-over of work
	{"H1", "A work item has no state until an attempt leaves one: with an abandon, or with a pulse of its worker. Every later grant brings the latest; one that is not given keeps it. Only under the token of the item a state is set."},
	{"H2", "An item that is handed over stays leased under its token, but by no worker: it is in no queue and makes nothing ready, and its worker's reaping or retirement leaves it alone, as does another abandon under the token."},
	{"H3", "The result of an item that is handed over is Applied under its token, by any process, also one that is no worker; so is a commit that names it as finished. Under another token it is refused as always."},
	{"H4", "An item that is handed over is removed when it is cancelled and when its instance ends or is terminated: its result is Gone then."},

	// B: abandon and park
	{"B1", "An abandoned instance is free at once under a token nobody knows, and ready again after Delay, not before, with what it had unread."},
	{"B2", "An abandoned item whose token no longer matches, or that does not exist, is left alone; the call does not fail and the other items go through."},
	{"B3", "An attempt counts unless UndoAttempt takes it back, once; it never falls below the grants that remain."},
	{"B4", "A parked instance is free, is granted to nobody, whatever arrives, and shows its reason; what arrives is kept."},
	{"B5", "ResumeInstances makes parked instances ready again with attempts reset; it answers Applied also for instances that are not parked, which it leaves alone, NotFound and Gone."},
	{"B6", "An abandoned work item is back in the queue after Delay, not before, under a token nobody knows."},
	{"B7", "SuspendInstances parks running instances, held or free: free at once under a token nobody knows, with the reason given, until ResumeInstances. One that is parked keeps its reason. It answers Applied, NotFound, and Gone for an ended instance, which it leaves alone."},
	{"B8", "Whoever held a suspended instance is fenced: its acks are Fenced and its abandons change nothing. What was unread stays and comes with the grant after the resume."},
	{"B9", "Suspending leaves the work items of the instance as they are: queued ones are granted, leased ones stay with their workers, their results are Applied and kept for the resume, and what a dead worker holds is released."},

	// D: termination
	{"D1", "TerminateInstances ends a running instance at once, held or free, parked or never run, whoever calls: its status is terminated, its end time set, it is free and not parked, and the event given is its last turn, one event at the next number. Its history stays readable."},
	{"D2", "Whoever held a terminated instance is fenced: its ack is Fenced, its abandon changes nothing."},
	{"D3", "What a terminated instance has queued is gone: it is never granted again, its work is in no queue and the results of leased items are Gone, its timers are removed, and messages to it are Gone."},
	{"D4", "Each termination is answered for itself: Applied, NotFound, or Gone if the instance had ended, also by an earlier item of the call or an earlier try; then nothing changes."},
	{"D5", "The parent of a terminated instance, if it runs, gets one MessageChildDone: of the execution and with the event that scheduled the child, named by the child's first execution id, with the answer as body. It wakes a free parent; the holder of a held one hears of it."},
	{"D6", "With Children, the running children of a terminated instance end in the same call in the same way, with the same event, and so do theirs, however deep; detached ones go on. Without it all children go on. Children are found only through parents that the item itself ends: those of one that has ended before, by an earlier item too, go on, and so do those of an earlier instance of its id (S8)."},
	{"D7", "Concurrent terminations, and acks of the same instances, their parents and children, neither block nor fail each other; of a termination and a terminal commit exactly one ends the instance."},

	// V: custom status and values
	{"V1", "CustomStatus of a commit replaces the custom status of the instance and counts StatusVersion up by one; without it both stay. A fenced item changes neither, a repeated one counts once."},
	{"V2", "Custom status and version are shown by reads, listings and Done alike; they survive continue-as-new and the end of the instance."},
	{"V3", "Values of a commit are set, or with nil Data removed, with that commit, an eager start's included; all others stay. A fenced item changes none."},
	{"V4", "ReadValues returns the values of those of the keys that are set, or without keys all, in byte order of the keys; found is false if there is no such instance, and true without values too."},
	{"V5", "Values survive continue-as-new and the end of the instance."},
	{"V6", "The values of one read are those of one committed turn."},
	{"V7", "Values of a new instance, started in any way, eagerly, as a child or detached, are set with its creation, before those of an eager first turn. A start that answers Exists and a repeated one set none."},
	{"V8", "With Values ListInstances returns those instances that have all of them as searchable entries, with exactly this data, byte for byte, running or ended; the other filters, order and paging are as without. Setting an entry again replaces data and searchability, removing it or replacing the instance ends both."},
	{"V9", "A searchable entry has at most MaxSearchableBytes of data: a call with a larger one is refused as a whole (GiveUp) and changes nothing. Entries that are not searchable have no such bound."},

	// L: liveness
	{"L1", "A pulse with Join makes the worker known, also when repeated; without Join an unknown worker is told Lost, and is not made known."},
	{"L2", "A pulse changes the worker's beat; a pulse without worker beats for nobody."},
	{"L3", "Stale lists the other workers whose beat is older than TTL by the store's clock, with their beats; not fresh ones, not the caller."},
	{"L4", "Reaping a worker with its current beat releases everything it holds, at once and under tokens nobody knows, and forgets the worker; attempts stay counted."},
	{"L5", "Reaping with a beat that has changed, or an unknown worker, changes nothing."},
	{"L6", "RetireWorker releases and forgets like reaping, whatever the beat, and may be repeated."},
	{"L7", "What a worker does not hold is not touched when it is reaped or retired."},
	{"L8", "Done lists the watched instances that have ended, with their last turn; not those running or unknown."},
	{"L9", "The Ready flags are set when a fetch of these classes would grant something, or the caller holds an instance that has news; not when nothing is there, and not for items that others hold."},
	{"L10", "The late calls of a released worker are Fenced or Gone; the new holder is not disturbed."},
	{"L11", "What a late call takes for a worker that was reaped or retired already is released too, by a later pulse of anybody."},
	{"L12", "Gone lists those work items of Held that are not held under their token any more (recorded, cancelled, taken over, their instance ended), and no others: one that is handed over is held under its token."},
	{"L13", "A pulse with Serves replaces what is known of the classes its worker serves, an empty list included; one without leaves it as it is. Who has never said so serves nothing. It changes nothing of what is granted or ready."},
	{"L14", "ReadInstances without watch counts for running instances, in Workers, the live workers that serve the class of the current execution: joined, neither reaped nor retired, and with a last beat not older than their BeatLasts, by the store's clock; zero lasts for good. Everywhere else Workers is -1 and Unserved empty: in reads with watch, lists, Done, notifications and for ended instances."},
	{"L15", "Where Workers is counted, Unserved lists the distinct classes of the instance's queued work items that no live worker serves: delayed items included, leased and handed over ones not. They are sorted by name, version, tag, all byte by byte, and priority, and at most MaxUnserved."},

	// R: reads
	{"R1", "ReadInstances returns the committed state of those instances that exist, unknown ids left out, without disturbing leases."},
	{"R2", "LastTurn is the last committed turn of the current execution."},
	{"R3", "Worker is the current owner, zero if free."},
	{"R4", "ReadHistory returns the turns of one execution, the current one by default, in order, by Ref or by id; nothing for an unknown instance or execution."},
	{"R5", "ReadHistory from an event number goes on from that turn; it stops after about MaxBytes, but not before the first turn."},
	{"R6", "ListInstances returns instances newest first, without last turn; paging by cursor meets each instance once, also while new ones are started."},
	{"R7", "The filters of ListInstances (status, parked, name, prefix taken literally) all apply; Limit bounds the answer, 100 by default, at most 1,000."},
	{"R8", "Priority is that of the class of the current execution, in reads, listings, Done and notifications alike."},

	// I: idempotence
	{"I1", "A repeated start answers as the first did, with the same Ref, and creates nothing more, however far the instance has come since."},
	{"I2", "A repeated eager start answers as the first did and applies its first turn once."},
	{"I3", "A repeated fetch first returns what it granted, with the same tokens, attempts, messages and history, and only to the same worker."},
	{"I4", "A repeated work fetch first returns what it granted, with the same tokens and attempts, and the instances that came with it as far as they are still held by it. It grants no others."},
	{"I5", "A repeated ack is Applied, without applying anything again, also when later turns have been committed or the instance has ended, by itself or from outside."},
	{"I6", "A repeated ack returns again what the first returned: messages, children and targets granted, work claimed, as far as they are still held by it. It grants nothing that has become free since."},
	{"I7", "A repeated result that was granted returns the grant again; one that was not granted is Applied or Gone. The result is stored once."},
	{"I8", "A repeated enqueue stores the messages again at worst, never none, and keeps the order of first arrivals."},
	{"I9", "Abandon, reap, retire, resume, suspend, terminate and pulse may be repeated; attempts are not taken back twice, nor parking or releasing done to a new holder."},
	{"I10", "A call that failed with its outcome unknown, committed or not, is settled by its repeat: the end is that of one successful call."},
	{"I11", "Concurrent tries of the same request give one effect and the same answer."},

	// E: errors and values
	{"E1", "A failing call returns a *Error with operation and retry class, and has changed nothing or everything. A done context is RetryCall."},
	{"E2", "Identifiers and names may be any UTF-8 text without NUL, of any script and punctuation; they are compared byte by byte."},
	{"E3", "Text with NUL or that is not UTF-8 is refused (GiveUp) and changes nothing."},
	{"E4", "Events, bodies, inputs, reasons, states of work, custom statuses and values come back byte for byte, including escapes such as \\u0000, white space and sizes of a mebibyte."},
	{"E5", "A call with no items does nothing and succeeds."},
	{"E6", "Closing a handle changes nothing of the store; other handles go on. A closed handle fails its calls."},
	{"E7", "Part is PartitionOf the instance id and a Ref never changes."},
	{"E8", "A call that sets or removes a value twice in one commit, or one with a key of more than MaxValueKeyBytes bytes, is refused (GiveUp) and changes nothing."},
	{"E9", "A call with ranks that are not one for each of the classes they rank is refused (GiveUp) and changes nothing."},

	// N: notifications (optional)
	{"N1", "A Listen that is told to stop returns its context's error."},
	{"N2", "A provider that notifies tells a sleeping worker when instances or work become ready, a holder when its instance has news, and a watcher of an instance's end; a notification may be lost, but not all of them."},
	{"N3", "A provider that notifies tells the watchers of an instance of its custom statuses, one after the other, and of its termination, and whoever held a terminated instance that there is news."},
	{"N4", "A provider that notifies tells a worker, with NotifyHeld, of work that somebody else has queued for it alone."},
}
