package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl/internal/bench"
	"github.com/pawlrun/pawl/internal/bench/suite"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// benchSubcommands are the constructors of bench's subcommands, one a line.
var benchSubcommands = []func(*Session) *cobra.Command{
	roundTripsCommand,
	originCommand,
}

// allWorkloads is the argument that stands for every workload.
const allWorkloads = "all"

// benchFlags are the flags of the bench command.
type benchFlags struct {
	suite.Options
	html  string
	given func(flag string) bool
}

// benchCommand measures a store. Its subcommands have flags of their own; the common ones (--store, --json, --log-level)
// are those of the session.
func benchCommand(s *Session) *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench [WORKLOAD...]",
		Short: "Measure Pawl on a store, beside the raw limit of that store",
		Long: `Run workloads on a store and report latencies, rates and costs, each beside the raw limit of the same store taken
just before and after: R1 and p1 are the rate and the median latency of one-row commits on one connection, R16 the rate
on sixteen. Pawl runs in its default configuration; every result is checked, and a wrong or lost one fails the command.

` + workloadHelp() + `

Your data is left alone: on PostgreSQL the run makes a schema pawl_bench_... in the database of --store and drops it at the
end, after an interrupt too; on SQLite it makes a file beside that of --store (default: where the default store is).
The server should have nothing else to do meanwhile: what it does for others is counted too.`,
		Example: `  pawl bench --store postgres://localhost/test
  pawl bench throughput --in-flight 1000 --duration 10s --html report.html
  pawl bench hello sequence --rtt 80ms --store postgres://localhost/test
  pawl bench large-history --events 100000 --json`,
		ValidArgs: append(suite.Names(), allWorkloads),
		Args:      cobra.ArbitraryArgs, // checked with the flags
		RunE: func(cmd *cobra.Command, args []string) error {
			f.given = cmd.Flags().Changed
			return s.bench(cmd.Context(), &f, args)
		},
	}
	fl := cmd.Flags()
	fl.DurationVar(&f.Duration, "duration", 2*time.Second, "how `long` new workflows are begun, for each workload")
	fl.IntVar(&f.Count, "count", 0, "begin at most so many workflows for each workload; without --duration that alone counts")
	fl.IntVar(&f.InFlight, "in-flight", 0, "workflows at a time (default: throughput 64, timers 500, mixed 32)")
	fl.IntVar(&f.Slots, "slots", 100, "activities that run at a time (MaxActivities)")
	fl.IntVar(&f.Payload, "payload", 100, "size of each input and result in `bytes` of JSON")
	fl.IntVar(&f.Events, "events", 3000, "events the large history grows to")
	fl.BoolVar(&f.Apart, "apart", false, "client and worker are two apps with stores of their own")
	fl.DurationVar(&f.RTT, "rtt", 0, "add this to each `round trip` to PostgreSQL, half of it in each direction, for the raw limit too")
	fl.DurationVar(&f.Warmup, "warmup", 500*time.Millisecond, "how `long` each workload runs before it counts")
	fl.DurationVar(&f.Yardstick, "yardstick", 500*time.Millisecond, "how `long` each measurement of the raw limit takes")
	fl.StringVar(&f.html, "html", "", "also write the report, with plots, to this `file`")
	for _, sub := range benchSubcommands {
		cmd.AddCommand(sub(s))
	}
	return cmd
}

// workloadHelp lists the workloads.
func workloadHelp() string {
	lines := []string{fmt.Sprintf("Workloads (default: %s; %q for every one):\n", strings.Join(suite.DefaultNames(), ", "), allWorkloads)}
	for _, name := range suite.Names() {
		lines = append(lines, fmt.Sprintf("  %-14s %s", name, suite.Describe(name)))
	}
	return strings.Join(lines, "\n")
}

// Limits of the flags.
const (
	maxInFlight = 10000
	maxSlots    = 100000
	maxPayload  = 1 << 20
	maxEvents   = 1000000
	maxCount    = 10000000
	maxPhase    = time.Hour
	// maxRTT: a pulse that takes longer than half the TTL is given up, and the worker with it.
	maxRTT = time.Second
)

