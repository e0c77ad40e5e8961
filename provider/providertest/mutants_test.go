package providertest_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// mutant is a provider that breaks the contract on purpose, and the cases that must notice.
type mutant struct {
	name    string
	kills   map[string]string // names of the cases that catch it, each with the clause it must say is broken
	defects []model.Defect
	wrap    func(provider.Provider) provider.Provider // nil: the defects of the model are all that is wrong
}

// kills makes the kills of a mutant from pairs of case and clause.
func kills(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

// broken is a mutant with one defect of the model, and named after it.
func broken(d model.Defect, pairs ...string) mutant {
	return mutant{name: string(d), kills: kills(pairs...), defects: []model.Defect{d}}
}

// both is a mutant with several defects that are harmless, or less telling, one by one.
func both(name string, ds []model.Defect, pairs ...string) mutant {
	return mutant{name: name, kills: kills(pairs...), defects: ds}
}

// wrapped is a mutant around the correct model.
func wrapped(name string, wrap func(provider.Provider) provider.Provider, pairs ...string) mutant {
	return mutant{name: name, kills: kills(pairs...), wrap: wrap}
}

// harness makes stores of the mutant.
func (m mutant) harness() providertest.Harness {
	return providertest.Harness{Patience: 400 * time.Millisecond, NewStore: func(providertest.T) providertest.Opener {
		s := model.New(model.Options{Defects: m.defects})
		return func(providertest.T) provider.Provider {
			if m.wrap != nil {
				return m.wrap(s.Open())
			}
			return s.Open()
		}
	}}
}

var mutants = slices.Concat(modelMutants, outsideMutants, stateMutants, servesMutants, rankMutants, routedMutants, wrappedMutants)

// modelMutants have their defects in the model.
var modelMutants = []mutant{
	// Fences.
	both("no-fence", []model.Defect{model.TokenUnchecked, model.OwnerUnchecked, model.SeqUnchecked},
		"ack/one-of-two-applies", "A14", "liveness/reap", "L10"),
	broken(model.TokenUnchecked, "ack/stale-token", "A2"), // fence by owner only
	broken(model.ReleasedTokenAccepted, "ack/released-token", "A5"),
	broken(model.SeqUnchecked, "ack/stale-sequence", "A3"),
	broken(model.ExecutionUnchecked, "ack/stale-execution", "A4"),
	broken(model.FinishedUnchecked, "ack/finished-work-must-be-held", "A6", "work/cancelled", "A6"),
	broken(model.FencedMessagesSent, "ack/fenced-has-no-effect", "A7"),
	broken(model.FencedConsumes, "ack/fenced-has-no-effect", "A7"),
	broken(model.FencedAllOrNothing, "ack/answers-per-item", "A8", "repeat/ack-in-batch", "A8"),
	broken(model.TwiceInBatchAccepted, "ack/twice-in-one-call", "A9"),
	both("reap-keeps-token", []model.Defect{model.TokenKeptOnRelease, model.ReleasedTokenAccepted},
		"liveness/old-token-after-takeover", "L10"),
	broken(model.TokenKeptOnTakeover, "liveness/old-token-after-takeover", "L10"),
	// Leases.
	broken(model.NewsHoldContinued, "execution/released-with-news", "X2"),
	broken(model.KeepIgnored, "start/eager-kept", "S7", "ack/keep-and-release", "A10"),
	broken(model.AlwaysKept, "start/eager-released", "S7", "ack/keep-and-release", "A10"),
	broken(model.AttemptNotCounted, "fetch/attempts", "F5"),
	broken(model.AttemptNotReset, "fetch/attempts", "F5"),
	broken(model.LeaseNotTaken, "fetch/exclusive", "F2", "fetch/disjoint-among-many", "F2"),
	broken(model.HeldGrantedAgain, "ack/unread-keeps-held", "A10", "message/to-instance-held-by-another", "F8"),
	broken(model.HeldNotTold, "fetch/held-gets-news", "F8", "timer/tells-holder", "T4"),
	broken(model.LateTakesStay, "liveness/late-takes", "L11", "routed/born-leased-late", "L11"),
	broken(model.HeldNotRepeated, "fetch/held-repeated", "F8"),
	broken(model.HeldGetsNewToken, "fetch/held-gets-news", "F8"),
	broken(model.HeldCountsAttempt, "fetch/held-gets-news", "F8"),
	broken(model.IdleGranted, "fetch/not-ready", "F3"),
	broken(model.EndedGranted, "fetch/ended", "F10", "timer/of-ended-instance", "T7"),
	broken(model.MaxIgnored, "fetch/max", "F4"),
	broken(model.ClassesIgnored, "class/orchestrations-filtered", "C2"),
	broken(model.EmptyClassesMatchAll, "class/orchestrations-filtered", "C2", "class/work-filtered", "C2"),
	broken(model.PassedOverCounts, "class/orchestrations-filtered", "C3"),
	// Messages.
	broken(model.WakeLost, "message/stays-until-consumed", "M6", "start/eager-released", "S7"),
	broken(model.WakeLostOnRelease, "message/sender-races-releasing-ack", "M8", "ack/unread-keeps-held", "A11"),
	broken(model.NewestMessageFirst, "message/first-in-first-out", "M2", "fetch/messages-in-order", "F7"),
	broken(model.UnnamedMessagesConsumed, "message/stays-until-consumed", "M6", "ack/consumes-what-is-named", "A13"),
	broken(model.ConsumedByAnyone, "ack/consumes-what-is-named", "A13"),
	broken(model.WaitsIgnored, "message/waits-for-its-name", "M3"),
	broken(model.WaitsAccumulate, "message/waits-replaced", "M4"),
	broken(model.EngineMessagesWait, "message/engine-messages-need-no-wait", "M5"),
	broken(model.MaxMessagesIgnored, "message/more-than-max", "M7", "message/max-is-per-name", "M7"),
	broken(model.OwnTargetsSkipped, "message/to-itself", "M10", "message/within-one-call", "M10"),
	broken(model.RepeatedMessageCancels, "repeat/enqueue", "I8"),
	broken(model.UnknownTargetApplied, "message/answers-per-item", "M1", "message/refused-is-not-stored", "M1"),
	broken(model.EndedTargetApplied, "message/answers-per-item", "M1"),
	// Starts.
	broken(model.ExistsReportedApplied, "start/taken-id", "S3", "start/two-hundred-at-once", "S5"),
	broken(model.ExistsAllOrNothing, "start/answers-per-item", "S4"),
	broken(model.StartedAsleep, "start/committed-with-first-turn", "S2"),
	broken(model.RepeatedStartExists, "repeat/start", "I1", "start/two-hundred-at-once", "S5"),
	broken(model.RepeatedStartCreatesAnew, "repeat/start", "I1", "repeat/eager-start", "I2"),
	// Repeats.
	broken(model.RepeatedAckFenced, "repeat/ack", "I5", "repeat/ack-at-once", "I11", "fault/ack", "I10"),
	broken(model.RepeatedAckForgotten, "repeat/ack-later", "I5"),
	broken(model.RepeatedAckAppliedAgain, "repeat/ack", "I5"),
	broken(model.RepeatedAckForgetsMessages, "repeat/ack-returns-messages-again", "I6"),
	broken(model.RepeatedAckGrantsItself, "repeat/ack-with-message-to-itself", "I6"),
	broken(model.RepeatedAckForgetsGrants, "repeat/ack-returns-grants-again", "I6"),
	broken(model.RepeatedFetchGrantsAnew, "repeat/fetch", "I3", "rank/instances-repeated", "I3"),
	broken(model.RepeatedWorkFetchGrantsAnew, "repeat/work-fetch", "I4", "rank/work-repeated", "I4", "routed/repeated", "I4"),
	broken(model.RepeatedWorkFetchForgets, "repeat/work-fetch-with-instance", "I4"),
	broken(model.RepeatedWorkFetchGrantsMore, "repeat/work-fetch-with-instance", "I4"),
	broken(model.RepeatedResultForgetsGrant, "repeat/result-with-grant", "I7"),
	// Children, executions, grants to senders.
	broken(model.ChildConflictSwallowed, "child/id-taken", "K3", "child/two-parents-one-id", "K3"),
	broken(model.ChildOfSameIDConflicts, "child/same-execution-id", "K4"),
	broken(model.ChildLeaseIgnored, "child/born-leased", "K2"),
	broken(model.NextClassIgnored, "execution/changes-class", "X2"),
	broken(model.NextDropsInbox, "execution/keeps-inbox", "X3"),
	broken(model.NextDropsHistory, "execution/continued-as-new", "X1"),
	broken(model.TakeIgnored, "take/grants-free-target", "G1"),
	broken(model.TakeIgnoresClass, "take/refused-for-other-class", "G2"),
	broken(model.TakeStealsHeld, "take/refused-for-held", "G2", "message/crossing", "M11"),
	broken(model.TakeUnderLastRequest, "take/one-grant-for-several-messages", "G3"),
	broken(model.TakeGrantUnreported, "take/grants-free-target", "G1"),
	// Timers.
	broken(model.TimerEarly, "timer/not-early", "T1"),
	broken(model.TimerFiresTwice, "timer/fires-once", "T1"),
	broken(model.CancelTimerIgnored, "timer/cancelled", "T3"),
	broken(model.TimersBeyondBoundLost, "timer/many-due-at-once", "T6"),
	broken(model.PulseFiresNothing, "timer/fired-by-anyones-pulse", "T2"),
	broken(model.NextTimerLatest, "timer/next", "T5"),
	// Work.
	broken(model.BornLeasedQueued, "work/born-leased", "W6", "routed/born-leased", "O6"),
	broken(model.WorkDeliveredTwice, "work/exclusive-and-max", "W2", "work/disjoint-among-many", "W2"),
	broken(model.NewestWorkFirst, "work/oldest-first", "W3", "routed/before-others", "O2"),
	broken(model.WorkMaxIgnored, "work/exclusive-and-max", "W2", "work/claimed-with-ack", "W9"),
	broken(model.ClaimHoldsNothing, "work/claimed-with-own-commit", "W15"),
	broken(model.WorkClassesIgnored, "class/work-filtered", "C2"),
	broken(model.WorkDelayIgnored, "abandon/work-after-delay", "B6", "rank/work-delayed", "W18",
		"routed/given-back-with-delay", "O3"),
	broken(model.WorkAttemptNotCounted, "work/queued-by-commit", "W8"),
	broken(model.WorkTokenUnchecked, "work/result-refused", "W5"),
	both("released-work-keeps-token", []model.Defect{model.WorkTokenKeptOnRelease, model.ReleasedWorkTokenAccepted},
		"liveness/old-token-after-takeover", "L10", "abandon/work", "B6"),
	broken(model.WorkResultsAllOrNothing, "work/answers-per-item", "W14"),
	broken(model.CancelWorkIgnored, "work/cancelled", "W7", "work/scheduled-and-cancelled-at-once", "W7"),
	broken(model.CancelLeasedIgnored, "work/cancelled", "W7"),
	broken(model.FinishedWorkKept, "work/finished-by-owner", "W7"),
	broken(model.ResultLost, "work/result-reaches-instance", "W10", "work/results-together", "W12"),
	broken(model.LateResultApplied, "work/result-after-end", "W13", "work/result-of-earlier-execution", "W13"),
	broken(model.WorkGrantsNothing, "work/fetch-grants-instance", "W16", "routed/with-instance", "O7"),
	broken(model.WorkGrantIgnoresClass, "work/fetch-does-not-grant", "W16"),
	broken(model.WorkGrantIgnoresExecution, "work/fetch-does-not-grant-to-earlier-execution", "W16"),
	broken(model.WorkGrantStealsHeld, "work/fetch-does-not-grant", "W16"),
	broken(model.WorkGrantCounted, "work/fetch-grants-instance", "W16"),
	broken(model.WorkGrantUnbounded, "work/history-with-fetch", "W17"),
	broken(model.CachedExecutionIgnored, "work/history-from-cached", "W11"),
	// Abandon and park.
	broken(model.DelayIgnored, "abandon/after-delay", "B1"),
	broken(model.UndoAttemptIgnored, "abandon/undo-attempt", "B3", "abandon/work", "B3"),
	broken(model.AttemptAlwaysUndone, "abandon/undo-attempt", "B3"),
	broken(model.AbandonTokenUnchecked, "abandon/token-must-match", "B2"),
	broken(model.AbandonDropsMessages, "abandon/ready-at-once", "B1"),
	broken(model.ParkIgnored, "abandon/parked", "B4"),
	broken(model.ResumeKeepsAttempts, "abandon/resumed", "B5"),
	broken(model.ResumeReleasesHeld, "abandon/resume-leaves-held-alone", "I9"),
	// Liveness.
	broken(model.BeatStandsStill, "liveness/beats", "L2", "liveness/reap-spares-who-has-beaten", "L5"),
	broken(model.StaleAtOnce, "liveness/stale", "L3"),
	broken(model.LostRevived, "liveness/join", "L1"),
	broken(model.ReapIgnoresBeat, "liveness/reap-spares-who-has-beaten", "L5"),
	broken(model.ReapTouchesAll, "liveness/reap-unknown", "L7"),
	broken(model.ReapKeepsWork, "liveness/reap", "L4"),
	broken(model.ReapUndoesAttempt, "liveness/reap-counts-attempts", "L4"),
	broken(model.RetireForgetsOnly, "liveness/retire", "L6"),
	broken(model.ReadyAlways, "liveness/orchestrations-ready", "L9", "liveness/work-ready", "L9"),
	broken(model.ReadyNever, "liveness/orchestrations-ready", "L9", "liveness/work-ready", "L9"),
	broken(model.DoneListsRunning, "liveness/done", "L8"),
	broken(model.NeverNotifies, "notify/ready", "N2", "notify/held", "N2", "notify/done", "N2"),
	// Reads and values.
	broken(model.HistoryOutOfOrder, "read/history", "R4"),
	broken(model.HistoryOmittedForStrangers, "fetch/history-omitted-for-last-committer", "F6"),
	broken(model.HistoryFromIgnored, "read/history-pages", "R5"),
	broken(model.MaxBytesIgnored, "read/history-pages", "R5"),
	broken(model.LastTurnIsFirst, "read/last-turn", "R2"),
	broken(model.ListOldestFirst, "read/list-newest-first", "R6"),
	broken(model.ListSkipsAtPageEnd, "read/list-pages", "R6"),
	broken(model.ListStatusIgnored, "read/list-filters", "R7"),
	broken(model.ListParkedIgnored, "read/list-filters", "R7"),
	broken(model.ListNameIgnored, "read/list-filters", "R7"),
	broken(model.ListLimitIgnored, "read/list-limits", "R7"),
	broken(model.PrefixIsPattern, "read/list-prefix-is-literal", "R7"),
	broken(model.ClassAlwaysNew, "class/stable-ids", "C1"),
	broken(model.ClassTagIgnored, "class/every-field-distinguishes", "C1"),
	broken(model.TextUnchecked, "value/unstorable-text", "E3"),
}

// TestMutants runs each mutant through the cases named to catch it, and no others.
func TestMutants(t *testing.T) {
	begun := time.Now()
	t.Run("all", func(t *testing.T) {
		for _, m := range mutants {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				for name, clause := range m.kills {
					m.mustDie(t, name, clause)
				}
			})
		}
	})
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("the mutants took %v, want less than 20 s", took)
	}
}

