package cli

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl/provider"
)

// maxList is how many instances one call returns at most.
const maxList = 1000

func listCommand(s *Session) *cobra.Command {
	var q provider.ListQuery
	var status string
	var attributes []string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List instances, newest first",
		Example: `  pawl list --status running --name PlaceOrder
  pawl list --attribute 'tenant="acme"' --attribute vip=true
  pawl list --parked --json`,
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := readStatus(status, &q); err != nil {
				return err
			}
			if err := readAttributes(attributes, &q); err != nil {
				return err
			}
			if q.Limit < 1 || q.Limit > maxList {
				return usagef("--limit %d: want 1 to %d", q.Limit, maxList)
			}
			return s.withStore(cmd.Context(), mustExist, func(ctx context.Context, store provider.Provider) error {
				return s.list(ctx, store, q)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&status, "status", "", "only instances with this `status`: running, completed, failed, cancelled, terminated")
	f.StringVar(&q.Name, "name", "", "only instances of the orchestration with this `name`")
	f.StringVar(&q.Prefix, "prefix", "", "only instances whose id begins with this `text`")
	f.StringArrayVar(&attributes, "attribute", nil, "only instances with this attribute: `KEY=JSON`; may be repeated, all must fit")
	f.BoolVar(&q.ParkedOnly, "parked", false, "only parked instances")
	f.IntVar(&q.Limit, "limit", 50, "at most this many, up to 1000")
	f.StringVar(&q.Before, "before", "", "go on after the instance with this `cursor`")
	return cmd
}

func readStatus(status string, q *provider.ListQuery) error {
	if status == "" {
		return nil
	}
	for _, st := range []provider.InstanceStatus{provider.StatusRunning, provider.StatusCompleted, provider.StatusFailed,
		provider.StatusCancelled, provider.StatusTerminated} {
		if st.String() == status {
			q.Status = &st
			return nil
		}
	}
	return usagef("--status %q: want running, completed, failed, cancelled or terminated (parked instances are running: --parked lists them)", status)
}

func (s *Session) list(ctx context.Context, store provider.Provider, q provider.ListQuery) error {
	states, err := store.ListInstances(ctx, q)
	var refused *provider.Error
	switch {
	case q.Before != "" && errors.As(err, &refused) && refused.Code == "" && refused.Retry == provider.GiveUp:
		// The store did not even look: nothing but the cursor can be wrong with the query.
		return usagef("--before %q: want what list has said after --before, or a cursor of its JSON", q.Before)
	case err != nil:
		return err
	}
	if s.json {
		for i := range states {
			v, err := viewOf(&states[i])
			if err != nil {
				return err
			}
			v.Cursor = states[i].Cursor
			if err := printJSON(s.cfg.Stdout, v); err != nil {
				return err
			}
		}
		return nil
	}
	if len(states) == 0 {
		none := "no instances"
		if !reflect.DeepEqual(q, provider.ListQuery{Limit: q.Limit}) {
			none = "no such instances"
		}
		_, err := fmt.Fprintf(s.cfg.Stderr, "%s in %s\n", none, s.where())
		return err
	}
	w := tabwriter.NewWriter(s.cfg.Stdout, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "INSTANCE\tORCHESTRATION\tSTATUS\tEVENTS\tCREATED\tENDED") // an error shows in Flush
	for i := range states {
		st := &states[i]
		status, ended := st.Status.String(), "-"
		if st.Parked != nil {
			status = "parked"
		}
		if !st.EndedAt.IsZero() {
			ended = shown(st.EndedAt)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", visible(st.InstanceID), visible(st.Name), status, st.NextSeq, shown(st.CreatedAt), ended)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(states) == q.Limit {
		_, err = fmt.Fprintf(s.cfg.Stderr, "there may be more: --before %s\n", states[len(states)-1].Cursor)
	}
	return err
}
