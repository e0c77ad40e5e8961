package replay

import (
	"testing"

	"github.com/pawlrun/pawl/history"
)

// What an instance begins with is there for the code, what it makes searchable or not is committed as such, and the next
// execution begins with the state as it then is.
func TestValuesFromTheStart(t *testing.T) {
	one, two := history.Payload{Encoding: "json", Data: []byte("1")}, history.Payload{Encoding: "json", Data: []byte("2")}
	started := &history.ExecutionStarted{Name: "O", ExecutionID: "e", Values: map[string]history.Payload{"begun": one, "gone": one}}
	fn := func(x *Execution, _ history.Payload) (history.Payload, error) {
		if got := x.Value("begun"); string(got.Data) != "1" || x.ValueCount() != 2 {
			t.Errorf("the code begins with %s of %d", got.Data, x.ValueCount())
		}
		x.SetSearchable("begun", two)
		x.SetSearchable("plain", one)
		x.SetValue("plain", two)
		x.SetSearchable("gone", one)
		x.SetValue("gone", history.Payload{})
		return history.Payload{}, &ContinueAsNew{}
	}
	x, err := New("i", 1, []history.Event{started}, fn, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x.Turn(Input{Fresh: true})
	if err != nil || out.Status != ContinuedAsNew {
		t.Fatalf("%+v, %v", out, err)
	}
	for key, want := range map[string]history.Value{"begun": {Data: two, Searchable: true}, "plain": {Data: two}, "gone": {}} {
		if got, set := out.Values[key]; !set || string(got.Data.Data) != string(want.Data.Data) || got.Searchable != want.Searchable {
			t.Errorf("value %s is %+v, want %+v", key, got, want)
		}
	}
	if next := out.Next.Values; len(next) != 2 || string(next["begun"].Data) != "2" || string(next["plain"].Data) != "2" {
		t.Errorf("the next execution begins with %v", next)
	}
	if len(started.Values) != 2 || string(started.Values["begun"].Data) != "1" {
		t.Errorf("the recorded start has become %v", started.Values)
	}
}

// The values of a child count as bytes of the turn.
func TestValuesOfChildrenAreWeighed(t *testing.T) {
	fn := func(x *Execution, _ history.Payload) (history.Payload, error) {
		f := x.Root().Child(history.ChildScheduled{Name: "C", Values: map[string]history.Value{"k": {Data: history.Payload{Encoding: "json", Data: []byte(`"12345678"`)}}}})
		_, err := x.Await(f)
		return history.Payload{}, err
	}
	for limit, want := range map[int]Status{10: Running, 9: Failed} {
		x, err := New("i", 1, []history.Event{&history.ExecutionStarted{Name: "O", ExecutionID: "e"}}, fn, nil)
		if err != nil {
			t.Fatal(err)
		}
		out, err := x.Turn(Input{Fresh: true, Limits: Limits{TurnBytes: limit}})
		if err != nil || out.Status != want {
			t.Errorf("with a limit of %d: status %v, %v", limit, out.Status, err)
		}
		if want == Running && len(out.Children[0].Event.Values) != 1 {
			t.Errorf("%+v", out.Children)
		}
		x.Close(nil)
	}
}
