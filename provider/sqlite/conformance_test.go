package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// open opens a Provider and ends the test if that fails.
func open(t providertest.T, path string, opts *sqlite.Options) *sqlite.Provider {
	t.Helper()
	p, err := sqlite.Open(t.Context(), path, opts)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return p
}

func TestConformanceFile(t *testing.T) {
	providertest.Run(t, providertest.Harness{NewStore: func(t providertest.T) providertest.Opener {
		path := filepath.Join(t.TempDir(), "pawl.db")
		return func(t providertest.T) provider.Provider { return open(t, path, nil) }
	}})
}

// memoryHandle is one of several handles on a database in memory, which only one Provider can open.
type memoryHandle struct{ *sqlite.Provider }

// Close makes this handle fail its calls and leaves the store to the others.
func (h *memoryHandle) Close() error {
	closed, err := sqlite.Open(context.Background(), sqlite.Memory, nil)
	if err != nil {
		return err
	}
	h.Provider = closed
	return closed.Close()
}

func TestConformanceMemory(t *testing.T) {
	providertest.Run(t, providertest.Harness{NewStore: func(t providertest.T) providertest.Opener {
		p := open(t, sqlite.Memory, nil)
		t.Cleanup(func() {
			if err := p.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		return func(providertest.T) provider.Provider { return &memoryHandle{p} }
	}})
}
