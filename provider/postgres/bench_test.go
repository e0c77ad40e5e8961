package postgres_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

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
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(b.Context(), "create table raw (id bigint primary key, body json)"); err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		if _, err := conn.Exec(b.Context(), "insert into raw values ($1, $2)", i, string(benchEvents)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHello is a workflow of one activity where it was started: an eager start and an ack.
func BenchmarkHello(b *testing.B) {
	for _, batch := range []int{1, 8, 32, 128} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			p, _, flow, job := benchStore(b)
			worker := provider.NewWorkerID()
			for b.Loop() {
				hello(b, p, worker, flow, job, batch, 0)
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
			hello(b, p, provider.NewWorkerID(), flow, job, batch, b.N)
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*batch), "µs/step")
		})
	}
}

// hello runs a batch of workflows with one activity and further steps of one each.
func hello(b *testing.B, p *postgres.Provider, worker provider.WorkerID, flow, job provider.ClassID, batch, steps int) {
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
			Commit:   provider.Commit{Request: provider.NewToken(), Events: benchEvents, EventCount: 2, Status: provider.StatusCompleted},
		})
	}
	if steps > 0 {
		b.ResetTimer()
	}
	for step := range steps {
		for i := range ack.Items {
			item := &ack.Items[i]
			item.Commit = provider.Commit{Request: provider.NewToken(), Events: benchEvents, EventCount: 2, Keep: true,
				Work: []provider.NewWork{{Event: item.Seq + 1, Class: job, Input: []byte(`"world"`), Lease: true}}}
		}
		acked, err := p.AckOrchestrationItems(b.Context(), ack)
		if err != nil {
			b.Fatal(err)
		}
		for i := range ack.Items {
			if acked.Results[i].Status != provider.Applied {
				b.Fatal(step, acked.Results[i].Status)
			}
			item := &ack.Items[i]
			item.Finished = []provider.FinishedWork{{Event: item.Seq + 1, Token: item.Request}}
			item.Token = item.Request
			item.Seq += 2
		}
	}
	if steps > 0 {
		return
	}
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
