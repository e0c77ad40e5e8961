package metering_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/pawlrun/pawl/internal/metering"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/sqlite"
)

func TestCountsSurviveTheProcess(t *testing.T) {
	ctx := context.Background()
	store, err := sqlite.Open(ctx, sqlite.Memory, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "meter")
	metered, err := metering.Wrap(store, path)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := metered.(provider.Notifier); !ok {
		t.Error("a store that notifies must still do so when metered")
	}
	if _, err := metered.RegisterClasses(ctx, []provider.Class{{Kind: provider.ClassActivity, Name: "A"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := metered.Pulse(ctx, &provider.PulseRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := metered.ListInstances(ctx, provider.ListQuery{}); err != nil {
		t.Fatal(err)
	}
	// Read before Close: a process that was killed never closes.
	got, err := metering.Read(path)
	if want := (metering.Counts{RoundTrips: 3, Commits: 2, Pulses: 1}); err != nil || got != want {
		t.Errorf("Read = %+v, %v; want %+v", got, err, want)
	}
	if err := metered.Close(); err != nil {
		t.Error(err)
	}
}
