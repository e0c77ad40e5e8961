package model

// Defect is a promise of the contract that a Store breaks on purpose, to prove that the conformance suite notices.
type Defect string

// Fences.
const (
	TokenUnchecked        Defect = "token-unchecked"         // an ack is fenced by owner, execution and event number only
	OwnerUnchecked        Defect = "owner-unchecked"         // whoever knows the token may ack; no promise is broken by this alone
	ReleasedTokenAccepted Defect = "released-token-accepted" // an ack applies to a free instance under its last token
	SeqUnchecked          Defect = "seq-unchecked"           // an ack applies at any event number
	ExecutionUnchecked    Defect = "execution-unchecked"     // an ack applies to any execution
	FinishedUnchecked     Defect = "finished-unchecked"      // finished work need not be there
	FencedMessagesSent    Defect = "fenced-messages-sent"    // the messages of a fenced item are sent
	FencedConsumes        Defect = "fenced-consumes"         // the consumed messages of a fenced item are removed
	FencedAllOrNothing    Defect = "fenced-all-or-nothing"   // one fenced item fences the whole call
	TwiceInBatchAccepted  Defect = "twice-in-batch-accepted" // two items for one instance in one call
	TokenKeptOnRelease    Defect = "token-kept-on-release"   // abandoning and reaping leave the token as it is
	TokenKeptOnTakeover   Defect = "token-kept-on-takeover"  // a takeover goes on under the old token
)

// Leases.
const (
	KeepIgnored          Defect = "keep-ignored"            // a commit always frees the instance
	AlwaysKept           Defect = "always-kept"             // a commit never frees the instance
	NewsHoldContinued    Defect = "news-hold-continued"     // unread messages keep an instance that continues as new held
	AttemptNotCounted    Defect = "attempt-not-counted"     // grants count no attempt
	AttemptNotReset      Defect = "attempt-not-reset"       // commits do not reset the attempts
	LeaseNotTaken        Defect = "lease-not-taken"         // a grant does not make the instance held
	HeldGrantedAgain     Defect = "held-granted-again"      // a held instance with messages is granted once more
	HeldNotTold          Defect = "held-not-told"           // a holder does not hear of messages
	HeldNotRepeated      Defect = "held-not-repeated"       // a repeated fetch does not bring the news again
	HeldGetsNewToken     Defect = "held-gets-new-token"     // telling a holder of messages changes its token
	HeldCountsAttempt    Defect = "held-counts-attempt"     // telling a holder of messages counts an attempt
	IdleGranted          Defect = "idle-granted"            // instances with nothing to do are granted
	MaxIgnored           Defect = "max-ignored"             // fetches grant more than Max
	EndedGranted         Defect = "ended-granted"           // ended instances are granted when messages are left or arrive
	PassedOverCounts     Defect = "passed-over-counts"      // passing over an instance of another class counts an attempt
	StartedAsleep        Defect = "started-asleep"          // a started instance is not ready until something arrives
	ClassesIgnored       Defect = "classes-ignored"         // fetches grant items of any class
	EmptyClassesMatchAll Defect = "empty-classes-match-all" // an empty list of classes means any
)

// Messages.
const (
	WakeLost                Defect = "wake-lost"                 // a message makes nothing ready
	WakeLostOnRelease       Defect = "wake-lost-on-release"      // a commit that frees its instance forgets what has arrived
	NewestMessageFirst      Defect = "newest-message-first"      // messages are last in, first out
	UnnamedMessagesConsumed Defect = "unnamed-messages-consumed" // a commit removes all messages the worker has been given
	ConsumedByAnyone        Defect = "consumed-by-anyone"        // an order number removes the message from any inbox
	WaitsIgnored            Defect = "waits-ignored"             // external events come without being waited for
	WaitsAccumulate         Defect = "waits-accumulate"          // a commit adds to the waits
	MaxMessagesIgnored      Defect = "max-messages-ignored"      // all messages of a name come at once
	OwnTargetsSkipped       Defect = "own-targets-skipped"       // messages to instances of the same call are dropped
	RepeatedMessageCancels  Defect = "repeated-message-cancels"  // a message sent again removes the first and is not stored
	EngineMessagesWait      Defect = "engine-messages-wait"      // engine messages stay behind while external events are waited for
	UnknownTargetApplied    Defect = "unknown-target-applied"    // a message to an unknown instance is said to be applied
	EndedTargetApplied      Defect = "ended-target-applied"      // a message to an ended instance is said to be applied
)

