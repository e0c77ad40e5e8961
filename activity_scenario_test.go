package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl"
)

// activityScenarios are those of single activities: retries, time limits, heartbeats, completion from outside, tags.
var activityScenarios = []scenario{
	{name: "activity is tried again", run: triesAgain},
	{name: "retries end", run: retriesEnd},
	{name: "retry delays", run: retryDelays, virtual: true},
	{name: "an attempt takes too long", run: attemptTooLong},
	{name: "code that ignores its deadline", run: ignoresDeadline, virtual: true},
	{name: "activity falls silent", run: fallsSilent},
	{name: "heartbeat details survive attempts", run: detailsSurvive},
	{name: "heartbeat details survive a stop", run: detailsSurviveStop},
	{name: "nobody begins the activity", run: nobodyBegins},
	{name: "all attempts take too long", run: allTooLong},
	{name: "default limit of an attempt", run: defaultLimit, virtual: true},
	{name: "cancellation reaches another process", run: cancelElsewhere},
	{name: "completion from outside", run: completedOutside},
	{name: "completion before the activity returns", run: completedEarly},
	{name: "failure from outside", run: failedOutside},
	{name: "nobody completes the activity", run: neverCompleted},
	{name: "pending without token", run: pendingWithoutToken},
	{name: "tags", run: tags},
	{name: "activity options out of range", run: optionsOutOfRange},
}

// attempts notes what an activity was told in each attempt.
type attempts struct {
	mu    sync.Mutex
	infos []pawl.ActivityInfo
	times []time.Time
}

func (a *attempts) note(ctx context.Context) int {
	info, ok := pawl.ActivityInfoFrom(ctx)
	if !ok {
		panic("not an activity")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.infos = append(a.infos, info)
	a.times = append(a.times, time.Now())
	return len(a.infos)
}

func (a *attempts) all() []pawl.ActivityInfo {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.infos)
}

// calling is an orchestration of one activity by name.
func calling(name string, options pawl.ActivityOptions) pawl.OrchestrationFunc[string, string] {
	return func(o *pawl.Context, in string) (string, error) {
		return pawl.ActivityByName[string](o, name, in, options).Await()
	}
}

// run starts an instance of an orchestration registered as "call" in any process.
func (w *world) call(app *pawl.App, id, in string) *pawl.Run[string] {
	w.Helper()
	run, err := pawl.StartByName[string](w.ctx, app, "call", in, &pawl.StartOptions{InstanceID: id})
	if err != nil {
		w.Fatal(err)
	}
	return run
}

// fails waits for the end of a run that must fail, by an activity.
func (w *world) fails(run *pawl.Run[string]) *pawl.ActivityError {
	w.Helper()
	got, err := run.Result(w.ctx)
	var failed *pawl.ActivityError
	if !errors.As(err, &failed) {
		w.Fatalf("%s: %q, %v", run.InstanceID(), got, err)
	}
	return failed
}

// timesOut waits for the end of a run that must fail by a time limit.
func (w *world) timesOut(run *pawl.Run[string], limit pawl.TimeoutType) *pawl.ActivityError {
	w.Helper()
	failed := w.fails(run)
	var timeout *pawl.TimeoutError
	if !errors.As(failed, &timeout) || timeout.Type != limit || !errors.Is(failed, pawl.ErrTimeout) {
		w.Errorf("%v, want the %s timeout", failed, limit)
	}
	return failed
}

const soon = 10 * time.Millisecond

// triesAgain: an activity that fails is tried again until it works; its instance is held by nobody meanwhile.
func triesAgain(w *world) {
	var seen attempts
	flaky := func(ctx context.Context, in string) (string, error) {
		if n := seen.note(ctx); n < 4 {
			return "", fmt.Errorf("failure %d", n)
		}
		return in + "!", nil
	}
	app := w.app(nil, orchestration(calling("flaky", pawl.ActivityOptions{Retry: &pawl.RetryPolicy{InitialDelay: soon}}), pawl.Name("call")),
		activity(flaky, pawl.Name("flaky")))
	if got := result(w, w.call(app, "flaky", "done")); got != "done!" {
		w.Errorf("got %q", got)
	}
	infos := seen.all()
	if len(infos) != 4 {
		w.Fatalf("%d attempts", len(infos))
	}
	for i, info := range infos {
		want := ""
		if i > 0 {
			want = fmt.Sprint("failure ", i)
		}
		if got := fmt.Sprint(info.LastError); info.Attempt != i+1 || info.IdempotencyKey != infos[0].IdempotencyKey || info.LastError != nil != (i > 0) || i > 0 && got != want {
			w.Errorf("attempt %d: %+v", i+1, info)
		}
		if info.ActivityID != 1 || !strings.HasSuffix(info.IdempotencyKey, "/1/1") || info.Deadline.IsZero() {
			w.Errorf("attempt %d: %+v", i+1, info)
		}
	}
	in, err := app.Describe(w.ctx, "flaky")
	if err != nil || in.Events != 5 { // started, scheduled, turn, completed, completed: attempts are no events
		w.Errorf("%d events, %v", in.Events, err)
	}
}

// retriesEnd: attempts used up, errors marked and errors listed end the retries; the last failure is the outcome.
func retriesEnd(w *world) {
	declined := pawl.ErrorKind("declined")
	var tries atomic.Int32
	failing := func(_ context.Context, how string) (string, error) {
		n := tries.Add(1)
		switch how {
		case "marked":
			return "", fmt.Errorf("outer: %w", pawl.NonRetryable(errors.New("marked")))
		case "field":
			return "", &pawl.Error{Message: "field", NonRetryable: true}
		case "kind":
			return "", fmt.Errorf("listed: %w", declined)
		case "panic":
			panic("listed")
		case "cancelled":
			return "", &pawl.CancelledError{Reason: "by itself"}
		}
		return "", fmt.Errorf("try %d", n)
	}
	policy := &pawl.RetryPolicy{InitialDelay: soon, Coefficient: 1, MaxAttempts: 3, NonRetryable: []error{declined, pawl.ErrPanic, context.Canceled}}
	app := w.app(nil, activity(failing, pawl.Name("failing")), orchestration(calling("failing", pawl.ActivityOptions{Retry: policy}), pawl.Name("call")))
	for how, want := range map[string]int{"always": 3, "marked": 1, "field": 1, "kind": 1, "panic": 1, "cancelled": 1} {
		tries.Store(0)
		failed := w.fails(w.call(app, how, how))
		if n := tries.Load(); int(n) != want || failed.Attempts != want {
			w.Errorf("%s: %d tries, %v (%d attempts)", how, n, failed, failed.Attempts)
		}
	}
	tries.Store(0)
	if failed := w.fails(w.call(app, "again", "always")); !strings.Contains(failed.Error(), `attempt 3: try 3`) {
		w.Errorf("got %v", failed)
	}
}

// retryDelays: the delays are those of the policy, or the error's own.
func retryDelays(w *world) {
	var seen attempts
	slow := func(ctx context.Context, _ string) (string, error) {
		switch seen.note(ctx) {
		case 3:
			return "", pawl.RetryAfter(errors.New("busy"), time.Hour)
		case 4:
			return "", pawl.RetryAfter(errors.New("now"), 0)
		case 6:
			return "done", nil
		}
		return "", errors.New("failed")
	}
	policy := &pawl.RetryPolicy{InitialDelay: 10 * time.Second, Coefficient: 3, MaxDelay: time.Minute}
	app := w.app(nil, activity(slow, pawl.Name("slow")), orchestration(calling("slow", pawl.ActivityOptions{Retry: policy}), pawl.Name("call")))
	result(w, w.call(app, "slow", ""))
	want := []time.Duration{10 * time.Second, 30 * time.Second, time.Hour, 0, time.Minute}
	for i, d := range want {
		// A repeated call, or a worker that has to begin anew, may add some seconds.
		if got := seen.times[i+1].Sub(seen.times[i]); got < d || got > d+10*time.Second {
			w.Errorf("delay %d is %v, want %v", i+1, got, d)
		}
	}
}

