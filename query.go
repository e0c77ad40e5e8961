package pawl

import (
	"context"
	"errors"
	"fmt"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/engine"
	"github.com/pawlrun/pawl/internal/replay"
)

// Errors of queries, matchable with errors.Is.
var (
	// ErrNotCapable: this process does not have the orchestration registered, in the instance's version.
	ErrNotCapable = errors.New("not registered in this process")
	// ErrUnknownQuery: the orchestration answers no query of that name.
	ErrUnknownQuery = errors.New("unknown query")
	// ErrNotBegun: the instance has not had its first turn, so there is no state to ask for.
	ErrNotBegun = engine.ErrNotBegun
	// ErrDiverged: the code in this process is not the code that wrote the instance's history.
	ErrDiverged = errors.New("diverged")
)

// HandleQuery sets the code that answers a query, for as long as there is the instance, also after its end. Set it at the
// beginning, before the first await: a query finds what was set up to the last committed turn. A second one of that name
// takes the place of the first.
//
// fn runs whenever somebody asks, in any process that has the orchestration registered, on a copy of the state that is
// thrown away afterwards. It may read what the orchestration's code shares with it, and the Context's facts like Now; it must
// not schedule, wait or set anything: then the query fails with ErrMisuse. The error is a name that breaks a rule, or no fn.
func HandleQuery[I, O any](o *Context, name string, fn func(in I) (O, error)) error {
	if err := checkName("query name", name); err != nil {
		return err
	}
	if fn == nil {
		return fmt.Errorf("query %q: %w", name, errNilFunction)
	}
	o.x.HandleQuery(name, func(input history.Payload) (history.Payload, error) {
		var in I
		if err := decode("input of query", name, input, &in); err != nil {
			return history.Payload{}, err
		}
		out, err := fn(in)
		if err != nil {
			return history.Payload{}, err
		}
		return encode("answer of query "+name, out)
	})
	return nil
}

// Query asks an instance a question: it reads the history, replays it here and runs what HandleQuery has set. It writes
// nothing, and needs no worker: the process must have the orchestration registered, in the instance's version, and may be
// any. The answer is that of the last committed turn. It is had from running, suspended and parked instances, and from those
// that have ended in whatever way. An instance that is about to have its first turn is waited for until ctx ends.
//
// Reading and replaying cost as much as the history is long; for a value that many look at set a custom status or a value.
//
// The error is the one that the query's code returned; or an *InstanceError with ErrNotFound, *QueryError with
// ErrNotCapable, ErrUnknownQuery, ErrDiverged, ErrNotBegun, ErrMisuse, ErrPanic, ErrGoexit, or ErrTimeout for code that takes
// longer than Options.TurnTimeout.
func Query[O any](ctx context.Context, app *App, instanceID, name string, in any) (O, error) {
	var out O
	e, err := app.running()
	if err != nil {
		return out, fmt.Errorf("query: %w", err)
	}
	if err := errors.Join(checkName("instance id", instanceID), checkName("query name", name)); err != nil {
		return out, fmt.Errorf("query: %w", err)
	}
	input, err := app.encode("input of query "+name, in)
	if err != nil {
		return out, fmt.Errorf("query: %w", err)
	}
	answer, found, err := e.Query(ctx, instanceID, name, input)
	switch {
	case err != nil:
		return out, &QueryError{InstanceID: instanceID, Query: name, Err: queryError(err)}
	case !found:
		return out, fmt.Errorf("query: %w", &InstanceError{InstanceID: instanceID, Err: ErrNotFound})
	}
	err = decode("answer of query", name, answer, &out)
	return out, err
}

// QueryError is a query without an answer. It unwraps to the reason.
type QueryError struct {
	InstanceID, Query string
	Err               error
}

// Error implements error.
func (e *QueryError) Error() string {
	return fmt.Sprintf("query %q of instance %q: %v", e.Query, e.InstanceID, e.Err)
}

// Unwrap returns the reason.
func (e *QueryError) Unwrap() error { return e.Err }

// queryError adds to what the engine says what errors.Is finds.
func queryError(err error) error {
	var (
		notCapable *engine.NotCapableError
		unknown    *engine.UnknownQueryError
		diverged   *engine.DivergedError
		panicked   *replay.PanicError
	)
	switch {
	case errors.As(err, &notCapable):
		return as(ErrNotCapable, err)
	case errors.As(err, &unknown):
		return as(ErrUnknownQuery, err)
	case errors.As(err, &diverged):
		return as(ErrDiverged, err)
	case errors.As(err, &panicked):
		return restoreFailure(&panicked.Failure)
	case errors.Is(err, replay.ErrReadOnly):
		return as(ErrMisuse, err)
	case errors.Is(err, engine.ErrQueryTime):
		return as(ErrTimeout, err)
	case errors.Is(err, engine.ErrQueryGoexit):
		return as(ErrGoexit, err)
	}
	return err
}

// kindError is an error with a sentinel that its text does not repeat.
type kindError struct {
	kind, err error
}

func as(kind, err error) error { return &kindError{kind, err} }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.err} }
