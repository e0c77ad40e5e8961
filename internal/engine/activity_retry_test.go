package engine

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
)

// origin is when the activities of the pure tests are scheduled.
var origin = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

func TestDelayOf(t *testing.T) {
	doubling := history.RetryPolicy{InitialDelay: time.Second, Coefficient: 2, MaxDelay: time.Minute}
	jittered := history.RetryPolicy{InitialDelay: 10 * time.Second, Coefficient: 1, Jitter: 0.3}
	for _, c := range []struct {
		policy history.RetryPolicy
		tries  int32
		chance float64
		want   time.Duration
	}{
		{doubling, 1, 0, time.Second},
		{doubling, 2, 0, 2 * time.Second},
		{doubling, 6, 0, 32 * time.Second},
		{doubling, 7, 0, time.Minute},
		{doubling, math.MaxInt32, 1, time.Minute},
		{jittered, 1, 0, 10 * time.Second},
		{jittered, 9, 0.5, 8500 * time.Millisecond},
		{jittered, 9, 1, 7 * time.Second},
		{history.RetryPolicy{InitialDelay: time.Hour, Coefficient: 10}, 1000, 0, math.MaxInt64},
		{history.RetryPolicy{InitialDelay: time.Second}, 5, 0, time.Second}, // no coefficient: the delay stays
		{history.RetryPolicy{}, 5, 0.5, 0},
	} {
		if got := delayOf(&c.policy, c.tries, c.chance); got != c.want {
			t.Errorf("%+v, try %d, chance %v: %v, want %v", c.policy, c.tries, c.chance, got, c.want)
		}
	}
}

func TestRetryDecision(t *testing.T) {
	policy := history.RetryPolicy{InitialDelay: 10 * time.Second, Coefficient: 1, MaxAttempts: 3, MaxElapsed: time.Minute,
		NonRetryable: []string{"declined", "pawl:panic", "go:context.DeadlineExceeded"}}
	failed := history.Failure{Kind: history.FailureError, Message: "no"}
	wrapped := func(f history.Failure) history.Failure {
		return history.Failure{Kind: history.FailureError, Message: "outer", Cause: &f}
	}
	chosen := func(d time.Duration) history.Failure {
		return wrapped(history.Failure{Kind: history.FailureError, NextDelay: d})
	}
	const no = time.Duration(-1)
	for name, c := range map[string]struct {
		failure history.Failure
		tries   int32
		after   time.Duration // since scheduling
		close   time.Duration // schedule to close
		want    time.Duration
	}{
		"first":                     {failed, 1, time.Second, 0, 10 * time.Second},
		"last but one":              {failed, 2, time.Second, 0, 10 * time.Second},
		"attempts used up":          {failed, 3, time.Second, 0, no},
		"begins in time":            {failed, 1, 50 * time.Second, 0, 10 * time.Second},
		"would begin too late":      {failed, 1, 50*time.Second + 1, 0, no},
		"would begin at the end":    {failed, 1, 10 * time.Second, 20 * time.Second, no},
		"would begin before":        {failed, 1, 10*time.Second - 1, 20 * time.Second, 10 * time.Second},
		"code":                      {wrapped(history.Failure{Kind: history.FailureError, Code: "declined"}), 1, 0, 0, no},
		"other code":                {wrapped(history.Failure{Kind: history.FailureError, Code: "panic"}), 1, 0, 0, 10 * time.Second},
		"kind":                      {history.Failure{Kind: history.FailurePanic}, 1, 0, 0, no},
		"well-known":                {wrapped(history.Failure{Kind: history.FailureError, Code: "go:context.DeadlineExceeded"}), 1, 0, 0, no},
		"advice":                    {wrapped(history.Failure{Kind: history.FailureError, NonRetryable: true}), 1, 0, 0, no},
		"chosen delay":              {chosen(25 * time.Second), 1, 0, 0, 25 * time.Second},
		"chosen delay too long":     {chosen(2 * time.Minute), 1, 0, 0, no},
		"at once":                   {chosen(1), 1, time.Minute, 0, 0},
		"chosen makes no attempts":  {chosen(1), 3, 0, 0, no},
		"attempt took too long":     {*timeoutFailure("a", history.TimeoutStartToClose, nil), 1, 0, 0, 10 * time.Second},
		"silent":                    {*timeoutFailure("a", history.TimeoutHeartbeat, nil), 1, 0, 0, 10 * time.Second},
		"all took too long":         {*timeoutFailure("a", history.TimeoutScheduleToClose, nil), 1, 0, 0, no},
		"result cannot be recorded": {history.Failure{Kind: history.FailureBadPayload}, 1, 0, 0, no},
		"result too large":          {history.Failure{Kind: history.FailureLimit}, 1, 0, 0, no},
		"misuse":                    {history.Failure{Kind: history.FailureMisuse}, 1, 0, 0, no},
	} {
		terms := &terms{ActivityOptions: history.ActivityOptions{Retry: &policy, ScheduleToClose: c.close}, scheduledAt: origin}
		delay, again := terms.retry(&c.failure, c.tries, origin.Add(c.after), 0)
		if !again {
			delay = no
		}
		if delay != c.want {
			t.Errorf("%s: %v, want %v", name, delay, c.want)
		}
	}
	for _, without := range []*terms{nil, {}} {
		if _, again := without.retry(&failed, 1, origin, 0); again {
			t.Error("tried again without a policy")
		}
	}
}

