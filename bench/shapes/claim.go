package main

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"text/template"

	"github.com/jackc/pgx/v5"
)

//go:embed claim.sql.tmpl
var claimSQL string

var claimTemplate = template.Must(template.New("claim").Parse(claimSQL))

const (
	claimMax    = 32      // rows one claim takes at most
	foreignRows = 100_000 // ready rows of classes nobody asks for
	futureRows  = 10_000  // rows of the asked classes that are not due
)

// hintKey is the order of the hint table's key.
type hintKey string

const (
	noPart    hintKey = "class, due, iid"
	partFirst hintKey = "part, class, due, iid"
	partLast  hintKey = "class, due, part, iid"
)

// claimCell measures a claim that finds nothing, in one statement over all
// parts and classes.
type claimCell struct {
	key     hintKey
	parts   int
	classes int  // classes the claim asks for
	loaded  bool // the table holds rows that the claim must pass by
}

// schema is the name of the cell's throwaway schema.
func (c claimCell) schema() string {
	kind := map[hintKey]string{noPart: "bare", partFirst: "first", partLast: "last"}[c.key]
	return fmt.Sprintf("shapes_claim_%s%d_%d_%t", kind, c.parts, c.classes, c.loaded)
}

// ddl renders the table and function of the cell.
func (c claimCell) ddl() (string, error) {
	var b strings.Builder
	err := claimTemplate.Execute(&b, map[string]any{
		"Schema": c.schema(), "Key": c.key, "HasPart": c.key != noPart, "PartFirst": c.key == partFirst,
		"Parts": c.parts, "Classes": c.classes,
		"Foreign": foreignRows, "Future": futureRows, "Settings": setClauses(),
	})
	return b.String(), err
}

// create makes the cell's schema anew and loads it.
func (c claimCell) create(ctx context.Context, conn *pgx.Conn) error {
	ddl, err := c.ddl()
	if err != nil {
		return err
	}
	if c.loaded {
		ddl += fmt.Sprintf("select %s.load();", c.schema())
	}
	if _, err := conn.Exec(ctx, ddl); err != nil {
		return fmt.Errorf("create %s: %w", c.schema(), err)
	}
	_, err = conn.Exec(ctx, fmt.Sprintf("vacuum analyze %s.hint", c.schema()))
	return err
}

// sessions implements cell.
func (claimCell) sessions() int { return 1 }

// units implements cell.
func (claimCell) units() int { return 1 }

// settings implements cell.
func (claimCell) settings() [][2]string { return nil }

// open implements cell: it prepares a claim of the classes served.
func (c claimCell) open(ctx context.Context, _ *bench, conn *pgx.Conn) (func(context.Context) error, error) {
	const name = "claim"
	if _, err := conn.Prepare(ctx, name, fmt.Sprintf("select iid from %s.claim($1, $2)", c.schema())); err != nil {
		return nil, err
	}
	classes := make([]int32, c.classes)
	for i := range classes {
		classes[i] = int32(i + 1)
	}
	return func(ctx context.Context) error {
		tag, err := conn.Exec(ctx, name, classes, claimMax)
		if err == nil && tag.RowsAffected() != 0 {
			err = fmt.Errorf("claim on %s found %d rows, want none", c.schema(), tag.RowsAffected())
		}
		return err
	}, nil
}
