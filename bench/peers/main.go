// Command peers runs the same workloads on Pawl and on other systems for durable execution, on one PostgreSQL server in
// one run, next to the raw limit of that server, and reports times, rates and what each workflow cost.
//
//	go run . -out results
//
// README.md says what is compared, in which configuration and why, and to whom the comparison is unfair. The peers are
// only run: nothing of theirs is part of Pawl, which is why this is a module of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/internal/bench"
	"github.com/pawlrun/pawl/internal/pgtest"
)

// serverSettings differ from the defaults of a throw-away server; durability is not among them.
var serverSettings = map[string]string{
	"max_connections":    "300",
	"shared_buffers":     "1GB",
	"max_wal_size":       "8GB",
	"checkpoint_timeout": "30min", // none in the middle of a measurement
}

// options are the command line.
type options struct {
	store, out, programs, systems, workloads string
	rounds                                   int
	seconds                                  float64
	rtt                                      time.Duration
	verbose                                  bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// parse reads the command line.
func parse(args []string, usage io.Writer) (options, plan, error) {
	var o options
	set := flag.NewFlagSet("peers", flag.ContinueOnError)
	set.SetOutput(usage)
	set.StringVar(&o.store, "store", "", "URL of a PostgreSQL server to measure on, as a superuser (default: a throw-away server with default durability)")
	set.StringVar(&o.systems, "systems", "all", "names of systems, with commas")
	set.StringVar(&o.workloads, "workloads", "all", "names of workloads, with commas")
	set.IntVar(&o.rounds, "rounds", 3, "measurements of each workload on each system; medians are reported")
	set.Float64Var(&o.seconds, "seconds", 2, "length of one measurement")
	set.DurationVar(&o.rtt, "rtt", 80*time.Millisecond, "measure hello and sequence-20 again with this round-trip time to PostgreSQL; 0: do not")
	set.StringVar(&o.out, "out", "", "directory for results.jsonl and results.md (default: only the tables, on standard output)")
	set.StringVar(&o.programs, "programs", "", "directory where Temporal's servers are built and kept (default: in the user's cache)")
	set.BoolVar(&o.verbose, "v", false, "show what the systems log")
	if err := set.Parse(args); err != nil {
		return o, plan{}, err
	}
	p := plan{rounds: o.rounds, window: time.Duration(o.seconds * float64(time.Second)), rtt: o.rtt}
	var errs [2]error
	p.systems, errs[0] = chosen(o.systems)
	p.workloads, errs[1] = chosenWorkloads(o.workloads)
	err := errors.Join(errs[:]...)
	switch {
	case set.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", set.Arg(0))
	case o.rounds < 1 || o.seconds <= 0 || o.rtt < 0:
		err = errors.New("-rounds and -seconds must be positive, -rtt not negative")
	}
	return o, p, err
}

// run carries out the command.
func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, p, err := parse(args, progress)
	if err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Fprintf(progress, format+"\n", args...) }
	logger := slog.New(slog.DiscardHandler)
	if o.verbose {
		logger = slog.New(slog.NewTextHandler(progress, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	if o.programs == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		o.programs = filepath.Join(cache, "pawl-peers")
	}
	server, stop, err := startServer(ctx, o.store)
	if err != nil {
		return err
	}
	defer stop()
	r := &runner{plan: p, server: server, logger: logger, say: say, results: &results{},
		programs: &programs{dir: o.programs, say: say, refused: map[string]error{}}}
	if r.watch, err = bench.ConnectServer(ctx, server); err != nil {
		return err
	}
	defer r.watch.Close(context.WithoutCancel(ctx))
	if r.admin, err = pgx.Connect(ctx, server); err != nil {
		return err
	}
	defer r.admin.Close(context.WithoutCancel(ctx))
	if r.results.Header, err = r.describe(ctx, args); err != nil {
		return err
	}
	return r.report(ctx, o.out, out)
}

// report runs and writes the results, those of a run that was broken off too.
func (r *runner) report(ctx context.Context, dir string, out io.Writer) error {
	writers := []io.Writer{out}
	if dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		lines, err := os.Create(filepath.Join(dir, "results.jsonl"))
		if err != nil {
			return err
		}
		defer lines.Close()
		tables, err := os.Create(filepath.Join(dir, "results.md"))
		if err != nil {
			return err
		}
		defer tables.Close()
		fmt.Fprint(tables, "# Results\n\n")
		r.results.jsonl = lines
		writers = append(writers, tables)
	}
	r.results.writeLine(r.results.Header)
	runErr := r.run(ctx)
	return errors.Join(runErr, r.results.markdown(io.MultiWriter(writers...)), r.results.writeErr)
}

// startServer starts a throw-away server, or takes the one that is given.
func startServer(ctx context.Context, store string) (url string, stop func(), err error) {
	if store != "" {
		return store, func() {}, nil
	}
	options := []pgtest.Option{pgtest.Durable()}
	for name, value := range serverSettings {
		options = append(options, pgtest.Setting(name, value))
	}
	s, err := pgtest.Start(ctx, options...)
	if err != nil {
		return "", nil, err
	}
	return s.URL, s.Stop, nil
}

// describe collects what a reader must know to judge the figures.
func (r *runner) describe(ctx context.Context, args []string) (h header, err error) {
	h = header{
		Command: strings.Join(append([]string{"go run ."}, args...), " "), Machine: bench.ThisMachine(),
		Versions: map[string]string{}, Systems: map[string]string{},
	}
	if h.Settings, err = r.watch.Settings(ctx); err != nil {
		return h, err
	}
	h.Beware = bench.Undurable(h.Settings)
	if dir := os.TempDir(); bench.InMemory(dir) {
		h.Beware = append(h.Beware, dir+" is in memory: commits to SQLite files are not written to disk (TMPDIR names another directory)")
	}
	versions := map[string]string{"github.com/pawlrun/pawl": "this tree"}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if versions[m.Path] == "" {
				versions[m.Path] = m.Version
			}
		}
	}
	for _, s := range r.systems {
		h.Systems[s.name] = s.says
		if s.module != "" {
			h.Versions[s.module] = versions[s.module]
		}
	}
	return h, nil
}
