package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/pawlrun/pawl"
)

func registerWorkshop(app *pawl.App) {
	pawl.RegisterOrchestration(app, furnish)
	pawl.RegisterActivity(app, bench.prepare, pawl.Name("prepare"))
	pawl.RegisterActivity(app, bench.finish, pawl.Name("finish"))
}

// bench is what the activities of a process leave for each other.
var bench workbench

type workbench struct {
	mu    sync.Mutex
	ready map[string]bool // by session
}

func (b *workbench) prepare(ctx context.Context, log string) (string, error) {
	info, _ := pawl.ActivityInfoFrom(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ready == nil {
		b.ready = map[string]bool{}
	}
	b.ready[info.SessionID] = true
	note(log, fmt.Sprintf("prepared by %d\n", os.Getpid()))
	return log, nil
}

func (b *workbench) finish(ctx context.Context, log string) (string, error) {
	info, _ := pawl.ActivityInfoFrom(ctx)
	b.mu.Lock()
	ready := b.ready[info.SessionID]
	b.mu.Unlock()
	if !ready {
		return "", errors.New("nothing was prepared here")
	}
	if len(errand{Log: log}.lines("prepared")) == 1 { // the first process is killed meanwhile
		note(log, "begun\n")
		<-ctx.Done()
		return "", ctx.Err()
	}
	note(log, fmt.Sprintf("finished by %d\n", os.Getpid()))
	return "done", nil
}

// furnish prepares and finishes in one process, from the beginning if that is lost.
func furnish(o *pawl.Context, log string) (string, error) {
	for losses := 0; ; losses++ {
		session, err := pawl.OpenSession(o, nil)
		if err != nil {
			return "", err
		}
		in := pawl.ActivityOptions{Session: session, Retry: &pawl.RetryPolicy{MaxAttempts: 3}}
		_, err = pawl.ActivityByName[string](o, "prepare", log, in).Await()
		var result string
		if err == nil {
			result, err = pawl.ActivityByName[string](o, "finish", log, in).Await()
		}
		session.Close()
		if !errors.Is(err, pawl.ErrSessionLost) {
			return fmt.Sprintf("%s after %d losses", result, losses), err
		}
	}
}

// TestSessionLostByKill: when the process of a session is killed, the activity that runs there is not run elsewhere, where
// nothing is prepared; the orchestration begins again in another process.
func TestSessionLostByKill(t *testing.T) {
	onProcessStores(t, func(w *world, store string) {
		e := errand{Log: w.TempDir() + "/log"}
		victim := w.spawn(store)
		run := start(w, w.app(nil), furnish, e.Log, "furnish")
		w.eventually("the second activity runs", func() bool { return len(e.lines("begun")) == 1 })
		w.app(nil, registerWorkshop)
		victim.Process.Kill()
		if got := result(w, run); got != "done after 1 losses" {
			w.Errorf("got %q", got)
		}
		prepared, finished := e.lines("prepared"), e.lines("finished")
		if len(prepared) != 2 || len(finished) != 1 || !strings.HasSuffix(prepared[0], fmt.Sprint(" ", victim.Process.Pid)) ||
			!strings.HasSuffix(prepared[1], fmt.Sprint(" ", os.Getpid())) || !strings.HasSuffix(finished[0], fmt.Sprint(" ", os.Getpid())) {
			w.Errorf("%q, %q", prepared, finished)
		}
	})
}
