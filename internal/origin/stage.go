package origin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pawlrun/pawl/internal/bench"
	"github.com/pawlrun/pawl/internal/wiretap"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
	"github.com/pawlrun/pawl/provider/postgres/inline"
)

// plan is a stage of the story.
type plan struct {
	name, title string
	open        func(ctx context.Context, url string, logger *slog.Logger) (provider.Provider, error)
	// begin makes what greets. An app of it is stopped by the function it returns.
	begin func(ctx context.Context, s *stage) (greet greeter, stop func(context.Context) error, err error)
}

// greeter runs one hello world and returns the greeting.
type greeter func(ctx context.Context, instanceID, name string) (string, error)

// plans are the stages in the order of the story.
var plans = []plan{
	{"inline", "inline statements", openInline, stepByStep},
	{"functions", "one stored function per operation", openFunctions, stepByStep},
	{"budget", "the full budget", openFunctions, wholeApp},
}

func openInline(ctx context.Context, url string, logger *slog.Logger) (provider.Provider, error) {
	store, err := inline.Open(ctx, url, &postgres.Options{Logger: logger})
	if err != nil {
		return nil, err // a typed nil is not to become a Provider
	}
	return store, nil
}

func openFunctions(ctx context.Context, url string, logger *slog.Logger) (provider.Provider, error) {
	store, err := postgres.Open(ctx, url, &postgres.Options{Logger: logger})
	if err != nil {
		return nil, err
	}
	return store, nil
}

// stage is one way of doing a hello world, as it is measured.
type stage struct {
	plan
	logger *slog.Logger
	tap    *bench.Detour
	aside  *bench.Detour // takes as long as tap
	store  *recorder
	greet  greeter
	stop   func(context.Context) error
	runs   []run
	ids    int
}

// run is one hello world.
type run struct {
	calls []call
	took  time.Duration
}

const (
	// warmUps is how many hello worlds run before any is measured.
	warmUps = 5
	// tries is how often one is repeated because a connection saw a statement for the first time: a pool may open
	// another connection at any time.
	tries = 20
)

// openStage connects and runs some hello worlds, so that connections and plans are there. What it returns is to be closed
// also after an error, if it is not nil.
func openStage(ctx context.Context, p plan, url string, logger *slog.Logger) (*stage, error) {
	tap, err := bench.NewDetour(url, 0)
	if err != nil {
		return nil, err
	}
	s := &stage{plan: p, logger: logger, tap: tap}
	if s.aside, err = bench.NewDetour(url, 0); err != nil {
		return s, err
	}
	store, err := p.open(ctx, tap.URL, logger)
	if err != nil {
		return s, err
	}
	s.store = &recorder{Provider: store, tap: tap.Proxy}
	if s.store.aside, err = p.open(ctx, s.aside.URL, logger); err != nil {
		return s, err
	}
	if s.greet, s.stop, err = p.begin(ctx, s); err != nil {
		return s, err
	}
	for range warmUps {
		if _, _, err := s.hello(ctx); err != nil {
			return s, err
		}
	}
	return s, nil
}

// close ends what there is of the stage.
func (s *stage) close(ctx context.Context) (err error) {
	if s.stop != nil {
		err = s.stop(ctx)
	}
	if s.store != nil {
		err = errors.Join(err, s.store.Close())
		if s.store.aside != nil {
			err = errors.Join(err, s.store.aside.Close())
		}
	}
	if s.aside != nil {
		s.aside.Close()
	}
	s.tap.Close()
	return err
}

// setDelay makes the server farther away.
func (s *stage) setDelay(d time.Duration) {
	s.tap.SetDelay(d)
	s.aside.SetDelay(d)
}

// hello runs one hello world and returns what crossed the wire meanwhile.
func (s *stage) hello(ctx context.Context) (run, wiretap.Counts, error) {
	s.ids++
	s.tap.Reset()
	s.store.take()
	begin := time.Now()
	greeting, err := s.greet(ctx, fmt.Sprintf("%s-%d", s.name, s.ids), "Ada")
	took := time.Since(begin)
	switch {
	case err != nil:
	case greeting != greetingFor("Ada"):
		err = fmt.Errorf("the result is %q", greeting)
	}
	calls := s.store.take()
	return run{calls, took}, s.tap.Counts(), err
}

// measure runs a hello world that counts: one of which every statement was prepared already.
func (s *stage) measure(ctx context.Context) error {
	for range tries {
		r, wire, err := s.hello(ctx)
		if err != nil {
			return err
		}
		queries, trips := 0, 0
		for _, c := range r.calls {
			queries += c.queries
			trips += c.roundTrips
		}
		switch {
		case wire.Prepares > 0 || wire.Opened > 0:
			continue
		case queries != len(wire.Statements) || trips != wire.RoundTrips:
			return fmt.Errorf("%d queries in %d round trips crossed the wire, the operations account for %d in %d",
				len(wire.Statements), wire.RoundTrips, queries, trips)
		}
		s.runs = append(s.runs, r)
		return nil
	}
	return fmt.Errorf("there are new connections all the time: nothing could be measured in %d tries", tries)
}
