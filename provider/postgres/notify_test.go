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

// notified is a store whose notifications are counted.
type notified struct {
	*store
	listener *pgx.Conn // hears all of them
	psql     *pgx.Conn
	worker   provider.WorkerID
	started  int
}

func openNotified(t *testing.T) *notified {
	t.Helper()
	n := &notified{store: open(t, schemaName(t), nil), worker: provider.NewWorkerID()}
	n.listener, n.psql = n.connect(), n.connect()
	if _, err := n.listener.Exec(n.ctx, "listen "+pgx.Identifier{n.schema}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	if _, err := n.pulse(n.ctx, n.worker); err != nil {
		t.Fatal(err)
	}
	return n
}

// expect fails the test if the call, or anything else meanwhile, has not sent as many notifications.
func (n *notified) expect(what string, want int, call func()) {
	n.Helper()
	n.notifications()
	call()
	if got := n.notifications(); len(got) != want {
		n.Errorf("%s: %d notifications, want %d: %q", what, len(got), want, got)
	}
}

// notifications returns the payloads of all that were sent since the last call.
func (n *notified) notifications() (payloads []string) {
	n.Helper()
	const end = "the end"
	if _, err := n.psql.Exec(n.ctx, `select pg_notify($1, $2)`, n.schema, end); err != nil {
		n.Fatal(err)
	}
	for {
		ctx, cancel := context.WithTimeout(n.ctx, 5*time.Second)
		got, err := n.listener.WaitForNotification(ctx)
		cancel()
		if err != nil {
			n.Fatal(err)
		}
		if got.Payload == end {
			return payloads
		}
		payloads = append(payloads, got.Payload)
	}
}

// sql is a call from psql.
func (n *notified) sql(sql string) func() {
	return func() {
		n.Helper()
		if _, err := n.psql.Exec(n.ctx, sql); err != nil {
			n.Fatal(sql, err)
		}
	}
}

// starts is a call that starts instances: "instance 1" and so on.
func (n *notified) starts(number int) func() {
	return func() {
		n.Helper()
		var ids []string
		for range number {
			n.started++
			ids = append(ids, fmt.Sprint("instance ", n.started))
		}
		n.start(ids...)
	}
}

// message is a call that sends a message to the first instance.
func (n *notified) message() {
	n.Helper()
	if _, err := n.EnqueueMessages(n.ctx, []provider.NewMessage{{Target: "instance 1", Kind: provider.MessageChildDone, Body: []byte(`{}`)}}); err != nil {
		n.Fatal(err)
	}
}

func (n *notified) fetch(worker provider.WorkerID, sleep bool) []provider.OrchestrationItem {
	n.Helper()
	items, err := n.FetchOrchestrationItems(n.ctx, &provider.FetchRequest{Worker: worker, Request: provider.NewToken(),
		Classes: []provider.ClassID{n.flow}, Max: 100, Sleep: sleep})
	if err != nil {
		n.Fatal(err)
	}
	return items
}

// asleep has a worker fetch whatever there is and fall asleep.
func (n *notified) asleep(worker provider.WorkerID) {
	n.Helper()
	for len(n.fetch(worker, true)) > 0 {
	}
}

// TestOneNotificationPerSleep counts: a sleeper is notified once, by whoever comes first.
func TestOneNotificationPerSleep(t *testing.T) {
	n := openNotified(t)
	n.sql(`update presence set turns = null, turns_mark = null`)() // as before it has ever slept
	n.expect("nobody sleeps", 0, n.starts(3))
	held := n.fetch(n.worker, false)
	n.expect("the worker is busy", 0, n.starts(1))
	n.expect("it holds an instance, and has never slept", 1, n.message)
	n.asleep(n.worker)
	n.expect("the worker sleeps", 1, n.starts(10))
	n.expect("it has been notified", 0, n.starts(10))
	n.expect("it has been notified, say senders in SQL", 0, n.sql(`select start_orchestration('Flow')`))
	n.asleep(n.worker)
	n.expect("the owner of an instance sleeps", 1, n.message)
	n.expect("the owner has been notified", 0, n.message)
	n.asleep(n.worker)
	n.expect("a sender in SQL", 1, n.sql(`select start_orchestration('Flow')`))
	n.expect("another one", 0, n.sql(`select raise_event('instance 1', 'go')`))
	n.asleep(n.worker)
	n.expect("many in one transaction", 1,
		n.sql(`select start_orchestration('Flow'), raise_event('instance 1', 'go') from generate_series(1, 20)`))
	n.asleep(n.worker)

	other := provider.NewWorkerID()
	n.expect("another worker comes and finds nothing", 0, func() {
		if _, err := n.pulse(n.ctx, other); err != nil {
			t.Fatal(err)
		}
	})
	n.expect("two workers sleep, one instance", 1, n.starts(1))
	n.expect("the second of them", 1, n.starts(1))
	n.expect("none is left", 0, n.starts(1))
	n.asleep(other)
	n.expect("a worker that holds instances retires, one sleeps", 1, func() {
		if err := n.RetireWorker(n.ctx, n.worker); err != nil {
			t.Fatal(err)
		}
	})
	if len(held) == 0 {
		t.Error("nothing was held")
	}
}

// TestNotificationsBesideTransactions has transactions of users stay open that have notified a sleeper: it is not awake
// before they commit.
func TestNotificationsBesideTransactions(t *testing.T) {
	n := openNotified(t)
	n.asleep(n.worker)
	tx := n.begin(pgx.ReadCommitted, `select start_orchestration('Flow')`)
	n.expect("beside a transaction that has not notified yet", 1, n.starts(1))
	n.expect("beside it, again", 0, n.starts(1))
	n.asleep(n.worker)
	n.expect("it ends when the worker sleeps again", 1, func() { n.commit(tx) })
	n.expect("its notification was for the sleep before", 1, n.starts(1))
	n.asleep(n.worker)
	tx = n.begin(pgx.ReadCommitted, `select start_orchestration('Flow')`)
	if err := tx.Rollback(n.ctx); err != nil {
		t.Fatal(err)
	}
	n.expect("after a transaction that was rolled back", 1, n.starts(1))
}

// TestOneNotificationPerCall has calls that concern sleepers, owners and watchers at once.
func TestOneNotificationPerCall(t *testing.T) {
	n := openNotified(t)
	other := provider.NewWorkerID()
	n.starts(4)()
	var ids []string
	req := &provider.AckRequest{Worker: n.worker}
	for i, held := range n.fetch(n.worker, false) {
		ids = append(ids, held.InstanceID)
		c := provider.Commit{Request: provider.NewToken(), Events: []byte(`[{}]`), EventCount: 1, Status: provider.StatusCompleted}
		if i == 0 {
			c.Status = provider.StatusRunning
			c.Work = []provider.NewWork{{Event: 1, Class: n.job}, {Event: 2, Class: n.job}}
			c.Timers = []provider.NewTimer{{Event: 3, FireAt: time.Now()}}
			c.Messages = []provider.NewMessage{{Target: "instance 5", Kind: provider.MessageChildDone, Body: []byte(`{}`)}}
			c.Children = []provider.NewInstance{{InstanceID: "child", ExecutionID: provider.NewExecutionID(), Class: n.flow, Events: []byte(`[{}]`)}}
		}
		req.Items = append(req.Items, provider.AckItem{Ref: held.Ref, Execution: 1, Seq: held.NextSeq, Token: held.Token, Commit: c})
	}
	if _, err := n.ReadInstances(n.ctx, ids, true); err != nil {
		t.Fatal(err)
	}
	n.starts(1)()
	if _, err := n.pulse(n.ctx, other); err != nil {
		t.Fatal(err)
	}
	n.fetch(other, true) // holds "instance 5"
	n.asleep(other)
	n.asleep(n.worker)
	n.expect("an ack with everything", 1, func() {
		if _, err := n.AckOrchestrationItems(n.ctx, req); err != nil {
			t.Fatal(err)
		}
	})
	n.asleep(n.worker)
	n.expect("a pulse that fires a timer", 1, func() {
		if _, err := n.pulse(n.ctx, other); err != nil {
			t.Fatal(err)
		}
	})
}

// sleeper is a worker that fetches when it is notified, and falls asleep when there is nothing to do. It has no pulse.
type sleeper struct {
	*store
	worker  provider.WorkerID
	wake    chan struct{}
	fetched chan int // how many, each time it was some
}

func (s *store) sleeper(most int) *sleeper {
	s.Helper()
	return s.sleeperBy(most, func(ctx context.Context, worker provider.WorkerID) (int, error) {
		items, err := s.FetchOrchestrationItems(ctx, &provider.FetchRequest{Worker: worker, Request: provider.NewToken(),
			Classes: []provider.ClassID{s.flow}, Max: most, Sleep: true})
		return len(items), err
	})
}

// sleeperBy is a sleeper that fetches something else, at most this many.
func (s *store) sleeperBy(most int, fetch func(context.Context, provider.WorkerID) (int, error)) *sleeper {
	s.Helper()
	w := &sleeper{store: s, worker: provider.NewWorkerID(), wake: make(chan struct{}, 1), fetched: make(chan int, 1000)}
	if _, err := s.pulse(s.ctx, w.worker); err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	var tasks sync.WaitGroup
	s.Cleanup(func() {
		cancel()
		tasks.Wait()
	})
	tasks.Go(func() { s.Listen(ctx, w.worker, func(provider.Notification) { w.kick() }) })
	tasks.Go(func() {
		for {
			select {
			case <-w.wake:
			case <-ctx.Done():
				return
			}
			for n := most; n == most; {
				var err error
				if n, err = fetch(ctx, w.worker); err != nil && ctx.Err() == nil {
					s.Error(err)
				}
				if n > 0 {
					w.fetched <- n
				}
			}
		}
	})
	return w
}

func (w *sleeper) kick() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// gets reports whether the sleeper has fetched as many within 2 seconds.
func (w *sleeper) gets(want int) bool {
	late := time.After(2 * time.Second)
	for want > 0 {
		select {
		case n := <-w.fetched:
			want -= n
		case <-late:
			return false
		}
	}
	return true
}

// TestEverybodyIsWoken has several senders start instances at once, again and again: notifications alone must bring the
// worker everything.
func TestEverybodyIsWoken(t *testing.T) {
	const rounds, senders = 60, 4
	s := open(t, schemaName(t), &postgres.Options{MaxConns: senders + 1})
	w := s.sleeper(1 + senders)
	for round := range rounds {
		var group sync.WaitGroup
		for i := range senders {
			group.Go(func() { s.start(fmt.Sprintf("woken %d %d", round, i)) })
		}
		group.Wait()
		if !w.gets(senders) {
			t.Fatalf("not woken in round %d", round)
		}
	}
}

// TestWokenByLateCommit has a transaction queue something that has seen that the worker was notified already. The worker
// looks, finds what it was notified of, and sleeps again before the transaction commits: nobody notifies it of that.
func TestWokenByLateCommit(t *testing.T) {
	s := open(t, schemaName(t), nil)
	w := s.sleeper(10)
	for round := range 3 {
		late := s.begin(pgx.ReadCommitted, `insert into rung select turns_mark from presence`, `select start_orchestration('Flow')`)
		s.start(fmt.Sprint("early ", round))
		if !w.gets(1) {
			t.Fatal("not woken")
		}
		<-time.After(time.Duration(round) * 40 * time.Millisecond)
		s.commit(late)
		if !w.gets(1) {
			t.Errorf("round %d: not woken by what was committed late", round)
		}
	}
}
