// Package sqlite is the embedded provider of Pawl: everything in one SQLite file, or in memory, with no server and no
// cgo.
//
// One goroutine owns the one connection that writes. A call is one transaction; calls that are waiting when a
// transaction is under way join it and share its commit, and no reply is sent before that commit. Reads have
// connections of their own. Several processes may open the same file at the same time: SQLite's lock makes them take
// turns, and each watches the file for the others' commits.
//
// The clock is the process's. The package knows nothing of replay or of the runtime.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	driver "modernc.org/sqlite"

	"github.com/pawlrun/pawl/provider"
)

// Synchronous says when a commit waits for the disk.
type Synchronous string

// The levels of durability.
const (
	// SynchronousFull: no commit is ever lost. The default.
	SynchronousFull Synchronous = "FULL"
	// SynchronousNormal: a power failure may undo the last commits; a crash of the process undoes nothing.
	SynchronousNormal Synchronous = "NORMAL"
	// SynchronousOff is for tests: a power failure may destroy the file.
	SynchronousOff Synchronous = "OFF"
)

// Options configure Open. The zero value is the default.
type Options struct {
	// Logger gets one debug line per call. Nil: nothing is logged.
	Logger *slog.Logger
	// Synchronous is the durability of outcomes: turns, results, starts and messages. Leases are committed with
	// SynchronousNormal at most, as a power failure ends the processes that hold them too.
	Synchronous Synchronous
	// BusyTimeout is how long a call waits for another process's transaction; 0: 5 s.
	BusyTimeout time.Duration
	// ReadConnections bounds the connections for reads; 0: 4.
	ReadConnections int
}

// Memory is the path of a database in memory, private to the Provider that opened it and gone with it.
const Memory = ":memory:"

// Provider is a store in one SQLite database.
type Provider struct {
	path    string
	memory  bool
	log     *slog.Logger
	writer  *writer
	writeDB *sql.DB
	reads   *readPool // nil for a database in memory
	hub     hub
	closing sync.Once
}

var (
	_ provider.Provider = (*Provider)(nil)
	_ provider.Notifier = (*Provider)(nil)
)

var errForeignDatabase = errors.New("it is the database of another application")

// Open opens the database at path, creating the file and its schema if need be. path may be prefixed with "sqlite://".
// The directory must exist. Goroutines of the Provider live from Open to Close.
func Open(ctx context.Context, path string, opts *Options) (*Provider, error) {
	const op = "open"
	o, err := opts.withDefaults()
	if err != nil {
		return nil, classify(op, err)
	}
	path = strings.TrimPrefix(path, "sqlite://")
	p := &Provider{path: path, memory: path == Memory, log: o.Logger}
	if !p.memory {
		if p.path, err = checkPath(path); err != nil {
			return nil, classify(op, err)
		}
	}
	if err := p.connect(ctx, o); err != nil {
		return nil, classify(op, describeOpenError(p.path, err))
	}
	return p, nil
}

func (opts *Options) withDefaults() (Options, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch o.Synchronous {
	case "":
		o.Synchronous = SynchronousFull
	case SynchronousFull, SynchronousNormal, SynchronousOff:
	default:
		return o, fmt.Errorf("unknown Synchronous option %q", o.Synchronous)
	}
	if o.BusyTimeout <= 0 {
		o.BusyTimeout = 5 * time.Second
	}
	if o.ReadConnections <= 0 {
		o.ReadConnections = 4
	}
	return o, nil
}

// checkPath makes the path absolute and finds the mistakes SQLite has no clear words for.
func checkPath(path string) (string, error) {
	if path == "" {
		return "", errors.New("the path of the database is empty")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(abs)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("cannot open %s: the directory %s does not exist", abs, dir)
	case err != nil:
		return "", fmt.Errorf("cannot open %s: %w", abs, err)
	case !info.IsDir():
		return "", fmt.Errorf("cannot open %s: %s is not a directory", abs, dir)
	}
	switch info, err := os.Stat(abs); {
	case errors.Is(err, os.ErrNotExist):
		return abs, nil
	case err != nil:
		return "", fmt.Errorf("cannot open %s: %w", abs, err)
	case info.IsDir():
		return "", fmt.Errorf("cannot open %s: it is a directory", abs)
	}
	file, err := os.OpenFile(abs, os.O_RDWR, 0)
	if err != nil {
		return "", fmt.Errorf("cannot write to %s: %w", abs, err)
	}
	return abs, file.Close()
}