// attemptTooLong: an attempt that takes too long ends, with the reason in its context, and is tried again.
func attemptTooLong(w *world) {
	causes := make(chan error, 10)
	var n atomic.Int32
	endless := func(ctx context.Context, how string) (string, error) {
		if how == "second works" && n.Add(1) == 2 {
			return "worked", nil
		}
		deadline, ok := ctx.Deadline()
		if info, _ := pawl.ActivityInfoFrom(ctx); !ok || !info.Deadline.Equal(deadline) {
			return "", pawl.NonRetryable(fmt.Errorf("deadline %v, %v, told %v", deadline, ok, info.Deadline))
		}
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return "", fmt.Errorf("interrupted: %w", pawl.Heartbeat(ctx, nil))
	}
	options := pawl.ActivityOptions{StartToClose: 300 * time.Millisecond, Retry: &pawl.RetryPolicy{InitialDelay: soon, MaxAttempts: 2}}
	app := w.app(nil, activity(endless, pawl.Name("endless")), orchestration(calling("endless", options), pawl.Name("call")))
	if failed := w.timesOut(w.call(app, "both", ""), pawl.TimeoutStartToClose); failed.Attempts != 2 {
		w.Errorf("%d attempts", failed.Attempts)
	}
	if got := result(w, w.call(app, "one", "second works")); got != "worked" {
		w.Errorf("got %q", got)
	}
	for range 3 {
		var timeout *pawl.TimeoutError
		if err := <-causes; !errors.As(err, &timeout) || timeout.Type != pawl.TimeoutStartToClose {
			w.Errorf("cause %v", err)
		}
	}
}

// ignoresDeadline: an attempt ends though its code does not return. The code keeps its slot; another attempt needs another.
func ignoresDeadline(w *world) {
	release := make(chan struct{})
	var n, returned atomic.Int32
	deaf := func(context.Context, string) (string, error) {
		if n.Add(1) == 1 {
			<-release
			returned.Add(1)
			return "late", nil
		}
		return "second", nil
	}
	options := pawl.ActivityOptions{StartToClose: time.Minute, Retry: &pawl.RetryPolicy{}}
	app := w.app(&pawl.Options{MaxActivities: 1}, activity(deaf, pawl.Name("deaf")), orchestration(calling("deaf", options), pawl.Name("call")))
	run := w.call(app, "deaf", "")
	timer := time.NewTimer(10 * time.Minute)
	<-timer.C
	if n.Load() != 1 {
		w.Errorf("%d attempts have found a slot", n.Load())
	}
	w.app(nil, activity(deaf, pawl.Name("deaf")))
	if got := result(w, run); got != "second" {
		w.Errorf("got %q", got)
	}
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	if err := app.Stop(ctx); err == nil || !strings.Contains(err.Error(), "1 activities did not return") {
		w.Errorf("stop: %v", err)
	}
	close(release)
	w.eventually("code returned", func() bool { return returned.Load() == 1 })
}

// fallsSilent: an activity that promised signs of life and gives none ends, one that gives them goes on.
func fallsSilent(w *world) {
	const interval = time.Second
	talk := func(ctx context.Context, how string) (string, error) {
		tick := time.NewTicker(interval / 10)
		defer tick.Stop()
		for range 20 {
			<-tick.C
			if err := pawl.Heartbeat(ctx, nil); err != nil {
				return "", err
			}
		}
		if how == "silent" {
			<-ctx.Done()
			return "", context.Cause(ctx)
		}
		return "told", nil
	}
	app := w.app(nil, activity(talk, pawl.Name("talk")), orchestration(calling("talk", pawl.ActivityOptions{Heartbeat: interval}), pawl.Name("call")))
	if got := result(w, w.call(app, "talking", "talking")); got != "told" {
		w.Errorf("got %q", got)
	}
	w.timesOut(w.call(app, "silent", "silent"), pawl.TimeoutHeartbeat)
}

// detailsSurvive: an attempt goes on where the one before it was.
func detailsSurvive(w *world) {
	type position struct{ Line int }
	var lines atomic.Int32
	read := func(ctx context.Context, _ string) (string, error) {
		from, found := pawl.HeartbeatDetails[position](ctx)
		info, _ := pawl.ActivityInfoFrom(ctx)
		if found != (info.Attempt > 1) || from.Line != 2*(info.Attempt-1) {
			return "", pawl.NonRetryable(fmt.Errorf("attempt %d begins at %v, %v", info.Attempt, from, found))
		}
		if _, ok := pawl.HeartbeatDetails[[]string](ctx); ok {
			return "", pawl.NonRetryable(errors.New("a position is no list"))
		}
		for line := from.Line; line < from.Line+2; line++ {
			lines.Add(1)
			if err := pawl.Heartbeat(ctx, position{line + 1}); err != nil {
				return "", err
			}
		}
		if info.Attempt < 3 {
			return "", errors.New("tired")
		}
		return "read", nil
	}
	app := w.app(nil, activity(read, pawl.Name("read")), orchestration(calling("read", pawl.ActivityOptions{Retry: &pawl.RetryPolicy{InitialDelay: soon}}), pawl.Name("call")))
	result(w, w.call(app, "read", ""))
	if n := lines.Load(); n != 6 {
		w.Errorf("%d lines read", n)
	}
}