func TestTooLate(t *testing.T) {
	last := &history.Failure{Kind: history.FailureError, Message: "last"}
	all := &terms{scheduledAt: origin, ActivityOptions: history.ActivityOptions{ScheduleToStart: time.Second, ScheduleToClose: time.Minute,
		Retry: &history.RetryPolicy{MaxElapsed: 10 * time.Second}}}
	for name, c := range map[string]struct {
		terms   *terms
		attempt int32
		left    legacy
		after   time.Duration
		want    string
	}{
		"no terms":                  {nil, 1, legacy{}, time.Hour, ""},
		"in time":                   {all, 1, legacy{}, time.Second - 1, ""},
		"begun late":                {all, 1, legacy{}, time.Second, history.TimeoutScheduleToStart},
		"begun again after a crash": {all, 2, legacy{}, 11 * time.Second, ""},
		"no try begins":             {all, 2, legacy{Failure: last}, 10 * time.Second, "last"},
		"over":                      {all, 1, legacy{}, time.Minute, history.TimeoutScheduleToClose},
		"over after tries":          {all, 2, legacy{Failure: last}, time.Minute, history.TimeoutScheduleToClose},
	} {
		f := c.terms.tooLate("a", c.attempt, &c.left, origin.Add(c.after))
		got := ""
		switch {
		case f != nil && f.Kind == history.FailureTimeout:
			got = f.Timeout
			if f.Cause != c.left.Failure {
				t.Errorf("%s: caused by %v", name, f.Cause)
			}
		case f != nil:
			got = f.Message
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestWorkInput: the input of default activities is stored as it is, that of others with its terms.
func TestWorkInput(t *testing.T) {
	payload := history.Payload{Encoding: history.EncodingJSON, Data: []byte(`[1,[2]]`)}
	for _, o := range []*history.ActivityOptions{nil, {}, {Tag: "gpu"}} {
		body, err := workInput(payload, termsOf(o, origin))
		if err != nil || string(body) != `{"json":[1,[2]]}` {
			t.Errorf("%+v: %s, %v", o, body, err)
		}
	}
	options := history.ActivityOptions{Tag: "gpu", Retry: &history.RetryPolicy{MaxAttempts: 3, Coefficient: 1.5, NonRetryable: []string{"x"}}, ScheduleToStart: 1,
		StartToClose: 2, ScheduleToClose: 3, Heartbeat: 4}
	for _, p := range []history.Payload{payload, {}, {Encoding: "b", Data: []byte{0, 1}}} {
		for _, want := range []*terms{nil, {options, origin}} {
			body, err := workInput(p, want)
			if err != nil {
				t.Fatal(err)
			}
			got, terms, err := readWorkInput(body)
			if err != nil || !reflect.DeepEqual(got, p) || !reflect.DeepEqual(terms, want) {
				t.Errorf("%s: read as %+v, %+v, %v", body, got, terms, err)
			}
		}
	}
	for _, bad := range []string{``, `[`, `[]`, `[{"json":1},{}]`, `[1,{},"2026-01-02T03:04:05Z"]`, `[{"json":1},{},"today"]`, `{"a":1,"b":2}`} {
		if _, _, err := readWorkInput([]byte(bad)); err == nil {
			t.Errorf("%q is no input", bad)
		}
	}
}

// TestLegacyIsBounded: a failure that is too large to travel with every heartbeat is cut, the rest is kept.
func TestLegacyIsBounded(t *testing.T) {
	details := history.Payload{Encoding: history.EncodingJSON, Data: []byte(`7`)}
	for _, size := range []int{10, 1 << 20} {
		l := legacy{Ended: 3, Tries: 2, Details: details, Failure: &history.Failure{Kind: history.FailurePanic, Code: "c",
			Message: "boom", Stack: strings.Repeat("s", size), Cause: &history.Failure{Kind: history.FailureError}}}
		body, err := l.encode()
		if err != nil || len(body) > maxLegacyFailure+1000 {
			t.Fatalf("%d bytes, %v", len(body), err)
		}
		got, err := readLegacy(body)
		if err != nil || got.Ended != 3 || got.Tries != 2 || !reflect.DeepEqual(got.Details, details) || got.Failure.Message != "boom" || got.Failure.Code != "c" {
			t.Errorf("read %s as %+v, %v", body, got, err)
		}
		if l.Failure.Stack == "" || (got.Failure.Stack == "") != (size > maxLegacyFailure) {
			t.Errorf("size %d: stack of %d bytes", size, len(got.Failure.Stack))
		}
	}
	if l, err := readLegacy(nil); err != nil || !reflect.DeepEqual(l, legacy{}) {
		t.Errorf("no state: %+v, %v", l, err)
	}
	if body, _ := json.Marshal(legacy{}); string(body) != `{}` {
		t.Errorf("empty state is %s", body)
	}
}

func TestActivityToken(t *testing.T) {
	for _, key := range []provider.WorkKey{{}, {Ref: provider.Ref{Part: -3, Row: math.MaxInt64}, Execution: math.MaxInt32, Event: 7}} {
		for _, lease := range []provider.Token{1, -1, math.MinInt64} {
			text := encodeToken(key, lease)
			gotKey, gotLease, err := decodeToken(text)
			if err != nil || gotKey != key || gotLease != lease {
				t.Errorf("%+v, %d: %+v, %d, %v", key, lease, gotKey, gotLease, err)
			}
			for i := range text { // a typing error is found
				other := byte('A')
				if text[i] == other {
					other = 'B'
				}
				if _, _, err := decodeToken(text[:i] + string(other) + text[i+1:]); err == nil {
					t.Errorf("changed at %d, still a token", i)
				}
			}
		}
	}
	for _, bad := range []string{"", "A", "hello world", strings.Repeat("A", 40), strings.Repeat("A", 4000)} {
		if _, _, err := decodeToken(bad); err == nil {
			t.Errorf("%q is no token", bad)
		}
	}
}