// Starts.
const (
	ExistsReportedApplied    Defect = "exists-reported-applied"     // a taken instance id is reported as started
	ExistsAllOrNothing       Defect = "exists-all-or-nothing"       // items after one that exists are not created
	RepeatedStartExists      Defect = "repeated-start-exists"       // a repeated start finds the id taken
	RepeatedStartCreatesAnew Defect = "repeated-start-creates-anew" // a repeated start starts again
)

// Repeats.
const (
	RepeatedAckFenced           Defect = "repeated-ack-fenced"             // a repeated ack is fenced
	RepeatedAckForgotten        Defect = "repeated-ack-forgotten"          // a repeated ack is fenced once a later turn is committed
	RepeatedAckAppliedAgain     Defect = "repeated-ack-applied-again"      // a repeated ack applies again
	RepeatedAckForgetsMessages  Defect = "repeated-ack-forgets-messages"   // a repeated ack returns no messages
	RepeatedAckGrantsItself     Defect = "repeated-ack-grants-itself"      // a repeated ack grants the instance it commits
	RepeatedAckForgetsGrants    Defect = "repeated-ack-forgets-grants"     // a repeated ack grants nothing
	RepeatedFetchGrantsAnew     Defect = "repeated-fetch-grants-anew"      // a repeated fetch does not return what it granted
	RepeatedWorkFetchGrantsAnew Defect = "repeated-work-fetch-grants-anew" // a repeated work fetch does not return what it granted
	RepeatedWorkFetchForgets    Defect = "repeated-work-fetch-forgets"     // a repeated work fetch returns no instances
	RepeatedWorkFetchGrantsMore Defect = "repeated-work-fetch-grants-more" // a repeated work fetch grants what has become free
	RepeatedResultForgetsGrant  Defect = "repeated-result-forgets-grant"   // a repeated result does not return its grant
)

// Children, executions, grants to senders.
const (
	ChildConflictSwallowed Defect = "child-conflict-swallowed"    // the parent does not hear that its child's id is taken
	ChildOfSameIDConflicts Defect = "child-of-same-i-d-conflicts" // a child that exists under the same execution id is a conflict
	NextDropsHistory       Defect = "next-drops-history"          // continue-as-new removes the old history
	TakeUnderLastRequest   Defect = "take-under-last-request"     // several messages for one target grant it under the last request
	ChildLeaseIgnored      Defect = "child-lease-ignored"         // no child is born leased
	NextClassIgnored       Defect = "next-class-ignored"          // the next execution keeps the class
	NextDropsInbox         Defect = "next-drops-inbox"            // continue-as-new empties the inbox
	TakeIgnored            Defect = "take-ignored"                // a sender is never granted its target
	TakeIgnoresClass       Defect = "take-ignores-class"          // a sender is granted targets it cannot run
	TakeStealsHeld         Defect = "take-steals-held"            // a sender is granted targets that others hold
	TakeGrantUnreported    Defect = "take-grant-unreported"       // targets and children are leased but not returned
)

// Timers.
const (
	TimerEarly            Defect = "timer-early"              // timers fire before their time
	TimerFiresTwice       Defect = "timer-fires-twice"        // timers fire again
	CancelTimerIgnored    Defect = "cancel-timer-ignored"     // cancelled timers fire
	TimersBeyondBoundLost Defect = "timers-beyond-bound-lost" // timers beyond the bound of one call are lost
	PulseFiresNothing     Defect = "pulse-fires-nothing"      // a pulse fires no timers
	NextTimerLatest       Defect = "next-timer-latest"        // a pulse reports the latest timer
)

