package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl"
)

// sessionScenarios are those of sessions.
var sessionScenarios = []scenario{
	{name: "session stays in its process", run: sessionStays},
	{name: "session is lost with its worker", run: sessionLost},
	{name: "session with nothing to do is lost", run: idleSessionLost},
	{name: "room for sessions", run: sessionRoom},
	{name: "sessions wait in order", run: sessionOrder},
	{name: "sessions that never begin", run: sessionsNeverBegin},
	{name: "session is let go after its activities", run: sessionAfterActivities},
	{name: "anybody tells that a session is lost", run: sessionLossTold},
	{name: "session ids", run: sessionIDs},
	{name: "session ends with its execution", run: sessionEnds},
	{name: "session on a tag", run: sessionTag},
	{name: "sessions are misused", run: sessionsMisused},
}

// place is a process for activities that say where they ran.
type place struct {
	name    string
	ended   atomic.Int32 // sessions
	staying atomic.Int32 // activities that wait for the gate
	gate    chan struct{}
}

func (p *place) register(app *pawl.App) {
	pawl.RegisterActivity(app, func(ctx context.Context, _ string) (string, error) {
		info, _ := pawl.ActivityInfoFrom(ctx)
		if session, ok := pawl.SessionContext(ctx); ok && session.Err() != nil {
			return "", session.Err()
		}
		return p.name + " " + info.SessionID, nil
	}, pawl.Name("where"))
	pawl.RegisterActivity(app, func(ctx context.Context, _ string) (string, error) {
		session, ok := pawl.SessionContext(ctx)
		if !ok {
			return "", errors.New("no session")
		}
		context.AfterFunc(session, func() { p.ended.Add(1) })
		return p.name, nil
	}, pawl.Name("enter"))
	pawl.RegisterActivity(app, func(ctx context.Context, _ string) (string, error) {
		info, _ := pawl.ActivityInfoFrom(ctx)
		if info.Attempt < 3 {
			return "", errors.New("not yet")
		}
		return p.name + " " + info.SessionID, nil
	}, pawl.Name("third time"))
	pawl.RegisterActivity(app, func(ctx context.Context, _ string) (string, error) {
		p.staying.Add(1)
		defer p.staying.Add(-1)
		select {
		case <-ctx.Done():
		case <-p.gate:
		}
		return p.name, ctx.Err()
	}, pawl.Name("stay"))
}

// places starts two processes that have activities only.
func places(w *world, opts pawl.Options) (ps [2]*place, apps [2]*pawl.App) {
	for i := range ps {
		ps[i] = &place{name: fmt.Sprint("place", i), gate: make(chan struct{})}
		apps[i] = w.app(&opts, ps[i].register)
	}
	return ps, apps
}

// saysOf is the custom status of an instance, "" until it has one.
func saysOf(w *world, app *pawl.App, id string) string {
	w.Helper()
	said, _, err := pawl.CustomStatus[string](w.ctx, app, id)
	if err != nil {
		w.Fatal(err)
	}
	return said
}

// whose is the index of the place with a name, -1 if none has it.
func whose(ps [2]*place, name string) int {
	return slices.IndexFunc(ps[:], func(p *place) bool { return p.name == name })
}

// sessionStays: all activities of a session run in one process, in sequence, beside each other, tried again, beyond its slots.
func sessionStays(w *world) {
	orch := func(o *pawl.Context, n int) (string, error) {
		session, err := pawl.OpenSession(o, nil)
		if err != nil {
			return "", err
		}
		defer session.Close()
		in := pawl.ActivityOptions{Session: session}
		first, err := pawl.ActivityByName[string](o, "enter", "", in).Await()
		if err != nil {
			return "", err
		}
		want := first + " " + session.ID()
		again, err := pawl.ActivityByName[string](o, "third time", "", in, pawl.ActivityOptions{Retry: &pawl.RetryPolicy{InitialDelay: soon}}).Await()
		if err != nil || again != want {
			return "", fmt.Errorf("tried again in %q, want %q: %w", again, want, err)
		}
		var several []*pawl.Future[string]
		for range n {
			several = append(several, pawl.ActivityByName[string](o, "where", "", in))
		}
		all, err := pawl.All(several...)
		if err != nil || slices.ContainsFunc(all, func(got string) bool { return got != want }) {
			return "", fmt.Errorf("ran in %q, want %q: %w", all, want, err)
		}
		return first, nil
	}
	turns := w.app(nil, orchestration(orch, pawl.Name("orch")))
	ps, _ := places(w, pawl.Options{MaxActivities: 3})
	for i := range 6 {
		result(w, start(w, turns, orch, 10, fmt.Sprint("apart-", i)))
	}
	w.eventually("all sessions have ended where they were", func() bool { return ps[0].ended.Load()+ps[1].ended.Load() == 6 })

	// In one process with the orchestration it is there, at once.
	here := &place{name: "here"}
	all := w.app(nil, orchestration(orch, pawl.Name("orch")), here.register)
	if got := result(w, start(w, all, orch, 10, "here")); got == "" {
		w.Error("nowhere")
	}
}