// detailsSurviveStop: an attempt that a stop cuts short does not count, and its details go on.
func detailsSurviveStop(w *world) {
	begun := make(chan pawl.ActivityInfo, 2)
	causes := make(chan error, 2)
	long := func(ctx context.Context, _ string) (string, error) {
		info, _ := pawl.ActivityInfoFrom(ctx)
		if half, ok := pawl.HeartbeatDetails[string](ctx); ok {
			return fmt.Sprint(half, " ", info.Attempt), nil
		}
		if err := pawl.Heartbeat(ctx, "half"); err != nil {
			return "", err
		}
		begun <- info
		<-ctx.Done()
		causes <- pawl.Heartbeat(ctx, "more")
		return "", ctx.Err()
	}
	register := []func(*pawl.App){activity(long, pawl.Name("long")), orchestration(calling("long", pawl.ActivityOptions{Retry: &pawl.RetryPolicy{MaxAttempts: 1}}), pawl.Name("call"))}
	first := w.app(nil, register...)
	w.call(first, "long", "")
	<-begun
	stopped, cancel := context.WithCancel(w.ctx)
	cancel()
	if err := first.Stop(stopped); err != nil {
		w.Fatal(err)
	}
	if err := <-causes; !errors.Is(err, pawl.ErrStopped) {
		w.Errorf("cause %v", err)
	}
	second := w.app(nil, register...)
	run, err := pawl.Attach[string](second, "long")
	if err != nil {
		w.Fatal(err)
	}
	if got := result(w, run); got != "half 1" {
		w.Errorf("got %q", got)
	}
}

// nobodyBegins: what no worker begins in time fails; the limit is met once an attempt has begun, whatever becomes of it.
func nobodyBegins(w *world) {
	options := pawl.ActivityOptions{ScheduleToStart: 100 * time.Millisecond, Retry: &pawl.RetryPolicy{InitialDelay: 300 * time.Millisecond}}
	var n atomic.Int32
	second := func(context.Context, string) (string, error) {
		if n.Add(1) == 1 {
			return "", errors.New("once more")
		}
		return "begun", nil
	}
	app := w.app(nil, orchestration(calling("second", options), pawl.Name("call")))
	w.timesOut(w.call(app, "alone", ""), pawl.TimeoutScheduleToStart)
	w.app(nil, activity(second, pawl.Name("second")), orchestration(calling("second", options), pawl.Name("call")))
	if err := app.Stop(w.ctx); err != nil {
		w.Fatal(err)
	}
	client := w.app(nil)
	if got := result(w, w.call(client, "served", "")); got != "begun" { // the delay is longer than the limit, which has been met
		w.Errorf("got %q", got)
	}
}

// allTooLong: the limit of all attempts together ends one that runs, and a try that would come too late is none.
func allTooLong(w *world) {
	ended := make(chan error, 1)
	try := func(ctx context.Context, how string) (string, error) {
		if how == "fails" {
			return "", errors.New("the last failure")
		}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return "", ctx.Err()
	}
	options := pawl.ActivityOptions{ScheduleToClose: 300 * time.Millisecond, Retry: &pawl.RetryPolicy{InitialDelay: 100 * time.Millisecond, Coefficient: 1}}
	app := w.app(nil, activity(try, pawl.Name("try")), orchestration(calling("try", options), pawl.Name("call")))
	w.timesOut(w.call(app, "runs", "runs"), pawl.TimeoutScheduleToClose)
	if err := <-ended; !errors.Is(err, pawl.ErrTimeout) && !errors.Is(err, pawl.ErrCancelled) {
		w.Errorf("ended by %v", err)
	}
	if failed := w.fails(w.call(app, "fails", "fails")); !strings.Contains(failed.Error(), "the last failure") && !errors.Is(failed, pawl.ErrTimeout) {
		w.Errorf("got %v", failed)
	}
}

// defaultLimit: an attempt without a limit of its own ends after that of the app.
func defaultLimit(w *world) {
	ran := make(chan time.Duration, 1)
	hang := func(ctx context.Context, _ string) (string, error) {
		begun := time.Now()
		<-ctx.Done()
		ran <- time.Since(begun)
		return "", context.Cause(ctx)
	}
	app := w.app(nil, activity(hang, pawl.Name("hang")), orchestration(calling("hang", pawl.ActivityOptions{}), pawl.Name("call")))
	w.timesOut(w.call(app, "hang", ""), pawl.TimeoutStartToClose)
	if d := <-ran; d < time.Hour || d > time.Hour+10*time.Second {
		w.Errorf("ended after %v", d)
	}
}

