package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// TestRepeatRefusedAfterLostReply: when a commit was made, its reply lost and its repeat refused for good, the process
// does not know what it holds. It begins anew, and the instance goes on.
func TestRepeatRefusedAfterLostReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hook{Provider: model.New(model.Options{}).Open()}
		h.after = func(op string, n int) error {
			if op == "AckOrchestrationItems" && n == 0 {
				return errDown
			}
			return nil
		}
		h.before = func(op string, n int) error {
			if op == "AckOrchestrationItems" && n == 1 {
				return errRefused
			}
			return nil
		}
		e := launch(t, h, options(t), []Orchestration{fan}, []Activity{work})
		first := e.current().worker
		ends(t, begin(t, e, "i", "fan"), time.Minute)
		if e.current().worker == first {
			t.Error("the session goes on in doubt")
		}
	})
}

// TestFencedCommitGivesUpTheLease: a commit that is refused because an activity it records was taken away, its instance
// not, leaves an instance that goes on.
func TestFencedCommitGivesUpTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		slow := Activity{Name: "work", Run: func(context.Context, ActivityInfo, history.Payload) (history.Payload, *history.Failure) {
			pass(100 * time.Millisecond)
			return history.Payload{}, nil
		}}
		e := launch(t, store.Open(), options(t), []Orchestration{single}, []Activity{slow})
		w := begin(t, e, "i", "single")
		s := e.current()
		var taken provider.AbandonRequest
		s.mu.Lock()
		for key, run := range s.runs {
			taken.Work = append(taken.Work, provider.AbandonedWork{WorkKey: key, Token: run.token})
		}
		s.mu.Unlock()
		if len(taken.Work) != 1 {
			t.Fatalf("%d activities running", len(taken.Work))
		}
		if err := store.Open().AbandonItems(t.Context(), &taken); err != nil { // an operator requeues it
			t.Fatal(err)
		}
		ends(t, w, time.Minute)
		st, err := e.Read(t.Context(), "i")
		if err != nil || st.Worker != 0 {
			t.Errorf("ended and held by %v, %v", st, err)
		}
	})
}

// TestBlockingDeferHoldsUpNobodyElse: orchestration code whose deferred function blocks, when its instance is given up,
// delays no other instance.
func TestBlockingDeferHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		t.Cleanup(func() { close(release) }) // after the engine has stopped
		clinging := Orchestration{Name: "clinging", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
			defer func() { <-release }()
			_, err := x.Await(x.Root().Event("x"))
			if err == nil {
				_, err = x.Await(x.Root().Event("y"))
			}
			return history.Payload{}, err
		}}
		var refused atomic.Int32
		h := &hook{Provider: model.New(model.Options{}).Open()}
		h.before = func(op string, n int) error {
			if op == "AckOrchestrationItems" && n < 2 {
				refused.Add(1)
				return errRefused
			}
			return nil
		}
		e := launch(t, h, options(t), []Orchestration{fan, clinging}, []Activity{work})
		for i := range 2 {
			begin(t, e, fmt.Sprint("clinging-", i), "clinging")
		}
		for i := range 2 {
			raiseX(t, e, fmt.Sprint("clinging-", i))
			synctest.Wait() // its commit is refused, its code unwound
		}
		if n := refused.Load(); n != 2 {
			t.Fatalf("%d commits refused", n)
		}
		ends(t, begin(t, e, "i", "fan"), time.Second)
	})
}
