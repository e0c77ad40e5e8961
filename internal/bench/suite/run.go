package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pawlrun/pawl/internal/bench"
)

// ErrFailures is the error of a run in which workflows failed, were lost or gave a wrong result.
var ErrFailures = errors.New("workflows failed")

// runner is one run.
type runner struct {
	o       *Options
	place   *place
	flows   *flows
	filling string
	begun   reading
	report  *Report
	took1   []Yardstick // all rounds of R1, and of R16
	took16  []Yardstick
}

// Run runs the workloads and returns what they found. An error may come with a report: of what was measured until then, or
// with ErrFailures of everything. Nothing is left behind in any case.
func Run(ctx context.Context, o *Options) (report *Report, err error) {
	filling, err := newFilling(o.Payload)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	p, err := newPlace(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.remove(ctx)) }()
	r := &runner{o: o, place: p, flows: newFlows(), filling: filling, report: &Report{
		Pawl: o.Version, BegunAt: begun.UTC().Truncate(time.Millisecond), Machine: bench.ThisMachine(), Warnings: []string{},
		Workloads: Workloads{},
		Options: Conditions{Duration: Seconds(o.Duration), Count: o.Count, Slots: o.Slots, Payload: o.Payload, Apart: o.Apart,
			RTT: bench.Millis(o.RTT), Warmup: Seconds(o.Warmup), Yardstick: Seconds(o.Yardstick)},
	}}
	err = r.run(ctx)
	r.report.Took = Seconds(time.Since(begun))
	r.report.Interrupted = ctx.Err() != nil
	r.sumUpYardsticks()
	switch {
	case r.report.Interrupted:
		err = context.Cause(ctx) // whatever failed did so because of it
	case err == nil && r.report.Failures > 0:
		err = fmt.Errorf("%d %w", r.report.Failures, ErrFailures)
	}
	if len(r.report.Workloads) == 0 {
		return nil, err
	}
	return r.report, err
}

