package demo

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl/cli"
)

// flags are the flags of the demo.
type flags struct {
	workers    int
	activities int
	pace       time.Duration
	noKill     bool
	keep       bool
	fresh      bool
	paceGiven  bool
}

// Command is the demo command.
func Command(s *cli.Session) *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "demo [DIR]",
		Short: "Count a source tree with worker processes, and kill one on the way",
		Long: `Count the Go files, lines, declarations and imports of a source tree (default: the source of your Go distribution)
with one orchestration for each top-level directory and one activity for each package, run by several worker processes.

Once about a third is done, a worker that has work in its hands is killed with SIGKILL. The demo measures how long it
takes until another one takes over, and in the end compares the result with a plain count in one pass, and the
activities that were executed twice with those the killed worker held. The exit status is 1 if anything is off.

Interrupt it, or kill it, and start it again: it goes on where it stopped. Kill a worker yourself: it is replaced.
Everything that happened is in the effect log whose path is printed. Without --store the demo keeps its store in a file
of its own, which it removes when it succeeds; --keep keeps it for you to look at.`,
		Example: `  pawl demo
  pawl demo ~/src/project --workers 5 --keep
  pawl demo --store 'postgres://localhost/test?schema=demo'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return cli.Usage("demo takes one directory, got %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			f.paceGiven = cmd.Flags().Changed("pace")
			return f.run(cmd.Context(), s, strings.Join(args, ""))
		},
	}
	fl := cmd.Flags()
	fl.IntVar(&f.workers, "workers", 3, "worker processes")
	fl.IntVar(&f.activities, "activities", 2, "activities each runs at a time")
	fl.BoolVar(&f.noKill, "no-kill", false, "kill nobody")
	fl.BoolVar(&f.keep, "keep", false, "keep the store and the logs of the workers")
	fl.BoolVar(&f.fresh, "fresh", false, "begin anew instead of going on with an interrupted run")
	fl.DurationVar(&f.pace, "pace", 0, "make each activity last at least this long (default: as long as needed on a small\ntree for a worker to be caught with work in its hands)")
	return cmd
}

func (f *flags) check() error {
	switch {
	case f.workers < 1 || f.workers > 100:
		return cli.Usage("--workers %d: want 1 to 100", f.workers)
	case f.activities < 1 || f.activities > 1000:
		return cli.Usage("--activities %d: want 1 to 1000", f.activities)
	case f.pace < 0:
		return cli.Usage("--pace %v is negative", f.pace)
	}
	return nil
}

// paceFor is the least duration of an activity: on a tree that would be counted in a blink, as long as makes it last
// some seconds.
func (f *flags) paceFor(packages int) time.Duration {
	const small, last, longest = 200, 4 * time.Second, 2 * time.Second
	if f.paceGiven || f.noKill || packages >= small {
		return f.pace
	}
	return min(longest, last*time.Duration(f.workers*f.activities)/time.Duration(packages)).Round(time.Millisecond)
}

func (f *flags) run(ctx context.Context, s *cli.Session, dir string) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	goRoot := ""
	if dir == "" {
		goRoot = goRootOf(ctx)
	}
	tree, err := resolveTree(dir, goRoot)
	if err != nil {
		return cli.Usage("%v", err)
	}
	packages, err := findPackages(tree, ".", true)
	if err != nil {
		return err
	}
	if len(packages) == 0 {
		return cli.Usage("there are no Go files in %s", tree)
	}
	store, err := sharedStore(s.Store())
	if err != nil {
		return err
	}
	data, err := cli.DataDir()
	if err != nil {
		return err
	}
	w, err := openWorkspace(filepath.Join(data, "demo"), tree, store, f.fresh)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.unlock()) }()
	r := &run{session: s, flags: f, space: w, tree: tree, packages: packages, pace: f.paceFor(len(packages)), ledger: newLedger()}
	return r.run(ctx)
}

// sharedStore is the store as every process of this run and of the next names it, whatever directory it is started in.
func sharedStore(spec string) (string, error) {
	path := strings.TrimPrefix(spec, "sqlite://")
	switch {
	case path == ":memory:":
		return "", cli.Usage("--store %s: the demo's workers are processes, they cannot share memory", spec)
	case path == "" || filepath.IsAbs(path) || strings.ContainsAny(path, ":="): // the last are not files, or mistakes
		return spec, nil
	}
	return filepath.Abs(path)
}

// goRootOf finds the Go distribution: that of the go command, else what the environment says.
func goRootOf(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output(); err == nil {
		return strings.TrimSpace(string(out))
	}
	return os.Getenv("GOROOT")
}
