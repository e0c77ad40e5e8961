package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider"
)

// Exit statuses. They are part of the interface (docs/cli.md).
const (
	// ExitOK: done.
	ExitOK = 0
	// ExitFailed: the operation failed, or the instance waited for did.
	ExitFailed = 1
	// ExitUsage: flags or arguments are wrong.
	ExitUsage = 2
	// ExitNotFound: there is no such instance.
	ExitNotFound = 3
	// ExitConflict: the instance exists already, or has ended.
	ExitConflict = 4
	// ExitStore: the store cannot be reached or used.
	ExitStore = 5
	// ExitTimeout: --timeout ended the wait; the instance runs on.
	ExitTimeout = 124
	// ExitInterrupted: ended by SIGINT or SIGTERM.
	ExitInterrupted = 130
)

// Error is a failure with an exit status of its own.
type Error struct {
	Code int
	Err  error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func usagef(format string, args ...any) error {
	return &Error{Code: ExitUsage, Err: fmt.Errorf(format, args...)}
}

// Usage is the error of a command whose flags or arguments are wrong.
func Usage(format string, args ...any) error { return usagef(format, args...) }

// ExitCode returns the exit status that tells an error of a command to scripts.
func ExitCode(err error) int {
	var own *Error
	var store *provider.Error
	var ended *pawl.OrchestrationError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &own):
		return own.Code
	case errors.As(err, &ended): // also one that was cancelled, which matches context.Canceled
		return ExitFailed
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return ExitInterrupted
	case errors.Is(err, errNoAnswer):
		return ExitStore
	case errors.Is(err, pawl.ErrInvalid):
		return ExitUsage
	case errors.Is(err, pawl.ErrNotFound):
		return ExitNotFound
	case errors.Is(err, pawl.ErrAlreadyExists), errors.Is(err, pawl.ErrNotRunning), errors.Is(err, pawl.ErrActivityGone):
		return ExitConflict
	case errors.As(err, &store):
		return ExitStore
	}
	return ExitFailed
}

// explain puts an error of the library into words that say what to do.
func (s *Session) explain(err error) error { return explain(err, s.cfg.Name, s.where()) }

func explain(err error, program, store string) error {
	var in *pawl.InstanceError
	var own *Error
	var failed *provider.Error
	code := ExitCode(err)
	switch {
	case err == nil || errors.As(err, &own):
		return err
	case errors.As(err, &in):
		switch {
		case errors.Is(in.Err, pawl.ErrNotFound):
			err = fmt.Errorf("there is no instance %q in %s", in.InstanceID, store)
		case errors.Is(in.Err, pawl.ErrAlreadyExists):
			err = fmt.Errorf("instance %q exists already: choose another --id, or see \"%s get\"", in.InstanceID, program)
		case errors.Is(in.Err, pawl.ErrNotRunning):
			err = fmt.Errorf("instance %q has ended: \"%s get\" shows how", in.InstanceID, program)
		}
	case code == ExitInterrupted:
	case errors.As(err, &failed) && failed.Retry == provider.RetryCall:
		err = fmt.Errorf("%s cannot be reached: %w", store, connectReason(failed.Err))
	case errors.As(err, &failed):
		err = fmt.Errorf("%s cannot be used: %w", store, connectReason(failed.Err))
	case code == ExitStore:
		err = fmt.Errorf("%s: %w", store, err)
	}
	return &Error{Code: code, Err: err}
}

const rootHelp = `Pawl keeps orchestrations, ordinary Go functions that survive crashes, in a database. This program looks at
such a store, starts, raises and resumes instances.

The store is named by --store, else by the environment variable PAWL_STORE:

  orders.db, sqlite://orders.db          an SQLite file
  postgres://user@host/db?schema=name    a schema of a PostgreSQL database (default schema: pawl)

Exit status: 0 done, 1 failed (or the instance waited for did), 2 wrong usage, 3 no such instance, 4 exists already
or has ended, 5 store out of reach or unusable, 124 --timeout ended a wait, 130 interrupted.`
