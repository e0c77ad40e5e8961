package replay

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pawlrun/pawl/history"
)

func updated(order int64, id, name, input string) Message {
	return Message{Order: order, Event: &history.UpdateReceived{ID: id, Name: name, Payload: text(input)}}
}

// journal is an orchestration that notes the updates it gets until an event ends it: "add" notes its input and schedules an
// activity, with options that make it misbehave.
func journal(notes *[]string) Function {
	return func(x *Execution, _ history.Payload) (history.Payload, error) {
		*notes = nil
		x.HandleUpdate("add", Update{
			Validate: func(in history.Payload) error {
				switch string(in.Data) {
				case `"bad"`:
					return errors.New("bad input")
				case `"sneak"`:
					x.Root().Activity("sneaked", in, nil)
				case `"sneak id"`:
					x.NewID()
				case `"break"`:
					panic("broken check")
				}
				return nil
			},
			Handle: func(in history.Payload) (history.Payload, error) {
				*notes = append(*notes, string(in.Data))
				f := x.Root().Activity("noted", in, nil)
				switch string(in.Data) {
				case `"wait"`:
					_, err := x.Await(f)
					return history.Payload{}, err
				case `"fail"`:
					return history.Payload{}, errors.New("failed")
				case `"panic"`:
					panic("boom")
				}
				return text(fmt.Sprint(len(*notes))), nil
			},
		})
		_, err := x.Await(x.Root().Event("end"))
		return text(strings.Join(*notes, " ")), err
	}
}

// updateCases are updates of journal with what is recorded of them.
var updateCases = []struct {
	name, input string
	events      string
	check       func(t *testing.T, ev history.Event)
}{
	{"accepted", "x", "TurnStarted UpdateReceived ActivityScheduled UpdateAnswered", func(t *testing.T, ev history.Event) {
		if a := ev.(*history.UpdateAnswered); a.Failure != nil || string(a.Result.Data) != `"1"` || a.Received != 3 {
			t.Errorf("%+v", a)
		}
	}},
	{"rejected", "bad", "TurnStarted UpdateRejected", func(t *testing.T, ev history.Event) {
		if r := ev.(*history.UpdateRejected); r.Failure.Message != "bad input" || r.Unknown {
			t.Errorf("%+v", r)
		}
	}},
	{"check schedules", "sneak", "TurnStarted UpdateRejected", func(t *testing.T, ev history.Event) {
		if r := ev.(*history.UpdateRejected); r.Failure.Kind != history.FailureMisuse {
			t.Errorf("%+v", r)
		}
	}},
	{"check draws an id", "sneak id", "TurnStarted UpdateRejected", func(t *testing.T, ev history.Event) {
		if r := ev.(*history.UpdateRejected); r.Failure.Kind != history.FailureMisuse {
			t.Errorf("%+v", r)
		}
	}},
	{"check panics", "break", "TurnStarted UpdateRejected", func(t *testing.T, ev history.Event) {
		if r := ev.(*history.UpdateRejected); r.Failure.Kind != history.FailurePanic || r.Failure.Message != "broken check" {
			t.Errorf("%+v", r)
		}
	}},
	{"waits", "wait", "TurnStarted UpdateReceived ActivityScheduled UpdateAnswered", func(t *testing.T, ev history.Event) {
		if a := ev.(*history.UpdateAnswered); a.Failure == nil || a.Failure.Kind != history.FailureMisuse {
			t.Errorf("%+v", a)
		}
	}},
	{"fails", "fail", "TurnStarted UpdateReceived ActivityScheduled UpdateAnswered", func(t *testing.T, ev history.Event) {
		if a := ev.(*history.UpdateAnswered); a.Failure == nil || a.Failure.Message != "failed" {
			t.Errorf("%+v", a)
		}
	}},
	{"panics", "panic", "TurnStarted UpdateReceived ActivityScheduled UpdateAnswered", func(t *testing.T, ev history.Event) {
		if a := ev.(*history.UpdateAnswered); a.Failure == nil || a.Failure.Kind != history.FailurePanic {
			t.Errorf("%+v", a)
		}
	}},
}

