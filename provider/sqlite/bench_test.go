package sqlite_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// BenchmarkRawCommit is the yardstick: one row of 200 bytes, one durable commit.
func BenchmarkRawCommit(b *testing.B) {
	path := filepath.Join(b.TempDir(), "raw.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_journal_mode=WAL&_synchronous=FULL")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)"); err != nil {
		b.Fatal(err)
	}
	insert, err := db.Prepare("INSERT INTO t (v) VALUES (?)")
	if err != nil {
		b.Fatal(err)
	}
	row := strings.Repeat("x", 200)
	for b.Loop() {
		if _, err := insert.Exec(row); err != nil {
			b.Fatal(err)
		}
	}
}

// hello starts an instance with its first turn and a leased activity, and commits the result: the two durable calls of
// the shortest workflow.
func hello(b *testing.B, p provider.Provider, worker provider.WorkerID, flow provider.ClassID, id string) {
	events := []byte(`[{"type":"ExecutionStarted","name":"flow","input":{"json":"Ada"}},{"type":"ActivityScheduled","name":"greet","input":{"json":"Ada"}}]`)
	first := provider.Commit{Request: provider.NewToken(), Events: events, EventCount: 2, Keep: true,
		Work: []provider.NewWork{{Event: 1, Class: flow, Input: []byte(`{"json":"Ada"}`), Lease: true}}}
	reply, err := p.StartOrchestrations(b.Context(), &provider.StartRequest{Worker: worker, Items: []provider.StartItem{{
		NewInstance: provider.NewInstance{InstanceID: id, ExecutionID: provider.NewExecutionID(), Class: flow},
		First:       &first,
	}}})
	if err != nil {
		b.Fatal(err)
	}
	_, err = p.AckOrchestrationItems(b.Context(), &provider.AckRequest{Worker: worker, Items: []provider.AckItem{{
		Ref: reply.Results[0].Ref, Execution: 1, Seq: 2, Token: first.Request,
		Finished: []provider.FinishedWork{{Event: 1, Token: first.Request}},
		Commit: provider.Commit{Request: provider.NewToken(), EventCount: 3, Status: provider.StatusCompleted,
			Events: []byte(`[{"type":"TurnStarted"},{"type":"ActivityCompleted","scheduled":1},{"type":"ExecutionCompleted","result":{"json":"Hello, Ada!"}}]`)},
	}}})
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkStartAck(b *testing.B) {
	p := open(b, filepath.Join(b.TempDir(), "pawl.db"), nil)
	defer p.Close()
	worker, flow := provider.NewWorkerID(), class(b, p)
	n := 0
	for b.Loop() {
		hello(b, p, worker, flow, fmt.Sprint("instance-", n))
		n++
	}
}

func BenchmarkStartAckMemory(b *testing.B) {
	p := open(b, sqlite.Memory, nil)
	defer p.Close()
	worker, flow := provider.NewWorkerID(), class(b, p)
	n := 0
	for b.Loop() {
		hello(b, p, worker, flow, fmt.Sprint("instance-", n))
		n++
	}
}

// BenchmarkStartAck16 is the same from 16 callers at once, who share commits.
func BenchmarkStartAck16(b *testing.B) {
	p := open(b, filepath.Join(b.TempDir(), "pawl.db"), nil)
	defer p.Close()
	worker, flow := provider.NewWorkerID(), class(b, p)
	var n atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			hello(b, p, worker, flow, fmt.Sprint("instance-", n.Add(1)))
		}
	})
}
