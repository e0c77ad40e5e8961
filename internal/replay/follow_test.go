package replay

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/pawlrun/pawl/history"
)

// follow leads an execution on and fails the test if it does not take the events.
func follow(t *testing.T, x *Execution, events ...history.Event) {
	t.Helper()
	if err := x.Follow(events); err != nil {
		t.Fatal(err)
	}
}

func TestFollow(t *testing.T) {
	out, x := run(t, two, []history.Event{started()}, Input{Fresh: true})
	if x.Known() != 3 {
		t.Fatalf("knows %d events", x.Known())
	}
	// Elsewhere b is answered, then a, in turns of their own.
	later := t0.Add(time.Hour)
	follow(t, x, &history.TurnStarted{At: t0}, &history.ActivityCompleted{Scheduled: 2, Result: text("b")})
	follow(t, x, &history.TurnStarted{At: later}, &history.ActivityCompleted{Scheduled: 1, Result: text("a")}, &history.EventAwaited{Name: "go"})
	if x.Known() != 8 {
		t.Fatalf("knows %d events", x.Known())
	}
	// The next turn's clock is behind that of the others.
	out = turn(t, x, Input{Messages: []Message{completed(1), raised(7, "go", "m")}})
	if got := types(out.Events); got != "TurnStarted EventReceived ExecutionCompleted" || out.Status != Completed || len(out.Consumed) != 2 {
		t.Fatalf("%s, %+v", got, out)
	}
	if at := out.Events[0].(*history.TurnStarted).At; !at.Equal(later) {
		t.Errorf("turn at %v", at)
	}
	if received := out.Events[1].(*history.EventReceived); received.Awaited != 7 {
		t.Errorf("answers the wait of event %d", received.Awaited)
	}
	if err := x.Follow(nil); err == nil {
		t.Error("an ended execution is led on")
	}
}

func TestFollowBeforeTheFirstTurn(t *testing.T) {
	x, err := New("i", 1, []history.Event{started()}, two, failureOf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, x) })
	follow(t, x, divergenceBase[1:]...)
	out := turn(t, x, Input{ReplayOnly: true})
	if out.Divergence != nil || len(out.Events) != 0 || !reflect.DeepEqual(out.Waits, []string{"go"}) {
		t.Fatalf("%+v", out)
	}
}

// TestFollowedDivergence cuts histories that the code did not write where a turn ends: what is wrong with the later part
// is found as it is in one piece.
func TestFollowedDivergence(t *testing.T) {
	tested := 0
	for _, tt := range divergences {
		for cut := 1; cut < len(tt.recorded); cut++ {
			if !isTurnEnd(tt.recorded, cut) || tt.expected != "" && tt.event < int32(cut) {
				continue
			}
			t.Run(fmt.Sprint(tt.name, " from event ", cut), func(t *testing.T) {
				_, x := run(t, tt.fn, tt.recorded[:cut], Input{ReplayOnly: true})
				if x.Gone() {
					return // the code has diverged before the cut
				}
				tested++
				follow(t, x, tt.recorded[cut:]...)
				d := turn(t, x, Input{}).Divergence
				if tt.expected == "" {
					if d != nil {
						t.Fatalf("%+v", d)
					}
					return
				}
				if d == nil || d.Event != tt.event || d.Expected != tt.expected || d.Actual != tt.actual {
					t.Fatalf("got %+v", d)
				}
			})
		}
	}
	if tested < 3 {
		t.Errorf("%d cuts", tested)
	}
}

// TestLiveThenDiverged has code that went on here differently from what the history then says.
func TestLiveThenDiverged(t *testing.T) {
	for name, events := range map[string][]history.Event{
		"other activity": {&history.TurnStarted{At: t0}, &history.ActivityCompleted{Scheduled: 2}, &history.ActivityCompleted{Scheduled: 1}, &history.TimerScheduled{FireAt: t0}},
		"too short":      {&history.TurnStarted{At: t0}, &history.ActivityCompleted{Scheduled: 2}, &history.ActivityCompleted{Scheduled: 1}},
		"not its answer": {&history.TurnStarted{At: t0}, &history.ActivityCompleted{Scheduled: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			_, x := run(t, two, []history.Event{started()}, Input{Fresh: true})
			follow(t, x, events...)
			if out := turn(t, x, Input{}); out.Divergence == nil || len(out.Events) != 0 {
				t.Fatalf("%+v", out)
			}
		})
	}
}

// moving uses everything whose state an execution keeps: the clock, ids, waits, seen messages, and answers in any order.
func moving(x *Execution, _ history.Payload) (history.Payload, error) {
	var fs []*Future
	var log string
	for i := range 6 {
		fs = append(fs, x.Root().Activity("a", text(""), nil), x.Root().Timer(time.Second), x.Root().Event("e"), x.Root().Child(history.ChildScheduled{Name: "c", Input: text("")}))
		n, err := x.Await(fs...)
		if err != nil {
			return history.Payload{}, err
		}
		log += fmt.Sprint(n, x.Now().Unix(), x.NewID()[0], ";")
		if n%2 == i%2 {
			fs = slices.Delete(fs, n, n+1)
		}
	}
	return text(log), &ContinueAsNew{Input: text(log)}
}

