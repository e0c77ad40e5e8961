package suite

import (
	"io"
	"log/slog"
	"time"
)

// Target says on what to measure. Exactly one of its fields is set.
type Target struct {
	// Postgres is the URL of a database, without a schema: one is made for the run.
	Postgres string
	// Directory gets an SQLite file for the run.
	Directory string
	// Memory is SQLite without a file.
	Memory bool
}

// Options say what to run and how. There are no defaults here: the command line has them.
type Options struct {
	Target    Target
	Workloads []string // names, see Names
	// A workload ends after Duration or Count workflows, whichever comes first; 0 is no limit, for one of them.
	Duration time.Duration
	Count    int
	InFlight int // workflows at a time where that can be chosen; 0: the default of each workload
	Slots    int // pawl.Options.MaxActivities
	Payload  int // bytes of every input and result, as JSON
	Events   int // of the large history
	Apart    bool
	// RTT is added to each round trip to PostgreSQL; 0: none, and no proxy.
	RTT time.Duration
	// Warmup is how long each workload runs before it counts.
	Warmup time.Duration
	// Yardstick is how long each measurement of the raw limit takes.
	Yardstick time.Duration
	// Version of Pawl, for the report.
	Version string
	Logger  *slog.Logger
	// Progress gets a line for each workload.
	Progress io.Writer
}
