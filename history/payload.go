package history

import (
	"encoding/json"
	"fmt"
)

// EncodingJSON is the encoding of values that are JSON documents; they stay readable in the store.
const EncodingJSON = "json"

// Payload is a user's value in its stored form: bytes tagged with their encoding. As JSON it is an object with one
// member, named after the encoding: {"json": <document>} or {"<encoding>": "<base64>"}. The zero Payload is null.
type Payload struct {
	Encoding string
	Data     []byte
}

// IsZero reports whether there is no value (not even a JSON null); encoding/json omits such fields.
func (p Payload) IsZero() bool { return p.Encoding == "" }

// Size is the number of bytes of the value.
func (p Payload) Size() int { return len(p.Data) }

// MarshalJSON implements json.Marshaler.
func (p Payload) MarshalJSON() ([]byte, error) { return p.append(make([]byte, 0, len(p.Data)+16)) }

// UnmarshalJSON implements json.Unmarshaler.
func (p *Payload) UnmarshalJSON(data []byte) error {
	*p = Payload{}
	if string(data) == "null" {
		return nil
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	if len(m) != 1 {
		return fmt.Errorf("payload: want an object with one member, the encoding; got %d members", len(m))
	}
	for enc, raw := range m {
		if enc == "" {
			return fmt.Errorf("payload: empty encoding name")
		}
		p.Encoding = enc
		if enc == EncodingJSON {
			p.Data = raw
			return nil
		}
		if err := json.Unmarshal(raw, &p.Data); err != nil {
			return fmt.Errorf("payload in encoding %q: %w", enc, err)
		}
	}
	return nil
}
