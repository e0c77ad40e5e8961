package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pawlrun/pawl"
)

// priorityScenarios are those of priorities.
var priorityScenarios = []scenario{
	{name: "priorities order what waits", run: prioritiesOrder},
	{name: "priorities are inherited", run: prioritiesInherited},
	{name: "no priority starves", run: nothingStarves},
	{name: "urgent work passes sequences", run: urgentPasses},
	{name: "priorities are refused", run: prioritiesRefused},
}

// journal notes what runs, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

// noting is an activity that waits for gate and notes its input.
func (j *journal) noting(gate <-chan struct{}) func(*pawl.App) {
	return activity(func(ctx context.Context, in string) (string, error) {
		j.add(in)
		if gate != nil && in == "gate" {
			select {
			case <-gate:
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
		return in, nil
	}, pawl.Name("note"))
}

// callNote schedules the activity with its input, in the priority of the instance.
func callNote(o *pawl.Context, in string) (string, error) {
	return pawl.ActivityByName[string](o, "note", in).Await()
}

// urgently starts an instance of callNote.
func urgently(w *world, app *pawl.App, in string, p pawl.Priority) *pawl.Run[string] {
	w.Helper()
	run, err := pawl.Start(w.ctx, app, callNote, in, &pawl.StartOptions{InstanceID: in, Priority: p})
	if err != nil {
		w.Fatal(err)
	}
	return run
}

// servedSoon waits until live workers run all that an instance has queued.
func servedSoon(w *world, app *pawl.App, id string) {
	w.Helper()
	w.eventually("somebody runs "+id, func() bool {
		in, err := app.Describe(w.ctx, id)
		return err == nil && in.Workers > 0 && len(in.Unserved) == 0
	})
}

var levels = []pawl.Priority{pawl.PriorityLowest, pawl.PriorityLow, pawl.PriorityNormal, pawl.PriorityHigh, pawl.PriorityHighest}

// prioritiesOrder: what waits for one slot goes by priority, and within one by age.
func prioritiesOrder(w *world) {
	var ran journal
	gate := make(chan struct{})
	turns := w.app(nil, orchestration(callNote))
	w.app(&pawl.Options{MaxActivities: 1}, ran.noting(gate))
	runs := []*pawl.Run[string]{urgently(w, turns, "gate", "")}
	w.eventually("the slot is taken", func() bool { return len(ran.all()) == 1 })
	for i := range 2 {
		for _, p := range levels {
			id := fmt.Sprint(p, i)
			runs = append(runs, urgently(w, turns, id, p))
			w.eventually(id+" has had its turn", func() bool {
				in, err := turns.Describe(w.ctx, id)
				return err == nil && in.Events > 1 && in.Priority == p
			})
		}
	}
	for _, run := range runs[1:] {
		servedSoon(w, turns, run.InstanceID())
	}
	close(gate)
	for _, run := range runs {
		result(w, run)
	}
	want := []string{"gate"}
	for _, p := range slices.Backward(levels) {
		want = append(want, string(p)+"0", string(p)+"1")
	}
	if got := ran.all(); !slices.Equal(got, want) {
		w.Errorf("ran %v, want %v", got, want)
	}
}

// prioritiesInherited: children, activities and later executions have the priority of the instance, unless they have their own.
func prioritiesInherited(w *world) {
	var app *pawl.App
	look := func(ctx context.Context, id string) (pawl.Priority, error) {
		in, err := app.Describe(ctx, id)
		if err != nil {
			return "", err
		}
		return in.Priority, nil
	}
	lookAtMe := func(o *pawl.Context, again bool) (pawl.Priority, error) {
		if again {
			return "", pawl.ContinueAsNew(false)
		}
		return pawl.Activity(o, look, o.InstanceID()).Await()
	}
	parent := func(o *pawl.Context, _ string) ([]pawl.Priority, error) {
		detached, err := pawl.StartDetached(o, lookAtMe, false, &pawl.DetachedOptions{InstanceID: "detached", Priority: pawl.PriorityLowest})
		if err != nil {
			return nil, err
		}
		if err := pawl.Sleep(o, soon); err != nil { // so that what follows is replayed from the store
			return nil, err
		}
		return pawl.All(pawl.Activity(o, look, o.InstanceID()),
			pawl.SubOrchestration(o, lookAtMe, false, nil),
			pawl.SubOrchestration(o, lookAtMe, true, nil),
			pawl.SubOrchestration(o, lookAtMe, false, &pawl.ChildOptions{Priority: pawl.PriorityNormal}),
			pawl.Activity(o, look, detached, pawl.ActivityOptions{Priority: pawl.PriorityHighest, Retry: &pawl.RetryPolicy{InitialDelay: soon}}))
	}
	app = w.app(&pawl.Options{CacheBytes: -1}, orchestration(parent, pawl.Name("parent")), orchestration(lookAtMe, pawl.Name("child")), activity(look, pawl.Name("look")))
	for id, p := range map[string]pawl.Priority{"plain": "", "urgent": pawl.PriorityHigh} {
		run, err := pawl.Start(w.ctx, app, parent, "", &pawl.StartOptions{InstanceID: id, Priority: p})
		if err != nil {
			w.Fatal(err)
		}
		own := pawl.PriorityNormal
		if p != "" {
			own = p
		}
		if got, want := result(w, run), []pawl.Priority{own, own, own, pawl.PriorityNormal, pawl.PriorityLowest}; !slices.Equal(got, want) {
			w.Errorf("%s: %v, want %v", id, got, want)
		}
	}
	listed, _, err := app.List(w.ctx, &pawl.ListOptions{Prefix: "urgent"})
	if err != nil || len(listed) != 4 {
		w.Fatal(len(listed), err)
	}
	high := slices.DeleteFunc(listed, func(in pawl.Instance) bool { return in.Priority != pawl.PriorityHigh })
	if len(high) != 3 {
		w.Errorf("%d have the priority that they should: %+v", len(high), high)
	}
}

// nothingStarves: behind an endless supply of what is urgent the least urgent still gets its turn.
func nothingStarves(w *world) {
	var done atomic.Bool
	var urgent atomic.Int32
	turns := w.app(nil, orchestration(callNote))
	w.app(&pawl.Options{MaxActivities: 1}, activity(func(ctx context.Context, in string) (string, error) {
		if in == "patient" {
			done.Store(true)
		} else if !done.Load() {
			urgent.Add(1)
		}
		return in, nil
	}, pawl.Name("note")))
	for i, p := range []pawl.Priority{pawl.PriorityLowest, pawl.PriorityHighest} { // so that they are known
		id := fmt.Sprint("first", i)
		result(w, urgently(w, turns, id, p))
	}
	urgent.Store(0)
	patient := urgently(w, turns, "patient", pawl.PriorityLowest)
	feed, stop := context.WithCancel(w.ctx)
	var feeders sync.WaitGroup
	for i := range 40 { // so many wait at any time
		feeders.Go(func() {
			for n := 0; feed.Err() == nil; n++ {
				id := fmt.Sprint("urgent-", i, "-", n)
				run, err := pawl.Start(feed, turns, callNote, id, &pawl.StartOptions{InstanceID: id, Priority: pawl.PriorityHighest})
				if err == nil {
					_, _ = run.Result(feed)
				}
			}
		})
	}
	result(w, patient)
	stop()
	feeders.Wait()
	if n := urgent.Load(); n > 200 {
		w.Errorf("it waited behind %d", n)
	}
}

// urgentPasses: in a process that is full of sequences, of which 30 wait, what is more urgent begins within a few steps.
func urgentPasses(w *world) {
	var ordinary atomic.Int32
	var mu sync.Mutex
	var passed []int       // ordinary steps that began between the schedule and the begin of an urgent one
	var scheduled sync.Map // when an urgent activity was scheduled, by instance
	begun := make(chan struct{}, 1)
	step := func(ctx context.Context, urgent bool) (bool, error) {
		if urgent {
			info, _ := pawl.ActivityInfoFrom(ctx)
			if n, ok := scheduled.Load(info.InstanceID); ok {
				mu.Lock()
				defer mu.Unlock()
				passed = append(passed, int(ordinary.Load()-n.(int32)))
			}
			return urgent, nil
		}
		ordinary.Add(1)
		select {
		case begun <- struct{}{}:
		default:
		}
		return urgent, nil
	}
	steps := func(o *pawl.Context, n int) (int, error) {
		for range n {
			if _, err := pawl.Activity(o, step, false).Await(); err != nil {
				return 0, err
			}
		}
		return n, nil
	}
	urgent := func(o *pawl.Context, n int) (bool, error) {
		if !o.IsReplaying() && n > 0 { // the first makes the priority known
			scheduled.Store(o.InstanceID(), ordinary.Load())
		}
		return pawl.Activity(o, step, true).Await()
	}
	app := w.app(&pawl.Options{MaxActivities: 2}, orchestration(steps, pawl.Name("steps")), orchestration(urgent, pawl.Name("urgent")), activity(step, pawl.Name("step")))
	var runs []*pawl.Run[int]
	for i := range 30 {
		runs = append(runs, start(w, app, steps, 12, fmt.Sprint("steps-", i)))
	}
	<-begun
	for i := range 10 {
		run, err := pawl.Start(w.ctx, app, urgent, i, &pawl.StartOptions{InstanceID: fmt.Sprint("urgent-", i), Priority: pawl.PriorityHighest})
		if err != nil {
			w.Fatal(err)
		}
		result(w, run)
	}
	// By age it would be about 20. Not the worst of them counts, which chance, or a call that is lost, may have kept.
	slices.Sort(passed)
	if len(passed) != 9 || passed[4] > 10 {
		w.Errorf("what was urgent began behind %v steps", passed)
	}
	for _, run := range runs {
		result(w, run)
	}
}

func prioritiesRefused(w *world) {
	app := w.app(nil, orchestration(callNote), activity(greet, pawl.Name("note")))
	if _, err := pawl.Start(w.ctx, app, callNote, "x", &pawl.StartOptions{Priority: "urgent"}); !errors.Is(err, pawl.ErrInvalid) || !strings.Contains(err.Error(), `StartOptions.Priority is "urgent"`) {
		w.Error(err)
	}
	orch := func(o *pawl.Context, _ string) (string, error) {
		_, activity := pawl.ActivityByName[string](o, "note", "", pawl.ActivityOptions{Priority: "a"}).Await()
		_, child := pawl.SubOrchestration(o, callNote, "", &pawl.ChildOptions{Priority: "b"}).Await()
		_, detached := pawl.StartDetached(o, callNote, "", &pawl.DetachedOptions{Priority: "c"})
		_, session := pawl.OpenSession(o, &pawl.SessionOptions{Priority: "d"})
		return fmt.Sprint(activity, child, detached, session), nil
	}
	refusing := w.app(nil, orchestration(orch, pawl.Name("call")))
	got := result(w, w.call(refusing, "refused", ""))
	for _, want := range []string{`ActivityOptions.Priority is "a"`, `ChildOptions.Priority is "b"`, `DetachedOptions.Priority is "c"`, `SessionOptions.Priority is "d"`} {
		if !strings.Contains(got, want) {
			w.Errorf("%s is not in %s", want, got)
		}
	}
}
