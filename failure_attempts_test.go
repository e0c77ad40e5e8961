package pawl

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/pawlrun/pawl/history"
)

// TestAttemptsOfAnActivity: a single attempt is not stored, and told all the same, also beyond the next border.
func TestAttemptsOfAnActivity(t *testing.T) {
	for name, c := range map[string]struct {
		failure history.Failure
		want    int
	}{
		"once":                          {history.Failure{Kind: history.FailureError, Type: "*errors.errorString", Message: "no"}, 1},
		"often":                         {history.Failure{Kind: history.FailureError, Type: "*errors.errorString", Message: "no", Attempts: 3}, 3},
		"one took too long":             {history.Failure{Kind: history.FailureTimeout, Timeout: history.TimeoutStartToClose}, 1},
		"never begun":                   {history.Failure{Kind: history.FailureTimeout, Timeout: history.TimeoutScheduleToStart}, 0},
		"time over":                     {history.Failure{Kind: history.FailureTimeout, Timeout: history.TimeoutScheduleToClose}, 0},
		"time over after some":          {history.Failure{Kind: history.FailureTimeout, Timeout: history.TimeoutScheduleToClose, Attempts: 2}, 2},
		"cancelled":                     {history.Failure{Kind: history.FailureCancelled, Message: "enough"}, 0},
		"returned that it is cancelled": {history.Failure{Kind: history.FailureCancelled, Type: "*pawl.CancelledError", Message: "enough"}, 1},
	} {
		failed := restoreFailure(&c.failure)
		if got := failed.begun(); got != c.want {
			t.Errorf("%s: %d attempts, want %d", name, got, c.want)
		}
		recorded := recordFailure(&ActivityError{Activity: "a", Attempts: c.want, Err: failed})
		stored, err := json.Marshal(recorded)
		if err != nil || strings.Contains(string(stored), `"attempts"`) != (c.want > 1) {
			t.Errorf("%s: stored as %s, %v", name, stored, err)
		}
		var beyond *ActivityError
		if !errors.As(restoreFailure(&recorded), &beyond) || beyond.Attempts != c.want {
			t.Errorf("%s: beyond the next border %+v, want %d attempts", name, beyond, c.want)
		}
	}
}
