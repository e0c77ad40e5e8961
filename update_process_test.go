package pawl_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/pawlrun/pawl"
)

// TestUpdatesSurviveKill: a worker that is killed in the middle of many updates, over continue-as-new, loses none and does
// none twice; the callers wait for the next worker.
func TestUpdatesSurviveKill(t *testing.T) {
	onProcessStores(t, func(w *world, store string) {
		victim := w.spawn(store)
		client := w.app(nil)
		run := start(w, client, account, 0, "a")
		const callers, each = 4, 8
		var (
			all      sync.WaitGroup
			mu       sync.Mutex
			balances = map[int]bool{}
			half     = make(chan struct{})
		)
		for i := range callers {
			all.Go(func() {
				for j := range each {
					got, err := pawl.Update[int](w.ctx, client, "a", "deposit", 1, &pawl.UpdateOptions{UpdateID: fmt.Sprint(i, "-", j)})
					if err != nil {
						w.Errorf("update %d-%d: %v", i, j, err)
						return
					}
					mu.Lock()
					balances[got] = true
					if len(balances) == callers*each/2 {
						close(half)
					}
					mu.Unlock()
				}
			})
		}
		select {
		case <-half:
		case <-w.ctx.Done():
			w.Fatal("no answers")
		}
		victim.Process.Kill()
		w.spawn(store)
		all.Wait()
		if len(balances) != callers*each {
			w.Errorf("%d balances after %d updates", len(balances), callers*each)
		}
		if _, err := pawl.Update[string](w.ctx, client, "a", "close", "", nil); err != nil {
			w.Fatal(err)
		}
		if got := result(w, run); got != callers*each {
			w.Errorf("balance %d", got)
		}
	})
}
