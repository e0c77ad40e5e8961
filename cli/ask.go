package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider"
)

func updateCommand(s *Session) *cobra.Command {
	var updateID string
	cmd := s.asking(&cobra.Command{
		Use:   "update ID NAME",
		Short: "Change a running instance and print its answer",
		Long: `Have a running instance do the update NAME, as its code handles it, and print the answer. A worker must run the
instance. If the outcome is unknown repeat the command with the same --update-id: an instance does each one once.`,
		Example: `  pawl update cart-9 add --input '{"sku": "A1"}'`,
	}, func(ctx context.Context, app *pawl.App, id, name string, in any) (json.RawMessage, error) {
		return pawl.Update[json.RawMessage](ctx, app, id, name, in, &pawl.UpdateOptions{UpdateID: updateID})
	})
	cmd.Flags().StringVar(&updateID, "update-id", "", "`id` that makes a repeat harmless (default: random)")
	return cmd
}

// queryCommand is for programs with registrations: the answer is computed by the instance's code.
func queryCommand(s *Session) *cobra.Command {
	return s.asking(&cobra.Command{
		Use:   "query ID NAME",
		Short: "Ask an instance a question and print its answer",
		Long: `Ask an instance, running or ended, the query NAME, as its code answers it, and print the answer. Nothing is written
and no worker is needed: this program replays the instance.`,
		Example: `  shop query cart-9 items`,
	}, pawl.Query[json.RawMessage])
}

// asking makes cmd one that has an instance answer to a name with an input, and prints the answer.
func (s *Session) asking(cmd *cobra.Command, ask func(ctx context.Context, app *pawl.App, id, name string, in any) (json.RawMessage, error)) *cobra.Command {
	var input string
	cmd.Flags().StringVar(&input, "input", "", "input: `JSON`, @FILE or - for standard input (default: none)")
	cmd.Args = args(2, 2)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in, err := s.document("--input", input)
		if err != nil {
			return err
		}
		return s.withClient(cmd.Context(), mustExist, func(ctx context.Context, app *pawl.App, _ provider.Provider) error {
			answer, err := ask(ctx, app, args[0], args[1], in)
			return s.printAnswer(answer, err)
		})
	}
	return cmd
}

func (s *Session) printAnswer(answer json.RawMessage, err error) error {
	if err != nil {
		return err
	}
	if answer == nil {
		answer = json.RawMessage("null")
	}
	return printJSON(s.cfg.Stdout, answer)
}

func statusCommand(s *Session) *cobra.Command {
	var after int64
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "status ID",
		Short: "Show the custom status of an instance, or wait for the next",
		Long: `Print the custom status that an instance shows. With --after N, wait until it has set more than N of them; the number is
printed with --json, and by get. The exit status is 4 if the instance has ended before, 124 if --timeout passed first.`,
		Args: args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			waits := cmd.Flags().Changed("after")
			switch {
			case after < 0:
				return usagef("--after %d is negative", after)
			case timeout < 0:
				return usagef("--timeout %v is negative", timeout)
			case timeout > 0 && !waits:
				return usagef("--timeout needs --after")
			}
			if waits {
				return s.awaitStatus(cmd.Context(), args[0], after, timeout)
			}
			return s.withClient(cmd.Context(), mustExist, func(ctx context.Context, app *pawl.App, _ provider.Provider) error {
				status, version, err := pawl.CustomStatus[json.RawMessage](ctx, app, args[0])
				return s.printStatus(status, version, err)
			})
		},
	}
	cmd.Flags().Int64Var(&after, "after", 0, "wait for a status after the `number` given")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "with --after: wait no longer than this `duration` (default: no limit)")
	return cmd
}

// awaitStatus waits for a newer status, as long as it takes.
func (s *Session) awaitStatus(ctx context.Context, id string, after int64, timeout time.Duration) error {
	store, err := s.open(ctx, mustExist)
	if err != nil {
		return err
	}
	app, err := s.client(store)
	if err == nil {
		if err = s.startApp(ctx, app); err == nil {
			err = s.nextStatus(ctx, app, id, after, timeout)
		}
		err = errors.Join(err, s.stopApp(ctx, app))
	}
	return s.explain(errors.Join(err, store.Close()))
}

func (s *Session) nextStatus(ctx context.Context, app *pawl.App, id string, after int64, timeout time.Duration) error {
	wait := ctx
	if timeout > 0 {
		bounded, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		wait = bounded
	}
	status, version, err := pawl.WaitForStatus[json.RawMessage](wait, app, id, after)
	if err != nil && ctx.Err() == nil && wait.Err() != nil {
		return &Error{ExitTimeout, fmt.Errorf("instance %q has set no further status within %v", id, timeout)}
	}
	return s.printStatus(status, version, err)
}

func (s *Session) printStatus(status json.RawMessage, version int64, err error) error {
	switch {
	case err != nil:
		return err
	case s.json:
		return printJSON(s.cfg.Stdout, map[string]any{"customStatus": status, "statuses": version})
	case version == 0:
		_, err := fmt.Fprintln(s.cfg.Stderr, "no status has been set")
		return err
	}
	return s.printAnswer(status, nil)
}

func completeCommand(s *Session) *cobra.Command {
	var result, failure string
	cmd := &cobra.Command{
		Use:   "complete TOKEN",
		Short: "Give the result of an activity that is completed from outside",
		Long: `Give the result, or with --error the failure, of an activity that left its completion to somebody else. TOKEN is what
the activity was given for that.`,
		Example: `  pawl complete "$TOKEN" --result '{"approved": true}'`,
		Args:    args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			failed := cmd.Flags().Changed("error")
			if failed && cmd.Flags().Changed("result") {
				return usagef("--result and --error exclude each other")
			}
			in, err := s.document("--result", result)
			if err != nil {
				return err
			}
			return s.withClient(cmd.Context(), mustExist, func(ctx context.Context, app *pawl.App, _ provider.Provider) error {
				if failed {
					return pawl.FailActivity(ctx, app, args[0], errors.New(failure))
				}
				return pawl.CompleteActivity(ctx, app, args[0], in)
			})
		},
	}
	cmd.Flags().StringVar(&result, "result", "", "result: `JSON`, @FILE or - for standard input (default: none)")
	cmd.Flags().StringVar(&failure, "error", "", "fail the activity with this `text`")
	return cmd
}
