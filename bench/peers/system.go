package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// backend is where a system keeps its state, and so which yardstick its times are divided by.
type backend string

const (
	onPostgres backend = "postgres"
	onSQLite   backend = "sqlite"
	// onItsOwn is the SQLite database that Temporal's dev server opens for itself.
	onItsOwn backend = "own"
)

// system is one way to run the workloads: a library or server in one configuration.
type system struct {
	name    string
	backend backend
	module  string // of the library, for its version
	says    string // the configuration in a few words
	shapes  []shape
	open    func(ctx context.Context, e *surroundings) (*opened, error)
}

// flows are the shapes of a system that has workflows.
var flows = []shape{shapeHello, shapeSequence, shapeFanOut}

// surroundings are what a system finds when it is opened. Nobody else uses them.
type surroundings struct {
	// url is a fresh database, for systems on PostgreSQL.
	url string
	// directURL is the same without the delaying proxy, for setting up what is not measured.
	directURL string
	// dir is an empty directory for its files.
	dir string
	// programs builds the server programs of those that need one.
	programs *programs
	logger   *slog.Logger
}

// opened is a running system.
type opened struct {
	units map[shape]unit
	// daemons are the ids of its server processes, whose time is counted apart.
	daemons []int
	close   func()
	// elsewhere tells that the client is a process of its own, whose time is not counted.
	elsewhere bool
	// external measures a workload in a way of its own instead of by units. Nil for all but the yardsticks.
	external measurement
}

// measurement warms a workload up, calls observe, which looks at what has been used before and after it calls run, and
// returns what the run took, about as long as the window.
type measurement func(ctx context.Context, w workload, window time.Duration, observe func(run func() error) error) (timing, error)

// systems are all there are. Those of one group are neighbours in the tables.
var systems = []system{
	rawCommits, pgbenchCommits,
	pawlPostgres, pawlApart,
	dbosPostgres, dbosQueue,
	temporalPostgres, temporalPostgresLocal, temporalDev, temporalDevLocal,
	riverBatch, riverTx,
	rawSQLite, pawlSQLite, pawlSQLiteNormal, dbosSQLite, dbosSQLiteFull,
}

// baseline is the system that those of a backend are compared with.
func (b backend) baseline() string {
	if b == onSQLite {
		return pawlSQLite.name
	}
	return pawlPostgres.name
}

// yardstick is the system whose commit-1 is the p1 of a backend.
func (b backend) yardstick() system {
	if b == onSQLite {
		return rawSQLite
	}
	return rawCommits
}

// chosen returns the named systems, "all" meaning each.
func chosen(names string) ([]system, error) {
	return choose(names, systems, func(s system) string { return s.name })
}

// chosenWorkloads returns the named workloads.
func chosenWorkloads(names string) ([]workload, error) {
	return choose(names, workloads, func(w workload) string { return w.name })
}

// choose picks from all by name, in the order of all.
func choose[T any](names string, all []T, nameOf func(T) string) ([]T, error) {
	if names == "all" {
		return all, nil
	}
	wanted := strings.Split(names, ",")
	var picked []T
	for _, x := range all {
		if i := slices.Index(wanted, nameOf(x)); i >= 0 {
			picked = append(picked, x)
			wanted = slices.Delete(wanted, i, i+1)
		}
	}
	if len(wanted) > 0 {
		var known []string
		for _, x := range all {
			known = append(known, nameOf(x))
		}
		return nil, fmt.Errorf("unknown: %s; there are %s", strings.Join(wanted, ", "), strings.Join(known, ", "))
	}
	return picked, nil
}
