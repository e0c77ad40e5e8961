package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// TestFarTimersDoNotDelayNearOnes: however many far timers a process knows of, those of decided selects say, a near one
// fires on time.
func TestFarTimersDoNotDelayNearOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := launch(t, model.New(model.Options{}).Open(), options(t), []Orchestration{napping(10 * time.Millisecond)}, nil)
		pass(1100 * time.Millisecond) // just after a pulse: the next is no help
		s := e.current()
		for range maxTimers {
			s.addTimer(time.Now().Add(24 * time.Hour))
		}
		ends(t, begin(t, e, "i", "napping"), 50*time.Millisecond)
	})
}

// TestTimerQueueKeepsTheNearest: a full queue forgets far times only and does not grow.
func TestTimerQueueKeepsTheNearest(t *testing.T) {
	base := time.Now()
	var q timerQueue
	for i := range maxTimers + maxTimers/4 {
		q.add(base.Add(time.Duration(maxTimers*2-i) * time.Second)) // ever nearer
	}
	if len(q) > maxTimers {
		t.Errorf("%d timers in the queue", len(q))
	}
	if next, want := q[0], base.Add((maxTimers*3/4+1)*time.Second); !next.Equal(want) {
		t.Errorf("the next timer is at %v, want %v", next.Sub(base), want.Sub(base))
	}
}

// TestTimerDueWhileFull: a timer that becomes due while the process has no room is looked for as soon as it has, not by
// the next pulse.
func TestTimerDueWhileFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t)
		o.MaxInstances, o.PulseInterval, o.TTL = 1, time.Hour, 3*time.Hour
		h := &hook{Provider: model.New(model.Options{}).Open(), before: slowly("AckOrchestrationItems", 100*time.Millisecond, always)}
		e := launch(t, h, o, []Orchestration{napping(50 * time.Millisecond), waiting}, nil)
		w := begin(t, e, "i", "napping")
		begin(t, e, "j", "waiting")
		pass(10 * time.Millisecond)
		raiseX(t, e, "j") // the commit of its turn fills the process beyond the timer's time
		ends(t, w, time.Second)
	})
}

// TestCodeAsSlowAsItsLimit: code that comes back in the very moment its time is over leaves its instance either waiting
// or parked, and nothing counts as busy.
func TestCodeAsSlowAsItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t)
		slow := Orchestration{Name: "slow", Run: func(x *replay.Execution, _ history.Payload) (history.Payload, error) {
			pass(o.TurnTimeout)
			_, err := x.Await(x.Root().Event("x"))
			return history.Payload{}, err
		}}
		e := launch(t, model.New(model.Options{}).Open(), o, []Orchestration{slow}, nil)
		var ids []string
		for _, c := range "abcdefghijklmnopqrst" {
			ids = append(ids, string(c))
			begin(t, e, string(c), "slow")
		}
		pass(time.Minute)
		for _, id := range ids {
			raiseX(t, e, id)
		}
		pass(time.Minute)
		for _, id := range ids {
			st, err := e.Read(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if !st.Status.Terminal() && len(st.Parked) == 0 {
				t.Errorf("%s has not ended and is not parked: %+v", id, st)
			}
		}
		s := e.current()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.busy != 0 || len(s.runs) != 0 || s.settling != 0 {
			t.Errorf("%d busy, %d activities, %d settling", s.busy, len(s.runs), s.settling)
		}
	})
}