func TestUpdates(t *testing.T) {
	for _, c := range updateCases {
		t.Run(c.name, func(t *testing.T) {
			var notes []string
			out, x := run(t, journal(&notes), []history.Event{started()}, Input{Fresh: true})
			if !slices.Equal(out.Waits, []string{"end", history.UpdateName}) {
				t.Fatalf("waits for %v", out.Waits)
			}
			recorded := append([]history.Event{started()}, out.Events...)
			out = turn(t, x, Input{Messages: []Message{updated(1, "u1", "add", c.input)}})
			if got := types(out.Events); got != c.events || len(out.Consumed) != 1 || len(out.Answers) != 1 {
				t.Fatalf("%s, %+v", got, out)
			}
			c.check(t, out.Answers[0])
			recorded = append(recorded, out.Events...)

			// Another process replays the same notes, knows the update, and goes on.
			live := slices.Clone(notes)
			var again []string
			out, _ = run(t, journal(&again), recorded, Input{Messages: []Message{updated(2, "u1", "add", c.input), raised(3, "end", "m")}})
			if got := types(out.Events); got != "TurnStarted UpdateRepeated EventReceived ExecutionCompleted" || out.Status != Completed {
				t.Fatalf("%s, %+v", got, out.Divergence)
			}
			if at := out.Events[1].(*history.UpdateRepeated); at.Execution != 1 || updateIDAt(recorded, at.Event) != "u1" {
				t.Errorf("the repeated one was answered at %+v", at)
			}
			if !slices.Equal(again, live) {
				t.Errorf("replay noted %v, want %v", again, live)
			}
			recorded = append(recorded, out.Events...)
			if out, _ := run(t, journal(&again), recorded, Input{ReplayOnly: true}); out.Divergence != nil || out.Status != Completed {
				t.Errorf("replay to the end: %+v", out)
			}
		})
	}
}

func updateIDAt(recorded []history.Event, n int32) string {
	switch ev := recorded[n].(type) {
	case *history.UpdateAnswered:
		return ev.ID
	case *history.UpdateRejected:
		return ev.ID
	}
	return ""
}

func TestUpdateOfUnknownName(t *testing.T) {
	var notes []string
	_, x := run(t, journal(&notes), []history.Event{started()}, Input{Fresh: true})
	out := turn(t, x, Input{Messages: []Message{updated(1, "u1", "subtract", "x")}})
	r, ok := out.Answers[0].(*history.UpdateRejected)
	if !ok || !r.Unknown || r.Failure.Message != `no such update, but "add"` {
		t.Fatalf("%+v", out.Answers[0])
	}
}

// TestUpdatesWaitForCode: without code for any, updates stay in the inbox.
func TestUpdatesWaitForCode(t *testing.T) {
	_, x := run(t, two, []history.Event{started()}, Input{Fresh: true})
	out := turn(t, x, Input{Messages: []Message{updated(1, "u1", "add", "x"), completed(1)}})
	if len(out.Consumed) != 1 || out.Consumed[0].Order == 1 && len(out.Answers) > 0 || slices.Contains(out.Waits, history.UpdateName) {
		t.Fatalf("%+v", out)
	}
}

// TestUpdateWithoutItsCode: taking the code for a recorded update away is a divergence.
func TestUpdateWithoutItsCode(t *testing.T) {
	var notes []string
	out, x := run(t, journal(&notes), []history.Event{started()}, Input{Fresh: true})
	recorded := append([]history.Event{started()}, out.Events...)
	recorded = append(recorded, turn(t, x, Input{Messages: []Message{updated(1, "u1", "add", "x")}}).Events...)
	for name, fn := range map[string]Function{
		"no code": func(x *Execution, _ history.Payload) (history.Payload, error) {
			_, err := x.Await(x.Root().Event("end"))
			return history.Payload{}, err
		},
		"schedules less": func(x *Execution, _ history.Payload) (history.Payload, error) {
			x.HandleUpdate("add", Update{Handle: func(history.Payload) (history.Payload, error) { return text("1"), nil }})
			_, err := x.Await(x.Root().Event("end"))
			return history.Payload{}, err
		},
		"schedules more": func(x *Execution, _ history.Payload) (history.Payload, error) {
			x.HandleUpdate("add", Update{Handle: func(history.Payload) (history.Payload, error) {
				x.Root().Activity("noted", history.Payload{}, nil)
				x.Root().Activity("noted", history.Payload{}, nil)
				return text("1"), nil
			}})
			_, err := x.Await(x.Root().Event("end"))
			return history.Payload{}, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			out, _ := run(t, fn, recorded, Input{ReplayOnly: true})
			if out.Divergence == nil || out.Divergence.Event < 3 {
				t.Fatalf("%+v", out.Divergence)
			}
		})
	}
}

