package replay

import (
	"testing"

	"github.com/pawlrun/pawl/history"
)

// do schedules an activity and awaits it.
func do(x *Execution, name string) error {
	_, err := x.Await(x.Root().Activity(name, history.Payload{}, nil))
	return err
}

// recordedBy runs an orchestration to its end, each activity answered at once, and returns its history.
func recordedBy(t *testing.T, fn Function) []history.Event {
	t.Helper()
	out, x := run(t, fn, []history.Event{started()}, Input{Fresh: true})
	recorded := append([]history.Event{started()}, out.Events...)
	for out.Status == Running {
		out = turn(t, x, Input{Messages: []Message{completed(int32(len(recorded)) - 1)}})
		recorded = append(recorded, out.Events...)
	}
	return recorded
}

func marks(events []history.Event) int {
	n := 0
	for _, ev := range events {
		if _, ok := ev.(*history.PatchMarked); ok {
			n++
		}
	}
	return n
}

// patchOld is the code as it was: a, b, c.
func patchOld(x *Execution, _ history.Payload) (history.Payload, error) {
	for _, name := range []string{"a", "b", "c"} {
		if err := do(x, name); err != nil {
			return history.Payload{}, err
		}
	}
	return history.Payload{}, nil
}

// patchNow is the code with a patch of b.
func patchNow(x *Execution, _ history.Payload) (history.Payload, error) {
	if err := do(x, "a"); err != nil {
		return history.Payload{}, err
	}
	name := "b"
	if x.Patched("p") {
		name = "b2"
	}
	if err := do(x, name); err != nil {
		return history.Payload{}, err
	}
	return history.Payload{}, do(x, "c")
}

// patchRemoved is the code without the patch, b2 for good.
func patchRemoved(x *Execution, _ history.Payload) (history.Payload, error) {
	for _, name := range []string{"a", "b2", "c"} {
		if err := do(x, name); err != nil {
			return history.Payload{}, err
		}
	}
	return history.Payload{}, nil
}

// patchMovedUp is the code with the patch asked for before a.
func patchMovedUp(x *Execution, _ history.Payload) (history.Payload, error) {
	name := "b"
	if x.Patched("p") {
		name = "b2"
	}
	for _, name := range []string{"a", name, "c"} {
		if err := do(x, name); err != nil {
			return history.Payload{}, err
		}
	}
	return history.Payload{}, nil
}

// patchMovedDown is the code with the patch asked for after b2.
func patchMovedDown(x *Execution, _ history.Payload) (history.Payload, error) {
	for _, name := range []string{"a", "b2"} {
		if err := do(x, name); err != nil {
			return history.Payload{}, err
		}
	}
	if !x.Patched("p") {
		return history.Payload{}, do(x, "never")
	}
	return history.Payload{}, do(x, "c")
}

// patchTwo is the code with a second patch.
func patchTwo(x *Execution, _ history.Payload) (history.Payload, error) {
	if err := do(x, "a"); err != nil {
		return history.Payload{}, err
	}
	name := "b"
	if x.Patched("q") { // a later patch, reached first
		name = "b3"
	} else if x.Patched("p") {
		name = "b2"
	}
	if err := do(x, name); err != nil {
		return history.Payload{}, err
	}
	return history.Payload{}, do(x, "c")
}

func TestPatchedHistories(t *testing.T) {
	for _, c := range []struct {
		name     string
		recorded Function
		replayed Function
		diverges bool
	}{
		{"old history, patched code", patchOld, patchNow, false},
		{"new history, patched code", patchNow, patchNow, false},
		{"new history, patch removed", patchNow, patchRemoved, false},
		{"old history, patch removed", patchOld, patchRemoved, true},
		{"new history, old code", patchNow, patchOld, true},
		{"new history, patch asked earlier", patchNow, patchMovedUp, true}, // it passed that place without
		{"new history, patch asked later", patchNow, patchMovedDown, false},
		{"old history, two patches", patchOld, patchTwo, false},
		{"history with one patch, two patches", patchNow, patchTwo, false},
		{"history with two patches, one patch", patchTwo, patchNow, true},
		{"history with two patches", patchTwo, patchTwo, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			recorded := recordedBy(t, c.recorded)
			// Every place where a worker may have to take over: after each turn, and the whole.
			for n := 2; n <= len(recorded); n++ {
				if n < len(recorded) {
					if _, begins := recorded[n].(*history.TurnStarted); !begins {
						continue
					}
				}
				out, _ := run(t, c.replayed, recorded[:n], Input{ReplayOnly: true})
				if out.Divergence != nil && !c.diverges {
					t.Fatalf("%d events: %+v", n, out.Divergence)
				}
				if n == len(recorded) && c.diverges != (out.Divergence != nil) {
					t.Fatalf("diverges: %v", out.Divergence)
				}
				if out.Divergence == nil && len(out.Events) != 0 {
					t.Fatalf("a replay of %d events wrote %s", n, types(out.Events))
				}
			}
		})
	}
}

