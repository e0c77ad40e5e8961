package main

import "fmt"

// table is one table of the report.
type table struct {
	title string
	unit  string // what a row's rate, CPU and WAL count
	rows  []row
}

// row is one line of a table.
type row struct {
	label string
	cell  cell
}

// defaultKey is the key under which the other questions are asked.
var defaultKey = keyForm{parts: 16}

// keyForms lists the keys under comparison.
func keyForms() []keyForm {
	return []keyForm{
		{text: true},
		{},
		{parts: 16},
		{parts: 64},
		{parts: 16, text: true},
	}
}

// claimCells lists the empty claims under comparison.
func claimCells() []claimCell {
	var cells []claimCell
	for _, loaded := range []bool{false, true} {
		for _, classes := range []int{1, 10} {
			cells = append(cells,
				claimCell{noPart, 1, classes, loaded},
				claimCell{partFirst, 16, classes, loaded},
				claimCell{partFirst, 64, classes, loaded},
				claimCell{partLast, 16, classes, loaded})
		}
	}
	return cells
}

// tables lists every comparison of the run.
func tables() []table {
	return []table{
		{"Yardsticks", "call", []row{
			{"insert of a 200 B row + commit", rawCell{}},
			{"empty round trip (`select 1`)", roundTripCell{}},
		}},
		keyTable(),
		historyTable(),
		callTable(),
		pinTable(),
		claimTable(),
	}
}

// keyTable compares the keys, alone and in batches.
func keyTable() table {
	t := table{title: "Keys (json history, array function, pinned, 1 connection)", unit: "turn"}
	for _, batch := range []int{1, 32, 128} {
		for _, k := range keyForms() {
			label := fmt.Sprintf("batch %d: %s", batch, k)
			t.rows = append(t.rows, row{label, turnCell{shape: shape{k, "json"}, batch: batch, conns: 1}})
		}
	}
	return t
}

// historyTable compares the types of the history column.
func historyTable() table {
	t := table{title: fmt.Sprintf("History column (%s, array function, pinned, 1 connection)", defaultKey), unit: "turn"}
	for _, batch := range []int{1, 128} {
		for _, h := range []string{"json", "jsonb", "bytea", "text"} {
			label := fmt.Sprintf("batch %d: %s", batch, h)
			t.rows = append(t.rows, row{label, turnCell{shape: shape{defaultKey, h}, batch: batch, conns: 1}})
		}
	}
	return t
}

// callTable compares the forms of the call and the sizes of the batch.
func callTable() table {
	t := table{title: fmt.Sprintf("Call form (%s, json history, pinned)", defaultKey), unit: "turn"}
	s := shape{defaultKey, "json"}
	t.rows = append(t.rows, row{"scalar, 1 connection", turnCell{shape: s, form: scalar, batch: 1, conns: 1}})
	for _, batch := range []int{1, 8, 32, 128} {
		label := fmt.Sprintf("array of %d, 1 connection", batch)
		t.rows = append(t.rows, row{label, turnCell{shape: s, batch: batch, conns: 1}})
	}
	for _, batch := range []int{32, 128} {
		label := fmt.Sprintf("array of %d, 2 connections", batch)
		t.rows = append(t.rows, row{label, turnCell{shape: s, batch: batch, conns: 2}})
	}
	return t
}

// pinTable compares the ways to pin plans.
func pinTable() table {
	t := table{title: fmt.Sprintf("Plan pinning (%s, json history, 1 connection)", defaultKey), unit: "turn"}
	calls := []struct {
		label string
		form  callForm
		batch int
	}{{"scalar", scalar, 1}, {"array of 1", array, 1}, {"array of 8", array, 8}, {"array of 32", array, 32}, {"array of 128", array, 128}}
	pins := []struct {
		label string
		pins  pinning
	}{{"not pinned", unpinned}, {"SET clauses", pinnedByFunction}, {"session settings", pinnedBySession}}
	for _, c := range calls {
		for _, p := range pins {
			cell := turnCell{shape: shape{defaultKey, "json"}, form: c.form, batch: c.batch, conns: 1, pins: p.pins}
			t.rows = append(t.rows, row{c.label + ", " + p.label, cell})
		}
	}
	return t
}

// claimTable compares empty claims over parts.
func claimTable() table {
	t := table{title: "Empty claim in one statement (pinned, 1 connection)", unit: "claim"}
	for _, c := range claimCells() {
		state := "empty"
		if c.loaded {
			state = "loaded"
		}
		label := fmt.Sprintf("%s, classes: %d, key (%s)", state, c.classes, c.key)
		if c.key != noPart {
			label += fmt.Sprintf(", %d parts", c.parts)
		}
		t.rows = append(t.rows, row{label, c})
	}
	return t
}

// allCells lists the cells of all tables, each once.
func allCells() []cell {
	var cells []cell
	seen := map[cell]bool{}
	for _, t := range tables() {
		for _, r := range t.rows {
			if !seen[r.cell] {
				seen[r.cell] = true
				cells = append(cells, r.cell)
			}
		}
	}
	return cells
}
