package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl/internal/budget"
)

func roundTripsCommand(s *Session) *cobra.Command {
	var options budget.Options
	var calls bool
	cmd := &cobra.Command{
		Use:   "roundtrips",
		Short: "Count round trips, commits and statements on the wire, against the budget",
		Long: `Count what crosses the network for the shapes of work that Pawl has a budget for: an orchestration with one activity in
one process and over two, a further activity, a fan-out, an idle process.

It starts workers and clients with default options against the PostgreSQL server of --store, through a proxy that reads
the wire, in schemas of its own, which it drops; a schema named in the URL has no effect. The role needs the right to create
schemas. Pulses of idle processes, and the first prepare of a statement on a connection, are not in the figures.
Commits are told from transaction ids: those of others who use the server meanwhile (about a minute) may seem Pawl's.

The connection must not be encrypted: with sslmode=require and the like the command refuses to run.`,
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if options.Idle <= 0 || options.IdleWindow <= 0 {
				return usagef("--idle %v, --window %v: want more than nothing", options.Idle, options.IdleWindow)
			}
			report, err := s.roundTrips(cmd.Context(), options)
			switch {
			case err != nil:
				return err
			case s.json:
				return printJSON(s.cfg.Stdout, roundTripsView(report))
			}
			return printRoundTrips(s.cfg.Stdout, report, calls)
		},
	}
	cmd.Flags().DurationVar(&options.Idle, "idle", 2*time.Second, "`time` all processes are idle before each shape")
	cmd.Flags().DurationVar(&options.IdleWindow, "window", 10*time.Second, "`time` for which the statements of idle processes are counted")
	cmd.Flags().BoolVar(&calls, "calls", false, "list each statement (--json always does)")
	return cmd
}

// roundTrips measures on the server of the session's store.
func (s *Session) roundTrips(ctx context.Context, options budget.Options) (*budget.Report, error) {
	const wanted = "round trips are counted between processes and a PostgreSQL server: name one with --store postgres://user@host/db"
	dsn, err := s.postgresStore(wanted)
	if err != nil {
		return nil, err
	}
	options.Logger = s.log
	report, err := budget.Measure(ctx, dsn, &options)
	if errors.Is(err, budget.ErrEncrypted) || errors.Is(err, budget.ErrNoNotifications) {
		return nil, &Error{ExitStore, err}
	}
	return report, s.explainBench(err)
}

// runView is how a shape came about, as JSON.
type runView struct {
	About  string `json:"about"`
	Budget int    `json:"budget,omitempty"` // round trips
	// Steps: the figures are those of one of so many further activities, that of Calls those of all.
	Steps         int            `json:"steps,omitempty"`
	Uneven        bool           `json:"uneven,omitempty"`
	Calls         []string       `json:"calls"`
	Pulses        int            `json:"pulses"`
	Prepares      int            `json:"prepares"`
	Opened        int            `json:"opened"` // connections
	Notifications int            `json:"notifications"`
	Connections   map[string]int `json:"connections"`
}

// roundTripsView is the report as JSON: each shape of the budget under its name, all else under "extra".
func roundTripsView(r *budget.Report) map[string]any {
	view := map[string]any{"idle_statements_per_second": r.IdleStatements}
	shapes := map[string]budget.Cost{}
	runs := map[string]runView{}
	for i := range r.Shapes {
		shape := &r.Shapes[i]
		if shape.Extra {
			shapes[shape.Name] = shape.Cost
		} else {
			view[shape.Name] = shape.Cost
		}
		run := runView{About: shape.About, Budget: shape.Budget, Steps: shape.Steps, Uneven: shape.Uneven, Pulses: shape.Run.Pulses,
			Prepares: shape.Run.Prepares, Opened: shape.Run.Opened,
			Notifications: shape.Run.Notifications, Connections: shape.Run.Connections}
		for _, c := range shape.Run.Calls {
			run.Calls = append(run.Calls, c.String())
		}
		runs[shape.Name] = run
	}
	view["extra"] = map[string]any{"server": r.Server, "shapes": shapes, "runs": runs, "idle_window_seconds": r.IdleWindow.Seconds()}
	return view
}

func printRoundTrips(out io.Writer, r *budget.Report, calls bool) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // an error shows in Flush
	line("SHAPE\tROUND TRIPS\tBUDGET\tCOMMITS\tSTATEMENTS\t")
	for i := range r.Shapes {
		s := &r.Shapes[i]
		limit, about := "", s.About
		if s.Budget > 0 {
			limit = fmt.Sprint(s.Budget)
			if s.RoundTrips > s.Budget {
				about += "; over budget"
			}
		}
		if s.Uneven {
			about += "; not the same for each"
		}
		line("%s\t%d\t%s\t%d\t%d\t%s", s.Name, s.RoundTrips, limit, s.Commits, s.Statements, about)
	}
	line("idle\t\t%g/s\t\t%g/s\tan idle process, everything together, besides one listening connection",
		budget.IdleBudget, r.IdleStatements)
	if calls {
		for i := range r.Shapes {
			s := &r.Shapes[i]
			line("\n%s, as sent", s.Name)
			for _, c := range s.Run.Calls {
				line("  %s", c)
			}
		}
	}
	pulses, prepares := 0, 0
	for i := range r.Shapes {
		pulses += r.Shapes[i].Run.Pulses
		prepares += r.Shapes[i].Run.Prepares
	}
	line("\nPostgreSQL %s, with %d pulses and %d prepares of statements besides", r.Server, pulses, prepares)
	return w.Flush()
}
