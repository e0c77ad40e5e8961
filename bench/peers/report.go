package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pawlrun/pawl/internal/bench"
)

// row is one measurement of one workload on one system; a line of the JSON output. Figures "per" are for each unit of
// work. Those that nobody tells are below zero.
type row struct {
	System   string  `json:"system"`
	Workload string  `json:"workload"`
	Round    int     `json:"round"`
	RTT      float64 `json:"rtt_ms"`
	Error    string  `json:"error,omitempty"`

	N         int     `json:"n"`
	P50       float64 `json:"p50_ms"`
	P95       float64 `json:"p95_ms"`
	P99       float64 `json:"p99_ms"`
	Mean      float64 `json:"mean_ms"`
	PerSecond float64 `json:"per_second"`

	// P1 is the median of the raw commit on one connection and R16 its rate on sixteen, right before the system was opened
	// or right after it was closed, the better of both.
	P1  float64 `json:"p1_ms"`
	R16 float64 `json:"r16_per_second,omitempty"`

	Commits     float64 `json:"commits_per"`
	WAL         float64 `json:"wal_bytes_per"`
	Checkpoint  bool    `json:"checkpoint,omitempty"` // one began: more is logged
	DatabaseCPU float64 `json:"database_cpu_ms_per"`
	ClientCPU   float64 `json:"client_cpu_ms_per"`
	DaemonCPU   float64 `json:"daemon_cpu_ms_per"`
	// OtherCPU is how many processors the rest of the machine kept busy meanwhile.
	OtherCPU float64 `json:"other_cpus"`
}

