package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
)

// Tests of what users call from SQL to control instances: on a plain connection, with no worker alive.

// sqlState is the SQLSTATE of an error, "" if there is none.
func sqlState(err error) string {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return server.Code
	}
	return ""
}

// family starts an instance that is held by the worker under the returned token, with the named children, each of
// which waits in the queue.
func (s *store) family(worker provider.WorkerID, id string, children ...string) (provider.Ref, provider.Token) {
	s.Helper()
	first := provider.Commit{Request: provider.NewToken(), Events: []byte(`[{"type":"ExecutionStarted"},{"type":"TurnStarted"}]`), EventCount: 2, Keep: true,
		Work: []provider.NewWork{{Event: 1, Class: s.job, Lease: true}}, Timers: []provider.NewTimer{{Event: 1, FireAt: time.Now().Add(time.Hour)}}}
	for i, child := range children {
		first.Children = append(first.Children, provider.NewInstance{InstanceID: child, ExecutionID: childExecution(i), Class: s.flow, Events: []byte(`[{}]`),
			Parent: &provider.Parent{InstanceID: id, Execution: 1, Event: int32(10 + i)}})
	}
	reply, err := s.StartOrchestrations(s.ctx, &provider.StartRequest{Worker: worker, Items: []provider.StartItem{{First: &first,
		NewInstance: provider.NewInstance{InstanceID: id, ExecutionID: provider.NewExecutionID(), Class: s.flow}}}})
	if err != nil || reply.Results[0].Status != provider.Applied {
		s.Fatalf("%+v, %v", reply, err)
	}
	return reply.Results[0].Ref, first.Request
}

func childExecution(n int) provider.ExecutionID { return provider.ExecutionID{15: byte(n + 1)} }

func (s *store) state(id string) provider.InstanceState {
	s.Helper()
	states, err := s.ReadInstances(s.ctx, []string{id}, false)
	if err != nil || len(states) != 1 {
		s.Fatalf("%s: %+v, %v", id, states, err)
	}
	return states[0]
}

// refuses checks how a function answers for an instance that does not exist and for one that has ended.
func (s *store) refuses(function, ended string) {
	s.Helper()
	conn := s.connect()
	for id, want := range map[string]string{"nobody": "P0002", ended: "55000"} {
		if _, err := conn.Exec(s.ctx, "select "+function+"($1)", id); sqlState(err) != want {
			s.Errorf("%s of %s: %v, want SQLSTATE %s", function, id, err, want)
		}
	}
}

