package main

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// A cell is one thing to measure: sessions that repeat one call. Cells are
// comparable values; a cell shown in several tables is measured once.
type cell interface {
	// sessions is the number of connections that call at the same time.
	sessions() int
	// units is the number of turns, rows or claims in one call.
	units() int
	// settings are the session parameters of its connections.
	settings() [][2]string
	// open prepares one session and returns its call.
	open(ctx context.Context, b *bench, conn *pgx.Conn) (func(context.Context) error, error)
}

// sample is what one measurement of a cell found.
type sample struct {
	p50  float64 // milliseconds a call
	rate float64 // units a second
	cpu  float64 // microseconds of server processor time a unit, -1 if unknown
	wal  float64 // bytes a unit
}

// session is one open connection of a cell and its latencies in a window.
type session struct {
	conn *pgx.Conn
	call func(context.Context) error
	took []time.Duration
}

// limit ends a measurement: after a time, or after a number of calls a session.
type limit struct {
	time  time.Duration
	calls int
}

// reached reports whether a session that has made calls since start is done.
func (l limit) reached(calls int, start time.Time) bool {
	if l.calls > 0 {
		return calls >= l.calls
	}
	return time.Since(start) >= l.time
}

// measure opens the cell's sessions, warms them up and measures one window.
func (b *bench) measure(ctx context.Context, c cell, warm, window limit) (sample, error) {
	sessions, err := b.openSessions(ctx, c)
	defer closeSessions(sessions)
	if err != nil {
		return sample{}, err
	}
	if _, err := repeat(ctx, sessions, warm); err != nil {
		return sample{}, err
	}
	var pids []uint32
	for _, s := range sessions {
		pids = append(pids, s.conn.PgConn().PID())
	}
	walBefore, err := b.walPosition(ctx)
	if err != nil {
		return sample{}, err
	}
	cpuBefore, _ := backendCPU(pids)
	elapsed, err := repeat(ctx, sessions, window)
	if err != nil {
		return sample{}, err
	}
	cpuAfter, known := backendCPU(pids)
	walAfter, err := b.walPosition(ctx)
	if err != nil {
		return sample{}, err
	}
	cpu := -1.0
	if known {
		cpu = float64((cpuAfter - cpuBefore).Nanoseconds()) / 1e3
	}
	return summarize(sessions, c.units(), elapsed, cpu, walAfter-walBefore), nil
}

// summarize turns a window's totals into figures a unit. A negative cpu is
// unknown.
func summarize(sessions []*session, units int, elapsed time.Duration, cpu, wal float64) sample {
	var took []time.Duration
	for _, s := range sessions {
		took = append(took, s.took...)
	}
	slices.Sort(took)
	n := float64(len(took) * units)
	r := sample{
		p50:  float64(took[len(took)/2].Nanoseconds()) / 1e6,
		rate: n / elapsed.Seconds(),
		cpu:  -1,
		wal:  wal / n,
	}
	if cpu >= 0 {
		r.cpu = cpu / n
	}
	return r
}

// openSessions connects and prepares the cell's sessions. The sessions opened
// so far are returned with an error, too.
func (b *bench) openSessions(ctx context.Context, c cell) ([]*session, error) {
	var sessions []*session
	for range c.sessions() {
		conn, err := b.connect(ctx, c.settings())
		if err != nil {
			return sessions, err
		}
		s := &session{conn: conn}
		sessions = append(sessions, s)
		if s.call, err = c.open(ctx, b, conn); err != nil {
			return sessions, err
		}
	}
	return sessions, nil
}

// closeSessions ends the sessions' connections.
func closeSessions(sessions []*session) {
	for _, s := range sessions {
		_ = s.conn.Close(context.Background()) // nothing is left to lose
	}
}

// repeat lets all sessions call until the limit and returns the time it took.
func repeat(ctx context.Context, sessions []*session, l limit) (time.Duration, error) {
	start := time.Now()
	errs := make([]error, len(sessions))
	var wg sync.WaitGroup
	for n, s := range sessions {
		wg.Go(func() { errs[n] = s.repeat(ctx, l, start) })
	}
	wg.Wait()
	elapsed := time.Since(start)
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return elapsed, nil
}

// repeat calls until the limit, at least once, and keeps the latencies.
func (s *session) repeat(ctx context.Context, l limit, start time.Time) error {
	s.took = s.took[:0]
	for last := start; ; {
		if err := s.call(ctx); err != nil {
			return err
		}
		now := time.Now()
		s.took = append(s.took, now.Sub(last))
		last = now
		if l.reached(len(s.took), start) {
			return nil
		}
	}
}

// median returns the median of one figure over the samples.
func median(samples []sample, figure func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = figure(s)
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// medianSample is the figure-wise median of the samples.
func medianSample(samples []sample) sample {
	return sample{
		p50:  median(samples, func(s sample) float64 { return s.p50 }),
		rate: median(samples, func(s sample) float64 { return s.rate }),
		cpu:  median(samples, func(s sample) float64 { return s.cpu }),
		wal:  median(samples, func(s sample) float64 { return s.wal }),
	}
}

// spread is the range of the rates as a percentage of their median.
func spread(samples []sample) float64 {
	byRate := func(a, b sample) int { return cmp.Compare(a.rate, b.rate) }
	low, high := slices.MinFunc(samples, byRate), slices.MaxFunc(samples, byRate)
	return 100 * (high.rate - low.rate) / median(samples, func(s sample) float64 { return s.rate })
}
