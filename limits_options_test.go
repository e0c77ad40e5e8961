package pawl

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// TestLimitsOfOptions: every limit has a default, a field of its own in the error's table, and a range that is kept.
func TestLimitsOfOptions(t *testing.T) {
	preset, err := Limits{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	fields := reflect.ValueOf(preset)
	if n := len(preset.bounds()); n != fields.NumField() {
		t.Fatalf("%d fields, %d have bounds", fields.NumField(), n)
	}
	for i := range fields.NumField() {
		name := fields.Type().Field(i).Name
		b := preset.bounds()[i]
		if b.name != name || fields.Field(i).Int() != int64(b.preset) || b.preset < b.smallest || b.preset > b.largest {
			t.Errorf("%s: %+v, default %d", name, b, fields.Field(i).Int())
		}
		for value, ok := range map[int]bool{b.largest: true, b.largest + 1: false, b.smallest: true, b.smallest - 1: b.smallest == 1, -1: false} {
			l := preset
			*l.bounds()[i].field = value
			switch name { // others follow from these
			case "PayloadBytes":
				l.TurnBytes = 0
			case "ValueBytes":
				l.Values = 0
			}
			switch _, err := l.withDefaults(); {
			case ok && err != nil:
				t.Errorf("%s = %d: %v", name, value, err)
			case !ok && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "Options.Limits."+name)):
				t.Errorf("%s = %d: %v", name, value, err)
			}
		}
	}
	for what, option := range limitOptions {
		if option == "" {
			continue // fixed
		}
		if _, ok := reflect.TypeFor[Limits]().FieldByName(strings.TrimPrefix(option, "Limits.")); !ok {
			t.Errorf("%s: Options has no %s", what, option)
		}
	}
	if err := New(nil, &Options{Limits: Limits{Values: -1}}).Start(t.Context()); !errors.Is(err, ErrInvalid) {
		t.Errorf("start with a wrong limit: %v", err)
	}
}

// TestLimitErrorCrosses: on the other side of a border the error is found as it was.
func TestLimitErrorCrosses(t *testing.T) {
	original := &LimitError{What: limitValue, Key: "k", Size: 11, Limit: 10, Option: "Limits.ValueBytes"}
	for name, err := range map[string]error{"once": cross(t, original), "twice": cross(t, &ActivityError{Activity: "a", Err: cross(t, original)})} {
		var found *LimitError
		if !errors.Is(err, ErrLimit) || !errors.As(err, &found) || *found != *original || !strings.Contains(err.Error(), original.Error()) {
			t.Errorf("%s: %v, %+v", name, err, found)
		}
	}
	var none *LimitError
	if err := cross(t, ErrLimit); !errors.Is(err, ErrLimit) || errors.As(err, &none) {
		t.Errorf("%v, %+v", err, none)
	}
	if errors.As(cross(t, errors.New("x")), &none) {
		t.Error("found what is not there")
	}
	if f := recordFailure(original); f.Code != "" || f.Kind != "limit" {
		t.Errorf("%+v", f)
	}
}
