package suite

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pawlrun/pawl/internal/bench"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// table is a part of the report that text and HTML have in common. Its first column holds names, the others numbers.
type table struct {
	Title string
	Head  []string // without the first column's
	Rows  []row
	Note  string
}

// row is a line of a table.
type row struct {
	Name  string
	Cells []string
	Minor bool // it says the same as the row above in other terms
}

// tables are all tables of the report.
func (r *Report) tables() []table {
	all := []table{r.latencyTable(), r.costTable()}
	for _, w := range r.Workloads {
		all = append(all, w.detailTables()...)
	}
	return all
}

// head says what was measured, where and how, a line for each.
func (r *Report) head() []string {
	m, o := &r.Machine, &r.Options
	lines := []string{
		fmt.Sprintf("Pawl %s on %s, %s", r.Pawl, r.Store.title(), r.BegunAt.Format(time.RFC3339)),
		fmt.Sprintf("machine: %d cores%s, %s/%s%s, %s%s", m.Cores, after(", ", m.CPU), m.OS, m.Arch, after(" ", m.Kernel), m.Go, after(", load before ", m.Load)),
	}
	if settings := r.Store.settings(); settings != "" {
		lines = append(lines, "settings: "+settings)
	}
	how := []string{"default options", fmt.Sprintf("%d activity slots", o.Slots), fmt.Sprintf("payloads of %d B", o.Payload)}
	if o.Apart {
		how = append(how, "client and worker apart")
	}
	if o.RTT > 0 {
		how = append(how, fmt.Sprintf("%v ms added to each round trip, the raw limit's too", o.RTT))
	}
	how = append(how, fmt.Sprintf("each workload warmed up for %v", time.Duration(o.Warmup)))
	lines = append(lines, "run: "+strings.Join(how, ", "))
	if r.Interrupted {
		lines = append(lines, "INTERRUPTED: this is what was measured until then")
	}
	return lines
}

// after returns a text with something before it, nothing if there is none.
func after(lead, text string) string {
	if text == "" {
		return ""
	}
	return lead + text
}

// title names the store in a line.
func (s *Store) title() string {
	if s.Kind == "postgres" {
		for _, x := range s.Setting {
			if x.Name == "server_version" {
				return fmt.Sprintf("PostgreSQL %s (%s, schema %s, dropped)", x.Value, s.Where, s.Schema)
			}
		}
	}
	if s.Where == sqlite.Memory {
		return "SQLite in memory"
	}
	return fmt.Sprintf("SQLite (%s, file removed)", s.Where)
}

// settings are those of the server but for its version.
func (s *Store) settings() string {
	var all []string
	for _, x := range s.Setting {
		if x.Name != "server_version" && x.Value != "" {
			all = append(all, x.Name+"="+x.Value)
		}
	}
	return strings.Join(all, " ")
}

var latencyHead = []string{"mean", "p50", "p90", "p99", "max"}

func (r *Report) latencyTable() table {
	t := table{
		Title: "Latencies in ms, and as multiples of p1; rates a second, and as multiples of R16 or R1",
		Head:  append([]string{"in flight", "n", "failed", "rate"}, latencyHead...),
		Note: "p1, R1, R16: median latency of one-row commits on one connection, their rate on one and on sixteen; for the ratios, " +
			"those measured just before and after the workload.",
	}
	for _, y := range r.Yardstick.all() {
		t.Rows = append(t.Rows, row{Name: y.name(), Cells: append([]string{strconv.Itoa(y.Connections), strconv.Itoa(y.Latency.N), "0", number(y.Rate)}, latencies(y.Latency)...)})
	}
	for _, w := range r.Workloads {
		t.Rows = append(t.Rows, row{Name: w.Name, Cells: append([]string{strconv.Itoa(w.InFlight), strconv.Itoa(w.N), strconv.Itoa(w.Failures), number(w.Rate)}, latencies(w.Latency)...)})
		x := w.Ratios()
		rate := number(x["rate_to_r1"]) + " R1"
		if many, ok := x["rate_to_r16"]; ok {
			rate = number(many) + " R16"
		}
		cells := []string{"", "", "", rate}
		for _, figure := range latencyHead {
			cells = append(cells, number(x[figure+"_to_p1"])+" p1")
		}
		t.Rows = append(t.Rows, row{Cells: cells, Minor: true})
	}
	return t
}

