package provider

import (
	"errors"
	"fmt"
)

// Retry says what the caller of a failed call may do.
type Retry uint8

// The retry classes. Each provider maps its errors onto them in one table.
const (
	// RetryCall: the outcome is unknown or the failure passing (lost connection, failover, deadlock, time-out,
	// overload). Repeat the same call with the same request ids.
	RetryCall Retry = iota + 1
	// GiveUp: repeating cannot help (wrong schema version, missing rights, a bad argument, a read-only store).
	GiveUp
)

// Error is what every Provider method returns when a call as a whole fails.
type Error struct {
	Op    string // the operation, by its stored name
	Retry Retry
	Code  string // SQLSTATE or the store's own code, "" if there is none
	Err   error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Code != "" {
		return fmt.Sprintf("%s: %v (%s)", e.Op, e.Err, e.Code)
	}
	return fmt.Sprintf("%s: %v", e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Retryable reports whether err is a provider error that a repeat of the call may cure.
func Retryable(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Retry == RetryCall
}
