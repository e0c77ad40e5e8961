package examples

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// stores makes a fresh store of each kind and returns what to say for --store.
var stores = []struct {
	name string
	make func(t *testing.T) string
}{
	{"memory", func(t *testing.T) string { return sqlite.Memory }},
	{"sqlite", func(t *testing.T) string { return filepath.Join(t.TempDir(), "example.db") }},
	{"postgres", func(t *testing.T) string { return pgtest.URL(t) }},
}

// build compiles all examples and returns the directory of the programs. They detect races if the test does.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	args := []string{"build", "-o", dir}
	if raceEnabled {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "./...")...).CombinedOutput()
	if err != nil {
		t.Fatalf("build of the examples: %v\n%s", err, out)
	}
	return dir
}

// printed returns what a program's first comment says it prints: the indented lines after a line that ends in "prints:".
func printed(t *testing.T, name string) string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(name, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(source), "prints:\n//\n")
	if !found {
		t.Fatalf("%s does not say what it prints", name)
	}
	var out strings.Builder
	for line := range strings.Lines(rest) {
		text, ok := strings.CutPrefix(line, "//\t")
		if !ok {
			break
		}
		out.WriteString(text)
	}
	return out.String()
}

// execute runs a program and returns what it wrote to standard output and its exit status.
func execute(t *testing.T, dir, program string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // the race detector waits for a second otherwise
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%s: %v\n%s%s", filepath.Base(program), err, &stdout, &stderr)
	}
	if stderr.Len() > 0 {
		t.Errorf("%s wrote to standard error:\n%s", filepath.Base(program), &stderr)
	}
	return stdout.String(), cmd.ProcessState.ExitCode()
}

func executable(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}

// Every example prints on every provider what its first comment says.
func TestExamples(t *testing.T) {
	bin := build(t)
	programs, err := filepath.Glob("*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, main := range programs {
		name := filepath.Dir(main)
		program := filepath.Join(bin, executable(name))
		switch name {
		case "hello":
			t.Run(name, func(t *testing.T) { t.Parallel(); hello(t, program) })
			continue
		case "resume":
			for _, store := range stores[1:] {
				t.Run(name+"/"+store.name, func(t *testing.T) { t.Parallel(); resume(t, program, store.make(t)) })
			}
			continue
		}
		want := printed(t, name)
		for _, store := range stores {
			t.Run(name+"/"+store.name, func(t *testing.T) {
				t.Parallel()
				got, code := execute(t, t.TempDir(), program, "--store", store.make(t))
				if got != want || code != 0 {
					t.Errorf("exit status %d, printed\n%swant\n%s", code, got, want)
				}
			})
		}
	}
}

// hello takes no flags; it keeps its state in the directory it is run in, and can be run again there.
func hello(t *testing.T, program string) {
	dir := t.TempDir()
	for range 2 {
		if got, code := execute(t, dir, program); got != "Hello, Ada!\n" || code != 0 {
			t.Errorf("exit status %d, printed %q", code, got)
		}
	}
}

// resume dies in its first run and goes on in the second.
func resume(t *testing.T, program, store string) {
	got, code := execute(t, t.TempDir(), program, "--store", store)
	if want := "Charge: attempt 1\nShip: attempt 1\n"; got != want || code != 3 {
		t.Fatalf("first run: exit status %d, printed\n%swant\n%s", code, got, want)
	}
	got, code = execute(t, t.TempDir(), program, "--store", store)
	if want := printed(t, "resume"); got != want || code != 0 {
		t.Errorf("second run: exit status %d, printed\n%swant\n%s", code, got, want)
	}
}