// all are the yardsticks there are.
func (y *Yardsticks) all() []*Yardstick {
	return slices.DeleteFunc([]*Yardstick{y.R1, y.R16}, func(y *Yardstick) bool { return y == nil })
}

func (y *Yardstick) name() string { return fmt.Sprintf("raw commits, R%d", y.Connections) }

var costHead = []string{"commits", "WAL bytes", "server CPU ms", "client CPU ms", "round trips"}

func (r *Report) costTable() table {
	t := table{Title: "Costs of a workflow, with what the processes do beside it (n/a: not to be measured here)", Head: costHead}
	for _, y := range r.Yardstick.all() {
		t.Rows = append(t.Rows, row{Name: y.name(), Cells: y.Cost.texts()})
	}
	for _, w := range r.Workloads {
		t.Rows = append(t.Rows, row{Name: w.Name, Cells: w.Cost.texts()})
		if w.Checkpoint {
			t.Note = "A checkpoint began during the run: WAL bytes include full-page images from then on."
		}
	}
	return t
}

// detailTables are what only one workload has.
func (w *Workload) detailTables() []table {
	var all []table
	toP1 := func(l bench.Latency) []string { return append(latencies(l), number(ratio(l.P50, w.Limits.P1))) }
	head := append(slices.Clone(latencyHead), "p50 / p1")
	if w.Lateness != nil {
		all = append(all, table{Title: "Timers: how late the sleepers woke, in ms by the clock of the store", Head: head,
			Rows: []row{{Name: "lateness", Cells: toP1(*w.Lateness)}}})
	}
	if len(w.Parts) > 0 {
		t := table{Title: "Mixed: latencies in ms by kind", Head: append([]string{"n"}, head...)}
		for _, part := range slices.Sorted(maps.Keys(w.Parts)) {
			l := w.Parts[part]
			t.Rows = append(t.Rows, row{Name: part, Cells: append([]string{strconv.Itoa(l.N)}, toP1(l)...)})
		}
		all = append(all, t)
	}
	if h := w.History; h != nil {
		steps := table{Title: fmt.Sprintf("Large history: a step in ms, and its costs (%d events after %d steps)", h.Events, h.Steps),
			Head: append(slices.Clone(head), costHead...),
			Note: fmt.Sprintf("Median of a late step: %s of an early one.", number(h.LateToEarly))}
		for _, p := range []Phase{h.Early, h.Late} {
			steps.Rows = append(steps.Rows, row{Name: fmt.Sprintf("steps %d to %d", p.FromStep+1, p.ToStep), Cells: append(toP1(p.Latency), p.Cost.texts()...)})
		}
		cold := table{Title: "Large history, cold: from an event to the next activity in an app that has to replay it, in ms", Head: head, Rows: []row{
			{Name: fmt.Sprintf("%d events", h.Events), Cells: toP1(h.Cold)}, {Name: fmt.Sprintf("%d events", h.SmallEvents), Cells: toP1(h.ColdSmall)}}}
		all = append(all, steps, cold)
	}
	return all
}

func latencies(l bench.Latency) []string {
	return []string{millis(l.Mean), millis(l.P50), millis(l.P90), millis(l.P99), millis(l.Max)}
}

// texts are the figures in the order of their columns.
func (c *Cost) texts() []string {
	var all []string
	for _, v := range []*float64{c.Commits, c.WALBytes, c.ServerCPU, c.ClientCPU, c.RoundTrips} {
		if v == nil {
			all = append(all, "n/a")
		} else {
			all = append(all, number(*v))
		}
	}
	return all
}

func millis(d time.Duration) string { return number(bench.Millis(d)) }

// number writes three digits, or all before the point.
func number(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x >= 100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case x >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case x >= 1:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
	return strconv.FormatFloat(rounded3(x), 'f', -1, 64)
}

func rounded3(x float64) float64 {
	v, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 3, 64), 64)
	if err != nil {
		return x
	}
	return v
}
