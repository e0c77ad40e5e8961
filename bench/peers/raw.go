package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/internal/bench"
)

// commitShape is the only shape of the yardsticks.
var commitShape = []shape{shapeCommit}

var rawCommits = system{
	name: "raw", backend: onPostgres, module: "github.com/jackc/pgx/v5", shapes: commitShape,
	says: "one prepared single-row insert of 200 bytes, its own transaction, each caller its own connection",
	open: func(_ context.Context, e *surroundings) (*opened, error) {
		return &opened{close: func() {}, external: func(ctx context.Context, w workload, window time.Duration, observe func(func() error) error) (timing, error) {
			raw, err := bench.RawPostgres(ctx, e.url, "public", w.inFlight, window, observe)
			return timing{raw.Took, raw.Rate}, err
		}}, nil
	},
}

var rawSQLite = system{
	name: "raw-sqlite", backend: onSQLite, module: "modernc.org/sqlite", shapes: commitShape,
	says: "the same in a SQLite file with write-ahead log and synchronous FULL, one connection",
	open: func(_ context.Context, e *surroundings) (*opened, error) {
		return &opened{close: func() {}, external: func(ctx context.Context, _ workload, window time.Duration, observe func(func() error) error) (timing, error) {
			raw, err := bench.RawSQLite(ctx, filepath.Join(e.dir, "raw.db"), window, observe)
			return timing{raw.Took, raw.Rate}, err
		}}, nil
	},
}

var pgbenchCommits = system{
	name: "pgbench", backend: onPostgres, shapes: commitShape,
	says: "the same by pgbench -M prepared; it tells only the mean, which stands for the percentiles",
	open: func(ctx context.Context, e *surroundings) (*opened, error) {
		program, err := findPgbench()
		if err != nil {
			return nil, err
		}
		conn, err := pgx.Connect(ctx, e.url)
		if err != nil {
			return nil, err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "create table raw (id bigint generated always as identity primary key, data bytea not null)")
		if err != nil {
			return nil, err
		}
		script := filepath.Join(e.dir, "insert.sql")
		text := "insert into raw (data) values ('" + strings.Repeat("x", 200) + "');\n"
		if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
			return nil, err
		}
		return &opened{close: func() {}, elsewhere: true, external: func(ctx context.Context, w workload, window time.Duration, observe func(func() error) error) (timing, error) {
			var t timing
			err := observe(func() (err error) {
				t, err = runPgbench(ctx, program, script, e.url, w.inFlight, max(1, int(math.Round(window.Seconds()))))
				return err
			})
			return t, err
		}}, nil
	},
}

// errUnavailable is the error of a system that this machine cannot run; it is left out and named in the report.
var errUnavailable = errors.New("not available here")

// findPgbench looks on the path and beside installed servers.
func findPgbench() (string, error) {
	if path, err := exec.LookPath("pgbench"); err == nil {
		return path, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench") // the pattern is good
	if len(found) == 0 {
		return "", fmt.Errorf("pgbench: %w", errUnavailable)
	}
	return found[len(found)-1], nil
}

// runPgbench lets it insert and reads mean latency and rate from what it prints.
func runPgbench(ctx context.Context, program, script, database string, clients, seconds int) (timing, error) {
	u, err := url.Parse(database)
	if err != nil {
		return timing{}, err
	}
	jobs := strconv.Itoa(min(clients, 2))
	cmd := exec.CommandContext(ctx, program, "-n", "-M", "prepared", "-f", script, "-c", strconv.Itoa(clients), "-j", jobs,
		"-T", strconv.Itoa(seconds), "-h", u.Hostname(), "-p", u.Port(), "-U", u.User.Username(), strings.TrimPrefix(u.Path, "/"))
	if password, ok := u.User.Password(); ok {
		cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return timing{}, fmt.Errorf("pgbench: %w: %s", err, out)
	}
	return parsePgbench(string(out), seconds)
}

// parsePgbench makes a timing of pgbench's summary. All its latencies are the mean.
func parsePgbench(out string, seconds int) (timing, error) {
	latency, errLatency := numberAfter(out, "latency average = ")
	rate, errRate := numberAfter(out, "tps = ")
	if err := errors.Join(errLatency, errRate); err != nil {
		return timing{}, fmt.Errorf("pgbench printed %q: %w", out, err)
	}
	t := timing{perSecond: rate, took: make([]time.Duration, int(rate*float64(seconds)))}
	for i := range t.took {
		t.took[i] = time.Duration(latency * float64(time.Millisecond))
	}
	return t, nil
}

// numberAfter reads the number that follows a label.
func numberAfter(text, label string) (float64, error) {
	_, rest, ok := strings.Cut(text, label)
	if !ok {
		return 0, fmt.Errorf("no %q", label)
	}
	word, _, _ := strings.Cut(strings.Fields(rest)[0], "\n")
	return strconv.ParseFloat(word, 64)
}
