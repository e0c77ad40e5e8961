package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
)

// While a snapshot is held open anywhere in the database, nothing that was deleted or replaced since can be removed.

// hold opens a snapshot, as a backup or a report does, until the test ends. Its transaction has a number, as if it had
// written something: it may yet put something into a queue.
func (p *pages) hold() {
	p.Helper()
	conn, err := pgx.ConnectConfig(p.ctx, p.conn.Config())
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { conn.Close(context.Background()) })
	if _, err := conn.Exec(p.ctx, `begin isolation level repeatable read; select pg_current_xact_id()`); err != nil {
		p.Fatal(err)
	}
}

// eventually asks again until the answer is good or time is up: what a process knows of the queues is renewed now and then.
func (p *pages) eventually(what string, good func() bool) {
	p.Helper()
	for deadline := time.Now().Add(5 * time.Second); !good(); {
		if time.Now().After(deadline) {
			p.Errorf("%s: not within 5 seconds", what)
			return
		}
	}
}

// pass takes n workflows through all queues: started, a turn that queues work and sets a timer, the work, the timer, the
// last turn.
func (p *pages) pass(worker provider.WorkerID, n int) {
	p.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprint(provider.NewToken())
	}
	p.start(ids...)
	turn := func(commit func(*provider.OrchestrationItem) provider.AckItem) {
		for done := 0; done < n; {
			items, err := p.FetchOrchestrationItems(p.ctx, &provider.FetchRequest{Worker: worker, Request: provider.NewToken(),
				Classes: []provider.ClassID{p.flow}, Max: n, Timers: true})
			if err != nil || len(items) == 0 {
				p.Fatalf("fetched %d items, %v", len(items), err)
			}
			req := &provider.AckRequest{Worker: worker}
			for i := range items {
				a := commit(&items[i])
				a.Ref, a.Execution, a.Seq, a.Token = items[i].Ref, 1, items[i].NextSeq, items[i].Token
				a.Request, a.Events, a.EventCount = provider.NewToken(), []byte(`[{}]`), 1
				for _, m := range items[i].Messages {
					a.Consumed = append(a.Consumed, m.Order)
				}
				req.Items = append(req.Items, a)
			}
			if _, err := p.AckOrchestrationItems(p.ctx, req); err != nil {
				p.Fatal(err)
			}
			done += len(items)
		}
	}
	turn(func(*provider.OrchestrationItem) (a provider.AckItem) {
		a.Work = []provider.NewWork{{Event: 1, Class: p.job}}
		return a
	})
	work, err := p.FetchWorkItems(p.ctx, &provider.FetchWorkRequest{Worker: worker, Request: provider.NewToken(), Classes: []provider.ClassID{p.job}, Max: n})
	if err != nil || len(work.Work) != n {
		p.Fatalf("fetched %+v, %v", work, err)
	}
	results := &provider.AckWorkRequest{Worker: worker}
	for _, w := range work.Work {
		results.Items = append(results.Items, provider.AckWorkItem{WorkKey: w.WorkKey, Token: w.Token, Request: provider.NewToken(), Body: []byte(`{}`)})
	}
	if _, err := p.AckWorkItems(p.ctx, results); err != nil {
		p.Fatal(err)
	}
	turn(func(*provider.OrchestrationItem) (a provider.AckItem) {
		a.Timers = []provider.NewTimer{{Event: 2, FireAt: time.Now()}}
		return a
	})
	turn(func(*provider.OrchestrationItem) (a provider.AckItem) {
		a.Status = provider.StatusCompleted
		return a
	})
}

