package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"reflect"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files (a changed line breaks stored histories)")

var at = time.Date(2026, 11, 22, 20, 7, 0, 123456000, time.UTC)

// every holds one event of each type with every field set, and one with the optional ones left out.
func every() []Event {
	doc := Payload{EncodingJSON, []byte(`{"a":[1,"x\u0000"]}`)}
	bin := Payload{"gob", []byte{0, 1, 255}}
	failure := Failure{Kind: FailurePanic, Message: "boom", Type: "string", Source: "Greet", Stack: "main.go", Cause: &Failure{Kind: FailureError, Message: "why"}}
	return []Event{
		&ExecutionStarted{Name: "O", Version: "1.2.0", ExecutionID: "00112233445566778899aabbccddeeff", Input: doc,
			Parent: &Parent{InstanceID: "p", Execution: 2, Event: 7}, StartedAt: at, SeenMessages: []string{"m1", "m2"}},
		&ExecutionStarted{Name: "O", ExecutionID: "00112233445566778899aabbccddeeff", StartedAt: at},
		&TurnStarted{At: at},
		&ActivityScheduled{Name: "A", Input: bin},
		&ActivityScheduled{Name: "A"},
		&ActivityCompleted{Scheduled: 2, Result: doc},
		&ActivityFailed{Scheduled: 2, Failure: failure},
		&TimerScheduled{FireAt: at},
		&TimerFired{Scheduled: 4},
		&EventAwaited{Name: "go"},
		&EventReceived{Awaited: 9, Name: "go", MessageID: "m3", Payload: doc},
		&ChildScheduled{Name: "C", Version: "2.0.0", InstanceID: "c-1", Input: doc},
		&ChildCompleted{Scheduled: 11, Result: doc},
		&ChildFailed{Scheduled: 11, Failure: Failure{Kind: FailureExists, Message: "taken"}},
		&ExecutionCompleted{Result: doc},
		&ExecutionCompleted{},
		&ExecutionFailed{Failure: failure},
		&ExecutionContinuedAsNew{Input: doc, Version: "2.0.0"},
		&ExecutionStarted{Name: "O", ExecutionID: "00112233445566778899aabbccddeeff", StartedAt: at, Cancelled: &CancelRequested{Reason: "r"},
			Values: map[string]Payload{"k": doc}},
		&ActivityScheduled{Name: "A", Input: doc, Options: &ActivityOptions{Tag: "gpu", ScheduleToStart: time.Second, StartToClose: time.Minute,
			ScheduleToClose: time.Hour, Heartbeat: time.Millisecond, Retry: &RetryPolicy{MaxAttempts: 3, InitialDelay: time.Second, Coefficient: 1.5,
				MaxDelay: time.Minute, Jitter: 0.25, MaxElapsed: time.Hour, NonRetryable: []string{"declined"}}}},
		&ActivityScheduled{Name: "A", Options: &ActivityOptions{Retry: &RetryPolicy{}}},
		&ChildScheduled{Name: "C", InstanceID: "c-2", Close: CloseWait, FailParked: true},
		&ChildScheduled{Name: "C", InstanceID: "c-3", Close: CloseCancel, Detached: true},
		&EventSent{InstanceID: "i", Name: "go", Payload: doc},
		&CancelRequested{Reason: "r"},
		&CancelRequested{},
		&CancelRequested{Reason: "r", Parent: &Parent{InstanceID: "p", Execution: 1, Event: 2}},
		&ExecutionStarted{Name: "O", ExecutionID: "00112233445566778899aabbccddeeff", Parent: &Parent{InstanceID: "p", Execution: 1, Event: 2}, FailParked: true, StartedAt: at},
		&Cancelled{Scheduled: 3},
		&PatchMarked{ID: "p"},
		&ExecutionCancelled{Failure: Failure{Kind: FailureCancelled, Message: "r"}},
		&ExecutionTerminated{Reason: "r"},
		&ExecutionTerminated{},
		&ExecutionFailed{Failure: Failure{Kind: FailureLimit, Message: "m", Exceeded: &Exceeded{What: "value", Key: "k", Size: 11, Limit: 10}}},
		&UpdateReceived{ID: "u", Name: "add", Payload: doc},
		&UpdateAnswered{Received: 3, ID: "u", Result: doc},
		&UpdateAnswered{Received: 3, ID: "u", Failure: &failure},
		&UpdateRejected{ID: "u", Name: "add", Failure: failure, Unknown: true},
		&UpdateRepeated{UpdateAt{ID: "u", Execution: 2, Event: 4}},
		&LimitExceeded{Check: 1, What: "value", Key: "k", Size: 20, Limit: 10},
		&ExecutionStarted{Name: "O", ExecutionID: "00112233445566778899aabbccddeeff", StartedAt: at, Updates: []UpdateAt{{ID: "u", Execution: 2, Event: 4}}},
		&ChildScheduled{Name: "C", InstanceID: "c-4", Values: map[string]Value{"k": {Data: doc}, "s": {Data: doc, Searchable: true}}},
		&ExecutionStarted{Name: "O", ExecutionID: "00112233445566778899aabbccddeeff", StartedAt: at, Replaces: true, Begun: true},
		&ExecutionStarted{Name: "O", ExecutionID: "00112233445566778899aabbccddeeff", StartedAt: at, Priority: PriorityHigh},
		&ChildScheduled{Name: "C", InstanceID: "c-5", Priority: PriorityNormal},
		&ActivityScheduled{Name: "A", Options: &ActivityOptions{Priority: PriorityLowest, Session: &Session{Worker: -9007199254740993, ID: "i/7/1/1"}}},
		&ActivityFailed{Scheduled: 2, Failure: Failure{Kind: FailureSessionLost, Message: "gone"}},
	}
}

