package pawl_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// workerEnv makes the test binary a worker on the store it names.
const workerEnv = "PAWL_TEST_WORKER_STORE"

func TestMain(m *testing.M) {
	if store := os.Getenv(workerEnv); store != "" {
		if err := workerProcess(store); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// openStore opens a handle on the store a URL or path names.
func openStore(store string) (provider.Provider, error) {
	if strings.HasPrefix(store, "postgres:") {
		return postgres.Open(context.Background(), store, nil)
	}
	return sqlite.Open(context.Background(), store, nil)
}

// workerProcess is a worker until its parent closes its standard input.
func workerProcess(store string) error {
	p, err := openStore(store)
	if err != nil {
		return err
	}
	defer p.Close()
	app := pawl.New(p, workerOptions())
	registerPatient(app)
	registerStubborn(app)
	registerWorkshop(app)
	registerFeatures(app)
	pawl.RegisterOrchestration(app, account)
	if err := app.Start(context.Background()); err != nil {
		return err
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	return app.Stop(context.Background())
}

// errand is the input of the patient activity: it notes that it has begun, waits for the file Gate and notes the end.
type errand struct{ Log, Gate string }

func registerPatient(app *pawl.App) {
	pawl.RegisterOrchestration(app, runErrand)
	pawl.RegisterActivity(app, patient)
	pawl.RegisterOrchestration(app, helloWorld)
	pawl.RegisterActivity(app, greet)
}

func runErrand(o *pawl.Context, e errand) (int, error) {
	by, err := pawl.Activity(o, patient, e).Await()
	if err != nil {
		return 0, err
	}
	_, err = pawl.Activity(o, greet, "after").Await()
	return by, err
}

func patient(ctx context.Context, e errand) (int, error) {
	info, _ := pawl.ActivityInfoFrom(ctx)
	note(e.Log, fmt.Sprintf("begin %d %s attempt %d\n", os.Getpid(), info.IdempotencyKey, info.Attempt))
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for { // to the end, whatever becomes of ctx: a late result is what the frozen process is about
		if _, err := os.Stat(e.Gate); err == nil {
			break
		}
		<-tick.C
	}
	note(e.Log, fmt.Sprintf("end %d %s\n", os.Getpid(), info.IdempotencyKey))
	return os.Getpid(), nil
}

// note appends a line in one write.
func note(log, line string) {
	f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(line)
		f.Close()
	}
	if err != nil {
		panic(err)
	}
}

// spawn starts a worker process.
func (w *world) spawn(store string, env ...string) *exec.Cmd {
	w.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), workerEnv+"="+store), env...)
	cmd.Stderr = w.Output()
	if _, err := cmd.StdinPipe(); err != nil {
		w.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if _, err := io.ReadFull(out, make([]byte, len("ready"))); err != nil {
		w.Fatalf("worker process did not start: %v", err)
	}
	return cmd
}

// onProcessStores runs f on a file and on a PostgreSQL schema, in real time.
func onProcessStores(t *testing.T, f func(w *world, store string)) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			store := filepath.Join(t.TempDir(), "pawl.db")
			if kind == "postgres" {
				store = pgtest.URL(t)
			}
			w := &world{TB: t, ctx: ctx}
			w.open = func(t testing.TB) provider.Provider {
				p, err := openStore(store)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { p.Close() })
				return p
			}
			f(w, store)
		})
	}
}

// lines returns the lines of the log that begin with prefix.
func (e errand) lines(prefix string) []string {
	data, _ := os.ReadFile(e.Log)
	var lines []string
	for l := range strings.Lines(string(data)) {
		if strings.HasPrefix(l, prefix) {
			lines = append(lines, strings.TrimSpace(l))
		}
	}
	return lines
}

// TestKilledProcess: what a killed worker held is taken over within five seconds and done once.
func TestKilledProcess(t *testing.T) {
	onProcessStores(t, func(w *world, store string) {
		e := errand{Log: filepath.Join(w.TempDir(), "log"), Gate: filepath.Join(w.TempDir(), "gate")}
		victim := w.spawn(store)
		client := w.app(nil)
		run := start(w, client, runErrand, e, "errand")
		w.eventually("activity begun", func() bool { return len(e.lines("begin")) == 1 })
		w.app(nil, registerPatient)
		victim.Process.Kill()
		killed := time.Now()
		w.eventually("activity begun again", func() bool { return len(e.lines("begin")) == 2 })
		took := time.Since(killed)
		w.Logf("taken over after %v", took)
		if took > 5*time.Second {
			w.Errorf("takeover took %v, want less than 5 s", took)
		}
		note(e.Gate, "open")
		if by := result(w, run); by != os.Getpid() {
			w.Errorf("result by process %d", by)
		}
		if again := e.lines("begin")[1]; !strings.HasSuffix(again, "attempt 2") {
			w.Errorf("second begin: %s", again)
		}
	})
}
