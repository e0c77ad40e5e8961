package replay

import (
	"fmt"
	"testing"
	"time"

	"github.com/pawlrun/pawl/history"
)

// schedules issues n timers and ends.
func schedules(n int) Function {
	return func(x *Execution, _ history.Payload) (history.Payload, error) {
		for range n {
			x.Root().Timer(time.Hour)
		}
		return text("done"), nil
	}
}

// weighs issues commands with payloads of 10 bytes, n of them, and ends.
func weighs(n int) Function {
	return func(x *Execution, _ history.Payload) (history.Payload, error) {
		p := text("12345678") // 10 bytes
		for i := range n {
			switch i % 3 {
			case 0:
				x.Root().Activity("a", p, nil)
			case 1:
				x.Root().Child(history.ChildScheduled{Name: "c", Input: p})
			default:
				x.Send(history.EventSent{InstanceID: "i", Name: "e", Payload: p})
			}
		}
		return text("done"), nil
	}
}

// awaits takes n events.
func awaits(n int) Function {
	return func(x *Execution, _ history.Payload) (history.Payload, error) {
		for range n {
			if _, err := x.Await(x.Root().Event("e")); err != nil {
				return history.Payload{}, err
			}
		}
		return text("done"), nil
	}
}

// patches passes n patches.
func patches(n int) Function {
	return func(x *Execution, _ history.Payload) (history.Payload, error) {
		for i := range n {
			x.Patched(fmt.Sprint(i))
		}
		return text("done"), nil
	}
}

// withdraws cancels n timers.
func withdraws(n int) Function {
	return func(x *Execution, _ history.Payload) (history.Payload, error) {
		for range n {
			x.Root().Timer(time.Hour).Cancel("")
		}
		return text("done"), nil
	}
}

// TestLimitsOfTurns: what just fits is fine, what does not ends the execution with the limit, and both replay to the same end
// whatever the limits are then.
func TestLimitsOfTurns(t *testing.T) {
	for name, test := range map[string]struct {
		fn     Function
		limits Limits
		what   string // "" if it fits
		size   int64
		events int // recorded, the start among them
	}{
		"no limit":                  {schedules(50), Limits{}, "", 0, 52},
		"history just fits":         {schedules(19), Limits{HistoryEvents: 20}, "", 0, 21},
		"history does not fit":      {schedules(20), Limits{HistoryEvents: 20}, LimitHistory, 21, 21},
		"patches fit":               {patches(19), Limits{HistoryEvents: 20}, "", 0, 21},
		"patches do not fit":        {patches(20), Limits{HistoryEvents: 20}, LimitHistory, 21, 21},
		"cancellations do not fit":  {withdraws(10), Limits{HistoryEvents: 20}, LimitHistory, 21, 21},
		"turn just fits":            {schedules(20), Limits{TurnEvents: 20}, "", 0, 22},
		"turn does not fit":         {schedules(21), Limits{TurnEvents: 20}, LimitTurn, 21, 22},
		"bytes just fit":            {weighs(9), Limits{TurnBytes: 90}, "", 0, 11},
		"bytes do not fit":          {weighs(10), Limits{TurnBytes: 90}, LimitTurnBytes, 100, 11},
		"one byte too many":         {weighs(9), Limits{TurnBytes: 89}, LimitTurnBytes, 90, 10},
		"a wait is a command":       {awaits(3), Limits{TurnEvents: 2}, LimitTurn, 3, 6},
		"waits fit":                 {awaits(3), Limits{TurnEvents: 3}, "", 0, 8},
		"messages are no commands":  {awaits(10), Limits{TurnEvents: 10, TurnBytes: 1}, "", 0, 22},
		"messages are events":       {awaits(10), Limits{HistoryEvents: 21}, "", 0, 22},
		"a message too many":        {awaits(10), Limits{HistoryEvents: 20}, LimitHistory, 21, 21},
		"limit of one, nothing new": {schedules(0), Limits{HistoryEvents: 1, TurnEvents: 1, TurnBytes: 1}, "", 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var messages []Message
			for i := range 10 {
				messages = append(messages, raised(int64(i+1), "e", fmt.Sprint("m", i)))
			}
			out, x := run(t, test.fn, []history.Event{started()}, Input{Fresh: true, Limits: test.limits, Messages: messages})
			if !x.Gone() {
				t.Error("the coroutine is there yet")
			}
			full := append([]history.Event{started()}, out.Events...)
			if len(full) != test.events {
				t.Errorf("%d events, want %d: %s", len(full), test.events, types(full))
			}
			checkLimit(t, out, full, test.what, test.size)
			for _, limits := range []Limits{{}, {HistoryEvents: 1, TurnEvents: 1, TurnBytes: 1}} {
				again, _ := run(t, test.fn, full, Input{ReplayOnly: true, Limits: limits})
				if again.Divergence != nil || again.Status != out.Status || len(again.Events) != 0 {
					t.Errorf("replay with %+v: %+v", limits, again)
				}
			}
		})
	}
}

