package examples

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pawlrun/pawl/internal/pgtest"
)

const root = ".."

// block matches a fenced block of the README: its language and its text.
var block = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// blocks returns the README's fenced blocks of a language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range block.FindAllStringSubmatch(string(text), -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	if len(found) == 0 {
		t.Fatalf("the README has no block of %s", language)
	}
	return found
}

// The program in the README is examples/hello, to the letter.
func TestReadmeProgram(t *testing.T) {
	source, err := os.ReadFile("hello/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if got := blocks(t, "go")[0]; got != string(source) {
		t.Errorf("the README's program differs from examples/hello/main.go:\n%s", got)
	}
}

// A program in a module of its own needs nothing but the module and what it requires.
func TestReadmeProgramInItsOwnModule(t *testing.T) {
	dir := t.TempDir()
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "go.sum"), string(sums))
	write(t, filepath.Join(dir, "main.go"), blocks(t, "go")[0])
	write(t, filepath.Join(dir, "go.mod"), "module hello\n\ngo 1.26.0\n\nrequire github.com/pawlrun/pawl v0.0.0\n\nreplace github.com/pawlrun/pawl => "+checkout(t)+"\n")
	if got := shell(t, dir, "go run -mod=mod ."); got != "Hello, Ada!\n" {
		t.Errorf("printed %q", got)
	}
}

// commands returns the command lines of the README, and those of them that need a PostgreSQL database.
func commands(t *testing.T) (all, postgres []string) {
	t.Helper()
	for line := range strings.Lines(strings.Join(blocks(t, "sh"), "")) {
		switch command := strings.TrimSpace(line); {
		case command == "" || strings.HasPrefix(command, "#"):
		case strings.Contains(command, "$DATABASE_URL"):
			postgres = append(postgres, command)
		default:
			all = append(all, command)
		}
	}
	return all, postgres
}

// Every command of the README works in a fresh copy of the repository. make test is this test's own caller: of it, only
// the recipe is looked at.
func TestReadmeCommands(t *testing.T) {
	dir := checkout(t)
	plain, postgres := commands(t)
	for _, command := range plain {
		t.Run(command, func(t *testing.T) {
			if command == "make test" {
				command = "make -n test"
			}
			t.Logf("%s", shell(t, dir, command))
		})
	}
	t.Run("postgres", func(t *testing.T) {
		url := "DATABASE_URL=" + pgtest.URL(t)
		for _, command := range postgres {
			t.Run(command, func(t *testing.T) { t.Logf("%s", shell(t, dir, command, url)) })
		}
	})
}

// shell runs a command as a user would, in a home of its own, and returns its standard output.
func shell(t *testing.T, dir, command string, env ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-ec", command)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+t.TempDir())
	cmd.Env = append(cmd.Env, env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", command, err, out, &stderr)
	}
	return string(out)
}

// checkout copies what a user gets: the files of the repository, without its git directory and what was built.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (rel == ".git" || rel == "bin"):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, rel), data, 0o644)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
