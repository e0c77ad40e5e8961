package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider"
)

func resumeCommand(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "resume ID",
		Short: "Let a parked instance go on",
		Long: `Let a parked instance go on: one whose code diverged from its history, or that was begun too often without an
outcome. Mend and deploy the code first, or it parks again. It is no error if the instance is not parked.`,
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
