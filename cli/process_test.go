package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/cli"
	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/internal/unprivileged"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// asProgram is set where the test binary is to be the program under test.
const asProgram = "PAWL_CLI_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(cli.Main(context.Background(), cli.Config{Name: "shop", Register: register}))
	}
	os.Exit(m.Run())
}

// program is the program under test as a process of its own.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// startWorker starts a worker process and returns its standard error once it is running.
func startWorker(t *testing.T, store string, args ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := program(t, append([]string{"worker", "--store", store}, args...)...)
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // ended by then, unless the test failed
	out := bufio.NewReader(pipe)
	if line, err := out.ReadString('\n'); err != nil || !strings.Contains(line, "worker is running") {
		t.Fatalf("worker said %q, %v", line, err)
	}
	return cmd, out
}

func TestWorkerStopsGracefully(t *testing.T) {
	store := filepath.Join(t.TempDir(), "store.db")
	worker, out := startWorker(t, store)
	if stdout, stderr, code := run(t.Context(), nil, "start", "Hello", "--store", store, "--input", `"Ada"`, "--wait", "--timeout", "30s"); code != 0 || stdout != "\"Hello, Ada!\"\n" {
		t.Errorf("start: %q, %q, %d", stdout, stderr, code)
	}
	if err := worker.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(out)
	if err := worker.Wait(); err != nil || len(rest) > 0 {
		t.Errorf("worker ended with %v, saying %q; want a clean exit", err, rest)
	}
}

func TestSecondSignalStopsAtOnce(t *testing.T) {
	store := filepath.Join(t.TempDir(), "store.db")
	worker, out := startWorker(t, store, "--log-level", "info", "--stop-timeout", "10m")
	if _, stderr, code := run(t.Context(), nil, "start", "Nap", "--store", store, "--id", "nap"); code != 0 {
		t.Fatal(stderr)
	}
	untilScheduled(t, store)
	interrupt := func() {
		if err := worker.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	interrupt()
	for {
		line, err := out.ReadString('\n')
		if err != nil {
			t.Fatalf("worker ended on the first signal: %v", err)
		}
		if strings.Contains(line, "worker stops") {
			break
		}
	}
	began := time.Now()
	interrupt()
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Fatal(err)
	}
	if err := worker.Wait(); err != nil && worker.ProcessState.ExitCode() != cli.ExitInterrupted {
		t.Errorf("worker ended with %v", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the second signal took %v", took)
	}
	// What was cut short is there for the next worker.
	if stdout, stderr, code := run(t.Context(), nil, "get", "nap", "--store", store, "--json"); code != 0 || !strings.Contains(stdout, `"status":"running"`) {
		t.Errorf("get: %q, %q, %d", stdout, stderr, code)
	}
}

// untilScheduled waits until the worker has run the first turn of the instance "nap".
func untilScheduled(t *testing.T, path string) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		states, err := store.ReadInstances(ctx, []string{"nap"}, false)
		if err != nil {
			t.Fatal(err)
		}
		if len(states) == 1 && states[0].NextSeq > 1 {
			return
		}
		<-tick.C
	}
}

func TestInterruptedWait(t *testing.T) {
	store := filepath.Join(t.TempDir(), "store.db")
	cmd := program(t, "start", "Hello", "--store", store, "--wait", "--id", "w")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, _, code := run(t.Context(), nil, "get", "w", "--store", store); code == 0 {
			break
		}
		<-tick.C
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the status is what counts
	if code := cmd.ProcessState.ExitCode(); code != cli.ExitInterrupted || !strings.Contains(stderr.String(), `instance "w" runs on`) {
		t.Errorf("exit status %d, saying %q", code, &stderr)
	}
}

