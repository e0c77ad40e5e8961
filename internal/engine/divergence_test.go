package engine

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// TestClassesStop: which divergences stop a class.
func TestClassesStop(t *testing.T) {
	const success = ""
	for name, c := range map[string]struct {
		instances []string // that diverge, in order; or a success
		stops     bool
	}{
		"two":                            {[]string{"a", "b"}, false},
		"three":                          {[]string{"a", "b", "c"}, true},
		"the same three times":           {[]string{"a", "a", "a", "b", "b"}, false},
		"three with a success":           {[]string{"a", "b", success, "c"}, false},
		"three after a success":          {[]string{"a", success, "a", "b", "c"}, true},
		"three and then a success":       {[]string{"a", "b", "c", success}, true},
		"more than three, none at first": {[]string{success, "a", "b", "c", "d"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			opts := options(t)
			e := New(model.New(model.Options{}).Open(), opts)
			defer e.Close()
			if err := e.register(t.Context(), []Orchestration{{Name: "o", Version: "1.0.0"}, {Name: "o", Version: "2.0.0"}}, nil); err != nil {
				t.Fatal(err)
			}
			badClass, otherClass := e.claimable()[0], e.claimable()[1]
			bad, other := e.serves().orchestrations[badClass], e.serves().orchestrations[otherClass]
			for _, id := range c.instances {
				if id == success {
					e.divergences.replayedWell(bad)
				} else {
					e.noteDivergence(bad, id, parkReason{Reason: "diverged"})
				}
				e.divergences.replayedWell(other)
			}
			if e.runs(badClass) == c.stops || slices.Contains(e.claimable(), badClass) == c.stops || !e.runs(otherClass) || !slices.Contains(e.claimable(), otherClass) {
				t.Errorf("runs %v, claims %v of %v and %v", e.runs(badClass), e.claimable(), badClass, otherClass)
			}
			if stopped := e.StoppedClasses(); c.stops != (len(stopped) == 1 && stopped[0].Version == "1.0.0") || !c.stops && len(stopped) > 0 {
				t.Errorf("stopped: %+v", stopped)
			}
		})
	}
}

// TestNewInstancesAreNoSuccess: turns that needed no replay say nothing about the histories there are.
func TestNewInstancesAreNoSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		store := model.New(model.Options{})
		waits := func(name string) Orchestration {
			return Orchestration{Name: "o", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
				_, err := x.Await(x.Root().Event(name))
				return history.Payload{}, err
			}}
		}
		begin := func(o Orchestration) *Engine {
			e := New(store.Open(), options(t))
			if err := e.Start(ctx, []Orchestration{o}, nil); err != nil {
				t.Fatal(err)
			}
			return e
		}
		first := begin(waits("a"))
		for i := range 5 {
			if _, err := first.StartInstance(ctx, StartSpec{InstanceID: fmt.Sprint("old-", i), Name: "o"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := first.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		second := begin(waits("b"))
		for i := range 5 {
			if status, err := second.StartInstance(ctx, StartSpec{InstanceID: fmt.Sprint("new-", i), Name: "o"}); err != nil || status != provider.Applied {
				t.Fatal(status, err)
			}
			if _, err := second.Raise(ctx, fmt.Sprint("old-", i), RaisedEvent{Name: "a", MessageID: "m"}); err != nil {
				t.Fatal(err)
			}
			pulses := time.NewTimer(3 * time.Second) // of virtual time
			<-pulses.C
		}
		parked := 0
		for i := range 5 {
			st, err := second.Read(ctx, fmt.Sprint("old-", i))
			if err != nil || st == nil {
				t.Fatal(err)
			}
			if st.Parked != nil {
				parked++
			}
		}
		if parked != divergenceLimit || len(second.StoppedClasses()) != 1 || second.Runs("o", "") {
			t.Errorf("%d parked, stopped %+v", parked, second.StoppedClasses())
		}
		// A restart forgets.
		if err := second.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		third := begin(waits("a"))
		if !third.Runs("o", "") {
			t.Error("a new process does not run it")
		}
		third.Raise(ctx, "old-4", RaisedEvent{Name: "a", MessageID: "m2"})
		pulses := time.NewTimer(3 * time.Second)
		<-pulses.C
		for _, id := range []string{"old-3", "old-4"} {
			if st, err := third.Read(ctx, id); err != nil || st.Status != provider.StatusCompleted {
				t.Errorf("%s: %+v, %v", id, st, err)
			}
		}
		if err := third.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
}
