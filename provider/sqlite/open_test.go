package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pawlrun/pawl/internal/unprivileged"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// refused opens a path that must be refused for good, with an error that names the path and the reason.
func refused(t *testing.T, path, reason string) {
	t.Helper()
	p, err := sqlite.Open(t.Context(), path, nil)
	if err == nil {
		_ = p.Close()
		t.Fatalf("%s was opened", path)
	}
	var e *provider.Error
	if !errors.As(err, &e) || e.Retry != provider.GiveUp {
		t.Errorf("got %#v, want an error to give up on", err)
	}
	if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), reason) {
		t.Errorf("error %q does not name %q and %q", err, path, reason)
	}
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("These are notes, no database.\n", 100)), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, filepath.Join(dir, "missing", "pawl.db"), "does not exist")
	refused(t, filepath.Join(text, "pawl.db"), "not a directory")
	refused(t, dir, "is a directory")
	refused(t, text, "not an SQLite database")
	refused(t, "", "empty")
}

func TestOpenReadOnly(t *testing.T) {
	if unprivileged.Rerun(t) {
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "pawl.db")
	if err := open(t, path, nil).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o444); err != nil {
		t.Fatal(err)
	}
	refused(t, path, "cannot write")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	refused(t, path, "directory")
	refused(t, filepath.Join(dir, "new.db"), "directory")
}

// alter runs SQL on a file behind the provider's back.
func alter(t *testing.T, path, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesOtherSchemas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pawl.db")
	if err := open(t, path, nil).Close(); err != nil {
		t.Fatal(err)
	}
	alter(t, path, "PRAGMA user_version = 1000")
	refused(t, path, "newer")

	other := filepath.Join(t.TempDir(), "other.db")
	alter(t, other, "CREATE TABLE customers (id INTEGER PRIMARY KEY)")
	refused(t, other, "another application")
}

func TestOpenAcceptsURLAndOddNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a b.db", "50%41.db", "what?.db", "x#y.db", "ünï.db", "q&a=1.db"} {
		path := filepath.Join(dir, name)
		if err := open(t, "sqlite://"+path, nil).Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the file was not created under its name: %v", err)
		}
	}
}

func TestOpenAtTheSameTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pawl.db")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			p, err := sqlite.Open(t.Context(), path, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := p.RegisterClasses(t.Context(), []provider.Class{{Kind: provider.ClassActivity, Name: "a"}}); err != nil {
				t.Error(err)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestMemoryIsPrivate(t *testing.T) {
	a, b := open(t, sqlite.Memory, nil), open(t, sqlite.Memory, nil)
	start(t, a, "x")
	states, err := b.ReadInstances(t.Context(), []string{"x"}, false)
	if err != nil || len(states) != 0 {
		t.Errorf("another Provider reads %v, %v", states, err)
	}
	for _, p := range []*sqlite.Provider{a, b} {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestContentSurvivesReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pawl.db")
	p := open(t, path, nil)
	ref := start(t, p, "x")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = open(t, path, nil)
	defer p.Close()
	states, err := p.ReadInstances(t.Context(), []string{"x"}, false)
	if err != nil || len(states) != 1 || states[0].Ref != ref {
		t.Errorf("read %v, %v", states, err)
	}
}

func TestDoneContextIsRetryable(t *testing.T) {
	p := open(t, sqlite.Memory, nil)
	defer p.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.Pulse(ctx, &provider.PulseRequest{})
	if !provider.Retryable(err) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