func TestUnreachableDatabase(t *testing.T) {
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := refused.Addr().String()
	if err := refused.Close(); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // connects, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, address := range map[string]string{"refused": refusing, "silent": silent.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_, stderr, code := run(t.Context(), nil, "start", "Hello", "--store", "postgres://ada:secret@"+address+"/test")
			if code != cli.ExitStore || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "cannot be reached") || strings.Contains(stderr, "secret") {
				t.Errorf("exit status %d, saying %q", code, stderr)
			}
			if took := time.Since(began); took > 9*time.Second {
				t.Errorf("it took %v to say so", took)
			}
		})
	}
}

func TestNoSuchDatabase(t *testing.T) {
	spec, err := url.Parse(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	spec.Path = "/nothing"
	_, stderr, code := run(t.Context(), nil, "list", "--store", spec.String())
	if want := "cannot be used: database \"nothing\" does not exist (SQLSTATE 3D000); create it first\n"; code != cli.ExitStore || !strings.HasSuffix(stderr, want) {
		t.Errorf("exit status %d, saying %q", code, stderr)
	}
}

func TestPostgresSchemas(t *testing.T) {
	for _, schema := range []string{`a "quoted" name`, "Ümläut; drop"} {
		spec := pgtest.WithSchema(pgtest.SchemaURL(t, schema), schema)
		if _, stderr, code := run(t.Context(), nil, "list", "--store", spec); code != cli.ExitStore || !strings.Contains(stderr, `"shop migrate" with the same --store`) {
			t.Errorf("list before migrate: %d, %q", code, stderr)
		}
		if stdout, stderr, code := run(t.Context(), nil, "migrate", "status", "--store", spec); code != 0 || !strings.Contains(stdout, ": pending\n") {
			t.Errorf("migrate status: %d, %q, %q", code, stdout, stderr)
		}
		if stdout, stderr, code := run(t.Context(), nil, "migrate", "--store", spec); code != 0 || !strings.Contains(stdout, "is up to date") {
			t.Errorf("migrate: %d, %q, %q", code, stdout, stderr)
		}
		if stdout, stderr, code := run(t.Context(), nil, "start", "Hello", "--store", spec, "--input", `"Ada"`, "--wait", "--work"); code != 0 || stdout != "\"Hello, Ada!\"\n" {
			t.Errorf("start: %d, %q, %q", code, stdout, stderr)
		}
	}
	u, err := url.Parse(pgtest.ServerURL(t))
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/no such database"
	if _, stderr, code := run(t.Context(), nil, "list", "--store", u.String()); code != cli.ExitStore || !strings.Contains(stderr, "does not exist") {
		t.Errorf("no such database: %d, %q", code, stderr)
	}
}

func TestReadOnlyFile(t *testing.T) {
	if unprivileged.Rerun(t) {
		return
	}
	store := filepath.Join(t.TempDir(), "store.db")
	if _, stderr, code := run(t.Context(), nil, "migrate", "--store", store); code != 0 {
		t.Fatal(stderr)
	}
	if err := os.Chmod(store, 0o400); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := run(t.Context(), nil, "list", "--store", store); code != cli.ExitStore || !strings.Contains(stderr, "cannot write to") {
		t.Errorf("%d, %q", code, stderr)
	}
}

func TestMountedInAnotherProgram(t *testing.T) {
	var stdout, stderr bytes.Buffer
	root := &cobra.Command{Use: "erp", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(cli.Command(cli.Config{Name: "pawl", Register: func(*pawl.App) error { return nil }, Stdout: &stdout, Stderr: &stderr}))
	root.SetArgs([]string{"pawl", "get", "nobody", "--store", filepath.Join(t.TempDir(), "none.db")})
	if err := root.ExecuteContext(t.Context()); cli.ExitCode(err) != cli.ExitStore {
		t.Errorf("got %v", err)
	}
	root.SetArgs([]string{"pawl", "worker", "--help"})
	if err := root.ExecuteContext(t.Context()); err != nil || !strings.Contains(stdout.String(), "erp pawl worker") {
		t.Errorf("got %v, %q", err, &stdout)
	}
}
