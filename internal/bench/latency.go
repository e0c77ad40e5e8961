package bench

import (
	"encoding/json"
	"math"
	"slices"
	"time"
)

// Latency sums up how long a number of things took.
type Latency struct {
	N                        int
	Mean, P50, P90, P99, Max time.Duration
}

// Summarize sums up durations, which it sorts. Without any the result is zero.
func Summarize(took []time.Duration) Latency {
	if len(took) == 0 {
		return Latency{}
	}
	slices.Sort(took)
	var sum float64
	for _, d := range took {
		sum += float64(d)
	}
	return Latency{
		N: len(took), Mean: time.Duration(sum / float64(len(took))),
		P50: Percentile(took, 50), P90: Percentile(took, 90), P99: Percentile(took, 99), Max: took[len(took)-1],
	}
}

// Percentile returns the least of the sorted durations that p percent of them do not exceed. There must be at least one.
func Percentile(sorted []time.Duration, p float64) time.Duration {
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Millis is a duration in milliseconds, to the microsecond.
func Millis(d time.Duration) float64 { return float64(d.Round(time.Microsecond).Microseconds()) / 1e3 }

// MarshalJSON implements json.Marshaler: in milliseconds.
func (l Latency) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		N    int     `json:"n"`
		Mean float64 `json:"mean_ms"`
		P50  float64 `json:"p50_ms"`
		P90  float64 `json:"p90_ms"`
		P99  float64 `json:"p99_ms"`
		Max  float64 `json:"max_ms"`
	}{l.N, Millis(l.Mean), Millis(l.P50), Millis(l.P90), Millis(l.P99), Millis(l.Max)})
}

// Bucket is one bar of a histogram.
type Bucket struct {
	From, To time.Duration // To is not part of it, but in the last one
	N        int
}

// Histogram sorts durations, which must be sorted, into at most n buckets whose widths grow by a constant factor, as
// latencies are spread. Without durations there are no buckets.
func Histogram(sorted []time.Duration, n int) []Bucket {
	if len(sorted) == 0 {
		return nil
	}
	low, high := max(sorted[0], time.Microsecond), sorted[len(sorted)-1]
	if high <= low || n < 2 {
		return []Bucket{{From: sorted[0], To: high, N: len(sorted)}}
	}
	factor := math.Pow(float64(high)/float64(low), 1/float64(n))
	buckets := make([]Bucket, n)
	for i := range buckets {
		buckets[i].From = time.Duration(float64(low) * math.Pow(factor, float64(i)))
		buckets[i].To = time.Duration(float64(low) * math.Pow(factor, float64(i+1)))
	}
	buckets[n-1].To = high
	at := 0
	for _, d := range sorted {
		for at < n-1 && d >= buckets[at].To {
			at++
		}
		buckets[at].N++
	}
	return buckets
}
