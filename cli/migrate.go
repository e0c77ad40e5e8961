package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl/provider/postgres"
)

func migrateCommand(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "migrate [up|status]",
		Short: "Create the store or bring its schema up to date",
		Long: `Create the store or bring its schema up to date (up, the default), or say how it stands (status).

Every program does the same when it opens a store; this command is for those who want it done beforehand, by a role
with the right to do it. Several at a time are safe. An SQLite file has no status beyond being there: it is brought up
to date whenever it is opened.`,
		Args:      args(0, 1),
		ValidArgs: []string{"up", "status"},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 || args[0] == "up":
				return s.explain(s.migrate(cmd.Context()))
			case args[0] == "status":
				return s.explain(s.migrationStatus(cmd.Context()))
			}
			return usagef("migrate %s: want up or status", args[0])
		},
	}
}

// migrate brings the store up to date. It takes the time it takes: only the connection is bounded.
func (s *Session) migrate(ctx context.Context) error {
	t, err := s.target()
	if err != nil {
		return err
	}
	if t.kind == storePostgres {
		err = postgres.Migrate(ctx, t.dsn, t.postgresOptions(s.log))
	} else {
		err = s.makeFile(ctx)
	}
	switch {
	case err != nil:
		return err
	case s.json:
		return printJSON(s.cfg.Stdout, map[string]string{"store": s.where(), "status": "current"})
	}
	_, err = fmt.Fprintf(s.cfg.Stdout, "%s is up to date\n", s.where())
	return err
}

// makeFile opens an SQLite store and closes it again, which is all its migration takes.
func (s *Session) makeFile(ctx context.Context) error {
	store, err := s.open(ctx, mayCreate)
	if err != nil {
		return err
	}
	return store.Close()
}

// migrationView is a migration as JSON.
type migrationView struct {
	Migration string    `json:"migration"`
	AppliedAt time.Time `json:"appliedAt,omitzero"` // zero while it is pending
}

func anyPending(all []migrationView) bool {
	return slices.ContainsFunc(all, func(m migrationView) bool { return m.AppliedAt.IsZero() })
}

// statusView is how a store stands as JSON.
type statusView struct {
	Store      string          `json:"store"`
	Status     string          `json:"status"` // absent, pending, current
	Migrations []migrationView `json:"migrations,omitempty"`
}

func (s *Session) migrationStatus(ctx context.Context) error {
	t, err := s.target()
	if err != nil {
		return err
	}
	v := statusView{Store: s.where(), Status: "current"}
	if t.kind == storePostgres {
		ctx, cancel := context.WithTimeoutCause(ctx, callTimeout, errNoAnswer)
		defer cancel()
		if v.Migrations, err = postgresStatus(ctx, t, s.log); err != nil {
			return err
		}
	} else if _, err := os.Stat(t.path); errors.Is(err, os.ErrNotExist) {
		v.Status = "absent"
	} else if err != nil {
		return &Error{ExitStore, err}
	}
	if anyPending(v.Migrations) {
		v.Status = "pending"
	}
	if s.json {
		return printJSON(s.cfg.Stdout, v)
	}
	w := tabwriter.NewWriter(s.cfg.Stdout, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "%s: %s\n", v.Store, v.Status) // an error shows in Flush
	for _, m := range v.Migrations {
		applied := "pending"
		if !m.AppliedAt.IsZero() {
			applied = "applied " + shown(m.AppliedAt)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\n", m.Migration, applied)
	}
	return w.Flush()
}
