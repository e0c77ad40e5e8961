package origin

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// Report is what a run has found.
type Report struct {
	Server  string        `json:"server"` // version of PostgreSQL
	DelayMS float64       `json:"delay_ms"`
	Count   int           `json:"count"`
	Stages  []StageReport `json:"stages"`
}

// StageReport is what one stage takes.
type StageReport struct {
	Name       string            `json:"stage"` // inline, functions or budget
	Title      string            `json:"title"`
	Operations []OperationReport `json:"operations"`
	Hello      HelloReport       `json:"hello"`
}

// OperationReport is what one operation takes, within a hello world. Calls are those of one hello world.
type OperationReport struct {
	Operation         Operation `json:"operation"`
	Calls             float64   `json:"calls"`
	QueriesPerCall    float64   `json:"queries_per_call"`
	RoundTripsPerCall float64   `json:"round_trips_per_call"`
	MeanMS            float64   `json:"mean_ms"`
	BestMS            float64   `json:"best_ms"`
}

// HelloReport is what a hello world takes, from its start until the result is there.
type HelloReport struct {
	Calls      float64 `json:"calls"`
	Queries    float64 `json:"queries"`
	RoundTrips float64 `json:"round_trips"`
	MeanMS     float64 `json:"mean_ms"`
	BestMS     float64 `json:"best_ms"`
}

// sum adds up calls of an operation, or hello worlds.
type sum struct {
	n, calls, queries, roundTrips int
	took, best                    time.Duration
}

func (s *sum) add(took time.Duration, calls ...call) {
	s.n++
	s.calls += len(calls)
	for _, c := range calls {
		s.queries += c.queries
		s.roundTrips += c.roundTrips
	}
	s.took += took
	if s.n == 1 || took < s.best {
		s.best = took
	}
}

// report adds up the runs of a stage. Operations that do not occur are left out.
func (s *stage) report() StageReport {
	var whole sum
	single := make(map[Operation]*sum)
	for _, r := range s.runs {
		whole.add(r.took, r.calls...)
		for _, c := range r.calls {
			if single[c.op] == nil {
				single[c.op] = new(sum)
			}
			single[c.op].add(c.took, c)
		}
	}
	report := StageReport{Name: s.name, Title: s.title, Hello: HelloReport{
		Calls: ratio(whole.calls, whole.n), Queries: ratio(whole.queries, whole.n), RoundTrips: ratio(whole.roundTrips, whole.n),
		MeanMS: whole.mean(), BestMS: milliseconds(whole.best)}}
	for _, op := range operations {
		if t := single[op]; t != nil {
			report.Operations = append(report.Operations, OperationReport{
				Operation: op, Calls: ratio(t.n, whole.n), QueriesPerCall: ratio(t.queries, t.n),
				RoundTripsPerCall: ratio(t.roundTrips, t.n), MeanMS: t.mean(), BestMS: milliseconds(t.best)})
		}
	}
	return report
}

func (s *sum) mean() float64 { return milliseconds(s.took / time.Duration(max(s.n, 1))) }

func ratio(a, b int) float64 { return float64(a) / float64(max(b, 1)) }

// milliseconds rounds to microseconds.
func milliseconds(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e3 }

// WriteText writes the report as a table.
func (r *Report) WriteText(out io.Writer) error {
	var b strings.Builder
	line := func(what string, calls, queries, roundTrips, mean, best any) {
		fmt.Fprintf(&b, "%-34s %5v %13v %17v %9v %9v\n", what, calls, queries, roundTrips, mean, best)
	}
	for i := range r.Stages {
		s := &r.Stages[i]
		line(s.Title, "calls", "queries/call", "round trips/call", "mean ms", "best ms")
		for _, o := range s.Operations {
			line("  "+string(o.Operation), short(o.Calls), short(o.QueriesPerCall), short(o.RoundTripsPerCall), times(o.MeanMS), times(o.BestMS))
		}
		h := &s.Hello
		line("  hello world, in all", short(h.Calls), short(h.Queries), short(h.RoundTrips), times(h.MeanMS), times(h.BestMS))
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "PostgreSQL %s, %g ms added to every round trip; %d hello worlds of each kind, one at a time, in turns\n",
		r.Server, r.DelayMS, r.Count)
	_, err := io.WriteString(out, b.String())
	return err
}

func short(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

func times(ms float64) string { return strconv.FormatFloat(ms, 'f', 2, 64) }
