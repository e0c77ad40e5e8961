package engine

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
)

// terms are the options that an activity was scheduled with, and when. Activities with the default options have none.
type terms struct {
	history.ActivityOptions
	scheduledAt time.Time // by the store's clock
}

// termsOf returns the terms of an activity scheduled at the given time. The tag alone makes none: it is part of the class.
func termsOf(o *history.ActivityOptions, at time.Time) *terms {
	if o == nil || o.Retry == nil && o.ScheduleToStart == 0 && o.StartToClose == 0 && o.ScheduleToClose == 0 && o.Heartbeat == 0 && o.Session == nil {
		return nil
	}
	return &terms{ActivityOptions: *o, scheduledAt: at}
}

// tagOf returns the tag that options route an activity to.
func tagOf(o *history.ActivityOptions) string {
	if o == nil {
		return ""
	}
	return o.Tag
}

// levelOf returns the priority of an activity that is scheduled with options by an instance of that priority.
func levelOf(o *history.ActivityOptions, instance history.Priority) int8 {
	if o == nil || o.Priority == "" {
		return instance.Level()
	}
	return o.Priority.Level()
}

// workerOf returns the worker that options bind an activity to, 0 if none.
func workerOf(o *history.ActivityOptions) provider.WorkerID {
	if o == nil || o.Session == nil {
		return 0
	}
	return provider.WorkerID(o.Session.Worker)
}

// workInput returns the input of a work item: that of the activity, which is a JSON object or null, or with terms an array
// of it, the options and the time.
func workInput(input history.Payload, t *terms) ([]byte, error) {
	if t == nil {
		return input.MarshalJSON()
	}
	return json.Marshal([]any{input, t.ActivityOptions, t.scheduledAt})
}

// readWorkInput is the reverse of workInput.
func readWorkInput(data []byte) (input history.Payload, t *terms, err error) {
	if len(data) == 0 || data[0] != '[' {
		err = json.Unmarshal(data, &input)
		return input, nil, err
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return input, nil, err
	}
	if len(parts) < 3 {
		return input, nil, errors.New("work item: an array without input, options and time")
	}
	t = new(terms)
	err = errors.Join(json.Unmarshal(parts[0], &input), json.Unmarshal(parts[1], &t.ActivityOptions), json.Unmarshal(parts[2], &t.scheduledAt))
	return input, t, err
}

// legacy is what the attempts of an activity leave to those that follow: the state of its work item.
type legacy struct {
	// Ended is the number of the last attempt that had an outcome. Attempts begun since then have died with their process.
	Ended int32 `json:"ended,omitempty"`
	// Tries is how many attempts had an outcome. It is what a retry policy counts.
	Tries int32 `json:"tries,omitempty"`
	// Failure is the outcome of the last of them.
	Failure *history.Failure `json:"failure,omitempty"`
	// Details are those of the last heartbeat that had any.
	Details history.Payload `json:"details,omitzero"`
}

// maxLegacyFailure bounds the failure that an attempt leaves to the next. It is also sent with every change of the details.
const maxLegacyFailure = 16 << 10

// encode returns the state of the work item.
func (l legacy) encode() ([]byte, error) {
	if l.Failure != nil {
		if body, err := json.Marshal(l.Failure); err != nil || len(body) > maxLegacyFailure {
			short := history.Failure{Kind: l.Failure.Kind, Code: l.Failure.Code, Type: l.Failure.Type, Source: l.Failure.Source,
				Timeout: l.Failure.Timeout, Message: history.CleanText(l.Failure.Message, maxLegacyFailure/4)}
			l.Failure = &short
		}
	}
	return json.Marshal(l)
}

// readLegacy reads the state of a work item.
func readLegacy(data []byte) (l legacy, err error) {
	if len(data) > 0 {
		err = json.Unmarshal(data, &l)
	}
	return l, err
}
