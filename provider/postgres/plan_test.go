package postgres_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider/postgres"
)

// TestPlans looks at the plan of every statement that the functions run, made while all tables are as good as empty and
// freshly vacuumed. None may walk through a table or a whole index: sessions keep such a plan when the tables have grown.
func TestPlans(t *testing.T) {
	server := pgtest.Own(t, "session_preload_libraries=auto_explain", "auto_explain.log_min_duration=0",
		"auto_explain.log_nested_statements=on")
	p, err := postgres.Open(t.Context(), pgtest.WithSchema(server.URL, "plans"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	conn, err := pgx.Connect(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, table := range []string{"instance", "history", "work", "inbox", "hint", "timer", "value"} {
		if _, err := conn.Exec(t.Context(), "vacuum analyze plans."+table); err != nil {
			t.Fatal(err)
		}
	}
	callEach(t, p)
	callEach(t, p)
	log, err := os.ReadFile(server.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	plans := 0
	for _, entry := range regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d `).Split(string(log), -1) {
		_, plan, ok := strings.Cut(entry, "Query Text: ")
		if !ok || strings.Contains(plan, "ballast") {
			continue
		}
		plans++
		if walk := walkIn(plan); walk != "" {
			t.Errorf("%s in\n%s", walk, plan)
		}
	}
	if !strings.Contains(string(log), "using value_found on value") {
		t.Error("no listing by values has read its index")
	}
	if plans < 50 {
		t.Errorf("saw %d plans only: %s", plans, log)
	}
}

var scan = regexp.MustCompile(`(Seq Scan|Index Scan|Index Only Scan)(?: Backward)?(?: using (\w+))? on (\w+)`)

// walkIn returns the line of a plan that reads more of a large table than it needs.
func walkIn(plan string) string {
	lines := strings.Split(plan, "\n")
	for i, line := range lines {
		m := scan.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		switch m[3] {
		case "instance", "history", "work", "inbox", "hint", "timer", "value":
		default:
			continue
		}
		condition := ""
		if i+1 < len(lines) && strings.Contains(lines[i+1], "Index Cond:") {
			condition = lines[i+1]
		}
		key := map[string]string{"instance_pkey": "iid", "instance_part_instance_id_key": "instance_id", "instance_held": "owner", "work_held": "owner",
			"work_home": "home", "instance_child": "parent_id", "value_pkey": "iid", "value_found": "found"}[m[2]]
		if condition == "" || !strings.Contains(condition, key) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
