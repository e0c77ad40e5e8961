package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
)

// BenchmarkChurn runs workflows of one activity with the roles split: a client starts them, one process takes all turns
// and another runs all activities, woken by notifications. It does so in two databases of one server by turns, so that
// whatever else the machine does meets them alike; in one of them another session holds a snapshot open all the time.
// PAWL_CHURN says how long each of them is to run (10s).
func BenchmarkChurn(b *testing.B) {
	total := 10 * time.Second
	if s := os.Getenv("PAWL_CHURN"); s != "" {
		var err error
		if total, err = time.ParseDuration(s); err != nil {
			b.Fatal(err)
		}
	}
	server, err := pgtest.Start(b.Context(), pgtest.Durable())
	if err != nil {
		b.Skip(err)
	}
	b.Cleanup(server.Stop)
	conn := connectRaw(b, server.URL)
	if _, err := conn.Exec(b.Context(), "create database held"); err != nil {
		b.Fatal(err)
	}
	heldURL := strings.Replace(server.URL, "/postgres?", "/held?", 1)
	normal, held := startChurn(b, pgtest.WithSchema(server.URL, "churn"), 64), startChurn(b, pgtest.WithSchema(heldURL, "churn"), 64)
	holder := connectRaw(b, heldURL)
	if _, err := holder.Exec(b.Context(), "begin isolation level repeatable read; select 1"); err != nil {
		b.Fatal(err)
	}
	slice := max(total/100, 2*time.Second)
	var sums [2]churnRate
	slices := 0
	for ran := time.Duration(0); ran < total; ran += slice {
		rates := [2]churnRate{normal.rate(b, conn, slice), held.rate(b, conn, slice)}
		slices++
		for i, r := range rates {
			sums[i].perSecond += r.perSecond
			sums[i].serverCPU += r.serverCPU
			sums[i].wal += r.wal
		}
		b.Logf("after %v: normal %v; held %v; ratio %.2f, by CPU %.2f", ran+slice, rates[0], rates[1],
			rates[1].perSecond/rates[0].perSecond, rates[0].serverCPU/rates[1].serverCPU)
	}
	n := float64(slices)
	b.ReportMetric(sums[0].perSecond/n, "normal/s")
	b.ReportMetric(sums[1].perSecond/n, "held/s")
	b.ReportMetric(sums[1].perSecond/sums[0].perSecond, "held/normal")
	b.ReportMetric(sums[0].serverCPU/n, "normal-µs")
	b.ReportMetric(sums[1].serverCPU/n, "held-µs")
	b.ReportMetric(0, "ns/op")
	normal.stop()
	held.stop()
}

// churn is a client and two processes with one role each.
type churn struct {
	testing.TB
	cancel    context.CancelFunc
	tasks     sync.WaitGroup
	client    *role
	flow, job provider.ClassID
	slots     chan struct{} // one for each workflow in flight
	ended     atomic.Int64
}

// role is one process of a churn.
type role struct {
	*postgres.Provider
	worker provider.WorkerID
	wake   chan struct{}
}

func startChurn(t testing.TB, dsn string, inFlight int) *churn {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	c := &churn{TB: t, cancel: cancel, slots: make(chan struct{}, inFlight)}
	client := c.role(ctx, dsn)
	ids, err := client.RegisterClasses(ctx, []provider.Class{
		{Kind: provider.ClassOrchestration, Name: "Flow"}, {Kind: provider.ClassActivity, Name: "Job"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.flow, c.job = ids[0], ids[1]
	turns, jobs := c.role(ctx, dsn), c.role(ctx, dsn)
	for _, r := range []*role{turns, jobs} {
		c.pulse(ctx, r, true)
		c.tasks.Go(func() {
			r.Listen(ctx, r.worker, func(provider.Notification) { r.kick() })
		})
		c.tasks.Go(func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					c.pulse(ctx, r, false)
				}
			}
		})
	}
	c.tasks.Go(func() { c.run(ctx, turns, c.turns) })
	c.tasks.Go(func() { c.run(ctx, jobs, c.jobs) })
	c.client = client
	return c
}

func (c *churn) stop() {
	c.cancel()
	c.tasks.Wait()
}

func (c *churn) role(ctx context.Context, dsn string) *role {
	p, err := postgres.Open(ctx, dsn, nil)
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { p.Close() })
	return &role{Provider: p, worker: provider.NewWorkerID(), wake: make(chan struct{}, 1)}
}

func (r *role) kick() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (c *churn) failed(ctx context.Context, err error) bool {
	if err != nil && ctx.Err() == nil {
		c.Error(err)
	}
	return err != nil
}

func (c *churn) pulse(ctx context.Context, r *role, join bool) {
	reply, err := r.Pulse(ctx, &provider.PulseRequest{Worker: r.worker, Join: join, TTL: time.Second,
		Classes: []provider.ClassID{c.flow}, WorkClasses: []provider.ClassID{c.job}})
	if !c.failed(ctx, err) && (reply.OrchestrationsReady || reply.WorkReady) {
		r.kick()
	}
}

