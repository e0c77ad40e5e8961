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

// within fails the test if the call does not return soon: what it waits for is held by the test.
func (s *store) within(what string, call func(ctx context.Context) error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 3*time.Second)
	defer cancel()
	if err := call(ctx); err != nil {
		s.Errorf("%s: %v", what, err)
	}
}

// begin opens a transaction on a connection of its own and executes the statements in it.
func (s *store) begin(level pgx.TxIsoLevel, statements ...string) pgx.Tx {
	s.Helper()
	tx, err := s.connect().BeginTx(s.ctx, pgx.TxOptions{IsoLevel: level})
	if err != nil {
		s.Fatal(err)
	}
	for _, sql := range statements {
		if _, err := tx.Exec(s.ctx, sql); err != nil {
			s.Fatal(sql, err)
		}
	}
	return tx
}

func (s *store) commit(tx pgx.Tx) {
	s.Helper()
	if err := tx.Commit(s.ctx); err != nil {
		s.Error(err)
	}
}

// awaitBlocked returns when n calls on the store wait for a lock.
func (s *store) awaitBlocked(n int) {
	s.Helper()
	conn, deadline := s.connect(), time.Now().Add(5*time.Second)
	for blocked := -1; blocked != n; {
		err := conn.QueryRow(s.ctx, `select count(*) from pg_stat_activity, lateral (select pg_sleep(0.01)) pause
			where application_name = 'pawl' and wait_event_type = 'Lock' and strpos(query, $1) > 0`, pgx.Identifier{s.schema}.Sanitize()).Scan(&blocked)
		if err != nil || time.Now().After(deadline) {
			s.Fatalf("%d calls blocked, want %d, %v", blocked, n, err)
		}
	}
}

func (s *store) pulse(ctx context.Context, worker provider.WorkerID, reap ...provider.Beat) (*provider.PulseReply, error) {
	return s.Pulse(ctx, &provider.PulseRequest{Worker: worker, Join: true, TTL: time.Nanosecond, Sleep: true, Reap: reap,
		Classes: []provider.ClassID{s.flow}, WorkClasses: []provider.ClassID{s.job}})
}

// beat returns the beat of a worker as a peer sees it.
func (s *store) beat(worker provider.WorkerID) provider.Beat {
	s.Helper()
	reply, err := s.pulse(s.ctx, 0)
	if err != nil {
		s.Fatal(err)
	}
	for _, b := range reply.Stale {
		if b.Worker == worker {
			return b
		}
	}
	s.Fatal("the worker is not known")
	return provider.Beat{}
}

