package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
)

func historyCommand(s *Session) *cobra.Command {
	var execution int32
	cmd := &cobra.Command{
		Use:   "history ID",
		Short: "Show the recorded events of an instance",
		Long: `Show the recorded events of an instance, one a line: number, type and what the event carries. With --json each line is
the event as it is stored, with its number and the number of its turn's first event added.`,
		Args: args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if execution < 0 {
				return usagef("--execution %d: want 1 or more", execution)
			}
			return s.withStore(cmd.Context(), mustExist, func(ctx context.Context, store provider.Provider) error {
				return s.history(ctx, store, args[0], execution)
			})
		},
	}
	cmd.Flags().Int32Var(&execution, "execution", 0, "`number` of the execution (default: the current one)")
	return cmd
}

// history prints the turns of one execution as they are read, so that a long one costs no memory.
func (s *Session) history(ctx context.Context, store provider.Provider, id string, execution int32) error {
	st, err := readInstance(ctx, store, id)
	if err != nil {
		return err
	}
	if execution == 0 {
		execution = st.Execution
	}
	if execution > st.Execution {
		return &Error{ExitNotFound, fmt.Errorf("instance %q has no execution %d: the current one is %d", id, execution, st.Execution)}
	}
	for next := int32(0); ; {
		turns, err := store.ReadHistory(ctx, provider.HistoryQuery{InstanceID: id, Execution: execution, From: next})
		if err != nil {
			return err
		}
		if len(turns) == 0 {
			if next == 0 {
				return &Error{ExitNotFound, fmt.Errorf("the history of execution %d of instance %q is not there any more", execution, id)}
			}
			return nil
		}
		for i := range turns {
			if err := s.printTurn(&turns[i]); err != nil {
				return fmt.Errorf("history of %q: %w", id, err)
			}
		}
		last := turns[len(turns)-1]
		next = last.Seq + last.Count
		if execution == st.Execution && next >= st.NextSeq {
			return nil
		}
	}
}

func (s *Session) printTurn(t *provider.Turn) error {
	var events []json.RawMessage
	if err := json.Unmarshal(t.Events, &events); err != nil {
		return err
	}
	for i, raw := range events {
		number := t.Seq + int32(i)
		if s.json {
			if _, err := fmt.Fprintf(s.cfg.Stdout, "{\"event\":%d,\"turn\":%d,%s\n", number, t.Seq, raw[1:]); err != nil {
				return err
			}
			continue
		}
		if err := printEvent(s.cfg.Stdout, number, raw); err != nil {
			return err
		}
	}
	return nil
}

// printEvent writes an event as number, type and members. It does not decode it: a newer program's events show too.
func printEvent(w io.Writer, number int32, raw json.RawMessage) error {
	typ, rest, err := eventMembers(raw)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%5d  %-22s %s\n", number, typ, rest)
	return err
}

// maxShown bounds a member's value on a line for people; --json shows all.
const maxShown = 120

// eventMembers returns an event's type and its other members in order, on one line.
func eventMembers(raw json.RawMessage) (typ, rest string, err error) {
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	if _, err := dec.Token(); err != nil {
		return "", "", err
	}
	var members []string
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return "", "", err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return "", "", err
		}
		name := fmt.Sprint(key)
		if name == "type" {
			typ = strings.Trim(string(value), `"`)
			continue
		}
		members = append(members, name+"="+shortValue(value))
	}
	return typ, strings.Join(members, " "), nil
}

// shortValue shows a member's value: a payload without its wrapping, long ones cut.
func shortValue(value json.RawMessage) string {
	text := string(value)
	var p history.Payload
	if strings.HasPrefix(text, `{"`+history.EncodingJSON+`":`) && json.Unmarshal(value, &p) == nil {
		text = string(p.Data)
	}
	if runes := []rune(text); len(runes) > maxShown {
		return string(runes[:maxShown]) + fmt.Sprintf("... (%d bytes)", len(text))
	}
	return text
}
