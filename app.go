package pawl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/pawlrun/pawl/internal/engine"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
)

// Options configure an App. The zero value of each field means its default; nil options mean all defaults.
type Options struct {
	// Logger gets what operators must know. Default: slog.Default().
	Logger *slog.Logger
	// Name is shown to operators for this process. Default: host name and process id.
	Name string
	// ClientOnly has the process run nothing, though functions are registered: they then serve to start instances in the
	// right version and to answer queries, in a web server for example. Default: a process with registrations is a worker.
	ClientOnly bool
	// MaxActivities is how many activities run at a time in this process. Default: 100.
	MaxActivities int
	// MaxTurns is how many instances may have a turn or commit under way at a time in this process, not counting those
	// whose activities have just ended here; a quarter more may be fetched when all places are taken. Default: 1,000.
	MaxTurns int
	// CacheBytes bounds the estimated memory of idle instances kept live between turns, so that their next turn need not
	// read the history. Default: 64 MiB. Negative: keep none.
	CacheBytes int64
	// PulseInterval is how often the process beats and looks for what notifications missed. Default: 1 s.
	PulseInterval time.Duration
	// TTL is how long a process may be silent before others take over its work; at least two pulse intervals.
	// Default: 3 s.
	TTL time.Duration
	// TurnTimeout bounds orchestration code between two awaits. Code that takes longer blocks or loops; its turn is
	// given up and tried again. Default: 10 s.
	TurnTimeout time.Duration
	// MaxAttempts is how often a turn or an activity may be begun without an outcome (its process died, its code hung)
	// before it is quarantined: an activity then fails with ErrQuarantined, an instance is parked. Default: 10.
	MaxAttempts int
	// Versions pins, by name, the version of orchestrations that this process starts, as clients and parents do, where none
	// is asked for: a semantic version or Unversioned. What is not pinned is the highest version registered here; see Version.
	Versions map[string]string
	// ActivityTimeout bounds one attempt of an activity that was scheduled without ActivityOptions.StartToClose: its context
	// ends, and the attempt fails with a *TimeoutError whether or not the code returns. Without any limit an attempt that
	// hangs would keep its place here, and its instance waiting, for ever, and nobody would be told. It is long so that it
	// meets nothing else; an activity that may take longer says so. Default: 1 h.
	ActivityTimeout time.Duration
	// Tags are those whose activities this process runs (ActivityOptions.Tag), as far as they are registered, beside those
	// without a tag. Default: none.
	Tags []string
	// MaxSessions is how many sessions may be open in this process at a time (see OpenSession). Default: 100. Negative: none
	// is opened here.
	MaxSessions int
	// Limits bound what the program can make large or many.
	Limits Limits
}

// withDefaults returns the options with defaults filled in, or what is wrong with them.
func (o Options) withDefaults() (Options, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown"
		}
		o.Name = fmt.Sprintf("%s/%d", host, os.Getpid())
	}
	setDefault(&o.MaxActivities, 100)
	setDefault(&o.MaxTurns, 1000)
	setDefault(&o.CacheBytes, 64<<20)
	setDefault(&o.PulseInterval, time.Second)
	setDefault(&o.TTL, 3*time.Second)
	setDefault(&o.MaxSessions, 100)
	setDefault(&o.TurnTimeout, 10*time.Second)
	setDefault(&o.MaxAttempts, 10)
	setDefault(&o.ActivityTimeout, time.Hour)
	var errs []error
	for _, f := range []struct {
		name  string
		value int64
	}{{"MaxActivities", int64(o.MaxActivities)}, {"MaxTurns", int64(o.MaxTurns)}, {"PulseInterval", int64(o.PulseInterval)},
		{"TTL", int64(o.TTL)}, {"TurnTimeout", int64(o.TurnTimeout)}, {"MaxAttempts", int64(o.MaxAttempts)},
		{"ActivityTimeout", int64(o.ActivityTimeout)}} {
		if f.value < 0 {
			errs = append(errs, fmt.Errorf("%w: Options.%s is %d, it must not be negative", ErrInvalid, f.name, f.value))
		}
	}
	var err error
	if o.Limits, err = o.Limits.withDefaults(); err != nil {
		errs = append(errs, err)
	}
	for i, tag := range o.Tags {
		if err := checkName(fmt.Sprintf("Options.Tags[%d]", i), tag); err != nil {
			errs = append(errs, err)
		} else if slices.Contains(o.Tags[:i], tag) {
			errs = append(errs, fmt.Errorf("%w: Options.Tags has %q twice", ErrInvalid, tag))
		}
	}
	if o.TTL < 2*o.PulseInterval {
		errs = append(errs, fmt.Errorf("%w: Options.TTL is %v, it must be at least two pulse intervals (%v)", ErrInvalid, o.TTL, 2*o.PulseInterval))
	}
	o.Versions = maps.Clone(o.Versions)
	for name, version := range o.Versions {
		if err := checkVersion(version); err != nil {
			errs = append(errs, fmt.Errorf("Options.Versions of %q: %w", name, err))
		}
	}
	return o, errors.Join(errs...)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Limits of one call to the store (docs/operations.md).
