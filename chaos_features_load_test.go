package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/pawlrun/pawl"
)

// hurriedEnv makes a worker process notice quickly that another has died, and not hold against an item that it was under way
// in many that did. If it is "cramped" it also has little room, and keeps no instance in memory.
const hurriedEnv = "PAWL_TEST_WORKER_HURRIED"

func workerOptions() *pawl.Options {
	options := &pawl.Options{PulseInterval: 200 * time.Millisecond, TTL: time.Second, MaxAttempts: 1000}
	switch os.Getenv(hurriedEnv) {
	case "":
		return nil
	case "cramped":
		options.CacheBytes, options.MaxTurns, options.MaxActivities = -1, 4, 6
	}
	return options
}

// registerFeatures registers the load that uses all features, beside what other tests have workers for.
func registerFeatures(app *pawl.App) {
	for _, register := range []func(*pawl.App){
		orchestration(triedAgain), orchestration(stepping), orchestration(tidied), orchestration(eternal), orchestration(ledger),
		orchestration(rally), orchestration(impatient), orchestration(guardian), orchestration(closing), orchestration(waitForGo),
		orchestration(collect), orchestration(outrun), orchestration(together), activity(whoRuns), activity(flaky), activity(steps), activity(linger), activity(sweep),
	} {
		register(app)
	}
}

// chore is the input of most of the load. Activities note in Log what they do.
type chore struct {
	Log   string
	N, Of int
}

// begun notes an attempt: no two may have the same number.
func begun(ctx context.Context, log string) pawl.ActivityInfo {
	info, _ := pawl.ActivityInfoFrom(ctx)
	note(log, fmt.Sprintf("begin %s %d\n", info.IdempotencyKey, info.Attempt))
	return info
}

// flaky succeeds when N tries before have left their details, each one more than the one before.
func flaky(ctx context.Context, c chore) (int, error) {
	begun(ctx, c.Log)
	from, _ := pawl.HeartbeatDetails[int](ctx)
	if err := pawl.Heartbeat(ctx, from+1); err != nil {
		return 0, err
	}
	if from < c.N {
		return 0, fmt.Errorf("try %d", from)
	}
	return from, nil
}

// triedAgain makes at most Of tries, 0 for as many as it takes.
func triedAgain(o *pawl.Context, c chore) (int, error) {
	return pawl.Activity(o, flaky, c, pawl.ActivityOptions{
		Retry: &pawl.RetryPolicy{InitialDelay: 10 * time.Millisecond, Coefficient: 1, MaxAttempts: c.Of},
	}).Await()
}

// steps goes on where the attempt before was when it last got a word out.
func steps(ctx context.Context, c chore) (int, error) {
	info := begun(ctx, c.Log)
	from, _ := pawl.HeartbeatDetails[int](ctx)
	note(c.Log, fmt.Sprintf("from %s %d\n", info.IdempotencyKey, from))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n := from + 1; n <= c.N; n++ {
		<-tick.C
		note(c.Log, fmt.Sprintf("step %s %d\n", info.IdempotencyKey, n))
		if err := pawl.Heartbeat(ctx, n); err != nil {
			return 0, err
		}
	}
	return c.N, nil
}

func stepping(o *pawl.Context, c chore) (int, error) {
	return pawl.Activity(o, steps, c, pawl.ActivityOptions{Heartbeat: 10 * time.Second}).Await()
}

// linger runs until somebody tells it not to.
func linger(ctx context.Context, c chore) (string, error) {
	begun(ctx, c.Log)
	<-ctx.Done()
	return "", context.Cause(ctx)
}

func sweep(ctx context.Context, c chore) (string, error) {
	info := begun(ctx, c.Log)
	note(c.Log, fmt.Sprintf("sweep %s\n", info.InstanceID))
	return "swept", nil
}

// tidied waits in vain for an activity, an event, a timer and a child until it is cancelled, and then cleans up.
func tidied(o *pawl.Context, c chore) (string, error) {
	activity := pawl.Activity(o, linger, c)
	event, timer := pawl.Event[string](o, "never"), pawl.Timer(o, time.Hour)
	kid := pawl.SubOrchestration(o, waitForGo, "", &pawl.ChildOptions{InstanceID: o.InstanceID() + "/kid"})
	_, activityErr := activity.Await()
	_, eventErr := event.Await()
	_, timerErr := timer.Await()
	_, kidErr := kid.Await()
	for _, err := range []error{activityErr, eventErr, timerErr, kidErr} {
		if !errors.Is(err, pawl.ErrCancelled) {
			return "", fmt.Errorf("not cancelled: %v", err)
		}
	}
	clean := pawl.Detached(o)
	got, err := pawl.Activity(clean, sweep, c).Await()
	if err := errors.Join(err, pawl.Sleep(clean, 10*time.Millisecond), pawl.SetValue(o, "clean", got)); err != nil {
		return "", fmt.Errorf("clean-up: %v", err)
	}
	return "", activityErr
}

// eternal goes on as new until it is cancelled.
func eternal(o *pawl.Context, c chore) (int, error) {
	c.N++
	if err := errors.Join(pawl.SetValue(o, "round", c.N), pawl.SetCustomStatus(o, c.N)); err != nil {
		return 0, err
	}
	if cancelled := pawl.Sleep(o, 20*time.Millisecond); cancelled != nil {
		if _, err := pawl.Activity(pawl.Detached(o), sweep, c).Await(); err != nil {
			return 0, fmt.Errorf("clean-up: %v", err)
		}
		return 0, cancelled
	}
	return 0, pawl.ContinueAsNew(c)
}

