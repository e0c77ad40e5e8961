package postgres_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
)

// The cost of a call must not grow with what it does not concern. Counted are the buffers (8 kB pages) that the server
// touches for a call, in everything the call does, and the bytes on the wire: figures that do not depend on the machine.

// pages is a store on a server of its own that counts what calls cost.
type pages struct {
	*store
	conn  *pgx.Conn // as psql would, in the schema
	relay *relay
}

// openPages opens a store through one connection, so that all calls find their plans made.
func openPages(t testing.TB) *pages {
	t.Helper()
	server := pgtest.Own(t, "shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track=top", "autovacuum=off",
		"shared_buffers=512MB")
	p := &pages{relay: startRelay(t, server.Address)}
	u, err := url.Parse(pgtest.WithSchema(server.URL, "pages"))
	if err != nil {
		t.Fatal(err)
	}
	u.Host = p.relay.Addr().String()
	p.store = &store{TB: t, ctx: t.Context(), schema: "pages", dsn: u.String()}
	p.Provider = p.reopen(&postgres.Options{MaxConns: 1})
	ids, err := p.RegisterClasses(p.ctx, []provider.Class{
		{Kind: provider.ClassOrchestration, Name: "Flow"}, {Kind: provider.ClassActivity, Name: "Job"},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.flow, p.job = ids[0], ids[1]
	p.conn, err = pgx.Connect(p.ctx, server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.conn.Close(context.Background()) })
	p.exec(`create extension pg_stat_statements`)
	p.exec(`set search_path = pages, public`)
	return p
}

func (p *pages) exec(sql string, args ...any) {
	p.Helper()
	if _, err := p.conn.Exec(p.ctx, sql, args...); err != nil {
		p.Fatal(sql, err)
	}
}

// cost is what one call costs.
type cost struct {
	Buffers int64
	Bytes   int64 // in both directions
}

// tries is how often a call is made to find what it costs.
const tries = 6

// of returns the least that a call costs of a few: now and then one meets a page that is just full, or makes a plan.
func (p *pages) of(call func()) cost {
	p.Helper()
	c := dearest
	for range tries {
		c = c.least(p.once(call))
	}
	return c
}

// dearest costs more than anything.
var dearest = cost{math.MaxInt64, math.MaxInt64}

func (c cost) least(other cost) cost {
	return cost{min(c.Buffers, other.Buffers), min(c.Bytes, other.Bytes)}
}

// once returns what a call costs.
func (p *pages) once(call func()) (c cost) {
	p.Helper()
	p.exec(`select pg_stat_statements_reset()`)
	before := p.relay.bytes.Load()
	call()
	c.Bytes = p.relay.bytes.Load() - before
	var calls int64
	err := p.conn.QueryRow(p.ctx, `select coalesce(sum(shared_blks_hit + shared_blks_read), 0)::bigint, coalesce(sum(calls), 0)::bigint
		from pg_stat_statements where query ~ '^select (\* from )?"pages"'`).Scan(&c.Buffers, &calls)
	if err != nil || calls != 1 {
		p.Fatalf("%d calls counted, %v", calls, err)
	}
	return c
}

// flat fails the test if a cost has grown by more than a part: an index of a hundred times the size is one page higher.
func (p *pages) flat(what string, small, large cost) {
	p.Helper()
	p.Logf("%-60s %4d buffers, %5d bytes; then %4d and %5d", what, small.Buffers, small.Bytes, large.Buffers, large.Bytes)
	if large.Buffers > small.Buffers+max(small.Buffers/3, 3) || large.Bytes > small.Bytes+16 {
		p.Errorf("%s: %+v has become %+v", what, small, large)
	}
}

func (p *pages) fetch(worker provider.WorkerID, n int) func() {
	return func() {
		items, err := p.FetchOrchestrationItems(p.ctx, &provider.FetchRequest{Worker: worker, Request: provider.NewToken(),
			Classes: []provider.ClassID{p.flow}, Max: max(n, 1), Timers: true})
		if err != nil || len(items) != n {
			p.Fatalf("fetched %d items, want %d, %v", len(items), n, err)
		}
	}
}

func (p *pages) fetchWork(worker provider.WorkerID, n int) func() {
	return func() {
		items, err := p.FetchWorkItems(p.ctx, &provider.FetchWorkRequest{Worker: worker, Request: provider.NewToken(),
			Classes: []provider.ClassID{p.job}, Max: max(n, 1)})
		if err != nil || len(items.Work) != n {
			p.Fatalf("fetched %+v, want %d work items, %v", items, n, err)
		}
	}
}

func (p *pages) beats(worker provider.WorkerID) func() {
	return func() {
		if _, err := p.pulse(p.ctx, worker); err != nil {
			p.Fatal(err)
		}
	}
}

// addInstances makes n instances that wait for something, with as many of them ready or with work as is said.
func (p *pages) addInstances(name string, n, ready, queued int, class provider.ClassID, work provider.ClassID) {
	p.Helper()
	p.exec(`with made as (
		  insert into instance (part, instance_id, class, execution_id, next_seq, created_at)
		  select partition_of(id), id, $4, '00000000-0000-0000-0000-000000000000', 1, now()
		    from (select $1::text || g id from generate_series(1, $2::int) g) i
		  returning part, iid),
		numbered as (select *, row_number() over () n from made),
		hinted as (insert into hint (part, class, due, iid) select part, $4, clock_timestamp(), iid from numbered where n <= $3),
		recorded as (insert into history (part, iid, execution, seq, count, token, events) select part, iid, 1, 0, 1, 0, '[{}]' from numbered)
		insert into work (part, iid, execution, event, class, due, attempt)
		select part, iid, 1, 1, $6, clock_timestamp(), 0 from numbered where n <= $5`, name, n, ready, class, queued, work)
	p.exec(`vacuum analyze instance, history, hint, work, inbox, timer`)
}

// few and many are the numbers that calls are compared at.
func few() int { return 1000 }

func many() int {
	if testing.Short() {
		return 10_000
	}
	return 100_000
}

// TestCostOfIdleInstances compares calls with few and with many idle instances.
func TestCostOfIdleInstances(t *testing.T) {
	p := openPages(t)
	worker := provider.NewWorkerID()
	calls := []string{"fetch of an instance", "fetch of work", "empty fetch", "empty fetch of work", "pulse"}
	measure := func(idle int) (c []cost) {
		p.addInstances(fmt.Sprint("idle", idle, "-"), idle, 0, 0, p.flow, p.job)
		p.addInstances(fmt.Sprint("ready", idle, "-"), 40, 40, 40, p.flow, p.job)
		c = append(c, p.of(p.fetch(worker, 1)), p.of(p.fetchWork(worker, 1)))
		p.fetch(worker, 40-tries)()
		p.fetchWork(worker, 40-tries)()
		p.exec(`vacuum hint, work`)
		return append(c, p.of(p.fetch(worker, 0)), p.of(p.fetchWork(worker, 0)), p.of(p.beats(worker)))
	}
	measure(1)
	small := measure(few())
	for i, large := range measure(many()) {
		p.flat(calls[i]+" among idle instances", small[i], large)
	}
}

// TestCostOfBacklog compares calls with few and with many ready instances and work items, of the caller's classes and of
// others.
func TestCostOfBacklog(t *testing.T) {
	p := openPages(t)
	worker := provider.NewWorkerID()
	ids, err := p.RegisterClasses(p.ctx, []provider.Class{
		{Kind: provider.ClassOrchestration, Name: "Other"}, {Kind: provider.ClassActivity, Name: "Other"},
	})
	if err != nil {
		t.Fatal(err)
	}
	calls := []string{"fetch of 10 instances", "fetch of 10 work items", "pulse"}
	measure := func() []cost {
		return []cost{p.of(p.fetch(worker, 10)), p.of(p.fetchWork(worker, 10)), p.of(p.beats(worker))}
	}
	p.addInstances("first", 500, 500, 500, p.flow, p.job)
	p.fetch(worker, 10)()
	p.fetchWork(worker, 10)()
	small := measure()
	p.addInstances("others", many(), many(), many(), ids[0], ids[1])
	for i, large := range measure() {
		p.flat(calls[i]+" beside a backlog of others", small[i], large)
	}
	p.addInstances("own", many(), many(), many(), p.flow, p.job)
	for i, large := range measure() {
		p.flat(calls[i]+" from a backlog", small[i], large)
	}
}

// TestCostOfSleepers compares calls with few and with many instances that sleep.
func TestCostOfSleepers(t *testing.T) {
	p := openPages(t)
	worker := provider.NewWorkerID()
	calls := []string{"empty fetch", "pulse"}
	sleep := func(n int, due string) {
		p.addInstances(fmt.Sprint("sleeper", n, "-"), n, 0, 0, p.flow, p.job)
		p.exec(`insert into timer (part, iid, execution, event, fire_at, due)
			select part, iid, 1, 1, `+due+`, `+due+` from instance i
			 where instance_id like $1 and not exists (select from timer t where t.part = i.part and t.iid = i.iid)`, fmt.Sprint("sleeper", n, "-%"))
		p.exec(`vacuum analyze timer`)
	}
	measure := func(n int) []cost {
		c := []cost{p.of(p.fetch(worker, 0)), p.of(p.beats(worker))}
		sleep(n, `clock_timestamp()`)
		p.fetch(worker, n)()
		return c
	}
	sleep(10, `clock_timestamp()`)
	p.fetch(worker, 10)()
	sleep(few(), `now() + (1 + random()) * interval '1 year'`)
	small := measure(11)
	sleep(many(), `now() + (1 + random()) * interval '1 year'`)
	for i, large := range measure(12) {
		p.flat(calls[i]+" among sleepers", small[i], large)
	}
}

// TestCostOfControl compares what it costs to beat with work that is held, and to end an instance with its children, among
// few and among many instances with parents and work of their own.
func TestCostOfControl(t *testing.T) {
	p := openPages(t)
	worker := provider.NewWorkerID()
	p.addInstances("held", 10, 0, 10, p.flow, p.job)
	fetched, err := p.FetchWorkItems(p.ctx, &provider.FetchWorkRequest{Worker: worker, Request: provider.NewToken(), Classes: []provider.ClassID{p.job}, Max: 10})
	if err != nil || len(fetched.Work) != 10 {
		t.Fatalf("fetched %+v, %v", fetched, err)
	}
	var held []provider.HeldWork
	for _, w := range fetched.Work {
		held = append(held, provider.HeldWork{WorkKey: w.WorkKey, Token: w.Token, State: []byte(`1`)})
	}
	beat := func() {
		reply, err := p.Pulse(p.ctx, &provider.PulseRequest{Worker: worker, Join: true, TTL: time.Hour, Held: held})
		if err != nil || len(reply.Gone) != 0 {
			t.Fatalf("%+v, %v", reply, err)
		}
	}
	calls := []string{"pulse with held work", "end of an instance with its children"}
	measure := func(others int) []cost {
		p.addInstances(fmt.Sprint("other", others, "-"), others, 0, others, p.flow, p.job)
		p.addInstances(fmt.Sprint("parent", others, "-"), tries, 0, 0, p.flow, p.job)
		p.addInstances(fmt.Sprint("child", others, "-"), 5*tries, 0, 0, p.flow, p.job)
		p.exec(`update instance set parent_id = $1 where instance_id like $2`, fmt.Sprint("other", others, "-1"), fmt.Sprint("other", others, "-%"))
		for n := range tries {
			p.exec(`update instance set parent_id = $1, parent_execution = 1, parent_event = 1 where instance_id like $2`,
				fmt.Sprint("parent", others, "-", n+1), fmt.Sprint("child", others, "-%", n))
		}
		p.exec(`vacuum analyze instance`)
		n := 0
		return []cost{p.of(beat), p.of(func() {
			n++
			statuses, err := p.TerminateInstances(p.ctx, []provider.Termination{{InstanceID: fmt.Sprint("parent", others, "-", n), Events: []byte(`[{}]`), Children: true}})
			if err != nil || statuses[0] != provider.Applied {
				t.Fatalf("%v, %v", statuses, err)
			}
		})}
	}
	measure(1)
	small := measure(few())
	for i, large := range measure(many()) {
		p.flat(calls[i], small[i], large)
	}
}

// TestCostOfHistory compares what a turn costs instances with histories of 10, 1,000 and 100,000 events.
func TestCostOfHistory(t *testing.T) {
	p := openPages(t)
	worker := provider.NewWorkerID()
	calls := []string{"fetch of news", "turn on news", "step", "step in a batch"}
	var first []cost
	for _, events := range []int{10, few(), many()} {
		id := fmt.Sprintf("%06d.1", events)
		p.addInstances(id[:len(id)-1], 1, 0, 0, p.flow, p.job)
		p.exec(`with long as (
			  update instance set next_seq = $2, last_owner = $3 where instance_id = $1 returning part, iid)
			insert into history (part, iid, execution, seq, count, token, events)
			select part, iid, 1, g, 2, 0, $4 from long, generate_series(1, $2 - 1, 2) g`, id, events-1, int64(worker), benchEvents)
		p.exec(`vacuum analyze history`)
		var item provider.OrchestrationItem
		var a provider.AckItem
		with := []provider.AckItem(nil)
		turn := func() {
			a.Ref, a.Execution, a.Seq, a.Token = item.Ref, 1, item.NextSeq, item.Token
			a.Request, a.Events, a.EventCount = provider.NewToken(), benchEvents, 2
			reply, err := p.AckOrchestrationItems(p.ctx, &provider.AckRequest{Worker: worker, Items: append(with, a)})
			if err != nil || reply.Results[len(with)].Status != provider.Applied {
				t.Fatalf("%+v, %v", reply, err)
			}
			item.Token, item.NextSeq = a.Request, a.Seq+2
		}
		costs := []cost{dearest, dearest}
		for range tries {
			p.send(id)
			costs[0] = costs[0].least(p.once(func() { item = p.fetchOne(worker) }))
			if !item.HistoryOmitted || len(item.History) != 0 || len(item.Messages) != 1 {
				t.Fatalf("fetched %+v", item)
			}
			a = provider.AckItem{Consumed: []int64{item.Messages[0].Order}}
			costs[1] = costs[1].least(p.once(turn))
		}
		p.send(id)
		item = p.fetchOne(worker)
		a = provider.AckItem{Consumed: []int64{item.Messages[0].Order}}
		a.Keep = true
		turn()
		step := func() {
			finished := []provider.FinishedWork(nil)
			if len(a.Work) > 0 {
				finished = []provider.FinishedWork{{Event: a.Work[0].Event, Token: item.Token}}
			}
			a = provider.AckItem{Finished: finished}
			a.Keep, a.Work = true, []provider.NewWork{{Event: item.NextSeq + 1, Class: p.job, Lease: true}}
			turn()
		}
		step()
		costs = append(costs, p.of(step))
		with = []provider.AckItem{{Commit: provider.Commit{Request: 1, Events: benchEvents, EventCount: 2}}} // is refused
		costs = append(costs, p.of(step))
		if first == nil {
			first = costs
		}
		for i, c := range costs {
			p.flat(fmt.Sprintf("%s at %d events", calls[i], events), first[i], c)
		}
	}
}

// send sends an engine message.
func (p *pages) send(id string) {
	p.Helper()
	statuses, err := p.EnqueueMessages(p.ctx, []provider.NewMessage{{Target: id, Kind: provider.MessageChildDone, ID: "m", Body: []byte(`{}`)}})
	if err != nil || statuses[0] != provider.Applied {
		p.Fatal(statuses, err)
	}
}

// relay passes connections on and counts their bytes.
type relay struct {
	net.Listener
	bytes atomic.Int64
	tasks sync.WaitGroup
}

func startRelay(t testing.TB, target string) *relay {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l}
	t.Cleanup(func() {
		l.Close()
		r.tasks.Wait() // the provider has closed its connections
	})
	r.tasks.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
				r.tasks.Go(func() {
					io.Copy(io.MultiWriter(counter{&r.bytes}, way[1]), way[0])
					client.Close()
					server.Close()
				})
			}
		}
	})
	return r
}

// counter counts what is written to it.
type counter struct{ n *atomic.Int64 }

func (c counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}
