package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/cli"
	"github.com/pawlrun/pawl/internal/pgtest"
)

// The scripts in testdata are what a user would type and see. A line is:
//
//	# a comment
//	$ the arguments of a command; $STORE and $DIR are replaced, 'quotes' keep spaces together, $TOKEN is what the file
//	  $DIR/token holds as soon as it is there
//	< a line of its standard input
//	> a line of its standard output    (* stands for any text)
//	! a line of its standard error     (likewise)
//	= its exit status, if not 0
//	& a command that runs until the end of the script
//
// What is not expected must not be there. Scripts in both run on either store.
func TestScripts(t *testing.T) {
	for _, store := range []struct {
		name  string
		globs []string
		spec  func(t *testing.T) string
	}{
		{"sqlite", []string{"both", "sqlite"}, func(t *testing.T) string { return filepath.Join(t.TempDir(), "store.db") }},
		{"postgres", []string{"both"}, func(t *testing.T) string { return pgtest.URL(t) }},
	} {
		t.Run(store.name, func(t *testing.T) {
			for _, dir := range store.globs {
				scripts, err := filepath.Glob(filepath.Join("testdata", dir, "*.txt"))
				if err != nil || len(scripts) == 0 {
					t.Fatalf("no scripts in %s: %v", dir, err)
				}
				for _, path := range scripts {
					t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) { runScript(t, path, store.spec(t)) })
				}
			}
		})
	}
}

// step is one command of a script with what is expected of it.
type step struct {
	line                  int
	args                  []string
	stdin, stdout, stderr []string
	code                  string
	background            bool
}

func runScript(t *testing.T, path, store string) {
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", filepath.Join(dir, "data"))
	t.Setenv("PAWL_STORE", "")
	if err := os.WriteFile(filepath.Join(dir, "input.json"), []byte("\"Grace\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	background, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer end()
	steps := readScript(t, path, strings.NewReplacer("$STORE", store, "$DIR", dir))
	for _, s := range steps {
		if s.background {
			began := make(chan struct{})
			running.Go(func() { runWorker(background, t, began, s.args) })
			<-began
			continue
		}
		var stdin bytes.Buffer
		for _, line := range s.stdin {
			stdin.WriteString(line + "\n")
		}
		for i, arg := range s.args {
			if arg == "$TOKEN" {
				s.args[i] = awaitFile(t, filepath.Join(dir, "token"))
			}
		}
		stdout, stderr, code := run(t.Context(), &stdin, s.args...)
		where := fmt.Sprintf("%s:%d: %s", path, s.line, strings.Join(s.args, " "))
		if got := fmt.Sprint(code); got != s.code {
			t.Errorf("%s\nexit status %s, want %s; standard error:\n%s", where, got, s.code, stderr)
		}
		compare(t, where+"\nstandard output", s.stdout, stdout)
		compare(t, where+"\nstandard error", s.stderr, stderr)
	}
}

// awaitFile returns what a file holds, as soon as there is one.
func awaitFile(t *testing.T, name string) string {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		data, err := os.ReadFile(name)
		if err == nil {
			return string(data)
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal(err)
		}
	}
}

// runWorker runs a worker until ctx ends, and closes began when it works.
func runWorker(ctx context.Context, t *testing.T, began chan struct{}, args []string) {
	errs := &signalWriter{said: began}
	code := cli.Main(ctx, cli.Config{Name: "shop", Register: register, Args: args, Stdout: errs, Stderr: errs})
	if code != cli.ExitOK {
		t.Errorf("worker: exit status %d, want 0; it said:\n%s", code, &errs.text)
	}
	errs.once.Do(func() { close(began) })
}

// signalWriter tells when something is written to it.
type signalWriter struct {
	mu   sync.Mutex
	text bytes.Buffer
	once sync.Once
	said chan struct{}
}

func (w *signalWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.once.Do(func() { close(w.said) })
	return w.text.Write(b)
}

// run runs one command line in this process.
func run(ctx context.Context, stdin *bytes.Buffer, args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = cli.Main(ctx, cli.Config{Name: "shop", Version: "v1.2.3", Register: register, Args: args, Stdin: stdin, Stdout: &out, Stderr: &errs})
	return out.String(), errs.String(), code
}

func readScript(t *testing.T, path string, replace *strings.Replacer) []step {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	for i, line := range strings.Split(string(data), "\n") {
		mark, rest, _ := strings.Cut(line, " ")
		rest = replace.Replace(rest)
		if mark == "$" || mark == "&" {
			steps = append(steps, step{line: i + 1, args: splitArgs(rest), code: "0", background: mark == "&"})
			continue
		}
		if line == "" || mark == "#" {
			continue
		}
		if len(steps) == 0 {
			t.Fatalf("%s:%d: no command yet", path, i+1)
		}
		s := &steps[len(steps)-1]
		switch mark {
		case "<":
			s.stdin = append(s.stdin, rest)
		case ">":
			s.stdout = append(s.stdout, rest)
		case "!":
			s.stderr = append(s.stderr, rest)
		case "=":
			s.code = rest
		default:
			t.Fatalf("%s:%d: unknown mark %q", path, i+1, mark)
		}
	}
	return steps
}

// splitArgs splits at spaces outside of single quotes.
func splitArgs(s string) []string {
	var args []string
	var arg strings.Builder
	quoted, begun := false, false
	for _, r := range s {
		switch {
		case r == '\'':
			quoted, begun = !quoted, true
		case r == ' ' && !quoted:
			if begun {
				args = append(args, arg.String())
			}
			arg.Reset()
			begun = false
		default:
			arg.WriteRune(r)
			begun = true
		}
	}
	if begun {
		args = append(args, arg.String())
	}
	return args
}

func compare(t *testing.T, what string, want []string, got string) {
	t.Helper()
	var pattern strings.Builder
	for _, line := range want {
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), `\*`, `.*`) + "\n")
	}
	if !regexp.MustCompile(`^` + pattern.String() + `$`).MatchString(got) {
		t.Errorf("%s:\n%swant:\n%s", what, got, strings.Join(want, "\n"))
	}
}

