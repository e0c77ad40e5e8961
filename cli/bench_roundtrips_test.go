package cli_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/internal/pgtest"
)

// TestRoundTrips runs the script of bench roundtrips, and sees that it leaves nothing behind.
func TestRoundTrips(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	store := pgtest.URL(t)
	runScript(t, "testdata/bench/roundtrips.txt", store)

	conn, err := pgx.Connect(ctx, pgtest.ServerURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var left []string
	err = conn.QueryRow(ctx, `select coalesce(array_agg(nspname::text), '{}') from pg_namespace where nspname like 'pawl\_budget%'`).Scan(&left)
	if err != nil || len(left) > 0 {
		t.Errorf("schemas %v were left behind, %v", left, err)
	}
}