// describeOpenError puts the path, and what is wrong with it, into an error of SQLite.
func describeOpenError(path string, err error) error {
	switch resultCode(err) {
	case codeNotADB:
		return fmt.Errorf("cannot open %s: the file is not an SQLite database: %w", path, err)
	case codeReadOnly, codePerm:
		return fmt.Errorf("cannot write to %s: the file or its directory is read-only: %w", path, err)
	case codeCantOpen:
		return fmt.Errorf("cannot open %s: the directory must be writable, for the -wal and -shm files too: %w", path, err)
	case codeBusy:
		return fmt.Errorf("cannot open %s: another process holds its lock: %w", path, err)
	}
	return fmt.Errorf("cannot open %s: %w", path, err)
}

// connect opens the connections, brings the schema up to date and starts the writer.
func (p *Provider) connect(ctx context.Context, o Options) (err error) {
	if p.writeDB, err = openPool(p.path, o, false); err != nil {
		return err
	}
	p.writeDB.SetMaxOpenConns(1)
	defer func() {
		if err != nil {
			err = errors.Join(err, p.writeDB.Close())
		}
	}()
	conn, err := p.writeDB.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, conn.Close())
		}
	}()
	if !p.memory {
		if err := enterWAL(ctx, conn); err != nil {
			return err
		}
	}
	if err := migrate(ctx, conn); err != nil {
		return err
	}
	if !p.memory {
		pool, err := openPool(p.path, o, true)
		if err != nil {
			return err
		}
		pool.SetMaxOpenConns(o.ReadConnections)
		pool.SetMaxIdleConns(o.ReadConnections)
		p.reads = newReadPool(pool)
	}
	// From here on the writer waits for locks itself.
	if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil {
		return err
	}
	p.writer = startWriter(conn, o, p.memory, &p.hub)
	return nil
}

// openPool returns a pool of connections, none of them open yet.
func openPool(path string, o Options, readOnly bool) (*sql.DB, error) {
	params := url.Values{}
	params.Set("_error_rc", "1")
	params.Set("_dqs", "0")
	params.Set("_busy_timeout", fmt.Sprint(o.BusyTimeout.Milliseconds()))
	params.Set("_synchronous", string(o.Synchronous))
	params.Add("_pragma", "temp_store(MEMORY)")
	if readOnly {
		params.Set("_query_only", "1")
	} else {
		params.Add("_pragma", "journal_size_limit(67108864)")
	}
	dsn := "file::memory:"
	if path != Memory {
		dsn = (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()
	}
	connector, err := driver.NewConnector(dsn + "?" + params.Encode())
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// enterWAL switches the file to write-ahead logging, which lets readers and the writer work at the same time. SQLite
// answers with the mode in force instead of an error if the file system can't do it.
func enterWAL(ctx context.Context, conn *sql.Conn) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		var mode string
		err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode)
		switch {
		case err == nil && mode == "wal":
			return nil
		case err == nil:
			return fmt.Errorf("the file system does not support write-ahead logging (journal mode %q)", mode)
		case resultCode(err) != codeBusy || time.Now().After(deadline):
			return err
		}
		// Another process is switching the mode right now; SQLite doesn't wait for that by itself.
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close implements provider.Provider.
func (p *Provider) Close() error {
	var err error
	p.closing.Do(func() {
		p.hub.close()
		err = p.writer.close()
		if p.reads != nil {
			err = errors.Join(err, p.reads.close())
		}
		err = errors.Join(err, p.writeDB.Close())
	})
	return classify("close", err)
}
