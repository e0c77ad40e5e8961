package sqlite

import (
	"testing"

	"github.com/pawlrun/pawl/provider"
)

// TestPlainCallsRunNoRareStatements checks that calls which use none of the rare effects don't pay for them with a
// statement.
func TestPlainCallsRunNoRareStatements(t *testing.T) {
	p, err := Open(t.Context(), Memory, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	const worker = 1
	events := []byte(`[{"type":"Test"}]`)
	start, err := p.StartOrchestrations(t.Context(), &provider.StartRequest{Worker: worker, Items: []provider.StartItem{{
		NewInstance: provider.NewInstance{InstanceID: "x", ExecutionID: provider.NewExecutionID(), Class: 1, Watch: true},
		First: &provider.Commit{Request: 1, Events: events, EventCount: 1, Waits: []string{"go"},
			Work: []provider.NewWork{{Event: 1, Class: 2}}, Timers: []provider.NewTimer{{Event: 2}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Pulse(t.Context(), &provider.PulseRequest{Worker: worker, Join: true}); err != nil {
		t.Fatal(err)
	}
	items, err := p.FetchOrchestrationItems(t.Context(), &provider.FetchRequest{
		Worker: worker, Request: 2, Classes: []provider.ClassID{1}, Max: 1, Timers: true})
	if err != nil || len(items) != 1 {
		t.Fatal(items, err)
	}
	work, err := p.FetchWorkItems(t.Context(), &provider.FetchWorkRequest{
		Worker: worker, Request: 3, Classes: []provider.ClassID{2}, Max: 1})
	if err != nil || len(work.Work) != 1 {
		t.Fatal(work, err)
	}
	ack, err := p.AckOrchestrationItems(t.Context(), &provider.AckRequest{Worker: worker, Items: []provider.AckItem{{
		Ref: start.Results[0].Ref, Execution: 1, Seq: 1, Token: 2, Finished: []provider.FinishedWork{{Event: 1, Token: 3}},
		Commit: provider.Commit{Request: 4, Events: events, EventCount: 1, Status: provider.StatusCompleted},
	}}})
	if err != nil || ack.Results[0].Status != provider.Applied {
		t.Fatal(ack, err)
	}
	_, err = p.writer.do(t.Context(), inspect, func(tx *tx) {
		for _, rare := range []string{setStatus, putValue, removeValue, nextRow, detachChildren, deleteValues, deleteAllWork,
			deleteTimers, ungrantedWork, workHeld, setHeldState, handOverWork, countFenced, endInstance, parentOf} {
			if tx.w.statements[rare] != nil {
				t.Errorf("it was needed: %s", rare)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestClientStartsWithMessages checks that an instance whose first turn a client has run, which cannot hold it, is ready
// at once for the messages it was started with and for those it has sent to itself.
func TestClientStartsWithMessages(t *testing.T) {
	for name, edit := range map[string]func(*provider.StartItem, provider.NewMessage){
		"from the start": func(s *provider.StartItem, m provider.NewMessage) { s.Messages = []provider.NewMessage{m} },
		"from itself":    func(s *provider.StartItem, m provider.NewMessage) { s.First.Messages = []provider.NewMessage{m} },
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Open(t.Context(), Memory, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			item := provider.StartItem{
				NewInstance: provider.NewInstance{InstanceID: "x", ExecutionID: provider.NewExecutionID(), Class: 1},
				First:       &provider.Commit{Request: 1, Events: []byte(`[{}]`), EventCount: 1, Waits: []string{"go"}},
			}
			edit(&item, provider.NewMessage{Target: "x", Kind: provider.MessageExternalEvent, Name: "go", ID: "m"})
			reply, err := p.StartOrchestrations(t.Context(), &provider.StartRequest{Items: []provider.StartItem{item}})
			if err != nil || reply.Results[0].Status != provider.Applied || len(reply.Results[0].Messages) != 0 {
				t.Fatal(reply, err)
			}
			items, err := p.FetchOrchestrationItems(t.Context(), &provider.FetchRequest{
				Worker: 1, Request: 2, Classes: []provider.ClassID{1}, Max: 1})
			if err != nil || len(items) != 1 || len(items[0].Messages) != 1 {
				t.Error(items, err)
			}
		})
	}
}
