package inline_test

import (
	"testing"

	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
	"github.com/pawlrun/pawl/provider/postgres/inline"
	"github.com/pawlrun/pawl/provider/providertest"
)

func TestConformance(t *testing.T) {
	providertest.Run(t, harness(openInline))
}

// TestConformanceInTurns runs the suite with every other call made by the stored functions: what one provider has
// written, granted or answered, the other must understand, continue and answer again. Neither names its prepared
// statements.
func TestConformanceInTurns(t *testing.T) {
	providertest.Run(t, harness(func(t providertest.T, dsn string) provider.Provider {
		options := &postgres.Options{MaxConns: 3, PoolerSafe: true}
		functions, err := postgres.Open(t.Context(), dsn, options)
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		statements, err := inline.Open(t.Context(), dsn, options)
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		return &inTurns{providers: [2]provider.Provider{statements, functions}}
	}))
}

func openInline(t providertest.T, dsn string) provider.Provider {
	p, err := inline.Open(t.Context(), dsn, &postgres.Options{MaxConns: 3})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return p
}

// harness makes stores in schemas of their own.
func harness(open func(t providertest.T, dsn string) provider.Provider) providertest.Harness {
	return providertest.Harness{NewStore: func(t providertest.T) providertest.Opener {
		dsn := pgtest.URL(t.(testing.TB))
		return func(t providertest.T) provider.Provider { return open(t, dsn) }
	}}
}
