package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/internal/bench"
)

const (
	// eventsPerStep is what a sequential activity adds to a history: its scheduling, its completion and the turn between.
	eventsPerStep = 3
	// MinEvents of a large history, so that its first and its last steps are not the same.
	MinEvents = 30 * eventsPerStep
	// smallSteps are those of the instance that the large one is compared with when it is cold.
	smallSteps = 5
	// coldRounds is how often a cold start is measured, each time with a new app.
	coldRounds = 5
	// primings warm up an app, and its connections, for that.
	primings = 5
	// stepPatience is what a step may take at most on average, beyond the delay, before growing counts as stuck.
	stepPatience = 20 * time.Millisecond
)

// trail follows the steps of one instance while it grows. Only one activity runs at a time, and the runner looks at it
// after the last.
type trail struct {
	steps int
	begun []time.Time
	ended []time.Time
	// Before these steps the costs so far are read: at the ends of the first and of the last tenth.
	marks [4]int
	reads [4]reading
	read  func(context.Context) (reading, error)
	done  chan struct{} // closed in the last step
}

func newTrail(steps int, read func(context.Context) (reading, error)) *trail {
	tenth := steps / 10
	skip := min(tenth, 20) // the first steps warm what is new
	return &trail{steps: steps, marks: [4]int{skip, skip + tenth, steps - 1 - tenth, steps - 1}, read: read, done: make(chan struct{})}
}

// step is called by the n-th step, from 0. What it does itself is between begun and ended, and so in no figure.
func (t *trail) step(ctx context.Context, n int) error {
	if n != len(t.begun) { // an activity may run again, but nothing happens here that would make it
		return fmt.Errorf("step %d follows step %d", n, len(t.begun)-1)
	}
	t.begun = append(t.begun, time.Now())
	if i := slices.Index(t.marks[:], n); i >= 0 {
		var err error
		if t.reads[i], err = t.read(ctx); err != nil {
			return err
		}
	}
	t.ended = append(t.ended, time.Now())
	if n == t.steps-1 {
		close(t.done)
	}
	return nil
}

// took returns how long each step took: from the end of an activity to the beginning of the next.
func (t *trail) took() []time.Duration {
	took := make([]time.Duration, len(t.begun)-1)
	for i := range took {
		took[i] = t.begun[i+1].Sub(t.ended[i])
	}
	return took
}

// phase sums up the steps between two marks.
func (t *trail) phase(from, to int) Phase {
	a, b := t.marks[from], t.marks[to]
	return Phase{FromStep: a, ToStep: b, Latency: bench.Summarize(t.took()[a:b]), Cost: t.reads[to].costSince(t.reads[from], b-a)}
}

// grown is an instance that has grown and waits.
type grown struct {
	id     string
	steps  int
	events int // recorded before it was woken last
}

// largeHistory grows one instance and wakes it where it is not known. It measures nothing that is not complete.
func (r *runner) largeHistory(ctx context.Context, w *workload) (found *Workload, err error) {
	found = &Workload{Name: w.name, What: w.what, InFlight: w.inFlight}
	steps := r.o.Events / eventsPerStep
	limit := patience + time.Duration(steps)*(2*r.o.RTT+stepPatience)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it is not done after %v", limit.Round(time.Second)))
	defer cancel()
	large := &grown{id: w.name, steps: steps}
	prime, small := &grown{id: w.name + "-prime", steps: smallSteps}, &grown{id: w.name + "-small", steps: smallSteps}
	history, err := r.grow(ctx, found, large, prime, small)
	if err != nil {
		return nil, r.stuck(ctx, err)
	}
	var cold, coldSmall []time.Duration
	for range coldRounds {
		took, err := r.wakeCold(ctx, prime, small, large)
		if err != nil {
			return nil, r.stuck(ctx, err)
		}
		coldSmall, cold = append(coldSmall, took[0]), append(cold, took[1])
	}
	history.Events, history.SmallEvents = large.events, small.events
	history.Cold, history.ColdSmall = bench.Summarize(cold), bench.Summarize(coldSmall)
	found.History = history
	if err := r.finish(ctx, prime, small, large); err != nil {
		if ctx.Err() != nil {
			return nil, r.stuck(ctx, err)
		}
		found.Failures++
		r.warn("%s: %v", w.name, err)
	}
	return found, nil
}

