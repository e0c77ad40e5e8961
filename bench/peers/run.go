package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/internal/bench"
)

// plan is what a run measures.
type plan struct {
	systems   []system
	workloads []workload
	rounds    int
	window    time.Duration // of one measurement
	rtt       time.Duration // 0: no measurement with a delay
}

const (
	// cellTimeout bounds one measurement; a system that cannot do its units within is reported as not finishing.
	cellTimeout = 90 * time.Second
	// yardstickWindow is how long the raw commit is measured before each system.
	yardstickWindow = 400 * time.Millisecond
	// warmUpInFlight bounds the callers that warm up: more would only make slow systems slower to begin.
	warmUpInFlight = 64
)

// delayedWorkloads are measured again with the database far away.
var delayedWorkloads = []string{"hello", "sequence-20"}

// runner carries a plan out.
type runner struct {
	plan
	server   string // URL of the server, as one who may create databases
	watch    *bench.Server
	admin    *pgx.Conn // makes databases
	programs *programs
	logger   *slog.Logger
	say      func(format string, args ...any)
	results  *results

	databases  int // made so far
	yardsticks map[string]*opened
	cleaning   []func() error
}

// run measures everything, each round in an order of its own, so that each system follows each other one now and then
// and what else the machine does falls on all.
func (r *runner) run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, r.clean()) }()
	r.yardsticks = map[string]*opened{}
	missing := map[string]bool{}
	for round := range r.rounds {
		for _, s := range order(r.systems, round) {
			if missing[s.name] {
				continue
			}
			err := r.measureSystem(ctx, s, round, 0)
			if err == nil && r.rtt > 0 && round == 0 && s.backend == onPostgres { // once: the delay is all there is to see
				err = r.measureSystem(ctx, s, round, r.rtt)
			}
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case errors.Is(err, errUnavailable):
				missing[s.name] = true
				r.results.leaveOut(s.name, err)
				r.say("%s is left out: %v", s.name, err)
			case err != nil:
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return nil
}

// order turns the list by one for each round, and round every second time.
func order(systems []system, round int) []system {
	turned := slices.Concat(systems[round%len(systems):], systems[:round%len(systems)])
	if round%2 == 1 {
		slices.Reverse(turned)
	}
	return turned
}

// wanted returns the workloads a system is to be measured in.
func (r *runner) wanted(s system, rtt time.Duration) []workload {
	return slices.DeleteFunc(slices.Clone(r.workloads), func(w workload) bool {
		return !slices.Contains(s.shapes, w.shape) || rtt > 0 && !slices.Contains(delayedWorkloads, w.name)
	})
}

// measureSystem measures a system's workloads between two looks at the yardstick.
func (r *runner) measureSystem(ctx context.Context, s system, round int, rtt time.Duration) error {
	wanted := r.wanted(s, rtt)
	if len(wanted) == 0 {
		return nil
	}
	before, err := r.yardstick(ctx, s.backend)
	if err != nil {
		return err
	}
	rows, err := r.measureAll(ctx, s, wanted, round, rtt)
	if err != nil {
		return err
	}
	after, err := r.yardstick(ctx, s.backend)
	if err != nil {
		return err
	}
	limits := better(before, after)
	for _, x := range rows {
		x.P1, x.R16 = limits.p1, limits.r16
		r.results.add(x)
	}
	return nil
}

// measureAll opens a system on a fresh database or directory and measures workloads, until one fails.
func (r *runner) measureAll(ctx context.Context, s system, wanted []workload, round int, rtt time.Duration) (rows []row, err error) {
	e, clean, err := r.surroundings(ctx, s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, clean()) }()
	setDelay := func(time.Duration) {}
	if rtt > 0 {
		detour, err := bench.NewDetour(e.url, 0)
		if err != nil {
			return nil, err
		}
		defer detour.Close()
		e.url, setDelay = detour.URL, detour.SetDelay
	}
	o, err := s.open(ctx, e)
	if err != nil {
		return nil, err
	}
	defer o.close()
	var next atomic.Int64
	for _, w := range wanted {
		row := row{System: s.name, Workload: w.name, Round: round + 1, RTT: milliseconds(rtt)}
		setDelay(0)
		if err := r.measure(ctx, o, w, &next, &row, func() { setDelay(rtt) }); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			row.Error = err.Error()
		}
		rows = append(rows, row)
		r.say("%s", row)
		if row.Error != "" { // the rest would be measured beside its leftovers
			break
		}
	}
	return rows, nil
}

