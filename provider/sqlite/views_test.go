package sqlite

import (
	"database/sql"
	"testing"

	"github.com/pawlrun/pawl/provider"
)

// scanInto returns a scan function for one row.
func scanInto(dest ...any) func(*sql.Rows) error {
	return func(rows *sql.Rows) error { return rows.Scan(dest...) }
}

// TestViews checks what a person with the sqlite3 shell sees.
func TestViews(t *testing.T) {
	p, err := Open(t.Context(), Memory, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	classes, err := p.RegisterClasses(t.Context(), []provider.Class{{Kind: provider.ClassOrchestration, Name: "flow"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.StartOrchestrations(t.Context(), &provider.StartRequest{Items: []provider.StartItem{{
		NewInstance: provider.NewInstance{InstanceID: "x", ExecutionID: provider.NewExecutionID(), Class: classes[0]},
		First: &provider.Commit{Request: 1, EventCount: 2, Status: provider.StatusCompleted,
			Events: []byte(`[{"type":"ExecutionStarted","name":"flow\u0000"},{"type":"ExecutionCompleted"}]`)},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	var orchestration, status, ended string
	err = p.read(t.Context(), "test", 1, `SELECT orchestration, status, ended_at FROM instances WHERE instance_id = 'x'`,
		nil, scanInto(&orchestration, &status, &ended))
	if err != nil || orchestration != "flow" || status != "completed" || ended == "" {
		t.Error(orchestration, status, ended, err)
	}
	_, err = p.StartOrchestrations(t.Context(), &provider.StartRequest{Items: []provider.StartItem{{
		NewInstance: provider.NewInstance{InstanceID: "y", ExecutionID: provider.NewExecutionID(), Class: classes[0]},
		First: &provider.Commit{Request: 2, EventCount: 1, Status: provider.StatusCancelled,
			Events: []byte(`[{"type":"ExecutionStarted"}]`), CustomStatus: []byte(`"stopping"`)},
	}, {
		NewInstance: provider.NewInstance{InstanceID: "z", ExecutionID: provider.NewExecutionID(), Class: classes[0],
			Events: []byte(`[{"type":"ExecutionStarted"}]`)},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.TerminateInstances(t.Context(), []provider.Termination{{InstanceID: "z", Events: []byte(`[{"type":"End"}]`)}})
	if err != nil {
		t.Fatal(err)
	}
	var ends string
	err = p.read(t.Context(), "test", 1, `SELECT group_concat(status || ' ' || coalesce(custom_status, '-'), ', ' ORDER BY instance_id)
  FROM instances`, nil, scanInto(&ends))
	if err != nil || ends != `completed -, cancelled "stopping", terminated -` {
		t.Error(ends, err)
	}
	jobs, err := p.RegisterClasses(t.Context(), []provider.Class{{Kind: provider.ClassActivity, Name: "job", Tag: "gpu"},
		{Kind: provider.ClassOrchestration, Name: "flow", Version: "1.2.0"}, {Kind: provider.ClassActivity, Name: "job", Tag: "gpu", Priority: 2},
		{Kind: provider.ClassActivity, Name: "job", Tag: "gpu", Priority: -1}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Pulse(t.Context(), &provider.PulseRequest{Worker: 7, Join: true, Name: "host:1", Serves: append(jobs, classes...)})
	if err != nil {
		t.Fatal(err)
	}
	var serves string
	err = p.read(t.Context(), "test", 1, `SELECT name || ' ' || instances_held || ' ' || serves FROM workers WHERE beat_at > '2000'`, nil, scanInto(&serves))
	if err != nil || serves != `host:1 0 ["flow","flow 1.2.0","job #gpu +2","job #gpu","job #gpu -1"]` {
		t.Error(serves, err)
	}
	var types string
	err = p.read(t.Context(), "test", 1,
		`SELECT group_concat(event || ' ' || type) FROM history_events WHERE instance_id = 'x'`, nil, scanInto(&types))
	if err != nil || types != "0 ExecutionStarted,1 ExecutionCompleted" {
		t.Error(types, err)
	}
}
