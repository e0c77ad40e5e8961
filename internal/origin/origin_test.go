package origin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/internal/bench"
	"github.com/pawlrun/pawl/internal/origin"
	"github.com/pawlrun/pawl/internal/pgtest"
)

// story is what each stage takes, exactly: for each operation the calls of a hello world and the queries, begin and commit
// among them, and round trips of a call; in the end the calls, queries and round trips of the whole.
var story = map[string]string{
	"inline": "start 1x6/6, fetch orchestration item 2x9/9, ack orchestration item 2x7/7, fetch work item 1x6/6, " +
		"ack work item 1x7/7, in all 7x51/51",
	"functions": "start 1x1/1, fetch orchestration item 2x1/1, ack orchestration item 2x1/1, fetch work item 1x1/1, " +
		"ack work item 1x1/1, in all 7x7/7",
	"budget": "start 1x1/1, ack orchestration item 1x1/1, in all 2x2/2",
}

func TestStory(t *testing.T) {
	for _, delay := range []time.Duration{0, 3 * time.Millisecond} {
		t.Run(delay.String(), func(t *testing.T) {
			report, err := origin.Run(t.Context(), context.Background(), options(pgtest.ServerURL(t), delay))
			if err != nil {
				t.Fatal(err)
			}
			if report.Server == "" || report.Count != 3 || report.DelayMS != float64(delay.Milliseconds()) || len(report.Stages) != len(story) {
				t.Errorf("report %+v", report)
			}
			for _, s := range report.Stages {
				if got := told(&s); got != story[s.Name] {
					t.Errorf("%s:\n%s\nwant\n%s", s.Name, got, story[s.Name])
				}
				least := s.Hello.RoundTrips * report.DelayMS // no speed is promised, but the delay must be in the times
				if s.Hello.BestMS < least || s.Hello.MeanMS < s.Hello.BestMS {
					t.Errorf("%s: mean %v ms, best %v ms, want at least %v", s.Name, s.Hello.MeanMS, s.Hello.BestMS, least)
				}
			}
			var text bytes.Buffer
			if err := report.WriteText(&text); err != nil || !strings.Contains(text.String(), "one stored function per operation") {
				t.Errorf("%v:\n%s", err, &text)
			}
			nothingLeft(t)
		})
	}
}

// TestInterrupted ends runs in their middle, in the first stage that is opened and when all are being measured: the schema
// must be gone all the same.
func TestInterrupted(t *testing.T) {
	for _, at := range []int32{1, 150} {
		t.Run(fmt.Sprint("call ", at), func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			var calls atomic.Int32
			o := options(pgtest.ServerURL(t), 0)
			o.Count = 1000
			o.Logger = slog.New(onCall{slog.DiscardHandler, func() {
				if calls.Add(1) == at {
					interrupt()
				}
			}})
			if _, err := origin.Run(ctx, context.Background(), o); !errors.Is(err, context.Canceled) {
				t.Errorf("the run ended with %v", err)
			}
			nothingLeft(t)
		})
	}
}

func TestEncryptionIsRefused(t *testing.T) {
	_, err := origin.Run(t.Context(), context.Background(), options("postgres://nobody@127.0.0.1:1/none?sslmode=require", 0))
	if !errors.Is(err, origin.ErrEncrypted) {
		t.Errorf("%v, want ErrEncrypted", err)
	}
}

// onCall calls a function at each record: stores write one for each call.
type onCall struct {
	slog.Handler
	call func()
}

func (h onCall) Enabled(context.Context, slog.Level) bool { return true }

func (h onCall) Handle(context.Context, slog.Record) error {
	h.call()
	return nil
}

func options(server string, delay time.Duration) origin.Options {
	return origin.Options{URL: server, Delay: delay, Count: 3, Logger: slog.New(slog.DiscardHandler)}
}

// told writes the counts of a stage as story does.
func told(s *origin.StageReport) string {
	var b strings.Builder
	for _, o := range s.Operations {
		fmt.Fprintf(&b, "%s %gx%g/%g, ", o.Operation, o.Calls, o.QueriesPerCall, o.RoundTripsPerCall)
	}
	fmt.Fprintf(&b, "in all %gx%g/%g", s.Hello.Calls, s.Hello.Queries, s.Hello.RoundTrips)
	return b.String()
}

// nothingLeft checks that no schema of a measurement is left.
func nothingLeft(t *testing.T) {
	t.Helper()
	if os.Getenv(pgtest.EnvURL) != "" {
		return // others make such schemas on that server at the same time
	}
	conn, err := pgx.Connect(t.Context(), pgtest.ServerURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var left int
	err = conn.QueryRow(t.Context(), "select count(*) from pg_namespace where starts_with(nspname, $1)", bench.SchemaPrefix).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("%d schemas are left, %v", left, err)
	}
}
