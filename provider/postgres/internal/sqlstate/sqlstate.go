// Package sqlstate says what the caller of a provider on PostgreSQL may do after an error: one table by SQLSTATE, and
// one way from an error of the client library to a *provider.Error. It knows nothing of what is called.
package sqlstate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pawlrun/pawl/provider"
)

// retryOf is the one table that says what a caller may do after an error of the server. The longest matching prefix of
// the SQLSTATE decides; what is not listed is given up.
var retryOf = map[string]provider.Retry{
	"08":    provider.RetryCall, // connection exception
	"25006": provider.RetryCall, // read-only transaction: a standby, during a failover
	"26000": provider.RetryCall, // the prepared statement is gone (a pooler switched servers); the connection is closed
	"0A000": provider.GiveUp,    // not supported, but see StalePlan
	"40001": provider.RetryCall, // serialization failure
	"40003": provider.RetryCall, // completion unknown
	"40P01": provider.RetryCall, // deadlock
	"53":    provider.RetryCall, // out of memory, disk, connections
	"55006": provider.RetryCall, // object in use
	"55P03": provider.RetryCall, // lock not available
	"57014": provider.RetryCall, // cancelled: statement_timeout, an operator
	"57P01": provider.RetryCall, // the server or the session is shut down by an operator
	"57P02": provider.RetryCall, // the server crashed
	"57P03": provider.RetryCall, // the server is starting up
	"57P05": provider.RetryCall, // idle session timeout
	"58":    provider.RetryCall, // I/O error
	"XX":    provider.GiveUp,    // internal error, corrupted data
}

// Retry looks a SQLSTATE up.
func Retry(code string) provider.Retry {
	for n := len(code); n >= 2; n-- {
		if r, ok := retryOf[code[:n]]; ok {
			return r
		}
	}
	return provider.GiveUp
}

// StalePlan reports whether the server refused a prepared statement because the schema changed under it. Preparing it
// again, on a new connection, cures that.
func StalePlan(err *pgconn.PgError) bool {
	return err.Code == "26000" || err.Code == "0A000" && strings.Contains(err.Message, "cached plan")
}

// ErrClosed is the cause of a call that was made after Close.
var ErrClosed = errors.New("the provider is closed")

// CallError turns the error of a call into what Provider methods return.
func CallError(ctx context.Context, op string, err error) error {
	var known *provider.Error
	if errors.As(err, &known) {
		return known
	}
	out := &provider.Error{Op: op, Err: err}
	var server *pgconn.PgError
	var config *pgconn.ParseConfigError
	switch {
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		out.Retry, out.Err = provider.RetryCall, fmt.Errorf("%w: %w", context.Cause(ctx), err)
	case ctx.Err() != nil:
		out.Retry = provider.RetryCall
	case errors.As(err, &server):
		out.Code, out.Retry = server.Code, Retry(server.Code)
		if StalePlan(server) {
			out.Retry = provider.RetryCall
		}
	case errors.As(err, &config), errors.Is(err, ErrClosed):
		out.Retry = provider.GiveUp
	default: // anything else broke the connection or kept it from being made
		out.Retry = provider.RetryCall
	}
	return out
}

// GiveUp is the error of a call that was refused before it reached the server.
func GiveUp(op, format string, args ...any) error {
	return &provider.Error{Op: op, Retry: provider.GiveUp, Err: fmt.Errorf(format, args...)}
}
