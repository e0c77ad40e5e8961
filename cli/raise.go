package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider"
)

func raiseCommand(s *Session) *cobra.Command {
	var payload, messageID string
	cmd := &cobra.Command{
		Use:   "raise ID EVENT",
		Short: "Send an external event to an instance",
		Long: `Send the external event EVENT to a running instance. When the command returns the event is stored and will be
delivered. Repeat it with the same --message-id if the outcome is unknown: the instance takes one event of each id.`,
		Example: `  pawl raise order-17 approved --payload '{"by": "Ada"}'`,
		Args:    args(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := s.document("--payload", payload)
			if err != nil {
				return err
			}
			return s.withClient(cmd.Context(), mustExist, func(ctx context.Context, app *pawl.App, _ provider.Provider) error {
				err := pawl.Raise(ctx, app, args[0], args[1], body, &pawl.RaiseOptions{MessageID: messageID})
				if err == nil && s.json {
					err = printJSON(s.cfg.Stdout, map[string]string{"instanceId": args[0], "event": args[1]})
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&payload, "payload", "", "payload: `JSON`, @FILE or - for standard input (default: none)")
	cmd.Flags().StringVar(&messageID, "message-id", "", "`id` that makes a repeat harmless (default: random)")
	return cmd
}