// fill takes over what was measured and used between two moments.
func (r *row) fill(t timing, before, after usage) {
	latency := bench.Summarize(t.took)
	server := after.server.Since(before.server)
	n := float64(latency.N)
	r.N, r.PerSecond = latency.N, t.perSecond
	r.P50, r.P99, r.Mean = milliseconds(latency.P50), milliseconds(latency.P99), milliseconds(latency.Mean)
	r.P95 = milliseconds(bench.Percentile(t.took, 95))
	r.Commits, r.WAL, r.Checkpoint = float64(server.Transactions)/n, float64(server.WALBytes)/n, server.Checkpoint
	database := float64(unknown)
	if server.CPUKnown {
		database = server.CPU.Seconds()
	}
	client, daemons := difference(after.client, before.client), difference(after.daemons, before.daemons)
	per := func(seconds float64) float64 {
		if seconds < 0 {
			return unknown
		}
		return 1000 * seconds / n
	}
	r.DatabaseCPU, r.ClientCPU, r.DaemonCPU, r.OtherCPU = per(database), per(client), per(daemons), unknown
	if machine := difference(after.machine, before.machine); machine >= 0 && client >= 0 {
		r.OtherCPU = max(0, machine-max(0, database)-client-max(0, daemons)) / after.at.Sub(before.at).Seconds()
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// String is a line for the one who waits.
func (r row) String() string {
	name := fmt.Sprintf("round %d  %-18s %-12s", r.Round, r.System, r.Workload)
	if r.RTT > 0 {
		name += fmt.Sprintf(" at %g ms", r.RTT)
	}
	if r.Error != "" {
		return name + ": " + r.Error
	}
	return fmt.Sprintf("%s p50 %s ms  p99 %s ms  %s/s  n=%d", name, figure(r.P50), figure(r.P99), figure(r.PerSecond), r.N)
}

// results are the rows of a run and what there is to say about it.
type results struct {
	Header   header
	rows     []row
	absent   map[string]string
	jsonl    io.Writer // nil: no JSON
	writeErr error
}

// header is the first line of the JSON output.
type header struct {
	Command  string            `json:"command"`
	Machine  bench.Machine     `json:"machine"`
	Settings []bench.Setting   `json:"settings"`
	Versions map[string]string `json:"versions"`
	Systems  map[string]string `json:"systems"`
	Beware   []string          `json:"beware,omitempty"`
}

// add keeps a row and writes its line.
func (r *results) add(x row) {
	r.rows = append(r.rows, x)
	r.writeLine(x)
}

// writeLine writes a line of JSON; the first error is kept.
func (r *results) writeLine(x any) {
	if r.jsonl == nil || r.writeErr != nil {
		return
	}
	r.writeErr = json.NewEncoder(r.jsonl).Encode(x)
}

// leaveOut notes a system that cannot be run here.
func (r *results) leaveOut(system string, err error) {
	if r.absent == nil {
		r.absent = map[string]string{}
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	r.absent[system] = first
}

// markdown writes the report: what ran, then one table for each workload.
func (r *results) markdown(w io.Writer) error {
	var b strings.Builder
	m := r.Header.Machine
	fmt.Fprintf(&b, "Command: `%s`\n\nMachine: %d cores of %s, %s. PostgreSQL: ", r.Header.Command, m.Cores, m.CPU, m.Go)
	for i, s := range r.Header.Settings {
		fmt.Fprintf(&b, "%s%s=%s", [2]string{"", ", "}[min(i, 1)], s.Name, s.Value)
	}
	b.WriteString(".\n\n| system | version | configuration |\n|---|---|---|\n")
	for _, s := range systems {
		if says, ok := r.Header.Systems[s.name]; ok {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", s.name, r.Header.Versions[s.module], says)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.absent)) {
		fmt.Fprintf(&b, "\nLeft out: %s (%s)\n", name, r.absent[name])
	}
	for _, warning := range r.Header.Beware {
		fmt.Fprintf(&b, "\nBeware: %s.\n", warning)
	}
	if busy := r.otherCPU(); busy > quietMachine {
		fmt.Fprintf(&b, "\nBeware: something else kept %s processors busy on average. Milliseconds and rates of this run are worth "+
			"little, ratios not much more; counts, bytes and processor times hold.\n", figure(busy))
	}
	for _, key := range r.tables() {
		r.table(&b, key)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// quietMachine is how many processors others may keep busy before a report warns of it.
const quietMachine = 0.1

// otherCPU is how many processors others kept busy, on average over the measurements.
func (r *results) otherCPU() float64 {
	sum := 0.0
	for _, x := range r.rows {
		sum += max(0, x.OtherCPU)
	}
	return sum / float64(max(1, len(r.rows)))
}

// tableKey names a table: one workload at one delay.
type tableKey struct {
	workload string
	rtt      float64
}

// tables lists the tables there are rows for: the workloads in their order, then those with a delay.
func (r *results) tables() []tableKey {
	var keys []tableKey
	for _, x := range r.rows {
		if key := (tableKey{x.Workload, x.RTT}); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	position := func(k tableKey) int {
		return slices.IndexFunc(workloads, func(w workload) bool { return w.name == k.workload })
	}
	slices.SortFunc(keys, func(a, b tableKey) int {
		return cmp.Or(cmp.Compare(a.rtt, b.rtt), cmp.Compare(position(a), position(b)))
	})
	return keys
}

// table writes one table. Every figure is the median over the rounds, ratios too: they are taken within a round.
func (r *results) table(b *strings.Builder, key tableKey) {
	i := slices.IndexFunc(workloads, func(w workload) bool { return w.name == key.workload })
	fmt.Fprintf(b, "\n## %s", key.workload)
	if key.rtt > 0 {
		fmt.Fprintf(b, " at %g ms round-trip time", key.rtt)
	}
	fmt.Fprintf(b, "\n\n%s.\n\n", strings.ToUpper(workloads[i].says[:1])+workloads[i].says[1:])
	unit := "p1"
	if key.rtt > 0 {
		unit = "rtt"
	}
	b.WriteString("| system | p50 ms | / " + unit + " | / pawl | p95 | p99 | mean | per s | / pawl | / R16 | commits | WAL bytes | CPU ms: database | client | server | others | n |\n")
	b.WriteString(strings.Repeat("|---", 17) + "|\n")
	for _, s := range systems {
		rows, failed := r.of(s.name, key)
		if len(rows) == 0 {
			if failed != "" {
				fmt.Fprintf(b, "| %s | %s |\n", s.name, failed)
			}
			continue
		}
		b.WriteString("| " + strings.Join(append([]string{s.name}, r.cells(s, rows)...), " | ") + " |\n")
	}
}

// of returns the good rows of a system in a table, or why there are none.
func (r *results) of(system string, key tableKey) (rows []row, failed string) {
	for _, x := range r.rows {
		switch {
		case x.System != system || x.Workload != key.workload || x.RTT != key.rtt:
		case x.Error != "":
			failed, _, _ = strings.Cut(x.Error, "\n")
		default:
			rows = append(rows, x)
		}
	}
	return rows, failed
}

// cells are the figures of a line.
func (r *results) cells(s system, rows []row) []string {
	over := func(value func(row) float64) string { return figure(median(rows, value)) }
	baseline := s.backend.baseline()
	return []string{
		over(func(x row) float64 { return x.P50 }),
		over(func(x row) float64 {
			if x.RTT > 0 {
				return x.P50 / x.RTT
			}
			return x.P50 / x.P1
		}),
		over(func(x row) float64 {
			return ratio(x.P50, r.find(baseline, x), func(y row) float64 { return y.P50 })
		}),
		over(func(x row) float64 { return x.P95 }),
		over(func(x row) float64 { return x.P99 }),
		over(func(x row) float64 { return x.Mean }),
		over(func(x row) float64 { return x.PerSecond }),
		over(func(x row) float64 {
			return ratio(x.PerSecond, r.find(baseline, x), func(y row) float64 { return y.PerSecond })
		}),
		over(func(x row) float64 {
			if x.R16 == 0 || x.RTT > 0 { // which is measured without delay
				return unknown
			}
			return x.PerSecond / x.R16
		}),
		onlyOn(onPostgres, s, over(func(x row) float64 { return x.Commits })),
		onlyOn(onPostgres, s, over(func(x row) float64 { return x.WAL })),
		onlyOn(onPostgres, s, over(func(x row) float64 { return x.DatabaseCPU })),
		over(func(x row) float64 { return x.ClientCPU }),
		over(func(x row) float64 { return x.DaemonCPU }),
		over(func(x row) float64 { return x.OtherCPU }),
		strconv.Itoa(int(median(rows, func(x row) float64 { return float64(x.N) }))),
	}
}

// onlyOn is a cell that means nothing on other backends.
func onlyOn(b backend, s system, cell string) string {
	if s.backend != b {
		return ""
	}
	return cell
}

// find returns another system's row of the same workload in the same round and at the same delay.
func (r *results) find(system string, like row) *row {
	for i, x := range r.rows {
		if x.System == system && x.Workload == like.Workload && x.Round == like.Round && x.RTT == like.RTT && x.Error == "" {
			return &r.rows[i]
		}
	}
	return nil
}

// ratio is a figure divided by another row's, unknown without one.
func ratio(value float64, other *row, figure func(row) float64) float64 {
	if other == nil {
		return unknown
	}
	return value / figure(*other)
}

// median is the median of a figure over rows; unknown if it is so in any.
func median(rows []row, value func(row) float64) float64 {
	values := make([]float64, len(rows))
	for i, x := range rows {
		if values[i] = value(x); values[i] < 0 {
			return unknown
		}
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// figure writes a number with three digits that mean something; nothing if it is unknown or nothing.
func figure(x float64) string {
	switch {
	case x <= 0:
		return ""
	case x >= 100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case x >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case x >= 1:
		return strconv.FormatFloat(x, 'f', 2, 64)
	default:
		return strconv.FormatFloat(x, 'f', 3, 64)
	}
}