const (
	maxBatch      = 128
	maxBatchBytes = 16 << 20
)

// App connects a program to a store: as a worker for the functions registered, as a client, or as both. Its methods and
// the functions that take it are safe for concurrent use; registration ends with Start.
type App struct {
	options  Options
	optErr   error
	store    provider.Provider
	registry *registry

	mu     sync.Mutex
	state  appState
	engine *engine.Engine
	// While starting: ends the start.
	cancelStart context.CancelFunc
}

type appState uint8

const (
	appNew appState = iota
	appStarting
	appStarted
	appStopped
)

// New makes an app on a store. It does no I/O and keeps no resources; wrong options are reported by Start.
func New(store provider.Provider, opts *Options) *App {
	if opts == nil {
		opts = &Options{}
	}
	app := &App{store: store, registry: newRegistry()}
	app.options, app.optErr = opts.withDefaults()
	return app
}

// register checks that registration is still possible and records the function, under each name with add.
func (a *App) register(kind string, fn any, opts []RegisterOption, add func(name, version string)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state != appNew {
		return fmt.Errorf("%w: register %s: the app is started already", ErrInvalid, kind)
	}
	names, version, err := a.registry.add(kind, fn, opts)
	if err != nil {
		return err
	}
	for _, name := range names {
		add(name, version)
	}
	return nil
}

// Start connects the app: from here on it claims and runs what it has registered. It fails with all registration errors
// at once, or when the store cannot be reached before ctx ends; it may then be called again. An app with nothing
// registered is a client.
func (a *App) Start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := a.beginStart(cancel); err != nil {
		return err
	}
	o := a.options
	e := engine.New(a.store, engine.Options{
		Logger: o.Logger, Name: o.Name, ClientOnly: o.ClientOnly, Slots: o.MaxActivities, MaxInstances: o.MaxTurns, CacheBytes: o.CacheBytes,
		PulseInterval: o.PulseInterval, TTL: o.TTL, TurnTimeout: o.TurnTimeout, MaxAttempts: int32(o.MaxAttempts),
		MaxBatch: maxBatch, MaxBatchBytes: maxBatchBytes, FailureOf: recordFailure, CauseOf: causeOf,
		ActivityTimeout: o.ActivityTimeout, MaxSessions: o.MaxSessions, Tags: o.Tags,
		Limits:   replay.Limits{HistoryEvents: o.Limits.HistoryEvents, TurnEvents: o.Limits.TurnEvents, TurnBytes: o.Limits.TurnBytes},
		MaxCalls: engine.MaxCalls{Starts: o.Limits.Starts, Messages: o.Limits.Messages, Queries: o.Limits.Queries},
	})
	err := e.Start(ctx, a.registry.orchestrations, a.registry.activities)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.state == appStopped: // meanwhile
		if err == nil {
			_ = e.Stop(ctx) // ctx has ended: nothing was begun that could be finished
		} else {
			e.Close()
		}
		return ErrStopped
	case err != nil:
		a.state = appNew
		e.Close()
		return fmt.Errorf("start: %w", err)
	}
	a.engine, a.state = e, appStarted
	return nil
}

// beginStart checks that the app can be started and lets Stop end the start.
func (a *App) beginStart(cancel context.CancelFunc) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch a.state {
	case appStopped:
		return ErrStopped
	case appStarting, appStarted:
		return fmt.Errorf("%w: the app is started already", ErrInvalid)
	}
	if err := errors.Join(a.optErr, a.registry.err()); err != nil {
		return err
	}
	a.state, a.cancelStart = appStarting, cancel
	return nil
}

// Stop ends the app gracefully: it claims nothing more, lets turns and activities under way finish and be recorded, and
// releases its leases. If ctx ends first the contexts of running activities are cancelled, and what they were doing
// runs again elsewhere; activities that do not return within a second after that are left behind and reported. Stop
// returns when every goroutine of the app has ended, bar those. It does not close the store. Idempotent.
func (a *App) Stop(ctx context.Context) error {
	a.mu.Lock()
	e := a.engine
	if a.state == appStarting {
		a.cancelStart()
	}
	a.state = appStopped
	a.mu.Unlock()
	if e == nil {
		return nil
	}
	return e.Stop(ctx)
}

// runningFor is running for an operation on one instance.
func (a *App) runningFor(instanceID string) (*engine.Engine, error) {
	e, err := a.running()
	if err != nil {
		return nil, err
	}
	return e, checkName("instance id", instanceID)
}

// Registered reports whether the app has an orchestration of that name, or alias, in the version asked for; "" is the one that
// it would start where none is asked for, see Version. Whether there is a worker that runs it is another matter: see
// Instance.Workers.
func (a *App) Registered(orchestration, version string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	version, err := a.versionFor(orchestration, nil, version)
	return err == nil && slices.Contains(a.registry.versions[orchestration], version)
}

// running returns the engine of a started app.
func (a *App) running() (*engine.Engine, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch a.state {
	case appStarted:
		return a.engine, nil
	case appStopped:
		return nil, ErrStopped
	}
	return nil, ErrNotStarted
}
