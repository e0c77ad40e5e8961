package budget

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Options change how the shapes are measured. The zero value of each field means its default.
type Options struct {
	// Idle is how long all processes are idle before a shape. Default: 2 s.
	Idle time.Duration
	// IdleWindow is how long the statements of idle processes are counted. Default: 10 s.
	IdleWindow time.Duration
	// Shapes names the shapes to be measured, IdleShape the idle process. Default: all.
	Shapes []string
	// Logger gets what the apps log, and each shape at level Info. Default: slog.Default().
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Idle == 0 {
		out.Idle = 2 * time.Second
	}
	if out.IdleWindow == 0 {
		out.IdleWindow = 10 * time.Second
	}
	if out.Logger == nil {
		out.Logger = slog.Default()
	}
	return out
}

// wants reports whether a shape is to be measured.
func (o *Options) wants(shape string) bool {
	return len(o.Shapes) == 0 || slices.Contains(o.Shapes, shape)
}

// Cost is what a shape takes of all processes that take part together. Pulses are not in it: they are what the processes
// cost when they are idle. Nor are the round trips in which a connection first prepares a statement.
type Cost struct {
	RoundTrips int `json:"round_trips"` // somebody asked the server and waited
	// Commits are transactions that got an id, told from the ids that the server has given out meanwhile. It gives some to
	// subtransactions and to others' doings too, but a statement is one transaction: there are never more than Statements.
	Commits    int `json:"commits"`
	Statements int `json:"statements"`
}

func (c Cost) minus(d Cost) Cost {
	return Cost{c.RoundTrips - d.RoundTrips, c.Commits - d.Commits, c.Statements - d.Statements}
}

// Call is one statement on the wire.
type Call struct {
	Process string
	// Function is the stored function that the statement calls, or the text of a statement that calls none.
	Function string
}

// String names the process and the function.
func (c Call) String() string { return c.Process + ": " + c.Function }

// Run is one time that a shape was brought about.
type Run struct {
	Cost
	Activities    int    // that were run
	Calls         []Call // in the order they were sent
	Pulses        int    // of all processes, the other worker's included
	Prepares      int    // round trips in which a connection first prepared a statement
	Opened        int    // connections opened
	Notifications int
	// Connections are how many each process had at the end.
	Connections map[string]int
}

// Shape is what was measured of one shape of work.
type Shape struct {
	Name  string
	About string
	// Budget is how many round trips it may take at most; 0: as many as it takes.
	Budget int
	// Extra marks a shape that is measured besides those of the budget's table.
	Extra bool
	// Cost is that of the run or, if Steps is not zero, of one of the Steps activities that Run has more than Short.
	Cost
	Steps  int
	Uneven bool // some of the steps cost more than others; Cost is the mean, rounded up
	Run    Run
	Short  *Run
}

// Report is what was measured on one server.
type Report struct {
	Server string // its version
	Shapes []Shape
	// IdleStatements is how many statements a second an idle process sends: the most of any process, counted from one of
	// its statements on.
	IdleStatements float64
	// IdleWindow is how long they were counted.
	IdleWindow time.Duration
}

// IdleShape stands for the idle process in Options.Shapes.
const IdleShape = "idle"

// IdleBudget is how many statements a second an idle process may send.
const IdleBudget = 1.0

// ErrEncrypted says that the server, or the URL, wants an encrypted connection, which cannot be read.
var ErrEncrypted = errors.New("the round trips are read off the wire, so the connection must not be encrypted")

// ErrNoNotifications says that a notification sent on the connection did not come back.
var ErrNoNotifications = errors.New("notifications do not arrive, as behind a pooler: name the server itself")

// Measure brings about each shape on the PostgreSQL server at url, in schemas of its own that it drops. url
// is as for postgres.Open; a schema in it has no effect.
func Measure(ctx context.Context, url string, opts *Options) (report *Report, err error) {
	o := opts.withDefaults()
	w, err := newWitness(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close(ctx)) }()
	m := &measurement{opts: o, witness: w, report: &Report{Server: w.version(), IdleWindow: o.IdleWindow}}
	for _, s := range scenes() {
		s.shapes = slices.DeleteFunc(s.shapes, func(shape outline) bool { return !o.wants(shape.name) })
		s.idle = s.idle && o.wants(IdleShape)
		if len(s.shapes) == 0 && !s.idle {
			continue
		}
		if err := m.play(ctx, &s); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return m.report, nil
}
