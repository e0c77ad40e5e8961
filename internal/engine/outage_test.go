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
	"github.com/pawlrun/pawl/provider/providertest"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// steps is as many activities one after the other, each of half a second.
const steps = 20

var stepping = Orchestration{Name: "stepping", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
	for range steps {
		if _, err := x.Await(x.Root().Activity("step", history.Payload{}, nil)); err != nil {
			return history.Payload{}, err
		}
	}
	return history.Payload{}, nil
}}

// TestOutageOfTheStore: when the store is away for a while and comes back every instance ends, once. While the outage is
// shorter than the TTL no worker declares another or itself dead, and no activity runs twice.
func TestOutageOfTheStore(t *testing.T) {
	const unnoticed = 2700 * time.Millisecond
	for _, outage := range []time.Duration{2200, 2700, 2800, 2900, 3300, 3800, 4500, 20000} {
		outage *= time.Millisecond
		t.Run(outage.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := model.New(model.Options{})
				var down atomic.Bool
				var ran atomic.Int32
				engines, waiters := throughOutages(t, store, &down, &ran)
				var workers []provider.WorkerID
				for _, e := range engines {
					workers = append(workers, e.current().worker)
				}
				pass(5 * time.Second)
				down.Store(true)
				pass(outage)
				down.Store(false)
				for _, w := range waiters {
					ends(t, w, time.Minute)
					checkOneEnd(t, store, w.id)
				}
				if outage > unnoticed {
					return
				}
				for i, e := range engines {
					if e.current().worker != workers[i] {
						t.Errorf("worker %d was reaped or began anew", i)
					}
				}
				if n := int(ran.Load()); n != steps*len(waiters) {
					t.Errorf("%d activities run for %d", n, steps*len(waiters))
				}
			})
		})
	}
}

// throughOutages starts workers whose beats are apart, on a store that cannot be reached while down is true, and
// instances that run for ten seconds. The activities count in ran.
func throughOutages(t *testing.T, store *model.Store, down *atomic.Bool, ran *atomic.Int32) (engines []*Engine, waiters []*Waiter) {
	plan := func(string, int) providertest.Fault {
		if down.Load() {
			return providertest.LostBefore
		}
		return providertest.NoFault
	}
	step := Activity{Name: "step", Run: func(context.Context, ActivityInfo, history.Payload) (history.Payload, *history.Failure) {
		ran.Add(1)
		pass(500 * time.Millisecond)
		return history.Payload{}, nil
	}}
	for i := range 3 {
		e := launch(t, providertest.Faulty(store.Open(), plan), options(t), []Orchestration{stepping}, []Activity{step})
		engines = append(engines, e)
		for j := range 3 {
			waiters = append(waiters, begin(t, e, fmt.Sprint("i-", i, "-", j), "stepping"))
		}
		pass(300 * time.Millisecond)
	}
	return engines, waiters
}

// checkOneEnd reads the whole history of an instance of stepping.
func checkOneEnd(t *testing.T, store *model.Store, id string) {
	t.Helper()
	results, endings := 0, 0
	for from, more := int32(0), true; more; {
		turns, err := store.Open().ReadHistory(t.Context(), provider.HistoryQuery{InstanceID: id, From: from})
		if err != nil {
			t.Fatal(err)
		}
		more = len(turns) > 0
		for _, turn := range turns {
			from = turn.Seq + turn.Count
			events, err := history.DecodeTurn(turn.Events)
			if err != nil {
				t.Fatal(err)
			}
			for _, ev := range events {
				switch ev.(type) {
				case *history.ActivityCompleted:
					results++
				case *history.ExecutionCompleted, *history.ExecutionFailed:
					endings++
				}
			}
		}
	}
	if results != steps || endings != 1 {
		t.Errorf("%s has %d results of activities and %d ends", id, results, endings)
	}
}

// TestStartDuringLostBeats: an instance started by another process while a worker's beats are lost, so that the worker
// begins nothing new, runs as soon as the beats are back.
func TestStartDuringLostBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		client := launch(t, store.Open(), options(t), nil, nil)
		var down atomic.Bool
		launch(t, &hook{Provider: store.Open(), before: func(op string, _ int) error {
			if op == "Pulse" && down.Load() {
				return errDown
			}
			return nil
		}}, options(t), []Orchestration{fan}, []Activity{work})
		pass(2500 * time.Millisecond)
		down.Store(true)
		pass(2 * time.Second) // the last beat is more than half a TTL old
		w := begin(t, client, "i", "fan")
		synctest.Wait()
		down.Store(false)
		ends(t, w, 2*time.Second)
	})
}

// TestNotificationsAfterRenewal: a worker that had to begin anew is notified as before.
func TestNotificationsAfterRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		client := launch(t, store.Open(), options(t), nil, nil)
		e := launch(t, &hook{Provider: store.Open(), before: slowly("RetireWorker", time.Millisecond, always)}, options(t), []Orchestration{waiting}, nil)
		first := e.current().worker
		for i := range 4 {
			if i == 2 {
				if err := store.Open().RetireWorker(t.Context(), first); err != nil { // declared dead
					t.Fatal(err)
				}
				pass(5 * time.Second)
				if e.current().worker == first {
					t.Fatal("the session outlives its death")
				}
			}
			pass(1100 * time.Millisecond) // just after a pulse: the next is no help
			id := fmt.Sprint("i-", i)
			w := begin(t, client, id, "waiting")
			raiseX(t, client, id)
			ends(t, w, 100*time.Millisecond)
		}
	})
}