func TestTerminateFromSQL(t *testing.T) {
	s := open(t, schemaName(t), nil)
	worker := provider.NewWorkerID()
	ref, token := s.family(worker, "parent", "child", "other")
	s.family(worker, "bystander", "its child")
	work := provider.AckWorkItem{WorkKey: provider.WorkKey{Ref: ref, Execution: 1, Event: 1}, Token: token, Request: 1, Body: []byte(`{}`)}

	tx := s.begin(pgx.ReadCommitted, `select terminate_orchestration('parent')`)
	if err := tx.Rollback(s.ctx); err != nil {
		t.Fatal(err)
	}
	if st := s.state("parent"); st.Status != provider.StatusRunning || st.Worker != worker {
		t.Errorf("after a rollback: %+v", st)
	}

	s.commit(s.begin(pgx.ReadCommitted, `select terminate_orchestration('child', E'too "slow"\n')`))
	st := s.state("child")
	events, err := history.DecodeTurn(st.LastTurn.Events)
	if err != nil || st.Status != provider.StatusTerminated || st.EndedAt.IsZero() || st.NextSeq != 2 || len(events) != 1 ||
		*events[0].(*history.ExecutionTerminated) != (history.ExecutionTerminated{Reason: "too \"slow\"\n"}) {
		t.Errorf("child %+v, %+v, %v", st, events, err)
	}
	items, err := s.FetchOrchestrationItems(s.ctx, &provider.FetchRequest{Worker: worker, Request: provider.NewToken(), Classes: []provider.ClassID{s.flow}, Max: 9})
	i := slices.IndexFunc(items, func(i provider.OrchestrationItem) bool { return i.InstanceID == "parent" })
	if err != nil || i < 0 || len(items[i].Messages) != 1 {
		t.Fatalf("fetched %+v, %v", items, err)
	}
	m := items[i].Messages[0]
	answer, err := history.Decode(m.Body)
	if err != nil || m.Kind != provider.MessageChildDone || m.Event != 10 || m.Execution != 1 || m.ID != childExecution(0).String() {
		t.Errorf("message %+v, %v", m, err)
	}
	if failed, ok := answer.(*history.ChildFailed); !ok || failed.Failure.Kind != history.FailureTerminated || failed.Failure.Message != "too \"slow\"\n" {
		t.Errorf("answer %+v", answer)
	}

	s.commit(s.begin(pgx.ReadCommitted, `select terminate_orchestration('parent', children => true)`))
	for id, want := range map[string]provider.InstanceStatus{"parent": provider.StatusTerminated, "other": provider.StatusTerminated,
		"bystander": provider.StatusRunning, "its child": provider.StatusRunning} {
		if st := s.state(id); st.Status != want {
			t.Errorf("%s is %v, want %v", id, st.Status, want)
		}
	}
	if last := string(s.state("parent").LastTurn.Events); last != `[{"type":"ExecutionTerminated"}]` {
		t.Errorf("last turn %s", last)
	}
	ack, err := s.AckOrchestrationItems(s.ctx, &provider.AckRequest{Worker: worker, Items: []provider.AckItem{{Ref: ref, Execution: 1, Seq: 2, Token: token,
		Commit: provider.Commit{Request: provider.NewToken(), Events: []byte(`[{}]`), EventCount: 1}}}})
	if err != nil || ack.Results[0].Status != provider.Fenced {
		t.Errorf("ack by the old holder: %+v, %v", ack, err)
	}
	recorded, err := s.AckWorkItems(s.ctx, &provider.AckWorkRequest{Worker: worker, Items: []provider.AckWorkItem{work}})
	if err != nil || recorded.Results[0].Status != provider.Gone {
		t.Errorf("result of removed work: %+v, %v", recorded, err)
	}
	var left int
	err = s.connect().QueryRow(s.ctx, `select count(*) from instance i where instance_id in ('parent', 'child', 'other')
		and (exists (select from work w where w.part = i.part and w.iid = i.iid) or exists (select from timer m where m.part = i.part and m.iid = i.iid)
		  or exists (select from inbox m where m.part = i.part and m.iid = i.iid))`).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("%d ended instances have left something, %v", left, err)
	}
	s.refuses("terminate_orchestration", "parent")
}

func TestCancelFromSQL(t *testing.T) {
	s := open(t, schemaName(t), nil)
	s.start("a", "ended")
	worker := provider.NewWorkerID()
	tx := s.begin(pgx.ReadCommitted, `select cancel_orchestration('a', 'no "use"')`, `select terminate_orchestration('ended')`)
	s.commit(tx)
	item := s.fetchOne(worker)
	if item.InstanceID != "a" || len(item.Messages) != 1 || item.Messages[0].Kind != provider.MessageCancel || item.Messages[0].ID == "" {
		t.Fatalf("fetched %+v", item)
	}
	ev, err := history.Decode(item.Messages[0].Body)
	if cancel, ok := ev.(*history.CancelRequested); !ok || cancel.Reason != `no "use"` {
		t.Errorf("body %s, %v", item.Messages[0].Body, err)
	}
	s.refuses("cancel_orchestration", "ended")
}

