package sqlite_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// listen collects notifications until the test ends.
func listen(t *testing.T, p *sqlite.Provider, worker provider.WorkerID) <-chan provider.Notification {
	t.Helper()
	got := make(chan provider.Notification, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Listen(ctx, worker, func(n provider.Notification) { got <- n }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Listen: %v", err)
		}
	})
	return got
}

// expect waits for a notification of a kind.
func expect(t *testing.T, got <-chan provider.Notification, kind provider.NotificationKind) provider.Notification {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case n := <-got:
			if n.Kind == kind {
				return n
			}
		case <-deadline:
			t.Fatalf("no notification of kind %d", kind)
		}
	}
}

func closeAtEnd(t *testing.T, p *sqlite.Provider) *sqlite.Provider {
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// TestNotifications checks all kinds of notification within one Provider and between two.
func TestNotifications(t *testing.T) { onPairs(t, notifications) }

// onPairs tests between a handle and itself, or another one.
func onPairs(t *testing.T, test func(t *testing.T, near, far *sqlite.Provider, name string)) {
	path := filepath.Join(t.TempDir(), "pawl.db")
	memory := closeAtEnd(t, open(t, sqlite.Memory, nil))
	file, other := closeAtEnd(t, open(t, path, nil)), closeAtEnd(t, open(t, path, nil))
	for name, pair := range map[string][2]*sqlite.Provider{
		"memory":       {memory, memory},
		"one handle":   {file, file},
		"two handles":  {other, file},
		"the opposite": {file, other},
	} {
		t.Run(name, func(t *testing.T) { test(t, pair[0], pair[1], name) })
	}
}

func notifications(t *testing.T, near, far *sqlite.Provider, id string) {
	worker := provider.NewWorkerID()
	got := listen(t, near, worker)
	start(t, far, id)
	expect(t, got, provider.NotifyReady)
	item := fetch(t, near, worker)[0]
	if _, err := near.ReadInstances(t.Context(), []string{id}, true); err != nil {
		t.Fatal(err)
	}
	commit(t, near, worker, &item, func(a *provider.AckItem) { a.Keep, a.Waits = true, []string{"go"} })

	statuses, err := far.EnqueueMessages(t.Context(), []provider.NewMessage{{
		Target: id, Kind: provider.MessageExternalEvent, Name: "go", ID: "m", Body: []byte(`{}`),
	}})
	if err != nil || statuses[0] != provider.Applied {
		t.Fatal(statuses, err)
	}
	if near == far {
		expect(t, got, provider.NotifyHeld)
	} else {
		expect(t, got, provider.NotifyReady)
	}
	items := fetch(t, near, worker)
	if len(items) != 1 || !items[0].Held || len(items[0].Messages) != 1 {
		t.Fatalf("fetched %+v", items)
	}

	// The end happens on the far side.
	err = near.AbandonItems(t.Context(), &provider.AbandonRequest{Instances: []provider.AbandonedInstance{{
		Ref: item.Ref, Token: item.Token,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	runReady(t, far, provider.NewWorkerID())
	n := expect(t, got, provider.NotifyDone)
	if n.InstanceID != id || n.State == nil || n.State.Status != provider.StatusCompleted || n.State.LastTurn.Count != 1 {
		t.Errorf("got %+v with state %+v", n, n.State)
	}
}

// TestNotificationsFromOutside checks what others are told of custom statuses, suspensions and terminations.
func TestNotificationsFromOutside(t *testing.T) { onPairs(t, notificationsFromOutside) }

func notificationsFromOutside(t *testing.T, near, far *sqlite.Provider, id string) {
	worker := provider.NewWorkerID()
	if _, err := near.Pulse(t.Context(), &provider.PulseRequest{Worker: worker, Join: true}); err != nil {
		t.Fatal(err)
	}
	got := listen(t, near, worker)
	start(t, far, id)
	expect(t, got, provider.NotifyReady)
	if _, err := near.ReadInstances(t.Context(), []string{id}, true); err != nil {
		t.Fatal(err)
	}
	distant := provider.NewWorkerID()
	item := fetch(t, far, distant)[0]
	for range 2 { // the mark stays
		commit(t, far, distant, &item, func(a *provider.AckItem) { a.CustomStatus, a.Keep = []byte(`"busy"`), true })
		if n := expect(t, got, provider.NotifyStatus); n.InstanceID != id {
			t.Errorf("got %+v", n)
		}
	}

	ended := id + " ended"
	commit(t, far, distant, &item, func(a *provider.AckItem) {
		a.Messages = []provider.NewMessage{{Target: id, Kind: provider.MessageCancel, ID: "c"}}
	})
	if err := far.RetireWorker(t.Context(), distant); err != nil {
		t.Fatal(err)
	}
	start(t, near, ended)
	if items := fetch(t, near, worker); len(items) != 2 {
		t.Fatalf("fetched %+v", items)
	}
	if _, err := far.SuspendInstances(t.Context(), []string{id}, []byte(`"why"`)); err != nil {
		t.Fatal(err)
	}
	expect(t, got, provider.NotifyHeld)
	_, err := far.TerminateInstances(t.Context(), []provider.Termination{{InstanceID: ended, Events: []byte(`[{}]`)}})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, got, provider.NotifyHeld)
	if _, err := far.TerminateInstances(t.Context(), []provider.Termination{{InstanceID: id, Events: []byte(`[{}]`)}}); err != nil {
		t.Fatal(err)
	}
	n := expect(t, got, provider.NotifyDone)
	if n.InstanceID != id || n.State.Status != provider.StatusTerminated || string(n.State.CustomStatus) != `"busy"` ||
		n.State.StatusVersion != 2 || n.State.Parked != nil {
		t.Errorf("got %+v with state %+v", n, n.State)
	}
}

func TestListenEndsWithClose(t *testing.T) {
	for _, path := range []string{sqlite.Memory, filepath.Join(t.TempDir(), "pawl.db")} {
		p := open(t, path, nil)
		ended := make(chan error, 1)
		go func() { ended <- p.Listen(t.Context(), 1, func(provider.Notification) {}) }()
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil {
			t.Error("Listen ended without an error")
		}
	}
}
