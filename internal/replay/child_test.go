package replay

import (
	"testing"

	"github.com/pawlrun/pawl/history"
)

// TestRequestOfParent: a child obeys the parent that scheduled it, and nobody who merely thinks that it did.
func TestRequestOfParent(t *testing.T) {
	parent := history.Parent{InstanceID: "p", Execution: 2, Event: 7}
	for name, tt := range map[string]struct {
		of, from *history.Parent
		obeys    bool
	}{
		"its parent":        {&parent, &parent, true},
		"from outside":      {&parent, nil, true},
		"no child":          {nil, &parent, false},
		"another execution": {&parent, &history.Parent{InstanceID: "p", Execution: 1, Event: 7}, false},
		"another event":     {&parent, &history.Parent{InstanceID: "p", Execution: 2, Event: 8}, false},
		"another parent":    {&parent, &history.Parent{InstanceID: "q", Execution: 2, Event: 7}, false},
	} {
		t.Run(name, func(t *testing.T) {
			begin := started()
			begin.Parent = tt.of
			fn := func(x *Execution, _ history.Payload) (history.Payload, error) {
				_ = await2(x, x.Root().Event("e"))
				return nothing, await2(x, x.NewScope(nil).Event("e"))
			}
			request := Message{Order: 1, Event: &history.CancelRequested{Reason: "r", Parent: tt.from}}
			for _, first := range []bool{true, false} {
				in := Input{Fresh: true}
				if first {
					in = Input{Messages: []Message{request}}
				}
				out, x := run(t, fn, []history.Event{begin}, in)
				if !first {
					out = turn(t, x, Input{Messages: []Message{request}})
				}
				if again := turn(t, x, Input{Messages: []Message{request}}); types(again.Events) != "TurnStarted" && tt.obeys || len(again.Consumed) != 1 {
					t.Errorf("a second request makes %s", types(again.Events))
				}
				if obeyed := x.Root().Cancelled() != nil; obeyed != tt.obeys || len(out.Consumed) != 1 {
					t.Errorf("obeyed: %v, events %s, consumed %d", obeyed, types(out.Events), len(out.Consumed))
				}
			}
		})
	}
}

// TestChildIDAfterPatch: the mark of a patch that the code has no more still counts in the id derived for a child.
func TestChildIDAfterPatch(t *testing.T) {
	code := func(patched bool) Function {
		return func(x *Execution, _ history.Payload) (history.Payload, error) {
			if patched {
				x.Patched("new")
			}
			c := x.Root().Child(history.ChildScheduled{Name: "c"})
			return text(c.InstanceID()), await2(x, c)
		}
	}
	recorded := []history.Event{started()}
	out, _ := run(t, code(true), recorded, Input{Fresh: true})
	again, x := run(t, code(false), append(recorded, out.Events...), Input{Messages: []Message{childDone(2, nil)}})
	if again.Divergence != nil || endOf(t, again) != `"i:1:2"` || x.Known() != 6 {
		t.Fatalf("%+v, %s", again.Divergence, types(again.Events))
	}
}