// run repeats a step as long as it finds something to do, and then waits to be woken.
func (c *churn) run(ctx context.Context, r *role, step func(context.Context, *role) bool) {
	for ctx.Err() == nil && !c.Failed() {
		if step(ctx, r) {
			continue
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
		}
	}
}

// starts keeps as many workflows in flight as there are slots.
func (c *churn) starts(ctx context.Context, r *role) {
	for ctx.Err() == nil && !c.Failed() {
		req := &provider.StartRequest{}
		for {
			if len(req.Items) == 0 {
				select {
				case c.slots <- struct{}{}:
				case <-ctx.Done():
					return
				}
			} else {
				select {
				case c.slots <- struct{}{}:
				default:
					goto full
				}
			}
			req.Items = append(req.Items, provider.StartItem{NewInstance: provider.NewInstance{
				InstanceID: fmt.Sprint("churn-", provider.NewToken()), ExecutionID: provider.NewExecutionID(), Class: c.flow, Events: benchEvents}})
		}
	full:
		// What is begun is ended, whatever the time.
		if _, err := r.StartOrchestrations(context.WithoutCancel(ctx), req); err != nil {
			c.Error(err)
			return
		}
	}
}

// turns takes the turns that are ready: the first of a workflow queues its activity, the second ends it.
func (c *churn) turns(ctx context.Context, r *role) bool {
	const most = 128
	items, err := r.FetchOrchestrationItems(ctx, &provider.FetchRequest{Worker: r.worker, Request: provider.NewToken(),
		Classes: []provider.ClassID{c.flow}, Max: most, Sleep: true})
	if c.failed(ctx, err) || len(items) == 0 {
		return false
	}
	ack := &provider.AckRequest{Worker: r.worker}
	ended := 0
	for i := range items {
		item := &items[i]
		a := provider.AckItem{Ref: item.Ref, Execution: item.Execution, Seq: item.NextSeq, Token: item.Token,
			Commit: provider.Commit{Request: provider.NewToken(), Events: benchEvents, EventCount: 2}}
		if item.NextSeq == 1 {
			a.Work = []provider.NewWork{{Event: 2, Class: c.job, Input: []byte(`"world"`)}}
		} else {
			a.Status = provider.StatusCompleted
			for _, m := range item.Messages {
				a.Consumed = append(a.Consumed, m.Order)
			}
			ended++
		}
		ack.Items = append(ack.Items, a)
	}
	reply, err := r.AckOrchestrationItems(ctx, ack)
	if c.failed(ctx, err) {
		return false
	}
	for i := range reply.Results {
		if reply.Results[i].Status != provider.Applied || len(reply.Results[i].Messages) > 0 {
			c.Errorf("ack: %+v", reply.Results[i])
		}
	}
	for range ended {
		<-c.slots
	}
	c.ended.Add(int64(ended))
	return len(items) == most
}

// jobs runs the activities that are queued.
func (c *churn) jobs(ctx context.Context, r *role) bool {
	const most = 128
	fetched, err := r.FetchWorkItems(ctx, &provider.FetchWorkRequest{Worker: r.worker, Request: provider.NewToken(),
		Classes: []provider.ClassID{c.job}, Max: most, Sleep: true})
	if c.failed(ctx, err) || len(fetched.Work) == 0 {
		return false
	}
	items := fetched.Work
	ack := &provider.AckWorkRequest{Worker: r.worker}
	for i := range items {
		ack.Items = append(ack.Items, provider.AckWorkItem{WorkKey: items[i].WorkKey, Token: items[i].Token,
			Request: provider.NewToken(), Body: []byte(`{"type":"ActivityCompleted","scheduled":2,"result":{"json":"hello"}}`)})
	}
	reply, err := r.AckWorkItems(ctx, ack)
	if c.failed(ctx, err) {
		return false
	}
	for i := range reply.Results {
		if reply.Results[i].Status != provider.Applied {
			c.Errorf("result: %v", reply.Results[i].Status)
		}
	}
	return len(items) == most
}

// churnRate is what a phase of a churn has done.
type churnRate struct{ perSecond, serverCPU, wal float64 }

func (r churnRate) String() string {
	return fmt.Sprintf("%.0f/s, server %.0f µs, WAL %.0f B", r.perSecond, r.serverCPU, r.wal)
}

// rate lets the churn go on for a while and until all workflows have ended.
func (c *churn) rate(b *testing.B, conn *pgx.Conn, d time.Duration) churnRate {
	m := &meter{conn: conn}
	if err := conn.QueryRow(b.Context(), "select array_agg(pid) from pg_stat_activity").Scan(&m.pids); err != nil {
		b.Fatal(err)
	}
	m.read(b)
	before, ended, start := *m, c.ended.Load(), time.Now()
	ctx, cancel := context.WithTimeout(b.Context(), d)
	defer cancel()
	c.starts(ctx, c.client)
	for range cap(c.slots) {
		c.slots <- struct{}{}
	}
	for range cap(c.slots) {
		<-c.slots
	}
	if c.Failed() {
		b.FailNow()
	}
	took := time.Since(start)
	n := float64(c.ended.Load() - ended)
	m.read(b)
	return churnRate{n / took.Seconds(), float64(m.cpu-before.cpu) / 1000 / n, float64(m.wal-before.wal) / n}
}