// Work.
const (
	BornLeasedQueued          Defect = "born-leased-queued"           // work born leased is in the queue
	WorkDeliveredTwice        Defect = "work-delivered-twice"         // leased work is granted again
	NewestWorkFirst           Defect = "newest-work-first"            // work is last in, first out
	WorkMaxIgnored            Defect = "work-max-ignored"             // work fetches grant more than Max
	WorkClassesIgnored        Defect = "work-classes-ignored"         // work of any class is granted
	ClaimHoldsNothing         Defect = "claim-holds-nothing"          // work claimed along with a commit does not hold its instance
	WorkDelayIgnored          Defect = "work-delay-ignored"           // abandoned work is back at once
	WorkTokenUnchecked        Defect = "work-token-unchecked"         // a result needs no lease
	ReleasedWorkTokenAccepted Defect = "released-work-token-accepted" // a result is applied to queued work under its last token
	WorkAttemptNotCounted     Defect = "work-attempt-not-counted"     // grants of work count no attempt
	WorkTokenKeptOnRelease    Defect = "work-token-kept-on-release"   // released work keeps its token
	WorkResultsAllOrNothing   Defect = "work-results-all-or-nothing"  // one result that is gone stops the call
	CancelWorkIgnored         Defect = "cancel-work-ignored"          // cancelled work stays
	CancelLeasedIgnored       Defect = "cancel-leased-ignored"        // cancelled work stays if it is leased
	FinishedWorkKept          Defect = "finished-work-kept"           // work with a result is not removed
	ResultLost                Defect = "result-lost"                  // a result reaches no inbox
	LateResultApplied         Defect = "late-result-applied"          // results for ended instances and earlier executions are applied
	CachedExecutionIgnored    Defect = "cached-execution-ignored"     // turns are left out though another execution was cached
	WorkGrantsNothing         Defect = "work-grants-nothing"          // no instance comes with its work
	WorkGrantIgnoresClass     Defect = "work-grant-ignores-class"     // instances come with work to whoever cannot run them
	WorkGrantIgnoresExecution Defect = "work-grant-ignores-execution" // work of an earlier execution brings the instance
	WorkGrantStealsHeld       Defect = "work-grant-steals-held"       // instances come with work though others hold them
	WorkGrantCounted          Defect = "work-grant-counted"           // a grant that comes with work counts an attempt
	WorkGrantUnbounded        Defect = "work-grant-unbounded"         // a grant that comes with work carries any history
)

// Abandon and park.
const (
	DelayIgnored          Defect = "delay-ignored"           // abandoned instances are back at once
	UndoAttemptIgnored    Defect = "undo-attempt-ignored"    // an undone attempt counts
	AttemptAlwaysUndone   Defect = "attempt-always-undone"   // no abandoned attempt counts
	AbandonTokenUnchecked Defect = "abandon-token-unchecked" // anybody can abandon
	AbandonDropsMessages  Defect = "abandon-drops-messages"  // abandoning loses unread messages
	ParkIgnored           Defect = "park-ignored"            // parked instances are granted
	ResumeKeepsAttempts   Defect = "resume-keeps-attempts"   // resuming does not reset attempts
	LateTakesStay         Defect = "late-takes-stay"         // what a dead worker's late call takes is held for ever
	ResumeReleasesHeld    Defect = "resume-releases-held"    // resuming takes the lease from a holder
)

// Liveness.
const (
	BeatStandsStill   Defect = "beat-stands-still"   // beats do not change
	StaleAtOnce       Defect = "stale-at-once"       // every other worker is stale
	LostRevived       Defect = "lost-revived"        // a lost worker is made known again
	ReapIgnoresBeat   Defect = "reap-ignores-beat"   // a worker is reaped though it has beaten
	ReapTouchesAll    Defect = "reap-touches-all"    // reaping one worker releases the items of all
	ReapKeepsWork     Defect = "reap-keeps-work"     // reaping leaves work items leased
	ReapUndoesAttempt Defect = "reap-undoes-attempt" // reaping does not count the attempt
	RetireForgetsOnly Defect = "retire-forgets-only" // a retired worker's items stay leased
	ReadyAlways       Defect = "ready-always"        // the Ready flags are always set
	ReadyNever        Defect = "ready-never"         // the Ready flags are never set
	DoneListsRunning  Defect = "done-lists-running"  // running instances are reported done
)

