package postgres_test

import (
	"testing"

	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
	"github.com/pawlrun/pawl/provider/providertest"
)

func TestConformance(t *testing.T) {
	providertest.Run(t, harness(&postgres.Options{MaxConns: 3}, nil))
}

// TestConformanceOfGeneralFunctions sends single items, too, by the functions that take many.
func TestConformanceOfGeneralFunctions(t *testing.T) {
	providertest.Run(t, harness(&postgres.Options{MaxConns: 3}, postgres.WithoutPlain))
}

// harness makes stores in schemas of their own; adapt, if not nil, is applied to each provider.
func harness(opts *postgres.Options, adapt func(*postgres.Provider)) providertest.Harness {
	return providertest.Harness{NewStore: func(t providertest.T) providertest.Opener {
		dsn := pgtest.URL(t.(testing.TB))
		return func(t providertest.T) provider.Provider {
			p, err := postgres.Open(t.Context(), dsn, opts)
			if err != nil {
				t.Fatalf("open: %v", err)
			}
			if adapt != nil {
				adapt(p)
			}
			return p
		}
	}}
}