func checkLimit(t *testing.T, out Outcome, full []history.Event, what string, size int64) {
	t.Helper()
	failed, _ := full[len(full)-1].(*history.ExecutionFailed)
	switch {
	case what == "" && out.Status != Completed:
		t.Errorf("status %v, want completed", out.Status)
	case what == "":
	case out.Status != Failed || failed == nil || failed.Failure.Kind != history.FailureLimit:
		t.Errorf("status %v, last event %+v", out.Status, full[len(full)-1])
	case failed.Failure.Exceeded == nil || failed.Failure.Exceeded.What != what || failed.Failure.Exceeded.Size != size || failed.Failure.Message == "":
		t.Errorf("failure %+v, %+v; want %s %d", failed.Failure, failed.Failure.Exceeded, what, size)
	}
}

// TestHistoryFullBetweenTurns: a history that is full cannot take another turn; what was open is dropped, and a limit that
// was lowered below what is there ends the execution in the same way.
func TestHistoryFullBetweenTurns(t *testing.T) {
	for _, limit := range []int{1, 2, 3} {
		out, x := run(t, two, []history.Event{started()}, Input{Fresh: true})
		if out.Status != Running {
			t.Fatal("not running")
		}
		full := append([]history.Event{started()}, out.Events...)
		out = turn(t, x, Input{Messages: []Message{completed(1)}, Limits: Limits{HistoryEvents: limit}})
		full = append(full, out.Events...)
		if limit > int(x.Known()) {
			t.Fatal("the test needs a longer history")
		}
		if limit < 3 {
			if n := len(out.Events); n != 1 {
				t.Errorf("limit %d: %d events: %s", limit, n, types(out.Events))
			}
			checkLimit(t, out, full, LimitHistory, int64(len(full)))
			if len(out.CancelWork) == 0 {
				t.Errorf("limit %d: the open activity is not dropped", limit)
			}
		}
		again, _ := run(t, two, full, Input{ReplayOnly: true})
		if again.Divergence != nil || again.Status != out.Status {
			t.Errorf("limit %d: replay of %s: %+v", limit, types(full), again)
		}
	}
}

// TestUpdateMeetsLimit: an update whose answer does not fit ends the execution, and that replays.
func TestUpdateMeetsLimit(t *testing.T) {
	fn := func(x *Execution, _ history.Payload) (history.Payload, error) {
		x.HandleUpdate("u", Update{Handle: func(history.Payload) (history.Payload, error) {
			x.Root().Timer(time.Hour)
			return text("answer"), nil
		}})
		_, err := x.Await(x.Root().Event("end"))
		return text("done"), err
	}
	for limit, want := range map[int]Status{3: Failed, 4: Failed, 5: Failed, 6: Running} {
		out, x := run(t, fn, []history.Event{started()}, Input{Fresh: true})
		full := append([]history.Event{started()}, out.Events...)
		update := Message{Order: 1, Event: &history.UpdateReceived{ID: "1", Name: "u", Payload: text("in")}}
		out = turn(t, x, Input{Messages: []Message{update}, Limits: Limits{HistoryEvents: limit}})
		full = append(full, out.Events...)
		if out.Status != want || out.Divergence != nil {
			t.Errorf("limit %d: %s, status %v", limit, types(full), out.Status)
		}
		again, _ := run(t, fn, full, Input{ReplayOnly: true})
		if again.Divergence != nil || again.Status != want {
			t.Errorf("limit %d: replay of %s: %+v", limit, types(full), again)
		}
	}
}

// TestLongHistoryReplays: a history of the default limit replays as it was.
func TestLongHistoryReplays(t *testing.T) {
	const rounds = 166_000 // three events each
	fn := func(x *Execution, _ history.Payload) (history.Payload, error) {
		for range rounds {
			if _, err := x.Await(x.Root().Activity("a", history.Payload{}, nil)); err != nil {
				return history.Payload{}, err
			}
		}
		return text("done"), nil
	}
	recorded := make([]history.Event, 0, 3*rounds+2)
	recorded = append(recorded, started())
	for range rounds {
		n := int32(len(recorded))
		recorded = append(recorded, &history.ActivityScheduled{Name: "a"}, &history.TurnStarted{At: t0}, &history.ActivityCompleted{Scheduled: n})
	}
	recorded = append(recorded, &history.ExecutionCompleted{Result: text("done")})
	out, _ := run(t, fn, recorded, Input{ReplayOnly: true})
	if out.Divergence != nil || out.Status != Completed || len(out.Events) != 0 {
		t.Fatalf("%+v", out)
	}
}
