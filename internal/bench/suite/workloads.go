package suite

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/pawlrun/pawl"
)

// LargeHistory is the workload that is not many workflows but one.
const LargeHistory = "large-history"

// workload is one entry of the list of what can be run.
type workload struct {
	name     string
	what     string
	inFlight int  // unless chosen
	one      bool // one caller, by definition
	// flow is the orchestration of the i-th workflow. nil for the large history.
	flow func(i int64) flow
}

// flow is one workflow: what is started and what must come of it.
type flow struct {
	part string // of a mixed workload
	fn   pawl.OrchestrationFunc[Parcel, Parcel]
	nap  time.Duration
	want func(number int64) int64
}

func plus(n int64) func(int64) int64 { return func(number int64) int64 { return number + n } }

var (
	helloFlow    = flow{part: "hello", fn: hello, want: plus(1)}
	sequenceFlow = flow{part: "sequence", fn: sequence, want: plus(sequenceSteps)}
	fanoutFlow   = flow{part: "fanout", fn: fanout, want: func(n int64) int64 { return fanoutWidth*(n+1) + fanoutWidth*(fanoutWidth-1)/2 }}
)

// sleeperFlow sleeps for 0.1 to 0.9 s, spread evenly over the workflows.
func sleeperFlow(i int64) flow {
	return flow{part: "timers", fn: sleeper, want: plus(1), nap: 100*time.Millisecond + time.Duration(i*7%17)*50*time.Millisecond}
}

// mixedFlow is the i-th of a mixture: of ten, five greet, two are sequences, two sleep and one fans out.
func mixedFlow(i int64) flow {
	switch i % 10 {
	case 0, 2, 4, 6, 8:
		return helloFlow
	case 1, 5:
		return sequenceFlow
	case 3, 7:
		return sleeperFlow(i)
	}
	return fanoutFlow
}

func always(f flow) func(int64) flow { return func(int64) flow { return f } }

// workloads are all there are, in the order in which they are run if all are wanted.
var workloads = []workload{
	{name: "hello", what: "1 activity, one caller", inFlight: 1, one: true, flow: always(helloFlow)},
	{name: "sequence", what: "20 activities one after another, one caller", inFlight: 1, one: true, flow: always(sequenceFlow)},
	{name: "fanout", what: "100 activities at once and join, one caller", inFlight: 1, one: true, flow: always(fanoutFlow)},
	{name: "throughput", what: "hello, many in flight", inFlight: 64, flow: always(helloFlow)},
	{name: "timers", what: "sleeps of 0.1 to 0.9 s, many in flight", inFlight: 500, flow: sleeperFlow},
	{name: "mixed", what: "hello, sequence, timers and fanout as 5 : 2 : 2 : 1, many in flight", inFlight: 32, flow: mixedFlow},
	{name: LargeHistory, what: "one instance whose history grows by one activity after another", inFlight: 1, one: true},
}

// Names returns the names of all workloads.
func Names() []string {
	names := make([]string, len(workloads))
	for i, w := range workloads {
		names[i] = w.name
	}
	return names
}

// DefaultNames are the workloads of a short run.
func DefaultNames() []string { return []string{"hello", "sequence", "fanout", "throughput"} }

// Describe says what a workload does, "" if there is none of that name.
func Describe(name string) string {
	w := find(name)
	if w == nil {
		return ""
	}
	return w.what
}

// TakesInFlight reports whether the number of workflows at a time can be chosen for a workload.
func TakesInFlight(name string) bool {
	w := find(name)
	return w != nil && !w.one
}

func find(name string) *workload {
	for i := range workloads {
		if workloads[i].name == name {
			return &workloads[i]
		}
	}
	return nil
}

// run starts the i-th workflow, waits for its result and checks it.
func (w *workload) run(ctx context.Context, a *apps, prefix string, i int64) (done, error) {
	f := w.flow(i)
	in := Parcel{Number: i, Filling: a.filling, Nap: f.nap}
	id := prefix + rand.Text()
	run, err := pawl.Start(ctx, a.client, f.fn, in, &pawl.StartOptions{InstanceID: id})
	if err != nil {
		return done{}, err
	}
	out, err := run.Result(ctx)
	switch {
	case err != nil:
		return done{}, err
	case out.Number != f.want(i) || out.Filling != in.Filling:
		return done{}, fmt.Errorf("instance %s: its result is wrong: %d, want %d (filling as it was: %v)", id, out.Number, f.want(i), out.Filling == in.Filling)
	case out.Late < 0:
		return done{}, fmt.Errorf("instance %s: it woke %v too early", id, -out.Late)
	}
	return done{part: f.part, late: out.Late}, nil
}