// ledger fills a page in each of its executions.
func ledger(o *pawl.Context, c chore) (int, error) {
	written, _, err := pawl.Value[int](o, "written")
	if err != nil {
		return 0, err
	}
	if written != c.N {
		return 0, fmt.Errorf("%d pages written before page %d", written, c.N)
	}
	c.N++
	if err := errors.Join(pawl.SetValue(o, "written", c.N), pawl.SetAttribute(o, "page", fmt.Sprint(o.InstanceID(), "/", c.N)),
		pawl.SetCustomStatus(o, c.N)); err != nil {
		return 0, err
	}
	got, err := pawl.Activity(o, greet, fmt.Sprint(c.N)).Await()
	if err != nil || got != fmt.Sprintf("Hello, %d!", c.N) {
		return 0, fmt.Errorf("greeting %q: %w", got, err)
	}
	if err := pawl.Sleep(o, 5*time.Millisecond); err != nil {
		return 0, err
	}
	if c.N < c.Of {
		return 0, pawl.ContinueAsNew(c)
	}
	return c.N, nil
}

// match is a player's part of a rally.
type match struct {
	Peer     string
	From, To int
	Serves   bool
}

// rally plays a ball To times, each side numbering it; half of them in a second execution.
func rally(o *pawl.Context, m match) (int, error) {
	for i := m.From; i < m.To; i++ {
		if m.Serves {
			if err := pawl.SendEvent(o, m.Peer, "ball", i); err != nil {
				return 0, err
			}
		}
		got, err := pawl.Event[int](o, "ball").Await()
		if err != nil || got != i {
			return 0, fmt.Errorf("ball %d when %d was due: %w", got, i, err)
		}
		if !m.Serves {
			if err := pawl.SendEvent(o, m.Peer, "ball", i); err != nil {
				return 0, err
			}
		}
		if i+1 == m.To/2 {
			m.From = i + 1
			return 0, pawl.ContinueAsNew(m)
		}
	}
	return m.To, nil
}

// impatient takes n items and never waits long for one.
func impatient(o *pawl.Context, n int) ([]int, error) {
	var items []int
	for len(items) < n {
		item, err := pawl.EventWithin[int](o, "item", 15*time.Millisecond)
		switch {
		case err == nil:
			items = append(items, item)
		case !errors.Is(err, pawl.ErrTimeout):
			return nil, err
		}
	}
	return items, nil
}

// guardian waits for its child whatever that does.
func guardian(o *pawl.Context, _ string) (string, error) {
	return pawl.SubOrchestration(o, waitForGo, "", &pawl.ChildOptions{InstanceID: o.InstanceID() + "/kid"}).Await()
}

// outrun has an activity win against others that do not end by themselves: one in a scope that is cancelled, with a child; one
// that is withdrawn; two that take too long, in all and in each attempt.
func outrun(o *pawl.Context, c chore) (int, error) {
	scope, cancel := pawl.WithCancel(o)
	slow := pawl.Activity(scope, linger, c)
	kid := pawl.SubOrchestration(scope, waitForGo, "", &pawl.ChildOptions{InstanceID: o.InstanceID() + "/kid"})
	withdrawn := pawl.Activity(o, linger, c)
	late := pawl.Activity(o, linger, c, pawl.ActivityOptions{ScheduleToClose: 50 * time.Millisecond})
	tried := pawl.Activity(o, linger, c, pawl.ActivityOptions{StartToClose: 30 * time.Millisecond,
		Retry: &pawl.RetryPolicy{MaxAttempts: 2, InitialDelay: time.Millisecond}})
	n, err := pawl.Activity(o, flaky, c, pawl.ActivityOptions{Retry: &pawl.RetryPolicy{InitialDelay: 10 * time.Millisecond}}).Await()
	if err != nil {
		return 0, err
	}
	cancel("outrun")
	withdrawn.Cancel("outrun")
	_, slowErr := slow.Await()
	_, kidErr := kid.Await()
	_, withdrawnErr := withdrawn.Await()
	_, lateErr := late.Await()
	_, triedErr := tried.Await()
	for i, err := range []error{slowErr, kidErr, withdrawnErr} {
		if !errors.Is(err, pawl.ErrCancelled) {
			return 0, fmt.Errorf("loser %d is not cancelled: %v", i, err)
		}
	}
	if !errors.Is(lateErr, pawl.ErrTimeout) || !errors.Is(triedErr, pawl.ErrTimeout) {
		return 0, fmt.Errorf("no timeouts: %v, %v", lateErr, triedErr)
	}
	_, err = pawl.StartDetached(o, collect, 0, &pawl.DetachedOptions{InstanceID: o.InstanceID() + "/later", Memo: map[string]any{"n": n}})
	return n, err
}

// whoRuns tells in which process it runs.
func whoRuns(ctx context.Context, c chore) (int, error) {
	begun(ctx, c.Log)
	return os.Getpid(), nil
}

// together has N activities run in one process, from the beginning if that is lost.
func together(o *pawl.Context, c chore) (int, error) {
	for {
		n, err := togetherOnce(o, c)
		if !errors.Is(err, pawl.ErrSessionLost) {
			return n, err
		}
	}
}

func togetherOnce(o *pawl.Context, c chore) (int, error) {
	session, err := pawl.OpenSession(o, nil)
	if err != nil {
		return 0, err
	}
	defer session.Close()
	in := pawl.ActivityOptions{Session: session}
	home, err := pawl.Activity(o, whoRuns, c, in).Await()
	for n := 1; n < c.N && err == nil; n++ {
		var pid int
		if pid, err = pawl.Activity(o, whoRuns, c, in).Await(); err == nil && pid != home {
			return 0, fmt.Errorf("activity %d of session %s ran in process %d, others in %d", n, session.ID(), pid, home)
		}
		if err == nil {
			err = pawl.Sleep(o, time.Duration(n)*10*time.Millisecond)
		}
	}
	return c.N, err
}
