package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
)

func getCommand(s *Session) *cobra.Command {
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "get ID",
		Short: "Show an instance and its outcome",
		Long:  `Show an instance and its outcome. With --wait, wait for its end first and print the result, as start --wait does.`,
		Args:  args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkWait(wait, timeout); err != nil {
				return err
			}
			if wait {
				return s.attach(cmd.Context(), args[0], timeout)
			}
			return s.withStore(cmd.Context(), mustExist, func(ctx context.Context, store provider.Provider) error {
				return s.printInstance(ctx, store, args[0])
			})
		},
	}
	addWaitFlags(cmd, &wait, &timeout)
	return cmd
}

// attach waits for an instance that was started elsewhere.
func (s *Session) attach(ctx context.Context, id string, timeout time.Duration) error {
	store, err := s.open(ctx, mustExist)
	if err != nil {
		return err
	}
	app := pawl.New(store, s.options())
	err = s.startApp(ctx, app)
	var run *pawl.Run[json.RawMessage]
	if err == nil {
		run, err = pawl.Attach[json.RawMessage](app, id)
	}
	if err == nil {
		err = s.await(ctx, store, run, timeout)
	}
	return s.explain(errors.Join(err, s.stopApp(ctx, app), store.Close()))
}

// readInstance returns one instance, or pawl.ErrNotFound.
func readInstance(ctx context.Context, store provider.Provider, id string) (*provider.InstanceState, error) {
	if id == "" {
		return nil, usagef("the instance id is empty")
	}
	states, err := store.ReadInstances(ctx, []string{id}, false)
	if err != nil {
		return nil, err
	}
	if len(states) == 0 {
		return nil, &pawl.InstanceError{InstanceID: id, Err: pawl.ErrNotFound}
	}
	return &states[0], nil
}

// printInstance reads and shows one instance.
func (s *Session) printInstance(ctx context.Context, store provider.Provider, id string) error {
	st, err := readInstance(ctx, store, id)
	if err != nil {
		return err
	}
	v, err := viewOf(st)
	if err != nil {
		return err
	}
	if s.json {
		return printJSON(s.cfg.Stdout, v)
	}
	w := tabwriter.NewWriter(s.cfg.Stdout, 0, 8, 2, ' ', 0)
	writeInstance(w, v)
	return w.Flush()
}

// writeInstance writes one field a line. Errors show when the writer is flushed.
func writeInstance(w io.Writer, v *instanceView) {
	row := func(name, value string) { _, _ = fmt.Fprintf(w, "%s\t%s\n", name, value) }
	row("instance", visible(v.InstanceID))
	row("orchestration", visible(v.Name))
	if v.Priority != "" {
		row("priority", v.Priority)
	}
	row("status", v.Status)
	if v.Parked != nil {
		row("parked", describeParked(v.Parked))
	} else if v.Workers != nil && *v.Workers == 0 {
		row("waiting", "no worker can run it")
	}
	for _, a := range v.Unserved {
		row("waiting", "for a worker with "+describeActivity(a))
	}
	if v.CustomStatus != nil {
		row("custom status", visible(string(v.CustomStatus)))
	}
	row("execution", fmt.Sprintf("%d (%s)", v.Execution, v.ExecutionID))
	if v.ParentID != "" {
		row("parent", visible(v.ParentID))
	}
	row("events", fmt.Sprint(v.Events))
	row("created", shown(v.CreatedAt))
	if !v.EndedAt.IsZero() {
		row("ended", shown(v.EndedAt))
	}
	if v.Result != nil {
		row("result", string(v.Result))
	}
	for f := range v.Failure.All() {
		name := "failure"
		if f != v.Failure {
			name = "  caused by"
		}
		row(name, describeFailure(f))
	}
}

// describeActivity names an activity as a worker must have it.
func describeActivity(a activityView) string {
	if a.Tag == "" {
		return "activity " + visible(a.Name)
	}
	return fmt.Sprintf("activity %s (tag %s)", visible(a.Name), visible(a.Tag))
}

// describeFailure is a failure on one line.
func describeFailure(f *history.Failure) string {
	if f.Kind == history.FailureError {
		return visible(f.Message)
	}
	return fmt.Sprintf("%s: %s", f.Kind, visible(f.Message))
}

// describeParked is the reason of a parked instance on one line, as it is stored if it is of an unknown form.
func describeParked(doc json.RawMessage) string {
	var reason struct {
		Reason, Detail, Expected, Actual, Source string
		Event, Attempts                          int
	}
	if err := json.Unmarshal(doc, &reason); err != nil || reason.Reason == "" {
		return string(doc)
	}
	switch {
	case reason.Expected != "":
		return visible(fmt.Sprintf("%s at event %d: history has %s, the code did %s (%s)", reason.Reason, reason.Event, reason.Expected, reason.Actual, reason.Source))
	case reason.Attempts > 0:
		return visible(fmt.Sprintf("%s after %d attempts: %s", reason.Reason, reason.Attempts, reason.Detail))
	}
	return visible(reason.Reason + ": " + reason.Detail)
}