func TestSuspendAndResumeFromSQL(t *testing.T) {
	s := open(t, schemaName(t), nil)
	worker := provider.NewWorkerID()
	ref, token := s.family(worker, "a")
	s.start("ended")
	s.commit(s.begin(pgx.ReadCommitted, `select suspend_orchestration('a', 'wait')`, `select suspend_orchestration('a', 'once more')`,
		`select terminate_orchestration('ended')`))
	if st := s.state("a"); st.Worker != 0 || string(st.Parked) != `{"reason":"suspended","detail":"wait"}` {
		t.Errorf("suspended: %+v, %s", st, st.Parked)
	}
	if _, err := s.pulse(s.ctx, worker); err != nil {
		t.Fatal(err)
	}
	// The activity goes on, but its worker dies.
	if _, err := s.pulse(s.ctx, provider.NewWorkerID(), s.beat(worker)); err != nil {
		t.Fatal(err)
	}
	other := provider.NewWorkerID()
	fetched, err := s.FetchWorkItems(s.ctx, &provider.FetchWorkRequest{Worker: other, Request: provider.NewToken(), Classes: []provider.ClassID{s.job}, Max: 1,
		Serves: []provider.ClassID{s.flow}})
	if err != nil || len(fetched.Work) != 1 || fetched.Work[0].Ref != ref || fetched.Work[0].Token == token || len(fetched.Granted) != 0 {
		t.Fatalf("fetched %+v, %v", fetched, err)
	}
	result := provider.AckWorkItem{WorkKey: fetched.Work[0].WorkKey, Token: fetched.Work[0].Token, Request: provider.NewToken(), Body: []byte(`{}`)}
	if _, err := s.AckWorkItems(s.ctx, &provider.AckWorkRequest{Worker: other, Items: []provider.AckWorkItem{result}}); err != nil {
		t.Fatal(err)
	}
	fetch := &provider.FetchRequest{Worker: other, Request: provider.NewToken(), Classes: []provider.ClassID{s.flow}, Max: 9}
	if items, err := s.FetchOrchestrationItems(s.ctx, fetch); err != nil || len(items) != 0 {
		t.Fatalf("fetched while suspended: %+v, %v", items, err)
	}
	s.commit(s.begin(pgx.ReadCommitted, `select resume_orchestration('a')`))
	item := s.fetchOne(other)
	if item.InstanceID != "a" || len(item.Messages) != 1 || item.Messages[0].Kind != provider.MessageActivityDone {
		t.Errorf("fetched after resume: %+v", item)
	}
	s.refuses("suspend_orchestration", "ended")
	s.refuses("resume_orchestration", "ended")
}

// TestTerminateWithLateChild has a parent commit another child while the call that ends the family waits for it.
func TestTerminateWithLateChild(t *testing.T) {
	s := open(t, schemaName(t), nil)
	s.family(provider.NewWorkerID(), "parent", "child 0", "child 1", "child 2", "child 3", "child 4")
	tx := s.begin(pgx.ReadCommitted, `select from instance where instance_id = 'parent' for update`,
		`insert into instance (part, instance_id, class, execution_id, next_seq, created_at, parent_id, parent_execution, parent_event)
		 select partition_of('late ' || g), 'late ' || g, class, gen_random_uuid(), 1, now(), 'parent', 1, g
		   from instance, generate_series(1, 20) g where instance_id = 'parent'`,
		`insert into instance (part, instance_id, class, execution_id, next_seq, created_at, parent_id, parent_execution, parent_event)
		 select partition_of('grandchild'), 'grandchild', class, gen_random_uuid(), 1, now(), 'late 7', 1, 1 from instance where instance_id = 'parent'`)
	var group sync.WaitGroup
	group.Go(func() {
		statuses, err := s.TerminateInstances(s.ctx, []provider.Termination{{InstanceID: "parent", Events: []byte(`[{}]`), Children: true},
			{InstanceID: "child 3", Events: []byte(`[{}]`)}})
		if err != nil || !slices.Equal(statuses, []provider.ItemStatus{provider.Applied, provider.Gone}) {
			t.Errorf("answers %v, %v", statuses, err)
		}
	})
	s.awaitBlocked(1)
	s.commit(tx)
	group.Wait()
	all, err := s.ListInstances(s.ctx, provider.ListQuery{})
	if err != nil || len(all) != 27 {
		t.Fatalf("%d instances, %v", len(all), err)
	}
	for _, st := range all {
		if st.Status != provider.StatusTerminated {
			t.Errorf("%s is %v", st.InstanceID, st.Status)
		}
	}
}

