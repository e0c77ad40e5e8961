package engine

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// TestStopWaitsForFetchOfInstances: what a fetch under way brings a stopping worker is given back, not held for ever in
// the name of a worker that is gone.
func TestStopWaitsForFetchOfInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		client := launch(t, store.Open(), options(t), nil, nil)
		var slow atomic.Bool
		leaving := launch(t, &hook{Provider: store.Open(), before: slowly("FetchOrchestrationItems", 100*time.Millisecond, slow.Load)},
			options(t), []Orchestration{waiting}, nil)
		synctest.Wait()
		slow.Store(true)
		w := begin(t, client, "i", "waiting")
		pass(10 * time.Millisecond) // the fetch is on its way
		if err := leaving.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		launch(t, store.Open(), options(t), []Orchestration{waiting}, nil)
		raiseX(t, client, "i")
		ends(t, w, time.Minute)
	})
}

// TestStopBeginsNoFetchedActivity: an activity that a fetch under way brings a stopping worker is not begun there, runs
// elsewhere, and the try that was none does not count.
func TestStopBeginsNoFetchedActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		orchestrator := launch(t, store.Open(), options(t), []Orchestration{single}, nil)
		var begun, attempt atomic.Int32
		deaf := Activity{Name: "work", Run: func(context.Context, ActivityInfo, history.Payload) (history.Payload, *history.Failure) {
			begun.Add(1)
			pass(time.Minute)
			return history.Payload{}, nil
		}}
		var slow atomic.Bool
		leaving := launch(t, &hook{Provider: store.Open(), before: slowly("FetchWorkItems", 100*time.Millisecond, slow.Load)},
			options(t), nil, []Activity{deaf})
		synctest.Wait()
		slow.Store(true)
		w := begin(t, orchestrator, "i", "single")
		pass(10 * time.Millisecond) // the fetch is on its way
		if err := leaving.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if n := begun.Load(); n != 0 {
			t.Errorf("%d activities begun while stopping", n)
		}
		noted := Activity{Name: "work", Run: func(_ context.Context, info ActivityInfo, _ history.Payload) (history.Payload, *history.Failure) {
			attempt.Store(info.Attempt)
			return history.Payload{}, nil
		}}
		launch(t, store.Open(), options(t), nil, []Activity{noted})
		ends(t, w, time.Minute)
		if n := attempt.Load(); n != 1 {
			t.Errorf("the first run is attempt %d", n)
		}
	})
}
