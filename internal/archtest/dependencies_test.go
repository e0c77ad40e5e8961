package archtest

import (
	"io/fs"
	"regexp"
	"slices"
	"testing"
)

// moduleRow matches a row of docs/dependencies.md: the module, then what for, who keeps it, what it replaces.
var moduleRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|([^|]+)\\|([^|]+)\\|([^|]+)\\|$")

// Every module that is linked into a package, its tests or the tools is in docs/dependencies.md, and nothing else is.
func TestDependenciesAreReviewed(t *testing.T) {
	doc, err := fs.ReadFile(rootFS, "docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	var reviewed []string
	for _, row := range moduleRow.FindAllStringSubmatch(string(doc), -1) {
		reviewed = append(reviewed, row[1])
	}
	var linked []string
	for _, p := range goList(t, "-deps", "-test", "./...", "tool") {
		if p.Module != nil && p.Module.Path != module && !slices.Contains(linked, p.Module.Path) {
			linked = append(linked, p.Module.Path)
		}
	}
	for _, m := range linked {
		if !slices.Contains(reviewed, m) {
			t.Errorf("%s is linked but not in docs/dependencies.md: say what it is for, who keeps it and what it replaces, or do without it", m)
		}
	}
	for _, m := range reviewed {
		if !slices.Contains(linked, m) {
			t.Errorf("%s is in docs/dependencies.md but not linked any more", m)
		}
	}
}