// TestTerminationsCross ends overlapping families from several sides while their turns are committed in batches: each
// instance is ended once, and no call runs into a deadlock, which would be an error.
func TestTerminationsCross(t *testing.T) {
	s := open(t, schemaName(t), &postgres.Options{MaxConns: 6})
	for round := range 12 {
		const families, size = 3, 6
		worker := provider.NewWorkerID()
		var acks []provider.AckItem
		var one, all []provider.Termination
		for f := range families {
			var children []string
			for c := range size {
				children = append(children, fmt.Sprint("child ", round, f, c))
				one = append(one, provider.Termination{InstanceID: children[c], Events: []byte(`[{}]`), Answer: []byte(`{}`)})
			}
			id := fmt.Sprint("parent ", round, f)
			ref, token := s.family(worker, id, children...)
			acks = append(acks, provider.AckItem{Ref: ref, Execution: 1, Seq: 2, Token: token, Finished: []provider.FinishedWork{{Event: 1, Token: token}},
				Commit: provider.Commit{Request: provider.NewToken(), Events: []byte(`[{}]`), EventCount: 1, Keep: true, Children: []provider.NewInstance{{
					InstanceID: "another of " + id, ExecutionID: provider.NewExecutionID(), Class: s.flow, Events: []byte(`[{}]`),
					Parent: &provider.Parent{InstanceID: id, Execution: 1, Event: 30}}}}})
			all = append(all, provider.Termination{InstanceID: id, Events: []byte(`[{}]`), Answer: []byte(`{}`), Children: true})
		}
		slices.Reverse(one)
		var group sync.WaitGroup
		applied := make([][]provider.ItemStatus, 3)
		for i, items := range [][]provider.Termination{one, all, append(all[:len(all):len(all)], one...)} {
			group.Go(func() {
				var err error
				if applied[i], err = s.TerminateInstances(s.ctx, items); err != nil {
					t.Error(err)
				}
			})
		}
		group.Go(func() {
			if _, err := s.AckOrchestrationItems(s.ctx, &provider.AckRequest{Worker: worker, Items: acks}); err != nil {
				t.Error(err)
			}
		})
		group.Wait()
		parents := 0
		for i, statuses := range [][]provider.ItemStatus{applied[1], applied[2][:min(families, len(applied[2]))]} {
			for k, status := range statuses {
				if status == provider.Applied {
					parents++
				} else if status != provider.Gone {
					t.Errorf("call %d, item %d: %v", i, k, status)
				}
			}
		}
		if parents != families {
			t.Errorf("%d parents ended, want %d", parents, families)
		}
	}
	running := provider.StatusRunning
	left, err := s.ListInstances(s.ctx, provider.ListQuery{Status: &running})
	if err != nil || len(left) != 0 {
		t.Errorf("still running: %+v, %v", left, err)
	}
}

// TestReplacedInstanceIsSwept replaces an ended instance that has left hints, and one late message of a transaction that
// was open all the time: a later fetch removes both.
func TestReplacedInstanceIsSwept(t *testing.T) {
	s := open(t, schemaName(t), nil)
	s.start("a")
	late := s.begin(pgx.ReadCommitted, `select raise_event('a', 'late')`)
	if _, err := s.connect().Exec(s.ctx, `select terminate_orchestration('a')`); err != nil {
		t.Fatal(err)
	}
	// Beside it an instance that waits for nothing, so that fetches find no other hint.
	item := provider.StartItem{ReplaceEnded: true, First: &provider.Commit{Request: provider.NewToken(), Events: []byte(`[{},{}]`), EventCount: 2},
		NewInstance: provider.NewInstance{InstanceID: "a", ExecutionID: provider.NewExecutionID(), Class: s.flow}}
	worker := provider.NewWorkerID()
	for range 2 { // also a repeat
		reply, err := s.StartOrchestrations(s.ctx, &provider.StartRequest{Worker: worker, Items: []provider.StartItem{item}})
		if err != nil || reply.Results[0].Status != provider.Applied {
			t.Fatalf("%+v, %v", reply, err)
		}
	}
	s.commit(late)
	conn := s.connect()
	if _, err := conn.Exec(s.ctx, `update hint set due = due - interval '1 minute' where part >= 0`); err != nil {
		t.Fatal(err)
	}
	p := s.reopen(nil) // which looks from the start
	fetch := &provider.FetchRequest{Worker: worker, Request: provider.NewToken(), Classes: []provider.ClassID{s.flow}, Max: 3}
	if items, err := p.FetchOrchestrationItems(s.ctx, fetch); err != nil || len(items) != 0 {
		t.Errorf("fetched %+v, %v", items, err)
	}
	var left int
	err := conn.QueryRow(s.ctx, `select (select count(*) from hint where part >= 0) + (select count(*) from inbox where part >= 0)
		+ (select count(*) from history h where part >= 0 and not exists (select from instance i where i.iid = h.iid))`).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("%d rows left, %v", left, err)
	}
}

