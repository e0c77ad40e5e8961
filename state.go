package pawl

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
)

// SetCustomStatus replaces the status that the instance shows to the outside: any value that can be encoded, as the
// progress of a long task. It is shown once the turn is committed, which is when the code next waits; of several in one turn
// the last counts. It stays over continue-as-new and after the end.
//
// The error is a *LimitError with ErrLimit (Limits.StatusBytes) or ErrBadPayload; the status is then as it was. What was
// refused once is refused in every replay, and what was allowed is allowed, also when the limit has changed meanwhile.
func SetCustomStatus(o *Context, v any) error {
	status, err := encode("custom status", v)
	if err != nil {
		return err
	}
	err = checkLimit(o.x, func() *replay.Excess {
		if size, limit := status.Size(), o.app.options.Limits.StatusBytes; size > limit {
			return &replay.Excess{What: limitStatus, Size: int64(size), Limit: int64(limit)}
		}
		return nil
	})
	if err == nil {
		o.x.SetCustomStatus(status)
	}
	return err
}

// CustomStatus returns the custom status of an instance as of its last committed turn, and its version: how often one was
// committed, 0 if none was. An unknown instance is an *InstanceError with ErrNotFound.
func CustomStatus[T any](ctx context.Context, app *App, instanceID string) (status T, version int64, err error) {
	e, err := app.runningFor(instanceID)
	if err != nil {
		return status, 0, fmt.Errorf("custom status: %w", err)
	}
	st, err := e.Read(ctx, instanceID)
	if err != nil {
		return status, 0, fmt.Errorf("custom status: %w", err)
	}
	return decodeStatus[T](instanceID, st)
}

// WaitForStatus waits until the version of an instance's custom status is another than the given one, as CustomStatus or an
// earlier WaitForStatus has returned it, and returns the status; 0 waits for the first, or returns what there is. Those who
// look at each status in turn may miss some that were replaced quickly, and never miss the last.
//
// When the instance has ended and there is no other status, the error is an *InstanceError with ErrNotRunning; there is none
// to come. An unknown instance is one with ErrNotFound.
func WaitForStatus[T any](ctx context.Context, app *App, instanceID string, after int64) (status T, version int64, err error) {
	e, err := app.runningFor(instanceID)
	if err != nil {
		return status, 0, fmt.Errorf("wait for status: %w", err)
	}
	st, err := e.WaitForStatus(ctx, instanceID, after)
	if err != nil {
		return status, 0, fmt.Errorf("wait for status of %q: %w", instanceID, err)
	}
	if st != nil && st.StatusVersion == after {
		return status, after, fmt.Errorf("wait for status: %w", &InstanceError{InstanceID: instanceID, Err: ErrNotRunning})
	}
	return decodeStatus[T](instanceID, st)
}

func decodeStatus[T any](instanceID string, st *provider.InstanceState) (status T, version int64, err error) {
	if st == nil {
		return status, 0, fmt.Errorf("custom status: %w", &InstanceError{InstanceID: instanceID, Err: ErrNotFound})
	}
	err = decodeStored("custom status of", instanceID, st.CustomStatus, &status)
	return status, st.StatusVersion, err
}

// decodeStored decodes a payload in the form in which a store keeps it.
func decodeStored(what, name string, stored []byte, out any) error {
	payload, err := storedPayload(what, name, stored)
	if err != nil {
		return err
	}
	return decode(what, name, payload, out)
}

func storedPayload(what, name string, stored []byte) (payload history.Payload, err error) {
	if len(stored) == 0 {
		return payload, nil
	}
	if err := json.Unmarshal(stored, &payload); err != nil {
		return payload, &payloadError{"decode " + what + " " + strconv.Quote(name), err}
	}
	return payload, nil
}

// rawDocument is the JSON document in a stored payload; of another encoding the payload as it is stored.
func rawDocument(stored []byte) json.RawMessage {
	payload, err := storedPayload("", "", stored)
	if err == nil && payload.Encoding == history.EncodingJSON {
		return payload.Data
	}
	return stored
}

