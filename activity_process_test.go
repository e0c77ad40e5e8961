package pawl_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
)

func registerStubborn(app *pawl.App) {
	pawl.RegisterOrchestration(app, runStubborn)
	pawl.RegisterActivity(app, stubborn)
	pawl.RegisterOrchestration(app, runCounter)
	pawl.RegisterActivity(app, counter)
	pawl.RegisterOrchestration(app, runAsker)
	pawl.RegisterActivity(app, asker)
}

// stubborn notes each attempt and fails.
func stubborn(ctx context.Context, log string) (string, error) {
	info, _ := pawl.ActivityInfoFrom(ctx)
	from, _ := pawl.HeartbeatDetails[int](ctx)
	note(log, fmt.Sprintf("attempt %d by %d, %d tries before, last: %v\n", info.Attempt, os.Getpid(), from, info.LastError))
	if err := pawl.Heartbeat(ctx, from+1); err != nil {
		return "", err
	}
	return "", fmt.Errorf("try %d", from+1)
}

func runStubborn(o *pawl.Context, log string) (string, error) {
	return pawl.Activity(o, stubborn, log, pawl.ActivityOptions{
		Retry: &pawl.RetryPolicy{InitialDelay: 2 * time.Second, Coefficient: 1, MaxAttempts: 4},
	}).Await()
}

// TestRetriesSurviveKill: a worker that is killed between two tries of an activity takes nothing along: another makes the
// tries that are left, with what the earlier ones have left behind.
func TestRetriesSurviveKill(t *testing.T) {
	onProcessStores(t, func(w *world, store string) {
		e := errand{Log: w.TempDir() + "/log"}
		victim := w.spawn(store)
		client, reader := w.app(nil), w.open(w)
		run := start(w, client, runStubborn, e.Log, "stubborn")
		w.eventually("two tries made and the activity given back", func() bool {
			if len(e.lines("attempt")) != 2 {
				return false
			}
			states, err := reader.ReadInstances(w.ctx, []string{"stubborn"}, false)
			return err == nil && len(states) == 1 && states[0].Worker == 0
		})
		victim.Process.Kill()
		w.app(nil, registerStubborn)
		_, err := run.Result(w.ctx)
		var failed *pawl.ActivityError
		if !errors.As(err, &failed) || failed.Attempts != 4 || failed.Err.Error() != "try 4" {
			w.Errorf("got %v", err)
		}
		lines := e.lines("attempt")
		if len(lines) != 4 {
			w.Fatalf("attempts %q", lines)
		}
		for i, by := range []int{victim.Process.Pid, victim.Process.Pid, os.Getpid(), os.Getpid()} {
			last := "<nil>"
			if i > 0 {
				last = fmt.Sprint("try ", i)
			}
			if want := fmt.Sprintf("attempt %d by %d, %d tries before, last: %s", i+1, by, i, last); lines[i] != want {
				w.Errorf("%q, want %q", lines[i], want)
			}
		}
	})
}

// counter counts, with a heartbeat each time, until it is killed. The next attempt tells where it would go on.
func counter(ctx context.Context, log string) (int, error) {
	if from, ok := pawl.HeartbeatDetails[int](ctx); ok {
		return from, nil
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		<-tick.C
		if err := pawl.Heartbeat(ctx, n); err != nil {
			return 0, err
		}
		note(log, fmt.Sprintf("count %d\n", n))
	}
}

func runCounter(o *pawl.Context, log string) (int, error) {
	return pawl.Activity(o, counter, log, pawl.ActivityOptions{Heartbeat: 10 * time.Second}).Await()
}

// TestHeartbeatDetailsSurviveKill: what an activity has told in heartbeats is there for the next attempt although its
// process was killed.
func TestHeartbeatDetailsSurviveKill(t *testing.T) {
	onProcessStores(t, func(w *world, store string) {
		e := errand{Log: w.TempDir() + "/log"}
		victim := w.spawn(store)
		run := start(w, w.app(nil), runCounter, e.Log, "counter")
		w.eventually("counted for some pulses", func() bool { return len(e.lines("count")) > 300 })
		victim.Process.Kill()
		w.app(nil, registerStubborn)
		if from, reached := result(w, run), len(e.lines("count")); from < 1 || from > reached {
			w.Errorf("goes on at %d of %d", from, reached)
		}
	})
}

// asker leaves its result to whoever reads its log.
func asker(ctx context.Context, log string) (string, error) {
	note(log, "token "+pawl.ActivityToken(ctx)+"\n")
	return "", pawl.ErrResultPending
}

func runAsker(o *pawl.Context, log string) (string, error) {
	return pawl.Activity(o, asker, log).Await()
}

// handedOver counts the work items that wait for somebody outside.
func (w *world) handedOver(store string) (n int) {
	w.Helper()
	if !strings.HasPrefix(store, "postgres") {
		db, err := sql.Open("sqlite", store)
		if err != nil {
			w.Fatal(err)
		}
		defer db.Close()
		if err := db.QueryRowContext(w.ctx, `SELECT count(*) FROM work WHERE owner IS NULL AND due IS NULL`).Scan(&n); err != nil {
			w.Fatal(err)
		}
		return n
	}
	u, err := url.Parse(store)
	if err != nil {
		w.Fatal(err)
	}
	conn, err := pgx.Connect(w.ctx, pgtest.ServerURL(w))
	if err != nil {
		w.Fatal(err)
	}
	defer conn.Close(w.ctx)
	queue := pgx.Identifier{u.Query().Get("schema"), "work_queue"}.Sanitize()
	if err := conn.QueryRow(w.ctx, `select count(*) from `+queue+` where status = 'handed over'`).Scan(&n); err != nil {
		w.Fatal(err)
	}
	return n
}

// TestPendingResultSurvivesKill: an activity whose result is to come from outside does not run again because the process
// it ran in was killed.
func TestPendingResultSurvivesKill(t *testing.T) {
	onProcessStores(t, func(w *world, store string) {
		e := errand{Log: w.TempDir() + "/log"}
		victim := w.spawn(store)
		client, reader := w.app(nil), w.open(w)
		run := start(w, client, runAsker, e.Log, "asker")
		w.eventually("handed over", func() bool { return w.handedOver(store) == 1 })
		victim.Process.Kill()
		killed := time.Now()
		w.app(nil, registerStubborn)
		w.eventually("the dead worker forgotten", func() bool {
			reply, err := reader.Pulse(w.ctx, &provider.PulseRequest{TTL: 2 * time.Second})
			return err == nil && len(reply.Stale) == 0 && time.Since(killed) > 3*time.Second
		})
		token := strings.TrimPrefix(e.lines("token")[0], "token ")
		if err := pawl.CompleteActivity(w.ctx, client, token, "granted"); err != nil {
			w.Fatal(err)
		}
		if got := result(w, run); got != "granted" || len(e.lines("token")) != 1 {
			w.Errorf("got %q, asked %d times", got, len(e.lines("token")))
		}
	})
}