// stuck prefers the reason why a context has ended to what came of it.
func (r *runner) stuck(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// grow grows the instances, the first of them measured, after a warm-up.
func (r *runner) grow(ctx context.Context, found *Workload, large *grown, others ...*grown) (h *History, err error) {
	a, err := r.startApps(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.stop(ctx)) }()
	warm := &workload{name: found.Name, flow: always(helloFlow)}
	if t := r.drive(ctx, a, warm, &drive{inFlight: 1, count: r.o.Count, duration: r.o.Warmup}, found, "warm-up-"+found.Name+"-"); t.failed > 0 {
		return nil, errors.Join(t.errs...)
	}
	for _, other := range others {
		if _, err := r.follow(ctx, a, other); err != nil {
			return nil, err
		}
	}
	if r.place.detour != nil {
		r.place.detour.Reset()
	}
	before, err := r.place.read(ctx)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	t, err := r.follow(ctx, a, large)
	if err != nil {
		return nil, err
	}
	elapsed := time.Since(begun)
	after, err := r.place.read(ctx)
	if err != nil {
		return nil, err
	}
	found.measured(&tally{took: []time.Duration{elapsed}, elapsed: elapsed})
	found.Cost = after.costSince(before, 1)
	found.Checkpoint = after.checkpointSince(r.begun)
	h = &History{Steps: large.steps, Early: t.phase(0, 1), Late: t.phase(2, 3), steps: t.took()}
	h.LateToEarly = ratio(h.Late.Latency.P50, h.Early.Latency.P50)
	return h, nil
}

// follow starts an instance and returns its trail when it is in its last step.
func (r *runner) follow(ctx context.Context, a *apps, g *grown) (*trail, error) {
	t := newTrail(g.steps, r.place.read)
	r.flows.follow(g.id, t)
	in := growth{Steps: g.steps, Start: Parcel{Filling: r.filling}}
	run, err := pawl.StartByName[Parcel](ctx, a.client, "grow", in, &pawl.StartOptions{InstanceID: g.id})
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	waiting, cancel := context.WithCancel(ctx)
	go func() { // it must not end, so if it does that is why the last step never comes
		_, err := run.Result(waiting)
		ended <- err
	}()
	select {
	case <-t.done:
		cancel()
		<-ended
		return t, nil
	case err = <-ended:
	case <-ctx.Done():
		err = context.Cause(ctx)
		cancel()
		<-ended
	}
	cancel()
	return nil, fmt.Errorf("instance %s ended before its last step: %w", g.id, err)
}

// wakeCold wakes instances in fresh apps, one after another, and returns how long each took to come to its activity. Before
// that it wakes prime a few times: what is slow for being the first on a connection is not what is asked for.
func (r *runner) wakeCold(ctx context.Context, prime *grown, all ...*grown) (took []time.Duration, err error) {
	a, err := r.startApps(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.stop(ctx)) }()
	for range primings {
		if _, err := r.wake(ctx, a, prime); err != nil {
			return nil, err
		}
	}
	for _, g := range all {
		d, err := r.wake(ctx, a, g)
		if err != nil {
			return nil, err
		}
		took = append(took, d)
	}
	return took, nil
}

// wake raises an event and returns how long it takes until the activity runs that follows.
func (r *runner) wake(ctx context.Context, a *apps, g *grown) (time.Duration, error) {
	state, err := a.client.Describe(ctx, g.id)
	if err != nil {
		return 0, err
	}
	g.events = state.Events
	awake := r.flows.expect(g.id)
	begun := time.Now()
	if err := pawl.Raise(ctx, a.client, g.id, wakeEvent, wakeUp, nil); err != nil {
		return 0, err
	}
	select {
	case at := <-awake:
		return at.Sub(begun), nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// finish tells the instances to end, once more where nobody knows them, and checks their results.
func (r *runner) finish(ctx context.Context, all ...*grown) (err error) {
	a, err := r.startApps(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.stop(ctx)) }()
	for _, g := range all {
		if err := pawl.Raise(ctx, a.client, g.id, wakeEvent, wakeEnd, nil); err != nil {
			return err
		}
		run, err := pawl.Attach[Parcel](a.client, g.id)
		if err != nil {
			return err
		}
		out, err := run.Result(ctx)
		if err != nil {
			return err
		}
		if out.Number != int64(g.steps) || out.Filling != r.filling {
			return fmt.Errorf("instance %s: its result is wrong: %d, want %d", g.id, out.Number, g.steps)
		}
	}
	return nil
}
