package history

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// Append appends the JSON form of one event to dst: its members with "type" first.
func Append(dst []byte, ev Event) ([]byte, error) {
	start := len(dst)
	dst = append(dst, `{"type":"`...)
	dst = append(dst, ev.Type()...)
	dst = append(dst, '"')
	dst, err := appendMembers(dst, ev)
	if err != nil {
		return dst[:start], fmt.Errorf("history: encode %s: %w", ev.Type(), err)
	}
	return append(dst, '}'), nil
}

// Encode returns the JSON array of a turn's events.
func Encode(events []Event) ([]byte, error) {
	dst := make([]byte, 1, 256)
	dst[0] = '['
	var err error
	for i, ev := range events {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = Append(dst, ev); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

// appendMembers appends the members of an event, each with a comma before it. The events that every step writes are
// written here by hand, which costs a tenth of what reflection does; all others go through encoding/json, and a test
// holds the two against each other.
func appendMembers(dst []byte, ev Event) ([]byte, error) {
	switch ev := ev.(type) {
	case *ExecutionStarted:
		if ev.Parent != nil || ev.Begun || ev.Replaces || ev.Priority != "" || len(ev.SeenMessages) > 0 || ev.Cancelled != nil || len(ev.Values) > 0 || len(ev.Updates) > 0 {
			break
		}
		dst = appendString(append(dst, `,"name":`...), ev.Name)
		if ev.Version != "" {
			dst = appendString(append(dst, `,"version":`...), ev.Version)
		}
		dst = appendString(append(dst, `,"executionId":`...), ev.ExecutionID)
		dst, err := appendPayload(dst, `,"input":`, ev.Input)
		if err != nil {
			return dst, err
		}
		return appendTime(append(dst, `,"at":`...), ev.StartedAt)
	case *TurnStarted:
		return appendTime(append(dst, `,"at":`...), ev.At)
	case *ExecutionCompleted:
		return appendPayload(dst, `,"result":`, ev.Result)
	case *ActivityScheduled:
		if ev.Options != nil {
			break
		}
		return appendPayload(appendString(append(dst, `,"name":`...), ev.Name), `,"input":`, ev.Input)
	case *ActivityCompleted:
		dst = strconv.AppendInt(append(dst, `,"scheduled":`...), int64(ev.Scheduled), 10)
		return appendPayload(dst, `,"result":`, ev.Result)
	}
	return appendReflected(dst, ev)
}

// appendReflected is appendMembers for any event.
func appendReflected(dst []byte, ev Event) ([]byte, error) {
	body, err := json.Marshal(ev)
	if err != nil {
		return dst, err
	}
	if len(body) > 2 {
		dst = append(dst, ',')
	}
	return append(dst, body[1:len(body)-1]...), nil
}

// appendPayload appends a member if there is a value.
func appendPayload(dst []byte, member string, p Payload) ([]byte, error) {
	if p.IsZero() {
		return dst, nil
	}
	return p.append(append(dst, member...))
}

// append appends the JSON form of a payload.
func (p Payload) append(dst []byte) ([]byte, error) {
	if p.IsZero() {
		return append(dst, "null"...), nil
	}
	dst = append(appendString(append(dst, '{'), p.Encoding), ':')
	if p.Encoding == EncodingJSON {
		if !json.Valid(p.Data) {
			return dst, fmt.Errorf("payload in encoding %q is not a JSON document", p.Encoding)
		}
		dst = append(dst, p.Data...)
	} else {
		dst = append(base64.StdEncoding.AppendEncode(append(dst, '"'), p.Data), '"')
	}
	return append(dst, '}'), nil
}

// appendTime appends a time as encoding/json writes it.
func appendTime(dst []byte, t time.Time) ([]byte, error) {
	if y := t.Year(); y < 0 || y > 9999 {
		return dst, fmt.Errorf("year %d is outside of 0 to 9999", y)
	}
	return append(t.AppendFormat(append(dst, '"'), time.RFC3339Nano), '"'), nil
}

// appendString appends a string as encoding/json writes it.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(s)
			if err != nil { // cannot be: every string has a JSON form
				quoted = []byte(`""`)
			}
			return append(dst, quoted...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}