// Reads and values.
const (
	HistoryOutOfOrder          Defect = "history-out-of-order"          // history comes newest first
	HistoryOmittedForStrangers Defect = "history-omitted-for-strangers" // grants carry no history
	HistoryFromIgnored         Defect = "history-from-ignored"          // history is always read from the beginning
	MaxBytesIgnored            Defect = "max-bytes-ignored"             // history is always read to the end
	LastTurnIsFirst            Defect = "last-turn-is-first"            // the last turn shown is the first
	ListOldestFirst            Defect = "list-oldest-first"             // lists are oldest first
	ListSkipsAtPageEnd         Defect = "list-skips-at-page-end"        // a row is lost between two pages
	ListStatusIgnored          Defect = "list-status-ignored"           // lists are not filtered by status
	ListParkedIgnored          Defect = "list-parked-ignored"           // lists are not filtered by parking
	ListNameIgnored            Defect = "list-name-ignored"             // lists are not filtered by name
	ListLimitIgnored           Defect = "list-limit-ignored"            // lists are unbounded
	PrefixIsPattern            Defect = "prefix-is-pattern"             // an underscore in a prefix matches anything
	ClassAlwaysNew             Defect = "class-always-new"              // registering a class again makes another
	ClassTagIgnored            Defect = "class-tag-ignored"             // classes that differ in the tag are one
	TextUnchecked              Defect = "text-unchecked"                // any text is accepted
	NeverNotifies              Defect = "never-notifies"                // nobody is notified of anything
)

// Ends and suspensions from outside.
const (
	CancelledGoesOn              Defect = "cancelled-goes-on"              // a commit with the status cancelled does not end the instance
	TerminateSparesHeld          Defect = "terminate-spares-held"          // held instances are not terminated
	TerminateKeepsHolder         Defect = "terminate-keeps-holder"         // whoever holds a terminated instance goes on
	TerminateWritesNothing       Defect = "terminate-writes-nothing"       // a termination leaves no turn
	TerminateKeepsWork           Defect = "terminate-keeps-work"           // work of terminated instances stays
	TerminateKeepsTimers         Defect = "terminate-keeps-timers"         // timers of terminated instances stay
	TerminatesAgain              Defect = "terminates-again"               // an ended instance is terminated
	TerminateAllOrNothing        Defect = "terminate-all-or-nothing"       // an unknown instance stops the call
	TerminateTellsNobody         Defect = "terminate-tells-nobody"         // the parent of a terminated instance hears nothing
	TerminateNamesNoEvent        Defect = "terminate-names-no-event"       // the parent does not hear which child was terminated
	TerminateNamesLastID         Defect = "terminate-names-last-id"        // the parent hears the id of the last execution
	TerminateUnnotified          Defect = "terminate-unnotified"           // watchers do not hear of terminations
	TerminateHolderUntold        Defect = "terminate-holder-untold"        // holders do not hear of terminations
	TerminateSparesChildren      Defect = "terminate-spares-children"      // children are never terminated with their parent
	TerminateSparesGrandchildren Defect = "terminate-spares-grandchildren" // only the children themselves are terminated
	TerminateTakesChildren       Defect = "terminate-takes-children"       // children are always terminated with their parent
	SuspendSparesHolder          Defect = "suspend-spares-holder"          // whoever holds a suspended instance goes on
	SuspendReleasesWork          Defect = "suspend-releases-work"          // suspending takes work items from who runs them
	SuspendReplacesReason        Defect = "suspend-replaces-reason"        // suspending a parked instance changes the reason
	SuspendEndedApplied          Defect = "suspend-ended-applied"          // ended instances are said to be suspended
)

// State, hand-over and timers of work.
const (
	CancelNeedsWait           Defect = "cancel-needs-wait"             // a request to cancel is never read
	AbandonedStateLost        Defect = "abandoned-state-lost"          // the state given with an abandoned item is lost
	AbandonClearsState        Defect = "abandon-clears-state"          // abandoning without a state removes the one there is
	HandedOverQueued          Defect = "handed-over-queued"            // an item that is handed over is granted
	HandedOverFetchedAgain    Defect = "handed-over-fetched-again"     // a repeated fetch returns an item that was handed over
	HandedOverReaped          Defect = "handed-over-reaped"            // an item that is handed over goes with its worker
	HandedOverAbandoned       Defect = "handed-over-abandoned"         // an item that is handed over can be abandoned
	HandedOverNeedsWorker     Defect = "handed-over-needs-worker"      // a client cannot record the result of an item
	CancelSparesHandedOver    Defect = "cancel-spares-handed-over"     // an item that is handed over cannot be cancelled
	HandedOverGone            Defect = "handed-over-gone"              // an item that is handed over is reported gone
	PulseStateLost            Defect = "pulse-state-lost"              // the state given with a pulse is lost
	PulseStateUnchecked       Defect = "pulse-state-unchecked"         // anybody can replace the state of an item
	GoneNever                 Defect = "gone-never"                    // a pulse never reports work gone
	GoneAlways                Defect = "gone-always"                   // a pulse reports all work gone
	UnlessStartedIgnored      Defect = "unless-started-ignored"        // a timer fires though its work item was granted
	UnlessStartedFiresForGone Defect = "unless-started-fires-for-gone" // a timer fires though its work item is no more
	UnlessStartedNeverFires   Defect = "unless-started-never-fires"    // a timer does not fire though its work item waits
)

