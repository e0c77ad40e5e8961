package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// module is the path of this module, root its directory as seen from this package.
const (
	module = "github.com/pawlrun/pawl"
	root   = "../.."
)

// listed is what the tests need of go list's answer.
type listed struct {
	ImportPath   string
	Name         string
	Doc          string
	Standard     bool
	Module       *struct{ Path string }
	GoFiles      []string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// rel is the package's path within the module, "." for the root.
func (p *listed) rel() string {
	return relative(p.ImportPath)
}

func relative(importPath string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

// goList runs go list in the module's root.
func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Name,Doc,Standard,Module,GoFiles,Imports,TestImports,XTestImports"}, args...)...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", args, err, &stderr)
	}
	var packages []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// textFiles returns the repository's text files by path, without what git ignores.
func textFiles(t *testing.T, match func(path string) bool) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, path := range repositoryFiles(t) {
		if !match(path) {
			continue
		}
		data, err := fs.ReadFile(rootFS, path)
		if errors.Is(err, fs.ErrNotExist) { // deleted, and not committed yet
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if utf8.Valid(data) && !bytes.ContainsRune(data, 0) {
			files[path] = string(data)
		}
	}
	if len(files) == 0 {
		t.Fatal("no files found")
	}
	return files
}

// repositoryFiles lists all files that are in git or could be added; without git, all files.
func repositoryFiles(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err == nil {
		return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 })
	}
	var files []string
	err = fs.WalkDir(rootFS, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || path == "bin"):
			return fs.SkipDir
		case !d.IsDir():
			files = append(files, filepath.ToSlash(path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
