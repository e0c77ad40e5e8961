package replay

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/pawlrun/pawl/history"
)

var nothing history.Payload

func cancelRequest(reason string) Message {
	return Message{Order: 99, Event: &history.CancelRequested{Reason: reason}}
}

// answered awaits a future and says how it ended.
func answered(x *Execution, f *Future) string {
	if _, err := x.Await(f); err != nil {
		return err.Error()
	}
	result, failure, _ := f.Answer()
	if failure != nil {
		return string(failure.Kind) + " " + failure.Message
	}
	return string(result.Data)
}

// endOf returns the result that a completed turn has recorded.
func endOf(t *testing.T, out Outcome) string {
	t.Helper()
	done, ok := out.Events[len(out.Events)-1].(*history.ExecutionCompleted)
	if !ok {
		t.Fatalf("ended with %s", types(out.Events))
	}
	return string(done.Result.Data)
}

func TestCancelledWhileOpen(t *testing.T) {
	options := &history.ActivityOptions{ScheduleToStart: time.Minute, ScheduleToClose: time.Hour}
	out, x := run(t, func(x *Execution, _ history.Payload) (history.Payload, error) {
		a, timer, e := x.Root().Activity("a", nothing, options), x.Root().Timer(time.Hour), x.Root().Event("e")
		kept := x.NewScope(nil).Event("e")
		log := answered(x, a) + ";" + answered(x, timer) + ";" + answered(x, e) + ";" + answered(x, kept)
		if x.Root().Activity("late", nothing, nil).Ready() {
			return text(log), nil
		}
		return text("a cancelled scope takes more"), nil
	}, []history.Event{started()}, Input{Fresh: true})
	if len(out.Timeouts) != 2 || out.Timeouts[0].Number != 1 || !out.Timeouts[0].UnlessStarted || out.Timeouts[1].Number != -2 || out.Timeouts[1].UnlessStarted {
		t.Fatalf("timeouts %+v", out.Timeouts)
	}
	out = turn(t, x, Input{Messages: []Message{cancelRequest("enough")}})
	if got := types(out.Events); got != "TurnStarted CancelRequested Cancelled Cancelled Cancelled" {
		t.Fatal(got)
	}
	if !reflect.DeepEqual(out.CancelWork, []int32{1}) || !reflect.DeepEqual(out.CancelTimers, []int32{1, -2, 2}) || !reflect.DeepEqual(out.Waits, []string{"e"}) {
		t.Fatalf("work %v, timers %v, waits %v", out.CancelWork, out.CancelTimers, out.Waits)
	}
	// The wait that was withdrawn takes nothing; what comes late answers nothing.
	out = turn(t, x, Input{Messages: []Message{completed(1), cancelRequest("again"), raised(5, "e", "m")}})
	if got := endOf(t, out); got != `"cancelled enough;cancelled enough;cancelled enough;\"m\""` {
		t.Errorf("got %s", got)
	}
	if len(out.Consumed) != 3 {
		t.Errorf("consumed %d", len(out.Consumed))
	}
}

func TestCancelledBeforeTheFirstTurn(t *testing.T) {
	fn := func(x *Execution, _ history.Payload) (history.Payload, error) {
		if why := answered(x, x.Root().Activity("a", nothing, nil)); why != "cancelled too late" {
			return history.Payload{}, fmt.Errorf("activity: %s", why)
		}
		return history.Payload{}, errCancelled
	}
	recorded := []history.Event{started()}
	out, _ := run(t, fn, recorded, Input{Messages: []Message{raised(1, "e", "m"), cancelRequest("too late")}})
	if got := types(out.Events); got != "TurnStarted CancelRequested ExecutionCancelled" || out.Status != Cancelled || len(out.Consumed) != 1 {
		t.Fatalf("%s, %+v", got, out)
	}
	if out, _ = run(t, fn, append(recorded, out.Events...), Input{ReplayOnly: true}); out.Status != Cancelled || out.Divergence != nil {
		t.Fatalf("%+v", out)
	}
}

// TestStatusOfCancelled: only an execution that was asked to end, and says that it did, is cancelled.
func TestStatusOfCancelled(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		asked  bool
		status Status
	}{{"asked and done", errCancelled, true, Cancelled}, {"not asked", errCancelled, false, Failed}, {"other failure", fmt.Errorf("x"), true, Failed},
		{"asked and ignored", nil, true, Completed}} {
		t.Run(tt.name, func(t *testing.T) {
			var messages []Message
			if tt.asked {
				messages = append(messages, cancelRequest(""))
			}
			out, _ := run(t, func(*Execution, history.Payload) (history.Payload, error) { return history.Payload{}, tt.err },
				[]history.Event{started()}, Input{Messages: messages})
			if out.Status != tt.status {
				t.Errorf("status %d, events %s", out.Status, types(out.Events))
			}
		})
	}
}

func TestWithdrawnInItsTurn(t *testing.T) {
	out, x := run(t, func(x *Execution, _ history.Payload) (history.Payload, error) {
		options := &history.ActivityOptions{ScheduleToClose: time.Hour}
		a, b, timer := x.Root().Activity("a", nothing, options), x.Root().Activity("b", nothing, nil), x.Root().Timer(time.Hour)
		a.Cancel("changed my mind")
		a.Cancel("twice")
		timer.Cancel("")
		return text(answered(x, a)), await2(x, b)
	}, []history.Event{started()}, Input{Fresh: true})
	if got := types(out.Events); got != "ActivityScheduled ActivityScheduled TimerScheduled Cancelled Cancelled" {
		t.Fatal(got)
	}
	// The store never hears of what was withdrawn at once.
	if len(out.Activities) != 1 || out.Activities[0].Number != 2 || len(out.Timers)+len(out.Timeouts)+len(out.CancelWork)+len(out.CancelTimers) != 0 {
		t.Fatalf("%+v", out)
	}
	if out = turn(t, x, Input{Messages: []Message{completed(2)}}); endOf(t, out) != `"cancelled changed my mind"` {
		t.Error(endOf(t, out))
	}
}

func await2(x *Execution, f *Future) error {
	_, err := x.Await(f)
	return err
}

func childDone(n int32, failure *history.Failure) Message {
	if failure != nil {
		return Message{Order: int64(n), Execution: 1, Event: &history.ChildFailed{Scheduled: n, Failure: *failure}}
	}
	return Message{Order: int64(n), Execution: 1, Event: &history.ChildCompleted{Scheduled: n, Result: text("child")}}
}

// TestAnswerForAnother: the child of an instance that had the id before answers nobody here.
func TestAnswerForAnother(t *testing.T) {
	_, x := run(t, func(x *Execution, _ history.Payload) (history.Payload, error) {
		return text(answered(x, x.Root().Child(history.ChildScheduled{Name: "c"}))), nil
	}, []history.Event{started()}, Input{Fresh: true})
	m := Message{Order: 1, Execution: 1, Event: &history.ChildFailed{Scheduled: 1, For: "ffeeddccbbaa99887766554433221100"}}
	if out := turn(t, x, Input{Messages: []Message{m}}); len(out.Consumed) != 1 || types(out.Events) != "TurnStarted" {
		t.Fatal(types(out.Events))
	}
	m = Message{Order: 2, Execution: 1, Event: &history.ChildCompleted{Scheduled: 1, Result: text("mine"), For: started().ExecutionID}}
	out := turn(t, x, Input{Messages: []Message{m}})
	if got := out.Events[1].(*history.ChildCompleted); got.For != "" || endOf(t, out) != `"\"mine\""` {
		t.Errorf("%+v, %s", got, endOf(t, out))
	}
}

// TestCancelledChild: a child is asked to end, and whatever its end is answers the parent.
func TestCancelledChild(t *testing.T) {
	_, x := run(t, func(x *Execution, _ history.Payload) (history.Payload, error) {
		return text(answered(x, x.Root().Child(history.ChildScheduled{Name: "c", InstanceID: "kid", Close: history.CloseCancel}))), nil
	}, []history.Event{started()}, Input{Fresh: true})
	out := turn(t, x, Input{Messages: []Message{cancelRequest("stop")}})
	if got := types(out.Events); got != "TurnStarted CancelRequested Cancelled" || !reflect.DeepEqual(out.ChildCancels, []ChildCancel{{1, "kid", "stop"}}) {
		t.Fatalf("%s, %v", got, out.ChildCancels)
	}
	out = turn(t, x, Input{Messages: []Message{childDone(1, nil)}})
	if endOf(t, out) != `"\"child\""` || len(out.ChildCancels) != 0 {
		t.Errorf("%s, %v", endOf(t, out), out.ChildCancels)
	}
}

// TestParentClose ends parents in every way before their children.
func TestParentClose(t *testing.T) {
	for name, end := range map[string]func() error{
		"returns": func() error { return nil }, "fails": func() error { return fmt.Errorf("no") }, "panics": func() error { panic("no") },
		"continues": func() error { return &ContinueAsNew{} },
	} {
		t.Run(name, func(t *testing.T) {
			fn := func(x *Execution, _ history.Payload) (history.Payload, error) {
				x.Root().Child(history.ChildScheduled{Name: "c", InstanceID: "wait", Close: history.CloseWait})
				x.Root().Child(history.ChildScheduled{Name: "c", InstanceID: "cancel", Close: history.CloseCancel})
				x.Root().Child(history.ChildScheduled{Name: "c", InstanceID: "abandon"})
				x.Root().Child(history.ChildScheduled{Name: "c", InstanceID: "detached", Close: history.CloseWait, Detached: true})
				return history.Payload{}, end()
			}
			recorded := []history.Event{started()}
			out, x := run(t, fn, recorded, Input{Fresh: true})
			if out.Status != Running || len(out.Children) != 4 || len(out.ChildCancels) != 0 {
				t.Fatalf("ended before its child: %+v", out)
			}
			recorded = append(recorded, out.Events...)
			out = turn(t, x, Input{Messages: []Message{childDone(1, &history.Failure{Kind: history.FailureTerminated})}})
			if out.Status == Running || !reflect.DeepEqual(out.ChildCancels, []ChildCancel{{2, "cancel", "the parent has ended"}}) {
				t.Fatalf("%+v", out)
			}
			again, _ := run(t, fn, append(recorded, out.Events...), Input{ReplayOnly: true})
			if again.Divergence != nil || again.Status != out.Status {
				t.Fatalf("%+v", again)
			}
		})
	}
}

