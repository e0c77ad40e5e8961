package ancestor_test

import "testing"

// TestSamples are the ancestors' end-to-end samples.
func TestSamples(t *testing.T) {
	t.Parallel()
	onEveryStore(t, []tale{
		{"hello world greets twice in sequence", helloWorld},
		{"control flow branches on an answer", controlFlow},
		{"a loop accumulates and logs each line once", loop},
		{"a failed activity is compensated", compensation},
		{"a slow activity loses to a timer", timerRace},
		{"an activity races an event", activityAgainstEvent},
		{"two greetings fan out and in", fanOutGreetings},
		{"time and ids are the same in replay", timeAndIDs},
		{"status is polled until the end", statusPolling},
		{"a child answers its parent", childBasic},
		{"two children fan out and in", childFanOut},
		{"root, mid and leaf are chained", childChain},
		{"detached orchestrations go on alone", detached},
		{"a detached start is replayed before an activity", detachedThenActivity},
		{"continue-as-new rolls over", rollOver},
		{"typed activity and orchestration", typedActivity},
		{"typed event", typedEvent},
		{"a typed orchestration mixes texts and values", mixedInTyped},
		{"an orchestration of texts mixes texts and values", mixedInText},
		{"a start takes the latest version or an exact one", versionsOfStarts},
		{"a child takes an explicit version or that of the policy", versionsOfChildren},
		{"continue-as-new upgrades to another version", versionUpgrade},
		{"cancelling a parent cancels its children", cancelCascade},
		{"an error of an activity reaches the client", basicError},
		{"errors cross nested functions", nestedError},
		{"a failed step is tried another way", errorRecovery},
		{"an eternal orchestration keeps itself small", eternal},
		{"a configuration is reloaded from a mailbox", hotReload},
		{"tags send activities to their workers", tagRouting},
		{"a tag without workers does not starve its orchestration", tagStarvation},
		{"two processes with different tags cooperate", tagCooperation},
		{"requests and responses travel through values", valueRequestResponse},
		{"one orchestration reads the values of another", valueAcross},
		{"a counter is read, changed and written over executions", valueCounter},
		{"an instance has statistics", statistics},
	})
}
