package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl/internal/origin"
)

func originCommand(s *Session) *cobra.Command {
	var options origin.Options
	cmd := &cobra.Command{
		Use:   "origin",
		Short: "Retell where Pawl comes from: inline statements, a function per operation, the full budget",
		Long: `Run the same hello world, an orchestration with one activity, in three ways on one PostgreSQL server:

  inline statements                   each operation a transaction of plain statements, one after the other
  one stored function per operation   the same operations in the same order, each of them one statement
  the full budget                     Pawl as it is: operations that belong together are one statement

and report, per operation, calls, queries, round trips and times. BEGIN and COMMIT are queries. The ways take turns, one
hello world at a time; each hands over from one operation to the next at once, so that no polling is in the times.

The run makes a schema of its own in the database of --store and drops it at the end, after an interrupt too; a schema
named in the URL has no effect. The connection must not be encrypted, or nothing could be counted on it.`,
		Example: `  pawl bench origin --rtt 80ms --store postgres://localhost/test
  pawl bench origin --count 1000 --json`,
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if options.Count < 1 {
				return usagef("--count %d: want at least 1", options.Count)
			}
			if options.Delay < 0 {
				return usagef("--rtt %v: want no less than nothing", options.Delay)
			}
			report, err := s.origin(cmd.Context(), options)
			switch {
			case err != nil:
				return err
			case s.json:
				return printJSON(s.cfg.Stdout, report)
			}
			return report.WriteText(s.cfg.Stdout)
		},
	}
	cmd.Flags().IntVar(&options.Count, "count", 10, "how many hello worlds of each kind are measured")
	cmd.Flags().DurationVar(&options.Delay, "rtt", 0, "add this to each `round trip`, half of it in each direction")
	return cmd
}

// origin measures on the server of the session's store.
func (s *Session) origin(ctx context.Context, options origin.Options) (*origin.Report, error) {
	const wanted = "the story is about a PostgreSQL server: name one with --store postgres://user@host/db"
	dsn, err := s.postgresStore(wanted)
	if err != nil {
		return nil, err
	}
	options.URL, options.Logger = dsn, s.log
	report, err := origin.Run(ctx, s.Hard(ctx), options)
	if errors.Is(err, origin.ErrEncrypted) {
		return nil, &Error{ExitStore, err}
	}
	return report, s.explainBench(err)
}