// Detached children, replacing and signalling starts, custom status and values.
const (
	DetachedLinked             Defect = "detached-linked"               // a detached child has a parent
	DetachedConflictSwallowed  Defect = "detached-conflict-swallowed"   // nobody hears that a detached child's id is taken
	ReplacesRunning            Defect = "replaces-running"              // a start replaces a running instance
	ReplaceKeepsValues         Defect = "replace-keeps-values"          // the values of a replaced instance stay
	ReplaceKeepsStatus         Defect = "replace-keeps-status"          // the custom status of a replaced instance stays
	RepeatedReplaceReplaces    Defect = "repeated-replace-replaces"     // a repeated start replaces what it has started
	StartMessagesLost          Defect = "start-messages-lost"           // the messages of a start are lost
	EagerStartMessagesLost     Defect = "eager-start-messages-lost"     // the messages of an eager start are lost
	ExistsDeliversMessages     Defect = "exists-delivers-messages"      // the messages of a refused start are delivered
	RepeatedStartDeliversAgain Defect = "repeated-start-delivers-again" // a repeated start delivers its messages again
	StatusVersionStands        Defect = "status-version-stands"         // custom statuses are not counted
	StatusForgotten            Defect = "status-forgotten"              // a commit without a custom status removes it
	NextDropsStatus            Defect = "next-drops-status"             // continue-as-new removes the custom status
	ListOmitsStatus            Defect = "list-omits-status"             // lists show no custom status
	StatusUnnotified           Defect = "status-unnotified"             // watchers do not hear of custom statuses
	WatchEndsWithStatus        Defect = "watch-ends-with-status"        // watchers hear of one custom status only
	FencedPublishes            Defect = "fenced-publishes"              // custom status and values of a fenced item are set
	ValuesReplaced             Defect = "values-replaced"               // values that a commit does not name are removed
	ValueNotRemoved            Defect = "value-not-removed"             // values cannot be removed
	NextDropsValues            Defect = "next-drops-values"             // continue-as-new removes values
	EndDropsValues             Defect = "end-drops-values"              // the end of an instance removes values
	UnknownHasValues           Defect = "unknown-has-values"            // values of unknown instances are found
	ValueKeysIgnored           Defect = "value-keys-ignored"            // all values are read, whatever was asked for
	ValuesUnsorted             Defect = "values-unsorted"               // values are not sorted by key
	StartValuesLost            Defect = "start-values-lost"             // the values that an instance begins with are lost
	ChildValuesLost            Defect = "child-values-lost"             // the values that a child begins with are lost
	SearchableForGood          Defect = "searchable-for-good"           // a value that was searchable stays so
	SearchableUnbounded        Defect = "searchable-unbounded"          // searchable values of any size are taken
	ListValuesIgnored          Defect = "list-values-ignored"           // lists do not look at values
	SearchIgnoresData          Defect = "search-ignores-data"           // lists look at keys only
	SearchFindsAll             Defect = "search-finds-all"              // lists find values that are not searchable
	SearchByFirstOnly          Defect = "search-by-first-only"          // lists look at one value only
	SearchesRunning            Defect = "searches-running"              // lists by value do not find what has ended
)

// Calls of several items, and of nobody.
const (
	TakeGrantsFenced        Defect = "take-grants-fenced"        // a sender is granted the instance of a fenced item of its call
	TerminateReachesThrough Defect = "terminate-reaches-through" // children are found through instances that have ended before
	AdoptsOrphans           Defect = "adopts-orphans"            // an instance is parent to what an earlier one of that id has started
	ClaimsForNobody         Defect = "claims-for-nobody"         // work is leased to worker 0
)

