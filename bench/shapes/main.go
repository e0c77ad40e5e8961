// Command shapes measures the storage shapes Pawl could use for its hottest
// call, the checkpoint, on one PostgreSQL server.
//
// It creates throwaway schemas named shapes_*, runs every cell for a second or
// two in an order shuffled anew in each round, drops the schemas and prints the
// medians as markdown tables. Absolute figures belong to the machine; the
// ratios between cells of one run are what a decision can rest on.
//
//	go run ./bench/shapes --store postgres://user@host/database
//
// The role must be allowed to run CHECKPOINT. Raise max_wal_size and
// checkpoint_timeout so that no checkpoint falls into the run; the report says
// so if one did.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

// options are the settings of one run.
type options struct {
	store     string
	cell      time.Duration
	rounds    int
	instances int
}

var errNoStore = errors.New("missing flag --store: give the URL of a PostgreSQL database, " +
	"for example --store postgres://postgres@localhost:5432/postgres")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "shapes:", err)
		os.Exit(1)
	}
}

// run parses the arguments, measures everything and writes the report to out
// and its progress to progress.
func run(ctx context.Context, args []string, out, progress io.Writer) error {
	opts, err := parse(args, progress)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, opts, progress)
	if err != nil {
		return err
	}
	defer b.close()
	return b.run(ctx, out)
}

// parse reads the command line.
func parse(args []string, usage io.Writer) (options, error) {
	var o options
	set := flag.NewFlagSet("shapes", flag.ContinueOnError)
	set.SetOutput(usage)
	set.StringVar(&o.store, "store", "", "URL of the PostgreSQL database to measure on (required)")
	set.DurationVar(&o.cell, "cell", 1500*time.Millisecond, "length of one measurement of one cell")
	set.IntVar(&o.rounds, "rounds", 3, "measurements of each cell; the median is reported")
	set.IntVar(&o.instances, "instances", 20000, "instances loaded into each schema")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	switch {
	case o.store == "":
		return o, errNoStore
	case set.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", set.Arg(0))
	case o.cell <= 0 || o.rounds < 1:
		return o, errors.New("--cell and --rounds must be positive")
	case o.instances < 4*windowSize:
		return o, fmt.Errorf("--instances must be at least %d", 4*windowSize)
	}
	return o, nil
}
