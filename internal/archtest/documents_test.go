package archtest

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

// machinePath matches an absolute path of somebody's machine.
var machinePath = regexp.MustCompile(`(^|[^\w.\-/}*)])/(work|root|home/\w+)/`)

func TestNoMachinePaths(t *testing.T) {
	for file, text := range textFiles(t, func(file string) bool { return true }) {
		for i, line := range strings.Split(text, "\n") {
			if machinePath.MatchString(line) {
				t.Errorf("%s:%d names a path of one machine: %s", file, i+1, strings.TrimSpace(line))
			}
		}
	}
}

// link matches the target of a Markdown link.
var link = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)

// fence matches a block of code.
var fence = regexp.MustCompile("(?s)```.*?```")

func TestDocumentLinks(t *testing.T) {
	for file, text := range textFiles(t, func(file string) bool { return path.Ext(file) == ".md" }) {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			target := path.Join(path.Dir(file), m[1])
			if _, err := fs.Stat(rootFS, target); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s links to %s, which does not exist", file, m[1])
			}
		}
	}
}

// docPath matches a document named in a comment.
var docPath = regexp.MustCompile(`\bdocs/[\w/.\-]+\.md\b`)

func TestDocumentsNamedInCommentsExist(t *testing.T) {
	for file, text := range textFiles(t, func(file string) bool { return path.Ext(file) == ".go" || path.Ext(file) == ".sql" }) {
		for _, name := range docPath.FindAllString(text, -1) {
			if _, err := fs.Stat(rootFS, name); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s refers to %s, which does not exist", file, name)
			}
		}
	}
}

// feature matches a row of docs/features.md: feature, since, example, test.
var feature = regexp.MustCompile("(?m)^\\| [^|]+ \\| [^|]+ \\| [^|]+ \\| (scenario )?`([^`|]+)` \\|$")

func TestFeaturesNameTheirTests(t *testing.T) {
	doc, err := fs.ReadFile(rootFS, "docs/features.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, text := range textFiles(t, func(file string) bool { return strings.HasSuffix(file, "_test.go") }) {
		tests.WriteString(text)
	}
	rows := feature.FindAllStringSubmatch(string(doc), -1)
	if want := strings.Count(string(doc), "\n| ") - 1; len(rows) != want {
		t.Errorf("%d of %d rows name a test", len(rows), want)
	}
	for _, row := range rows {
		definition := "\nfunc " + row[2] + "("
		if row[1] != "" {
			definition = `name: "` + row[2] + `"`
		}
		if !strings.Contains(tests.String(), definition) {
			t.Errorf("docs/features.md names the test %q, which does not exist", row[2])
		}
	}
}
