package engine

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl/provider/providertest/model"
)

// patient are options with pulses so rare that only kicks make things happen.
func patient(t *testing.T) Options {
	o := options(t)
	o.PulseInterval, o.TTL = time.Hour, 3*time.Hour
	return o
}

// TestRecordedResultMakesRoom: what came while a result being recorded filled the process is fetched once it is recorded.
func TestRecordedResultMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		orchestrator := launch(t, store.Open(), options(t), []Orchestration{single}, nil)
		o := patient(t)
		o.MaxInstances = 1
		launch(t, &hook{Provider: store.Open(), before: slowly("AckWorkItems", 100*time.Millisecond, always)}, o,
			[]Orchestration{waiting}, []Activity{work})
		client := launch(t, store.Open(), options(t), nil, nil)
		first := begin(t, orchestrator, "i", "single")
		pass(20 * time.Millisecond) // its result is being recorded
		w := begin(t, client, "j", "waiting")
		raiseX(t, client, "j")
		ends(t, w, time.Second)
		ends(t, first, time.Second)
	})
}

// TestWorkQueuedDuringClaimAlong: an activity queued after a commit has looked for work, and before its reply is here, is
// not forgotten.
func TestWorkQueuedDuringClaimAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		orchestrator := launch(t, store.Open(), options(t), []Orchestration{single}, nil)
		o := patient(t)
		o.Slots = 1
		e := launch(t, &hook{Provider: store.Open(), after: slowly("AckOrchestrationItems", 100*time.Millisecond, always)}, o,
			[]Orchestration{waiting}, []Activity{work})
		client := launch(t, store.Open(), options(t), nil, nil)
		first := begin(t, client, "j", "waiting")
		pass(time.Second)
		e.current().work.maybe.Store(true) // as after a kick that found no slot
		raiseX(t, client, "j")
		synctest.Wait() // the commit has found no work; its reply is on its way
		ends(t, begin(t, orchestrator, "i", "single"), time.Second)
		ends(t, first, time.Second)
	})
}

// TestReapedWorkerWithFetchUnderWay: a worker declared dead while its fetch is on its way to the store begins anew and
// serves what came meanwhile.
func TestReapedWorkerWithFetchUnderWay(t *testing.T) {
	// The fetch of the dead worker comes last and finds nothing left.
	reapWhileFetching(t, func(n int32) time.Duration {
		if n == 1 {
			return 10 * time.Second
		}
		return 0
	})
}

// TestLateGrantToReapedWorker: a fetch that gets to the store only after its worker was declared dead must not take what
// nobody would ever release.
func TestLateGrantToReapedWorker(t *testing.T) {
	// Later fetches take longer: that of the dead worker comes first.
	reapWhileFetching(t, func(n int32) time.Duration { return time.Duration(n) * 10 * time.Second })
}

// reapWhileFetching declares a worker dead while it fetches the instance just started; the n-th fetch, counted from 1,
// is on its way for delay(n). The instance must end.
func reapWhileFetching(t *testing.T, delay func(n int32) time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		client := launch(t, store.Open(), options(t), nil, nil)
		var slow atomic.Bool
		var fetches atomic.Int32
		h := &hook{Provider: store.Open(), before: func(op string, _ int) error {
			if op == "FetchOrchestrationItems" && slow.Load() {
				pass(delay(fetches.Add(1)))
			}
			return nil
		}}
		e := launch(t, h, options(t), []Orchestration{waiting}, nil)
		synctest.Wait()
		slow.Store(true)
		w := begin(t, client, "i", "waiting")
		raiseX(t, client, "i")
		reaped := e.current().worker
		synctest.Wait() // the fetch is on its way
		if n := fetches.Load(); n != 1 {
			t.Fatalf("%d fetches under way", n)
		}
		if err := store.Open().RetireWorker(t.Context(), reaped); err != nil { // by a peer
			t.Fatal(err)
		}
		pass(5 * time.Minute)
		st, err := client.Read(t.Context(), "i")
		if err != nil {
			t.Fatal(err)
		}
		if st.Worker == reaped {
			t.Errorf("held by a worker that is dead")
		}
		if e.current().worker == reaped {
			t.Error("the session outlives its death")
		}
		ends(t, w, time.Second)
	})
}
