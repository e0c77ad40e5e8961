package history

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestHandWrittenFormIsEncodingJSONs holds the events that are written by hand against encoding/json.
func TestHandWrittenFormIsEncodingJSONs(t *testing.T) {
	texts := []string{"", "plain", `quote " backslash \ slash /`, "<script>&", "line\nbreak\x00\x7f", "Grüße \u2028 \xff\xfe", strings.Repeat("x", 300)}
	values := []Payload{{}, {Encoding: "json", Data: []byte(`{"a":[1,2.5,null,"ü"]}`)}, {Encoding: "json", Data: []byte("null")},
		{Encoding: "raw", Data: []byte{0, 1, 255}}, {Encoding: "raw"}, {Encoding: `odd "name"`, Data: []byte("x")}}
	times := []time.Time{{}, time.Unix(0, 0).UTC(), time.Date(2026, 2, 3, 4, 5, 6, 789_000_001, time.FixedZone("", -5400)), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}
	var events []Event
	for _, text := range texts {
		events = append(events, &ExecutionStarted{Name: text, Version: text, ExecutionID: text, SeenMessages: []string{text}}, &ExecutionStarted{Name: text, Version: text, ExecutionID: text})
		for _, v := range values {
			events = append(events, &ActivityScheduled{Name: text, Input: v})
		}
	}
	for i, v := range values {
		events = append(events, &ExecutionCompleted{Result: v}, &ActivityCompleted{Scheduled: int32(i) - 1, Result: v}, &ExecutionStarted{Input: v, Parent: &Parent{InstanceID: "p", Execution: 1, Event: 2}})
	}
	events = append(events, &ExecutionStarted{Begun: true}, &ExecutionStarted{Replaces: true})
	for _, at := range times {
		events = append(events, &TurnStarted{At: at}, &ExecutionStarted{StartedAt: at})
	}
	for _, ev := range append(events, every()...) {
		got, err := appendMembers(nil, ev)
		if err != nil {
			t.Fatalf("%s: %v", ev.Type(), err)
		}
		want, err := appendReflected(nil, ev)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s:\n got %s\nwant %s", ev.Type(), got, want)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, ev := range []Event{
		&TurnStarted{At: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)},
		&ExecutionCompleted{Result: Payload{Encoding: "json", Data: []byte(`{"open":`)}},
		&ActivityScheduled{Name: "a", Input: Payload{Encoding: "json"}},
		&TimerScheduled{FireAt: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		got, err := Append([]byte("before"), ev)
		if err == nil || string(got) != "before" {
			t.Errorf("%s: %q, %v; want an error and nothing appended", ev.Type(), got, err)
		}
	}
}

// TestPlainEventsAreReadByHand pins that what Append writes by hand is what decodePlain reads.
func TestPlainEventsAreReadByHand(t *testing.T) {
	value := Payload{Encoding: EncodingJSON, Data: json.RawMessage(`{"a":["]}",{"b":"\\"}]}`)}
	at := time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, time.UTC)
	events := []Event{
		&ExecutionStarted{Name: "n", ExecutionID: "x", Input: value, StartedAt: at}, &ExecutionStarted{Name: "n", Version: "1", ExecutionID: "x", StartedAt: at},
		&TurnStarted{At: at}, &ActivityScheduled{Name: "n", Input: value}, &ActivityScheduled{Name: "n"},
		&ActivityCompleted{Scheduled: 7, Result: value}, &TimerFired{Scheduled: 7}, &ExecutionCompleted{Result: value}, &ExecutionCompleted{},
	}
	turn, err := Encode(events)
	if err != nil {
		t.Fatal(err)
	}
	raw, ok := elements(turn)
	if !ok || len(raw) != len(events) {
		t.Fatalf("%s is split into %d (%v)", turn, len(raw), ok)
	}
	for i, ev := range events {
		if got := decodePlain(raw[i]); !reflect.DeepEqual(got, ev) {
			t.Errorf("%s reads as %+v", raw[i], got)
		}
	}
	for _, other := range []string{`[]`, `[ ]`, `[1]`, `[{}]`, `[{},{}]`, `[{} ,{}]`, `[{}`, `{}`, `[{}]]`, `[{},]`, `[{"a":"]`} {
		var want []json.RawMessage
		valid := json.Unmarshal([]byte(other), &want) == nil
		if got, ok := elements([]byte(other)); ok && (!valid || len(got) != len(want)) {
			t.Errorf("%s is split into %q", other, got)
		}
	}
}

func BenchmarkDecodeTurn(b *testing.B) {
	value := Payload{Encoding: EncodingJSON, Data: json.RawMessage(`{"name":"Ada","greeting":"Hello"}`)}
	turn, err := Encode([]Event{&ActivityCompleted{Scheduled: 3, Result: value}, &TurnStarted{At: time.Now()}, &ActivityScheduled{Name: "greet", Input: value}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeTurn(turn); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeTurn(b *testing.B) {
	value := Payload{Encoding: EncodingJSON, Data: json.RawMessage(`{"name":"Ada","greeting":"Hello"}`)}
	turn := []Event{&ActivityCompleted{Scheduled: 3, Result: value}, &TurnStarted{At: time.Now()}, &ActivityScheduled{Name: "greet", Input: value}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Encode(turn); err != nil {
			b.Fatal(err)
		}
	}
}
