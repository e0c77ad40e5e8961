package replay

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl/history"
)

// The traps of coroutines, one test each.

func waiting(x *Execution) { _, _ = x.Await(x.Root().Event("never")) }

func TestGoexitInUserCode(t *testing.T) {
	out, _ := run(t, func(*Execution, history.Payload) (history.Payload, error) {
		runtime.Goexit()
		return history.Payload{}, nil
	}, []history.Event{started()}, Input{Fresh: true})
	if f, ok := out.Events[0].(*history.ExecutionFailed); !ok || f.Failure.Kind != history.FailureGoexit {
		t.Fatalf("%+v", out.Events)
	}
}

func TestPanicKeepsTheUsersStack(t *testing.T) {
	out, _ := run(t, func(*Execution, history.Payload) (history.Payload, error) {
		return panickingUserCode()
	}, []history.Event{started()}, Input{Fresh: true})
	f, ok := out.Events[0].(*history.ExecutionFailed)
	if !ok || f.Failure.Kind != history.FailurePanic || f.Failure.Message != "boom" {
		t.Fatalf("%+v", out.Events)
	}
	if want := "panickingUserCode"; !strings.Contains(f.Failure.Stack, want) {
		t.Fatalf("stack without %s:\n%s", want, f.Failure.Stack)
	}
}

func panickingUserCode() (history.Payload, error) { panic("boom") }

// TestLockedThreads: user code may lock its thread, and so may whoever runs the turns.
func TestLockedThreads(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, x := run(t, func(x *Execution, _ history.Payload) (history.Payload, error) {
		runtime.LockOSThread()
		waiting(x)
		return text("done"), nil
	}, []history.Event{started()}, Input{Fresh: true})
	if out.Status != Running {
		t.Fatalf("%+v", out)
	}
	out = turn(t, x, Input{Messages: []Message{raised(1, "never", "m")}})
	if out.Status != Completed {
		t.Fatalf("%+v", out)
	}
}

func TestForeignGoroutineIsRefused(t *testing.T) {
	errs := make(chan error)
	out, _ := run(t, func(x *Execution, _ history.Payload) (history.Payload, error) {
		f := x.Root().Activity("a", text(""), nil)
		go func() {
			_, err := x.Await(f)
			errs <- err
		}()
		if err := <-errs; err != ErrForeignGoroutine {
			t.Errorf("got %v", err)
		}
		_, err := x.Await(f)
		return history.Payload{}, err
	}, []history.Event{started()}, Input{Fresh: true})
	if out.Status != Failed || out.Events[len(out.Events)-1].(*history.ExecutionFailed).Failure.Kind != history.FailureMisuse {
		t.Fatalf("%+v", out)
	}
	if got := types(out.Events); got != "ActivityScheduled ExecutionFailed" {
		t.Fatal(got)
	}
}

func TestForeignFutureIsRefused(t *testing.T) {
	var stolen *Future
	run(t, func(x *Execution, _ history.Payload) (history.Payload, error) {
		stolen = x.Root().Event("e")
		waiting(x)
		return history.Payload{}, nil
	}, []history.Event{started()}, Input{Fresh: true})
	run(t, func(x *Execution, _ history.Payload) (history.Payload, error) {
		if _, err := x.Await(stolen); err != ErrForeignFuture {
			t.Errorf("got %v", err)
		}
		if _, err := x.Await(); err != ErrNothingToAwait {
			t.Errorf("got %v", err)
		}
		return history.Payload{}, nil
	}, []history.Event{started()}, Input{Fresh: true})
}

// TestCloseUnwinds: deferred functions of an evicted coroutine run, recover does not stop it, and the context is mute.
func TestCloseUnwinds(t *testing.T) {
	var deferred, after atomic.Bool
	_, x := run(t, func(x *Execution, _ history.Payload) (history.Payload, error) {
		defer func() {
			deferred.Store(true)
			_ = recover()
			x.Root().Activity("clean-up", text(""), nil) // ends this deferred function, records nothing
			after.Store(true)
		}()
		func() {
			defer func() { _ = recover() }()
			waiting(x)
		}()
		after.Store(true)
		return history.Payload{}, nil
	}, []history.Event{started()}, Input{Fresh: true})
	closed(t, x)
	if !deferred.Load() || after.Load() || len(x.out.Events) != 1 {
		t.Fatalf("deferred ran: %v, code went on: %v, events %s", deferred.Load(), after.Load(), types(x.out.Events))
	}
	closed(t, x) // idempotent
}

func TestCloseGivesUpOnStuckDefer(t *testing.T) {
	release := make(chan struct{})
	_, x := run(t, func(x *Execution, _ history.Payload) (history.Payload, error) {
		defer func() { <-release }()
		waiting(x)
		return history.Payload{}, nil
	}, []history.Event{started()}, Input{Fresh: true})
	now := make(chan time.Time, 1)
	now <- time.Time{}
	if x.Close(now) {
		t.Fatal("closed although a deferred function blocks")
	}
	close(release)
}