// run measures: the raw limit, and then each workload and the raw limit again.
func (r *runner) run(ctx context.Context) (err error) {
	var warnings []string
	if r.report.Store, warnings, err = r.place.describe(ctx); err != nil {
		return err
	}
	r.report.Warnings = append(r.report.Warnings, warnings...)
	if r.begun, err = r.place.read(ctx); err != nil {
		return err
	}
	before, err := r.yardstick(ctx)
	if err != nil {
		return err
	}
	for _, name := range r.o.Workloads {
		w := find(name)
		if _, err := fmt.Fprintf(r.o.Progress, "%s: %s\n", w.name, w.what); err != nil {
			return err
		}
		found, err := r.workload(ctx, w)
		if found != nil && found.N+found.Failures > 0 {
			found.Limits = before
			r.report.Workloads = append(r.report.Workloads, found)
			r.report.Failures += found.Failures
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		after, err := r.yardstick(ctx)
		if err != nil {
			return err
		}
		found.Limits = Limits{P1: (before.P1 + after.P1) / 2, R1: rounded((before.R1 + after.R1) / 2), R16: rounded((before.R16 + after.R16) / 2)}
		before = after
	}
	if d := r.place.detour; d != nil && d.Counts().Encrypted > 0 {
		r.warn("the connections are encrypted: the proxy delays them, but cannot count round trips")
	}
	return nil
}

func (r *runner) warn(format string, args ...any) {
	r.report.Warnings = append(r.report.Warnings, fmt.Sprintf(format, args...))
}

// yardstick measures the raw limit once more.
func (r *runner) yardstick(ctx context.Context) (Limits, error) {
	one, err := r.place.raw(ctx, 1, r.o.Yardstick)
	if err != nil {
		return Limits{}, err
	}
	r.took1 = append(r.took1, one)
	limits := Limits{P1: one.Latency.P50, R1: rounded(one.Rate)}
	if r.place.direct != "" {
		many, err := r.place.raw(ctx, raw16, r.o.Yardstick)
		if err != nil {
			return Limits{}, err
		}
		r.took16 = append(r.took16, many)
		limits.R16 = rounded(many.Rate)
	}
	return limits, nil
}

// sumUpYardsticks puts the rounds of each yardstick together.
func (r *runner) sumUpYardsticks() {
	r.report.Yardstick = Yardsticks{R1: together(r.took1), R16: together(r.took16)}
}

// together is one yardstick made of all its rounds; nil if there are none.
func together(rounds []Yardstick) *Yardstick {
	if len(rounds) == 0 {
		return nil
	}
	var all Yardstick
	all.Connections = rounds[0].Connections
	for _, y := range rounds {
		all.Took = append(all.Took, y.Took...)
		all.Elapsed += y.Elapsed
	}
	all.Latency = bench.Summarize(all.Took)
	all.Rate = rounded(float64(len(all.Took)) / all.Elapsed.Seconds())
	all.Cost = Cost{
		Commits: average(rounds, func(c *Cost) *float64 { return c.Commits }), WALBytes: average(rounds, func(c *Cost) *float64 { return c.WALBytes }),
		ServerCPU: average(rounds, func(c *Cost) *float64 { return c.ServerCPU }), ClientCPU: average(rounds, func(c *Cost) *float64 { return c.ClientCPU }),
		RoundTrips: average(rounds, func(c *Cost) *float64 { return c.RoundTrips }),
	}
	return &all
}

// average is the mean of a figure per commit over all commits; nil unless every round has it.
func average(rounds []Yardstick, figure func(*Cost) *float64) *float64 {
	var sum float64
	n := 0
	for i := range rounds {
		v := figure(&rounds[i].Cost)
		if v == nil {
			return nil
		}
		sum += *v * float64(len(rounds[i].Took))
		n += len(rounds[i].Took)
	}
	mean := rounded(sum / float64(n))
	return &mean
}

// workload runs one workload on fresh apps. What it returns may come with an error.
func (r *runner) workload(ctx context.Context, w *workload) (found *Workload, err error) {
	if w.flow == nil {
		return r.largeHistory(ctx, w)
	}
	a, err := r.startApps(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.stop(ctx)) }()
	d := &drive{inFlight: w.inFlight, count: r.o.Count, duration: r.o.Duration}
	if r.o.InFlight > 0 && !w.one {
		d.inFlight = r.o.InFlight
	}
	if d.count > 0 {
		d.inFlight = min(d.inFlight, d.count)
	}
	found = &Workload{Name: w.name, What: w.what, InFlight: d.inFlight}
	warm := r.drive(ctx, a, w, &drive{inFlight: d.inFlight, count: r.o.Count, duration: r.o.Warmup}, found, "warm-up-"+w.name+"-")
	if warm.failed > 0 {
		return found, nil
	}
	if r.place.detour != nil {
		r.place.detour.Reset()
	}
	before, err := r.place.read(ctx)
	if err != nil {
		return nil, err
	}
	t := r.drive(ctx, a, w, d, found, w.name+"-")
	found.measured(t)
	after, err := r.place.read(context.WithoutCancel(ctx))
	if err != nil {
		return found, err
	}
	found.Cost = after.costSince(before, found.N)
	found.Checkpoint = after.checkpointSince(r.begun)
	if ctx.Err() != nil || found.Failures > 0 {
		return found, context.Cause(ctx)
	}
	stored, err := a.completed(ctx, w.name+"-")
	if err == nil && stored != found.N {
		found.Failures += max(found.N-stored, stored-found.N)
		r.warn("%s: %d instances gave a result, but %d are completed in the store", w.name, found.N, stored)
	}
	return found, err
}

// drive runs the workflows of a workload and notes what went wrong. A warm-up of no length has a workflow of each caller.
func (r *runner) drive(ctx context.Context, a *apps, w *workload, d *drive, found *Workload, prefix string) *tally {
	if d.duration == 0 && d.count == 0 {
		d.count = d.inFlight
	}
	d.run = func(ctx context.Context, i int64) (done, error) { return w.run(ctx, a, prefix, i) }
	t := d.drive(ctx)
	found.Failures += t.failed
	for _, err := range t.errs[:min(len(t.errs), 3)] {
		r.warn("%s: %v", w.name, err)
	}
	return t
}

// measured takes over what a drive has found.
func (w *Workload) measured(t *tally) {
	w.took = t.took
	w.Latency = bench.Summarize(w.took)
	w.N = len(t.took)
	w.Elapsed = Seconds(t.elapsed)
	w.Rate = rounded(float64(w.N) / t.elapsed.Seconds())
	if w.Name == "timers" {
		late := bench.Summarize(t.late)
		w.Lateness = &late
	}
	if len(t.parts) > 1 {
		w.Parts = map[string]bench.Latency{}
		for part, took := range t.parts {
			slices.Sort(took)
			w.Parts[part] = bench.Summarize(took)
		}
	}
}
