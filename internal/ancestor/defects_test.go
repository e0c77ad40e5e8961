package ancestor_test

import "testing"

// TestDefects are things that went wrong in the ancestors, by the number of their defect.
func TestDefects(t *testing.T) {
	t.Parallel()
	onEveryStore(t, []tale{
		{"01 broken connections fail no instance", brokenConnections},
		{"02 a result is not thrown away when its commit fails", resultSurvivesFailedAck},
		{"03 a second start does not touch a running instance", secondStart},
		{"04 a thousand buffered events are drained in one turn", drainThousand},
		{"05 continue-as-new loses no event", continueAsNewKeepsEvents},
		{"05 events raised while executions change are all taken", raisedWhileRolling},
		{"06 what is started in the turn of a continue-as-new starts", detachedWithContinueAsNew},
		{"07 deleting many values is deterministic", deleteManyValues},
		{"08 a child whose id is taken fails its future", childIDTaken},
		{"09 children of many executions answer across processes", childrenOverExecutions},
		{"10 failed commits do not wait for the lease to run out", failedAckKeepsLease},
		{"12 processes of one name do not share their work", sameName},
		{"15 an instance between two executions is not replaced", replaceBetweenExecutions},
		{"16 work that one worker may not take is taken by another", workForOthers},
		{"17 a cancelled activity makes no noise", quietCancellation},
		{"19 versions may have large numbers", largeVersions},
		{"20 a child can be cancelled with its parent's execution", childOfContinuedParent},
		{"20 a cancelled orchestration cleans up", cleanUp},
		{"21 what is sent to nobody leaves nothing", sentToNobody},
		{"22 a child over a limit tells its parent", childOverLimit},
		{"23 a commit whose answer is lost happens once", commitsHappenOnce},
	})
}