// cancelElsewhere: an activity that is withdrawn in one process has its context cancelled in another, and its result is
// dropped.
func cancelElsewhere(w *world) {
	begun, ended := make(chan struct{}), make(chan error, 1)
	work := func(ctx context.Context, _ string) (string, error) {
		close(begun)
		tick := time.NewTicker(soon)
		defer tick.Stop()
		for pawl.Heartbeat(ctx, nil) == nil {
			<-tick.C
		}
		ended <- context.Cause(ctx)
		return "too late", nil
	}
	withdraw := func(o *pawl.Context, _ string) (string, error) {
		working := pawl.ActivityByName[string](o, "work", "")
		if _, err := pawl.Event[string](o, "enough").Await(); err != nil {
			return "", err
		}
		working.Cancel("enough")
		_, err := working.Await()
		return fmt.Sprint(errors.Is(err, pawl.ErrCancelled)), nil
	}
	app := w.app(nil, orchestration(withdraw, pawl.Name("call")))
	w.app(nil, activity(work, pawl.Name("work")))
	run := w.call(app, "withdraw", "")
	<-begun
	withdrawn := time.Now()
	if err := pawl.Raise(w.ctx, app, "withdraw", "enough", "", nil); err != nil {
		w.Fatal(err)
	}
	if got := result(w, run); got != "true" {
		w.Errorf("got %q", got)
	}
	var cancelled *pawl.CancelledError
	if err := <-ended; !errors.As(err, &cancelled) || cancelled.Reason == "" {
		w.Errorf("cause %v", err)
	}
	w.Logf("cancelled after %v", time.Since(withdrawn))
}

// tags: an activity runs where its tag is served, one without a tag anywhere.
func tags(w *world) {
	where := func(name string) func(*pawl.App) {
		return activity(func(context.Context, string) (string, error) { return name, nil }, pawl.Name("where"))
	}
	orch := func(o *pawl.Context, tag string) (string, error) {
		return pawl.ActivityByName[string](o, "where", "", pawl.ActivityOptions{Tag: "gpu"}, pawl.ActivityOptions{Tag: tag}).Await()
	}
	plain := w.app(nil, where("plain"), orchestration(orch, pawl.Name("call")))
	run := w.call(plain, "waits", "paper")
	for _, tag := range []string{"gpu", "paper"} {
		w.app(&pawl.Options{Tags: []string{"unused", tag}}, where(tag))
	}
	if got := result(w, run); got != "paper" {
		w.Errorf("paper ran in %s", got)
	}
	for i := range 3 {
		if got := result(w, w.call(plain, fmt.Sprint("gpu-", i), "")); got != "gpu" {
			w.Errorf("gpu ran in %s", got)
		}
	}
}

// optionsOutOfRange: every field that is wrong is named, with its value and the limit.
func optionsOutOfRange(w *world) {
	orch := func(o *pawl.Context, _ string) (string, error) {
		_, err := pawl.Activity(o, greet, "x", pawl.ActivityOptions{StartToClose: -time.Second, Heartbeat: -1}).Await()
		_, policy := pawl.Activity(o, greet, "x", pawl.ActivityOptions{Retry: &pawl.RetryPolicy{MaxAttempts: -1, Coefficient: 0.5, Jitter: 1.5,
			InitialDelay: time.Hour, MaxDelay: time.Minute, NonRetryable: []error{errors.New("mine"), nil}}}).Await()
		return fmt.Sprint(errors.Is(err, pawl.ErrInvalid), err, errors.Is(policy, pawl.ErrInvalid), policy), nil
	}
	app := w.app(nil, orchestration(orch, pawl.Name("call")), activity(greet))
	got := result(w, w.call(app, "range", ""))
	for _, want := range []string{"StartToClose is -1s", "Heartbeat is -1ns", "MaxAttempts is -1", "Coefficient is 0.5", "Jitter is 1.5", "MaxDelay is 1m0s",
		"InitialDelay (1h0m0s)", "NonRetryable[0] is *errors.errorString (mine)", "NonRetryable[1] is <nil>"} {
		if !strings.Contains(got, want) {
			w.Errorf("%q is not in %s", want, got)
		}
	}
	if strings.Contains(got, "false") {
		w.Error(got)
	}
}
