package history

import "testing"

func TestOutcomeOf(t *testing.T) {
	ends := map[string]bool{}
	for _, ev := range every() {
		result, failure, ended := OutcomeOf(ev)
		switch ev := ev.(type) {
		case *ExecutionCompleted:
			if !ended || failure != nil || result.Encoding != ev.Result.Encoding {
				t.Errorf("%+v: %v %v", ev, result, failure)
			}
		case *ExecutionFailed, *ExecutionCancelled, *ExecutionTerminated:
			if !ended || failure == nil || !result.IsZero() {
				t.Errorf("%+v: %v %v", ev, result, failure)
			}
		default:
			if ended || failure != nil {
				t.Errorf("%+v ends", ev)
			}
		}
		ends[ev.Type()] = ends[ev.Type()] || ended
	}
	if len(ends) < 20 {
		t.Errorf("%d types", len(ends))
	}
	if _, failure, _ := OutcomeOf(&ExecutionTerminated{Reason: "r"}); failure.Kind != FailureTerminated || failure.Message != "r" {
		t.Errorf("%+v", failure)
	}
}
