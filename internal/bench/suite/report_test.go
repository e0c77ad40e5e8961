package suite

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/pawlrun/pawl/internal/bench"
)

func ms(values ...float64) []time.Duration {
	var all []time.Duration
	for _, v := range values {
		all = append(all, time.Duration(v*float64(time.Millisecond)))
	}
	return all
}

// sample is a report with everything in it.
func sample() *Report {
	n := func(v float64) *float64 { return &v }
	cost := Cost{Commits: n(2), WALBytes: n(2400), ServerCPU: n(0.3), ClientCPU: n(0.25)}
	latency := bench.Summarize(ms(1, 2, 3, 10))
	limits := Limits{P1: 200 * time.Microsecond, R1: 4000, R16: 16000}
	raw := func(connections int, rate float64) *Yardstick {
		return &Yardstick{Raw: bench.Raw{Connections: connections, Rate: rate, Latency: bench.Summarize(ms(0.2, 0.3))}, Cost: cost}
	}
	return &Report{
		Pawl: "v1", Failures: 1, Warnings: []string{`hello: "<script>" & more`}, Machine: bench.ThisMachine(),
		Store:     Store{Kind: "postgres", Where: "db/app", Schema: "pawl_bench_1", Setting: []bench.Setting{{Name: "server_version", Value: "15.8"}, {Name: "fsync", Value: "off"}}},
		Options:   Conditions{Slots: 100, Payload: 100, Apart: true, RTT: 80},
		Yardstick: Yardsticks{R1: raw(1, 4000), R16: raw(16, 16000)},
		Workloads: Workloads{
			{Name: "throughput", What: "many", InFlight: 64, N: 4, Rate: 8000, Latency: latency, Limits: limits, Cost: cost, Checkpoint: true, took: ms(1, 2, 3, 10)},
			{Name: "hello", InFlight: 1, Failures: 1, Limits: limits},
			{Name: "timers", InFlight: 1, N: 4, Latency: latency, Limits: limits, Lateness: &latency, took: ms(1, 1, 1, 1)},
			{Name: "mixed", InFlight: 1, N: 4, Latency: latency, Limits: limits, Parts: map[string]bench.Latency{"hello": latency, "fanout": latency}, took: ms(1, 2)},
			{Name: LargeHistory, InFlight: 1, N: 1, Latency: latency, Limits: limits, History: &History{Events: 3000, Steps: 1000, SmallEvents: 40,
				Early: Phase{10, 110, latency, cost}, Late: Phase{899, 999, latency, cost}, LateToEarly: 1.01, Cold: latency, ColdSmall: latency, steps: ms(1, 2, 3, 4, 5)}},
		},
	}
}

func TestJSONKeys(t *testing.T) {
	data, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Store     struct{ Settings map[string]string }
		Yardstick map[string]struct {
			Rate      float64
			PerCommit map[string]*float64 `json:"per_commit"`
		}
		Workloads map[string]struct {
			Rate        float64
			Latency     map[string]float64
			Ratio       map[string]float64
			PerWorkflow map[string]*float64 `json:"per_workflow"`
			History     struct{ Early map[string]any }
		}
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	w := got.Workloads["throughput"]
	if w.Rate != 8000 || w.Latency["p99_ms"] != 10 || w.Ratio["rate_to_r16"] != 0.5 || w.Ratio["p50_to_p1"] != 10 || *w.PerWorkflow["commits"] != 2 {
		t.Errorf("throughput: %+v", w)
	}
	if v, there := w.PerWorkflow["round_trips"]; !there || v != nil {
		t.Error("what was not measured must be there, and null")
	}
	if got.Store.Settings["fsync"] != "off" || got.Yardstick["r16"].Rate != 16000 || *got.Yardstick["r1"].PerCommit["commits"] != 2 {
		t.Errorf("store or yardstick: %s", data)
	}
	if got.Workloads[LargeHistory].History.Early["per_step"] == nil {
		t.Errorf("history: %s", data)
	}
	if first, second := strings.Index(string(data), `"throughput":`), strings.Index(string(data), `"hello":{"what"`); first > second {
		t.Error("workloads are not in the order they ran in")
	}
}

func TestText(t *testing.T) {
	var b strings.Builder
	if err := sample().Text(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"PostgreSQL 15.8 (db/app, schema pawl_bench_1, dropped)", "fsync=off", `WARNING: hello: "<script>" & more`, "80 ms added to each round trip",
		"client and worker apart", "0.5 R16", "10.0 p1", "raw commits, R16", "full-page images", "steps 11 to 110", "3000 events", "n/a",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &b)
		}
	}
	for _, line := range strings.Split(b.String(), "\n") {
		if strings.TrimRight(line, " ") != line {
			t.Errorf("line ends in spaces: %q", line)
		}
	}
}

// The page must be well-formed, take nothing from elsewhere, and escape what it is told.
func TestHTML(t *testing.T) {
	for name, r := range map[string]*Report{"everything": sample(), "nearly nothing": {Workloads: Workloads{{Name: "hello", Failures: 3}}}} {
		var b strings.Builder
		if err := r.HTML(&b); err != nil {
			t.Fatal(err)
		}
		page := b.String()
		count := map[string]int{}
		d := xml.NewDecoder(strings.NewReader(page))
		d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
		for depth := 0; ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				if depth != 0 {
					t.Errorf("%s: %d elements are not closed", name, depth)
				}
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			switch e := token.(type) {
			case xml.StartElement:
				depth++
				count[e.Name.Local]++
				for _, a := range e.Attr {
					if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") || a.Name.Local == "src" || a.Name.Local == "href" {
						t.Errorf("%s: <%s %s=%q>", name, e.Name.Local, a.Name.Local, a.Value)
					}
				}
			case xml.EndElement:
				depth--
			}
		}
		for _, foreign := range []string{"http:", "https:", "url(", "@import", "<script"} {
			if strings.Contains(page, foreign) {
				t.Errorf("%s: the page holds %q", name, foreign)
			}
		}
		if name == "everything" && (count["svg"] != 9 || count["rect"] == 0 || count["circle"] == 0 || count["table"] != 6 || !strings.Contains(page, "prefers-color-scheme: dark")) {
			t.Errorf("the page has %v", count)
		}
	}
}
