package suite

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/pawlrun/pawl/internal/bench"
)

// The plots are laid out here, in units of SVG; the template only draws.
const (
	chartWidth  = 760.0
	labelWidth  = 150.0 // left of the axis
	rightMargin = 76.0  // for the text behind the last mark
	rowHeight   = 26.0
	topMargin   = 24.0 // for the names of guides
	axisHeight  = 26.0
)

// chart is rows of marks above a common axis.
type chart struct {
	Title, Unit          string
	Width, Height, Left  float64
	Right, Bottom        float64
	Ticks, Guides        []tick
	Rows                 []chartRow
	Marks                []string // names for the legend, by their place in a row
	FirstRow, AxisLabelY float64
}

// tick is a line across all rows with a name.
type tick struct {
	X    float64
	Name string
}

// chartRow is one line of a chart.
type chartRow struct {
	Name     string
	Y        float64
	From, To float64 // of the line that joins the marks
	Marks    []mark
	TextX    float64
	Text     string // behind the last mark
}

// mark is one value.
type mark struct {
	X     float64
	Kind  int // place in the legend
	Title string
}

// series is what a row shows: values from least to largest, and a text.
type series struct {
	name   string
	values []float64
	text   string
}

// logScale maps values to places, each power of ten as wide as the next.
type logScale struct{ low, high, left, right float64 }

// newLogScale covers all values with some room. There must be a positive one.
func newLogScale(values []float64, left, right float64) logScale {
	low, high := slices.Min(values), slices.Max(values)
	return logScale{math.Log10(low) - 0.05, math.Log10(high) + 0.05, left, right}
}

func (s logScale) at(v float64) float64 {
	return math.Round(10*(s.left+(math.Log10(v)-s.low)/(s.high-s.low)*(s.right-s.left))) / 10
}

// ticks are the powers of ten in the range, or halves of them if there are few.
func (s logScale) ticks(unit string) []tick {
	steps := []float64{1}
	if s.high-s.low < 2.5 {
		steps = []float64{1, 2, 5}
	}
	var all []tick
	for power := math.Floor(s.low); power <= s.high; power++ {
		for _, step := range steps {
			v := step * math.Pow(10, power)
			if l := math.Log10(v); l >= s.low && l <= s.high {
				all = append(all, tick{s.at(v), strconv.FormatFloat(rounded(v), 'f', -1, 64) + unit})
			}
		}
	}
	return all
}

// logChart lays out rows of marks on a logarithmic axis; nil if there is nothing to show.
func logChart(title, unit string, marks []string, rows []series, guides map[string]float64) *chart {
	var values []float64
	for _, r := range rows {
		values = append(values, r.values...)
	}
	for _, v := range guides {
		values = append(values, v)
	}
	values = slices.DeleteFunc(values, func(v float64) bool { return v <= 0 })
	if len(rows) == 0 || len(values) == 0 {
		return nil
	}
	c := &chart{Title: title, Unit: unit, Marks: marks, Width: chartWidth, Left: labelWidth, Right: chartWidth - rightMargin, FirstRow: topMargin}
	scale := newLogScale(values, c.Left, c.Right)
	c.Bottom = topMargin + rowHeight*float64(len(rows))
	c.Height = c.Bottom + axisHeight
	c.AxisLabelY = c.Bottom + 16
	c.Ticks = scale.ticks(unit)
	for name, v := range guides {
		if v > 0 {
			c.Guides = append(c.Guides, tick{scale.at(v), name})
		}
	}
	slices.SortFunc(c.Guides, func(a, b tick) int { return int(a.X - b.X) })
	for i, r := range rows {
		line := chartRow{Name: r.name, Y: topMargin + rowHeight*(float64(i)+0.5), Text: r.text, From: c.Left, To: c.Left}
		for kind, v := range r.values {
			if v <= 0 {
				continue
			}
			name := r.name
			if kind < len(marks) {
				name += " " + marks[kind]
			}
			line.Marks = append(line.Marks, mark{scale.at(v), kind, fmt.Sprintf("%s: %s%s", name, number(v), unit)})
			line.To = max(line.To, scale.at(v))
		}
		if len(r.values) > 1 && len(line.Marks) > 0 {
			line.From = line.Marks[0].X
		}
		line.TextX = line.To + 9
		c.Rows = append(c.Rows, line)
	}
	return c
}