// TestReplacementsCross starts instances that end with their first turn, under the same few ids and in batches of different
// orders: whoever comes next finds them ended and takes their place, also when several come at once.
func TestReplacementsCross(t *testing.T) {
	s := open(t, schemaName(t), &postgres.Options{MaxConns: 6})
	const callers, rounds, ids = 4, 8, 5
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			for round := range rounds {
				req := &provider.StartRequest{Worker: 1}
				for i := range ids {
					req.Items = append(req.Items, provider.StartItem{ReplaceEnded: true,
						NewInstance: provider.NewInstance{InstanceID: fmt.Sprint("i", (i+caller+round)%ids), ExecutionID: provider.NewExecutionID(), Class: s.flow},
						First: &provider.Commit{Request: provider.NewToken(), Events: []byte(`[{},{}]`), EventCount: 2, Status: provider.StatusCompleted,
							Values: []provider.Value{{Key: "k", Data: []byte(`1`)}}}})
				}
				reply, err := s.StartOrchestrations(s.ctx, req)
				if err != nil {
					t.Error(err)
					return
				}
				for i, r := range reply.Results {
					if r.Status != provider.Applied {
						t.Errorf("caller %d, round %d, item %d: %v", caller, round, i, r.Status)
					}
				}
			}
		})
	}
	group.Wait()
	var counts string
	err := s.connect().QueryRow(s.ctx, `select (select count(*) from instance where part >= 0) || ' ' || (select count(*) from history where part >= 0)
		|| ' ' || (select count(*) from value where part >= 0)`).Scan(&counts)
	if err != nil || counts != "5 5 5" {
		t.Errorf("%s instances, turns and values are left, want 5 of each, %v", counts, err)
	}
}

