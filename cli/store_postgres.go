package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
)

// defaultSchema is what package postgres uses if none is named.
const defaultSchema = "pawl"

func openPostgres(ctx context.Context, t target, logger *slog.Logger, asIs bool) (provider.Provider, error) {
	options := t.postgresOptions(logger)
	options.SkipMigrate = asIs
	store, err := postgres.Open(ctx, t.dsn, options)
	if err != nil {
		return nil, err
	}
	return store, nil
}

func (t *target) postgresOptions(logger *slog.Logger) *postgres.Options {
	return &postgres.Options{Schema: t.schema, Logger: logger}
}

// postgresStatus returns the migrations of a PostgreSQL store.
func postgresStatus(ctx context.Context, t target, logger *slog.Logger) ([]migrationView, error) {
	all, err := postgres.MigrationStatus(ctx, t.dsn, t.postgresOptions(logger))
	if err != nil {
		return nil, err
	}
	views := make([]migrationView, len(all))
	for i, m := range all {
		views[i] = migrationView{Migration: fmt.Sprintf("%04d %s", m.Version, m.Name), AppliedAt: m.AppliedAt}
	}
	return views, nil
}

// connectReason is why a connection could not be made, without the list of all attempts (with TLS and without, to each
// address), of which one says it. Other errors it leaves as they are.
func connectReason(err error) error {
	var failed *pgconn.ConnectError
	if !errors.As(err, &failed) || errors.Is(err, errNoAnswer) {
		return err
	}
	var server *pgconn.PgError
	var name *net.DNSError
	var dial *net.OpError
	switch {
	case errors.As(err, &server):
		said := fmt.Errorf("%s (SQLSTATE %s)", server.Message, server.Code)
		switch server.Code {
		case "28P01", "28000": // the password is wrong, or nobody may come in this way
			return fmt.Errorf("%w; the user and password are those of --store, PGUSER, PGPASSWORD or the password file", said)
		case "3D000":
			return fmt.Errorf("%w; create it first", said)
		case "42704":
			return fmt.Errorf("%w; see the parameters of --store", said)
		}
		return said
	case errors.As(err, &name):
		return name
	case errors.As(err, &dial):
		return dial
	}
	return err
}
