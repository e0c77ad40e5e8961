package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// sessionOrder: who waits for room gets it by priority, and among equals in the order of asking.
func sessionOrder(w *world) {
	var entered journal
	orch := func(o *pawl.Context, name string) (string, error) {
		session, err := pawl.OpenSession(o, nil)
		if err != nil {
			return "", err
		}
		defer session.Close()
		if _, err := pawl.ActivityByName[string](o, "note", name, pawl.ActivityOptions{Session: session}).Await(); err != nil {
			return "", err
		}
		return pawl.Event[string](o, "leave").Await()
	}
	turns := w.app(nil, orchestration(orch, pawl.Name("orch")))
	w.app(&pawl.Options{MaxSessions: 1}, entered.noting(nil))
	var runs []*pawl.Run[string]
	begin := func(id string, p pawl.Priority) {
		run, err := pawl.Start(w.ctx, turns, orch, id, &pawl.StartOptions{InstanceID: id, Priority: p})
		if err != nil {
			w.Fatal(err)
		}
		runs = append(runs, run)
	}
	begin("first", "")
	w.eventually("the first is inside", func() bool { return len(entered.all()) == 1 })
	var want []string
	for i := range 3 {
		begin(fmt.Sprint("low-", i), pawl.PriorityLow)
		begin(fmt.Sprint("high-", i), pawl.PriorityHigh)
		want = append(want, fmt.Sprint("low-", i))
	}
	for i := range 3 {
		want = slices.Insert(want, i, fmt.Sprint("high-", i))
	}
	for _, run := range runs[1:] {
		w.eventually(run.InstanceID()+" waits, and somebody could open it", func() bool {
			in, err := turns.Describe(w.ctx, run.InstanceID())
			return err == nil && in.Events > 1 && len(in.Unserved) == 0
		})
	}
	for i, next := range append([]string{"first"}, want...) {
		w.eventually("the next is inside", func() bool { return len(entered.all()) == i+1 })
		if got := entered.all()[i]; got != next {
			w.Fatalf("place %d went to %s, want %s: %v", i, got, next, entered.all())
		}
		if err := pawl.Raise(w.ctx, turns, next, "leave", "", nil); err != nil {
			w.Fatal(err)
		}
	}
	for _, run := range runs {
		result(w, run)
	}
}

// sessionsNeverBegin: a session that is closed in the turn that has opened it leaves its place at once, and the code of an
// update, which must not wait, opens none.
func sessionsNeverBegin(w *world) {
	orch := func(o *pawl.Context, n int) (string, error) {
		if err := pawl.HandleUpdate(o, "open", pawl.UpdateHandler[string, string]{Handle: func(string) (string, error) {
			_, err := pawl.OpenSession(o, nil)
			return fmt.Sprint(err), nil
		}}); err != nil {
			return "", err
		}
		if _, err := pawl.Event[string](o, "go").Await(); err != nil {
			return "", err
		}
		for range n {
			session, err := pawl.OpenSession(o, nil)
			if err != nil {
				return "", err
			}
			session.Close()
		}
		_, err := pawl.OpenSession(o, nil)
		return "", err
	}
	app := w.app(&pawl.Options{MaxSessions: 1}, orchestration(orch, pawl.Name("orch")), activity(greet))
	begin := time.Now()
	for _, id := range []string{"a", "b"} {
		run := start(w, app, orch, 10, id)
		if got, err := pawl.Update[string](w.ctx, app, id, "open", "", nil); err != nil || !strings.Contains(got, "must not wait") {
			w.Errorf("the update: %q, %v", got, err)
		}
		if err := pawl.Raise(w.ctx, app, id, "go", "", nil); err != nil {
			w.Fatal(err)
		}
		result(w, run)
	}
	if took := time.Since(begin); took > 30*time.Second { // ten seconds each if their places were kept
		w.Errorf("22 sessions took %v", took)
	}
}

