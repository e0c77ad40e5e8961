package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider"
)

// startFlags are the flags of the start command.
type startFlags struct {
	input            string
	id               string
	version          string
	priority         string
	reuse            string
	events           []string
	memo, attributes []string
	wait             bool
	work             bool
	timeout          time.Duration
}

func startCommand(s *Session) *cobra.Command {
	var f startFlags
	cmd := &cobra.Command{
		Use:   "start NAME",
		Short: "Start an instance of an orchestration",
		Long: `Start an instance of the orchestration NAME and print its id. A worker that has the orchestration registered runs
it; there need not be one yet.

With --wait, wait for its end and print the result. The exit status is 1 if the instance failed and 124 if --timeout
passed first; the instance runs on then, as it does when you interrupt the wait.`,
		Example: `  pawl start PlaceOrder --id order-17 --input '{"sku": "A1"}'
  pawl start PlaceOrder --input @order.json --wait --timeout 30s
  pawl start Cart --id cart-9 --reuse attach-or-replace --event 'add={"sku": "A1"}'
  generate | pawl start Import --input -`,
		Args: args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.id == "" && cmd.Flags().Changed("id") {
				return usagef("--id is empty: leave it out for a random one")
			}
			return s.start(cmd.Context(), args[0], f)
		},
	}
	cmd.Flags().StringVar(&f.input, "input", "", "input: `JSON`, @FILE or - for standard input (default: none)")
	cmd.Flags().StringVar(&f.id, "id", "", "instance `id` (default: random)")
	cmd.Flags().StringVar(&f.version, "version", "", "`version` of the orchestration (default: the newest, where one is registered here)")
	cmd.Flags().StringVar(&f.priority, "priority", "", "`priority` of the instance and of what it schedules: "+strings.Join(priorities, ", ")+" (default: normal)")
	cmd.Flags().StringVar(&f.reuse, "reuse", "reject", "what to do if the id is taken: "+strings.Join(slices.Sorted(maps.Keys(reusePolicies)), ", "))
	cmd.Flags().StringArrayVar(&f.events, "event", nil, "raise an event together with the start: `NAME[=JSON]`; may be repeated")
	cmd.Flags().StringArrayVar(&f.memo, "memo", nil, "a value that the instance begins with: `KEY=JSON`; may be repeated")
	cmd.Flags().StringArrayVar(&f.attributes, "attribute", nil, "likewise one that it is found by (list --attribute): `KEY=JSON`")
	addWaitFlags(cmd, &f.wait, &f.timeout)
	if s.cfg.Register != nil {
		cmd.Flags().BoolVar(&f.work, "work", false, "with --wait: be a worker too until then, for any instance that needs one")
	}
	return cmd
}

// priorities are the values of --priority.
var priorities = []string{string(pawl.PriorityLowest), string(pawl.PriorityLow), string(pawl.PriorityNormal), string(pawl.PriorityHigh), string(pawl.PriorityHighest)}

// reusePolicies are the values of --reuse.
var reusePolicies = map[string]pawl.ReusePolicy{
	"reject": pawl.ReuseReject, "attach": pawl.ReuseAttach, "attach-or-replace": pawl.ReuseAttachOrReplace,
	"replace-ended": pawl.ReuseReplaceEnded, "terminate": pawl.ReuseTerminate,
}

// options are the flags as the options of a start.
func (f *startFlags) options() (*pawl.StartOptions, error) {
	reuse, ok := reusePolicies[f.reuse]
	if !ok {
		return nil, usagef("--reuse %q: want one of %s", f.reuse, strings.Join(slices.Sorted(maps.Keys(reusePolicies)), ", "))
	}
	if f.priority != "" && !slices.Contains(priorities, f.priority) {
		return nil, usagef("--priority %q: want one of %s", f.priority, strings.Join(priorities, ", "))
	}
	o := &pawl.StartOptions{InstanceID: f.id, Version: f.version, Priority: pawl.Priority(f.priority), Reuse: reuse}
	var err error
	if o.Memo, err = readEntries("--memo", f.memo); err != nil {
		return nil, err
	}
	if o.Attributes, err = readEntries("--attribute", f.attributes); err != nil {
		return nil, err
	}
	for _, ev := range f.events {
		name, payload, hasPayload := strings.Cut(ev, "=")
		event := pawl.StartEvent{Name: name}
		if hasPayload {
			if !json.Valid([]byte(payload)) {
				return nil, usagef("--event %q: what follows = is not a JSON document", ev)
			}
			event.Payload = json.RawMessage(payload)
		}
		o.Events = append(o.Events, event)
	}
	return o, nil
}

