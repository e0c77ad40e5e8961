package sqlite_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// TestVirtualTime runs a timer of 24 hours in a bubble of virtual time, which also fails if a goroutine is left after
// Close.
func TestVirtualTime(t *testing.T) {
	for name, path := range map[string]string{
		"memory": sqlite.Memory,
		"file":   filepath.Join(t.TempDir(), "pawl.db"),
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { waitADay(t, path) }) })
	}
}

func waitADay(t *testing.T, path string) {
	p := open(t, path, nil)
	worker := provider.NewWorkerID()
	began := time.Now()
	ready := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	listening := make(chan error, 1)
	go func() {
		listening <- p.Listen(ctx, worker, func(n provider.Notification) {
			select {
			case ready <- struct{}{}:
			default:
			}
		})
	}()
	synctest.Wait()

	start(t, p, "sleeper")
	<-ready
	if path != sqlite.Memory {
		cancel() // polling a file for a virtual day takes real seconds
	}
	item := fetch(t, p, worker)[0]
	commit(t, p, worker, &item, func(a *provider.AckItem) {
		a.Timers = []provider.NewTimer{{Event: 1, FireAt: began.Add(24 * time.Hour)}}
	})
	req := &provider.PulseRequest{Worker: worker, Join: true, TTL: 3 * time.Second, Classes: []provider.ClassID{class(t, p)}}
	pulses := 0
	for {
		reply, err := p.Pulse(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		pulses++
		if reply.OrchestrationsReady {
			break
		}
		req.Join = false
		time.Sleep(time.Minute)
	}
	items := fetch(t, p, worker)
	if len(items) != 1 || len(items[0].Messages) != 1 || items[0].Messages[0].Kind != provider.MessageTimerFired {
		t.Fatalf("fetched %+v", items)
	}
	if at := items[0].Messages[0].At; !at.Equal(began.Add(24 * time.Hour)) {
		t.Errorf("the timer was due at %v", at)
	}
	if pulses != 24*60+1 {
		t.Errorf("the timer fired after %d pulses", pulses)
	}
	cancel()
	if err := <-listening; !errors.Is(err, context.Canceled) {
		t.Errorf("Listen: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}
