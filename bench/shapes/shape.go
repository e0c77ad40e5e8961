package main

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"text/template"

	"github.com/jackc/pgx/v5"
)

//go:embed shape.sql.tmpl
var shapeSQL string

var shapeTemplate = template.Must(template.New("shape").Parse(shapeSQL))

// planSettings are the SET clauses that pin a function's plans.
var planSettings = [][2]string{
	{"plan_cache_mode", "force_generic_plan"},
	{"enable_seqscan", "off"},
	{"enable_hashjoin", "off"},
	{"enable_mergejoin", "off"},
	{"jit", "off"},
}

// column is one column of the key that every hot table starts with.
type column struct{ Name, Type string }

// keyForm is the key that names an instance in every hot table.
type keyForm struct {
	parts int  // number of parts, 0 for a key without a part
	text  bool // the user's text id is the key, there is no bigint surrogate
}

// columns lists the key's columns in index order.
func (k keyForm) columns() []column {
	var cols []column
	if k.parts > 0 {
		cols = append(cols, column{"part", "smallint"})
	}
	if k.text {
		return append(cols, column{"id", `text collate "C"`})
	}
	return append(cols, column{"iid", "bigint"})
}

// String names the key as the report does.
func (k keyForm) String() string {
	var names []string
	for _, c := range k.columns() {
		name, _, _ := strings.Cut(c.Type, " ")
		names = append(names, c.Name+" "+name)
	}
	s := "(" + strings.Join(names, ", ") + ")"
	if k.parts > 0 {
		s += fmt.Sprintf(", %d parts", k.parts)
	}
	return s
}

// shape is one layout of the instance, history and work tables.
type shape struct {
	key     keyForm
	history string // type of the history column
}

// schema is the name of the shape's throwaway schema.
func (s shape) schema() string {
	kind := "iid"
	if s.key.text {
		kind = "id"
	}
	return fmt.Sprintf("shapes_%s%d_%s", kind, s.key.parts, s.history)
}

// ddl renders the tables and functions of the shape.
func (s shape) ddl() (string, error) {
	var b strings.Builder
	err := shapeTemplate.Execute(&b, s.templateData())
	return b.String(), err
}

// variant is a set of functions that differ only in their SET clauses.
type variant struct{ Suffix, Settings string }

// templateData holds the text fragments that differ between shapes.
func (s shape) templateData() map[string]any {
	var defs, cols, scalars, arrays, params []string
	match := func(left, right string) string {
		var m []string
		for _, c := range s.key.columns() {
			m = append(m, left+c.Name+" = "+right+c.Name)
		}
		return strings.Join(m, " and ")
	}
	for _, c := range s.key.columns() {
		plain, _, _ := strings.Cut(c.Type, " ")
		defs = append(defs, c.Name+" "+c.Type+" not null")
		cols = append(cols, c.Name)
		params = append(params, "p_"+c.Name)
		scalars = append(scalars, "p_"+c.Name+" "+plain)
		arrays = append(arrays, "p_"+c.Name+" "+plain+"[]")
	}
	list := func(items []string) string { return strings.Join(items, ", ") }
	return map[string]any{
		"Schema": s.schema(), "History": s.history, "Parts": max(s.key.parts, 1),
		"HasPart": s.key.parts > 0, "Text": s.key.text,
		"Defs": list(defs), "Cols": list(cols), "Params": list(params),
		"UCols":       "u." + strings.Join(cols, ", u."),
		"ScalarTypes": list(scalars), "ArrayTypes": list(arrays),
		"MatchI": match("i.", "u."), "MatchW": match("w.", "u."), "MatchP": match("", "p_"),
		"Variants": []variant{{"_pinned", setClauses()}, {"_free", ""}},
	}
}

// setClauses renders planSettings as SET clauses of a function.
func setClauses() string {
	var b strings.Builder
	for _, s := range planSettings {
		fmt.Fprintf(&b, " set %s = %s", s[0], s[1])
	}
	return b.String()
}

// create makes the schema of the shape anew and loads its instances, each with
// one leased work row. It returns the instances in the order they were loaded.
func (s shape) create(ctx context.Context, conn *pgx.Conn, instances int) ([]*instance, error) {
	ddl, err := s.ddl()
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, ddl); err != nil {
		return nil, fmt.Errorf("create %s: %w", s.schema(), err)
	}
	load := fmt.Sprintf("select %s.load(%d)", s.schema(), instances)
	if _, err := conn.Exec(ctx, load); err != nil {
		return nil, fmt.Errorf("load %s: %w", s.schema(), err)
	}
	vacuum := fmt.Sprintf("vacuum analyze %[1]s.instance, %[1]s.work", s.schema())
	if _, err := conn.Exec(ctx, vacuum); err != nil {
		return nil, err
	}
	return s.instances(ctx, conn)
}

// instances reads what create loaded.
func (s shape) instances(ctx context.Context, conn *pgx.Conn) ([]*instance, error) {
	part, iid := "0::smallint", "0::bigint"
	if s.key.parts > 0 {
		part = "part"
	}
	if !s.key.text {
		iid = "iid"
	}
	query := fmt.Sprintf("select %s, %s, id, seq, token from %s.instance order by ctid", part, iid, s.schema())
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (*instance, error) {
		var i instance
		err := row.Scan(&i.part, &i.iid, &i.id, &i.seq, &i.token)
		return &i, err
	})
}

// indexBytesPerRow is the size of the history key's index divided by its rows.
func (s shape) indexBytesPerRow(ctx context.Context, conn *pgx.Conn) (float64, error) {
	var bytes float64
	query := fmt.Sprintf(`select pg_relation_size('%[1]s.history_pkey')::float8
		/ greatest((select count(*) from %[1]s.history), 1)`, s.schema())
	err := conn.QueryRow(ctx, query).Scan(&bytes)
	return bytes, err
}
