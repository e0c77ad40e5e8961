package pawl

import (
	"context"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pawlrun/pawl/history"
)

// TestRecordOptions: later options replace what they set, defaults are recorded as they are now, and what says nothing is
// recorded as nothing.
func TestRecordOptions(t *testing.T) {
	declined := ErrorKind("declined")
	defaults := &history.RetryPolicy{InitialDelay: time.Second, Coefficient: 2, MaxDelay: time.Minute}
	for name, c := range map[string]struct {
		options []ActivityOptions
		want    *history.ActivityOptions
	}{
		"none":         {nil, nil},
		"empty":        {[]ActivityOptions{{}, {}}, nil},
		"empty policy": {[]ActivityOptions{{Retry: &RetryPolicy{}}}, &history.ActivityOptions{Retry: defaults}},
		"long delay": {[]ActivityOptions{{Retry: &RetryPolicy{InitialDelay: time.Hour}}},
			&history.ActivityOptions{Retry: &history.RetryPolicy{InitialDelay: time.Hour, Coefficient: 2, MaxDelay: time.Hour}}},
		"merged": {[]ActivityOptions{{StartToClose: 1, Heartbeat: 2, Tag: "a", Retry: &RetryPolicy{MaxAttempts: 9}}, {Heartbeat: 3}, {Tag: "b", ScheduleToStart: 4, ScheduleToClose: 5, Retry: &RetryPolicy{}}},
			&history.ActivityOptions{StartToClose: 1, Heartbeat: 3, Tag: "b", ScheduleToStart: 4, ScheduleToClose: 5, Retry: defaults}},
		"all of a policy": {[]ActivityOptions{{Retry: &RetryPolicy{MaxAttempts: 1, InitialDelay: 2, Coefficient: 1, MaxDelay: 4, Jitter: 1, MaxElapsed: 6,
			NonRetryable: []error{declined, ErrPanic, context.DeadlineExceeded, context.Canceled}}}},
			&history.ActivityOptions{Retry: &history.RetryPolicy{MaxAttempts: 1, InitialDelay: 2, Coefficient: 1, MaxDelay: 4, Jitter: 1, MaxElapsed: 6,
				NonRetryable: []string{"declined", "pawl:panic", "go:context.DeadlineExceeded", "go:context.Canceled", "pawl:cancelled"}}}},
	} {
		got, err := recordOptions(nil, c.options)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
}

// TestBadOptions: each field has its limits.
func TestBadOptions(t *testing.T) {
	retry := func(p RetryPolicy) ActivityOptions { return ActivityOptions{Retry: &p} }
	for i, o := range []ActivityOptions{
		{ScheduleToStart: -1}, {StartToClose: -1}, {ScheduleToClose: -1}, {Heartbeat: -1}, {Tag: "\x00"}, {Tag: string(make([]byte, 256))},
		retry(RetryPolicy{MaxAttempts: -1}), retry(RetryPolicy{MaxAttempts: math.MaxInt32 + 1}),
		retry(RetryPolicy{InitialDelay: -1}), retry(RetryPolicy{MaxDelay: -1}), retry(RetryPolicy{MaxElapsed: -1}), retry(RetryPolicy{MaxDelay: 1}),
		retry(RetryPolicy{Coefficient: 0.99}), retry(RetryPolicy{Coefficient: -1}), retry(RetryPolicy{Coefficient: math.NaN()}), retry(RetryPolicy{Coefficient: math.Inf(1)}),
		retry(RetryPolicy{Jitter: -0.1}), retry(RetryPolicy{Jitter: 1.1}), retry(RetryPolicy{Jitter: math.NaN()}),
		retry(RetryPolicy{NonRetryable: []error{nil}}), retry(RetryPolicy{NonRetryable: []error{ErrorKind("")}}), retry(RetryPolicy{NonRetryable: []error{errors.New("x")}}),
	} {
		if got, err := recordOptions(nil, []ActivityOptions{o}); !errors.Is(err, ErrInvalid) || got != nil {
			t.Errorf("case %d, %+v: %+v, %v", i, o, got, err)
		}
	}
}

// TestNonRetryableMatchesLikeErrors: a well-known error that a policy lists has the code of its failures, or "pawl:" and
// their kind.
func TestNonRetryableMatchesLikeErrors(t *testing.T) {
	for _, known := range wellKnown {
		codes := codesOf(known.err)
		if len(codes) == 0 {
			t.Errorf("%v cannot be listed", known.err)
			continue
		}
		f := recordFailure(known.err)
		matched := false
		for _, code := range codes {
			matched = matched || code == f.Code || code == "pawl:"+string(f.Kind)
		}
		if !matched {
			t.Errorf("%v is recorded as kind %s, code %q; listed as %q", known.err, f.Kind, f.Code, codes)
		}
	}
}

// TestProgressOutsideActivities: the functions for activities say so if they are used elsewhere.
func TestProgressOutsideActivities(t *testing.T) {
	ctx := t.Context()
	if err := Heartbeat(ctx, 1); !errors.Is(err, ErrInvalid) {
		t.Errorf("heartbeat: %v", err)
	}
	if _, ok := HeartbeatDetails[int](ctx); ok {
		t.Error("details")
	}
	if token := ActivityToken(ctx); token != "" {
		t.Errorf("token %q", token)
	}
	if _, ok := ActivityInfoFrom(ctx); ok {
		t.Error("information")
	}
	app := New(nil, &Options{Tags: []string{"a", "", "a"}, ActivityTimeout: -1})
	if err := app.Start(ctx); !errors.Is(err, ErrInvalid) {
		t.Errorf("start: %v", err)
	} else {
		for _, want := range []string{"Options.Tags[1] is empty", `Options.Tags has "a" twice`, "Options.ActivityTimeout is -1"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v does not say %s", err, want)
			}
		}
	}
	if err := CompleteActivity(ctx, New(nil, nil), "x", 1); !errors.Is(err, ErrNotStarted) {
		t.Errorf("complete: %v", err)
	}
}
