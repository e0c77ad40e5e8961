package replay

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pawlrun/pawl/history"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func text(s string) history.Payload {
	return history.Payload{Encoding: history.EncodingJSON, Data: []byte(fmt.Sprintf("%q", s))}
}

func started() *history.ExecutionStarted {
	return &history.ExecutionStarted{Name: "o", ExecutionID: "00112233445566778899aabbccddeeff", Input: text("in"), StartedAt: t0}
}

// errCancelled is an error that is recorded as a cancellation.
var errCancelled = errors.New("cancelled")

func failureOf(err error) history.Failure {
	if errors.Is(err, errCancelled) {
		return history.Failure{Kind: history.FailureError, Message: err.Error(), Cause: &history.Failure{Kind: history.FailureCancelled}}
	}
	return history.Failure{Kind: history.FailureError, Message: err.Error()}
}

// run plays one turn on a fresh execution.
func run(t *testing.T, fn Function, recorded []history.Event, in Input) (Outcome, *Execution) {
	t.Helper()
	x, err := New("i", 1, recorded, fn, failureOf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, x) })
	return turn(t, x, in), x
}

func turn(t *testing.T, x *Execution, in Input) Outcome {
	t.Helper()
	if in.At.IsZero() {
		in.At = t0
	}
	out, err := x.Turn(in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func closed(t *testing.T, x *Execution) {
	t.Helper()
	if !x.Close(time.After(5 * time.Second)) {
		t.Error("coroutine did not end")
	}
}

// two schedules a and b, awaits both, then waits for an event.
func two(x *Execution, _ history.Payload) (history.Payload, error) {
	a, b := x.Root().Activity("a", text("1"), nil), x.Root().Activity("b", text("2"), nil)
	for _, f := range []*Future{a, b} {
		if _, err := x.Await(f); err != nil {
			return history.Payload{}, err
		}
	}
	e := x.Root().Event("go")
	if _, err := x.Await(e); err != nil {
		return history.Payload{}, err
	}
	result, _, _ := e.Answer()
	return result, nil
}

func completed(event int32) Message {
	return Message{Order: int64(event), Execution: 1, Event: &history.ActivityCompleted{Scheduled: event, Result: text("r")}}
}

func raised(order int64, name, id string) Message {
	return Message{Order: order, Event: &history.EventReceived{Name: name, MessageID: id, Payload: text(id)}}
}

// types lists the types of events, for comparison.
func types(events []history.Event) string {
	var s []string
	for _, ev := range events {
		s = append(s, ev.Type())
	}
	return strings.Join(s, " ")
}

func TestTurnByTurn(t *testing.T) {
	out, x := run(t, two, []history.Event{started()}, Input{Fresh: true})
	if got := types(out.Events); got != "ActivityScheduled ActivityScheduled" {
		t.Fatal(got)
	}
	if len(out.Activities) != 2 || out.Activities[0].Number != 1 || out.Activities[1].Number != 2 {
		t.Fatalf("%+v", out.Activities)
	}
	// An event nobody waits for stays; the answers may come in any order.
	out = turn(t, x, Input{Messages: []Message{raised(7, "go", "m"), completed(2)}})
	if got := types(out.Events); got != "TurnStarted ActivityCompleted" || len(out.Consumed) != 1 || out.Consumed[0].Order != 2 || len(out.Waits) != 0 {
		t.Fatalf("%s, %+v", got, out)
	}
	// Within a turn an event that came before its wait is taken.
	out = turn(t, x, Input{Messages: []Message{raised(7, "go", "m"), completed(1)}})
	if got := types(out.Events); got != "TurnStarted ActivityCompleted EventAwaited EventReceived ExecutionCompleted" || out.Status != Completed {
		t.Fatalf("%s, %+v", got, out)
	}
	if done := out.Events[4].(*history.ExecutionCompleted); string(done.Result.Data) != `"m"` {
		t.Fatalf("%s", done.Result.Data)
	}
	if !x.Gone() {
		t.Fatal("coroutine goes on after the end")
	}
}

// TestReplayIsTheLiveRun feeds a long live run, cut into turns at every possible place, back as history.
func TestReplayIsTheLiveRun(t *testing.T) {
	fn := func(x *Execution, _ history.Payload) (history.Payload, error) {
		var log []string
		for i := range 5 {
			a, b, timer, e := x.Root().Activity("a", text(""), nil), x.Root().Activity("b", text(""), nil), x.Root().Timer(time.Second), x.Root().Event("e")
			first, err := x.Await(e, timer, b, a)
			if err != nil {
				return history.Payload{}, err
			}
			log = append(log, fmt.Sprint(i, first, x.Now().Sub(t0)))
			if _, err := x.Await(a); err != nil {
				return history.Payload{}, err
			}
		}
		return text(strings.Join(log, ";")), nil
	}
	full := []history.Event{started()}
	out, x := run(t, fn, full, Input{Fresh: true})
	full = append(full, out.Events...)
	var open []int32
	for n := int32(1); out.Status == Running; n++ {
		for _, a := range out.Activities {
			open = append(open, a.Number)
		}
		if len(open) == 0 {
			t.Fatal("nothing open")
		}
		msgs := []Message{completed(open[len(open)-1])} // the latest first
		open = open[:len(open)-1]
		if n%3 == 0 {
			msgs = append(msgs, raised(int64(1000+n), "e", fmt.Sprint("m", n)))
		}
		out = turn(t, x, Input{At: t0.Add(time.Duration(n) * time.Minute), Messages: msgs})
		full = append(full, out.Events...)
	}
	again, _ := run(t, fn, full, Input{ReplayOnly: true})
	if again.Divergence != nil || again.Status != Completed || len(again.Events) != 0 {
		t.Fatalf("replay of the whole: %+v", again)
	}
	for cut := 1; cut < len(full); cut++ {
		again, _ := run(t, fn, full[:cut], Input{ReplayOnly: true})
		if again.Divergence != nil && isTurnEnd(full, cut) {
			t.Fatalf("replay of %d events: %+v", cut, again.Divergence)
		}
	}
}

// isTurnEnd reports whether a turn ends before event n.
func isTurnEnd(events []history.Event, n int) bool { return events[n].Type() == "TurnStarted" }

// divergenceBase is the history of two, up to its wait.
var divergenceBase = []history.Event{started(), &history.ActivityScheduled{Name: "a"}, &history.ActivityScheduled{Name: "b"},
	&history.TurnStarted{At: t0}, &history.ActivityCompleted{Scheduled: 2, Result: text("r")}, &history.ActivityCompleted{Scheduled: 1, Result: text("r")},
	&history.EventAwaited{Name: "go"}}

func await(x *Execution, fs ...*Future) (history.Payload, error) {
	for _, f := range fs {
		if _, err := x.Await(f); err != nil {
			return history.Payload{}, err
		}
	}
	return history.Payload{}, nil
}

// divergences are functions that meet a history they did not write.
var divergences = []struct {
	name             string
	fn               Function
	recorded         []history.Event
	event            int32
	expected, actual string
}{
	{"same", two, divergenceBase, 0, "", ""},
	{"other activity", func(x *Execution, _ history.Payload) (history.Payload, error) {
		return await(x, x.Root().Activity("a", text(""), nil), x.Root().Activity("c", text(""), nil))
	}, divergenceBase, 2, `ActivityScheduled("b")`, `ActivityScheduled("c")`},
	{"other kind", func(x *Execution, _ history.Payload) (history.Payload, error) {
		return await(x, x.Root().Timer(1))
	}, divergenceBase, 1, `ActivityScheduled("a")`, "TimerScheduled"},
	{"awaits too early", func(x *Execution, _ history.Payload) (history.Payload, error) {
		return await(x, x.Root().Activity("a", text(""), nil))
	}, divergenceBase, 2, `ActivityScheduled("b")`, "await"},
	{"schedules too much", func(x *Execution, _ history.Payload) (history.Payload, error) {
		return await(x, x.Root().Activity("a", text(""), nil), x.Root().Activity("b", text(""), nil), x.Root().Activity("c", text(""), nil))
	}, divergenceBase, 3, "TurnStarted", `ActivityScheduled("c")`},
	{"schedules at the end of history", func(x *Execution, in history.Payload) (history.Payload, error) {
		a, b := x.Root().Activity("a", text(""), nil), x.Root().Activity("b", text(""), nil)
		if _, err := await(x, a, b); err != nil {
			return history.Payload{}, err
		}
		return await(x, x.Root().Event("go"), x.Root().Activity("c", text(""), nil))
	}, divergenceBase[:6], 6, "the end of the turn", `EventAwaited("go")`},
	{"returns too early", func(*Execution, history.Payload) (history.Payload, error) { return text("x"), nil },
		divergenceBase, 1, `ActivityScheduled("a")`, "ExecutionCompleted"},
	{"returns at the end of history", func(x *Execution, _ history.Payload) (history.Payload, error) {
		return await(x, x.Root().Activity("a", text(""), nil), x.Root().Activity("b", text(""), nil))
	}, divergenceBase[:6], 6, "the end of the turn", "ExecutionCompleted"},
	{"fails where it completed", func(x *Execution, _ history.Payload) (history.Payload, error) {
		return history.Payload{}, errors.New("no")
	}, []history.Event{started(), &history.ExecutionCompleted{}}, 1, "ExecutionCompleted", "ExecutionFailed(no)"},
	{"panics where it went on", func(x *Execution, _ history.Payload) (history.Payload, error) { panic("no") },
		divergenceBase, 1, `ActivityScheduled("a")`, "ExecutionFailed(no)"},
	{"other child id", func(x *Execution, _ history.Payload) (history.Payload, error) {
		return await(x, x.Root().Child(history.ChildScheduled{Name: "c", InstanceID: "id2", Input: text("")}))
	}, []history.Event{started(), &history.ChildScheduled{Name: "c", InstanceID: "id1"}}, 1, `ChildScheduled("c", instance "id1")`, `ChildScheduled("c", instance "id2")`},
	{"answer to nothing", two, []history.Event{started(), divergenceBase[1], divergenceBase[2], &history.TurnStarted{At: t0}, &history.ActivityCompleted{Scheduled: 9}},
		4, "ActivityCompleted(of event 9)", "ActivityCompleted answers event 9, which is not open"},
	{"answer of the wrong kind", two, []history.Event{started(), divergenceBase[1], divergenceBase[2], &history.TurnStarted{At: t0}, &history.TimerFired{Scheduled: 1}},
		4, "TimerFired(of event 1)", "TimerFired answers event 1, which is not open"},
	{"events after the end", two, []history.Event{started(), divergenceBase[1], divergenceBase[2], &history.ExecutionCompleted{}, divergenceBase[3]},
		3, "ExecutionCompleted", "the orchestration goes on after ExecutionCompleted"},
}

func TestDivergence(t *testing.T) {
	for _, tt := range divergences {
		t.Run(tt.name, func(t *testing.T) {
			out, _ := run(t, tt.fn, tt.recorded, Input{ReplayOnly: true})
			d := out.Divergence
			if tt.expected == "" {
				if d != nil {
					t.Fatalf("%+v", d)
				}
				return
			}
			if d == nil {
				t.Fatalf("no divergence: %+v", out)
			}
			if d.Event != tt.event || d.Expected != tt.expected || d.Actual != tt.actual {
				t.Errorf("got %+v", d)
			}
			if d.Source != "" && !strings.Contains(d.Source, "replay_test.go:") {
				t.Errorf("source %q", d.Source)
			}
			if len(out.Events) != 0 || len(out.Activities) != 0 {
				t.Errorf("a diverged turn has results: %+v", out)
			}
		})
	}
}

func TestDroppedMessages(t *testing.T) {
	_, x := run(t, two, []history.Event{started()}, Input{Fresh: true})
	stale := completed(1)
	stale.Execution = 2
	out := turn(t, x, Input{Messages: []Message{
		stale, // of another execution
		{Order: 20, Execution: 1, Event: &history.ActivityCompleted{Scheduled: 77}}, // of nothing
		{Order: 21, Execution: 1, Event: &history.TimerFired{Scheduled: 1}},         // of the wrong kind
		{Order: 22}, // unreadable
		completed(1), completed(1),
	}})
	if got := types(out.Events); got != "TurnStarted ActivityCompleted" || len(out.Consumed) != 6 {
		t.Fatalf("%s, consumed %d", got, len(out.Consumed))
	}
	out = turn(t, x, Input{Messages: []Message{completed(2)}})
	if !reflect.DeepEqual(out.Waits, []string{"go"}) {
		t.Fatal(out.Waits)
	}
}

func TestEventsAreTakenOnceAndInOrder(t *testing.T) {
	fn := func(x *Execution, _ history.Payload) (history.Payload, error) {
		var got []string
		for range 3 {
			f := x.Root().Event("e")
			if _, err := x.Await(f); err != nil {
				return history.Payload{}, err
			}
			p, _, _ := f.Answer()
			got = append(got, string(p.Data))
		}
		return text(strings.Join(got, "")), &ContinueAsNew{}
	}
	out, _ := run(t, fn, []history.Event{started()}, Input{Messages: []Message{
		raised(1, "e", "a"), raised(2, "other", "x"), raised(3, "e", "a"), raised(4, "e", "b"), raised(5, "e", "c"), raised(6, "e", "d")}})
	var got []string
	for _, ev := range out.Events {
		if r, ok := ev.(*history.EventReceived); ok {
			got = append(got, r.MessageID)
		}
	}
	if fmt.Sprint(got) != "[a b c]" || out.Status != ContinuedAsNew || len(out.Consumed) != 4 {
		t.Fatalf("%v, %+v", got, out)
	}
	if fmt.Sprint(out.Next.SeenMessages) != "[a b c]" {
		t.Fatalf("carried over: %v", out.Next.SeenMessages)
	}
	// The next execution drops what this one has seen.
	s := started()
	s.SeenMessages = out.Next.SeenMessages
	out, _ = run(t, fn, []history.Event{s}, Input{Messages: []Message{raised(7, "e", "a"), raised(8, "e", "d")}})
	if got := types(out.Events); got != "TurnStarted EventAwaited EventReceived EventAwaited" {
		t.Fatal(got)
	}
}

func TestTimeAndIDsAreReplayed(t *testing.T) {
	var seen []string
	fn := func(x *Execution, _ history.Payload) (history.Payload, error) {
		note := func() { seen = append(seen, fmt.Sprint(x.Now(), x.NewID(), x.Replaying())) }
		note()
		_, err := x.Await(x.Root().Timer(time.Hour))
		note()
		return history.Payload{}, err
	}
	out, x := run(t, fn, []history.Event{started()}, Input{Fresh: true})
	events := append([]history.Event{started()}, out.Events...)
	// The next turn's clock is behind: time does not go backwards.
	out = turn(t, x, Input{At: t0.Add(-time.Hour), Messages: []Message{{Order: 1, Event: &history.TimerFired{Scheduled: 1}}}})
	events = append(events, out.Events...)
	if at := out.Events[0].(*history.TurnStarted).At; !at.Equal(t0) {
		t.Fatalf("turn at %v", at)
	}
	live := seen
	seen = nil
	run(t, fn, events, Input{ReplayOnly: true})
	for i := range live {
		if strings.TrimSuffix(live[i], "false") != strings.TrimSuffix(seen[i], "true") {
			t.Errorf("live %q, replayed %q", live[i], seen[i])
		}
	}
}

func TestEndOfExecutionListsWhatIsOpen(t *testing.T) {
	fn := func(x *Execution, _ history.Payload) (history.Payload, error) {
		x.Root().Activity("a", text(""), nil)
		x.Root().Timer(time.Hour)
		x.Root().Child(history.ChildScheduled{Name: "c", Input: text("")})
		_, err := x.Await(x.Root().Event("go"))
		return history.Payload{}, err
	}
	_, x := run(t, fn, []history.Event{started()}, Input{Fresh: true})
	out := turn(t, x, Input{Messages: []Message{raised(1, "go", "m")}})
	if fmt.Sprint(out.CancelWork, out.CancelTimers) != "[1] [2]" {
		t.Fatalf("%+v", out)
	}
}

func TestRunawayTurnFails(t *testing.T) {
	out, _ := run(t, func(x *Execution, _ history.Payload) (history.Payload, error) {
		for {
			x.Root().Activity("a", history.Payload{}, nil)
		}
	}, []history.Event{started()}, Input{Fresh: true, Limits: Limits{TurnEvents: 1000}})
	if f, ok := out.Events[len(out.Events)-1].(*history.ExecutionFailed); !ok || f.Failure.Kind != history.FailureLimit {
		t.Fatalf("last event %+v", out.Events[len(out.Events)-1])
	}
}

func TestBadHistories(t *testing.T) {
	for name, recorded := range map[string][]history.Event{"empty": nil, "no start": {&history.TurnStarted{}}} {
		if _, err := New("i", 1, recorded, two, failureOf); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzTurns checks over arbitrary interleavings of answers, duplicates and events that what a live run records replays
// without divergence to the same place.
func FuzzTurns(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7})
	f.Add([]byte{9, 9, 9, 0, 0, 200, 13})
	fn := func(x *Execution, _ history.Payload) (history.Payload, error) {
		var fs []*Future
		for i := range 4 {
			fs = append(fs, x.Root().Activity("a", text(""), nil), x.Root().Timer(time.Second), x.Root().Event("e"))
			n, err := x.Await(fs...)
			if err != nil {
				return history.Payload{}, err
			}
			if n%2 == i%2 {
				fs = append(fs[:n:n], fs[n+1:]...)
			}
		}
		return text("done"), nil
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		out, x := run(t, fn, []history.Event{started()}, Input{Fresh: true})
		full := append([]history.Event{started()}, out.Events...)
		for i, b := range script {
			if out.Status != Running {
				break
			}
			n := int32(b % 32)
			msgs := []Message{completed(n), {Order: 1, Event: &history.TimerFired{Scheduled: n}}}
			if b >= 128 {
				msgs = append(msgs, raised(int64(i), "e", fmt.Sprint(b)))
			}
			out = turn(t, x, Input{At: t0.Add(time.Duration(b) * time.Second), Messages: msgs})
			if out.Divergence != nil {
				t.Fatalf("live run diverged: %+v", out.Divergence)
			}
			full = append(full, out.Events...)
		}
		again, _ := run(t, fn, full, Input{ReplayOnly: true})
		if again.Divergence != nil || again.Status != out.Status || len(again.Events) != 0 || !reflect.DeepEqual(again.Waits, out.Waits) {
			t.Fatalf("replay of %s: %+v, live ended %+v", types(full), again, out)
		}
	})
}
