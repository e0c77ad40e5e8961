package postgres_test

import (
	"fmt"
	"testing"

	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
)

// benchStore opens a store on a server of its own that flushes every commit, with classes for one orchestration and
// one activity.
func benchStore(b *testing.B) (p *postgres.Provider, dsn string, flow, job provider.ClassID) {
	b.Helper()
	server, err := pgtest.Start(b.Context(), pgtest.Durable())
	if err != nil {
		b.Skip(err)
	}
	b.Cleanup(server.Stop)
	dsn = pgtest.WithSchema(server.URL, "bench")
	p, err = postgres.Open(b.Context(), dsn, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Close() })
	ids, err := p.RegisterClasses(b.Context(), []provider.Class{
		{Kind: provider.ClassOrchestration, Name: "Flow"}, {Kind: provider.ClassActivity, Name: "Job"},
	})
	if err != nil {
		b.Fatal(err)
	}
	return p, server.URL, ids[0], ids[1]
}

var benchEvents = []byte(`[{"type":"ExecutionStarted","name":"Flow","executionId":"00","at":"2026-01-01T00:00:00Z"},` +
	`{"type":"ActivityScheduled","name":"Job","input":{"json":"` + fmt.Sprintf("%0200d", 1) + `"}}]`)

// BenchmarkRawCommit is the floor: one row inserted and committed.
func BenchmarkRawCommit(b *testing.B) {
	_, url, _, _ := benchStore(b)
	conn := connectRaw(b, url)
	for i := 0; b.Loop(); i++ {
		insertRaw(b, conn, i)
	}
}

// BenchmarkHello is a workflow of one activity where it was started: an eager start and an ack.
func BenchmarkHello(b *testing.B) {
	for _, batch := range []int{1, 8, 32, 128} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			p, _, flow, job := benchStore(b)
			worker := provider.NewWorkerID()
			for b.Loop() {
				endHello(b, p, startHello(b, p, worker, flow, job, batch))
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*batch), "µs/workflow")
		})
	}
}

// BenchmarkStep is one further activity in a held instance: one ack.
func BenchmarkStep(b *testing.B) {
	for _, batch := range []int{1, 32} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			p, _, flow, job := benchStore(b)
			ack := startHello(b, p, provider.NewWorkerID(), flow, job, batch)
			for b.Loop() {
				takeStep(b, p, ack, job)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*batch), "µs/step")
		})
	}
}

// startHello starts a batch of workflows that have one activity leased, and returns the ack to go on with.
func startHello(b *testing.B, p *postgres.Provider, worker provider.WorkerID, flow, job provider.ClassID, batch int) *provider.AckRequest {
	b.Helper()
	start := &provider.StartRequest{Worker: worker}
	for range batch {
		start.Items = append(start.Items, provider.StartItem{
			NewInstance: provider.NewInstance{InstanceID: fmt.Sprint("hello-", provider.NewToken()), ExecutionID: provider.NewExecutionID(), Class: flow},
			First: &provider.Commit{Request: provider.NewToken(), Events: benchEvents, EventCount: 2, Keep: true,
				Work: []provider.NewWork{{Event: 1, Class: job, Input: []byte(`"world"`), Lease: true}}},
		})
	}
	started, err := p.StartOrchestrations(b.Context(), start)
	if err != nil {
		b.Fatal(err)
	}
	ack := &provider.AckRequest{Worker: worker}
	for i := range start.Items {
		first := start.Items[i].First
		ack.Items = append(ack.Items, provider.AckItem{
			Ref: started.Results[i].Ref, Execution: 1, Seq: 2, Token: first.Request,
			Finished: []provider.FinishedWork{{Event: 1, Token: first.Request}},
		})
	}
	return ack
}

// takeStep commits a turn of each instance that finishes its activity and schedules the next.
func takeStep(b *testing.B, p *postgres.Provider, ack *provider.AckRequest, job provider.ClassID) {
	b.Helper()
	for i := range ack.Items {
		item := &ack.Items[i]
		item.Commit = provider.Commit{Request: provider.NewToken(), Events: benchEvents, EventCount: 2, Keep: true,
			Work: []provider.NewWork{{Event: item.Seq + 1, Class: job, Input: []byte(`"world"`), Lease: true}}}
	}
	commit(b, p, ack)
	for i := range ack.Items {
		item := &ack.Items[i]
		item.Finished = []provider.FinishedWork{{Event: item.Seq + 1, Token: item.Request}}
		item.Token = item.Request
		item.Seq += 2
	}
}

// endHello commits the last turn of each instance.
func endHello(b *testing.B, p *postgres.Provider, ack *provider.AckRequest) {
	b.Helper()
	for i := range ack.Items {
		ack.Items[i].Commit = provider.Commit{Request: provider.NewToken(), Events: benchEvents, EventCount: 2, Status: provider.StatusCompleted}
	}
	commit(b, p, ack)
}

func commit(b *testing.B, p *postgres.Provider, ack *provider.AckRequest) {
	b.Helper()
	acked, err := p.AckOrchestrationItems(b.Context(), ack)
	if err != nil {
		b.Fatal(err)
	}
	for i := range acked.Results {
		if acked.Results[i].Status != provider.Applied {
			b.Fatal(acked.Results[i].Status)
		}
	}
}
