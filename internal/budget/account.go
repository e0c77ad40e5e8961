package budget

import (
	"context"
	"regexp"
	"slices"
	"time"

	"github.com/pawlrun/pawl/internal/wiretap"
)

// moment is what had crossed the wire at a moment when nobody was waiting for the server, and how many transactions
// there had been by then.
type moment struct {
	transactions int64
	counts       []wiretap.Counts // one for each process
}

// roundTrips returns how many round trips there were, and whether one is under way.
func (t *moment) roundTrips() (n int, waiting bool) {
	for _, c := range t.counts {
		n += c.RoundTrips
		waiting = waiting || c.Waiting > 0
	}
	return n, waiting
}

func now(all []*process) (t moment) {
	for _, p := range all {
		t.counts = append(t.counts, p.tap.Counts())
	}
	return t
}

// quiet finds a moment. The transactions are counted between two looks at the wire that see nobody waiting and no round
// trip begun in between.
func (m *measurement) quiet(ctx context.Context, all []*process) (found moment, err error) {
	err = until(ctx, func() (bool, error) {
		before := now(all)
		begun, waiting := before.roundTrips()
		if waiting {
			return false, nil
		}
		next, err := m.witness.transactions(ctx)
		found = now(all)
		found.transactions = next
		n, waiting := found.roundTrips()
		return n == begun && !waiting, err
	})
	return found, err
}

// shortestCalm is how long no statement was sent when a shape is taken to be over; on a slow network it is longer.
const shortestCalm = 50 * time.Millisecond

// calm waits until nothing follows any more: a process may go on after the result is there.
func (m *measurement) calm(ctx context.Context, all []*process) error {
	silence := max(shortestCalm, 4*m.witness.rtt)
	begin := time.Now()
	return until(ctx, func() (bool, error) {
		t := now(all)
		last := begin
		for _, c := range t.counts {
			for _, s := range c.Statements {
				if !isPulse(s.SQL) && s.At.After(last) {
					last = s.At
				}
			}
		}
		_, waiting := t.roundTrips()
		return !waiting && time.Since(last) > silence, nil
	})
}

var called = regexp.MustCompile(`\b([a-z_]+_v[0-9]+)\(`)

// functionOf returns the stored function that a statement calls, or its text.
func functionOf(sql string) string {
	if m := called.FindStringSubmatch(sql); m != nil {
		return m[1]
	}
	return sql
}

// pulseFunction is the periodic call.
const pulseFunction = "pulse_v1"

func isPulse(sql string) bool { return functionOf(sql) == pulseFunction }

// sent is a statement with who sent it.
type sent struct {
	wiretap.Statement
	process *process
}

// between returns the statements sent between two moments, in order.
func between(all []*process, before, after *moment) []sent {
	var out []sent
	for i, p := range all {
		for _, s := range after.counts[i].Statements[len(before.counts[i].Statements):] {
			out = append(out, sent{s, p})
		}
	}
	slices.SortStableFunc(out, func(a, b sent) int { return a.At.Compare(b.At) })
	return out
}

// account says what was done between two moments. If the result was pulsed, the last pulse of the client brought it;
// even says that there was no other.
func account(all []*process, before, after moment, pulsed bool) (run *Run, even bool) {
	run, even = &Run{Connections: map[string]int{}}, true
	for i, p := range all {
		a, b := &before.counts[i], &after.counts[i]
		run.RoundTrips += b.RoundTrips - a.RoundTrips - (b.Prepares - a.Prepares)
		run.Prepares += b.Prepares - a.Prepares
		run.Opened += b.Opened - a.Opened
		run.Connections[p.name] = b.Open
	}
	ids := int(after.transactions - before.transactions)
	statements := between(all, &before, &after)
	brought := -1
	for i, s := range statements {
		if pulsed && s.process == all[0] && isPulse(s.SQL) {
			even = brought < 0
			brought = i
		}
	}
	for i, s := range statements {
		if i != brought && isPulse(s.SQL) {
			run.Pulses++
			run.RoundTrips--
			if len(s.process.functions) > 0 {
				ids-- // a worker's beat
			}
			continue
		}
		run.Statements++
		run.Calls = append(run.Calls, Call{s.process.name, functionOf(s.SQL)})
	}
	run.Commits = max(0, min(ids, run.Statements))
	return run, even
}

// pulseInterval is the default of pawl.Options.
const pulseInterval = time.Second

// beforePulse waits until a process is about to pulse.
func (m *measurement) beforePulse(ctx context.Context, p *process) error {
	pulses := func() (n int) {
		for _, s := range p.tap.Counts().Statements {
			if isPulse(s.SQL) {
				n++
			}
		}
		return n
	}
	had := pulses()
	if err := until(ctx, func() (bool, error) { return pulses() > had, nil }); err != nil {
		return err
	}
	return wait(ctx, max(0, pulseInterval-shortestCalm-4*m.witness.rtt))
}

// idle returns how many statements a second an idle process sends.
func (m *measurement) idle(ctx context.Context, all []*process) (most float64, err error) {
	if err := wait(ctx, m.opts.Idle); err != nil {
		return 0, err
	}
	before := now(all)
	if err := wait(ctx, pulseInterval+pulseInterval/2+m.opts.IdleWindow); err != nil {
		return 0, err
	}
	after := now(all)
	first := map[*process]time.Time{}
	n := map[*process]int{}
	for _, s := range between(all, &before, &after) {
		begin, ok := first[s.process]
		if !ok {
			first[s.process] = s.At
		} else if s.At.Sub(begin) <= m.opts.IdleWindow {
			n[s.process]++
			most = max(most, float64(n[s.process])/m.opts.IdleWindow.Seconds())
		}
	}
	return most, nil
}
