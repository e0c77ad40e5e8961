package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
)

func valuesCommand(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "values ID [KEY...]",
		Short: "Show the values of an instance",
		Long: `Show the key-value state of an instance, which it may have begun with and its code may have set: all entries, or those of
the given keys that there are. Attributes, by which list finds it, are marked.`,
		Args: args(1, 1000),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withStore(cmd.Context(), mustExist, func(ctx context.Context, store provider.Provider) error {
				return s.printValues(ctx, store, args[0], args[1:])
			})
		},
	}
}

func (s *Session) printValues(ctx context.Context, store provider.Provider, id string, keys []string) error {
	values, found, err := store.ReadValues(ctx, id, keys)
	if err == nil && !found {
		err = &pawl.InstanceError{InstanceID: id, Err: pawl.ErrNotFound}
	}
	if err != nil {
		return err
	}
	type entry struct {
		Key       string          `json:"key"`
		Value     json.RawMessage `json:"value"`
		Attribute bool            `json:"attribute,omitempty"`
	}
	w := tabwriter.NewWriter(s.cfg.Stdout, 0, 8, 2, ' ', 0)
	for _, v := range values {
		e := entry{Key: v.Key, Attribute: v.Searchable}
		var payload history.Payload
		if err = json.Unmarshal(v.Data, &payload); err == nil {
			e.Value, err = document(payload)
		}
		if err != nil {
			return fmt.Errorf("value %q of %q: %w", v.Key, id, err)
		}
		if s.json {
			if err := printJSON(s.cfg.Stdout, e); err != nil {
				return err
			}
			continue
		}
		kind := "value"
		if v.Searchable {
			kind = "attribute"
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", visible(v.Key), kind, visible(string(e.Value))) // an error shows in Flush
	}
	return w.Flush()
}

// readEntries reads the arguments of a flag whose form is KEY=JSON.
func readEntries(flag string, entries []string) (map[string]any, error) {
	values := make(map[string]any, len(entries))
	for _, entry := range entries {
		key, value, ok := strings.Cut(entry, "=")
		switch _, twice := values[key]; {
		case !ok || key == "":
			return nil, usagef("%s %q: the form is KEY=JSON", flag, entry)
		case !json.Valid([]byte(value)):
			return nil, usagef("%s %q: what follows = is not a JSON document (a text needs quotes: '%s=\"Ada\"')", flag, entry, key)
		case twice:
			return nil, usagef("%s %q: there are two with this key", flag, entry)
		}
		values[key] = json.RawMessage(value)
	}
	return values, nil
}

// readAttributes adds the attributes that listed instances must have.
func readAttributes(attributes []string, q *provider.ListQuery) error {
	wanted, err := readEntries("--attribute", attributes)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		var data []byte
		value, err := history.Searchable(wanted[key])
		if err == nil {
			data, err = value.MarshalJSON()
		}
		if err != nil {
			return usagef("--attribute %s: %v", key, err)
		}
		q.Values = append(q.Values, provider.Value{Key: key, Data: data})
	}
	return nil
}