func addWaitFlags(cmd *cobra.Command, wait *bool, timeout *time.Duration) {
	cmd.Flags().BoolVar(wait, "wait", false, "wait for the end and print the result")
	cmd.Flags().DurationVar(timeout, "timeout", 0, "with --wait: wait no longer than this `duration` (default: no limit)")
}

func checkWait(wait bool, timeout time.Duration) error {
	switch {
	case timeout < 0:
		return usagef("--timeout %v is negative", timeout)
	case timeout > 0 && !wait:
		return usagef("--timeout needs --wait")
	}
	return nil
}

func (s *Session) start(ctx context.Context, name string, f startFlags) error {
	if err := checkWait(f.wait, f.timeout); err != nil {
		return err
	}
	if f.work && !f.wait {
		return usagef("--work needs --wait")
	}
	input, err := s.document("--input", f.input)
	if err != nil {
		return err
	}
	if f.id == "" {
		f.id = rand.Text()
	}
	opts, err := f.options()
	if err != nil {
		return err
	}
	store, err := s.open(ctx, mayCreate)
	if err != nil {
		return err
	}
	var app *pawl.App
	if f.work {
		app = pawl.New(store, s.options())
		err = s.cfg.Register(app)
	} else {
		app, err = s.client(store)
	}
	if err == nil {
		err = errors.Join(s.startAndWait(ctx, app, store, name, input, opts, f), s.stopApp(ctx, app))
	}
	return s.explain(errors.Join(err, store.Close()))
}

// startApp starts an app, or gives up on a store that does not answer.
func (s *Session) startApp(ctx context.Context, app *pawl.App) error {
	bounded, cancel := context.WithTimeoutCause(ctx, callTimeout, errNoAnswer)
	defer cancel()
	return app.Start(bounded)
}

// stopApp stops an app, which need not have been started.
func (s *Session) stopApp(ctx context.Context, app *pawl.App) error {
	bounded, cancel := context.WithTimeout(s.Hard(ctx), callTimeout)
	defer cancel()
	return app.Stop(bounded)
}

// startAndWait starts the app and the instance and, if asked to, waits for it.
func (s *Session) startAndWait(ctx context.Context, app *pawl.App, store provider.Provider, name string, input any,
	opts *pawl.StartOptions, f startFlags) error {
	if err := s.startApp(ctx, app); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeoutCause(ctx, callTimeout, errNoAnswer)
	defer cancel()
	run, err := pawl.StartByName[json.RawMessage](bounded, app, name, input, opts)
	if err != nil {
		return err
	}
	if s.cfg.Register != nil && !app.Registered(name, f.version) {
		if _, err := fmt.Fprintf(s.cfg.Stderr, "no %s is registered here: the instance waits for a worker that has it\n", describeOrchestration(name, f.version)); err != nil {
			return err
		}
	}
	if !f.wait {
		if s.json {
			return printJSON(s.cfg.Stdout, map[string]string{"instanceId": f.id})
		}
		_, err := fmt.Fprintln(s.cfg.Stdout, visible(f.id))
		return err
	}
	return s.await(ctx, store, run, f.timeout)
}

// describeOrchestration names an orchestration as a worker must have it.
func describeOrchestration(name, version string) string {
	if version == "" {
		return "orchestration " + visible(name)
	}
	return fmt.Sprintf("orchestration %s (version %s)", visible(name), visible(version))
}

// maxDocument bounds what is read as input: a value that is passed around belongs elsewhere if it is larger.
const maxDocument = 16 << 20

// document reads the JSON a flag names, as an input or payload: a json.RawMessage, or nil for none.
func (s *Session) document(flag, value string) (any, error) {
	var data []byte
	var err error
	switch {
	case value == "":
		return nil, nil
	case value == "-":
		data, err = io.ReadAll(io.LimitReader(s.cfg.Stdin, maxDocument+1))
	case strings.HasPrefix(value, "@"):
		data, err = readFile(value[1:])
	default:
		data = []byte(value)
	}
	if err != nil {
		return nil, usagef("%s: %v", flag, err)
	}
	if len(data) > maxDocument {
		return nil, usagef("%s: more than %d bytes; store large data elsewhere and pass where it is", flag, maxDocument)
	}
	data = bytes.TrimSpace(data)
	var doc any
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, usagef("%s is not JSON: %v (a text needs quotes: '\"Ada\"')", flag, err)
	}
	return json.RawMessage(data), nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, maxDocument+1))
	return data, errors.Join(err, file.Close())
}
