package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
)

// instanceView is an instance as JSON.
type instanceView struct {
	InstanceID  string          `json:"instanceId"`
	Name        string          `json:"name"`
	Version     string          `json:"version,omitempty"`
	Priority    string          `json:"priority,omitempty"` // unless it is normal
	Status      string          `json:"status"`
	Execution   int32           `json:"execution"`
	ExecutionID string          `json:"executionId"`
	ParentID    string          `json:"parentId,omitempty"`
	Events      int32           `json:"events"`
	CreatedAt   time.Time       `json:"createdAt"`
	EndedAt     time.Time       `json:"endedAt,omitzero"`
	Parked      json.RawMessage `json:"parked,omitempty"`
	// CustomStatus is what the code shows, Statuses how often it has changed that.
	CustomStatus json.RawMessage `json:"customStatus,omitempty"`
	Statuses     int64           `json:"statuses,omitempty"`
	// Workers is how many live workers would run the instance, nil where that was not looked up; Unserved are queued
	// activities that none of them would.
	Workers  *int             `json:"workers,omitempty"`
	Unserved []activityView   `json:"unserved,omitempty"`
	Result   json.RawMessage  `json:"result,omitempty"`
	Failure  *history.Failure `json:"failure,omitempty"`
	Cursor   string           `json:"cursor,omitempty"`
}

// activityView names an activity as JSON.
type activityView struct {
	Name string `json:"name"`
	Tag  string `json:"tag,omitempty"`
}

// viewOf makes a view; with the outcome if the state has its last turn.
func viewOf(st *provider.InstanceState) (*instanceView, error) {
	v := &instanceView{InstanceID: st.InstanceID, Name: st.Name, Version: st.Version, Status: st.Status.String(),
		Execution: st.Execution, ExecutionID: st.ExecutionID.String(), ParentID: st.ParentID, Events: st.NextSeq,
		CreatedAt: st.CreatedAt.UTC(), Parked: st.Parked}
	if !st.EndedAt.IsZero() {
		v.EndedAt = st.EndedAt.UTC()
	}
	if st.Priority != 0 {
		v.Priority = string(history.PriorityOf(st.Priority))
	}
	if st.Workers >= 0 {
		v.Workers = &st.Workers
	}
	for _, c := range st.Unserved {
		if a := (activityView{Name: c.Name, Tag: c.Tag}); !slices.Contains(v.Unserved, a) { // in whatever priorities
			v.Unserved = append(v.Unserved, a)
		}
	}
	if st.CustomStatus != nil {
		var status history.Payload
		err := json.Unmarshal(st.CustomStatus, &status)
		if err == nil {
			v.CustomStatus, err = document(status)
		}
		if err != nil {
			return nil, fmt.Errorf("custom status of %q: %w", st.InstanceID, err)
		}
		v.Statuses = st.StatusVersion
	}
	if !st.Status.Terminal() || len(st.LastTurn.Events) == 0 {
		return v, nil
	}
	events, err := history.DecodeTurn(st.LastTurn.Events)
	if err != nil {
		return nil, fmt.Errorf("outcome of %q: %w", st.InstanceID, err)
	}
	result, failure, _ := history.OutcomeOf(events[len(events)-1])
	if v.Failure = failure; failure == nil {
		v.Result, err = document(result)
	}
	return v, err
}

// document shows a payload as JSON: as it is if it is that, else with its encoding.
func document(p history.Payload) (json.RawMessage, error) {
	if p.Encoding == history.EncodingJSON {
		return p.Data, nil
	}
	return p.MarshalJSON()
}

// printJSON writes one document on one line.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// visible returns s, quoted if it holds anything that would not show or would steer a terminal.
func visible(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.ContainsRune(s, unicode.ReplacementChar) {
		return strconv.Quote(s)
	}
	return s
}

// shown is a time for people.
func shown(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }
