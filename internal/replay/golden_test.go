package replay

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pawlrun/pawl/history"
)

var update = flag.Bool("update", false, "record the golden histories anew (a changed one means that stored instances no longer replay)")

// goldens are orchestrations with the scripts their histories were recorded by: a turn per element.
var goldens = []struct {
	name  string
	fn    Function
	turns [][]Message
}{
	{"two-activities-and-an-event", two, [][]Message{{completed(2)}, {raised(9, "go", "m1"), completed(1)}}},
	{"timer-race-and-child", func(x *Execution, _ history.Payload) (history.Payload, error) {
		timer, slow := x.Root().Timer(time.Hour), x.Root().Activity("slow", text("s"), nil)
		if first, err := x.Await(slow, timer); err != nil || first != 1 {
			return text("slow won"), err
		}
		child := x.Root().Child(history.ChildScheduled{Name: "child", Input: text("c")})
		if _, err := x.Await(child); err != nil {
			return history.Payload{}, err
		}
		_, failure, _ := child.Answer()
		return text("child said " + failure.Message), nil
	}, [][]Message{
		{{Order: 1, Event: &history.TimerFired{Scheduled: 1}}},
		{{Order: 2, Execution: 1, Event: &history.ChildFailed{Scheduled: 5, Failure: history.Failure{Kind: history.FailureError, Message: "no"}}}},
	}},
	{"continues-as-new", func(x *Execution, _ history.Payload) (history.Payload, error) {
		e := x.Root().Event("item")
		if _, err := x.Await(e); err != nil {
			return history.Payload{}, err
		}
		p, _, _ := e.Answer()
		return history.Payload{}, &ContinueAsNew{Input: p}
	}, [][]Message{{}, {raised(1, "item", "m1"), raised(2, "item", "m2")}}},
	{"panics", func(x *Execution, _ history.Payload) (history.Payload, error) {
		if _, err := x.Await(x.Root().Activity("a", text("1"), nil)); err != nil {
			return history.Payload{}, err
		}
		panic("boom")
	}, [][]Message{{completed(1)}}},
	{"updates-patch-and-limit", func(x *Execution, _ history.Payload) (history.Payload, error) {
		sum := ""
		x.HandleUpdate("add", Update{
			Validate: func(in history.Payload) error {
				if string(in.Data) == `"bad"` {
					return errors.New("bad input")
				}
				return nil
			},
			Handle: func(in history.Payload) (history.Payload, error) {
				sum += string(in.Data)
				x.Root().Activity("noted", in, nil)
				return in, nil
			},
		})
		if !x.Patched("p") || x.Check(func() *Excess { return &Excess{"value", "k", 2, 1} }) == nil {
			return text("not as recorded"), nil
		}
		_, err := x.Await(x.Root().Event("end"))
		return text(sum), err
	}, [][]Message{{updated(1, "u1", "add", "a")}, {updated(2, "u2", "add", "bad"), updated(3, "u1", "add", "a"), updated(4, "u3", "unknown", "")}, {raised(5, "end", "m")}}},
}

// TestGoldenHistories replays histories as they were recorded when this engine was young. They must replay for ever.
func TestGoldenHistories(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			file := filepath.Join("testdata", g.name+".json")
			if *update {
				record(t, file, g.fn, g.turns)
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			events, err := history.DecodeTurn(data)
			if err != nil {
				t.Fatal(err)
			}
			out, _ := run(t, g.fn, events, Input{ReplayOnly: true})
			if out.Divergence != nil || out.Status == Running || len(out.Events) != 0 {
				t.Fatalf("%+v", out)
			}
		})
	}
}

// record plays a script and writes the history, an event a line.
func record(t *testing.T, file string, fn Function, turns [][]Message) {
	t.Helper()
	events := []history.Event{started()}
	out, x := run(t, fn, events, Input{Fresh: true})
	events = append(events, out.Events...)
	for i, messages := range turns {
		out = turn(t, x, Input{At: t0.Add(time.Duration(i+1) * time.Minute), Messages: messages})
		events = append(events, out.Events...)
	}
	for _, ev := range events {
		if f, ok := ev.(*history.ExecutionFailed); ok {
			f.Failure.Stack = "" // names files of the machine it was recorded on
		}
	}
	data, err := history.Encode(events)
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.ReplaceAll(data, []byte(`,{"type"`), []byte(",\n{\"type\""))
	if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