// sessionLost: when its process stops, an activity that runs and one that is scheduled fail, and a new session opens elsewhere.
func sessionLost(w *world) {
	orch := func(o *pawl.Context, _ string) (string, error) {
		for try := range 5 {
			session, err := pawl.OpenSession(o, nil)
			if err != nil {
				return "", err
			}
			in := pawl.ActivityOptions{Session: session, Retry: &pawl.RetryPolicy{InitialDelay: soon}}
			at, err := pawl.ActivityByName[string](o, "enter", "", in).Await()
			if err == nil {
				if err := pawl.SetCustomStatus(o, at); err != nil {
					return "", err
				}
				at, err = pawl.ActivityByName[string](o, "stay", "", in).Await()
			}
			if err == nil {
				return fmt.Sprint(try, " ", at), nil
			}
			if !errors.Is(err, pawl.ErrSessionLost) {
				return "", err
			}
			if _, err := pawl.ActivityByName[string](o, "where", "", in).Await(); !errors.Is(err, pawl.ErrSessionLost) {
				return "", fmt.Errorf("after the loss: %w", err)
			}
			if _, err := session.Ended().Await(); !errors.Is(err, pawl.ErrSessionLost) {
				return "", fmt.Errorf("ended: %w", err)
			}
			session.Close()
		}
		return "", errors.New("too often")
	}
	turns := w.app(nil, orchestration(orch, pawl.Name("orch")))
	ps, apps := places(w, pawl.Options{})
	run := start(w, turns, orch, "", "lost")
	at := 0
	w.eventually("it is somewhere", func() bool {
		at = whose(ps, saysOf(w, turns, "lost"))
		return at >= 0
	})
	expired, cancel := context.WithCancel(w.ctx)
	cancel()
	_ = apps[at].Stop(expired)
	close(ps[1-at].gate)
	if got, want := result(w, run), fmt.Sprintf("1 place%d", 1-at); got != want {
		w.Errorf("got %q, want %q", got, want)
	}
}

// idleSessionLost: an orchestration that waits for something else hears of the loss, too, and at once, although the process
// that stops waits for an activity.
func idleSessionLost(w *world) {
	orch := func(o *pawl.Context, _ string) (string, error) {
		session, err := pawl.OpenSession(o, nil)
		if err != nil {
			return "", err
		}
		in := pawl.ActivityOptions{Session: session}
		at, err := pawl.ActivityByName[string](o, "enter", "", in).Await()
		if err != nil {
			return "", err
		}
		if err := pawl.SetCustomStatus(o, at); err != nil {
			return "", err
		}
		stay := pawl.ActivityByName[string](o, "stay", "", in)
		first, err := pawl.Select(pawl.Event[string](o, "never"), stay, session.Ended())
		if err != nil || first != 2 {
			return "", fmt.Errorf("%d: %w", first, err)
		}
		if _, err = session.Ended().Await(); !errors.Is(err, pawl.ErrSessionLost) {
			return "", fmt.Errorf("ended: %w", err)
		}
		if err := pawl.SetCustomStatus(o, "lost"); err != nil {
			return "", err
		}
		return stay.Await()
	}
	turns := w.app(nil, orchestration(orch, pawl.Name("orch")))
	ps, apps := places(w, pawl.Options{})
	run := start(w, turns, orch, "", "idle")
	at := -1
	w.eventually("it is somewhere", func() bool {
		at = whose(ps, saysOf(w, turns, "idle"))
		return at >= 0
	})
	w.eventually("the activity runs", func() bool { return ps[at].staying.Load() == 1 })
	stopped := make(chan error)
	go func() { stopped <- apps[at].Stop(w.ctx) }()
	w.eventually("it hears of the loss", func() bool { return saysOf(w, turns, "idle") == "lost" })
	select {
	case err := <-stopped:
		w.Errorf("stopped before the activity has ended: %v", err)
	default:
	}
	if ps[at].ended.Load() != 0 {
		w.Error("what the session has there was let go while an activity needs it")
	}
	close(ps[at].gate)
	if err := <-stopped; err != nil {
		w.Error(err)
	}
	w.eventually("the context of the session has ended", func() bool { return ps[at].ended.Load() == 1 })
	if got := result(w, run); got != ps[at].name {
		w.Errorf("what was running came to %q", got)
	}
}