// Who serves what.
const (
	ServesAccumulate      Defect = "serves-accumulate"        // what a worker serves is only ever added to
	ServesForgotten       Defect = "serves-forgotten"         // a pulse that does not say what the worker serves removes it
	EmptyServesIgnored    Defect = "empty-serves-ignored"     // a worker cannot say that it serves nothing
	BeatLastsIgnored      Defect = "beat-lasts-ignored"       // silent workers are counted
	DeadServe             Defect = "dead-serve"               // reaped and retired workers are counted
	WorkersAlwaysLookedUp Defect = "workers-always-looked-up" // reads of those who wait look up workers
	UnservedCountsLeased  Defect = "unserved-counts-leased"   // work that is leased counts as queued
	UnservedOmitsDelayed  Defect = "unserved-omits-delayed"   // work that is delayed does not count as queued
	UnservedRepeats       Defect = "unserved-repeats"         // a class is named for each of its items
	UnservedUnbounded     Defect = "unserved-unbounded"       // all classes are named
)

// Classes and ranks.
const (
	ClassPriorityIgnored     Defect = "class-priority-ignored"     // classes that differ in the priority are one
	StatePriorityLost        Defect = "state-priority-lost"        // reads show no priority
	UnservedPriorityLost     Defect = "unserved-priority-lost"     // the classes nobody serves are named without their priority
	ClassesAlways            Defect = "classes-always"             // every pulse returns the classes
	ClassesFromExclusive     Defect = "classes-from-exclusive"     // the first of the classes asked for is left out
	ClassesNewestFirst       Defect = "classes-newest-first"       // a pulse returns the latest classes
	ClassesUnbounded         Defect = "classes-unbounded"          // a pulse returns all classes at once
	ClassesForLost           Defect = "classes-for-lost"           // a pulse that is told Lost returns classes
	RanksIgnored             Defect = "ranks-ignored"              // a fetch of instances knows no ranks
	WorkRanksIgnored         Defect = "work-ranks-ignored"         // a claim of work knows no ranks
	AckRanksIgnored          Defect = "ack-ranks-ignored"          // a claim of work along with an ack knows no ranks
	WorkRanksOfOldest        Defect = "work-ranks-of-oldest"       // a claim of work ranks the oldest items only
	PrioritiesRankThemselves Defect = "priorities-rank-themselves" // without ranks, higher priorities come first
	RanksUnchecked           Defect = "ranks-unchecked"            // classes may be left without a rank
)

// Work for one worker.
const (
	RoutedClaimedByAnyone  Defect = "routed-claimed-by-anyone"  // work for one worker is in the queue of its class
	RoutedUnasked          Defect = "routed-unasked"            // a worker that does not ask for the work that is for it is granted it
	RoutedNeedsClass       Defect = "routed-needs-class"        // a worker is granted what is for it only if it lists the class
	RoutedInTurn           Defect = "routed-in-turn"            // work for one worker waits for older work
	AckRoutedIgnored       Defect = "ack-routed-ignored"        // a claim of work along with an ack brings nothing that is for the worker
	RoutedAbandonedToAll   Defect = "routed-abandoned-to-all"   // work for one worker that is given back is for all
	RoutedStaysWithDead    Defect = "routed-stays-with-dead"    // work for a worker that is gone stays
	RoutedKeepsDelay       Defect = "routed-keeps-delay"        // work for a worker that is gone waits for its delay
	RoutedToNobody         Defect = "routed-to-nobody"          // work for a worker that is not known stays
	RoutedHandedOverQueued Defect = "routed-handed-over-queued" // work for one worker that is handed over is queued when that is gone
	RoutedNeverReady       Defect = "routed-never-ready"        // a pulse does not say that there is work for the worker
	RoutedReadyUnasked     Defect = "routed-ready-unasked"      // a pulse that does not ask says that there is work for the worker
	RoutedUnnotified       Defect = "routed-unnotified"         // a worker does not hear of work for it
	RoutedLeaseUnchecked   Defect = "routed-lease-unchecked"    // work for one worker can be born leased to another
	CancelSparesRouted     Defect = "cancel-spares-routed"      // work for one worker cannot be cancelled
)
