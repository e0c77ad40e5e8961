package postgres_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/provider"
)

var sqlBlock = regexp.MustCompile("(?s)```sql\n(.*?)```")

// TestSQLDocument runs the statements of docs/sql.md, in order, and looks at what they leave.
func TestSQLDocument(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "sql.md"))
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, schemaName(t), nil)
	conn := s.connect()
	blocks := sqlBlock.FindAllStringSubmatch(string(doc), -1)
	if len(blocks) < 6 {
		t.Errorf("%d blocks of SQL in the document", len(blocks))
	}
	for _, block := range blocks {
		sql := strings.ReplaceAll(block[1], "pawl.", pgx.Identifier{s.schema}.Sanitize()+".")
		if _, err := conn.PgConn().Exec(s.ctx, sql).ReadAll(); err != nil {
			t.Errorf("%v:\n%s", err, sql)
		}
	}
	for id, want := range map[string]provider.InstanceStatus{"order-17": provider.StatusTerminated, "order-18": provider.StatusRunning} {
		if st := s.state(id); st.Status != want || st.Name != "FulfilOrder" {
			t.Errorf("%s: %+v, want it %v", id, st, want)
		}
	}
	for view, columns := range map[string]int{"instances": 16, "history_events": 5, "work_queue": 13, "instance_values": 4, "workers": 8} {
		rows, err := conn.Query(s.ctx, "select * from "+view)
		if err != nil {
			t.Fatal(err)
		}
		rows.Close()
		for _, f := range rows.FieldDescriptions() {
			if !strings.Contains(string(doc), "`"+f.Name+"`") {
				t.Errorf("the document does not name column %s of %s", f.Name, view)
			}
		}
		if n := len(rows.FieldDescriptions()); n != columns {
			t.Errorf("%s has %d columns, the document says %d", view, n, columns)
		}
	}
}

// TestSQLArguments checks what the functions for users refuse.
func TestSQLArguments(t *testing.T) {
	s := open(t, schemaName(t), nil)
	s.start("a")
	conn := s.connect()
	long := strings.Repeat("ü", 128)
	for _, c := range []struct {
		sql  string
		args []any
		want string
	}{
		{`select start_orchestration($1)`, []any{nil}, "22023"},
		{`select start_orchestration($1)`, []any{long}, "22023"},
		{`select start_orchestration('Flow', null, $1)`, []any{""}, "22023"},
		{`select start_orchestration('Flow', null, $1)`, []any{long}, "22023"},
		{`select start_orchestration('Flow', null, $1)`, []any{"a"}, "23505"},
		{`select start_orchestration('Flow', null, $1)`, []any{long[:254]}, ""},
		{`select start_orchestration('Flow', priority => 'urgent')`, nil, "22023"},
		{`select start_orchestration('Flow', priority => '')`, nil, "22023"},
		{`select start_orchestration('Flow', priority => 'High')`, nil, "22023"},
		{`select start_orchestration('Flow', priority => 'lowest')`, nil, ""},
		{`select start_orchestration('Flow', priority => null)`, nil, ""},
		{`select raise_event('a', $1)`, []any{""}, "22023"},
		{`select raise_event('a', $1)`, []any{long}, "22023"},
		{`select raise_event('a', $1)`, []any{"pawl:query"}, "22023"},
		{`select raise_event('a', 'x', null, $1)`, []any{long}, "22023"},
		{`select raise_event('a', $1)`, []any{long[:254]}, ""},
	} {
		if _, err := conn.Exec(s.ctx, c.sql, c.args...); sqlState(err) != c.want || c.want == "" && err != nil {
			t.Errorf("%s with %.40q: %v, want SQLSTATE %q", c.sql, c.args, err, c.want)
		}
	}
}
