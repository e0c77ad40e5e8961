package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/pawlrun/pawl/cli"
	"github.com/pawlrun/pawl/internal/pgtest"
)

// asProgram is set where the test binary is to be the program: in the workers of a demo, and in demos that are killed.
const asProgram = "PAWL_DEMO_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(cli.Main(context.Background(), cli.Config{Extra: []func(*cli.Session) *cobra.Command{Command, WorkerCommand}}))
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	data, err := os.MkdirTemp("", "pawl-demo-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(data)
	for name, value := range map[string]string{asProgram: "1", "XDG_DATA_HOME": data, "PAWL_STORE": ""} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	return m.Run()
}

// demo is a demo in a process of its own.
func demo(t *testing.T, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, self, append([]string{"demo"}, args...)...)
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

// succeed runs a demo on the tree of makeTree to its end and returns what it came to.
func succeed(t *testing.T, args ...string) conclusion {
	t.Helper()
	c := conclude(t, args...)
	if c.Report.Packages != treePackages || c.Report.Broken != treeBroken {
		t.Errorf("unexpected result: %+v", c)
	}
	return c
}

// conclude is succeed on any tree.
func conclude(t *testing.T, args ...string) conclusion {
	t.Helper()
	cmd, stdout, stderr := demo(t, append(args, "--json")...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("demo: %v\n%s%s", err, stdout, stderr)
	}
	var c conclusion
	if err := json.Unmarshal(stdout.Bytes(), &c); err != nil {
		t.Fatalf("demo printed %q: %v", stdout, err)
	}
	if len(c.Faults) > 0 {
		t.Errorf("faults: %s", stdout)
	}
	return c
}

const (
	treePackages = 37
	treeBroken   = 2
)

// makeTree makes a small source tree with packages in itself, in nested directories and in some whose names sort around
// the slash, and with broken files.
func makeTree(t *testing.T) string {
	t.Helper()
	tree := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(tree, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("main.go", "package main\n\nfunc main() {}\n")
	write("notes.txt", "no package\n")
	write("empty/notes.txt", "no package\n")
	write(".hidden/x.go", "package hidden\n")
	for i := range treePackages - 1 {
		name := fmt.Sprintf("%s/p%02d", []string{"a", "a-b", "a/deep", "z"}[i%4], i)
		body := strings.Repeat("\t_ = fmt.Sprint()\n", i)
		write(name+"/code.go", fmt.Sprintf("package p%d\n\nimport \"fmt\"\n\nfunc F%d() {\n%s}\n", i, i, body))
	}
	write("z/p03/broken.go", "package p3\n\nfunc {\n")
	write("a/p00/broken.go", "not Go\n")
	return tree
}

// everyStore runs a test on each store, all at once.
func everyStore(t *testing.T, test func(t *testing.T, args []string)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, []string{makeTree(t)})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, []string{makeTree(t), "--store", pgtest.URL(t)})
	})
}

func TestWorkerIsKilled(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, args []string) {
		c := succeed(t, args...)
		held := 0
		for _, k := range c.Kills {
			held += k.Held
			if k.Repeated > 0 && k.LastSeconds > 30 {
				t.Errorf("takeover took %v seconds", k.LastSeconds)
			}
		}
		if held == 0 || c.Twice > held {
			t.Errorf("%d activities were executed twice, the killed workers held %d", c.Twice, held)
		}
		begun, twice := countBegun(t, c.EffectLog)
		if begun != c.Executions || twice != c.Twice {
			t.Errorf("the effect log has %d executions and %d activities twice, the demo says %d and %d", begun, twice, c.Executions, c.Twice)
		}
		if c.Counts.RoundTrips == 0 || c.Counts.Commits > c.Counts.RoundTrips {
			t.Errorf("implausible counts: %+v", c.Counts)
		}
	})
}

// countBegun reads an effect log as an outsider would.
func countBegun(t *testing.T, path string) (begun, twice int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for line := range strings.Lines(string(data)) {
		if f := strings.Split(line, "\t"); f[2] == string(effectBegin) {
			begun++
			times[f[3]]++
			if times[f[3]] == 2 {
				twice++
			}
		}
	}
	return begun, twice
}

// awaitEffects finds the effect log of the demo that runs on a tree, and waits until enough has happened.
func awaitEffects(t *testing.T, tree string, enough func(text string) bool) string {
	t.Helper()
	pattern := filepath.Join(os.Getenv("XDG_DATA_HOME"), "pawl", "demo", filepath.Base(tree)+"-*", "run-*", "effects.log")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the demo does not get on")
		}
		logs, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range logs {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(data), "\tdemo\t\t\t\""+tree+"\"\n") && enough(string(data)) {
				return path
			}
		}
	}
}

