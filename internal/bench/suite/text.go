package suite

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Text writes the report for people.
func (r *Report) Text(out io.Writer) error {
	var b strings.Builder
	for _, line := range r.head() {
		b.WriteString(line + "\n")
	}
	for _, warning := range r.Warnings {
		b.WriteString("WARNING: " + warning + "\n")
	}
	for _, t := range r.tables() {
		b.WriteString("\n" + t.Title + "\n")
		t.writeText(&b)
		if t.Note != "" {
			b.WriteString(t.Note + "\n")
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// writeText writes names to the left and numbers to the right.
func (t *table) writeText(b *strings.Builder) {
	const gap = "  "
	rows := append([]row{{Cells: t.Head}}, t.Rows...)
	widths := make([]int, 1+len(t.Head))
	for _, r := range rows {
		for i, cell := range append([]string{r.Name}, r.Cells...) {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, r := range rows {
		line := r.Name + strings.Repeat(" ", widths[0]-utf8.RuneCountInString(r.Name))
		for i, cell := range r.Cells {
			line += gap + strings.Repeat(" ", widths[i+1]-utf8.RuneCountInString(cell)) + cell
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}
