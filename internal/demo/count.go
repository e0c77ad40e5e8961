package demo

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Function is a function and its length.
type Function struct {
	Name  string `json:"name"`
	Lines int    `json:"lines"`
}

// Totals are what is counted, of a package or of many.
type Totals struct {
	Files        int      `json:"files"`
	Broken       int      `json:"broken"` // files that cannot be read or parsed
	Lines        int      `json:"lines"`
	Declarations int      `json:"declarations"`
	Imports      int      `json:"imports"`
	Longest      Function `json:"longest"`
}

// Package is the count of one directory with Go files.
type Package struct {
	Path string `json:"path"`
	Totals
}

// Report is the count of many packages. It does not depend on the order they were added in.
type Report struct {
	Packages int `json:"packages"`
	Totals
	Largest []Package `json:"largest"` // by lines, at most largestKept
}

const largestKept = 10

// Add adds a package.
func (r *Report) Add(p Package) {
	r.Merge(Report{Packages: 1, Totals: p.Totals, Largest: []Package{p}})
}

// Merge adds what another report has counted.
func (r *Report) Merge(other Report) {
	r.Packages += other.Packages
	r.Files += other.Files
	r.Broken += other.Broken
	r.Lines += other.Lines
	r.Declarations += other.Declarations
	r.Imports += other.Imports
	if longer(other.Longest, r.Longest) {
		r.Longest = other.Longest
	}
	r.Largest = append(r.Largest, other.Largest...)
	slices.SortFunc(r.Largest, func(a, b Package) int {
		return cmp.Or(cmp.Compare(b.Lines, a.Lines), cmp.Compare(a.Path, b.Path))
	})
	r.Largest = r.Largest[:min(len(r.Largest), largestKept)]
}

func longer(a, b Function) bool {
	return a.Lines > b.Lines || a.Lines == b.Lines && a.Lines > 0 && a.Name < b.Name
}

// countPackage parses the Go files of one directory of a tree. What is wrong with a file is counted, not returned.
func countPackage(tree, dir string) (Package, error) {
	p := Package{Path: dir}
	entries, err := os.ReadDir(filepath.Join(tree, filepath.FromSlash(dir)))
	if err != nil {
		return p, err
	}
	for _, e := range entries {
		if isGoFile(e) {
			p.countFile(filepath.Join(tree, filepath.FromSlash(dir), e.Name()))
		}
	}
	return p, nil
}

func (p *Package) countFile(name string) {
	p.Files++
	data, err := os.ReadFile(name)
	if err != nil {
		p.Broken++
		return
	}
	p.Lines += bytes.Count(data, []byte("\n"))
	if len(data) > 0 && data[len(data)-1] != '\n' {
		p.Lines++
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, data, parser.SkipObjectResolution)
	if err != nil {
		p.Broken++
		return
	}
	p.Imports += len(file.Imports)
	p.Declarations += len(file.Decls)
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok {
			lines := set.PositionFor(f.End(), false).Line - set.PositionFor(f.Pos(), false).Line + 1
			if found := (Function{Name: path.Join(p.Path, file.Name.Name) + "." + functionName(f), Lines: lines}); longer(found, p.Longest) {
				p.Longest = found
			}
		}
	}
}

// functionName is a function's name, after its receiver's type for a method.
func functionName(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	for t := f.Recv.List[0].Type; ; {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.ParenExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name + "." + f.Name.Name
		default:
			return f.Name.Name
		}
	}
}

// isGoFile leaves out links, which may lead anywhere, and files that only look like Go's.
func isGoFile(e fs.DirEntry) bool {
	return e.Type().IsRegular() && strings.HasSuffix(e.Name(), ".go") && !strings.HasPrefix(e.Name(), ".")
}

// maxPath bounds the paths of packages: they are part of every activity's input.
const maxPath = 1 << 10

// findPackages returns the directories below dir of a tree that hold Go files, in order, with slashes and relative to the
// tree. Hidden directories, and those that cannot be read or named in JSON, are left out. With deep unset only dir
// itself is looked at.
func findPackages(tree, dir string, deep bool) ([]string, error) {
	root := filepath.Join(tree, filepath.FromSlash(dir))
	var found []string
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil && name == root && e == nil:
			return err
		case err != nil:
			return nil
		case e.IsDir():
			if name != root && (!deep || strings.HasPrefix(e.Name(), ".")) {
				return fs.SkipDir
			}
			return nil
		case !isGoFile(e):
			return nil
		}
		rel, err := filepath.Rel(tree, filepath.Dir(name))
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if utf8.ValidString(rel) && len(rel) <= maxPath && (len(found) == 0 || found[len(found)-1] != rel) {
			found = append(found, rel)
		}
		return nil
	})
	slices.Sort(found)
	return slices.Compact(found), err
}

// groupOf is the top-level directory a package is in, "." for the tree itself.
func groupOf(dir string) string {
	group, _, _ := strings.Cut(dir, "/")
	return group
}

// countPlainly counts a whole tree in one pass, as a program without Pawl would. progress is called after each package.
func countPlainly(tree string, progress func() error) (Report, error) {
	var r Report
	dirs, err := findPackages(tree, ".", true)
	if err != nil {
		return r, err
	}
	for _, dir := range dirs {
		p, err := countPackage(tree, dir)
		if err != nil {
			return r, err
		}
		r.Add(p)
		if err := progress(); err != nil {
			return r, err
		}
	}
	return r, nil
}

// resolveTree finds the tree to count: the given directory, else the source of the Go distribution.
func resolveTree(dir, goRoot string) (string, error) {
	if dir == "" {
		if goRoot == "" {
			return "", errors.New("found no Go distribution to count: name a directory with Go files")
		}
		dir = filepath.Join(goRoot, "src")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("the directory %s does not exist", abs)
	case err != nil:
		return "", err
	}
	info, err := os.Stat(real)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s is not a directory", abs)
	}
	if _, err := os.ReadDir(real); err != nil {
		return "", fmt.Errorf("the directory cannot be read: %w", err)
	}
	return real, nil
}