// withdrawing opens and withdraws in scopes that nest, are detached and are cancelled by the instance's own cancellation.
func withdrawing(x *Execution, _ history.Payload) (history.Payload, error) {
	options := &history.ActivityOptions{ScheduleToStart: time.Minute, ScheduleToClose: time.Hour}
	clean := x.NewScope(nil)
	var fs []*Future
	var log string
	for i := range 8 {
		inner := x.NewScope(x.Root())
		innermost := x.NewScope(inner)
		child := history.ChildScheduled{Name: "c", Input: text(""), Close: []history.ParentClose{history.CloseAbandon, history.CloseCancel}[i%2]}
		fs = append(fs, inner.Activity("a", text(""), options), innermost.Timer(time.Second), innermost.Event("e"), inner.Child(child), clean.Event("e"))
		if i%3 == 0 {
			x.Root().Child(history.ChildScheduled{Name: "d", Detached: true})
			x.Send(history.EventSent{InstanceID: "other", Name: "n", Payload: text(log)})
		}
		n, err := x.Await(fs...)
		if err != nil {
			return history.Payload{}, err
		}
		_, failure, _ := fs[n].Answer()
		log += fmt.Sprint(n, failure, x.Root().Cancelled() != nil, x.Patched(fmt.Sprint("p", i/2)), x.HistoryLength(), ";")
		x.SetCustomStatus(text(log))
		x.SetValue(fmt.Sprint("k", n%3), text(log))
		switch fs = slices.Delete(fs, n, n+1); n % 4 {
		case 0:
			inner.Cancel("inner")
		case 1:
			innermost.Cancel("innermost")
		case 2:
			fs[0].Cancel("one")
		}
	}
	if len(log)%2 == 0 {
		return text(log), &ContinueAsNew{Input: text(log)}
	}
	return text(log), errCancelled
}

// script makes the inputs of the turns of a run, the same each time it is called.
func script(seed uint64) []Input {
	r := rand.New(rand.NewPCG(seed, 1))
	inputs := []Input{{Fresh: true, At: t0}}
	for i := range 25 {
		in := Input{At: t0.Add(time.Duration(r.IntN(100)) * time.Second)}
		for range 1 + r.IntN(3) {
			n := int32(1 + r.IntN(30))
			in.Messages = append(in.Messages, completed(n), Message{Order: 1, Event: &history.TimerFired{Scheduled: n}},
				Message{Order: 2, Execution: 1, Event: &history.ChildCompleted{Scheduled: n, Result: text("c")}},
				raised(int64(i), "e", fmt.Sprint(r.IntN(20))), Message{Order: 3, Event: &history.TimerFired{Scheduled: -1 - n}})
			if r.IntN(20) == 0 {
				in.Messages = append(in.Messages, Message{Order: 4, Event: &history.CancelRequested{Reason: fmt.Sprint(i)}})
			}
			r.Shuffle(len(in.Messages), func(a, b int) { in.Messages[a], in.Messages[b] = in.Messages[b], in.Messages[a] })
		}
		inputs = append(inputs, in)
	}
	return inputs
}

// TestFollowedIsCold plays runs on two executions: one has every turn, the other only some, taken at random, and is led
// on by those in between, as is a third that is made anew for each turn. What a turn does is the same on all of them.
func TestFollowedIsCold(t *testing.T) {
	for name, fn := range map[string]Function{"moving": moving, "withdrawing": withdrawing} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(60) {
				checkFollowed(t, fn, seed)
			}
		})
	}
}

func checkFollowed(t *testing.T, fn Function, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 2))
	whole, _ := New("i", 1, []history.Event{started()}, fn, failureOf)
	x, _ := New("i", 1, []history.Event{started()}, fn, failureOf)
	full, missed := []history.Event{started()}, []history.Event(nil)
	for n := range script(seed) {
		want := turn(t, whole, script(seed)[n])
		if r.IntN(3) > 0 || n == 0 {
			for _, part := range halves(r, missed) {
				follow(t, x, part...)
			}
			missed = nil
			if x.Known() != int32(len(full)) {
				t.Fatalf("seed %d, turn %d: knows %d of %d events", seed, n, x.Known(), len(full))
			}
			if got := turn(t, x, script(seed)[n]); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, turn %d: led on\n%+v\nall along\n%+v", seed, n, got, want)
			}
			if n > 0 {
				if got, _ := run(t, fn, full, script(seed)[n]); !reflect.DeepEqual(got, want) {
					t.Fatalf("seed %d, turn %d: anew\n%+v\nall along\n%+v", seed, n, got, want)
				}
			}
		} else {
			missed = append(missed, want.Events...)
		}
		full = append(full, want.Events...)
		if want.Status != Running {
			break
		}
	}
	closed(t, whole)
	closed(t, x)
}

// halves cuts events in two at random.
func halves(r *rand.Rand, events []history.Event) [][]history.Event {
	if len(events) == 0 {
		return nil
	}
	cut := r.IntN(len(events) + 1)
	return [][]history.Event{events[:cut], events[cut:]}
}