func lines(text string, kind effectKind) int { return strings.Count(text, "\t"+string(kind)+"\t") }

func TestGoesOnAfterKillOfDemo(t *testing.T) {
	t.Parallel()
	everyStore(t, func(t *testing.T, args []string) {
		args = append(args, "--no-kill", "--pace", "250ms")
		tree, err := filepath.EvalSymlinks(args[0])
		if err != nil {
			t.Fatal(err)
		}
		first, _, stderr := demo(t, args...)
		if err := first.Start(); err != nil {
			t.Fatal(err)
		}
		path := awaitEffects(t, tree, func(text string) bool { return lines(text, effectRecorded) >= 8 })
		if err := first.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := first.Wait(); err == nil {
			t.Fatalf("the demo ended before it could be killed\n%s", stderr)
		}
		// Its workers end by themselves.
		awaitEffects(t, tree, func(text string) bool { return lines(text, effectLeave) == lines(text, effectJoin) })
		if c := succeed(t, args...); !c.Resumed || c.EffectLog != path || c.Twice != 0 {
			t.Errorf("the second start did not go on: %+v", c)
		}
		if c := succeed(t, append(args, "--pace", "0")...); c.Resumed || c.EffectLog == path {
			t.Errorf("the start after a success is no new run: %+v", c)
		}
	})
}

func TestGoesOnAfterInterrupt(t *testing.T) {
	t.Parallel()
	tree, err := filepath.EvalSymlinks(makeTree(t))
	if err != nil {
		t.Fatal(err)
	}
	args := []string{tree, "--no-kill", "--pace", "250ms", "--keep"}
	first, _, stderr := demo(t, args...)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	awaitEffects(t, tree, func(text string) bool { return lines(text, effectRecorded) >= 8 })
	if err := first.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // the status is what counts
	if code := first.ProcessState.ExitCode(); code != cli.ExitInterrupted || !strings.Contains(stderr.String(), "the same command goes on") {
		t.Errorf("exit status %d\n%s", code, stderr)
	}
	c := succeed(t, args...)
	if !c.Resumed || c.Twice != 0 {
		t.Errorf("the second start did not go on: %+v", c)
	}
	if _, err := os.Stat(c.KeptStore); err != nil {
		t.Errorf("--keep kept no store: %v", err)
	}
}

func TestOnlyOneDemoAtATime(t *testing.T) {
	t.Parallel()
	tree := makeTree(t)
	first, _, _ := demo(t, tree, "--pace", "1s", "--no-kill")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(tree)
	if err != nil {
		t.Fatal(err)
	}
	awaitEffects(t, real, func(text string) bool { return lines(text, effectJoin) > 0 })
	second, _, stderr := demo(t, tree)
	if err := second.Run(); err == nil || !strings.Contains(stderr.String(), errBusy.Error()) {
		t.Errorf("the second demo: %v\n%s", err, stderr)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // killed
	awaitEffects(t, real, func(text string) bool { return lines(text, effectLeave) == lines(text, effectJoin) })
}

// On a tree that is counted in one go there is no third that is done: the kill must come all the same.
func TestTinyTree(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	if err := os.WriteFile(filepath.Join(tree, "x.go"), []byte("package x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := conclude(t, tree); len(c.Kills) != 1 || c.Kills[0].Repeated != 1 || c.Twice != 1 || c.Abandoned != 0 {
		t.Errorf("got %+v", c)
	}
}

func TestWrongDirectories(t *testing.T) {
	t.Parallel()
	empty, file := t.TempDir(), filepath.Join(t.TempDir(), "x.go")
	if err := os.WriteFile(file, []byte("package x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{filepath.Join(empty, "nothing"), "does not exist"},
		{empty, "there are no Go files in"},
		{file, "is not a directory"},
		{"--workers=0", "--workers 0: want 1 to 100"},
		{"--activities=0", "--activities 0"},
		{"--store=:memory:", "cannot share memory"},
	} {
		cmd, _, stderr := demo(t, c.args)
		_ = cmd.Run() // the status is what counts
		if code := cmd.ProcessState.ExitCode(); code != cli.ExitUsage || !strings.Contains(stderr.String(), c.want) || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("demo %s: exit status %d, saying %q", c.args, code, stderr)
		}
	}
}

func TestUnusableStore(t *testing.T) {
	t.Parallel()
	cmd, _, stderr := demo(t, makeTree(t), "--store", "postgres://127.0.0.1:1/nothing")
	_ = cmd.Run() // the status is what counts
	if code := cmd.ProcessState.ExitCode(); code != cli.ExitStore || !strings.Contains(stderr.String(), "cannot be reached") {
		t.Errorf("exit status %d, saying %q", code, stderr)
	}
}