// sessionRoom: no process has more sessions than it may, and who cannot wait for room does not.
func sessionRoom(w *world) {
	orch := func(o *pawl.Context, wait time.Duration) (string, error) {
		session, err := pawl.OpenSession(o, &pawl.SessionOptions{ScheduleToStart: wait})
		if err != nil {
			return "", err
		}
		defer session.Close()
		at, err := pawl.ActivityByName[string](o, "enter", "", pawl.ActivityOptions{Session: session}).Await()
		if err != nil {
			return "", err
		}
		if err := pawl.SetCustomStatus(o, at); err != nil {
			return "", err
		}
		_, err = pawl.Event[string](o, "leave").Await()
		return at, err
	}
	turns := w.app(nil, orchestration(orch, pawl.Name("orch")))
	places(w, pawl.Options{MaxSessions: 1})
	inside := func(id string) string { return saysOf(w, turns, id) }
	runs := []*pawl.Run[string]{start(w, turns, orch, 0, "a"), start(w, turns, orch, 0, "b")}
	w.eventually("both are inside", func() bool { return inside("a") != "" && inside("b") != "" })
	if inside("a") == inside("b") {
		w.Error("two sessions in a process that has room for one")
	}
	if _, err := start(w, turns, orch, 200*time.Millisecond, "hasty").Result(w.ctx); !errors.Is(err, pawl.ErrTimeout) {
		w.Error(err)
	}
	runs = append(runs, start(w, turns, orch, 0, "c"))
	for i, id := range []string{"a", "b", "c"} {
		if err := pawl.Raise(w.ctx, turns, id, "leave", "", nil); err != nil {
			w.Fatal(err)
		}
		result(w, runs[i])
	}
}

// sessionEnds: a session that nobody closes ends with its execution, however that ends.
func sessionEnds(w *world) {
	orch := func(o *pawl.Context, how string) (string, error) {
		session, err := pawl.OpenSession(o, nil)
		if err != nil {
			return "", err
		}
		if _, err := pawl.ActivityByName[string](o, "enter", "", pawl.ActivityOptions{Session: session}).Await(); err != nil {
			return "", err
		}
		switch how {
		case "again":
			return "", pawl.ContinueAsNew("return")
		case "fail":
			return "", errors.New("failed")
		case "wait":
			if err := pawl.SetCustomStatus(o, "waiting"); err != nil {
				return "", err
			}
			return pawl.Event[string](o, "never").Await()
		case "cancelled":
			if err := pawl.SetCustomStatus(o, "waiting"); err != nil {
				return "", err
			}
			if _, err := pawl.Event[string](o, "never").Await(); !errors.Is(err, pawl.ErrCancelled) {
				return "", err
			}
			// The session is there for the clean-up.
			return pawl.ActivityByName[string](pawl.Detached(o), "where", "", pawl.ActivityOptions{Session: session}).Await()
		}
		return "", nil
	}
	turns := w.app(nil, orchestration(orch, pawl.Name("orch")))
	ps, _ := places(w, pawl.Options{})
	result(w, start(w, turns, orch, "return", "return"))
	result(w, start(w, turns, orch, "again", "again"))
	if _, err := start(w, turns, orch, "fail", "fail").Result(w.ctx); err == nil {
		w.Error("it did not fail")
	}
	for _, id := range []string{"wait", "cancelled"} {
		run := start(w, turns, orch, id, id)
		w.eventually(id+" waits", func() bool { return saysOf(w, turns, id) == "waiting" })
		if id == "wait" {
			if err := turns.Terminate(w.ctx, id, "", nil); err != nil {
				w.Error(err)
			}
			continue
		}
		if err := turns.Cancel(w.ctx, id, ""); err != nil {
			w.Error(err)
		}
		if got := result(w, run); !strings.HasPrefix(got, "place") {
			w.Errorf("cleaned up in %q", got)
		}
	}
	w.eventually("all six sessions have ended", func() bool { return ps[0].ended.Load()+ps[1].ended.Load() == 6 })
}