// charts are those that compare the workloads.
func (r *Report) charts() []*chart {
	var latency, rate, toP1, toRate []series
	guides, rates := map[string]float64{}, map[string]float64{}
	if y := r.Yardstick.R1; y != nil {
		guides["p1"], rates["R1"] = bench.Millis(y.Latency.P50), y.Rate
		latency = append(latency, series{y.name(), percentiles(y.Latency), ""})
	}
	if y := r.Yardstick.R16; y != nil {
		rates["R16"] = y.Rate
		latency = append(latency, series{y.name(), percentiles(y.Latency), ""})
	}
	for _, w := range r.Workloads {
		if w.N == 0 || w.History != nil { // which is one workflow of a size that was asked for
			continue
		}
		x := w.Ratios()
		latency = append(latency, series{w.Name, percentiles(w.Latency), millis(w.Latency.P50) + " ms"})
		rate = append(rate, series{w.Name, []float64{w.Rate}, number(w.Rate) + "/s"})
		toP1 = append(toP1, series{w.Name, []float64{x["p50_to_p1"]}, number(x["p50_to_p1"]) + " p1"})
		limit, name := x["rate_to_r1"], "R1"
		if w.Limits.R16 > 0 {
			limit, name = x["rate_to_r16"], "R16"
		}
		toRate = append(toRate, series{w.Name, []float64{limit}, number(limit) + " " + name})
	}
	one := map[string]float64{"1": 1}
	all := []*chart{
		logChart("Latency (the number is p50)", " ms", []string{"p50", "p90", "p99", "max"}, latency, guides),
		logChart("Workflows a second", "", nil, rate, rates),
		logChart("Median latency as a multiple of p1", "", nil, toP1, one),
		logChart("Rate as a multiple of the raw limit", "", nil, toRate, one),
	}
	return slices.DeleteFunc(all, func(c *chart) bool { return c == nil })
}

func percentiles(l bench.Latency) []float64 {
	return []float64{bench.Millis(l.P50), bench.Millis(l.P90), bench.Millis(l.P99), bench.Millis(l.Max)}
}

// plot is bars, or dots, in one small picture.
type plot struct {
	Title         string
	Width, Height float64
	Base          float64 // where bars stand
	Bars          []bar
	Dots          []mark // Title says which; X and Y in the dot
	DotY          []float64
	Ticks         []tick
	YName         string
}

// bar is one bar of a plot.
type bar struct {
	X, Y, Width, Height float64
	Title               string
}

const (
	plotWidth  = 370.0
	plotHeight = 130.0
	plotTop    = 18.0
	plotBase   = 106.0
	plotLeft   = 8.0
	buckets    = 36
)

// plots are those of single workloads: the spread of the latencies, and the steps of a growing history.
func (r *Report) plots() []*plot {
	var all []*plot
	for _, w := range r.Workloads {
		if len(w.took) > 1 {
			all = append(all, histogram(w.Name, w.took))
		}
		if w.History != nil && len(w.History.steps) > 1 {
			all = append(all, overSteps(w.History.steps))
		}
	}
	return all
}

func histogram(name string, sorted []time.Duration) *plot {
	p := &plot{Title: fmt.Sprintf("%s: latencies of %d workflows", name, len(sorted)), Width: plotWidth, Height: plotHeight, Base: plotBase}
	all := bench.Histogram(sorted, buckets)
	most := 0
	for _, b := range all {
		most = max(most, b.N)
	}
	width := (plotWidth - 2*plotLeft) / float64(len(all))
	for i, b := range all {
		height := (plotBase - plotTop) * float64(b.N) / float64(most)
		if b.N > 0 {
			height = max(height, 1)
		}
		p.Bars = append(p.Bars, bar{plotLeft + width*float64(i), plotBase - height, width - 1, height,
			fmt.Sprintf("%s to %s ms: %d", millis(b.From), millis(b.To), b.N)})
	}
	if len(all) > 1 {
		scale := logScale{math.Log10(bench.Millis(all[0].From)), math.Log10(bench.Millis(all[len(all)-1].To)), plotLeft, plotWidth - plotLeft}
		p.Ticks = spaced(scale.ticks(" ms"), 52)
	}
	return p
}

// spaced leaves out ticks that are too close to the one before, or to an edge of the plot.
func spaced(ticks []tick, distance float64) []tick {
	var kept []tick
	for _, t := range ticks {
		if t.X < distance/2 || t.X > plotWidth-distance/2 {
			continue
		}
		if len(kept) == 0 || t.X-kept[len(kept)-1].X >= distance {
			kept = append(kept, t)
		}
	}
	return kept
}

// overSteps shows the median time of a step as the history grows: it should be level.
func overSteps(steps []time.Duration) *plot {
	n := min(len(steps), 120)
	medians := make([]time.Duration, n)
	for i := range medians {
		group := slices.Clone(steps[i*len(steps)/n : (i+1)*len(steps)/n])
		medians[i] = bench.Summarize(group).P50
	}
	top := 1.1 * float64(slices.Max(medians))
	p := &plot{Title: LargeHistory + ": median time of a step, over the steps", Width: plotWidth, Height: plotHeight, Base: plotBase,
		YName: millis(time.Duration(top)) + " ms"}
	width := (plotWidth - 2*plotLeft) / float64(n)
	for i, d := range medians {
		x := plotLeft + width*(float64(i)+0.5)
		p.Dots = append(p.Dots, mark{X: x, Title: fmt.Sprintf("about step %d: %s ms", i*len(steps)/n+1, millis(d))})
		p.DotY = append(p.DotY, plotBase-(plotBase-plotTop)*float64(d)/top)
	}
	p.Ticks = []tick{{plotLeft + 4, "1"}, {plotWidth - 30, fmt.Sprint(len(steps))}}
	return p
}
