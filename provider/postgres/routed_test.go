package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
)

// Work that one worker alone may claim, while that worker comes to its end.

// fetchRouted fetches work as a worker that asks for what it alone may claim.
func (s *store) fetchRouted(worker provider.WorkerID, most int, sleep bool) []provider.WorkItem {
	s.Helper()
	r, err := s.FetchWorkItems(s.ctx, &provider.FetchWorkRequest{Worker: worker, Request: provider.NewToken(), Routed: true,
		Classes: []provider.ClassID{s.job}, Max: most, Sleep: sleep})
	if err != nil {
		s.Fatal(err)
	}
	return r.Work
}

// lookAgain has the workers that have ended be looked at by the next pulse, and not only in some seconds.
func (s *store) lookAgain() {
	s.Helper()
	if _, err := s.connect().Exec(s.ctx, `update worker set look_at = clock_timestamp() where reaped_at is not null`); err != nil {
		s.Fatal(err)
	}
	if _, err := s.pulse(s.ctx, 0); err != nil {
		s.Fatal(err)
	}
}

// TestRoutedWhileWorkerEnds has several processes queue work for a worker that claims some of it and retires, or is reaped,
// meanwhile: nothing may be lost, nothing may be there twice.
func TestRoutedWhileWorkerEnds(t *testing.T) {
	const rounds, senders, commits = 8, 3, 4
	s := open(t, schemaName(t), &postgres.Options{MaxConns: senders + 2})
	survivor := provider.NewWorkerID()
	if _, err := s.pulse(s.ctx, survivor); err != nil {
		t.Fatal(err)
	}
	var held []provider.OrchestrationItem
	for n := range senders {
		s.start(fmt.Sprint("sender ", n))
		held = append(held, s.fetchOne(survivor))
	}
	late := 0
	for round := range rounds {
		worker := provider.NewWorkerID()
		if _, err := s.pulse(s.ctx, worker); err != nil {
			t.Fatal(err)
		}
		beat := s.beat(worker)
		var group sync.WaitGroup
		for n := range held {
			group.Go(func() {
				for range commits {
					s.commitTurn(survivor, &held[n], provider.Commit{Keep: true, Work: []provider.NewWork{
						{Event: held[n].NextSeq * 2, Class: s.job, Worker: worker}, {Event: held[n].NextSeq*2 + 1, Class: s.job, Worker: worker}}})
				}
			})
		}
		var claimed []provider.WorkItem
		group.Go(func() { claimed = s.fetchRouted(worker, 2, false) })
		group.Go(func() {
			var err error
			if round%2 == 0 {
				err = s.RetireWorker(s.ctx, worker)
			} else {
				_, err = s.pulse(s.ctx, survivor, beat)
			}
			if err != nil {
				t.Error(err)
			}
		})
		group.Wait()
		if t.Failed() {
			return
		}
		// A sender may have committed after the look at what is left of the worker, and so may its own claim.
		early := s.fetchRouted(survivor, 1000, false)
		s.lookAgain()
		rest := s.fetchRouted(survivor, 1000, false)
		late += len(rest)
		seen := map[provider.WorkKey]bool{}
		for _, item := range append(early, rest...) {
			if seen[item.WorkKey] {
				t.Errorf("%v was claimed twice", item.WorkKey)
			}
			seen[item.WorkKey] = true
		}
		if want := senders * commits * 2; len(seen) != want {
			t.Fatalf("round %d: %d items, want %d; the worker had claimed %d", round, len(seen), want, len(claimed))
		}
	}
	t.Logf("%d items were found by a second look", late)
}

// TestRoutedBehindLocks has work come for a worker that has ended from a transaction that did not know, and be locked while
// it ends: others get it once they can.
func TestRoutedBehindLocks(t *testing.T) {
	s := open(t, schemaName(t), nil)
	worker, other := provider.NewWorkerID(), provider.NewWorkerID()
	for _, w := range []provider.WorkerID{worker, other} {
		if _, err := s.pulse(s.ctx, w); err != nil {
			t.Fatal(err)
		}
	}
	s.start("a")
	item := s.fetchOne(other)
	s.commitTurn(other, &item, provider.Commit{Keep: true, Work: []provider.NewWork{{Event: 1, Class: s.job, Worker: worker}}})
	late := s.begin(pgx.ReadCommitted, fmt.Sprintf(`insert into work (part, iid, execution, event, class, due, attempt, home)
		select part, iid, 1, 2, %d, clock_timestamp(), 0, %d from instance where instance_id = 'a'`, s.job, worker))
	locking := s.begin(pgx.ReadCommitted, `select from work where event = 1 for update`)
	s.within("retirement", func(ctx context.Context) error { return s.RetireWorker(ctx, worker) })
	if items := s.fetchRouted(other, 10, false); len(items) != 0 {
		t.Fatalf("fetched %+v", items)
	}
	s.commit(locking)
	if _, err := s.pulse(s.ctx, other); err != nil { // what was locked is looked at by the next pulse
		t.Fatal(err)
	}
	if items := s.fetchRouted(other, 10, false); len(items) != 1 || items[0].Event != 1 {
		t.Errorf("after the lock was gone: fetched %+v", items)
	}
	s.commit(late)
	s.lookAgain()
	if items := s.fetchRouted(other, 10, false); len(items) != 1 || items[0].Event != 2 {
		t.Errorf("after the late commit: fetched %+v", items)
	}
	s.commitTurn(other, &item, provider.Commit{Keep: true, Work: []provider.NewWork{{Event: 3, Class: s.job, Worker: worker}}})
	if items := s.fetchRouted(other, 10, false); len(items) != 1 || items[0].Event != 3 {
		t.Errorf("queued after the end: fetched %+v", items)
	}
}

