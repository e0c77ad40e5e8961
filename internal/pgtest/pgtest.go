// Package pgtest gives tests and benchmarks a PostgreSQL server: the one named by PAWL_TEST_POSTGRES, or a throw-away
// one started from installed binaries, as an unprivileged user, on a free port of the loopback interface.
//
// A throw-away server lives as long as its process: a small shell supervises it and ends it, and removes its files,
// when the pipe to the process closes, however the process dies. The freshly initialised files are kept and copied for
// the next server, because initialising takes longer than all the rest.
//
// The package knows nothing of Pawl's schema.
package pgtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// EnvURL names the environment variable with the URL of a server to use instead of starting one.
const EnvURL = "PAWL_TEST_POSTGRES"

// shared is the server of this test binary. It is never stopped: it ends with the process.
var shared = sync.OnceValues(func() (*Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return Start(ctx)
})

// URL returns a DSN with a schema parameter naming a fresh schema, which is dropped when the test ends. All tests of a
// binary share one server, which does not flush to disk. Without PostgreSQL the test is skipped, or fails if CI=true.
func URL(t testing.TB) string {
	t.Helper()
	return SchemaURL(t, "test_"+randomName())
}

// SchemaURL is URL for a schema name of the caller's choice; it must not exist yet.
func SchemaURL(t testing.TB, schema string) string {
	t.Helper()
	server, err := shared()
	if errors.Is(err, ErrNotInstalled) && os.Getenv("CI") != "true" {
		t.Skipf("no PostgreSQL: install its server binaries or set %s", EnvURL)
	}
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := dropSchema(ctx, server.URL, schema); err != nil {
			t.Errorf("pgtest: drop schema %s: %v", schema, err)
		}
	})
	return WithSchema(server.URL, schema)
}

// Own starts a server for the test alone, with settings ("name=value") of its own, also if EnvURL names another one; it is
// stopped when the test ends. Without server binaries the test is skipped, or fails if CI=true, unless EnvURL is set: then
// nothing is said of binaries here.
func Own(t testing.TB, settings ...string) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server, err := start(ctx, &config{settings: settings})
	if errors.Is(err, ErrNotInstalled) && (os.Getenv("CI") != "true" || os.Getenv(EnvURL) != "") {
		t.Skip("needs a server of its own: install PostgreSQL's server binaries")
	}
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(server.Stop)
	return server
}

// WithSchema adds the schema parameter to the URL of a server.
func WithSchema(server, schema string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server
	}
	q := u.Query()
	q.Set("schema", schema)
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20") // PostgreSQL's URLs know no plus for a space
	return u.String()
}

// ServerURL is the URL of the server that the binary's tests share, without a schema: for connections of a test's own.
func ServerURL(t testing.TB) string {
	t.Helper()
	server, err := shared()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	return server.URL
}

func dropSchema(ctx context.Context, server, schema string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "drop schema if exists "+pgx.Identifier{schema}.Sanitize()+" cascade", pgx.QueryExecModeExec)
	if err != nil {
		return fmt.Errorf("drop schema: %w", err)
	}
	return nil
}

func randomName() string {
	var b [6]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
