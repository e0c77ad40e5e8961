package postgres_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
)

var nodeRows = regexp.MustCompile(`\(actual rows=(\d+) loops=(\d+)\)`)

var removedRows = regexp.MustCompile(`Rows Removed by [A-Za-z ]+: (\d+)`)

// rowsIn adds up the rows that the nodes of all plans in a log have produced or thrown away.
func rowsIn(log []byte) (rows int) {
	for _, m := range nodeRows.FindAllSubmatch(log, -1) {
		n, _ := strconv.Atoi(string(m[1]))
		loops, _ := strconv.Atoi(string(m[2]))
		rows += max(n, 1) * loops
	}
	for _, m := range removedRows.FindAllSubmatch(log, -1) {
		n, _ := strconv.Atoi(string(m[1]))
		rows += n
	}
	return rows
}

// TestTerminationIsLinear counts the rows that the statements of a termination go through, with few and with four times as
// many children: ended by their parent, and named one by one.
func TestTerminationIsLinear(t *testing.T) {
	server := pgtest.Own(t, "session_preload_libraries=auto_explain", "auto_explain.log_min_duration=0",
		"auto_explain.log_nested_statements=on", "auto_explain.log_analyze=on", "auto_explain.log_timing=off")
	p, err := postgres.Open(t.Context(), pgtest.WithSchema(server.URL, "family"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ids, err := p.RegisterClasses(t.Context(), []provider.Class{{Kind: provider.ClassOrchestration, Name: "Flow"}, {Kind: provider.ClassActivity, Name: "job"}})
	if err != nil {
		t.Fatal(err)
	}
	s := &store{Provider: p, TB: t, ctx: t.Context(), schema: "family", flow: ids[0], job: ids[1]}
	rows := func(size int, named bool) int {
		parent := fmt.Sprint(size, named)
		var children []string
		items := []provider.Termination{{InstanceID: parent, Events: []byte(`[{}]`), Children: true}}
		for n := range size {
			children = append(children, fmt.Sprint(parent, n))
		}
		s.family(provider.NewWorkerID(), parent, children...)
		if named {
			items = nil
			for _, id := range children {
				items = append(items, provider.Termination{InstanceID: id, Events: []byte(`[{}]`), Answer: []byte(`{}`)})
			}
		}
		before, err := os.ReadFile(server.LogFile)
		if err != nil {
			t.Fatal(err)
		}
		statuses, err := s.TerminateInstances(s.ctx, items)
		if err != nil || slices.ContainsFunc(statuses, func(st provider.ItemStatus) bool { return st != provider.Applied }) {
			t.Fatal(statuses, err)
		}
		log, err := os.ReadFile(server.LogFile)
		if err != nil {
			t.Fatal(err)
		}
		return rowsIn(log[len(before):])
	}
	for _, named := range []bool{false, true} {
		rows(100, named)
		few, many := rows(101, named), rows(404, named)
		t.Logf("named %t: 101 children %d rows, 404 children %d", named, few, many)
		if few < 101 || many > 5*few {
			t.Errorf("named %t: 101 children %d rows, 404 children %d", named, few, many)
		}
	}
}

// TestTerminateFindsNothingLeft has the family that a termination is about to lock grow once and be gone at the second try:
// that is no failure.
func TestTerminateFindsNothingLeft(t *testing.T) {
	s := open(t, schemaName(t), nil)
	s.start("a", "b")
	for _, sql := range []string{
		`create sequence look`,
		`create or replace function family_v1(p_part smallint[], p_id text[], p_children boolean[])
			returns table (part smallint, iid bigint, item int) language plpgsql as $$
			declare
			  known text[] := case nextval('look') when 1 then '{a}' when 2 then '{a,b}' else '{}' end;
			begin
			  return query select i.part, i.iid, 1 from instance i where i.instance_id = any (known);
			end $$`,
	} {
		if _, err := s.connect().Exec(s.ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	statuses, err := s.TerminateInstances(s.ctx, []provider.Termination{{InstanceID: "a", Events: []byte(`[{}]`), Children: true}})
	if err != nil || len(statuses) != 1 || statuses[0] != provider.Gone {
		t.Errorf("%v, %v", statuses, err)
	}
	var looks int
	if err := s.connect().QueryRow(s.ctx, `select last_value from look`).Scan(&looks); err != nil || looks != 3 {
		t.Errorf("the family was read %d times, want 3, %v", looks, err)
	}
}
