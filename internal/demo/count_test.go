package demo

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

func TestCountPackage(t *testing.T) {
	tree := t.TempDir()
	for name, text := range map[string]string{
		"code.go":      "package p\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nvar x = 1\n\nfunc (t *T[K]) Long() {\n\tfmt.Println(os.Args)\n\n}\n\nfunc short() {}",
		"broken.go":    "package p\nfunc {\n",
		"other.txt":    "\n\n\n",
		".hidden.go":   "package p\n",
		"code_test.go": "package p_test\n",
	} {
		if err := os.WriteFile(filepath.Join(tree, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(tree, "link.go")); err != nil {
		t.Fatal(err)
	}
	got, err := countPackage(tree, ".")
	want := Package{Path: ".", Totals: Totals{Files: 3, Broken: 1, Lines: 15 + 2 + 1, Declarations: 4, Imports: 2, Longest: Function{Name: "p.T.Long", Lines: 4}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestReportDoesNotDependOnOrder(t *testing.T) {
	var forward, backward Report
	var packages []Package
	for i := range 30 {
		packages = append(packages, Package{Path: string(rune('a' + i)), Totals: Totals{Files: 1, Lines: i % 7, Longest: Function{Name: string(rune('a' + i)), Lines: i % 5}}})
	}
	for i, p := range packages {
		forward.Add(p)
		var part Report
		part.Add(packages[len(packages)-1-i])
		backward.Merge(part)
	}
	if !reflect.DeepEqual(forward, backward) || len(forward.Largest) != largestKept || forward.Packages != 30 {
		t.Errorf("forward %+v\nbackward %+v", forward, backward)
	}
}

// TestGroups checks that every package is in exactly one group, whatever their names sort like.
func TestGroups(t *testing.T) {
	tree := makeTree(t)
	all, err := findPackages(tree, ".", true)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := FindGroups(context.Background(), Tree{Dir: tree})
	if err != nil || !slices.Equal(groups, []string{".", "a", "a-b", "z"}) {
		t.Errorf("groups %q, %v", groups, err)
	}
	var found []string
	for _, g := range groups {
		packages, err := FindPackages(context.Background(), Group{Dir: tree, Name: g})
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, packages...)
	}
	slices.Sort(found)
	if !slices.Equal(all, found) || len(all) != treePackages {
		t.Errorf("%d packages in the tree, %d in its groups:\n%q\n%q", len(all), len(found), all, found)
	}
}