func TestWatchdog(t *testing.T) {
	release := make(chan struct{})
	x, err := New("i", 1, []history.Event{started()}, func(x *Execution, _ history.Payload) (history.Payload, error) {
		<-release
		waiting(x) // the first use of the context ends the goroutine
		return history.Payload{}, nil
	}, failureOf)
	if err != nil {
		t.Fatal(err)
	}
	now := make(chan time.Time, 1)
	now <- time.Time{}
	if _, err := x.Turn(Input{Fresh: true, Watchdog: now}); err != ErrStuck {
		t.Fatalf("got %v", err)
	}
	close(release)
	closed(t, x)
}

// TestNoGoroutineIsLeft: synctest fails if a goroutine of the bubble outlives it.
func TestNoGoroutineIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 100 {
			x, err := New("i", 1, []history.Event{started()}, two, failureOf)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := x.Turn(Input{Fresh: true}); err != nil {
				t.Fatal(err)
			}
			closed(t, x)
		}
		unused, err := New("i", 1, []history.Event{started()}, two, failureOf)
		if err != nil {
			t.Fatal(err)
		}
		closed(t, unused)
	})
}

// BenchmarkReplay10k is a cold replay of 10,000 events.
func BenchmarkReplay10k(b *testing.B) {
	const rounds = 3333
	fn := func(x *Execution, _ history.Payload) (history.Payload, error) {
		for range rounds {
			if _, err := x.Await(x.Root().Activity("a", text(""), nil)); err != nil {
				return history.Payload{}, err
			}
		}
		return history.Payload{}, nil
	}
	events := []history.Event{started()}
	for i := range int32(rounds) {
		events = append(events, &history.ActivityScheduled{Name: "a"}, &history.TurnStarted{At: t0}, &history.ActivityCompleted{Scheduled: 3*i + 1})
	}
	events = append(events, &history.ExecutionCompleted{})
	b.ReportAllocs()
	for b.Loop() {
		x, err := New("i", 1, events, fn, failureOf)
		if err != nil {
			b.Fatal(err)
		}
		out, err := x.Turn(Input{ReplayOnly: true})
		if err != nil || out.Divergence != nil || out.Status != Completed {
			b.Fatalf("%v %+v", err, out)
		}
	}
}

// BenchmarkTurn is a live turn: hand over, apply one answer, schedule the next, hand back.
func BenchmarkTurn(b *testing.B) {
	x, err := New("i", 1, []history.Event{started()}, func(x *Execution, _ history.Payload) (history.Payload, error) {
		for {
			if _, err := x.Await(x.Root().Activity("a", history.Payload{}, nil)); err != nil {
				return history.Payload{}, err
			}
		}
	}, failureOf)
	if err != nil {
		b.Fatal(err)
	}
	out, err := x.Turn(Input{Fresh: true})
	b.ReportAllocs()
	for b.Loop() {
		if err != nil || len(out.Activities) != 1 {
			b.Fatalf("%v %+v", err, out)
		}
		out, err = x.Turn(Input{At: t0, Messages: []Message{{Event: &history.ActivityCompleted{Scheduled: out.Activities[0].Number}}}})
	}
	x.Close(nil)
}

type nilError struct{ text string }

func (e *nilError) Error() string { return e.text } // panics on a nil receiver

// TestErrorValuesThatPanic: methods of a returned error are user code too.
func TestErrorValuesThatPanic(t *testing.T) {
	out, _ := run(t, func(*Execution, history.Payload) (history.Payload, error) {
		var e *nilError
		return history.Payload{}, e
	}, []history.Event{started()}, Input{Fresh: true})
	if f, ok := out.Events[0].(*history.ExecutionFailed); !ok || f.Failure.Kind != history.FailurePanic {
		t.Fatalf("%+v", out.Events)
	}
}

// TestPanicWhileUnwound: a deferred function that panics during an eviction harms nobody.
func TestPanicWhileUnwound(t *testing.T) {
	_, x := run(t, func(x *Execution, _ history.Payload) (history.Payload, error) {
		defer func() { panic("in defer") }()
		waiting(x)
		return history.Payload{}, nil
	}, []history.Event{started()}, Input{Fresh: true})
	closed(t, x)
}

// TestProgressRestartsTheWatchdog: the limit is between two awaits, not for the whole turn.
func TestProgressRestartsTheWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, err := New("i", 1, []history.Event{started()}, func(x *Execution, _ history.Payload) (history.Payload, error) {
			for range 20 {
				work := time.NewTimer(700 * time.Millisecond)
				<-work.C
				if _, err := x.Await(x.Root().Event("e")); err != nil {
					return history.Payload{}, err
				}
			}
			return text("done"), nil
		}, failureOf)
		if err != nil {
			t.Fatal(err)
		}
		var messages []Message
		for i := range int64(20) {
			messages = append(messages, raised(i+1, "e", string(rune('a'+i))))
		}
		watchdog := time.NewTimer(time.Second)
		out, err := x.Turn(Input{At: t0, Messages: messages, Watchdog: watchdog.C, Progress: func() { watchdog.Reset(time.Second) }})
		if err != nil || out.Status != Completed {
			t.Fatalf("%v, %+v", err, out)
		}
	})
}