// TestStatusNotification counts the notifications of commits that set a custom status.
func TestStatusNotification(t *testing.T) {
	n := openNotified(t)
	ref, token := n.family(n.worker, "watched")
	seq := int32(2)
	commit := func() {
		ack := provider.AckItem{Ref: ref, Execution: 1, Seq: seq, Token: token, Commit: provider.Commit{Request: provider.NewToken(),
			Events: []byte(`[{}]`), EventCount: 1, Keep: true, CustomStatus: []byte(`{"done": 1}`)}}
		for range 2 { // also a repeat
			reply, err := n.AckOrchestrationItems(n.ctx, &provider.AckRequest{Worker: n.worker, Items: []provider.AckItem{ack}})
			if err != nil || reply.Results[0].Status != provider.Applied {
				t.Fatalf("%+v, %v", reply, err)
			}
		}
		token, seq = ack.Request, seq+1
	}
	n.expect("status nobody watches", 0, commit)
	if _, err := n.ReadInstances(n.ctx, []string{"watched"}, true); err != nil {
		t.Fatal(err)
	}
	n.notifications()
	for range 2 {
		commit()
		if got := n.notifications(); len(got) != 1 || got[0] != "swatched" {
			t.Errorf("notified %q", got)
		}
	}
	if st := n.state("watched"); string(st.CustomStatus) != `{"done": 1}` || st.StatusVersion != 3 {
		t.Errorf("state %+v", st)
	}
	var shown string
	if err := n.psql.QueryRow(n.ctx, `select status || ' ' || custom_status from instances where instance_id = 'watched'`).Scan(&shown); err != nil ||
		shown != `running {"done": 1}` {
		t.Errorf("view shows %q, %v", shown, err)
	}
	kinds := make(chan provider.Notification, 9)
	listening, stop := context.WithCancel(n.ctx)
	var group sync.WaitGroup
	group.Go(func() { n.Listen(listening, n.worker, func(note provider.Notification) { kinds <- note }) })
	<-kinds
	commit()
	for note := range kinds {
		if note.Kind == provider.NotifyStatus {
			if note.InstanceID != "watched" {
				t.Errorf("notification %+v", note)
			}
			break
		}
	}
	stop()
	group.Wait()
	if _, err := n.psql.Exec(n.ctx, `select terminate_orchestration('watched')`); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(n.notifications(), "|"); !strings.Contains(got, `d{"part"`) || !strings.Contains(got, `"version" : 4`) {
		t.Errorf("notified of the end: %q", got)
	}
	if err := n.psql.QueryRow(n.ctx, `select status from instances where instance_id = 'watched'`).Scan(&shown); err != nil || shown != "terminated" {
		t.Errorf("view shows %q, %v", shown, err)
	}
}

// TestOpenTermination ends an instance in a transaction that stays open: its worker must go on beating and fetching, and
// learns of it in the end.
func TestOpenTermination(t *testing.T) {
	s := open(t, schemaName(t), nil)
	worker := provider.NewWorkerID()
	ref, token := s.family(worker, "a", "child")
	held := provider.HeldWork{WorkKey: provider.WorkKey{Ref: ref, Execution: 1, Event: 1}, Token: token, State: []byte(`"half"`)}
	pulse := func(ctx context.Context) (*provider.PulseReply, error) {
		return s.Pulse(ctx, &provider.PulseRequest{Worker: worker, Join: true, TTL: time.Hour, Classes: []provider.ClassID{s.flow},
			WorkClasses: []provider.ClassID{s.job}, Held: []provider.HeldWork{held}})
	}
	if _, err := pulse(s.ctx); err != nil {
		t.Fatal(err)
	}
	var state string
	if err := s.connect().QueryRow(s.ctx, `select state from work_queue where instance_id = 'a'`).Scan(&state); err != nil || state != `"half"` {
		t.Errorf("state %s, %v", state, err)
	}
	tx := s.begin(pgx.ReadCommitted, `select terminate_orchestration('a', null, true)`)
	s.within("pulse", func(ctx context.Context) error {
		reply, err := pulse(ctx)
		if err == nil && len(reply.Gone) != 0 {
			t.Errorf("gone before the commit: %v", reply.Gone)
		}
		return err
	})
	s.within("fetch", func(ctx context.Context) error {
		items, err := s.FetchOrchestrationItems(ctx, &provider.FetchRequest{Worker: worker, Request: provider.NewToken(), Classes: []provider.ClassID{s.flow},
			Max: 5, Timers: true})
		if len(items) != 0 {
			t.Errorf("fetched %+v", items)
		}
		return err
	})
	s.within("fetch of work", func(ctx context.Context) error {
		_, err := s.FetchWorkItems(ctx, &provider.FetchWorkRequest{Worker: worker, Request: provider.NewToken(), Classes: []provider.ClassID{s.job}, Max: 5,
			Serves: []provider.ClassID{s.flow}})
		return err
	})
	s.within("raise", func(ctx context.Context) error {
		_, err := s.EnqueueMessages(ctx, []provider.NewMessage{{Target: "a", Kind: provider.MessageCancel, Body: []byte(`{}`)}})
		return err
	})
	s.commit(tx)
	if reply, err := pulse(s.ctx); err != nil || len(reply.Gone) != 1 || reply.Gone[0] != held.WorkKey {
		t.Errorf("pulse after the commit: %+v, %v", reply, err)
	}
}