// TestOpenTransaction has a user raise and start something in a transaction that stays open: the worker that sleeps for
// it must go on beating and fetching, and is woken in the end.
func TestOpenTransaction(t *testing.T) {
	for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable} {
		t.Run(string(level), func(t *testing.T) {
			s := open(t, schemaName(t), nil)
			worker := provider.NewWorkerID()
			s.start("a")
			held := s.fetchOne(worker)
			for range 2 { // joins, sleeps
				if _, err := s.pulse(s.ctx, worker); err != nil {
					t.Fatal(err)
				}
			}
			ready := make(chan struct{}, 100)
			listening, stop := context.WithCancel(s.ctx)
			defer stop()
			go s.Listen(listening, worker, func(n provider.Notification) {
				if n.Kind == provider.NotifyReady || n.Kind == provider.NotifyHeld {
					ready <- struct{}{}
				}
			})
			<-ready // it looks once when it begins to listen

			tx := s.begin(level, `select count(*) from instance`)
			if _, err := s.pulse(s.ctx, worker); err != nil { // changes the worker's row after the snapshot
				t.Fatal(err)
			}
			for _, sql := range []string{`select raise_event('a', 'go')`, `select start_orchestration('Flow')`} {
				if _, err := tx.Exec(s.ctx, sql); err != nil {
					t.Fatal(sql, err)
				}
			}
			s.within("pulse", func(ctx context.Context) error { _, err := s.pulse(ctx, worker); return err })
			s.within("fetch", func(ctx context.Context) error {
				_, err := s.FetchOrchestrationItems(ctx, &provider.FetchRequest{Worker: worker, Request: provider.NewToken(), Classes: []provider.ClassID{s.flow}, Max: 1, Sleep: true})
				return err
			})
			s.within("ack", func(ctx context.Context) error {
				_, err := s.AckOrchestrationItems(ctx, &provider.AckRequest{Worker: worker, Items: []provider.AckItem{{Ref: held.Ref, Execution: 1, Seq: 1, Token: held.Token,
					Commit: provider.Commit{Request: provider.NewToken(), Events: []byte(`[{}]`), EventCount: 1, Waits: []string{"go"}}}}})
				return err
			})
			s.commit(tx)
			s.within("wake-up", func(ctx context.Context) error {
				select {
				case <-ready:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
			if items, err := s.FetchOrchestrationItems(s.ctx, &provider.FetchRequest{Worker: worker, Request: provider.NewToken(),
				Classes: []provider.ClassID{s.flow}, Max: 5}); err != nil || len(items) != 2 {
				t.Errorf("fetched %+v, %v", items, err)
			}
		})
	}
}

// TestReapPassesOverLocks has a call of the dead worker hang while it has an instance locked: whoever reaps it must not
// hang too, and gets the instance later.
func TestReapPassesOverLocks(t *testing.T) {
	s := open(t, schemaName(t), nil)
	dead, peer := provider.NewWorkerID(), provider.NewWorkerID()
	if _, err := s.pulse(s.ctx, dead); err != nil {
		t.Fatal(err)
	}
	s.start("a", "b")
	s.fetchOne(dead)
	s.fetchOne(dead)
	tx := s.begin(pgx.ReadCommitted, `select from instance where instance_id = 'a' for update`)
	s.within("reap", func(ctx context.Context) error { _, err := s.pulse(ctx, peer, s.beat(dead)); return err })
	if got := s.fetchOne(peer).InstanceID; got != "b" {
		t.Errorf("released %q", got)
	}
	s.commit(tx)
	if _, err := s.pulse(s.ctx, peer); err != nil {
		t.Fatal(err)
	}
	if got := s.fetchOne(peer).InstanceID; got != "a" {
		t.Errorf("released %q", got)
	}
}

// TestMutualReap has two workers reap each other at once.
func TestMutualReap(t *testing.T) {
	s := open(t, schemaName(t), nil)
	a, b := provider.NewWorkerID(), provider.NewWorkerID()
	for _, w := range []provider.WorkerID{a, b} {
		if _, err := s.pulse(s.ctx, w); err != nil {
			t.Fatal(err)
		}
	}
	beatA, beatB := s.beat(a), s.beat(b)
	tx := s.begin(pgx.ReadCommitted, fmt.Sprintf(`select from presence where worker = %d for update`, b))
	results := make(chan error, 2)
	go func() { _, err := s.pulse(s.ctx, b, beatA); results <- err }()
	s.awaitBlocked(1)
	go func() { _, err := s.pulse(s.ctx, a, beatB); results <- err }()
	if err := <-results; err != nil { // a does not wait for b
		t.Error(err)
	}
	s.commit(tx)
	if err := <-results; err != nil {
		t.Error(err)
	}
}

// TestLateCallOfRetiredWorker has a fetch commit after its worker has retired: what it took must not be lost.
func TestLateCallOfRetiredWorker(t *testing.T) {
	s := open(t, schemaName(t), nil)
	worker, peer := provider.NewWorkerID(), provider.NewWorkerID()
	s.start("a")
	if err := s.RetireWorker(s.ctx, worker); err != nil {
		t.Fatal(err)
	}
	s.fetchOne(worker)
	conn := s.connect()
	if _, err := conn.Exec(s.ctx, `update worker set look_at = now() where id = $1`, int64(worker)); err != nil { // some seconds later
		t.Fatal(err)
	}
	if _, err := s.pulse(s.ctx, peer); err != nil {
		t.Fatal(err)
	}
	s.fetchOne(peer)
	var left int
	if _, err := conn.Exec(s.ctx, `update worker set reaped_at = reaped_at - interval '2 hours', look_at = now() where id = $1`, int64(worker)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pulse(s.ctx, peer); err != nil {
		t.Fatal(err)
	}
	if err := conn.QueryRow(s.ctx, `select count(*) from worker where id = $1`, int64(worker)).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows of the retired worker left, %v", left, err)
	}
}

// TestFetchRepeatedWhileItRuns repeats fetches whose first try has not committed yet: the repeat must bring the same.
func TestFetchRepeatedWhileItRuns(t *testing.T) {
	s := open(t, schemaName(t), nil)
	worker := provider.NewWorkerID()
	if _, err := s.pulse(s.ctx, worker); err != nil {
		t.Fatal(err)
	}
	s.start("a", "b")
	held := s.fetchOne(worker)
	s.commitTurn(worker, &held, provider.Commit{Work: []provider.NewWork{{Event: 2, Class: s.job}}})
	for name, fetch := range map[string]func(provider.Token) (int, error){
		"instances": func(request provider.Token) (int, error) {
			items, err := s.FetchOrchestrationItems(s.ctx, &provider.FetchRequest{Worker: worker, Request: request, Classes: []provider.ClassID{s.flow}, Max: 2, Sleep: true})
			return len(items), err
		},
		"work": func(request provider.Token) (int, error) {
			reply, err := s.FetchWorkItems(s.ctx, &provider.FetchWorkRequest{Worker: worker, Request: request, Classes: []provider.ClassID{s.job}, Max: 2, Sleep: true})
			if err != nil {
				return 0, err
			}
			return len(reply.Work), nil
		},
	} {
		tx := s.begin(pgx.ReadCommitted, `update presence set turns = null, work = null`)
		request, results := provider.NewToken(), make(chan error, 2)
		try := func() {
			n, err := fetch(request)
			if err == nil && n != 1 {
				err = fmt.Errorf("%d items", n)
			}
			results <- err
		}
		go try()
		s.awaitBlocked(1)
		go try()
		s.awaitBlocked(2)
		s.commit(tx)
		for range 2 {
			if err := <-results; err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// commitTurn acks a turn of one event that changes what is given.
func (s *store) commitTurn(worker provider.WorkerID, item *provider.OrchestrationItem, c provider.Commit) *provider.AckReply {
	s.Helper()
	c.Request, c.Events, c.EventCount = provider.NewToken(), []byte(`[{}]`), 1
	reply, err := s.AckOrchestrationItems(s.ctx, &provider.AckRequest{Worker: worker, Items: []provider.AckItem{{
		Ref: item.Ref, Execution: 1, Seq: item.NextSeq, Token: item.Token, Commit: c}}})
	if err != nil || reply.Results[0].Status != provider.Applied {
		s.Fatalf("%+v, %v", reply, err)
	}
	item.Token, item.NextSeq = c.Request, item.NextSeq+1
	return reply
}

// TestReadsLockInOrder has clients name instances in another order than an ack and a second client that lock them.
func TestReadsLockInOrder(t *testing.T) {
	s := open(t, schemaName(t), &postgres.Options{Parts: 1})
	worker := provider.NewWorkerID()
	s.start("a", "b", "parked a", "parked b")
	ack, park := &provider.AckRequest{Worker: worker}, &provider.AbandonRequest{}
	for range 4 {
		item := s.fetchOne(worker)
		if item.InstanceID == "a" || item.InstanceID == "b" {
			ack.Items = append(ack.Items, provider.AckItem{Ref: item.Ref, Execution: 1, Seq: 1, Token: item.Token,
				Commit: provider.Commit{Request: provider.NewToken(), Events: []byte(`[{}]`), EventCount: 1}})
		} else {
			park.Instances = append(park.Instances, provider.AbandonedInstance{Ref: item.Ref, Token: item.Token, Park: []byte(`{}`)})
		}
	}
	if err := s.AbandonItems(s.ctx, park); err != nil {
		t.Fatal(err)
	}
	backwards := func(prefix string) []string { return []string{prefix + "b", prefix + "a"} }
	for last, calls := range map[string][2]func() error{
		"b": {func() error { _, err := s.ReadInstances(s.ctx, backwards(""), true); return err },
			func() error { _, err := s.AckOrchestrationItems(s.ctx, ack); return err }},
		"parked b": {func() error { _, err := s.ResumeInstances(s.ctx, backwards("parked ")); return err },
			func() error { _, err := s.ResumeInstances(s.ctx, []string{"parked a", "parked b"}); return err }},
	} {
		tx := s.begin(pgx.ReadCommitted, `select from instance where instance_id = '`+last+`' for update`)
		results := make(chan error, 2)
		for i, call := range calls {
			go func() { results <- call() }()
			s.awaitBlocked(i + 1)
		}
		s.commit(tx)
		for range 2 {
			if err := <-results; err != nil {
				t.Errorf("%s: %v", last, err)
			}
		}
	}
}

// TestLeasedChildOfSomebodyElse asks for the lease of a child that exists and is held by another worker.
func TestLeasedChildOfSomebodyElse(t *testing.T) {
	s := open(t, schemaName(t), nil)
	owner, worker := provider.NewWorkerID(), provider.NewWorkerID()
	child := provider.NewInstance{InstanceID: "child", ExecutionID: provider.NewExecutionID(), Class: s.flow, Events: []byte(`[{}]`), Lease: true}
	reply, err := s.StartOrchestrations(s.ctx, &provider.StartRequest{Items: []provider.StartItem{{NewInstance: child}}})
	if err != nil || reply.Results[0].Status != provider.Applied {
		t.Fatalf("%+v, %v", reply, err)
	}
	held := s.fetchOne(owner)
	s.start("parent")
	parent := s.fetchOne(worker)
	acked := s.commitTurn(worker, &parent, provider.Commit{Children: []provider.NewInstance{child}})
	if len(acked.Granted) != 0 {
		t.Errorf("granted %+v", acked.Granted)
	}
	s.commitTurn(owner, &held, provider.Commit{})
}

// TestFinishedTwice names a finished work item twice.
func TestFinishedTwice(t *testing.T) {
	s := open(t, schemaName(t), nil)
	worker := provider.NewWorkerID()
	s.start("a")
	item := s.fetchOne(worker)
	s.commitTurn(worker, &item, provider.Commit{Keep: true, Work: []provider.NewWork{{Event: 1, Class: s.job, Lease: true}, {Event: 2, Class: s.job, Lease: true}}})
	finished := []provider.FinishedWork{{Event: 2, Token: item.Token}, {Event: 1, Token: item.Token}, {Event: 2, Token: item.Token}}
	reply, err := s.AckOrchestrationItems(s.ctx, &provider.AckRequest{Worker: worker, Items: []provider.AckItem{{
		Ref: item.Ref, Execution: 1, Seq: item.NextSeq, Token: item.Token, Finished: finished,
		Commit: provider.Commit{Request: provider.NewToken(), Events: []byte(`[{}]`), EventCount: 1, Status: provider.StatusCompleted}}}})
	if err != nil || reply.Results[0].Status != provider.Applied {
		t.Errorf("%+v, %v", reply, err)
	}
}

// TestQueuedWhileFallingAsleep queues something after a fetch has found nothing and before its mark can be seen: nobody
// would notify the worker of it.
func TestQueuedWhileFallingAsleep(t *testing.T) {
	s := open(t, schemaName(t), nil)
	worker, other := provider.NewWorkerID(), provider.NewWorkerID()
	if _, err := s.pulse(s.ctx, worker); err != nil {
		t.Fatal(err)
	}
	s.start("held")
	held := s.fetchOne(other)
	for name, c := range map[string]struct {
		fetch func() (int, error)
		queue func()
	}{
		"instances": {func() (int, error) {
			items, err := s.FetchOrchestrationItems(s.ctx, &provider.FetchRequest{Worker: worker, Request: provider.NewToken(), Classes: []provider.ClassID{s.flow}, Max: 2, Sleep: true})
			return len(items), err
		}, func() { s.start("queued") }},
		"work": {func() (int, error) {
			reply, err := s.FetchWorkItems(s.ctx, &provider.FetchWorkRequest{Worker: worker, Request: provider.NewToken(), Classes: []provider.ClassID{s.job}, Max: 2, Sleep: true})
			if err != nil {
				return 0, err
			}
			return len(reply.Work), nil
		}, func() {
			s.commitTurn(other, &held, provider.Commit{Work: []provider.NewWork{{Event: 1, Class: s.job}}})
		}},
	} {
		if _, err := s.connect().Exec(s.ctx, `update presence set turns = null, work = null`); err != nil {
			t.Fatal(err)
		}
		tx := s.begin(pgx.ReadCommitted, `select from presence for update`)
		found := make(chan int, 1)
		go func() {
			n, err := c.fetch()
			if err != nil {
				t.Error(err)
			}
			found <- n
		}()
		s.awaitBlocked(1)
		c.queue()
		s.commit(tx)
		if n := <-found; n != 1 {
			t.Errorf("%s: fetched %d items, want the one just queued", name, n)
		}
	}
}
