package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

const (
	maxFileLines     = 600
	maxFunctionLines = 80
)

// longFiles and longFunctions are excused, each with its reason.
var (
	longFiles     = map[string]string{}
	longFunctions = map[string]string{}
)

// vagueNames say nothing about what a package holds.
var vagueNames = []string{"util", "utils", "common", "helper", "helpers", "manager", "misc", "base", "shared", "lib"}

func TestPackages(t *testing.T) {
	for _, p := range goList(t, "./...") {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.rel())
		}
		for _, name := range strings.Split(p.rel(), "/") {
			if slices.Contains(vagueNames, name) {
				t.Errorf("%s: the name %q does not say what the package is for", p.rel(), name)
			}
		}
	}
}

// sources parses all Go files of the module, testdata excluded.
func sources(t *testing.T) (*token.FileSet, map[string]*ast.File) {
	t.Helper()
	fset := token.NewFileSet()
	parsed := map[string]*ast.File{}
	for file, text := range textFiles(t, func(file string) bool { return path.Ext(file) == ".go" && !strings.Contains(file, "testdata/") }) {
		f, err := parser.ParseFile(fset, file, text, parser.ParseComments)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		parsed[file] = f
	}
	return fset, parsed
}

func TestSizes(t *testing.T) {
	fset, files := sources(t)
	for file, f := range files {
		if n := fset.File(f.FileStart).LineCount() - 1; n > maxFileLines && longFiles[file] == "" {
			t.Errorf("%s has %d lines, the limit is %d: has one idea become two?", file, n, maxFileLines)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
			if key := file + ":" + fn.Name.Name; n > maxFunctionLines && longFunctions[key] == "" {
				t.Errorf("%s has %d lines, the limit is %d", key, n, maxFunctionLines)
			}
		}
	}
	for file := range longFiles {
		if files[file] == nil {
			t.Errorf("%s is excused but does not exist", file)
		}
	}
}

// Tests wait for what they wait for, not for time to pass. In virtual time a sleep costs nothing.
func TestNoSleepInTests(t *testing.T) {
	fset, files := sources(t)
	for file, f := range files {
		virtual := slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` })
		if !strings.HasSuffix(file, "_test.go") || virtual {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if x, ok := n.(ast.Expr); ok && selects(x, "time", "Sleep") {
				t.Errorf("%v: time.Sleep in a test; wait on a signal, or poll with a deadline", fset.Position(n.Pos()))
			}
			return true
		})
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	fset, files := sources(t)
	for file, f := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		var before *ast.FuncDecl // a documented method directly above speaks for its likes below
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if before != nil && before.Name.Name == d.Name.Name && fset.Position(d.Pos()).Line == fset.Position(before.End()).Line+1 {
					before = d
					continue
				}
				before = nil
				if d.Doc != nil {
					before = d
				} else if d.Name.IsExported() && exportedReceiver(d) {
					t.Errorf("%v: %s has no doc comment", fset.Position(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				before = nil
				for _, missing := range undocumented(d) {
					t.Errorf("%v: %s has no doc comment", fset.Position(d.Pos()), missing)
				}
			}
		}
	}
}

// exportedReceiver reports whether a function is no method, or one of an exported type.
func exportedReceiver(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	typ := fn.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

// undocumented returns the exported names of a declaration that neither they nor their group explains.
func undocumented(d *ast.GenDecl) []string {
	var missing []string
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
				missing = append(missing, fmt.Sprintf("type %s", s.Name.Name))
			}
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					missing = append(missing, name.Name)
				}
			}
		}
	}
	return missing
}

// selects reports whether an expression is pkg.name.
func selects(x ast.Expr, pkg, name string) bool {
	sel, ok := x.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == pkg
}
