package cli

import (
	"context"
	"fmt"
	"log/slog"

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
