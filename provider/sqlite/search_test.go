package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/pawlrun/pawl/provider"
)

// TestSearchReadsIndexes looks at the plan of a listing by values: it begins with the index of values, in its order, and
// whatever else it reads it finds by key.
func TestSearchReadsIndexes(t *testing.T) {
	p, err := Open(t.Context(), Memory, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	values := []provider.Value{{Key: "a", Data: []byte(`1`)}, {Key: "b", Data: []byte(`2`)}}
	query, a := byValues(values, false, args{int64(1 << 62), nil, "", "", 10})
	plan := func(query string, a args) (steps []string) {
		_, err := p.writer.do(context.Background(), inspect, func(tx *tx) {
			tx.each("EXPLAIN QUERY PLAN "+query, a, func(rows *sql.Rows) error {
				var id, parent, unused int
				var step string
				err := rows.Scan(&id, &parent, &unused, &step)
				steps = append(steps, step)
				return err
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		return steps
	}
	steps := plan(query, a)
	if !strings.Contains(steps[0], "instance_value_found (key=? AND data=? AND iid<?)") {
		t.Errorf("the listing begins with %s", steps[0])
	}
	steps = append(steps, plan(countOfValue, args{0, "a", "1"})...)
	for _, step := range steps {
		if strings.HasPrefix(step, "SCAN i") || strings.Contains(step, "TEMP B-TREE") {
			t.Errorf("the listing does: %s", step)
		}
	}
}
