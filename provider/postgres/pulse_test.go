package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
)

// TestPulseWaitsForNoCall: a worker beats while every connection for calls is taken by one that does not come back.
func TestPulseWaitsForNoCall(t *testing.T) {
	dsn := pgtest.URL(t)
	p, err := postgres.Open(t.Context(), dsn, &postgres.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	conn, err := pgx.Connect(t.Context(), pgtest.ServerURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	// A fetch waits for an earlier try of the same request, which this session pretends to be.
	request := provider.NewToken()
	if _, err := conn.Exec(t.Context(), "select pg_advisory_lock($1)", int64(request)); err != nil {
		t.Fatal(err)
	}
	worker := provider.NewWorkerID()
	fetched := make(chan error, 1)
	go func() {
		_, err := p.FetchOrchestrationItems(t.Context(), &provider.FetchRequest{Worker: worker, Request: request, Max: 1})
		fetched <- err
	}()
	waiting := false
	for tick := time.NewTicker(5 * time.Millisecond); !waiting; <-tick.C {
		if err := conn.QueryRow(t.Context(), "select exists (select from pg_locks where locktype = 'advisory' and not granted)").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Pulse(t.Context(), &provider.PulseRequest{Worker: worker, Join: true, TTL: time.Second}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-fetched:
		t.Fatal("the fetch did not wait:", err)
	default:
	}
	if _, err := conn.Exec(t.Context(), "select pg_advisory_unlock($1)", int64(request)); err != nil {
		t.Fatal(err)
	}
	if err := <-fetched; err != nil {
		t.Fatal(err)
	}
}
