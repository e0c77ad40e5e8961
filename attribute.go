package pawl

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
)

// SetAttribute is SetValue for an entry that the instance is found by: App.List with these Attributes returns it, once the
// turn is committed, for as long as the entry is set, also after the end. The value is a string, a number, a boolean or a
// time.Time, of any type whose JSON form is one of these; it is found by its value, whatever its Go type: 3 is 3.0, and a time
// is found in any location.
//
// Attributes are values in all else: Value and ReadValue read them, DeleteValue removes them, and SetValue of the same key makes
// it an entry that the instance is not found by any more. Do not put secrets in them: they are plain text in an index.
//
// The error is that of SetValue, ErrInvalid for a value of another kind, or a *LimitError for one that is larger than
// MaxAttributeBytes.
func SetAttribute(o *Context, key string, v any) error {
	if err := checkKey(key); err != nil {
		return err
	}
	value, err := attribute(key, v)
	if err != nil {
		return err
	}
	err = checkLimit(o.x, func() *replay.Excess {
		if excess := attributeExcess(key, value); excess != nil {
			return excess
		}
		return o.valueExcess(key, value)
	})
	if err == nil {
		o.x.SetSearchable(key, value)
	}
	return err
}

// MaxAttributeBytes bounds an attribute, as JSON: it is an index key, and is stored with its encoding beside it.
const MaxAttributeBytes = provider.MaxSearchableBytes - len(`{"`+history.EncodingJSON+`":}`)

// attribute encodes a value that instances are found by.
func attribute(key string, v any) (history.Payload, error) {
	value, err := history.Searchable(v)
	if err != nil {
		return value, fmt.Errorf("%w: attribute %q is a %T: %w", ErrInvalid, key, v, err)
	}
	return value, nil
}

func attributeExcess(key string, value history.Payload) *replay.Excess {
	if n := value.Size(); n > MaxAttributeBytes {
		return &replay.Excess{What: limitAttribute, Key: history.CleanText(key, 40), Size: int64(n), Limit: int64(MaxAttributeBytes)}
	}
	return nil
}

// initialValues encodes what an instance begins with. options is the type of what they are fields of.
func initialValues(options string, memo, attributes map[string]any) (map[string]history.Value, error) {
	if len(memo)+len(attributes) == 0 {
		return nil, nil
	}
	values := make(map[string]history.Value, len(memo)+len(attributes))
	for _, key := range slices.Sorted(maps.Keys(memo)) {
		value, err := encode("value "+key, memo[key])
		if err == nil {
			err = checkKey(key)
		}
		if err != nil {
			return nil, fmt.Errorf("%s.Memo: %w", options, err)
		}
		values[key] = history.Value{Data: value}
	}
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		value, err := attribute(key, attributes[key])
		if err == nil {
			err = checkKey(key)
		}
		if _, twice := values[key]; twice && err == nil {
			err = fmt.Errorf("%w: key %q is in Memo too", ErrInvalid, key)
		}
		if err != nil {
			return nil, fmt.Errorf("%s.Attributes: %w", options, err)
		}
		values[key] = history.Value{Data: value, Searchable: true}
	}
	return values, nil
}

// valuesExcess says which limit forbids what an instance is to begin with.
func (l *Limits) valuesExcess(values map[string]history.Value) *replay.Excess {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		v := values[key]
		if v.Searchable {
			if excess := attributeExcess(key, v.Data); excess != nil {
				return excess
			}
		}
		if excess := l.valueExcess(key, v.Data); excess != nil {
			return excess
		}
	}
	if n := len(values); n > l.Values {
		return &replay.Excess{What: limitValues, Size: int64(n), Limit: int64(l.Values)}
	}
	return nil
}

// childValues checks and encodes what an instance that the code starts begins with.
func (o *Context) childValues(options string, memo, attributes map[string]any) (map[string]history.Value, error) {
	values, err := initialValues(options, memo, attributes)
	if err == nil && len(values) > 0 {
		err = checkLimit(o.x, func() *replay.Excess { return o.app.options.Limits.valuesExcess(values) })
	}
	return values, err
}