// The functions of the program under test.

func hello(_ *pawl.Context, name string) (string, error) { return "Hello, " + name + "!", nil }

func fail(*pawl.Context, any) (any, error) { return nil, fmt.Errorf("outer: %w", errors.New("inner")) }

func approval(o *pawl.Context, _ any) (any, error) { return pawl.Event[any](o, "approved").Await() }

// guard fails as an approval that it waits for does.
func guard(o *pawl.Context, id string) (any, error) {
	child := pawl.SubOrchestration(o, approval, nil, &pawl.ChildOptions{InstanceID: id})
	if err := pawl.SetCustomStatus(o, "guarding"); err != nil {
		return nil, err
	}
	return child.Await()
}

func countdown(o *pawl.Context, n int) (int, error) {
	if n > 0 {
		return 0, pawl.ContinueAsNew(n - 1)
	}
	return o.Execution(), nil
}

func nap(o *pawl.Context, _ any) (any, error) { return pawl.Activity(o, sleep, nil).Await() }

// sleep returns only when it is told to stop.
func sleep(ctx context.Context, _ any) (any, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// cart takes items until it is checked out, and then has somebody outside pay it.
func cart(o *pawl.Context, _ any) (any, error) {
	var items []string
	err := errors.Join(
		pawl.HandleQuery(o, "items", func(any) ([]string, error) { return items, nil }),
		pawl.HandleUpdate(o, "add", pawl.UpdateHandler[string, int]{
			Validate: func(item string) error {
				if item == "" {
					return errors.New("an item needs a name")
				}
				return nil
			},
			Handle: func(item string) (int, error) {
				items = append(items, item)
				return len(items), pawl.SetCustomStatus(o, items)
			},
		}))
	if err != nil {
		return nil, err
	}
	till, err := pawl.Event[string](o, "checkout").Await()
	if err != nil {
		return nil, err
	}
	return pawl.Activity(o, pay, till).Await()
}

// pay leaves its token in the till, a file, for whoever is to complete it.
func pay(ctx context.Context, till string) (any, error) {
	if err := os.WriteFile(till+".new", []byte(pawl.ActivityToken(ctx)), 0o600); err != nil {
		return nil, err
	}
	if err := os.Rename(till+".new", till); err != nil {
		return nil, err
	}
	return nil, pawl.ErrResultPending
}

// paint needs two activities in one place that has a booth.
func paint(o *pawl.Context, color string) (string, error) {
	session, err := pawl.OpenSession(o, &pawl.SessionOptions{Tag: "booth"})
	if err != nil {
		return "", err
	}
	defer session.Close()
	in := pawl.ActivityOptions{Session: session}
	if color, err = pawl.Activity(o, mix, color, in).Await(); err != nil {
		return "", err
	}
	return pawl.Activity(o, mix, color, in).Await()
}

func mix(_ context.Context, color string) (string, error) { return "more " + color, nil }

// deliver needs activities that no worker of these scripts has.
func deliver(o *pawl.Context, _ any) (any, error) {
	van := pawl.ActivityByName[any](o, "Drive", nil, pawl.ActivityOptions{Tag: "van"})
	wrap := pawl.ActivityByName[any](o, "Wrap", nil)
	if err := pawl.SetCustomStatus(o, "packing"); err != nil {
		return nil, err
	}
	if _, err := wrap.Await(); err != nil {
		return nil, err
	}
	return van.Await()
}

func register(app *pawl.App) error {
	return errors.Join(
		pawl.RegisterOrchestration(app, hello, pawl.Name("Hello")),
		pawl.RegisterOrchestration(app, fail, pawl.Name("Fail")),
		pawl.RegisterOrchestration(app, approval, pawl.Name("Approval")),
		pawl.RegisterOrchestration(app, guard, pawl.Name("Guard")),
		pawl.RegisterOrchestration(app, countdown, pawl.Name("Countdown")),
		pawl.RegisterOrchestration(app, nap, pawl.Name("Nap")),
		pawl.RegisterOrchestration(app, cart, pawl.Name("Cart")),
		pawl.RegisterOrchestration(app, deliver, pawl.Name("Deliver")),
		pawl.RegisterOrchestration(app, paint, pawl.Name("Paint")),
		pawl.RegisterActivity(app, mix, pawl.Name("Mix")),
		pawl.RegisterActivity(app, sleep, pawl.Name("Sleep")),
		pawl.RegisterActivity(app, pay, pawl.Name("Pay")),
	)
}
