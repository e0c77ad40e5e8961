package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Decode reads one event. It may keep parts of data.
func Decode(data []byte) (Event, error) {
	if ev := decodePlain(data); ev != nil {
		return ev, nil
	}
	return decodeReflected(data)
}

// decodeReflected is Decode for any form of any event.
func decodeReflected(data []byte) (Event, error) {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	ev := newEvent(head.Type)
	if ev == nil {
		return nil, &UnknownEventError{head.Type}
	}
	if err := json.Unmarshal(data, ev); err != nil {
		return nil, fmt.Errorf("history: decode %s: %w", head.Type, err)
	}
	return ev, nil
}

// DecodeTurn reads the JSON array of a turn's events. It may keep parts of data.
func DecodeTurn(data []byte) ([]Event, error) {
	raw, ok := elements(data)
	if !ok {
		if err := json.Unmarshal(data, &raw); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
	}
	events := make([]Event, len(raw))
	for i, r := range raw {
		ev, err := Decode(r)
		if err != nil {
			return nil, err
		}
		events[i] = ev
	}
	return events, nil
}

// decodePlain reads the events that every step writes, in the form in which Append writes them; nil for anything else. A
// cold replay reads thousands of them, and this takes a tenth of the time of encoding/json.
func decodePlain(data []byte) Event {
	const head = `{"type":"`
	if !bytes.HasPrefix(data, []byte(head)) || data[len(data)-1] != '}' || !json.Valid(data) {
		return nil
	}
	p := plain{rest: data[len(head):]}
	var ev Event
	switch p.string() {
	case "TurnStarted":
		e := new(TurnStarted)
		p.time(`,"at":`, e.At.UnmarshalJSON)
		ev = e
	case "ActivityScheduled":
		e := new(ActivityScheduled)
		e.Name = p.text(`,"name":"`)
		e.Input = p.payload(`,"input":`)
		ev = e
	case "ActivityCompleted":
		e := new(ActivityCompleted)
		e.Scheduled = p.number(`,"scheduled":`)
		e.Result = p.payload(`,"result":`)
		ev = e
	case "TimerFired":
		e := new(TimerFired)
		e.Scheduled = p.number(`,"scheduled":`)
		ev = e
	case "ExecutionStarted":
		e := new(ExecutionStarted)
		e.Name = p.text(`,"name":"`)
		if p.has(`,"version":"`) {
			e.Version = p.text(`,"version":"`)
		}
		e.ExecutionID = p.text(`,"executionId":"`)
		e.Input = p.payload(`,"input":`)
		p.time(`,"at":`, e.StartedAt.UnmarshalJSON)
		ev = e
	case "ExecutionCompleted":
		e := new(ExecutionCompleted)
		e.Result = p.payload(`,"result":`)
		ev = e
	}
	if p.other || string(p.rest) != "}" {
		return nil
	}
	return ev
}

// plain reads the members of an event of the form that Append writes. The document is known to be valid JSON. Whatever is
// not as expected sets other, and what is returned from then on means nothing.
type plain struct {
	rest  []byte
	other bool
}

// has reports whether the given member comes next.
func (p *plain) has(member string) bool {
	return len(p.rest) >= len(member) && string(p.rest[:len(member)]) == member
}

// skip goes past a member's name.
func (p *plain) skip(member string) {
	if p.other = p.other || !p.has(member); !p.other {
		p.rest = p.rest[len(member):]
	}
}

// string reads up to the end of a string that has begun.
func (p *plain) string() string {
	if p.other {
		return ""
	}
	for i, c := range p.rest {
		switch {
		case c == '"':
			s := string(p.rest[:i])
			p.rest = p.rest[i+1:]
			return s
		case c == '\\' || c >= utf8.RuneSelf: // escapes, and what may not be UTF-8
			p.other = true
			return ""
		}
	}
	p.other = true
	return ""
}

func (p *plain) text(member string) string {
	p.skip(member)
	return p.string()
}

func (p *plain) number(member string) int32 {
	p.skip(member)
	value := p.value()
	n, err := strconv.ParseInt(string(value), 10, 32)
	p.other = p.other || err != nil
	return int32(n)
}

func (p *plain) time(member string, set func([]byte) error) {
	p.skip(member)
	value := p.value()
	if !p.other {
		p.other = set(value) != nil
	}
}

// payload reads a value in the encoding JSON, if there is one.
func (p *plain) payload(member string) Payload {
	const open = `{"` + EncodingJSON + `":`
	if p.other || !p.has(member) {
		return Payload{}
	}
	p.skip(member)
	value := p.value()
	if p.other || len(value) <= len(open)+1 || string(value[:len(open)]) != open {
		p.other = true
		return Payload{}
	}
	inner := plain{rest: value[len(open):]}
	data := inner.value()
	p.other = string(inner.rest) != "}" || isSpace(data[0]) || isSpace(data[len(data)-1]) // a second member, or another form
	return Payload{Encoding: EncodingJSON, Data: data[:len(data):len(data)]}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// value reads a whole value of any kind.
func (p *plain) value() []byte {
	if p.other {
		return nil
	}
	n := valueLength(p.rest)
	value := p.rest[:n]
	p.rest = p.rest[n:]
	return value
}

// valueLength is the length of the value that valid JSON goes on with.
func valueLength(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return min(i+1, len(b))
		}
	}
	return len(b)
}

// elements splits an array of objects, written without white space between them. It reports false if it is anything
// else.
func elements(data []byte) ([]json.RawMessage, bool) {
	if len(data) < 2 || data[0] != '[' || data[len(data)-1] != ']' {
		return nil, false
	}
	if len(data) == 2 {
		return []json.RawMessage{}, true
	}
	var out []json.RawMessage
	for rest := data[1:]; len(rest) > 0 && rest[0] == '{'; rest = rest[1:] {
		n := valueLength(rest)
		if n == len(rest) {
			return nil, false
		}
		out = append(out, json.RawMessage(rest[:n:n]))
		if rest = rest[n:]; rest[0] == ']' {
			return out, len(rest) == 1
		} else if rest[0] != ',' {
			return nil, false
		}
	}
	return nil, false
}
