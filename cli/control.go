package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider"
)

func cancelCommand(s *Session) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "cancel ID",
		Short: "Ask an instance to end",
		Long: `Ask a running instance to end. Its code is told and may clean up first; when it returns the cancellation its status is
cancelled. A worker must run it. To end an instance at once, use terminate.`,
		Example: `  pawl cancel order-17 --reason "customer called"`,
		Args:    args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.control(cmd.Context(), args[0], func(ctx context.Context, app *pawl.App) error { return app.Cancel(ctx, args[0], reason) })
		},
	}
	addReason(cmd, &reason)
	return cmd
}

func terminateCommand(s *Session) *cobra.Command {
	var reason string
	var children bool
	cmd := &cobra.Command{
		Use:   "terminate ID",
		Short: "End an instance at once, without its code",
		Long: `End a running instance at once. No code of it runs any more, so nothing is cleaned up, and no worker is needed. Those
who wait for it, and its parent, get an error with the reason.`,
		Example: `  pawl terminate import-3 --reason "wrong file" --children`,
		Args:    args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.control(cmd.Context(), args[0], func(ctx context.Context, app *pawl.App) error {
				return app.Terminate(ctx, args[0], reason, &pawl.TerminateOptions{Children: children})
			})
		},
	}
	addReason(cmd, &reason)
	cmd.Flags().BoolVar(&children, "children", false, "end its sub-orchestrations too, and theirs")
	return cmd
}

func suspendCommand(s *Session) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "suspend ID",
		Short: "Let an instance rest until it is resumed",
		Long: `Park a running instance: it has no further turn until resume. Activities that are running are recorded, timers fire and
events are kept meanwhile. It is no error if the instance is parked already; it keeps its first reason.`,
		Args: args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.control(cmd.Context(), args[0], func(ctx context.Context, app *pawl.App) error { return app.Suspend(ctx, args[0], reason) })
		},
	}
	addReason(cmd, &reason)
	return cmd
}

func addReason(cmd *cobra.Command, reason *string) {
	cmd.Flags().StringVar(reason, "reason", "", "`text` that is recorded and shown")
}

// control does something to one instance and says so in JSON if asked to.
func (s *Session) control(ctx context.Context, id string, do func(context.Context, *pawl.App) error) error {
	return s.withClient(ctx, mustExist, func(ctx context.Context, app *pawl.App, _ provider.Provider) error {
		err := do(ctx, app)
		if err == nil && s.json {
			err = printJSON(s.cfg.Stdout, map[string]string{"instanceId": id})
		}
		return err
	})
}

func resumeCommand(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "resume ID",
		Short: "Let a parked instance go on",
		Long: `Let a parked instance go on: one that was suspended, whose code diverged from its history, or that was begun too often
without an outcome. In the last two cases mend and deploy the code first, or it parks again. It is no error if the instance
is not parked.`,
		Args: args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id := args[0]
			return s.withClient(cmd.Context(), mustExist, func(ctx context.Context, app *pawl.App, store provider.Provider) error {
				st, err := readInstance(ctx, store, id)
				if err != nil {
					return err
				}
				if err := app.Resume(ctx, id); err != nil {
					return err
				}
				parked := st.Parked != nil
				if s.json {
					return printJSON(s.cfg.Stdout, map[string]any{"instanceId": id, "wasParked": parked})
				}
				if !parked {
					_, err = fmt.Fprintf(s.cfg.Stderr, "instance %q was not parked\n", id)
				}
				return err
			})
		},
	}
}
