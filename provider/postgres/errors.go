package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

// What errors mean is the same for every provider on PostgreSQL: package sqlstate says it.

var errClosed = sqlstate.ErrClosed

func retryClass(code string) provider.Retry { return sqlstate.Retry(code) }

func stalePlan(err *pgconn.PgError) bool { return sqlstate.StalePlan(err) }

func callError(ctx context.Context, op string, err error) error {
	return sqlstate.CallError(ctx, op, err)
}

func giveUp(op, format string, args ...any) error { return sqlstate.GiveUp(op, format, args...) }
