package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pawlrun/pawl/cli"
	"github.com/pawlrun/pawl/internal/metering"
)

// conclusion is what a run comes to, as JSON with --json.
type conclusion struct {
	Tree       string          `json:"tree"`
	Report     Report          `json:"report"`
	Workers    int             `json:"workers"`
	Store      string          `json:"store"`
	Activities int             `json:"activities"`    // different ones
	Executions int             `json:"executions"`    // of them
	Twice      int             `json:"executedTwice"` // activities executed more than once
	Lapsed     int             `json:"lapsed,omitempty"`
	Abandoned  int             `json:"abandoned,omitempty"`
	Kills      []killReport    `json:"kills"`
	Counts     metering.Counts `json:"counts"`
	Seconds    float64         `json:"seconds"`
	Resumed    bool            `json:"resumed"`
	Plain      float64         `json:"plainSeconds"`
	Faults     []string        `json:"faults"`
	EffectLog  string          `json:"effectLog"`
	KeptStore  string          `json:"keptStore,omitempty"`
}

// killReport is one kill and what came of it.
type killReport struct {
	Worker       string  `json:"worker"`
	Done         int     `json:"packagesDone"`
	Running      int     `json:"running"`  // activities it was executing
	Held         int     `json:"held"`     // those, and those whose results were on their way to the store
	Repeated     int     `json:"repeated"` // those of them begun again
	FirstSeconds float64 `json:"firstTakeoverSeconds,omitempty"`
	LastSeconds  float64 `json:"lastTakeoverSeconds,omitempty"`
	Interrupted  bool    `json:"interrupted,omitempty"`
}

// conclude checks the finished census, prints what it comes to and clears up. The workers have ended.
func (r *run) conclude(ctx context.Context, report Report) error {
	c := r.sumUp(report)
	var err error
	if c.Counts, err = r.space.counts(); err != nil {
		return err
	}
	r.progress.say("The result is there. Counting once more, plainly, to compare.")
	began := time.Now()
	plain, err := countPlainly(r.tree, func() error { return context.Cause(ctx) })
	if err != nil {
		return err
	}
	c.Plain = time.Since(began).Seconds()
	if !reflect.DeepEqual(plain, report) {
		c.Faults = append(c.Faults, fmt.Sprintf("the result differs from the plain count (%+v); has the tree changed meanwhile?", plain))
	}
	if r.flags.keep {
		c.KeptStore = r.space.storeURL
	}
	if err := r.space.finish(r.flags.keep || len(c.Faults) > 0); err != nil {
		return err
	}
	if r.session.JSON() {
		err = json.NewEncoder(r.session.Stdout()).Encode(c)
	} else {
		err = c.print(r.session.Stdout(), r.session.Name())
	}
	if err == nil && len(c.Faults) > 0 {
		err = &cli.Error{Code: cli.ExitFailed, Err: fmt.Errorf("the demo failed: %s", strings.Join(c.Faults, "; "))}
	}
	return err
}

// sumUp reads the effect log's verdict.
func (r *run) sumUp(report Report) *conclusion {
	v := r.ledger.verdict()
	c := &conclusion{Tree: r.tree, Report: report, Workers: r.flags.workers, Store: cli.StoreName(r.space.storeURL), Activities: v.activities,
		Executions: r.ledger.begun, Twice: v.repeated, Lapsed: v.lapsed, Abandoned: v.abandoned, Kills: []killReport{}, Seconds: time.Since(r.began).Seconds(),
		Resumed: r.space.resumed, Faults: append([]string{}, v.faults...), EffectLog: r.space.effects()}
	groups := map[string]bool{}
	for _, p := range r.packages {
		groups[groupOf(p)] = true
	}
	// One to find the groups, one in each to find its packages, one for each package.
	if want := 1 + len(groups) + len(r.packages); v.activities != want {
		c.Faults = append(c.Faults, fmt.Sprintf("%d different activities were executed, not %d", v.activities, want))
	}
	for _, k := range r.ledger.kills {
		t := r.ledger.takeoverOf(k)
		c.Kills = append(c.Kills, killReport{Worker: k.worker, Done: k.done, Running: t.running, Held: t.held, Repeated: t.repeated,
			FirstSeconds: t.first.Seconds(), LastSeconds: t.last.Seconds(), Interrupted: !t.whole})
	}
	return c
}

func (c *conclusion) print(out io.Writer, program string) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...)) // an error shows in Flush
	}
	r := &c.Report
	row("tree", "%s", c.Tree)
	row("counted", "%s, %s (%d broken), %s, %s, %s", packages(r.Packages), counted(r.Files, "file", "files"), r.Broken, counted(r.Lines, "line", "lines"), counted(r.Declarations, "declaration", "declarations"), counted(r.Imports, "import", "imports"))
	if r.Longest.Lines > 0 {
		row("longest function", "%s, %s", r.Longest.Name, counted(r.Longest.Lines, "line", "lines"))
	}
	for i, p := range r.Largest {
		name := ""
		if i == 0 {
			name = "largest packages"
		}
		row(name, "%7d lines in %3d files  %s", p.Lines, p.Files, p.Path)
	}
	row("activities", "%d, executed %d times: %d of them more than once", c.Activities, c.Executions, c.Twice)
	for _, k := range c.Kills {
		row("killed", "%s, with %s done, %s running, %s on their way: %d executed again", k.Worker, packages(k.Done), activities(k.Running), counted(k.Held-k.Running, "result", "results"), k.Repeated)
		if k.Repeated > 0 && !k.Interrupted {
			row("takeover", "%.1f s after the kill the first was begun again by another worker, after %.1f s the last", k.FirstSeconds, k.LastSeconds)
		}
	}
	if len(c.Kills) == 0 {
		row("killed", "nobody")
	}
	if c.Lapsed > 0 {
		row("frozen", "%s executed again because a worker was not heard of for too long", activities(c.Lapsed))
	}
	if c.Abandoned > 0 {
		row("ended", "%s executed again because a worker ended otherwise: with the demo, or killed by somebody else", activities(c.Abandoned))
	}
	n := float64(max(c.Activities, 1))
	row("store calls", "%d round trips (%.2f an activity), of these %d commits (%.2f)", c.Counts.RoundTrips, float64(c.Counts.RoundTrips)/n, c.Counts.Commits, float64(c.Counts.Commits)/n)
	took := fmt.Sprintf("%.1f s with %s", c.Seconds, processes(c.Workers))
	if c.Resumed {
		took += " since it was started again"
	}
	row("time", "%s; %.1f s plainly, in one", took, c.Plain)
	if len(c.Faults) == 0 {
		row("check", "ok: the result equals the plain count, and only what a dead or silent worker held was executed twice")
	}
	for _, f := range c.Faults {
		row("FAULT", "%s", f)
	}
	row("effect log", "%s", c.EffectLog)
	if c.KeptStore != "" {
		row("look at it", "%s list --store '%s'", program, c.KeptStore)
	}
	return w.Flush()
}

// counted is a number with its noun.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func activities(n int) string { return counted(n, "activity", "activities") }

func packages(n int) string { return counted(n, "package", "packages") }

func processes(n int) string { return counted(n, "worker process", "worker processes") }
