package pawl

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/engine"
	"github.com/pawlrun/pawl/internal/replay"
)

// OrchestrationFunc is an orchestration: a deterministic function of its input and of what it awaits. All that varies
// (time, ids, results of activities) must come from the Context.
type OrchestrationFunc[I, O any] = func(o *Context, input I) (O, error)

// ActivityFunc is an activity: any Go function. It runs at least once for each time it is scheduled; an activity that
// was under way when its process died runs again elsewhere.
type ActivityFunc[I, O any] = func(ctx context.Context, input I) (O, error)

// RegisterOption changes how a function is registered.
type RegisterOption func(*registration)

// Name sets the name a function is known by in the store, instead of its Go name. Functions that may be renamed or
// moved, closures and instances of generic functions need one.
func Name(name string) RegisterOption { return func(r *registration) { r.name = name; r.named = true } }

// Aliases keeps old names of a renamed function alive: what was scheduled under them still runs.
func Aliases(names ...string) RegisterOption {
	return func(r *registration) { r.aliases = append(r.aliases, names...) }
}

// registration is one registered function under its names.
type registration struct {
	name    string
	named   bool
	aliases []string
	pc      uintptr

	version   string // Unversioned unless versioned
	versioned bool
}

// registry holds an app's functions. It is built before Start and only read afterwards.
type registry struct {
	orchestrations []engine.Orchestration
	activities     []engine.Activity
	names          map[string]map[string]bool            // taken names, with their versions, by kind
	versions       map[string][]string                   // versions of orchestrations, by name
	byCode         map[string]map[uintptr][]registration // registered functions by kind and code
	errs           []error
}

const (
	kindOrchestration = "orchestration"
	kindActivity      = "activity"
)

func newRegistry() *registry {
	return &registry{
		versions: map[string][]string{},
		names:    map[string]map[string]bool{kindOrchestration: {}, kindActivity: {}},
		byCode:   map[string]map[uintptr][]registration{kindOrchestration: {}, kindActivity: {}},
	}
}

// add checks a registration and records its names; it returns all names, and the version, or an error, which is also kept
// for Start.
func (r *registry) add(kind string, fn any, opts []RegisterOption) (names []string, version string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("register %s: %w", kind, err)
			r.errs = append(r.errs, err)
		}
	}()
	reg := registration{version: Unversioned}
	for _, opt := range opts {
		opt(&reg)
	}
	defaultName, err := functionName(fn)
	if !reg.named {
		reg.name = defaultName
	}
	if err != nil && (!reg.named || errors.Is(err, errNilFunction)) {
		return nil, "", err
	}
	if err := reg.checkVersion(kind); err != nil {
		return nil, "", err
	}
	names = append([]string{reg.name}, reg.aliases...)
	for i, n := range names {
		if err := checkOwnName("name", n); err != nil {
			return nil, "", err
		}
		if r.names[kind][n+"\x00"+reg.version] || slices.Contains(names[:i], n) {
			return nil, "", fmt.Errorf("%w: the name %q%s is taken; give this function another with pawl.Name", ErrInvalid, n, reg.inVersion())
		}
	}
	for _, n := range names {
		r.names[kind][n+"\x00"+reg.version] = true
		if kind == kindOrchestration {
			r.versions[n] = append(r.versions[n], reg.version)
		}
	}
	reg.pc = codePointer(fn)
	r.byCode[kind][reg.pc] = append(r.byCode[kind][reg.pc], reg)
	return names, recordedVersion(reg.version), nil
}

// checkVersion reports what is wrong with the version of a registration.
func (reg *registration) checkVersion(kind string) error {
	if !reg.versioned {
		return nil
	}
	if kind != kindOrchestration {
		return fmt.Errorf("%w: an %s has no version; give a new behaviour a new name", ErrInvalid, kind)
	}
	return checkVersion(reg.version)
}

// inVersion says the version in a sentence, if there is one.
func (reg *registration) inVersion() string {
	if !reg.versioned {
		return ""
	}
	return " in version " + reg.version
}

// versionsOf returns the versions of a name as which an orchestration function is registered.
func (r *registry) versionsOf(fn any, name string) []string {
	var versions []string
	for _, reg := range r.byCode[kindOrchestration][codePointer(fn)] {
		if reg.name == name {
			versions = append(versions, reg.version)
		}
	}
	return versions
}

// nameOf returns the name a function is to be scheduled by: as registered here, else its own.
func (r *registry) nameOf(kind string, fn any) (string, error) {
	regs := r.byCode[kind][codePointer(fn)]
	switch {
	case len(regs) == 0:
		return functionName(fn)
	case !slices.ContainsFunc(regs, func(r registration) bool { return r.name != regs[0].name }): // perhaps in several versions
		return regs[0].name, nil
	default:
		if name, err := functionName(fn); err == nil && slices.ContainsFunc(regs, func(r registration) bool { return r.name == name }) {
			return name, nil
		}
		return "", fmt.Errorf("%w: this %s shares its code with others (a closure or generic function registered under %d names): schedule it by name", ErrInvalid, kind, len(regs))
	}
}

// RegisterOrchestration makes fn runnable by the app. It must be called before Start. The error (a name that is taken,
// invalid or missing) is also returned by Start, so it need not be checked here.
func RegisterOrchestration[I, O any](app *App, fn OrchestrationFunc[I, O], opts ...RegisterOption) error {
	return app.register(kindOrchestration, fn, opts, func(name, version string) {
		app.registry.orchestrations = append(app.registry.orchestrations, engine.Orchestration{Name: name, Version: version, Run: orchestrationRunner(app, fn)})
	})
}

// RegisterActivity makes fn runnable by the app. It must be called before Start. The error is also returned by Start.
func RegisterActivity[I, O any](app *App, fn ActivityFunc[I, O], opts ...RegisterOption) error {
	return app.register(kindActivity, fn, opts, func(name, _ string) {
		app.registry.activities = append(app.registry.activities, engine.Activity{Name: name, Run: activityRunner(app, fn)})
	})
}

// orchestrationRunner adapts a typed orchestration to the replay core.
func orchestrationRunner[I, O any](app *App, fn OrchestrationFunc[I, O]) replay.Function {
	return func(x *replay.Execution, payload history.Payload) (history.Payload, error) {
		o := newContext(app, x)
		var input I
		if err := decode("input of orchestration", o.Name(), payload, &input); err != nil {
			return history.Payload{}, err
		}
		out, err := fn(o, input)
		if err != nil {
			return history.Payload{}, app.checkContinued(x, err, checkInput[I])
		}
		return app.encodeFor(x, "result of orchestration "+o.Name(), out)
	}
}

// err returns all registration errors.
func (r *registry) err() error { return errors.Join(r.errs...) }
