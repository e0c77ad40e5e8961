package sqlite

import (
	"context"
	"errors"

	driver "modernc.org/sqlite"

	"github.com/pawlrun/pawl/provider"
)

// The primary result codes of SQLite that occur here.
const (
	codePerm     = 3
	codeBusy     = 5
	codeLocked   = 6
	codeNoMemory = 7
	codeReadOnly = 8
	codeIOError  = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeProtocol = 15
	codeNotADB   = 26
)

// resultCodes is the one table of what a result code means to a caller. Codes that are not listed are GiveUp.
var resultCodes = map[int]struct {
	name  string
	retry provider.Retry
}{
	codePerm:     {"SQLITE_PERM", provider.GiveUp},
	codeBusy:     {"SQLITE_BUSY", provider.RetryCall},
	codeLocked:   {"SQLITE_LOCKED", provider.RetryCall},
	codeNoMemory: {"SQLITE_NOMEM", provider.RetryCall},
	codeReadOnly: {"SQLITE_READONLY", provider.GiveUp},
	9:            {"SQLITE_INTERRUPT", provider.RetryCall},
	codeIOError:  {"SQLITE_IOERR", provider.RetryCall},
	codeCorrupt:  {"SQLITE_CORRUPT", provider.GiveUp},
	codeFull:     {"SQLITE_FULL", provider.RetryCall},
	codeCantOpen: {"SQLITE_CANTOPEN", provider.GiveUp},
	codeProtocol: {"SQLITE_PROTOCOL", provider.RetryCall},
	18:           {"SQLITE_TOOBIG", provider.GiveUp},
	19:           {"SQLITE_CONSTRAINT", provider.GiveUp},
	codeNotADB:   {"SQLITE_NOTADB", provider.GiveUp},
}

var errClosed = errors.New("the provider is closed")

// resultCode returns the primary result code in err, 0 if there is none.
func resultCode(err error) int {
	var e *driver.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// classify makes the error of an operation from its cause.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	var known *provider.Error
	if errors.As(err, &known) {
		return err
	}
	out := &provider.Error{Op: op, Retry: provider.GiveUp, Err: err}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		out.Retry = provider.RetryCall
	default:
		if class, ok := resultCodes[resultCode(err)]; ok {
			out.Retry, out.Code = class.retry, class.name
		}
	}
	return out
}

// invalid is the error of a call that can never succeed.
func invalid(op, message string) error {
	return &provider.Error{Op: op, Retry: provider.GiveUp, Err: errors.New(message)}
}
