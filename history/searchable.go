package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Searchable encodes a value that instances are found by: a string, a number, a boolean or a time. Values that are equal have
// the same bytes, whatever Go type they had: numbers are whole or the nearest float64, times are strings in UTC.
func Searchable(v any) (Payload, error) {
	if t, ok := v.(time.Time); ok {
		v = t.UTC()
	}
	data, err := json.Marshal(v)
	if err != nil {
		return Payload{}, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		return Payload{}, err
	}
	switch scalar := v.(type) {
	case bool:
	case string: // anew, for there are many ways to escape one
		if data, err = json.Marshal(scalar); err != nil {
			return Payload{}, err
		}
	case json.Number:
		if data, err = appendNumber(nil, string(scalar)); err != nil {
			return Payload{}, err
		}
	default:
		return Payload{}, fmt.Errorf("neither a string, nor a number, a boolean or a time: %.40s", data)
	}
	return Payload{Encoding: EncodingJSON, Data: data}, nil
}

// appendNumber appends the one form of a number in JSON.
func appendNumber(dst []byte, number string) ([]byte, error) {
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		return strconv.AppendInt(dst, n, 10), nil
	}
	if n, err := strconv.ParseUint(number, 10, 64); err == nil {
		return strconv.AppendUint(dst, n, 10), nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return dst, fmt.Errorf("number %.40s is too large", number)
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<63 {
		return strconv.AppendInt(dst, int64(f), 10), nil
	}
	data, err := json.Marshal(f)
	return append(dst, data...), err
}
