package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// report writes every table as markdown.
func (b *bench) report(ctx context.Context, out io.Writer) error {
	var version string
	if err := b.control.QueryRow(ctx, "show server_version").Scan(&version); err != nil {
		return err
	}
	var w strings.Builder
	fmt.Fprintf(&w, "PostgreSQL %s, %d rounds of %v a cell, medians.\n", version, b.opts.rounds, b.opts.cell)
	if b.disrupt {
		w.WriteString("\nA checkpoint fell into the run: WAL figures include full-page images.\n")
	}
	yard := medianSample(b.samples[rawCell{}])
	for _, t := range tables() {
		b.writeTable(&w, t, yard.p50)
	}
	b.writePages(&w)
	_, err := io.WriteString(out, w.String())
	return err
}

// writeTable writes one table of measured cells.
func (b *bench) writeTable(w *strings.Builder, t table, rawP50 float64) {
	fmt.Fprintf(w, "\n### %s\n\n", t.title)
	fmt.Fprintf(w, "| | p50 ms | x raw p50 | %[1]ss/s | spread | server CPU us/%[1]s | WAL B/%[1]s |\n", t.unit)
	w.WriteString("|---|---|---|---|---|---|---|\n")
	for _, r := range t.rows {
		samples := b.samples[r.cell]
		s := medianSample(samples)
		cpu := "-"
		if s.cpu >= 0 {
			cpu = fmt.Sprintf("%.1f", s.cpu)
		}
		fmt.Fprintf(w, "| %s | %.3f | %.2f | %.0f | %.0f %% | %s | %.0f |\n",
			r.label, s.p50, s.p50/rawP50, s.rate, spread(samples), cpu, s.wal)
	}
}

// writePages writes what the keys cost in whole pages.
func (b *bench) writePages(w *strings.Builder) {
	w.WriteString("\n### Keys in whole pages\n\n")
	fmt.Fprintf(w, "| | WAL B/turn in the first %d turns after a checkpoint, %d rows before | history index B/row |\n|---|---|---|\n",
		afterCheckpoint, beforeCheckpoint)
	for _, k := range keyForms() {
		fmt.Fprintf(w, "| %s | %.0f | %.1f |\n", k, b.pages[k].walAfterCheckpoint, b.pages[k].indexBytes)
	}
}