// TestGolden pins the stored form: old histories must stay readable for ever.
func TestGolden(t *testing.T) { pinned(t, "testdata/events.jsonl", every()) }

// pinned checks that events are stored as a file has it, line by line, and read back as they were.
func pinned(t *testing.T, file string, events []Event) {
	t.Helper()
	var got bytes.Buffer
	for _, ev := range events {
		line, err := Append(nil, ev)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(append(line, '\n'))
	}
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("encoding changed:\n%s\nwant\n%s", got.Bytes(), want)
	}
	for i, line := range bytes.Split(bytes.TrimSpace(want), []byte("\n")) {
		ev, err := Decode(line)
		if err != nil {
			t.Fatal(err)
		}
		if i >= len(events) || !reflect.DeepEqual(ev, events[i]) {
			t.Errorf("line %d decodes to %+v", i+1, ev)
		}
	}
}

func TestEveryTypeIsKnownAndGolden(t *testing.T) {
	seen := map[string]bool{}
	for _, ev := range every() {
		seen[ev.Type()] = true
		if got := newEvent(ev.Type()); got == nil || reflect.TypeOf(got) != reflect.TypeOf(ev) {
			t.Errorf("newEvent(%q) = %T", ev.Type(), got)
		}
	}
	if len(seen) != 26 {
		t.Errorf("%d types in the golden file", len(seen))
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, bad := range []string{``, `{`, `[]`, `{"type":1}`, `{"type":"ActivityScheduled","input":{}}`, `{"type":"ActivityScheduled","input":{"a":1,"b":2}}`,
		`{"type":"ActivityScheduled","input":{"gob":"%%"}}`, `{"type":"TimerFired","scheduled":"x"}`, `{"type":"TimerFired","scheduled":4294967296}`} {
		if ev, err := Decode([]byte(bad)); err == nil {
			t.Errorf("%s decodes to %+v", bad, ev)
		}
	}
	var unknown *UnknownEventError
	if _, err := Decode([]byte(`{"type":"Future"}`)); !errors.As(err, &unknown) || unknown.EventType != "Future" {
		t.Errorf("unknown type: %v", err)
	}
	if _, err := Encode([]Event{&ExecutionCompleted{Result: Payload{EncodingJSON, []byte("{")}}}); err == nil {
		t.Error("invalid JSON payload encodes")
	}
}

// FuzzDecode: whatever is read is either refused or survives another round.
func FuzzDecode(f *testing.F) {
	for _, ev := range every() {
		line, err := Append(nil, ev)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	f.Add([]byte(`{"type":"TimerFired","scheduled":1,"scheduled":2}`))
	f.Add([]byte(`{"type":"ActivityScheduled","name":"a","input":{"json": [1, "]"] }}`))
	f.Add([]byte(`{"type":"ActivityScheduled","name":"\u0041","input":{"json":"}\""}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if plain := decodePlain(data); plain != nil {
			if full, err := decodeReflected(data); err != nil || !reflect.DeepEqual(plain, full) {
				t.Fatalf("%s reads as %+v by hand and as %+v (%v) by encoding/json", data, plain, full, err)
			}
		}
		ev, err := Decode(data)
		if err != nil {
			return
		}
		once, err := Append(nil, ev)
		if err != nil {
			t.Fatalf("%s reads as %+v, which does not encode: %v", data, ev, err)
		}
		if !json.Valid(once) {
			t.Fatalf("%s: not JSON", once)
		}
		again, err := Decode(once)
		if err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		twice, err := Append(nil, again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s, then %s (%v)", once, twice, err)
		}
	})
}
