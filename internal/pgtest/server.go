package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotInstalled is returned by Start when there are no server binaries.
var ErrNotInstalled = errors.New("pgtest: no PostgreSQL server binaries found")

// Option changes how a server is started.
type Option func(*config)

type config struct {
	durable  bool
	settings []string
}

// Durable makes the server flush every commit to disk, as it does by default elsewhere: for benchmarks.
func Durable() Option { return func(c *config) { c.durable = true } }

// Setting sets a server parameter.
func Setting(name, value string) Option {
	return func(c *config) { c.settings = append(c.settings, name+"="+value) }
}

// Server is a running PostgreSQL server.
type Server struct {
	// URL connects as superuser to the database postgres.
	URL string
	// Address is host:port, for proxies in front of the server. Empty for a server named by EnvURL.
	Address string

	// LogFile is where the server logs. Empty for a server named by EnvURL.
	LogFile string

	lifeline io.Closer     // closing it ends the server
	done     chan struct{} // closed when the supervisor has ended
	stop     sync.Once
}

// Start starts a server, or returns the one named by EnvURL (options then have no effect). Stop it at the end; it also
// ends with this process.
func Start(ctx context.Context, options ...Option) (*Server, error) {
	if url := os.Getenv(EnvURL); url != "" {
		return &Server{URL: url}, nil
	}
	var c config
	for _, option := range options {
		option(&c)
	}
	return start(ctx, &c)
}

// start starts a server in any case.
func start(ctx context.Context, c *config) (*Server, error) {
	bin, err := findBinaries()
	if err != nil {
		return nil, err
	}
	account, err := unprivileged()
	if err != nil {
		return nil, err
	}
	base, err := baseDir(account)
	if err != nil {
		return nil, err
	}
	template, err := initialised(ctx, bin, base, account)
	if err != nil {
		return nil, err
	}
	var startErr error
	for range 3 { // the free port may be taken by the time the server wants it
		var s *Server
		if s, startErr = launch(ctx, bin, base, template, account, c); startErr == nil {
			return s, nil
		}
	}
	return nil, startErr
}

// Stop ends the server and removes its files.
func (s *Server) Stop() {
	s.stop.Do(func() {
		if s.lifeline != nil {
			s.lifeline.Close()
			<-s.done
		}
	})
}

// supervise runs the server and ends it when standard input does. Arguments: directory, program, its arguments.
const supervise = `dir=$1; shift
"$@" </dev/null >"$dir/log" 2>&1 &
server=$!
read ignored
kill -QUIT $server 2>/dev/null
wait $server
rm -rf "$dir"`

func launch(ctx context.Context, bin, base, template string, account *account, c *config) (*Server, error) {
	dir, err := os.MkdirTemp(base, "server-")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if err := os.CopyFS(data, os.DirFS(template)); err != nil {
		return nil, err
	}
	if err := account.own(dir); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	args := []string{"-c", supervise, "sh", dir, filepath.Join(bin, "postgres"), "-D", data}
	for _, setting := range append(c.serverSettings(port), c.settings...) {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command("/bin/sh", args...)
	cmd.Dir = dir
	account.run(cmd)
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &Server{
		URL:     fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port),
		Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), LogFile: filepath.Join(dir, "log"), lifeline: lifeline, done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		cmd.Wait() // its status says nothing: the server is killed
	}()
	if err := s.await(ctx); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		s.Stop()
		return nil, fmt.Errorf("pgtest: server did not start: %w\n%s", err, log)
	}
	return s, nil
}

func (c *config) serverSettings(port int) []string {
	settings := []string{
		"port=" + strconv.Itoa(port), "listen_addresses=127.0.0.1", "unix_socket_directories=",
		"max_connections=200", "shared_buffers=128MB", "max_wal_size=4GB", "timezone=UTC",
	}
	if !c.durable {
		settings = append(settings, "fsync=off", "full_page_writes=off")
	}
	return settings
}

// await returns when the server answers.
func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.URL)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return err
		case <-s.done:
			return err
		case <-tick.C:
		}
	}
}

// freePort finds a port that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// initialised returns a directory with a freshly initialised cluster, made once per version and user.
func initialised(ctx context.Context, bin, base string, account *account) (string, error) {
	version, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return "", fmt.Errorf("pgtest: %w", err)
	}
	name := "template-" + strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r == '.' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(string(version)))
	template := filepath.Join(base, name)
	if _, err := os.Stat(template); err == nil {
		return template, nil
	}
	// Made aside and renamed: whoever is second throws his away.
	dir, err := os.MkdirTemp(base, "init-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := account.own(dir); err != nil {
		return "", err
	}
	data := filepath.Join(dir, "data")
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust",
		"-E", "UTF8", "--locale=C", "--no-sync")
	cmd.Dir = dir
	account.run(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("pgtest: initdb: %w\n%s", err, out)
	}
	if err := os.Rename(data, template); err != nil {
		if _, gone := os.Stat(template); gone != nil {
			return "", err
		}
	}
	return template, nil
}

// baseDir is where clusters live; it removes what servers of the past may have left behind.
func baseDir(account *account) (string, error) {
	base := filepath.Join(os.TempDir(), "pawl-pgtest-"+account.name)
	if err := os.MkdirAll(base, 0o700); err != nil {
		return "", err
	}
	if err := account.ownAlone(base); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(base)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && !strings.HasPrefix(e.Name(), "template-") && time.Since(info.ModTime()) > 24*time.Hour {
			os.RemoveAll(filepath.Join(base, e.Name()))
		}
	}
	return base, nil
}

// findBinaries returns the directory of the newest installed server.
func findBinaries() (string, error) {
	var dirs []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin",
		"/opt/homebrew/bin", "/usr/local/pgsql/bin",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		dirs = append(dirs, found...)
	}
	sort.Slice(dirs, func(a, b int) bool { return majorVersion(dirs[a]) > majorVersion(dirs[b]) })
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append([]string{filepath.Dir(real)}, dirs...)
		}
	}
	for _, dir := range dirs {
		if executable(filepath.Join(dir, "initdb")) && executable(filepath.Join(dir, "postgres")) {
			return dir, nil
		}
	}
	return "", ErrNotInstalled
}

// majorVersion is the number in a directory's name, 0 if there is none.
func majorVersion(dir string) int {
	digits := strings.FieldsFunc(dir, func(r rune) bool { return r < '0' || r > '9' })
	if len(digits) == 0 {
		return 0
	}
	n, err := strconv.Atoi(digits[len(digits)-1])
	if err != nil {
		return 0
	}
	return n
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0)
}
