package sqlite

import (
	"testing"

	"github.com/pawlrun/pawl/provider"
)

// TestReplacedInstanceLeavesNothing checks that no row of an instance stays when another takes its place, that its row
// number is not used again though it was the highest, and that a child that runs on is not taken for one of the new one.
func TestReplacedInstanceLeavesNothing(t *testing.T) {
	p, err := Open(t.Context(), Memory, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	event := []byte(`[{"type":"Test"}]`)
	begin := func(id string, edit func(*provider.StartItem)) provider.Ref {
		item := provider.StartItem{NewInstance: provider.NewInstance{InstanceID: id, ExecutionID: provider.NewExecutionID(),
			Class: 1, Events: event}}
		edit(&item)
		reply, err := p.StartOrchestrations(t.Context(), &provider.StartRequest{Items: []provider.StartItem{item}})
		if err != nil || reply.Results[0].Status != provider.Applied {
			t.Fatal(reply, err)
		}
		return reply.Results[0].Ref
	}
	begin("child", func(s *provider.StartItem) { s.Parent = &provider.Parent{InstanceID: "x", Execution: 1, Event: 1} })
	old := begin("x", func(s *provider.StartItem) {
		s.First = &provider.Commit{Request: 1, Events: event, EventCount: 1, Status: provider.StatusCompleted,
			Work:   []provider.NewWork{{Event: 2, Class: 2}},
			Timers: []provider.NewTimer{{Event: 3}},
			Values: []provider.Value{{Key: "k", Data: []byte(`1`)}}}
	})
	replacing := begin("x", func(s *provider.StartItem) {
		s.ReplaceEnded = true
		s.Messages = []provider.NewMessage{{Kind: provider.MessageExternalEvent, Name: "n", ID: "m"}}
	})
	if replacing.Row <= old.Row {
		t.Errorf("row %d was replaced by row %d", old.Row, replacing.Row)
	}
	var rows string
	err = p.read(t.Context(), "test", 1, `SELECT (SELECT group_concat(id) FROM instance) || '/' ||
	(SELECT group_concat(iid) FROM history) || '/' || (SELECT count(*) FROM instance_value) || '/' ||
	(SELECT count(*) FROM work) || '/' || (SELECT count(*) FROM timer) || '/' || (SELECT group_concat(iid) FROM inbox)`,
		nil, scanInto(&rows))
	if err != nil || rows != "1,3/1,3/0/0/0/3" {
		t.Errorf("%q is left over, %v", rows, err)
	}
	end := provider.Termination{Events: event, Children: true}
	end.InstanceID = "x"
	if _, err := p.TerminateInstances(t.Context(), []provider.Termination{end}); err != nil {
		t.Fatal(err)
	}
	states, err := p.ReadInstances(t.Context(), []string{"child"}, false)
	if err != nil || len(states) != 1 || states[0].Status != provider.StatusRunning || states[0].ParentID != "" {
		t.Errorf("the child is %+v, %v", states, err)
	}
}