// TestTimeouts has the timers that bound an activity fire, or not.
func TestTimeouts(t *testing.T) {
	fn := func(x *Execution, _ history.Payload) (history.Payload, error) {
		return text(answered(x, x.Root().Activity("a", nothing, &history.ActivityOptions{ScheduleToStart: time.Minute, ScheduleToClose: time.Hour}))), nil
	}
	fired := func(n int32) Message {
		return Message{Order: 3, Execution: 1, Event: &history.TimerFired{Scheduled: n}}
	}
	for _, tt := range []struct {
		name         string
		messages     []Message
		end          string
		work, timers []int32
	}{
		{"completed", []Message{completed(1), fired(1), fired(-2)}, `"\"r\""`, nil, []int32{1, -2}},
		{"not started", []Message{fired(1), completed(1)}, `"timeout the schedule-to-start timeout has passed"`, []int32{1}, []int32{1, -2}},
		{"not closed", []Message{fired(-2), fired(1)}, `"timeout the schedule-to-close timeout has passed"`, []int32{1}, []int32{1, -2}},
		{"other timer", []Message{fired(-1), fired(7), completed(1)}, `"\"r\""`, nil, []int32{1, -2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, x := run(t, fn, []history.Event{started()}, Input{Fresh: true})
			recorded := append([]history.Event{started()}, out.Events...)
			out = turn(t, x, Input{Messages: tt.messages})
			if endOf(t, out) != tt.end || !reflect.DeepEqual(out.CancelWork, tt.work) || !reflect.DeepEqual(out.CancelTimers, tt.timers) {
				t.Fatalf("end %s, work %v, timers %v", endOf(t, out), out.CancelWork, out.CancelTimers)
			}
			if again, _ := run(t, fn, append(recorded, out.Events...), Input{ReplayOnly: true}); again.Divergence != nil || again.Status != Completed {
				t.Fatalf("%+v", again)
			}
		})
	}
}

// TestTerminated replays what the store has ended without the code: the code stands where it stood.
func TestTerminated(t *testing.T) {
	recorded := append([]history.Event{}, divergenceBase...)
	out, x := run(t, two, append(recorded, &history.ExecutionTerminated{Reason: "r"}), Input{ReplayOnly: true})
	if out.Divergence != nil || out.Status != Running || !reflect.DeepEqual(out.Waits, []string{"go"}) {
		t.Fatalf("%+v", out)
	}
	if x.Known() != int32(len(recorded)) {
		t.Errorf("knows %d", x.Known())
	}
}

// TestContinuedWithState carries a request to cancel, values and seen messages over.
func TestContinuedWithState(t *testing.T) {
	version := "2.0.0"
	out, _ := run(t, func(x *Execution, _ history.Payload) (history.Payload, error) {
		x.SetValue("a", text("1"))
		x.SetValue("b", text("2"))
		x.SetValue("a", history.Payload{})
		if !x.Value("a").IsZero() || string(x.Value("b").Data) != `"2"` || x.ValueCount() != 1 {
			return history.Payload{}, fmt.Errorf("values %v", x.values)
		}
		if why := x.Root().Cancelled(); why == nil || why.Message != "r" {
			return history.Payload{}, fmt.Errorf("cancelled: %v", why)
		}
		return history.Payload{}, &ContinueAsNew{Input: text("next"), Version: &version}
	}, []history.Event{started()}, Input{Messages: []Message{cancelRequest("r")}})
	if out.Next == nil || out.Next.Version != version || out.Next.Cancelled == nil || out.Next.Cancelled.Reason != "r" || len(out.Next.Values) != 1 ||
		string(out.Next.Input.Data) != `"next"` || out.Next.Name != "o" {
		t.Fatalf("%s: %+v", types(out.Events), out.Next)
	}
	if got := out.Values["a"]; !got.Data.IsZero() || len(out.Values) != 2 {
		t.Errorf("values %v", out.Values)
	}
	next := *out.Next
	next.ExecutionID, next.StartedAt = started().ExecutionID, t0
	out, _ = run(t, func(x *Execution, _ history.Payload) (history.Payload, error) {
		return text(answered(x, x.Root().Timer(time.Hour)) + string(x.Value("b").Data)), nil
	}, []history.Event{&next}, Input{})
	if endOf(t, out) != `"cancelled r\"2\""` {
		t.Error(endOf(t, out))
	}
}