// sessionTag: a session on a tag runs its activities there, those without a tag of their own, too.
func sessionTag(w *world) {
	orch := func(o *pawl.Context, _ string) (string, error) {
		session, err := pawl.OpenSession(o, &pawl.SessionOptions{Tag: "gpu"})
		if err != nil {
			return "", err
		}
		defer session.Close()
		return pawl.ActivityByName[string](o, "enter", "", pawl.ActivityOptions{Session: session}).Await()
	}
	turns := w.app(nil, orchestration(orch, pawl.Name("orch")))
	places(w, pawl.Options{})
	gpu := &place{name: "gpu"}
	w.app(&pawl.Options{Tags: []string{"gpu"}}, gpu.register)
	for i := range 3 {
		if got := result(w, start(w, turns, orch, "", fmt.Sprint("tagged-", i))); got != "gpu" {
			w.Errorf("it ran in %s", got)
		}
	}
}

func sessionsMisused(w *world) {
	var kept *pawl.Session
	keep := func(o *pawl.Context, _ string) (string, error) {
		session, err := pawl.OpenSession(o, nil)
		if err != nil {
			return "", err
		}
		_, missing := pawl.ActivityByName[string](o, "nowhere", "", pawl.ActivityOptions{Session: session}).Await()
		session.Close()
		session.Close()
		_, closed := pawl.ActivityByName[string](o, "where", "", pawl.ActivityOptions{Session: session}).Await()
		_, ended := session.Ended().Await()
		_, empty := pawl.ActivityByName[string](o, "where", "", pawl.ActivityOptions{Session: &pawl.Session{}}).Await()
		kept = session
		return fmt.Sprint(errors.Is(missing, pawl.ErrBadPayload), errors.Is(closed, pawl.ErrInvalid), errors.Is(ended, pawl.ErrCancelled), errors.Is(empty, pawl.ErrInvalid), closed), nil
	}
	other := func(o *pawl.Context, _ string) (string, error) {
		_, err := pawl.ActivityByName[string](o, "where", "", pawl.ActivityOptions{Session: kept}).Await()
		_, reserved := pawl.ActivityByName[string](o, "pawl:session", "").Await()
		return fmt.Sprint(errors.Is(err, pawl.ErrInvalid), errors.Is(reserved, pawl.ErrInvalid), err), nil
	}
	here := &place{name: "here"}
	app := w.app(nil, orchestration(keep, pawl.Name("keep")), orchestration(other, pawl.Name("other")), here.register)
	got := result(w, start(w, app, keep, "", "keep"))
	if !strings.HasPrefix(got, "true true true true") || !strings.Contains(got, "ActivityOptions.Session is closed") {
		w.Error(got)
	}
	if got := result(w, start(w, app, other, "", "other")); !strings.HasPrefix(got, "true true") || !strings.Contains(got, "another execution") {
		w.Error(got)
	}
	bad := pawl.New(w.open(w), nil)
	pawl.RegisterActivity(bad, greet, pawl.Name("pawl:mine"))
	if err := bad.Start(w.ctx); !errors.Is(err, pawl.ErrInvalid) || !strings.Contains(err.Error(), `"pawl:mine" begins with "pawl:"`) {
		w.Error(err)
	}
}
