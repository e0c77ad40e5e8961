package replay

import (
	"fmt"

	"github.com/pawlrun/pawl/history"
)

// Limits bound what a turn may add to a history. They hold for what is new; what is recorded is never measured, so that they
// may change at any time. Zero is no limit.
type Limits struct {
	// HistoryEvents bounds the events of the execution, its end not counted.
	HistoryEvents int
	// TurnEvents bounds what the code issues in one turn, TurnBytes the payloads of that together.
	TurnEvents, TurnBytes int
}

// What the limits are about, as it stands in the failure.
const (
	LimitHistory   = "events in the history"
	LimitTurn      = "events scheduled in one turn"
	LimitTurnBytes = "payload bytes scheduled in one turn"
)

// advice says what to do about a limit.
var advice = map[string]string{
	LimitHistory:   "Options.Limits.HistoryEvents; continue as new before it is reached",
	LimitTurn:      "Options.Limits.TurnEvents; is there a loop that does not await?",
	LimitTurnBytes: "Options.Limits.TurnBytes; await some before scheduling more",
}

// exceed fails the execution because of a limit, and ends its code. It is for the coroutine.
func (x *Execution) exceed(what string, size, limit int) {
	x.fail(history.Failure{Kind: history.FailureLimit, Exceeded: &history.Exceeded{What: what, Size: int64(size), Limit: int64(limit)},
		Message: fmt.Sprintf("%s: %d is over the limit of %d (%s)", what, size, limit, advice[what])})
	x.stop()
}

// append records a new event, unless the history is full.
func (x *Execution) append(ev history.Event) {
	if limit := x.limits.HistoryEvents; limit > 0 && int(x.next) >= limit {
		x.exceed(LimitHistory, int(x.next)+1, limit)
	}
	x.put(ev)
}

// weigh counts a command that is about to be recorded as part of the turn.
func (x *Execution) weigh(ev history.Event) {
	x.issued++
	if limit := x.limits.TurnEvents; limit > 0 && x.issued > limit {
		x.exceed(LimitTurn, x.issued, limit)
	}
	x.issuedBytes += payloadBytes(ev)
	if limit := x.limits.TurnBytes; limit > 0 && x.issuedBytes > limit {
		x.exceed(LimitTurnBytes, x.issuedBytes, limit)
	}
}

// payloadBytes is the size of what a command brings.
func payloadBytes(ev history.Event) int {
	switch ev := ev.(type) {
	case *history.ActivityScheduled:
		return ev.Input.Size()
	case *history.ChildScheduled:
		n := ev.Input.Size()
		for _, v := range ev.Values {
			n += v.Data.Size()
		}
		return n
	case *history.EventSent:
		return ev.Payload.Size()
	case *history.UpdateAnswered:
		return ev.Result.Size()
	}
	return 0
}

// recordedLimit returns the recorded end of an execution that a limit has ended, if that is what comes next: the code would
// go on, the history does not.
func (x *Execution) recordedLimit() *history.ExecutionFailed {
	if failed, _ := x.nextRecorded().(*history.ExecutionFailed); failed != nil && failed.Failure.Kind == history.FailureLimit {
		return failed
	}
	return nil
}

// stopAtLimit ends the code where a limit has ended it before.
func (x *Execution) stopAtLimit() {
	if failed := x.recordedLimit(); failed != nil {
		x.fail(failed.Failure)
		x.stop()
	}
}
