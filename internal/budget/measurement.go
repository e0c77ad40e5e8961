package budget

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pawlrun/pawl"
)

// measurement is one Measure.
type measurement struct {
	opts    Options
	witness *witness
	report  *Report
	started int // instances, for their ids
}

// How the processes are warmed up: so many instances at once, so that all connections have work, then some alone.
const (
	warmAtOnce = 16
	warmAlone  = 2
)

// tries is how often a shape is measured at most.
const tries = 3

// errPulsedTwice says that the wait for the result took longer than from one pulse to the next.
var errPulsedTwice = errors.New("the client pulsed before there was a result, each time")

// play measures the shapes of a scene.
func (m *measurement) play(ctx context.Context, s *scene) (err error) {
	if err := m.witness.begin(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.witness.end(ctx)) }()
	all, err := m.startAll(ctx, s.roles)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopAll(ctx, all)) }()
	for _, o := range s.shapes {
		if err := m.warm(ctx, all[0], &o); err != nil {
			return err
		}
	}
	for _, o := range s.shapes {
		measured, err := m.measure(ctx, all, &o)
		if o.extra && errors.Is(err, errPulsedTwice) {
			m.opts.Logger.Warn("left out", "shape", o.name, "error", err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
		m.opts.Logger.Info("measured", "shape", o.name, "roundTrips", measured.RoundTrips, "commits", measured.Commits,
			"statements", measured.Statements, "prepares", measured.Run.Prepares)
		m.report.Shapes = append(m.report.Shapes, *measured)
	}
	if s.idle {
		m.report.IdleStatements, err = m.idle(ctx, all)
	}
	return err
}

// warm has every connection prepare what it will need.
func (m *measurement) warm(ctx context.Context, p *process, o *outline) error {
	var group sync.WaitGroup
	errs := make([]error, warmAtOnce)
	for i := range errs {
		id := m.nextID(o)
		group.Go(func() { errs[i] = o.run(ctx, p, id, o.plan) })
	}
	group.Wait()
	if p.pooled {
		return errors.Join(errs...) // nothing is prepared there
	}
	for range warmAlone {
		errs = append(errs, o.run(ctx, p, m.nextID(o), o.plan))
	}
	return errors.Join(errs...)
}

func (m *measurement) nextID(o *outline) string {
	m.started++
	return fmt.Sprint(o.name, "-", m.started)
}

// run brings the shape about once: p starts an instance and waits for its result.
func (o *outline) run(ctx context.Context, p *process, id string, in plan) error {
	run, err := pawl.StartByName[string](ctx, p.app, o.orchestration, in, &pawl.StartOptions{InstanceID: id})
	if err != nil {
		return err
	}
	_, err = run.Result(ctx)
	return err
}

// measure measures one shape, again if chance had a hand in it.
func (m *measurement) measure(ctx context.Context, all []*process, o *outline) (s *Shape, err error) {
	for range tries {
		s, err = m.try(ctx, all, o)
		if err == nil && !s.Uneven || err != nil && !errors.Is(err, errPulsedTwice) {
			break
		}
	}
	return s, err
}

func (m *measurement) try(ctx context.Context, all []*process, o *outline) (*Shape, error) {
	s := &Shape{Name: o.name, About: o.about, Budget: o.budget, Extra: o.extra, Steps: o.further}
	run, err := m.window(ctx, all, o, o.plan)
	if err != nil {
		return nil, err
	}
	s.Run, s.Cost = *run, run.Cost
	if o.further == 0 {
		return s, nil
	}
	longer := o.plan
	longer.Count += o.further
	long, err := m.window(ctx, all, o, longer)
	if err != nil {
		return nil, err
	}
	s.Short, s.Run = run, *long
	s.Cost, s.Uneven = long.minus(run.Cost).each(o.further)
	return s, nil
}

// each is the cost of one of n; uneven says that they do not all cost the same: it is then rounded up.
func (c Cost) each(n int) (one Cost, uneven bool) {
	share := func(total int) int {
		uneven = uneven || total%n != 0
		return (total + n - 1) / n
	}
	return Cost{share(c.RoundTrips), share(c.Commits), share(c.Statements)}, uneven
}

// window brings a shape about and says what it took.
func (m *measurement) window(ctx context.Context, all []*process, o *outline, in plan) (*Run, error) {
	if err := wait(ctx, m.opts.Idle); err != nil {
		return nil, err
	}
	if o.pulsed { // else the client may pulse before there is a result
		if err := m.beforePulse(ctx, all[1]); err != nil {
			return nil, err
		}
	}
	if _, err := m.witness.notifications(ctx); err != nil {
		return nil, err
	}
	for _, p := range all {
		p.tap.Reset()
	}
	before, err := m.quiet(ctx, all)
	if err != nil {
		return nil, err
	}
	if err := o.run(ctx, all[0], m.nextID(o), in); err != nil {
		return nil, err
	}
	if err := m.calm(ctx, all); err != nil {
		return nil, err
	}
	after, err := m.quiet(ctx, all)
	if err != nil {
		return nil, err
	}
	run, even := account(all, before, after, o.pulsed)
	run.Activities = in.Count
	if run.Notifications, err = m.witness.notifications(ctx); err != nil {
		return nil, err
	}
	if !even {
		return nil, errPulsedTwice
	}
	return run, nil
}

// wait waits for a time.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// look is how often a condition is looked at that nothing announces.
const look = 2 * time.Millisecond

// until waits for a condition.
func until(ctx context.Context, reached func() (bool, error)) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if ok, err := reached(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
