package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// shape is what one unit of work does. Every system does the same in each, and every result is compared with what it
// must be.
type shape string

const (
	// shapeHello is one workflow of one activity: a name in, a greeting out. For a job queue it is one job.
	shapeHello shape = "hello"
	// shapeSequence is one workflow of twenty activities, each of which adds one to the result of the one before.
	shapeSequence shape = "sequence"
	// shapeFanOut is one workflow of a hundred activities scheduled at once, whose results it adds up.
	shapeFanOut shape = "fanout"
	// shapeCommit is one row inserted and committed: the yardstick.
	shapeCommit shape = "commit"
)

const (
	sequenceLength = 20
	fanOutWidth    = 100
)

// workload is a shape run by a number of callers, each of which starts one, waits for its result and starts the next.
type workload struct {
	name     string
	shape    shape
	inFlight int
	says     string
}

// workloads are all there are, in the order they are run in: by rising load.
var workloads = []workload{
	{"commit-1", shapeCommit, 1, "one row inserted and committed, one connection"},
	{"commit-16", shapeCommit, 16, "the same on sixteen connections"},
	{"hello", shapeHello, 1, "one workflow of one activity, one after the other, from the start call to the result"},
	{"sequence-20", shapeSequence, 1, "twenty activities, each after the one before"},
	{"fanout-100", shapeFanOut, 1, "a hundred activities at once and their join"},
	{"hello-64", shapeHello, 64, "hello with 64 in flight"},
	{"hello-1000", shapeHello, 1000, "hello with 1,000 in flight"},
}

// unit does one unit of work, the n-th of its system, and checks its result.
type unit func(ctx context.Context, n int64) error

// greeting is what the activity of hello answers.
func greeting(name string) string { return "Hello, " + name + "!" }

// nameOf is the input of the n-th hello: each has its own, so that a result given to the wrong caller shows.
func nameOf(n int64) string { return fmt.Sprint("Ada-", n) }

// sumOfSquares is what a fan-out must add up to.
func sumOfSquares(n int) int {
	sum := 0
	for i := range n {
		sum += i * i
	}
	return sum
}

// wrongResult is the error of a system that answered something else than it had to.
func wrongResult(got, want any) error { return fmt.Errorf("wrong result: got %v, want %v", got, want) }

// workflows are the three workflows of a system that has them, as calls that start one and wait for its result. The key
// is unique to the call.
type workflows struct {
	hello    func(ctx context.Context, key, name string) (string, error)
	sequence func(ctx context.Context, key string, start int) (int, error)
	fanOut   func(ctx context.Context, key string, width int) (int, error)
}

// units are the workflows as checked units of work.
func (w workflows) units() map[shape]unit {
	return map[shape]unit{
		shapeHello: func(ctx context.Context, n int64) error {
			got, err := w.hello(ctx, fmt.Sprint("hello-", n), nameOf(n))
			return checked(got, greeting(nameOf(n)), err)
		},
		shapeSequence: func(ctx context.Context, n int64) error {
			got, err := w.sequence(ctx, fmt.Sprint("sequence-", n), int(n))
			return checked(got, int(n)+sequenceLength, err)
		},
		shapeFanOut: func(ctx context.Context, n int64) error {
			got, err := w.fanOut(ctx, fmt.Sprint("fanout-", n), fanOutWidth)
			return checked(got, sumOfSquares(fanOutWidth), err)
		},
	}
}

// checked is the error of a call, or of its result.
func checked[T comparable](got, want T, err error) error {
	if err == nil && got != want {
		err = wrongResult(got, want)
	}
	return err
}

// timing is what a run of one workload took.
type timing struct {
	took      []time.Duration // sorted
	perSecond float64
}

// drive lets inFlight callers repeat a unit until the window has passed and at least atLeast have been begun, and waits
// for all that were begun. Units are numbered by next.
//
// The rate is that of the units completed within the window; if these are fewer than two for each caller, that of all
// units until the last was complete.
func drive(ctx context.Context, do unit, next *atomic.Int64, inFlight int, window time.Duration, atLeast int64) (timing, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var begun, inTime atomic.Int64
	took := make([][]time.Duration, inFlight)
	start := time.Now()
	var callers sync.WaitGroup
	for caller := range inFlight {
		callers.Go(func() {
			for ctx.Err() == nil && (time.Since(start) < window || begun.Load() < atLeast) {
				begun.Add(1)
				began := time.Now()
				if err := do(ctx, next.Add(1)); err != nil {
					cancel(err)
					return
				}
				took[caller] = append(took[caller], time.Since(began))
				if time.Since(start) < window {
					inTime.Add(1)
				}
			}
		})
	}
	callers.Wait()
	elapsed := time.Since(start)
	if ctx.Err() != nil {
		return timing{}, context.Cause(ctx)
	}
	t := timing{took: slices.Concat(took...)}
	if len(t.took) == 0 {
		return t, errors.New("nothing was run")
	}
	slices.Sort(t.took)
	t.perSecond = float64(len(t.took)) / elapsed.Seconds()
	if n := inTime.Load(); n >= 2*int64(inFlight) {
		t.perSecond = float64(n) / window.Seconds()
	}
	return t, nil
}
