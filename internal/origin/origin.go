package origin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/internal/bench"
)

// Options say what to measure.
type Options struct {
	// URL of a PostgreSQL database, without a schema: the run makes one of its own.
	URL string
	// Delay is added to every round trip.
	Delay time.Duration
	// Count is how many hello worlds of each stage are measured.
	Count  int
	Logger *slog.Logger
}

// ErrEncrypted is the error of a run whose connections would have to be encrypted.
var ErrEncrypted = errors.New("what crosses an encrypted connection cannot be counted, and the URL asks for one: measure where sslmode=disable will do")

// cleanupTimeout bounds what is done after a run.
const cleanupTimeout = 10 * time.Second

// Run measures all stages, one hello world of each per round, in a schema that it drops in the end. cleanup is the context
// of that: it outlives ctx, which may end the run at any time.
func Run(ctx, cleanup context.Context, o Options) (_ *Report, err error) {
	plain, err := plainURL(o.URL)
	if err != nil {
		return nil, err
	}
	report := &Report{DelayMS: milliseconds(o.Delay), Count: o.Count}
	if report.Server, err = serverVersion(ctx, plain); err != nil {
		return nil, err
	}
	schema, err := bench.CreateSchema(ctx, plain)
	if err != nil {
		return nil, err
	}
	var stages []*stage
	defer func() {
		cleanup, cancel := context.WithTimeout(cleanup, cleanupTimeout)
		defer cancel()
		for _, s := range stages {
			err = errors.Join(err, s.close(cleanup))
		}
		err = errors.Join(err, bench.DropSchema(cleanup, plain, schema))
	}()
	own, err := withParameter(plain, "schema", schema)
	if err != nil {
		return nil, err
	}
	for _, plan := range plans {
		s, err := openStage(ctx, plan, own, o.Logger)
		if s != nil {
			stages = append(stages, s)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", plan.title, err)
		}
	}
	for _, s := range stages {
		s.setDelay(o.Delay)
	}
	for range o.Count {
		for _, s := range stages {
			if err := s.measure(ctx); err != nil {
				return nil, fmt.Errorf("%s: %w", s.title, err)
			}
		}
	}
	for _, s := range stages {
		report.Stages = append(report.Stages, s.report())
	}
	return report, nil
}

// plainURL returns the URL with encryption switched off, if it leaves that open.
func plainURL(raw string) (string, error) {
	config, err := pgx.ParseConfig(raw)
	if err != nil {
		return "", err
	}
	encrypted := config.TLSConfig != nil
	for _, f := range config.Fallbacks {
		encrypted = encrypted && f.TLSConfig != nil
	}
	if encrypted {
		return "", ErrEncrypted
	}
	return withParameter(raw, "sslmode", "disable")
}

// withParameter sets a parameter of a URL.
func withParameter(raw, name, value string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" {
		return "", errors.New("the database is not named by a URL") // the cause would show the password
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20") // PostgreSQL's URLs know no plus for a space
	return u.String(), nil
}

func serverVersion(ctx context.Context, url string) (version string, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	err = conn.QueryRow(ctx, "show server_version", pgx.QueryExecModeExec).Scan(&version)
	return version, errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}