// TestCostUnderHeldSnapshot compares calls before and after many workflows have passed through the queues while a snapshot
// is held, and with those of a process that does not know yet where the heads of the queues are.
func TestCostUnderHeldSnapshot(t *testing.T) {
	p := openPages(t)
	worker := provider.NewWorkerID()
	p.hold()
	p.beats(worker)()
	calls := map[string]func(){"empty fetch": p.fetch(worker, 0), "empty fetch of work": p.fetchWork(worker, 0), "pulse": p.beats(worker)}
	before := map[string]cost{}
	p.pass(worker, 50)
	for name, call := range calls {
		p.eventually(name, func() bool { before[name] = p.of(call); return before[name].Buffers < 300 })
	}
	passed := max(many()/20, 2000)
	for range passed / 250 {
		p.pass(worker, 250)
	}
	for name, call := range calls {
		var after cost
		p.eventually(name, func() bool { after = p.of(call); return after.Buffers < before[name].Buffers*4/3 })
		p.flat(fmt.Sprintf("%s after %d workflows", name, passed), before[name], after)
	}
	known := p.Provider
	defer func() { p.Provider = known }()
	p.Provider = p.reopen(&postgres.Options{MaxConns: 1})
	// So that its session knows the catalogs: it looks into queues that were never used.
	if _, err := p.FetchOrchestrationItems(p.ctx, &provider.FetchRequest{Worker: worker, Request: 1, Classes: []provider.ClassID{p.job}, Max: 10}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.FetchWorkItems(p.ctx, &provider.FetchWorkRequest{Worker: worker, Request: 1, Classes: []provider.ClassID{p.flow}, Max: 10}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		call func()
	}{{"empty fetch", p.fetch(worker, 0)}, {"empty fetch of work", p.fetchWork(worker, 0)}} {
		first := p.once(c.call)
		t.Logf("%s of a process that has just begun: %+v", c.name, first)
		if first.Buffers < 5*before[c.name].Buffers {
			t.Errorf("%s: %d buffers: nothing was left behind, the test proves nothing", c.name, first.Buffers)
		}
	}
}

// TestCostOfSleepUnderHeldSnapshot compares what it costs to wake a worker, and to look for one that sleeps, before and
// after it was woken many times while a snapshot is held.
func TestCostOfSleepUnderHeldSnapshot(t *testing.T) {
	p := openPages(t)
	worker := provider.NewWorkerID()
	p.hold()
	p.beats(worker)()
	start := func() { p.start(fmt.Sprint(provider.NewToken())) }
	wake := func() (costs [4]cost) {
		fetch := func(n int) {
			items, err := p.FetchOrchestrationItems(p.ctx, &provider.FetchRequest{Worker: worker, Request: provider.NewToken(),
				Classes: []provider.ClassID{p.flow}, Max: 10, Sleep: true})
			if err != nil || len(items) != n {
				t.Fatalf("fetched %d items, want %d, %v", len(items), n, err)
			}
		}
		costs[0] = p.once(func() { fetch(0) })
		costs[1] = p.once(start) // wakes it
		costs[2] = p.once(start) // sees that it is woken already
		fetch(2)
		costs[3] = p.once(p.beats(worker))
		return costs
	}
	several := func(n int) (least [4]cost) {
		least = [4]cost{dearest, dearest, dearest, dearest}
		for range n {
			for i, c := range wake() {
				least[i] = least[i].least(c)
			}
		}
		return least
	}
	several(50) // as many as it takes for a presence to be replaced
	before := several(50)
	several(400)
	for i, after := range several(50) {
		p.flat([]string{"falling asleep", "start that wakes", "start that need not", "pulse"}[i]+", woken 400 times", before[i], after)
	}
}

// TestCostOfReaping compares the pulse that releases a dead worker with few and with many other work items queued.
func TestCostOfReaping(t *testing.T) {
	p := openPages(t)
	peer := provider.NewWorkerID()
	p.beats(peer)()
	reap := func() cost {
		dead := provider.NewWorkerID()
		p.beats(dead)()
		p.addInstances(fmt.Sprint("held", dead), 20, 10, 10, p.flow, p.job)
		p.fetchWork(dead, 10)()
		items, err := p.FetchOrchestrationItems(p.ctx, &provider.FetchRequest{Worker: dead, Request: provider.NewToken(),
			Classes: []provider.ClassID{p.flow}, Max: 10})
		if err != nil || len(items) != 10 {
			t.Fatalf("fetched %d items, %v", len(items), err)
		}
		for i := range items {
			p.commitTurn(dead, &items[i], provider.Commit{Keep: i%2 == 0, Work: []provider.NewWork{{Event: 2, Class: p.job, Lease: true}}})
		}
		beat := p.beat(dead)
		c := p.once(func() {
			if _, err := p.pulse(p.ctx, peer, beat); err != nil {
				t.Fatal(err)
			}
		})
		var held int
		err = p.conn.QueryRow(p.ctx, `select (select count(*) from instance where owner = $1) + (select count(*) from work where owner = $1)`,
			int64(dead)).Scan(&held)
		if err != nil || held != 0 {
			t.Errorf("%d items are still held, %v", held, err)
		}
		p.exec(`delete from work where part >= 0`)
		p.exec(`delete from hint where part >= 0`)
		p.exec(`vacuum analyze hint, work, instance`)
		return c
	}
	reap()
	few := reap()
	p.addInstances("queued", many(), 0, many(), p.flow, p.job)
	p.exec(`update work set class = -class where part >= 0`)
	p.flat("reaping beside a backlog", few, reap())
}

// TestLateRows has rows come into queues by transactions that end long after looks have passed their due times.
func TestLateRows(t *testing.T) {
	s := open(t, schemaName(t), nil)
	worker := provider.NewWorkerID()
	s.start("raised to")
	held := s.fetchOne(worker)
	s.commitTurn(worker, &held, provider.Commit{Waits: []string{"go"}})
	fetch := func() int {
		items, err := s.FetchOrchestrationItems(s.ctx, &provider.FetchRequest{Worker: worker, Request: provider.NewToken(),
			Classes: []provider.ClassID{s.flow}, Max: 10, Timers: true})
		if err != nil {
			t.Fatal(err)
		}
		return len(items)
	}
	// Looks go on for longer than transactions are followed without being named.
	look := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); {
			if n := fetch(); n != 0 {
				t.Fatalf("fetched %d items", n)
			}
		}
	}
	look(300 * time.Millisecond)
	short := s.begin(pgx.ReadCommitted, `select start_orchestration('Flow')`)
	long := s.begin(pgx.ReadCommitted, `select start_orchestration('Flow')`, `select raise_event('raised to', 'go')`)
	look(300 * time.Millisecond)
	s.commit(short)
	if n := fetch(); n != 1 {
		t.Errorf("fetched %d items after a short transaction, want 1", n)
	}
	look(1500 * time.Millisecond)
	s.commit(long)
	if n := fetch(); n != 2 {
		t.Errorf("fetched %d items after a long transaction, want 2", n)
	}
	aborted := s.begin(pgx.ReadCommitted, `select start_orchestration('Flow')`)
	look(1500 * time.Millisecond)
	if err := aborted.Rollback(s.ctx); err != nil {
		t.Fatal(err)
	}
	look(300 * time.Millisecond)

	// What breaks the rule that nothing is due before it came is found by the looks from the start. Those come after 500 times
	// as long as the last one took: on a busy machine that are many seconds.
	conn := s.connect()
	for _, sql := range []string{
		`insert into hint (part, class, due, iid) select part, class, now() - interval '1 hour', iid from instance where instance_id = 'again'`,
		`insert into timer (part, iid, execution, event, fire_at, due)
			select part, iid, 1, 9, now() - interval '1 hour', now() - interval '1 hour' from instance where instance_id = 'again'`,
	} {
		s.start("again")
		item := s.fetchOne(worker)
		s.commitTurn(worker, &item, provider.Commit{})
		look(300 * time.Millisecond)
		if _, err := conn.Exec(s.ctx, `insert into inbox (part, iid, name, kind, execution, at)
			select part, iid, '', 3, 1, now() from instance where instance_id = 'again'`); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(s.ctx, sql); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(30 * time.Second); fetch() == 0; {
			if time.Now().After(deadline) {
				t.Error("not found: ", sql)
				break
			}
		}
		if _, err := conn.Exec(s.ctx, `update instance set instance_id = 'done ' || iid where instance_id = 'again'`); err != nil {
			t.Fatal(err)
		}
	}
}
