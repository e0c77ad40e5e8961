package pawl

import (
	"encoding/json"
	"fmt"

	"github.com/pawlrun/pawl/history"
)

// payloadError is a value that cannot be encoded or decoded.
type payloadError struct {
	what string
	err  error
}

func (e *payloadError) Error() string   { return e.what + ": " + e.err.Error() }
func (e *payloadError) Unwrap() []error { return []error{ErrBadPayload, e.err} }

// encode turns a user's value into a payload.
func encode(what string, v any) (history.Payload, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return history.Payload{}, &payloadError{"encode " + what, err}
	}
	return history.Payload{Encoding: history.EncodingJSON, Data: data}, nil
}

// decode reads a payload into out. No payload leaves out as it is.
func decode(what string, p history.Payload, out any) error {
	if p.IsZero() {
		return nil
	}
	if p.Encoding != history.EncodingJSON {
		return &payloadError{"decode " + what, fmt.Errorf("unknown encoding %q", p.Encoding)}
	}
	if err := json.Unmarshal(p.Data, out); err != nil {
		return &payloadError{"decode " + what, err}
	}
	return nil
}
