package history

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// failures holds failures with every field set, and as the engine makes them.
func failures() []Failure {
	return []Failure{
		{Kind: FailureError, Message: "m"},
		{Kind: FailureError, Code: "card-declined", Message: "m", Type: "*pawl.Error", Source: "Charge", InstanceID: "i", Stack: "main.go",
			Details: Payload{EncodingJSON, []byte(`{"code":51}`)}, NonRetryable: true, NextDelay: 90 * time.Second, Cause: &Failure{Kind: FailureError, Message: "why"}},
		{Kind: FailureError, Message: "a\nb", Causes: []*Failure{{Kind: FailureError, Code: "go:context.Canceled", Message: "a"}, {Kind: FailureGoexit, Message: "b"}}},
		{Kind: FailureTimeout, Message: "the heartbeat timeout has passed", Timeout: TimeoutHeartbeat},
		{Kind: FailureCancelled, Message: "tired"},
		{Kind: FailureTerminated, Message: ""},
	}
}

// TestGoldenFailures pins the stored form of failures.
func TestGoldenFailures(t *testing.T) {
	var events []Event
	for _, f := range failures() {
		events = append(events, &ActivityFailed{Scheduled: 2, Failure: f})
	}
	pinned(t, "testdata/failures.jsonl", events)
}

func TestFailureTree(t *testing.T) {
	leaf := func(s string) *Failure { return &Failure{Message: s} }
	f := &Failure{Message: "a", Causes: []*Failure{{Message: "b", Cause: leaf("c")}, nil, leaf("d")}}
	var order []string
	for level := range f.All() {
		order = append(order, level.Message)
	}
	if !slices.Equal(order, []string{"a", "b", "c", "d"}) {
		t.Errorf("order %v", order)
	}
	for level := range f.All() {
		if level.Message == "c" {
			break
		}
		if level.Message == "d" {
			t.Error("the walk goes on after its end")
		}
	}
	for range (*Failure)(nil).All() {
		t.Error("a nil failure has levels")
	}
	f.SetCauses([]*Failure{leaf("x")})
	if f.Causes != nil || f.Cause.Message != "x" || len(f.CausedBy()) != 1 {
		t.Errorf("got %+v", f)
	}
	f.SetCauses(nil)
	if len(f.CausedBy()) != 0 {
		t.Errorf("got %+v", f)
	}
}

func TestCleanText(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain ä": "plain ä", "a\x00b": "a\ufffdb", "a\xff\xfeb": "a\ufffdb", strings.Repeat("x", 100): strings.Repeat("x", 100),
		strings.Repeat("x", 101):  strings.Repeat("x", 73) + "... (cut, 101 bytes in all)",
		strings.Repeat("ä", 51):   strings.Repeat("ä", 36) + "... (cut, 102 bytes in all)",
		strings.Repeat("\x00", 1): "\ufffd",
	} {
		if got := CleanText(in, 100); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func FuzzCleanText(f *testing.F) {
	f.Add("ä\xff\x00", 60)
	f.Add(strings.Repeat("\x00", 99), 100)
	f.Add(strings.Repeat("€", 40), 101)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = 50 + limit&0xff
		got := CleanText(s, limit)
		if len(got) > limit || !utf8.ValidString(got) || strings.ContainsRune(got, 0) || CleanText(got, limit) != got {
			t.Errorf("%q becomes %q with limit %d", s, got, limit)
		}
		if utf8.ValidString(s) && !strings.ContainsRune(s, 0) && len(s) <= limit && got != s {
			t.Errorf("%q becomes %q", s, got)
		}
	})
}
