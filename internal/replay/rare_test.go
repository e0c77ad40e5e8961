package replay

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/pawlrun/pawl/history"
)

// TestSilentFirstTurnReplays: an eager first turn that records nothing leaves no TurnStarted behind; the code must not see the
// time or the cancellation of its second turn when it is replayed.
func TestSilentFirstTurnReplays(t *testing.T) {
	fn := func(x *Execution, _ history.Payload) (history.Payload, error) {
		begun, cancelled, length := x.Now(), x.Root().Cancelled() != nil, x.HistoryLength()
		done := false
		x.HandleUpdate("finish", Update{Handle: func(history.Payload) (history.Payload, error) { done = true; return nothing, nil }})
		if err := x.AwaitUntil(x.NewScope(nil), func() bool { return done }); err != nil {
			return nothing, err
		}
		return text(fmt.Sprint(begun.Sub(t0), cancelled, length)), nil
	}
	out, x := run(t, fn, []history.Event{started()}, Input{Fresh: true})
	if got := types(out.Events); got != "TurnStarted" || !out.Silent {
		t.Fatalf("recorded %s", got)
	}
	begun := started()
	begun.Begun = true
	recorded := append([]history.Event{begun}, out.Events...)
	out = turn(t, x, Input{At: t0.Add(time.Hour), Messages: []Message{cancelRequest("stop")}})
	recorded = append(recorded, out.Events...)
	last := Input{At: t0.Add(2 * time.Hour), Messages: []Message{updated(1, "u", "finish", "")}}
	want := endOf(t, turn(t, x, last))
	out, _ = run(t, fn, recorded, last)
	if got := endOf(t, out); got != want {
		t.Errorf("began with %s, in the replay with %s", want, got)
	}
}

// TestEventsWhileChildrenAreWaitedFor: code that has returned takes no events, not for waits that it left open either; the
// next execution gets them.
func TestEventsWhileChildrenAreWaitedFor(t *testing.T) {
	fn := func(x *Execution, _ history.Payload) (history.Payload, error) {
		x.Root().Child(history.ChildScheduled{Name: "c", Close: history.CloseWait})
		x.Root().Event("e")
		return nothing, &ContinueAsNew{Input: text("next")}
	}
	out, x := run(t, fn, []history.Event{started()}, Input{Fresh: true})
	if len(out.Waits) != 0 {
		t.Errorf("waits for %v", out.Waits)
	}
	out = turn(t, x, Input{Messages: []Message{raised(5, "e", "m"),
		{Order: 6, Execution: 1, Event: &history.ChildCompleted{Scheduled: 1}}}})
	if out.Status != ContinuedAsNew || len(out.Consumed) != 1 || out.Consumed[0].Order != 6 {
		t.Errorf("%s, consumed %+v", types(out.Events), out.Consumed)
	}
}

// TestUpdateEndsItsGoroutine: children that are to be waited for are, also when the code of an update has ended the execution.
func TestUpdateEndsItsGoroutine(t *testing.T) {
	fn := func(x *Execution, _ history.Payload) (history.Payload, error) {
		x.Root().Child(history.ChildScheduled{Name: "c", Close: history.CloseWait})
		x.HandleUpdate("quit", Update{Handle: func(history.Payload) (history.Payload, error) { runtime.Goexit(); return nothing, nil }})
		return nothing, errors.Join(x.AwaitUntil(x.Root(), func() bool { return false }))
	}
	out, x := run(t, fn, []history.Event{started()}, Input{Fresh: true})
	recorded := append([]history.Event{x.Started()}, out.Events...)
	out = turn(t, x, Input{Messages: []Message{updated(1, "u", "quit", "")}})
	recorded = append(recorded, out.Events...)
	if out.Status != Running {
		t.Fatalf("ended before its child: %s", types(out.Events))
	}
	answer := Input{Messages: []Message{{Order: 6, Execution: 1, Event: &history.ChildCompleted{Scheduled: 1}}}}
	if out = turn(t, x, answer); out.Status != Failed {
		t.Errorf("%s", types(out.Events))
	}
	if out, _ = run(t, fn, recorded, answer); out.Status != Failed {
		t.Errorf("replayed: %+v", out)
	}
}
