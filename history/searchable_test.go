package history

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

type tenant string

func TestSearchable(t *testing.T) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 500_000_000, time.UTC)
	for _, c := range []struct {
		want   string
		values []any
	}{
		{`"acme"`, []any{"acme", tenant("acme"), json.RawMessage(`"acme"`), json.RawMessage(` "\u0061cme" `)}},
		{`""`, []any{"", json.RawMessage(`""`)}},
		{`"\u003c\u0026\u2028é\u0000"`, []any{"<&\u2028é\x00", json.RawMessage(`"\u003C&\u2028\u00e9\u0000"`)}},
		{`17`, []any{17, int8(17), uint64(17), 17.0, float32(17), json.Number("17"), json.RawMessage(`1.70e1`)}},
		{`-17`, []any{-17, -17.0}},
		{`0`, []any{0, 0.0, math.Copysign(0, -1), json.RawMessage("-0"), json.RawMessage("-0.0")}},
		{`0.1`, []any{0.1, float32(0.1), json.RawMessage("0.10"), json.RawMessage("1e-1")}},
		{`9223372036854775807`, []any{int64(math.MaxInt64)}},
		{`18446744073709551615`, []any{uint64(math.MaxUint64)}},
		{`1e+23`, []any{1e23, json.RawMessage("100000000000000000000000")}},
		{`true`, []any{true, json.RawMessage("true")}},
		{`"2026-11-22T12:00:00.5Z"`, []any{noon, noon.In(time.FixedZone("x", 3600)), "2026-11-22T12:00:00.5Z"}},
	} {
		for _, v := range c.values {
			got, err := Searchable(v)
			if err != nil || string(got.Data) != c.want || got.Encoding != EncodingJSON {
				t.Errorf("%T %v is %s, %v; want %s", v, v, got.Data, err, c.want)
			}
		}
	}
	for _, bad := range []any{nil, []string{"a"}, map[string]int{}, struct{}{}, math.NaN(), math.Inf(1), func() {}, json.RawMessage("{"), json.RawMessage("1e999"),
		time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), (*int)(nil)} {
		if got, err := Searchable(bad); err == nil || strings.TrimSpace(err.Error()) == "" {
			t.Errorf("%T %v is %s, %v", bad, bad, got.Data, err)
		}
	}
}
