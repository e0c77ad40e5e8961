package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl"
)

func workerCommand(s *Session) *cobra.Command {
	var stopTimeout time.Duration
	var tags []string
	options := s.cfg.Options
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run the program's orchestrations and activities until interrupted",
		Long: `Run the orchestrations and activities this program has registered, for all instances in the store, until
interrupted. The first SIGINT or SIGTERM ends it gracefully: it takes on nothing new and lets running activities
finish, for --stop-timeout. The second cancels them; what they were doing runs again on another worker.`,
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if stopTimeout <= 0 {
				return usagef("--stop-timeout %v: want more than nothing", stopTimeout)
			}
			for _, tag := range tags {
				if !slices.Contains(options.Tags, tag) {
					options.Tags = append(slices.Clip(options.Tags), tag)
				}
			}
			if options.Logger == nil {
				options.Logger = s.log
			}
			return s.explain(s.work(cmd.Context(), &options, stopTimeout))
		},
	}
	cmd.Flags().StringVar(&options.Name, "name", options.Name, "`name` shown to operators (default: host name and process id)")
	cmd.Flags().IntVar(&options.MaxActivities, "activities", options.MaxActivities, "activities run at a time (default 100)")
	cmd.Flags().IntVar(&options.MaxSessions, "sessions", options.MaxSessions, "sessions open at a time (default 100; negative: none)")
	cmd.Flags().StringArrayVar(&tags, "tag", nil, "run activities with this `tag`, too; may be repeated")
	cmd.Flags().DurationVar(&stopTimeout, "stop-timeout", 30*time.Second, "`time` running activities get to finish when interrupted")
	return cmd
}

func (s *Session) work(ctx context.Context, options *pawl.Options, stopTimeout time.Duration) (err error) {
	store, err := s.open(ctx, mayCreate)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	app := pawl.New(store, options)
	if err := s.cfg.Register(app); err != nil {
		return &Error{ExitFailed, err}
	}
	if err := s.startApp(ctx, app); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(s.cfg.Stderr, "worker is running on %s; interrupt to stop\n", s.where()); err != nil {
		return errors.Join(err, app.Stop(s.Hard(ctx)))
	}
	<-ctx.Done()
	s.log.Info("worker stops: running activities may finish", "limit", stopTimeout)
	stopping, cancelStop := context.WithTimeout(s.Hard(ctx), stopTimeout)
	defer cancelStop()
	return app.Stop(stopping)
}
