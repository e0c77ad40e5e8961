package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl"
)

// completedOutside: what an activity leaves to the outside is completed from any process, once, whatever became of the one
// it ran in.
func completedOutside(w *world) {
	tokens := make(chan string, 1)
	ask := func(ctx context.Context, _ string) (string, error) {
		tokens <- pawl.ActivityToken(ctx)
		return "", fmt.Errorf("asked: %w", pawl.ErrResultPending)
	}
	register := []func(*pawl.App){activity(ask, pawl.Name("ask")), orchestration(calling("ask", pawl.ActivityOptions{}), pawl.Name("call"))}
	first := w.app(nil, register...)
	w.call(first, "ask", "")
	token := <-tokens
	if err := first.Stop(w.ctx); err != nil { // waits until the item is handed over
		w.Fatal(err)
	}
	client := w.app(nil)
	if err := pawl.CompleteActivity(w.ctx, client, token[1:], "yes"); !errors.Is(err, pawl.ErrInvalid) {
		w.Errorf("bad token: %v", err)
	}
	if err := pawl.CompleteActivity(w.ctx, client, token, make(chan int)); !errors.Is(err, pawl.ErrBadPayload) {
		w.Errorf("bad result: %v", err)
	}
	if err := pawl.CompleteActivity(w.ctx, client, token, "yes"); err != nil {
		w.Fatal(err)
	}
	w.app(nil, register...)
	run, err := pawl.Attach[string](client, "ask")
	if err != nil {
		w.Fatal(err)
	}
	if got := result(w, run); got != "yes" {
		w.Errorf("got %q", got)
	}
	if err := pawl.CompleteActivity(w.ctx, client, token, "no"); !errors.Is(err, pawl.ErrActivityGone) {
		w.Errorf("second result: %v", err)
	}
	if len(tokens) != 0 {
		w.Error("the activity has run again")
	}
}

// completedEarly: a result that comes before the activity has returned is neither lost nor doubled.
func completedEarly(w *world) {
	tokens, release := make(chan string, 1), make(chan struct{})
	var runs atomic.Int32
	ask := func(ctx context.Context, _ string) (string, error) {
		runs.Add(1)
		tokens <- pawl.ActivityToken(ctx)
		<-release
		return "", pawl.ErrResultPending
	}
	app := w.app(nil, activity(ask, pawl.Name("ask")), orchestration(calling("ask", pawl.ActivityOptions{}), pawl.Name("call")), activity(greet), orchestration(helloWorld))
	client := w.app(nil)
	run := w.call(app, "early", "")
	if err := pawl.CompleteActivity(w.ctx, client, <-tokens, "early"); err != nil {
		w.Fatal(err)
	}
	if got := result(w, run); got != "early" {
		w.Errorf("got %q", got)
	}
	close(release)
	result(w, start(w, app, helloWorld, "after", "after"))
	if err := app.Stop(w.ctx); err != nil {
		w.Error(err)
	}
	if runs.Load() != 1 {
		w.Errorf("%d runs", runs.Load())
	}
}

// failedOutside: an error from outside is the outcome, whatever the retry policy.
func failedOutside(w *world) {
	refused := pawl.ErrorKind("refused")
	tokens := make(chan string, 1)
	ask := func(ctx context.Context, _ string) (string, error) {
		tokens <- pawl.ActivityToken(ctx)
		return "", pawl.ErrResultPending
	}
	app := w.app(nil, activity(ask, pawl.Name("ask")), orchestration(calling("ask", pawl.ActivityOptions{Retry: &pawl.RetryPolicy{InitialDelay: soon}}), pawl.Name("call")))
	run := w.call(app, "ask", "")
	token := <-tokens
	if err := pawl.FailActivity(w.ctx, app, token, nil); !errors.Is(err, pawl.ErrInvalid) {
		w.Errorf("no error: %v", err)
	}
	if err := pawl.FailActivity(w.ctx, app, token, fmt.Errorf("by the boss: %w", refused)); err != nil {
		w.Fatal(err)
	}
	if failed := w.fails(run); !errors.Is(failed, refused) {
		w.Errorf("got %v", failed)
	}
}

// neverCompleted: only the limit of the whole ends the wait for a result from outside.
func neverCompleted(w *world) {
	tokens := make(chan string, 1)
	ask := func(ctx context.Context, _ string) (string, error) {
		tokens <- pawl.ActivityToken(ctx)
		return "", pawl.ErrResultPending
	}
	options := pawl.ActivityOptions{ScheduleToClose: time.Second, StartToClose: 500 * time.Millisecond, Heartbeat: 500 * time.Millisecond}
	app := w.app(nil, activity(ask, pawl.Name("ask")), orchestration(calling("ask", options), pawl.Name("call")))
	w.timesOut(w.call(app, "ask", ""), pawl.TimeoutScheduleToClose)
	if err := pawl.CompleteActivity(w.ctx, app, <-tokens, "late"); !errors.Is(err, pawl.ErrActivityGone) {
		w.Errorf("late result: %v", err)
	}
}

// pendingWithoutToken: an activity that nobody can complete fails at once.
func pendingWithoutToken(w *world) {
	ask := func(context.Context, string) (string, error) { return "", pawl.ErrResultPending }
	app := w.app(nil, activity(ask, pawl.Name("ask")), orchestration(calling("ask", pawl.ActivityOptions{Retry: &pawl.RetryPolicy{}}), pawl.Name("call")))
	if failed := w.fails(w.call(app, "ask", "")); !errors.Is(failed, pawl.ErrMisuse) {
		w.Errorf("got %v", failed)
	}
}
