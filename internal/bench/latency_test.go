package bench_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/pawlrun/pawl/internal/bench"
)

func milliseconds(values ...int) []time.Duration {
	all := make([]time.Duration, len(values))
	for i, v := range values {
		all[i] = time.Duration(v) * time.Millisecond
	}
	return all
}

func TestSummarize(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i
	}
	for name, test := range map[string]struct {
		took []time.Duration
		want bench.Latency
	}{
		"none":    {nil, bench.Latency{}},
		"one":     {milliseconds(7), bench.Latency{1, 7e6, 7e6, 7e6, 7e6, 7e6}},
		"two":     {milliseconds(9, 1), bench.Latency{2, 5e6, 1e6, 9e6, 9e6, 9e6}},
		"hundred": {milliseconds(hundred...), bench.Latency{100, 50.5e6, 50e6, 90e6, 99e6, 100e6}},
	} {
		if got := bench.Summarize(test.took); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func TestLatencyIsInMilliseconds(t *testing.T) {
	got, err := json.Marshal(bench.Summarize([]time.Duration{1_234_567, 2_000_400}))
	if want := `{"n":2,"mean_ms":1.617,"p50_ms":1.235,"p90_ms":2,"p99_ms":2,"max_ms":2}`; err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

func TestHistogram(t *testing.T) {
	if b := bench.Histogram(nil, 10); b != nil {
		t.Errorf("of nothing: %v", b)
	}
	if b := bench.Histogram(milliseconds(3, 3, 3), 10); len(b) != 1 || b[0].N != 3 {
		t.Errorf("of equals: %v", b)
	}
	buckets := bench.Histogram(milliseconds(1, 1, 2, 4, 9, 10, 99, 100), 2)
	want := []bench.Bucket{{From: time.Millisecond, To: 10 * time.Millisecond, N: 5}, {From: 10 * time.Millisecond, To: 100 * time.Millisecond, N: 3}}
	for i := range want {
		if i >= len(buckets) || buckets[i].N != want[i].N || buckets[i].From.Round(time.Microsecond) != want[i].From || buckets[i].To.Round(time.Microsecond) != want[i].To {
			t.Fatalf("%v, want %v", buckets, want)
		}
	}
}

func TestUndurable(t *testing.T) {
	for _, test := range []struct {
		settings []bench.Setting
		want     int
	}{
		{[]bench.Setting{{Name: "fsync", Value: "on"}, {Name: "synchronous_commit", Value: "local"}, {Name: "commit_delay", Value: "off"}}, 0},
		{[]bench.Setting{{Name: "fsync", Value: "off"}, {Name: "synchronous_commit", Value: "off"}, {Name: "full_page_writes", Value: "off"}}, 3},
	} {
		if got := bench.Undurable(test.settings); len(got) != test.want {
			t.Errorf("%v: %q, want %d", test.settings, got, test.want)
		}
	}
}