// TestPatchedLive: histories that were written half by old and half by new code.
func TestPatchedLive(t *testing.T) {
	rounds := func(patch bool) Function {
		return func(x *Execution, _ history.Payload) (history.Payload, error) {
			for range 4 {
				name := "old"
				if patch && x.Patched("p") {
					name = "new"
				}
				if err := do(x, name); err != nil {
					return history.Payload{}, err
				}
			}
			return history.Payload{}, nil
		}
	}
	t.Run("a loop that has begun stays old", func(t *testing.T) {
		out, x := run(t, rounds(false), []history.Event{started()}, Input{Fresh: true})
		recorded := append([]history.Event{started()}, out.Events...)
		out = turn(t, x, Input{Messages: []Message{completed(1)}})
		recorded = append(recorded, out.Events...)
		out, x = run(t, rounds(true), recorded, Input{Messages: []Message{completed(4)}})
		if len(out.Activities) != 1 || out.Activities[0].Event.Name != "old" || marks(out.Events) != 0 {
			t.Fatalf("%s", types(out.Events))
		}
		out = turn(t, x, Input{Messages: []Message{completed(out.Activities[0].Number)}})
		if len(out.Activities) != 1 || out.Activities[0].Event.Name != "old" {
			t.Fatalf("%s", types(out.Events))
		}
	})
	t.Run("a loop marks once", func(t *testing.T) {
		recorded := recordedBy(t, rounds(true))
		if marks(recorded) != 1 {
			t.Fatal(types(recorded))
		}
		for _, ev := range recorded {
			if a, ok := ev.(*history.ActivityScheduled); ok && a.Name != "new" {
				t.Fatal(a.Name)
			}
		}
	})
}

// TestPatchedPlaces: whether old code has been at the place decides.
func TestPatchedPlaces(t *testing.T) {
	t.Run("a place that old code has not reached is new", func(t *testing.T) {
		code := func(patch bool) Function {
			return func(x *Execution, _ history.Payload) (history.Payload, error) {
				if err := do(x, "a"); err != nil {
					return history.Payload{}, err
				}
				name := "b"
				if patch && x.Patched("p") {
					name = "b2"
				}
				return history.Payload{}, do(x, name)
			}
		}
		out, _ := run(t, code(false), []history.Event{started()}, Input{Fresh: true})
		recorded := append([]history.Event{started()}, out.Events...)
		out, _ = run(t, code(true), recorded, Input{Messages: []Message{completed(1)}})
		if got := types(out.Events); got != "TurnStarted ActivityCompleted PatchMarked ActivityScheduled" {
			t.Fatal(got)
		}
	})
	t.Run("a place that old code passed in its last turn is old", func(t *testing.T) {
		code := func(patch bool) Function {
			return func(x *Execution, _ history.Payload) (history.Payload, error) {
				a, b := x.Root().Activity("a", history.Payload{}, nil), x.Root().Activity("b", history.Payload{}, nil)
				if _, err := x.Await(a); err != nil {
					return history.Payload{}, err
				}
				name := "c"
				if patch && x.Patched("p") {
					name = "c2"
				}
				if _, err := x.Await(b); err != nil {
					return history.Payload{}, err
				}
				return history.Payload{}, do(x, name)
			}
		}
		out, x := run(t, code(false), []history.Event{started()}, Input{Fresh: true})
		recorded := append([]history.Event{started()}, out.Events...)
		out = turn(t, x, Input{Messages: []Message{completed(1)}})
		recorded = append(recorded, out.Events...)
		out, _ = run(t, code(true), recorded, Input{Messages: []Message{completed(2)}})
		if len(out.Activities) != 1 || out.Activities[0].Event.Name != "c" || marks(out.Events) != 0 {
			t.Fatalf("%+v", out.Activities)
		}
	})
}