// TestUpdatesOverContinueAsNew: the next execution knows what was answered, and what nobody has taken stays.
func TestUpdatesOverContinueAsNew(t *testing.T) {
	code := func(x *Execution, _ history.Payload) (history.Payload, error) {
		stop := false
		x.HandleUpdate("stop", Update{Handle: func(in history.Payload) (history.Payload, error) {
			stop = true
			return in, nil
		}})
		for !stop {
			timer := x.Root().Timer(1)
			if _, err := x.Await(timer); err != nil {
				return history.Payload{}, err
			}
		}
		return history.Payload{}, &ContinueAsNew{Input: text("next")}
	}
	_, x := run(t, code, []history.Event{started()}, Input{Fresh: true})
	out := turn(t, x, Input{Messages: []Message{
		updated(1, "u1", "stop", "a"), {Order: 2, Execution: 1, Event: &history.TimerFired{Scheduled: 1}}, updated(3, "u2", "stop", "b")}})
	if out.Status != ContinuedAsNew || len(out.Consumed) != 2 || len(out.Next.Updates) != 1 || out.Next.Updates[0].ID != "u1" {
		t.Fatalf("%+v", out)
	}
	at := out.Next.Updates[0]
	if got := updateIDAt(append([]history.Event{nil, nil}, out.Events...), at.Event); at.Execution != 1 || got != "u1" {
		t.Fatalf("%+v", at)
	}
	out.Next.ExecutionID, out.Next.StartedAt = "ff", t0
	y, err := New("i", 2, []history.Event{out.Next}, code, failureOf)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, y)
	out = turn(t, y, Input{Messages: []Message{updated(4, "u1", "stop", "a"), updated(3, "u2", "stop", "b")}})
	if got := types(out.Events); got != "TurnStarted TimerScheduled UpdateRepeated UpdateReceived UpdateAnswered" {
		t.Fatal(got)
	}
}

// TestRefusals: what a limit forbids once it forbids in every replay, and what it allowed stays allowed.
func TestRefusals(t *testing.T) {
	limit := int64(5)
	var got []string
	code := func(x *Execution, _ history.Payload) (history.Payload, error) {
		got = nil
		for i, size := range []int64{3, 9, 4, 9} {
			excess := x.Check(func() *Excess {
				if size > limit {
					return &Excess{"value", "k", size, limit}
				}
				return nil
			})
			if excess != nil {
				got = append(got, fmt.Sprint(i, " over ", excess.Limit))
			}
			if i == 2 {
				if err := do(x, "a"); err != nil {
					return history.Payload{}, err
				}
			}
		}
		_, err := x.Await(x.Root().Event("end"))
		return history.Payload{}, err
	}
	recorded := []history.Event{started()}
	out, x := run(t, code, recorded, Input{Fresh: true})
	recorded = append(recorded, out.Events...)
	out = turn(t, x, Input{Messages: []Message{completed(2)}})
	recorded = append(recorded, out.Events...)
	if want := []string{"1 over 5", "3 over 5"}; !slices.Equal(got, want) {
		t.Fatalf("refused %v, want %v", got, want)
	}
	for _, limit = range []int64{1, 5, 100} {
		out, _ := run(t, code, recorded, Input{ReplayOnly: true})
		if want := []string{"1 over 5", "3 over 5"}; out.Divergence != nil || !slices.Equal(got, want) {
			t.Fatalf("with a limit of %d: refused %v, want %v; %+v", limit, got, want, out.Divergence)
		}
	}
}

func TestReadOnly(t *testing.T) {
	var scope *Scope
	_, x := run(t, func(x *Execution, _ history.Payload) (history.Payload, error) {
		scope = x.NewScope(x.Root())
		_, err := x.Await(x.Root().Event("end"))
		return history.Payload{}, err
	}, []history.Event{started()}, Input{Fresh: true})
	for name, f := range map[string]func(){
		"schedule":      func() { scope.Activity("a", history.Payload{}, nil) },
		"send":          func() { x.Send(history.EventSent{}) },
		"set status":    func() { x.SetCustomStatus(text("s")) },
		"set value":     func() { x.SetValue("k", text("v")) },
		"patch":         func() { x.Patched("p") },
		"cancel":        func() { scope.Cancel("r") },
		"await":         func() { _, _ = x.Await(&Future{x: x}) },
		"new id":        func() { x.NewID() },
		"handle query":  func() { x.HandleQuery("q", nil) },
		"handle update": func() { x.HandleUpdate("u", Update{}) },
		"hidden":        func() { defer func() { _ = recover() }(); x.SetValue("k", text("v")) },
	} {
		if err := x.ReadOnly(func() error { f(); return nil }); !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := x.ReadOnly(func() error { _ = x.Now(); _ = x.Value("k"); return nil }); err != nil {
		t.Errorf("looking: %v", err)
	}
	if err := x.ReadOnly(func() error {
		stranger := make(chan struct{})
		go func() {
			defer close(stranger)
			x.SetValue("k", text("v"))
		}()
		<-stranger
		return nil
	}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("on another goroutine: %v", err)
	}
	var caught *PanicError
	if err := x.ReadOnly(func() error { panic("boom") }); !errors.As(err, &caught) || caught.Failure.Message != "boom" {
		t.Errorf("panic: %v", err)
	}
	// Nothing of it has left a trace.
	out := turn(t, x, Input{Messages: []Message{raised(1, "end", "m")}})
	if got := types(out.Events); got != "TurnStarted EventReceived ExecutionCompleted" || len(out.Values)+len(out.Sends) > 0 || out.CustomStatus != nil {
		t.Errorf("%s, %+v", got, out)
	}
}