// measure warms a workload up without delay and measures it.
func (r *runner) measure(ctx context.Context, o *opened, w workload, next *atomic.Int64, row *row, delay func()) error {
	ctx, cancel := context.WithTimeoutCause(ctx, cellTimeout, fmt.Errorf("not finished after %v", cellTimeout))
	defer cancel()
	var before, after usage
	observe := func(run func() error) (err error) {
		delay()
		if before, err = readUsage(ctx, r.watch, o.daemons); err != nil {
			return err
		}
		if err := run(); err != nil {
			return err
		}
		after, err = readUsage(ctx, r.watch, o.daemons)
		return err
	}
	measured := o.external
	if measured == nil {
		measured = byUnits(o.units[w.shape], next)
	}
	t, err := measured(ctx, w, r.window, observe)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx) // rather than what the system makes of it
		}
		return err
	}
	row.fill(t, before, after)
	if o.elsewhere {
		row.ClientCPU = unknown
	}
	return nil
}

// byUnits measures by repeating a unit.
func byUnits(do unit, next *atomic.Int64) measurement {
	return func(ctx context.Context, w workload, window time.Duration, observe func(func() error) error) (t timing, err error) {
		if _, err := drive(ctx, do, next, min(w.inFlight, warmUpInFlight), window/4, 3); err != nil {
			return t, fmt.Errorf("warm up: %w", err)
		}
		err = observe(func() (err error) {
			t, err = drive(ctx, do, next, w.inFlight, window, 1)
			return err
		})
		return t, err
	}
}

// limits are what the raw commit reaches: the median on one connection in milliseconds, and the rate on sixteen, which
// SQLite does not have.
type limits struct{ p1, r16 float64 }

// better joins two looks at the limits. What else the machine does can only make them worse.
func better(a, b limits) limits { return limits{p1: min(a.p1, b.p1), r16: max(a.r16, b.r16)} }

// yardstick measures the limits of a backend. It keeps its surroundings until the end of the run.
func (r *runner) yardstick(ctx context.Context, b backend) (l limits, err error) {
	name := b.yardstick().name
	o := r.yardsticks[name]
	if o == nil {
		e, clean, err := r.surroundings(ctx, b.yardstick())
		if err != nil {
			return l, err
		}
		r.cleaning = append(r.cleaning, clean)
		if o, err = b.yardstick().open(ctx, e); err != nil {
			return l, err
		}
		r.yardsticks[name] = o
	}
	window := min(r.window, yardstickWindow)
	one, err := o.external(ctx, workload{inFlight: 1}, window, nil)
	if err != nil {
		return l, fmt.Errorf("yardstick: %w", err)
	}
	l.p1 = milliseconds(bench.Percentile(one.took, 50))
	if b == onSQLite {
		return l, nil
	}
	sixteen, err := o.external(ctx, workload{inFlight: 16}, window, nil)
	if err != nil {
		return l, fmt.Errorf("yardstick: %w", err)
	}
	l.r16 = sixteen.perSecond
	return l, nil
}

// clean removes what the yardsticks have kept.
func (r *runner) clean() (err error) {
	for _, clean := range r.cleaning {
		err = errors.Join(err, clean())
	}
	return err
}

// surroundings makes a fresh directory and, for PostgreSQL, a fresh database; clean removes both.
func (r *runner) surroundings(ctx context.Context, s system) (*surroundings, func() error, error) {
	dir, err := os.MkdirTemp("", "pawl-peers-")
	if err != nil {
		return nil, nil, err
	}
	e := &surroundings{dir: dir, programs: r.programs, logger: r.logger}
	if s.backend != onPostgres {
		return e, func() error { return os.RemoveAll(dir) }, nil
	}
	r.databases++
	database := fmt.Sprintf("peers_%d_%d", os.Getpid(), r.databases)
	u, err := url.Parse(r.server)
	if err == nil {
		_, err = r.admin.Exec(ctx, "create database "+pgx.Identifier{database}.Sanitize())
	}
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	u.Path = "/" + database
	e.url, e.directURL = u.String(), u.String()
	return e, func() error {
		ctx := context.WithoutCancel(ctx)
		errs := []error{os.RemoveAll(dir)}
		for _, name := range []string{database, visibilityOf(database)} {
			_, err := r.admin.Exec(ctx, "drop database if exists "+pgx.Identifier{name}.Sanitize()+" with (force)")
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}, nil
}