// TestRoutedNotifications counts: whom work is for is told once per sleep, and nobody else.
func TestRoutedNotifications(t *testing.T) {
	n := openNotified(t)
	other := provider.NewWorkerID()
	if _, err := n.pulse(n.ctx, other); err != nil {
		t.Fatal(err)
	}
	n.starts(1)()
	held := n.fetch(n.worker, false)[0]
	queue := func(to provider.WorkerID) func() {
		return func() {
			n.Helper()
			n.commitTurn(n.worker, &held, provider.Commit{Keep: true, Work: []provider.NewWork{{Event: held.NextSeq, Class: n.job, Worker: to}}})
		}
	}
	rest := func(worker provider.WorkerID) {
		for len(n.fetchRouted(worker, 100, true)) > 0 {
		}
	}
	rest(n.worker)
	rest(other)
	n.expect("work for another", 1, queue(other))
	n.expect("more for it", 0, queue(other))
	n.expect("for the caller itself", 0, queue(n.worker))
	rest(other)
	n.expect("for one that sleeps again", 1, queue(other))
	rest(other)
	n.expect("for everybody", 1, queue(0)) // one of the two
	rest(n.worker)
	rest(other)
	n.expect("for everybody, as it was for nobody who lives", 1, queue(provider.NewWorkerID()))
	rest(n.worker)
	rest(other)
	queue(other)()
	n.expect("its worker retires: one who sleeps is told", 1, func() {
		if err := n.RetireWorker(n.ctx, other); err != nil {
			t.Fatal(err)
		}
	})
	if items := n.fetchRouted(n.worker, 10, false); len(items) != 4 { // with those that it had claimed
		t.Errorf("fetched %+v", items)
	}
}

// TestRoutedIsWoken has several processes queue work for one worker at once, again and again: notifications alone must bring it
// everything.
func TestRoutedIsWoken(t *testing.T) {
	const rounds, senders = 40, 3
	s := open(t, schemaName(t), &postgres.Options{MaxConns: senders + 1})
	worker := s.sleeperBy(senders+1, func(ctx context.Context, worker provider.WorkerID) (int, error) {
		r, err := s.FetchWorkItems(ctx, &provider.FetchWorkRequest{Worker: worker, Request: provider.NewToken(), Routed: true,
			Max: senders + 1, Sleep: true})
		if err != nil {
			return 0, err
		}
		return len(r.Work), nil
	})
	sender := provider.NewWorkerID()
	var held []provider.OrchestrationItem
	for n := range senders {
		s.start(fmt.Sprint("sender ", n))
		held = append(held, s.fetchOne(sender))
	}
	for round := range rounds {
		var group sync.WaitGroup
		for n := range held {
			group.Go(func() {
				s.commitTurn(sender, &held[n], provider.Commit{Keep: true,
					Work: []provider.NewWork{{Event: held[n].NextSeq, Class: s.job, Worker: worker.worker}}})
			})
		}
		group.Wait()
		if !worker.gets(senders) {
			t.Fatalf("not woken in round %d", round)
		}
	}
}

// TestNewClassesWait has a transaction of a user register a class: others that register new ones wait for it, so that
// numbers appear in order; nobody else does.
func TestNewClassesWait(t *testing.T) {
	s := open(t, schemaName(t), nil)
	known := func(from provider.ClassID) []provider.KnownClass {
		t.Helper()
		r, err := s.Pulse(s.ctx, &provider.PulseRequest{TTL: time.Hour, ClassesFrom: from})
		if err != nil {
			t.Fatal(err)
		}
		return r.Classes
	}
	tx := s.begin(pgx.ReadCommitted, `select start_orchestration('New', priority => 'highest')`)
	s.within("known classes", func(ctx context.Context) error {
		_, err := s.RegisterClasses(ctx, []provider.Class{{Kind: provider.ClassActivity, Name: "Job"}, {Kind: provider.ClassOrchestration, Name: "Flow"}})
		return err
	})
	if all := known(1); len(all) != 2 {
		t.Errorf("known classes %+v", all)
	}
	var group sync.WaitGroup
	for _, priority := range []int8{2, 1} {
		group.Go(func() {
			ids, err := s.RegisterClasses(s.ctx, []provider.Class{{Kind: provider.ClassOrchestration, Name: "New", Priority: priority}})
			if err != nil || len(ids) != 1 || ids[0] == 0 {
				t.Errorf("%v, %v", ids, err)
			}
		})
	}
	s.awaitBlocked(2)
	s.commit(tx)
	group.Wait()
	all := known(s.job + 1)
	if len(all) != 2 || all[0].Priority != 2 || all[1].Priority != 1 || all[0].ID != s.job+1 || all[0].Name != "New" {
		t.Errorf("new classes %+v", all)
	}

	old := s.begin(pgx.RepeatableRead, `select count(*) from class`)
	if _, err := s.RegisterClasses(s.ctx, []provider.Class{{Kind: provider.ClassOrchestration, Name: "Newer"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Exec(s.ctx, `select start_orchestration('Newest')`); err != nil {
		t.Errorf("with an old snapshot: %v", err)
	}
	if _, err := old.Exec(s.ctx, `select start_orchestration('Newer')`); sqlState(err) != "40001" {
		t.Errorf("a class that an old snapshot does not have: %v", err)
	}
}