// mustDie fails unless the case finds that the mutant breaks the clause, and that the unbroken model does not.
func (m mutant) mustDie(t *testing.T, caseName, clause string) {
	t.Helper()
	c, ok := providertest.FindCase(caseName)
	if !ok {
		t.Fatalf("there is no case %s", caseName)
	}
	failures := c.Try(t.Context(), m.harness(), t.TempDir)
	if len(failures) == 0 {
		t.Errorf("case %s does not notice %s", caseName, m.name)
		return
	}
	if !slices.ContainsFunc(failures, func(f providertest.Failure) bool { return f.Clause == clause }) {
		t.Errorf("case %s says of %s: %+v; want it to name clause %s", caseName, m.name, failures, clause)
	}
}

// TestTry checks that a case run outside of a test tells what it finds: nothing on a correct store, also if the context
// has a deadline, and a panic as a failure.
func TestTry(t *testing.T) {
	c, _ := providertest.FindCase("ack/stale-token")
	if fs := c.Try(context.Background(), modelHarness(), t.TempDir); len(fs) != 0 {
		t.Errorf("a correct store fails: %+v", fs)
	}
	panics := modelHarness()
	panics.NewStore = func(providertest.T) providertest.Opener { panic("no store") }
	if fs := c.Try(t.Context(), panics, t.TempDir); len(fs) != 1 || fs[0].Clause != "" {
		t.Errorf("a panic is reported as %+v", fs)
	}
}
