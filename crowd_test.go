package pawl_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/internal/pgtest"
)

// TestCrowdSharesCalls: many callers at once share calls. A group that the store refuses as a whole is sent again one by
// one, which nobody would notice but by the number of calls.
func TestCrowdSharesCalls(t *testing.T) {
	dsn := pgtest.URL(t)
	const crowd, rounds = 64, 10
	w := &world{TB: t, ctx: t.Context()}
	app := w.tap(dsn, &pawl.Options{MaxActivities: crowd}, orchestration(helloWorld), activity(greet))
	round := func(r int) {
		var callers sync.WaitGroup
		for i := range crowd {
			callers.Go(func() {
				run, err := pawl.Start(t.Context(), app.App, helloWorld, "Ada", &pawl.StartOptions{InstanceID: fmt.Sprintf("crowd-%d-%d", r, i)})
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := run.Result(t.Context()); err != nil || got != "Hello, Ada!" {
					t.Error(got, err)
				}
			})
		}
		callers.Wait()
	}
	round(0) // prepares
	app.tap.Reset()
	for r := range rounds {
		round(r + 1)
	}
	// Alone, each would take two calls; together, they take about a tenth of that.
	calls := app.tap.Counts().RoundTrips
	t.Logf("%d hellos in %d calls", crowd*rounds, calls)
	if calls > crowd*rounds {
		t.Errorf("%d hellos, %d at a time, took %d calls", crowd*rounds, crowd, calls)
	}
}
