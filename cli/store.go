package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// A store that does not answer in this time is taken to be out of reach.
const (
	connectTimeout = 4 * time.Second
	openTimeout    = 10 * time.Second // with a small migration
	callTimeout    = 15 * time.Second
)

var errBadURL = usagef("--store is not a valid URL: special characters in user, password and parameters are written as %%XX")

var errNoAnswer = errors.New("it did not answer in time")

// storeKind tells the providers apart.
type storeKind uint8

const (
	storeSQLite storeKind = iota
	storePostgres
)

// target is a store specification taken apart.
type target struct {
	kind   storeKind
	path   string // of an SQLite file
	dsn    string // of a PostgreSQL database, without the schema
	schema string // "" for the default
}

// parseStore takes a specification apart. It never repeats the text of a URL in an error: it may hold a password.
func parseStore(spec string) (target, error) {
	scheme, rest, isURL := strings.Cut(spec, "://")
	switch {
	case spec == "":
		return target{}, usagef("the name of the store is empty")
	case !isURL:
		for _, key := range []string{"host=", "dbname="} {
			if strings.Contains(spec, key) {
				return target{}, usagef("--store takes a URL (postgres://user@host/db?schema=name) or a file, not keywords")
			}
		}
		for _, prefix := range []string{"sqlite:", "file:", "postgres:", "postgresql:"} {
			if strings.HasPrefix(spec, prefix) {
				return target{}, usagef("--store %s...: want a file, sqlite://FILE or postgres://HOST/DB", prefix)
			}
		}
		return target{path: spec}, nil
	case scheme == "sqlite" && rest == "":
		return target{}, usagef("--store sqlite://: the name of the file is missing")
	case scheme == "sqlite":
		return target{path: rest}, nil
	case scheme != "postgres" && scheme != "postgresql":
		return target{}, usagef("--store %s://...: want a file, sqlite://FILE or postgres://HOST/DB", scheme)
	}
	u, err := url.Parse(spec)
	if err != nil {
		return target{}, errBadURL
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return target{}, errBadURL
	}
	t := target{kind: storePostgres, schema: q.Get("schema")}
	q.Del("schema")
	if !q.Has("connect_timeout") {
		q.Set("connect_timeout", fmt.Sprint(int(connectTimeout.Seconds())))
	}
	u.RawQuery = q.Encode()
	t.dsn = u.String()
	return t, nil
}

// OpenStore opens the store a specification names: a file, sqlite://FILE or postgres://HOST/DB?schema=NAME. It is the one
// place that knows which provider serves what. It creates and migrates what is not there yet.
func OpenStore(ctx context.Context, spec string, logger *slog.Logger) (provider.Provider, error) {
	t, err := parseStore(spec)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, openTimeout, errNoAnswer)
	defer cancel()
	var store provider.Provider
	switch t.kind {
	case storePostgres:
		store, err = openPostgres(ctx, t, logger, false)
	default:
		store, err = sqlite.Open(ctx, t.path, &sqlite.Options{Logger: logger})
	}
	if err != nil {
		return nil, err // a typed nil is not to become a Provider
	}
	return store, nil
}

// DataDir returns the directory for the user's data of Pawl, which need not exist: $XDG_DATA_HOME/pawl or what the
// platform has instead.
func DataDir() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "pawl"), nil
	}
	if runtime.GOOS == "windows" {
		if dir := os.Getenv("LocalAppData"); dir != "" {
			return filepath.Join(dir, "pawl"), nil
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", &Error{ExitStore, fmt.Errorf("no home directory to keep a store in (%w): name one with --store", err)}
	}
	switch runtime.GOOS {
	case "darwin", "ios":
		return filepath.Join(home, "Library", "Application Support", "pawl"), nil
	case "windows":
		return filepath.Join(home, "AppData", "Local", "pawl"), nil
	}
	return filepath.Join(home, ".local", "share", "pawl"), nil
}

// storeUse says what a command wants of a store that is not there.
type storeUse uint8

const (
	mayCreate storeUse = iota
	mustExist
)

