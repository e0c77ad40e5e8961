package inline

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

// Provider is a provider.Provider and provider.Notifier on PostgreSQL. It is safe for concurrent use.
type Provider struct {
	pool   *pgxpool.Pool
	schema string // quoted, with the dot that follows it
	name   string // as it is
	parts  int
	log    *slog.Logger
	closed atomic.Bool
	// opened has made sure of the schema, and listens: both are no operations on items.
	opened *postgres.Provider
}

var (
	_ provider.Provider = (*Provider)(nil)
	_ provider.Notifier = (*Provider)(nil)
)

// Open is postgres.Open for this provider: the same DSN, the same options, the same schema.
func Open(ctx context.Context, dsn string, opts *postgres.Options) (*Provider, error) {
	const op = "open"
	var o postgres.Options
	if opts != nil {
		o = *opts
	}
	calls := o.MaxConns
	if calls == 0 {
		calls = 4
	}
	if calls > 0 { // else refused by what follows
		o.MaxConns = 1
	}
	opened, err := postgres.Open(ctx, dsn, &o)
	if err != nil {
		return nil, err
	}
	pool, err := connect(ctx, dsn, calls, o.PoolerSafe)
	if err != nil {
		return nil, errors.Join(sqlstate.CallError(ctx, op, err), opened.Close())
	}
	p := &Provider{
		pool: pool, schema: pgx.Identifier{opened.Schema()}.Sanitize() + ".", name: opened.Schema(), parts: opened.Parts(),
		log: o.Logger, opened: opened,
	}
	if p.log == nil {
		p.log = slog.Default()
	}
	return p, nil
}

// connect makes the pool of connections for calls.
func connect(ctx context.Context, dsn string, conns int, poolerSafe bool) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	delete(config.ConnConfig.RuntimeParams, "schema")
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "pawl inline"
	}
	if poolerSafe {
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	config.MaxConns = int32(conns)
	// As in package postgres: every call may be repeated, so a dead connection costs a repeat.
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	return pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
}

// Close implements provider.Provider. It waits for calls under way.
func (p *Provider) Close() error {
	if !p.closed.CompareAndSwap(false, true) {
		return nil
	}
	p.pool.Close()
	return p.opened.Close()
}

// Listen implements provider.Notifier: both providers speak the same notifications.
func (p *Provider) Listen(ctx context.Context, worker provider.WorkerID, notify func(provider.Notification)) error {
	return p.opened.Listen(ctx, worker, notify)
}

func (p *Provider) partOf(instanceID string) int16 { return provider.PartitionOf(instanceID, p.parts) }

// text completes a statement: a name that begins with @ is one of the schema.
func (p *Provider) text(sql string) string { return strings.ReplaceAll(sql, "@", p.schema) }
