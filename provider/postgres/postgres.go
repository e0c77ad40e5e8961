package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

// Options configure a Provider. The zero value is good for most programs.
type Options struct {
	// Schema holds everything Pawl stores; default "pawl". A schema parameter in the DSN overrides it. Several schemas
	// in one database are several independent stores.
	Schema string
	// Logger gets one line per call at level Debug; default slog.Default().
	Logger *slog.Logger
	// MaxConns limits the connections for calls; default 4. One or two per core of the server are enough: calls are
	// batched. The pulse has one more, and so has the listener of notifications.
	MaxConns int
	// Parts is the number of partitions of a schema that is created by this Open; default 16, at most 1024. It cannot
	// be changed later.
	Parts int
	// SkipMigrate makes Open fail where it would otherwise create or migrate the schema, so that a role without the
	// right to do so is enough.
	SkipMigrate bool
	// PoolerSafe sends no named prepared statements, for poolers in transaction mode that do not track them. A call
	// then takes a little longer; it is still one round trip.
	PoolerSafe bool
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Schema == "" {
		out.Schema = "pawl"
	}
	if out.Logger == nil {
		out.Logger = slog.Default()
	}
	if out.MaxConns == 0 {
		out.MaxConns = 4
	}
	if out.Parts == 0 {
		out.Parts = 16
	}
	return out
}

func (o *Options) validate() error {
	var errs []error
	if o.MaxConns < 1 {
		errs = append(errs, fmt.Errorf("MaxConns is %d, want at least 1", o.MaxConns))
	}
	if o.Parts < 1 || o.Parts > 1024 {
		errs = append(errs, fmt.Errorf("Parts is %d, want 1 to 1024", o.Parts))
	}
	if len(o.Schema) > 63 || strings.ContainsRune(o.Schema, 0) {
		errs = append(errs, fmt.Errorf("schema name %q: want at most 63 bytes and no NUL", o.Schema))
	}
	if strings.HasPrefix(o.Schema, "pg_") {
		errs = append(errs, fmt.Errorf("schema name %q: names with pg_ belong to the server", o.Schema))
	}
	return errors.Join(errs...)
}

// Provider is a provider.Provider and provider.Notifier on PostgreSQL. It is safe for concurrent use.
type Provider struct {
	pool   *pgxpool.Pool
	pulses *pgxpool.Pool // liveness must not queue up behind calls that take long
	config *pgx.ConnConfig
	schema string // quoted
	name   string // as it is
	parts  int
	log    *slog.Logger
	pooler bool
	closed atomic.Bool
	water  lowWater
	nudges nudges

	withoutPlain bool // set by tests: the functions of lone.go and plain.go are not used
}

var (
	_ provider.Provider = (*Provider)(nil)
	_ provider.Notifier = (*Provider)(nil)
)

// maxPulses is how many pulses may be under way at a time. An app has one; several apps may share a provider, and a pulse
// that waits for a lock must not keep the others from beating.
const maxPulses = 4

// Open connects to the database that dsn names (a URL or keywords and values, see pgx) and makes sure that the schema
// is there and current. Opening a schema that is current costs one query. Cancelling ctx after Open has returned has no
// effect.
func Open(ctx context.Context, dsn string, opts *Options) (*Provider, error) {
	config, o, err := parse(dsn, opts)
	if err != nil {
		return nil, sqlstate.CallError(ctx, "open", err)
	}
	config.MaxConns = int32(o.MaxConns)
	// Every call may be repeated, so a dead connection costs a repeat; asking before each call would cost a round trip.
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		return nil, sqlstate.CallError(ctx, "open", err)
	}
	config.MaxConns, config.MinConns, config.MinIdleConns = maxPulses, 0, 0
	pulses, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		pool.Close()
		return nil, sqlstate.CallError(ctx, "open", err)
	}
	p := &Provider{
		pool: pool, pulses: pulses, config: config.ConnConfig.Copy(), schema: quote(o.Schema), name: o.Schema,
		log: o.Logger, pooler: o.PoolerSafe,
	}
	if err := p.prepareSchema(ctx, &o); err != nil {
		pool.Close()
		pulses.Close()
		return nil, err
	}
	return p, nil
}

// Close implements provider.Provider. It waits for calls under way.
func (p *Provider) Close() error {
	if p.closed.CompareAndSwap(false, true) {
		p.pool.Close()
		p.pulses.Close()
	}
	return nil
}

// Parts returns the number of partitions of the schema.
func (p *Provider) Parts() int { return p.parts }

// Schema returns the name of the schema, as it is.
func (p *Provider) Schema() string { return p.name }

// prepareSchema checks the state of the schema and migrates it if that is wanted.
func (p *Provider) prepareSchema(ctx context.Context, o *Options) error {
	var state schemaState
	err := p.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) (err error) {
		if state, err = readState(ctx, c.Conn(), p.schema); err != nil {
			return err
		}
		if state.isolation != "read committed" {
			return sqlstate.GiveUp("open", "default_transaction_isolation is %s: Pawl's functions need read committed", state.isolation)
		}
		if state.current() {
			return nil
		}
		if o.SkipMigrate {
			return sqlstate.GiveUp("open", "schema %s has version %d and needs a migration to %d (SkipMigrate is set)",
				p.schema, state.version, len(migrations()))
		}
		if err = migrate(ctx, c.Conn(), o.Schema, o.Parts); err != nil {
			return err
		}
		state, err = readState(ctx, c.Conn(), p.schema)
		return err
	})
	if err != nil {
		return sqlstate.CallError(ctx, "open", err)
	}
	p.parts = state.parts
	return nil
}

// parse reads the DSN; the schema parameter is Pawl's own and taken out of it.
func parse(dsn string, opts *Options) (*pgxpool.Config, Options, error) {
	o := opts.withDefaults()
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, o, err
	}
	runtime := config.ConnConfig.RuntimeParams
	if schema, ok := runtime["schema"]; ok {
		delete(runtime, "schema")
		o.Schema = schema
	}
	if runtime["application_name"] == "" {
		runtime["application_name"] = "pawl"
	}
	if o.PoolerSafe {
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	if err := o.validate(); err != nil {
		return nil, o, &provider.Error{Op: "open", Retry: provider.GiveUp, Err: err}
	}
	return config, o, nil
}

// quote writes an identifier as SQL.
func quote(identifier string) string { return pgx.Identifier{identifier}.Sanitize() }

// number formats a parameter reference.
func number(n int) string { return "$" + strconv.Itoa(n) }
