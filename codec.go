package pawl

import (
	"encoding/json"
	"fmt"
	"strconv"

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

// decode reads a payload into out. No payload leaves out as it is. An error says what it is, and of what: name, "" if that
// goes without saying.
func decode(what, name string, p history.Payload, out any) error {
	if p.IsZero() {
		return nil
	}
	var err error
	if p.Encoding == history.EncodingJSON {
		err = json.Unmarshal(p.Data, out)
	} else {
		err = fmt.Errorf("unknown encoding %q", p.Encoding)
	}
	switch {
	case err == nil:
		return nil
	case name != "":
		what += " " + strconv.Quote(name)
	}
	return &payloadError{"decode " + what, err}
}
