package suite

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long a workflow may take beyond what it sleeps: then it counts as lost.
const patience = time.Minute

// manyFailures end a workload: more of them tell nothing more.
const manyFailures = 10

// done is a workflow that has ended.
type done struct {
	part string        // of a mixed workload
	late time.Duration // of a timer
}

// drive is workflows that are begun one after another by each of a number of callers.
type drive struct {
	inFlight int
	count    int           // at most so many; 0: no limit
	duration time.Duration // none is begun later; 0: no limit
	// run runs one workflow, the i-th, and checks its result.
	run func(ctx context.Context, i int64) (done, error)
}

// tally is what a drive has found.
type tally struct {
	took    []time.Duration // sorted
	late    []time.Duration
	parts   map[string][]time.Duration
	failed  int
	errs    []error // the first ones
	elapsed time.Duration
}

// drive lets all callers go and returns when their last workflows have ended. When ctx ends, workflows under way are given
// up, which is no failure.
func (d *drive) drive(ctx context.Context) *tally {
	var begunCount, failures atomic.Int64
	begun := time.Now()
	callers := make([]tally, d.inFlight)
	var running sync.WaitGroup
	for c := range callers {
		running.Go(func() {
			t := &callers[c]
			t.parts = map[string][]time.Duration{}
			for {
				i := begunCount.Add(1) - 1
				if d.count > 0 && i >= int64(d.count) || d.duration > 0 && time.Since(begun) >= d.duration ||
					ctx.Err() != nil || failures.Load() >= manyFailures {
					return
				}
				if !t.one(ctx, d, i) {
					failures.Add(1)
				}
			}
		})
	}
	running.Wait()
	all := &tally{parts: map[string][]time.Duration{}, elapsed: time.Since(begun)}
	for i := range callers {
		all.add(&callers[i])
	}
	slices.Sort(all.took)
	return all
}

var errLost = errors.New("no result after a minute: lost")

// one runs one workflow and reports whether it was well.
func (t *tally) one(ctx context.Context, d *drive, i int64) bool {
	patient, cancel := context.WithTimeoutCause(ctx, patience, errLost)
	defer cancel()
	begun := time.Now()
	end, err := d.run(patient, i)
	took := time.Since(begun)
	switch {
	case err != nil && ctx.Err() != nil:
		return true
	case err != nil:
		t.failed++
		t.errs = append(t.errs, err)
		return false
	}
	t.took = append(t.took, took)
	if end.part != "" {
		t.parts[end.part] = append(t.parts[end.part], took)
	}
	t.late = append(t.late, end.late)
	return true
}

func (t *tally) add(other *tally) {
	t.took = append(t.took, other.took...)
	t.late = append(t.late, other.late...)
	t.failed += other.failed
	t.errs = append(t.errs, other.errs...)
	for part, took := range other.parts {
		t.parts[part] = append(t.parts[part], took...)
	}
}
