package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/cli"
	"github.com/pawlrun/pawl/internal/metering"
)

// workerFlags tell a worker process about its run. The store comes by PAWL_STORE: arguments are for all to see.
type workerFlags struct {
	number     int
	dir        string
	activities int
	pace       time.Duration
}

const workerName = "demo-worker"

func (f workerFlags) args() []string {
	return []string{workerName, "--number", fmt.Sprint(f.number), "--dir", f.dir, "--activities", fmt.Sprint(f.activities), "--pace", f.pace.String()}
}

// nameOfWorker names a worker process in the effect log.
func nameOfWorker(number, pid int) string { return fmt.Sprintf("w%d-%d", number, pid) }

// WorkerCommand is the hidden command that worker processes of the demo run.
func WorkerCommand(s *cli.Session) *cobra.Command {
	var f workerFlags
	cmd := &cobra.Command{
		Use:    workerName,
		Short:  "Work for a demo (started by the demo itself)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), s, cmd.InOrStdin()) },
	}
	cmd.Flags().IntVar(&f.number, "number", 0, "number of the worker")
	cmd.Flags().StringVar(&f.dir, "dir", "", "directory of the run")
	cmd.Flags().IntVar(&f.activities, "activities", 2, "activities at a time")
	cmd.Flags().DurationVar(&f.pace, "pace", 0, "least duration of an activity")
	return cmd
}

// stopLimit is how long a worker that is told to stop lets its activities run.
const stopLimit = 5 * time.Second

// run works until it is interrupted or its standard input ends, which it does when the demo ends, however that ends.
func (f workerFlags) run(ctx context.Context, s *cli.Session, stdin io.Reader) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with the process, at the latest
		_, _ = io.Copy(io.Discard, stdin)
		cancel()
	}()
	w := workspace{dir: f.dir}
	name := nameOfWorker(f.number, os.Getpid())
	effects, err := openEffectLog(w.effects(), name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, effects.close()) }()
	store, err := s.Open(ctx, s.Store())
	if err != nil {
		return err
	}
	metered, err := metering.Wrap(store, meterPath(f.dir, name))
	if err != nil {
		return errors.Join(err, store.Close())
	}
	defer func() { err = errors.Join(err, metered.Close()) }()
	app := pawl.New(newRecorder(metered, effects, s.Logger()), &pawl.Options{Logger: s.Logger(), Name: name, MaxActivities: f.activities})
	if err := register(app, effects, f.pace); err != nil {
		return err
	}
	if err := effects.write(effectJoin, "", "", ""); err != nil {
		return err
	}
	if err := app.Start(ctx); err != nil {
		return errors.Join(err, effects.write(effectLeave, "", "", ""))
	}
	<-ctx.Done()
	err = effects.write(effectLeave, "", "", "")
	stopping, cancelStop := context.WithTimeout(s.Hard(ctx), stopLimit)
	defer cancelStop()
	return errors.Join(err, app.Stop(stopping))
}
