package sqlite_test

import (
	"testing"

	"github.com/pawlrun/pawl/provider"
)

const oneEvent = `[{"type":"ExecutionStarted","name":"flow"}]`

// class registers the class that the tests of this package use.
func class(t testing.TB, p provider.Provider) provider.ClassID {
	t.Helper()
	ids, err := p.RegisterClasses(t.Context(), []provider.Class{{Kind: provider.ClassOrchestration, Name: "flow"}})
	if err != nil {
		t.Fatal(err)
	}
	return ids[0]
}

func start(t testing.TB, p provider.Provider, id string) provider.Ref {
	t.Helper()
	reply, err := p.StartOrchestrations(t.Context(), &provider.StartRequest{Items: []provider.StartItem{{
		NewInstance: provider.NewInstance{
			InstanceID: id, ExecutionID: provider.NewExecutionID(), Class: class(t, p), Events: []byte(oneEvent),
		}}}})
	if err != nil {
		t.Fatal(err)
	}
	return reply.Results[0].Ref
}

// fetch leases what is ready.
func fetch(t testing.TB, p provider.Provider, worker provider.WorkerID) []provider.OrchestrationItem {
	t.Helper()
	items, err := p.FetchOrchestrationItems(t.Context(), &provider.FetchRequest{
		Worker: worker, Request: provider.NewToken(), Classes: []provider.ClassID{class(t, p)}, Max: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// commit acks a turn of a granted instance.
func commit(t testing.TB, p provider.Provider, worker provider.WorkerID, item *provider.OrchestrationItem,
	edit func(*provider.AckItem)) provider.AckResult {
	t.Helper()
	ack := provider.AckItem{
		Ref: item.Ref, Execution: item.Execution, Seq: item.NextSeq, Token: item.Token,
		Commit: provider.Commit{Request: provider.NewToken(), Events: []byte(`[{"type":"TurnStarted"}]`), EventCount: 1},
	}
	if edit != nil {
		edit(&ack)
	}
	reply, err := p.AckOrchestrationItems(t.Context(), &provider.AckRequest{Worker: worker, Items: []provider.AckItem{ack}})
	if err != nil {
		t.Fatal(err)
	}
	item.NextSeq += ack.EventCount
	item.Token = ack.Request
	return reply.Results[0]
}