// SetValue sets an entry of the instance's key-value state, which the outside can read and which stays over continue-as-new
// and after the end. The outside sees it once the turn is committed, which is when the code next waits, together with all else
// that the turn has set; Value sees it at once.
//
// The error is a *LimitError with ErrLimit (Limits.Values, ValueKeyBytes, ValueBytes), ErrInvalid or ErrBadPayload;
// the state is then as it was. As with SetCustomStatus a replay gives the same answer whatever the limits are by then.
func SetValue(o *Context, key string, v any) error {
	if err := checkKey(key); err != nil {
		return err
	}
	value, err := encode("value "+key, v)
	if err != nil {
		return err
	}
	if err := checkLimit(o.x, func() *replay.Excess { return o.valueExcess(key, value) }); err != nil {
		return err
	}
	o.x.SetValue(key, value)
	return nil
}

// valueExcess says which limit of this process forbids a value.
func (o *Context) valueExcess(key string, value history.Payload) *replay.Excess {
	limits := &o.app.options.Limits
	if excess := limits.valueExcess(key, value); excess != nil {
		return excess
	}
	if n := o.x.ValueCount(); n >= limits.Values && o.x.Value(key).IsZero() {
		return &replay.Excess{What: limitValues, Key: key, Size: int64(n) + 1, Limit: int64(limits.Values)}
	}
	return nil
}

// valueExcess says which limit forbids a value as such.
func (l *Limits) valueExcess(key string, value history.Payload) *replay.Excess {
	if n := len(key); n > l.ValueKeyBytes {
		return &replay.Excess{What: limitValueKey, Key: history.CleanText(key, 40), Size: int64(n), Limit: int64(l.ValueKeyBytes)}
	}
	if n := value.Size(); n > l.ValueBytes {
		return &replay.Excess{What: limitValue, Key: key, Size: int64(n), Limit: int64(l.ValueBytes)}
	}
	return nil
}

// checkKey reports what is wrong with a key, whatever the limits are.
func checkKey(key string) error {
	if len(key) > maxIDBytes { // the rest of what checkName looks at; how long it may be is an option
		return checkStorable("key of a value", key)
	}
	return checkName("key of a value", key)
}

// DeleteValue removes an entry of the key-value state. It is no error if there is none.
func DeleteValue(o *Context, key string) {
	if !o.x.Value(key).IsZero() {
		o.x.SetValue(key, history.Payload{})
	}
}

// Value returns an entry of the key-value state, as the code has set it; ok is false if there is none.
func Value[T any](o *Context, key string) (value T, ok bool, err error) {
	payload := o.x.Value(key)
	if payload.IsZero() {
		return value, false, nil
	}
	err = decode("value", key, payload, &value)
	return value, err == nil, err
}

// ReadValue returns an entry of an instance's key-value state as of its last committed turn, also after its end; ok is false
// if there is none. An unknown instance is an *InstanceError with ErrNotFound.
func ReadValue[T any](ctx context.Context, app *App, instanceID, key string) (value T, ok bool, err error) {
	values, err := app.readValues(ctx, instanceID, []string{key})
	if err != nil || len(values) == 0 {
		return value, false, err
	}
	err = decodeStored("value", key, values[0].Data, &value)
	return value, err == nil, err
}

// ReadValues returns the key-value state of an instance, as JSON documents: all its entries, or those of the given keys that
// there are. They are those of one committed turn: what a turn has set together is seen together. An unknown instance is an
// *InstanceError with ErrNotFound.
func (a *App) ReadValues(ctx context.Context, instanceID string, keys ...string) (map[string]json.RawMessage, error) {
	values, err := a.readValues(ctx, instanceID, keys)
	if err != nil {
		return nil, err
	}
	documents := make(map[string]json.RawMessage, len(values))
	for _, v := range values {
		documents[v.Key] = rawDocument(v.Data)
	}
	return documents, nil
}

func (a *App) readValues(ctx context.Context, instanceID string, keys []string) ([]provider.Value, error) {
	e, err := a.runningFor(instanceID)
	if err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	values, found, err := e.ReadValues(ctx, instanceID, keys)
	if err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	if !found {
		return nil, fmt.Errorf("read values: %w", &InstanceError{InstanceID: instanceID, Err: ErrNotFound})
	}
	return values, nil
}
