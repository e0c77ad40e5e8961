package bench_test

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pawlrun/pawl/internal/bench"
)

func TestDetourRefusesWhatItWouldBreak(t *testing.T) {
	for dsn, want := range map[string]error{
		"postgres://db.example/app?sslmode=verify-full":  bench.ErrVerifiesName,
		"postgres://db.example/app?sslrootcert=system":   bench.ErrVerifiesName,
		"postgres://one.example,two.example:5433/app":    bench.ErrManyServers,
		"postgres://db.example/app?host=a.example&x=%zz": nil, // some error
	} {
		d, err := bench.NewDetour(dsn, time.Millisecond)
		if err == nil {
			d.Close()
		}
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", dsn, err, want)
		}
	}
}

// What is looked up by host and port must be looked up before they are the proxy's.
func TestDetourURL(t *testing.T) {
	passwords := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(passwords, []byte("db.example:6000:app:ada:s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGPASSFILE", passwords)
	t.Setenv("PGCONNECT_TIMEOUT", "")
	t.Setenv("PGSSLMODE", "")
	for _, test := range []struct {
		dsn, user, sslmode, timeout, kept string
	}{
		{"postgres://ada@db.example:6000/app?application_name=x&sslmode=verify-ca&connect_timeout=4", "ada:s3cret", "verify-ca", "5", "x"},
		{"postgres:///app?host=/run/postgresql&port=6001&user=bob&password=p%40ss&application_name=y", "bob:p%40ss", "disable", "", "y"},
	} {
		d, err := bench.NewDetour(test.dsn, 80*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		u, err := url.Parse(d.URL)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if u.Host != d.Addr() || u.Path != "/app" || u.User.String() != test.user || q.Get("sslmode") != test.sslmode ||
			test.timeout != "" && q.Get("connect_timeout") != test.timeout || q.Get("application_name") != test.kept || q.Has("host") || q.Has("port") {
			t.Errorf("%s by way of %s is %s", test.dsn, d.Addr(), d.URL)
		}
	}
}