// target takes the session's specification apart; without one it is the default store, whose directory it makes.
func (s *Session) target() (target, error) {
	if s.spec != "" {
		return parseStore(s.spec)
	}
	dir, err := DataDir()
	if err != nil {
		return target{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return target{}, &Error{ExitStore, fmt.Errorf("no directory for the default store: %w; name a store with --store", err)}
	}
	s.spec, s.isDefault = filepath.Join(dir, "pawl.db"), true
	return parseStore(s.spec)
}

// open opens the store of the session. The default store is made on demand; one that is named must exist unless the
// command creates something in it, so that a slip of the pen does not make an empty store.
func (s *Session) open(ctx context.Context, use storeUse) (provider.Provider, error) {
	t, err := s.target()
	if err != nil {
		return nil, err
	}
	if t.kind == storeSQLite && use == mustExist && !s.isDefault && t.path != sqlite.Memory {
		if _, err := os.Stat(t.path); errors.Is(err, os.ErrNotExist) {
			return nil, &Error{ExitStore, fmt.Errorf("there is no store %s: \"%s migrate --store %s\" makes one", t.path, s.cfg.Name, s.spec)}
		}
	}
	if t.kind == storePostgres && use == mustExist {
		store, err := s.openExisting(ctx, t)
		return store, s.explain(err)
	}
	return s.Open(ctx, s.spec)
}

// openExisting opens a PostgreSQL store as it is: looking at one must neither make it nor change it.
func (s *Session) openExisting(ctx context.Context, t target) (provider.Provider, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, openTimeout, errNoAnswer)
	defer cancel()
	store, err := openPostgres(ctx, t, s.log, true)
	if err == nil || provider.Retryable(err) {
		return store, err
	}
	if migrations, statusErr := postgresStatus(ctx, t, s.log); statusErr == nil && len(migrations) > 0 && anyPending(migrations) {
		return nil, &Error{ExitStore, fmt.Errorf("%s is not set up for this program: \"%s migrate\" with the same --store does that", s.where(), s.cfg.Name)}
	}
	return nil, err
}

// Open is OpenStore with errors in the words of the command line.
func (s *Session) Open(ctx context.Context, spec string) (provider.Provider, error) {
	store, err := OpenStore(ctx, spec, s.log)
	if err != nil {
		return nil, explain(err, s.cfg.Name, StoreName(spec))
	}
	return store, nil
}

// where names the session's store in messages.
func (s *Session) where() string { return StoreName(s.spec) }

// StoreName names a store in messages, without a password.
func StoreName(spec string) string {
	t, err := parseStore(spec)
	if err != nil {
		return "the store"
	}
	if t.kind == storeSQLite {
		return "the store " + t.path
	}
	u, err := url.Parse(t.dsn)
	if err != nil {
		return "the store"
	}
	schema := t.schema
	if schema == "" {
		schema = defaultSchema
	}
	return fmt.Sprintf("the store %s%s (schema %q)", u.Host, u.Path, schema)
}

// withStore runs a command on the open store, with an end to its patience.
func (s *Session) withStore(ctx context.Context, use storeUse, run func(context.Context, provider.Provider) error) error {
	store, err := s.open(ctx, use)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeoutCause(ctx, callTimeout, errNoAnswer)
	defer cancel()
	err = run(bounded, store)
	return s.explain(errors.Join(err, store.Close()))
}

// withClient runs a command on a started app that runs nothing, though it knows the program's functions.
func (s *Session) withClient(ctx context.Context, use storeUse, run func(context.Context, *pawl.App, provider.Provider) error) error {
	return s.withStore(ctx, use, func(ctx context.Context, store provider.Provider) error {
		app, err := s.client(store)
		if err != nil {
			return err
		}
		if err := app.Start(ctx); err != nil {
			return err
		}
		err = run(ctx, app, store)
		return errors.Join(err, app.Stop(s.Hard(ctx)))
	})
}

// client makes an app that runs nothing.
func (s *Session) client(store provider.Provider) (*pawl.App, error) {
	options := s.options()
	options.ClientOnly = true
	app := pawl.New(store, options)
	if s.cfg.Register == nil {
		return app, nil
	}
	if err := s.cfg.Register(app); err != nil {
		return nil, &Error{ExitFailed, err}
	}
	return app, nil
}

// options returns the options for an app of this session.
func (s *Session) options() *pawl.Options {
	o := s.cfg.Options
	if o.Logger == nil {
		o.Logger = s.log
	}
	return &o
}
