package providertest_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pawlrun/pawl/provider/providertest"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

var update = flag.Bool("update", false, "rewrite the clauses in docs/provider-contract.md from the code")

// contractFile is the contract; between the marks of an area stand its clauses, the rest is prose.
var contractFile = filepath.Join("..", "..", "docs", "provider-contract.md")

var areaBlock = regexp.MustCompile(`(?s)<!-- clauses ([A-Z]) -->\n.*?<!-- end ([A-Z]) -->\n`)

// coveredBy returns the names of the mutants that die of a clause, sorted.
func coveredBy(clause string) []string {
	var names []string
	for _, m := range mutants {
		if slices.Contains(slices.Collect(maps.Values(m.kills)), clause) {
			names = append(names, m.name)
		}
	}
	slices.Sort(names)
	return names
}

// renderArea writes the clauses of an area as they have to stand in the contract.
func renderArea(area string) string {
	var b strings.Builder
	for _, c := range providertest.Clauses() {
		if c.ID[:1] != area {
			continue
		}
		mark := ""
		if len(coveredBy(c.ID)) > 0 {
			mark = " *(covered)*"
		}
		fmt.Fprintf(&b, "- **%s**%s %s\n", c.ID, mark, c.Text)
		var cases []string
		for _, k := range providertest.Cases() {
			if slices.Contains(k.Clauses, c.ID) {
				cases = append(cases, k.Name)
			}
		}
		fmt.Fprintf(&b, "  - Cases: %s\n", quoted(cases))
		if names := coveredBy(c.ID); len(names) > 0 {
			fmt.Fprintf(&b, "  - Mutants: %s\n", quoted(names))
		}
	}
	return b.String()
}

func quoted(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return "`" + strings.Join(names, "`, `") + "`"
}

// TestContract checks that the document and the suite speak of the same clauses, cases and mutants.
func TestContract(t *testing.T) {
	doc, err := os.ReadFile(contractFile)
	if err != nil {
		t.Fatal(err)
	}
	var areas []string
	want := areaBlock.ReplaceAllFunc(doc, func(block []byte) []byte {
		m := areaBlock.FindSubmatch(block)
		area := string(m[1])
		if area != string(m[2]) {
			t.Fatalf("area %s ends as %s", area, m[2])
		}
		areas = append(areas, area)
		return fmt.Appendf(nil, "<!-- clauses %[1]s -->\n%[2]s<!-- end %[1]s -->\n", area, renderArea(area))
	})
	for _, c := range providertest.Clauses() {
		if !slices.Contains(areas, c.ID[:1]) {
			t.Errorf("the contract has no area %s for clause %s", c.ID[:1], c.ID)
		}
	}
	if bytes.Equal(doc, want) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the suite proves; run go test with -update and review it", contractFile)
	}
	if err := os.WriteFile(contractFile, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestClausesAreProved checks that ids are in order, every clause has a case, and nobody names an unknown clause.
func TestClausesAreProved(t *testing.T) {
	proved := map[string]bool{}
	names := map[string]bool{}
	for _, c := range providertest.Cases() {
		if names[c.Name] {
			t.Errorf("two cases are named %s", c.Name)
		}
		names[c.Name] = true
		if len(c.Clauses) == 0 {
			t.Errorf("case %s proves no clause", c.Name)
		}
		for _, id := range c.Clauses {
			proved[id] = true
		}
	}
	ids := map[string]bool{}
	last := ""
	n := 0
	for _, c := range providertest.Clauses() {
		if n++; c.ID[:1] != last {
			last, n = c.ID[:1], 1
		}
		if c.ID != fmt.Sprint(last, n) {
			t.Errorf("clause %s should be %s%d", c.ID, last, n)
		}
		if !proved[c.ID] {
			t.Errorf("no case proves clause %s", c.ID)
		}
		ids[c.ID] = true
	}
	for id := range proved {
		if !ids[id] {
			t.Errorf("a case proves clause %s, which does not exist", id)
		}
	}
	for _, m := range mutants {
		for name, id := range m.kills {
			c, _ := providertest.FindCase(name)
			if !slices.Contains(c.Clauses, id) {
				t.Errorf("mutant %s dies of clause %s in case %s, which does not claim to prove it", m.name, id, name)
			}
		}
	}
}

// TestMutantsAreNamed checks that mutants have different names and that no defect of the model goes unused.
func TestMutantsAreNamed(t *testing.T) {
	names := map[string]bool{}
	used := map[model.Defect]bool{}
	for _, m := range mutants {
		if names[m.name] {
			t.Errorf("two mutants are named %s", m.name)
		}
		names[m.name] = true
		if len(m.kills) == 0 {
			t.Errorf("no case is named to catch mutant %s", m.name)
		}
		for _, d := range m.defects {
			used[d] = true
		}
	}
	if len(mutants) < 32 {
		t.Errorf("%d mutants, want at least 32", len(mutants))
	}
	source, err := os.ReadFile(filepath.Join("model", "defect.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range regexp.MustCompile(`Defect = "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1) {
		if !used[model.Defect(d[1])] {
			t.Errorf("no mutant has the defect %s", d[1])
		}
	}
}
