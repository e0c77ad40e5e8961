package suite

import (
	"bytes"
	"encoding/json"
	"math"
	"time"

	"github.com/pawlrun/pawl/internal/bench"
)

// Report is what a run has found. As JSON its keys are part of the interface (docs/cli.md).
type Report struct {
	Pawl        string        `json:"pawl"`
	BegunAt     time.Time     `json:"begun_at"`
	Took        Seconds       `json:"took_s"`
	Interrupted bool          `json:"interrupted"`
	Failures    int           `json:"failures"`
	Warnings    []string      `json:"warnings"`
	Machine     bench.Machine `json:"machine"`
	Store       Store         `json:"store"`
	Options     Conditions    `json:"options"`
	Yardstick   Yardsticks    `json:"yardstick"`
	Workloads   Workloads     `json:"workloads"`
}

// Seconds is a duration that is written in seconds.
type Seconds time.Duration

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(math.Round(time.Duration(s).Seconds()*1e3) / 1e3)
}

// Store is what was measured.
type Store struct {
	Kind    string          `json:"kind"` // postgres or sqlite
	Where   string          `json:"where"`
	Schema  string          `json:"schema,omitempty"` // made for the run, and dropped
	Durable bool            `json:"durable"`
	Setting []bench.Setting `json:"-"`
}

// MarshalJSON implements json.Marshaler: the settings are an object.
func (s Store) MarshalJSON() ([]byte, error) {
	type plain Store
	settings := map[string]string{}
	for _, x := range s.Setting {
		settings[x.Name] = x.Value
	}
	return json.Marshal(struct {
		plain
		Settings map[string]string `json:"settings"`
	}{plain(s), settings})
}

// Conditions are the options of the run that its figures depend on.
type Conditions struct {
	Duration  Seconds `json:"duration_s"`
	Count     int     `json:"count"`
	Slots     int     `json:"slots"`
	Payload   int     `json:"payload_bytes"`
	Apart     bool    `json:"apart"`
	RTT       float64 `json:"rtt_ms"`
	Warmup    Seconds `json:"warmup_s"`
	Yardstick Seconds `json:"yardstick_s"`
}

// Yardsticks are the raw limits, of all the times they were measured together.
type Yardsticks struct {
	R1  *Yardstick `json:"r1"`
	R16 *Yardstick `json:"r16"` // of PostgreSQL only: SQLite has one writer
}

// Yardstick is the raw limit on a number of connections.
type Yardstick struct {
	bench.Raw
	Cost Cost `json:"per_commit"`
}

// Limits are the raw limits measured next to a workload, before and after it.
type Limits struct {
	P1  time.Duration
	R1  float64
	R16 float64 // 0 if there is none
}

// MarshalJSON implements json.Marshaler.
func (l Limits) MarshalJSON() ([]byte, error) {
	v := struct {
		P1  float64  `json:"p1_ms"`
		R1  float64  `json:"r1"`
		R16 *float64 `json:"r16"`
	}{P1: bench.Millis(l.P1), R1: l.R1}
	if l.R16 > 0 {
		v.R16 = &l.R16
	}
	return json.Marshal(v)
}

// Cost is what one workflow, step or commit cost. What could not be measured is nil.
type Cost struct {
	Commits    *float64 `json:"commits"`
	WALBytes   *float64 `json:"wal_bytes"`
	ServerCPU  *float64 `json:"server_cpu_ms"`
	ClientCPU  *float64 `json:"client_cpu_ms"`
	RoundTrips *float64 `json:"round_trips"`
}

// Workload is what one workload has found.
type Workload struct {
	Name     string        `json:"-"`
	What     string        `json:"what"`
	InFlight int           `json:"in_flight"`
	N        int           `json:"n"`
	Failures int           `json:"failures"`
	Elapsed  Seconds       `json:"elapsed_s"`
	Rate     float64       `json:"rate"`
	Latency  bench.Latency `json:"latency"`
	Limits   Limits        `json:"yardstick"`
	Cost     Cost          `json:"per_workflow"`
	// Checkpoint: one has begun since the run did, so that the WAL holds full-page images.
	Checkpoint bool                     `json:"checkpoint"`
	Lateness   *bench.Latency           `json:"lateness,omitempty"` // of timers
	Parts      map[string]bench.Latency `json:"parts,omitempty"`    // of the mixed workload
	History    *History                 `json:"history,omitempty"`  // of the large history

	took []time.Duration // sorted
}

// MarshalJSON implements json.Marshaler: with the ratios.
func (w Workload) MarshalJSON() ([]byte, error) {
	type plain Workload
	return json.Marshal(struct {
		plain
		Ratio map[string]float64 `json:"ratio"`
	}{plain(w), w.Ratios()})
}

// Ratios are the figures in terms of the raw limits beside them. The rate of a workload in which one thing is done after
// another says no more than its latency, but is there all the same.
func (w *Workload) Ratios() map[string]float64 {
	l := w.Latency
	r := map[string]float64{
		"mean_to_p1": ratio(l.Mean, w.Limits.P1), "p50_to_p1": ratio(l.P50, w.Limits.P1), "p90_to_p1": ratio(l.P90, w.Limits.P1),
		"p99_to_p1": ratio(l.P99, w.Limits.P1), "max_to_p1": ratio(l.Max, w.Limits.P1), "rate_to_r1": rounded(w.Rate / w.Limits.R1),
	}
	if w.Limits.R16 > 0 {
		r["rate_to_r16"] = rounded(w.Rate / w.Limits.R16)
	}
	return r
}

func ratio(d, unit time.Duration) float64 { return rounded(float64(d) / float64(unit)) }

// rounded keeps four digits: more would not be repeatable. What is not a number becomes 0.
func rounded(x float64) float64 {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(x))))
	return math.Round(x*scale) / scale
}

// History is what the large history has found.
type History struct {
	Events int   `json:"events"`
	Steps  int   `json:"steps"`
	Early  Phase `json:"early"`
	Late   Phase `json:"late"`
	// LateToEarly compares the medians of a step.
	LateToEarly float64 `json:"late_to_early"`
	// Cold is from the raise of an event to the first activity that follows in an app that has never seen the instance
	// and reads its whole history; ColdSmall is the same for an instance with SmallEvents events.
	Cold        bench.Latency `json:"cold"`
	ColdSmall   bench.Latency `json:"cold_small"`
	SmallEvents int           `json:"small_events"`

	steps []time.Duration // in order
}

// Phase is what a step of a growing history cost.
type Phase struct {
	FromStep int           `json:"from_step"`
	ToStep   int           `json:"to_step"`
	Latency  bench.Latency `json:"latency"`
	Cost     Cost          `json:"per_step"`
}

// Workloads are in the order they ran in.
type Workloads []*Workload

// MarshalJSON implements json.Marshaler: an object with the names as keys, in order.
func (all Workloads) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, w := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(w.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(w)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
