package engine

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/pawlrun/pawl/internal/replay"
)

// TestParkedIsLogged: a line of the log has the fields that say something, and no others.
func TestParkedIsLogged(t *testing.T) {
	for want, reason := range map[string]parkReason{
		`reason=diverged event=3 expected=here actual=there source=x.go:1`: divergenceReason(&replay.Divergence{Event: 3, Expected: "here", Actual: "there", Source: "x.go:1"}),
		`reason=quarantined attempts=10 detail="it hangs"`:                 {Reason: "quarantined", Attempts: 10, Detail: "it hangs"},
		`reason=unreadable-history detail=why`:                             {Reason: "unreadable-history", Detail: "why"},
	} {
		var line bytes.Buffer
		slog.New(slog.NewTextHandler(&line, nil)).Error("parked", reason.logged()...)
		if _, got, _ := strings.Cut(strings.TrimSpace(line.String()), "msg=parked "); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
