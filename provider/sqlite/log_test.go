package sqlite_test

import (
	"bytes"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/pawlrun/pawl/provider/sqlite"
)

// TestDebugLog checks the one line per call.
func TestDebugLog(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p := open(t, sqlite.Memory, &sqlite.Options{Logger: logger})
	start(t, p, "x")
	if _, err := p.ReadInstances(t.Context(), []string{"x", "y"}, false); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	want := []string{
		"op=register_classes .* rows=1 items=1",
		"op=start_orchestrations .* rows=2 items=1",
		"op=read_instances .* rows=1 items=2",
	}
	if len(lines) != len(want) {
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	for n, line := range lines {
		if !regexp.MustCompile(want[n]).MatchString(line) || !strings.Contains(line, "duration=") {
			t.Errorf("line %d: %s", n, line)
		}
	}
}