// sessionAfterActivities: a process that stops lets an activity return before what its session has there goes.
func sessionAfterActivities(w *world) {
	var gone atomic.Bool
	begun, goOn := make(chan struct{}), make(chan struct{})
	work := func(ctx context.Context, _ string) (string, error) {
		session, _ := pawl.SessionContext(ctx)
		context.AfterFunc(session, func() { gone.Store(true) })
		close(begun)
		<-goOn
		if gone.Load() {
			return "", errors.New("it is not there any more")
		}
		return "done", nil
	}
	orch := func(o *pawl.Context, _ string) (string, error) {
		session, err := pawl.OpenSession(o, nil)
		if err != nil {
			return "", err
		}
		defer session.Close()
		return pawl.ActivityByName[string](o, "work", "", pawl.ActivityOptions{Session: session}).Await()
	}
	turns := w.app(nil, orchestration(orch, pawl.Name("orch")))
	worker := w.app(nil, activity(work, pawl.Name("work")))
	run := start(w, turns, orch, "", "x")
	<-begun
	stopped := make(chan error)
	go func() { stopped <- worker.Stop(w.ctx) }()
	w.eventually("it begins to stop", func() bool {
		in, err := turns.Describe(w.ctx, "x")
		return err == nil && in.Events >= 8 // the loss is recorded
	})
	close(goOn)
	if err := <-stopped; err != nil {
		w.Error(err)
	}
	if got := result(w, run); got != "done" {
		w.Errorf("got %q", got)
	}
	w.eventually("it is let go", gone.Load)
}

// sessionLossTold: the loss is told by whatever worker is left, also one that does not serve the tag of the session.
func sessionLossTold(w *world) {
	orch := func(o *pawl.Context, _ string) (string, error) {
		session, err := pawl.OpenSession(o, &pawl.SessionOptions{Tag: "gpu"})
		if err != nil {
			return "", err
		}
		if err := pawl.SetCustomStatus(o, "inside"); err != nil {
			return "", err
		}
		_, err = session.Ended().Await()
		return "", err
	}
	turns := w.app(nil, orchestration(orch, pawl.Name("orch")), activity(greet))
	gpu := w.app(&pawl.Options{Tags: []string{"gpu"}}, activity(greet))
	run := start(w, turns, orch, "", "x")
	w.eventually("it is inside", func() bool { return saysOf(w, turns, "x") == "inside" })
	expired, cancel := context.WithCancel(w.ctx)
	cancel()
	_ = gpu.Stop(expired)
	if _, err := run.Result(w.ctx); !errors.Is(err, pawl.ErrSessionLost) {
		w.Error(err)
	}
}

// sessionIDs: each session has an id of its own, also that of an instance that takes the place of another.
func sessionIDs(w *world) {
	orch := func(o *pawl.Context, again bool) (string, error) {
		session, err := pawl.OpenSession(o, nil)
		if err != nil || again {
			return "", errors.Join(err, pawl.ContinueAsNew(false))
		}
		return session.ID(), nil
	}
	app := w.app(nil, orchestration(orch, pawl.Name("orch")), activity(greet))
	seen := map[string]bool{}
	for _, again := range []bool{false, false, true} {
		run, err := pawl.Start(w.ctx, app, orch, again, &pawl.StartOptions{InstanceID: "x", Reuse: pawl.ReuseReplaceEnded})
		if err != nil {
			w.Fatal(err)
		}
		id := result(w, run)
		if id == "" || seen[id] {
			w.Errorf("id %q, seen before: %v", id, seen)
		}
		seen[id] = true
	}
}

// slowHold delays the answer to the commit that begins a session.
type slowHold struct {
	provider.Provider
	begun, goOn chan struct{}
}

func (p *slowHold) AckOrchestrationItems(ctx context.Context, req *provider.AckRequest) (*provider.AckReply, error) {
	reply, err := p.Provider.AckOrchestrationItems(ctx, req)
	for i := range req.Items {
		if slices.ContainsFunc(req.Items[i].Work, func(work provider.NewWork) bool { return work.Worker != 0 }) {
			close(p.begun)
			<-p.goOn
		}
	}
	return reply, err
}

// TestStopWhileSessionBegins: a session that begins in a process which has just been told to stop does not keep it.
func TestStopWhileSessionBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		slow := &slowHold{Provider: store.Open(), begun: make(chan struct{}), goOn: make(chan struct{})}
		w := &world{TB: t, ctx: t.Context(), open: func(testing.TB) provider.Provider { return slow }}
		orch := func(o *pawl.Context, _ string) (string, error) {
			session, err := pawl.OpenSession(o, nil)
			if err != nil {
				return "", err
			}
			_, err = session.Ended().Await()
			return "", err
		}
		app := w.app(nil, orchestration(orch, pawl.Name("orch")), activity(greet))
		start(w, app, orch, "", "x")
		<-slow.begun
		stopped := make(chan error)
		begin := time.Now()
		go func() {
			ctx, cancel := context.WithTimeout(w.ctx, time.Hour)
			defer cancel()
			stopped <- app.Stop(ctx)
		}()
		synctest.Wait()
		close(slow.goOn)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("the stop took %v", took)
		}
	})
}