// check makes sure of the flags and fills in what depends on others.
func (f *benchFlags) check(args []string) error {
	f.Workloads = suite.DefaultNames()
	if len(args) > 0 {
		f.Workloads = args
	}
	if slices.Equal(args, []string{allWorkloads}) {
		f.Workloads = suite.Names()
	}
	for i, name := range f.Workloads {
		if !slices.Contains(suite.Names(), name) {
			return usagef("there is no workload %q: want %s, or %s alone", name, strings.Join(suite.Names(), ", "), allWorkloads)
		}
		if slices.Contains(f.Workloads[:i], name) {
			return usagef("workload %s is there twice", name)
		}
	}
	for _, n := range []struct {
		flag             string
		value, low, high int
		given            bool
	}{
		{"count", f.Count, 1, maxCount, f.given("count")}, {"in-flight", f.InFlight, 1, maxInFlight, f.given("in-flight")},
		{"slots", f.Slots, 1, maxSlots, true}, {"payload", f.Payload, suite.MinPayload, maxPayload, true},
		{"events", f.Events, suite.MinEvents, maxEvents, true},
	} {
		if n.given && (n.value < n.low || n.value > n.high) {
			return usagef("--%s %d: want %d to %d", n.flag, n.value, n.low, n.high)
		}
	}
	for _, d := range []struct {
		flag             string
		value, low, high time.Duration
	}{
		{"duration", f.Duration, time.Millisecond, maxPhase}, {"rtt", f.RTT, 0, maxRTT}, {"warmup", f.Warmup, 0, maxPhase},
		{"yardstick", f.Yardstick, time.Millisecond, maxPhase},
	} {
		if d.value < d.low || d.value > d.high {
			return usagef("--%s %v: want %v to %v", d.flag, d.value, d.low, d.high)
		}
	}
	if f.Count > 0 && !f.given("duration") {
		f.Duration = 0
	}
	return f.checkUse()
}

// checkUse refuses flags that nothing would use.
func (f *benchFlags) checkUse() error {
	if f.given("in-flight") && !slices.ContainsFunc(f.Workloads, suite.TakesInFlight) {
		return usagef("--in-flight %d is for throughput, timers and mixed, not for %s", f.InFlight, strings.Join(f.Workloads, ", "))
	}
	if f.given("events") && !slices.Contains(f.Workloads, suite.LargeHistory) {
		return usagef("--events %d is for the workload %s", f.Events, suite.LargeHistory)
	}
	if f.html == "" && f.given("html") {
		return usagef("--html is empty: want the name of a file")
	}
	return nil
}

// benchTarget says where to measure, which is beside what the target of other commands is.
func (s *Session) benchTarget(f *benchFlags) (suite.Target, error) {
	t, err := s.target()
	switch {
	case err != nil:
		return suite.Target{}, err
	case t.kind == storePostgres:
		return suite.Target{Postgres: t.dsn}, nil
	case f.RTT > 0:
		return suite.Target{}, usagef("--rtt %v: only the way to PostgreSQL can be made longer; name a server with --store", f.RTT)
	case t.path == sqlite.Memory:
		return suite.Target{Memory: true}, nil
	}
	dir := filepath.Dir(t.path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return suite.Target{}, &Error{ExitStore, fmt.Errorf("there is no directory %s to measure in", dir)}
	}
	return suite.Target{Directory: dir}, nil
}

func (s *Session) bench(ctx context.Context, f *benchFlags, args []string) (err error) {
	if err := f.check(args); err != nil {
		return err
	}
	if f.Target, err = s.benchTarget(f); err != nil {
		return err
	}
	f.Logger, f.Progress, f.Version = s.log, s.cfg.Stderr, s.cfg.Version
	if f.html != "" { // before the run: it would be a pity to find out afterwards
		if err := canWrite(f.html); err != nil {
			return usagef("--html: %v", err)
		}
	}
	report, err := suite.Run(ctx, &f.Options)
	if report == nil {
		return s.explainBench(err)
	}
	if f.html != "" {
		err = errors.Join(err, writeHTML(f.html, report))
	}
	if s.json {
		err = errors.Join(err, printJSON(s.cfg.Stdout, report))
	} else {
		err = errors.Join(err, report.Text(s.cfg.Stdout))
	}
	return s.explainBench(err)
}

// canWrite reports what stands against writing a file, which it neither changes nor leaves behind.
func canWrite(path string) error {
	_, missing := os.Stat(path)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	err = file.Close()
	if errors.Is(missing, os.ErrNotExist) {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

func writeHTML(path string, report *suite.Report) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(report.HTML(file), file.Close())
}

// postgresStore is the URL of the session's store, which must be on PostgreSQL; wanted says why.
func (s *Session) postgresStore(wanted string) (dsn string, err error) {
	if s.spec == "" {
		return "", usagef("%s", wanted)
	}
	t, err := parseStore(s.spec)
	if err != nil {
		return "", err
	}
	if t.kind != storePostgres {
		return "", usagef("%s; %s is a file", wanted, t.path)
	}
	return t.dsn, nil
}

// explainBench puts an error of a run into words that say what to do.
func (s *Session) explainBench(err error) error {
	var connect *pgconn.ConnectError
	where, _, _ := strings.Cut(s.where(), " (schema") // which is not the one that is measured in
	switch {
	case errors.Is(err, bench.ErrVerifiesName), errors.Is(err, bench.ErrManyServers):
		return usagef("--rtt: %v", err)
	case errors.As(err, &connect) && !errors.Is(err, context.Canceled):
		return &Error{ExitStore, fmt.Errorf("%s cannot be reached: %w", where, connectReason(err))}
	}
	return explain(err, s.cfg.Name, where)
}
