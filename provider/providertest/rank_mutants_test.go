package providertest_test

import "github.com/pawlrun/pawl/provider/providertest/model"

// rankMutants go wrong with classes, their priorities and what is granted first of several.
var rankMutants = []mutant{
	broken(model.ClassPriorityIgnored, "class/every-field-distinguishes", "C1"),
	broken(model.StatePriorityLost, "read/priority", "R8"),
	broken(model.UnservedPriorityLost, "serves/unserved-priorities", "L15"),
	broken(model.ClassesAlways, "class/heard-of", "C4"),
	broken(model.ClassesFromExclusive, "class/heard-of", "C4", "class/heard-of-while-registered", "C5"),
	broken(model.ClassesNewestFirst, "class/heard-of", "C4"),
	broken(model.ClassesUnbounded, "class/heard-of-bounded", "C4"),
	broken(model.ClassesForLost, "class/heard-of", "C4"),
	broken(model.RanksIgnored, "rank/instances", "F11"),
	broken(model.WorkRanksIgnored, "rank/work", "W18", "rank/work-of-many-instances", "W18"),
	broken(model.AckRanksIgnored, "rank/work-claimed-with-ack", "W18", "rank/work-claimed-with-result", "W18"),
	broken(model.WorkRanksOfOldest, "rank/work", "W18", "rank/work-of-many-instances", "W18"),
	broken(model.PrioritiesRankThemselves, "rank/instances-alike", "F11", "rank/work-alike", "W18"),
	broken(model.RanksUnchecked, "rank/one-for-each-class", "E9"),
}

// routedMutants go wrong with work that only one worker may claim.
var routedMutants = []mutant{
	broken(model.RoutedClaimedByAnyone, "routed/for-its-worker-alone", "O1", "routed/by-eager-start", "O1",
		"routed/claimed-with-ack", "O1", "routed/given-back", "O3", "routed/ready", "O5"),
	broken(model.RoutedUnasked, "routed/for-its-worker-alone", "O1"),
	broken(model.RoutedNeedsClass, "routed/for-its-worker-alone", "O1"),
	broken(model.RoutedInTurn, "routed/before-others", "O2"),
	broken(model.AckRoutedIgnored, "routed/claimed-with-ack", "O1", "routed/claimed-with-result", "O1"),
	broken(model.RoutedAbandonedToAll, "routed/given-back", "O3", "routed/given-back-with-delay", "O3", "routed/born-leased", "O3"),
	broken(model.RoutedStaysWithDead, "routed/retired", "O4", "routed/reaped", "O4"),
	broken(model.RoutedKeepsDelay, "routed/retired", "O4", "routed/reaped", "O4"),
	broken(model.RoutedToNobody, "routed/to-unknown-worker", "O4"),
	broken(model.RoutedHandedOverQueued, "routed/handed-over", "O7", "routed/retired", "O4"),
	broken(model.RoutedNeverReady, "routed/ready", "O5"),
	broken(model.RoutedReadyUnasked, "routed/ready", "O5"),
	broken(model.RoutedUnnotified, "notify/routed", "N4"),
	broken(model.RoutedLeaseUnchecked, "routed/lease-refused", "O6"),
	broken(model.CancelSparesRouted, "routed/cancelled", "O7"),
}
