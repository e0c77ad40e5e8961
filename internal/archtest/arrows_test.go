package archtest

import (
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

var rootFS = os.DirFS(root)

// room says what the packages that match a path pattern may import besides the standard library. Patterns are those of
// path.Match; the first that matches counts.
type room struct {
	pattern string
	arrows  []string // patterns of packages of this module
	modules []string // modules it may import directly
}

// rooms is the map of the repository: cmd -> demo -> cli -> {pawl, providers} -> engine -> {replay, provider} -> history.
var rooms = []room{
	{pattern: "history"},
	{pattern: "provider"},
	{pattern: "provider/providertest/model", arrows: []string{"provider", "history"}},
	{pattern: "provider/providertest", arrows: []string{"provider", "history", "provider/providertest/model"}},
	{pattern: "provider/postgres", arrows: []string{"provider", "provider/postgres/internal/*", "history"}, modules: []string{"github.com/jackc/pgx/v5"}},
	{pattern: "provider/postgres/internal/*", arrows: []string{"provider"}, modules: []string{"github.com/jackc/pgx/v5"}},
	{pattern: "provider/postgres/*", arrows: []string{"provider", "provider/postgres", "provider/postgres/internal/*", "history"}, modules: []string{"github.com/jackc/pgx/v5"}},
	{pattern: "provider/sqlite", arrows: []string{"provider", "history"}, modules: []string{"modernc.org/sqlite"}},
	{pattern: "internal/replay", arrows: []string{"history"}},
	{pattern: "internal/engine", arrows: []string{"internal/replay", "provider", "history"}},
	{pattern: ".", arrows: []string{"internal/engine", "internal/replay", "provider", "history"}},
	{pattern: "cli", arrows: []string{".", "internal/bench", "internal/bench/suite", "internal/budget", "internal/origin", "provider", "provider/postgres", "provider/sqlite", "provider/providertest", "history"},
		modules: []string{"github.com/spf13/cobra", "github.com/jackc/pgx/v5"}},
	{pattern: "internal/demo", arrows: []string{".", "cli", "internal/metering", "provider"}, modules: []string{"github.com/spf13/cobra"}},
	{pattern: "cmd/*", arrows: []string{"cli", "internal/demo"}, modules: []string{"github.com/spf13/cobra"}},
	{pattern: "internal/pgtest", modules: []string{"github.com/jackc/pgx/v5"}},
	{pattern: "internal/metering", arrows: []string{"provider"}, modules: []string{"github.com/jackc/pgx/v5"}},
	{pattern: "internal/budget", arrows: []string{".", "internal/wiretap", "provider", "provider/postgres"}, modules: []string{"github.com/jackc/pgx/v5"}},
	{pattern: "internal/origin", arrows: []string{".", "internal/bench", "internal/wiretap", "provider", "provider/postgres", "provider/postgres/inline", "history"},
		modules: []string{"github.com/jackc/pgx/v5"}},
	{pattern: "internal/bench", arrows: []string{"internal/wiretap"}, modules: []string{"github.com/jackc/pgx/v5", "modernc.org/sqlite"}},
	{pattern: "internal/bench/suite", arrows: []string{".", "internal/bench", "provider", "provider/postgres", "provider/sqlite"}},
	{pattern: "internal/wiretap"},
	{pattern: "internal/unprivileged"},
	{pattern: "internal/ancestor"},
	{pattern: "internal/archtest"},
	{pattern: "examples/internal/*", arrows: []string{".", "cli", "provider/sqlite"}},
	{pattern: "examples/*", arrows: []string{".", "provider/sqlite", "examples/internal/*"}},
	{pattern: "examples"},
	{pattern: "bench/*", arrows: []string{".", "internal/*", "provider", "provider/*", "history"}, modules: []string{"github.com/jackc/pgx/v5"}},
}

func roomOf(rel string) *room {
	for i := range rooms {
		if ok, _ := path.Match(rooms[i].pattern, rel); ok {
			return &rooms[i]
		}
	}
	return nil
}

func matches(patterns []string, rel string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, rel); return ok })
}

// within reports whether a package belongs to one of the modules.
func within(modules []string, importPath string) bool {
	return slices.ContainsFunc(modules, func(m string) bool { return importPath == m || strings.HasPrefix(importPath, m+"/") })
}

// standard reports whether an import path is the standard library's: its first element has no dot.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

func TestArrows(t *testing.T) {
	for _, p := range goList(t, "./...") {
		r := roomOf(p.rel())
		if r == nil {
			t.Errorf("%s: no room for this package; say in internal/archtest what it may import", p.rel())
			continue
		}
		for _, imp := range p.Imports {
			switch {
			case standard(imp):
			case !strings.HasPrefix(imp+"/", module+"/"):
				if !within(r.modules, imp) {
					t.Errorf("%s imports %s, a module it may not know", p.rel(), imp)
				}
			case !matches(r.arrows, relative(imp)):
				t.Errorf("%s imports %s against the arrows", p.rel(), relative(imp))
			}
		}
	}
}

// Test files may import what their package may not, but they are no way around the rules: nothing imports a command, and
// test packages stay out of the library.
func TestArrowsOfTests(t *testing.T) {
	for _, p := range goList(t, "./...") {
		for _, imp := range slices.Concat(p.TestImports, p.XTestImports) {
			if strings.HasPrefix(imp, module+"/cmd/") {
				t.Errorf("the tests of %s import %s", p.rel(), relative(imp))
			}
			if !standard(imp) && !within([]string{module, "github.com/jackc/pgx/v5", "github.com/spf13/cobra", "modernc.org/sqlite"}, imp) {
				t.Errorf("the tests of %s import %s: tests use the standard library and what the product uses", p.rel(), imp)
			}
		}
	}
}

// A user's program must link no test code and no provider it did not ask for.
func TestUsersLinkOnlyWhatTheyImport(t *testing.T) {
	for _, p := range goList(t, "-deps", ".") {
		if !p.Standard && !matches([]string{".", "internal/engine", "internal/replay", "provider", "history"}, p.rel()) {
			t.Errorf("importing the root package links %s", p.ImportPath)
		}
	}
	for _, pkg := range []string{"./cmd/...", "./provider/sqlite", "./provider/postgres"} {
		for _, p := range goList(t, "-deps", pkg) {
			if p.ImportPath == "testing" && !strings.HasPrefix(pkg, "./cmd") { // pawl conformance runs tests
				t.Errorf("importing %s links package testing", pkg)
			}
		}
	}
}
