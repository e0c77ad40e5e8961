package inline_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
	"github.com/pawlrun/pawl/provider/postgres/inline"
)

// store is an open provider with a class of orchestrations.
type store struct {
	*inline.Provider
	testing.TB
	ctx    context.Context
	schema string
	flow   provider.ClassID
	worker provider.WorkerID
}

func open(t testing.TB) *store {
	t.Helper()
	s := &store{TB: t, ctx: t.Context(), schema: fmt.Sprintf("t%x", uint64(provider.NewToken())), worker: provider.NewWorkerID()}
	p, err := inline.Open(s.ctx, pgtest.SchemaURL(t, s.schema), &postgres.Options{MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	s.Provider = p
	ids, err := p.RegisterClasses(s.ctx, []provider.Class{{Kind: provider.ClassOrchestration, Name: "Flow"}})
	if err != nil {
		t.Fatal(err)
	}
	s.flow = ids[0]
	return s
}

// connect opens a plain connection with the schema in its search path.
func (s *store) connect() *pgx.Conn {
	s.Helper()
	conn, err := pgx.Connect(s.ctx, pgtest.ServerURL(s))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { conn.Close(context.Background()) })
	if _, err := conn.Exec(s.ctx, "set search_path = "+pgx.Identifier{s.schema}.Sanitize()); err != nil {
		s.Fatal(err)
	}
	return conn
}

// instance is a new instance of the class, the child of another if that is named.
func (s *store) instance(id, parent string) provider.NewInstance {
	n := provider.NewInstance{InstanceID: id, ExecutionID: provider.NewExecutionID(), Class: s.flow, Events: []byte(`[{}]`)}
	if parent != "" {
		n.Parent = &provider.Parent{InstanceID: parent, Execution: 1, Event: 1}
	}
	return n
}

func turn(children ...provider.NewInstance) provider.Commit {
	return provider.Commit{Request: provider.NewToken(), Events: []byte(`[{}]`), EventCount: 1, Keep: true, Children: children}
}

// startHeld starts instances with their first turn and keeps them.
func (s *store) startHeld(instances ...provider.NewInstance) []provider.AckItem {
	s.Helper()
	req := &provider.StartRequest{Worker: s.worker}
	for _, n := range instances {
		first := turn()
		req.Items = append(req.Items, provider.StartItem{NewInstance: n, First: &first})
	}
	reply, err := s.StartOrchestrations(s.ctx, req)
	if err != nil {
		s.Fatal(err)
	}
	items := make([]provider.AckItem, len(instances))
	for n, r := range reply.Results {
		if r.Status != provider.Applied {
			s.Fatalf("%s: %s", instances[n].InstanceID, r.Status)
		}
		items[n] = provider.AckItem{Ref: r.Ref, Execution: 1, Seq: 1, Token: req.Items[n].First.Request}
	}
	return items
}

func (s *store) statuses(ids ...string) map[string]provider.InstanceStatus {
	s.Helper()
	states, err := s.ReadInstances(s.ctx, ids, false)
	if err != nil {
		s.Fatal(err)
	}
	found := make(map[string]provider.InstanceStatus)
	for _, st := range states {
		found[st.InstanceID] = st.Status
	}
	return found
}

// terminate ends instances, each with its children if that is asked for.
func (s *store) terminate(ctx context.Context, children bool, ids ...string) ([]provider.ItemStatus, error) {
	var items []provider.Termination
	for _, id := range ids {
		items = append(items, provider.Termination{InstanceID: id, Events: []byte(`[{}]`), Answer: []byte(`{}`), Children: children})
	}
	return s.TerminateInstances(ctx, items)
}

// TestTerminateWaitsForNewChildren has a commit under way that creates a child and a grandchild, while their root is ended
// with its children.
func TestTerminateWaitsForNewChildren(t *testing.T) {
	s := open(t)
	s.startHeld(s.instance("root", ""))
	other := s.connect()
	tx, err := other.Begin(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	const copied = `insert into instance (part, instance_id, created_at, execution_id, class, next_seq, parent_id, parent_execution, parent_event)
		select part, $1, created_at, gen_random_uuid(), class, 1, $2, 1, 1 from instance where instance_id = 'root'`
	for _, statement := range []string{`select from instance where instance_id = 'root' for update`} {
		if _, err := tx.Exec(s.ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		_, err := s.terminate(s.ctx, true, "root")
		ended <- err
	}()
	s.awaitBlocked()
	for _, child := range [][2]string{{"child", "root"}, {"grandchild", "child"}} {
		if _, err := tx.Exec(s.ctx, copied, child[0], child[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(s.ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	states, err := s.ListInstances(s.ctx, provider.ListQuery{})
	if err != nil || len(states) != 3 {
		t.Fatalf("%d instances, %v", len(states), err)
	}
	for _, st := range states {
		if st.Status != provider.StatusTerminated {
			t.Errorf("%s is %s", st.InstanceID, st.Status)
		}
	}
}

// awaitBlocked returns when a call on the store waits for a lock.
func (s *store) awaitBlocked() {
	s.Helper()
	conn, deadline := s.connect(), time.Now().Add(5*time.Second)
	for blocked := 0; blocked == 0; {
		err := conn.QueryRow(s.ctx, `select count(*) from pg_stat_activity, lateral (select pg_sleep(0.01)) pause
			where application_name = 'pawl inline' and wait_event_type = 'Lock' and strpos(query, $1) > 0`, s.schema).Scan(&blocked)
		if err != nil || time.Now().After(deadline) {
			s.Fatalf("nothing is blocked, %v", err)
		}
	}
}

// TestTerminationsAmongCommits ends trees of instances from both ends while their turns commit and create more of them: all
// calls go through, and nothing is left running.
func TestTerminationsAmongCommits(t *testing.T) {
	const roots = 6
	s := open(t)
	var ids []string
	var instances []provider.NewInstance
	for n := range roots {
		ids = append(ids, fmt.Sprint("root ", n))
		instances = append(instances, s.instance(ids[n], ""))
	}
	held := s.startHeld(instances...)
	for n := range held {
		held[n].Commit = turn(s.instance(ids[n]+" a", ids[n]), s.instance(ids[n]+" b", ids[n]))
	}
	backwards := make([]string, roots)
	var children []string
	for n := range roots {
		backwards[n] = ids[roots-1-n]
		children = append(children, ids[n]+" b", ids[n]+" a")
	}
	var calls sync.WaitGroup
	call := func(name string, do func() error) {
		calls.Go(func() {
			if err := do(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	call("commit", func() error {
		_, err := s.AckOrchestrationItems(s.ctx, &provider.AckRequest{Worker: s.worker, Items: held})
		return err
	})
	for _, list := range [][]string{ids, backwards, children} {
		call("terminate", func() error {
			_, err := s.terminate(s.ctx, true, list...)
			return err
		})
	}
	call("suspend", func() error {
		_, err := s.SuspendInstances(s.ctx, backwards, []byte(`"test"`))
		return err
	})
	calls.Wait()
	for id, status := range s.statuses(append(ids, children...)...) {
		if status != provider.StatusTerminated {
			t.Errorf("%s is %s", id, status)
		}
	}
}

// TestReplaceAtOnce has many starts replace one instance that has ended: one of them does, and the others find it there.
func TestReplaceAtOnce(t *testing.T) {
	const starts = 8
	s := open(t)
	s.startHeld(s.instance("job", ""))
	if _, err := s.terminate(s.ctx, false, "job"); err != nil {
		t.Fatal(err)
	}
	results := make(chan provider.ItemStatus, starts)
	var calls sync.WaitGroup
	for range starts {
		calls.Go(func() {
			reply, err := s.StartOrchestrations(s.ctx, &provider.StartRequest{Items: []provider.StartItem{{
				NewInstance: s.instance("job", ""), ReplaceEnded: true,
				Messages: []provider.NewMessage{{Kind: provider.MessageExternalEvent, Name: "go", ID: "1", Body: []byte(`{}`)}},
			}}})
			if err != nil {
				t.Error(err)
				return
			}
			results <- reply.Results[0].Status
		})
	}
	calls.Wait()
	close(results)
	count := make(map[provider.ItemStatus]int)
	for status := range results {
		count[status]++
	}
	if count[provider.Applied] != 1 || count[provider.Exists] != starts-1 {
		t.Errorf("answers %v", count)
	}
	var instances, turns, messages int
	err := s.connect().QueryRow(s.ctx, `select (select count(*) from instance where part >= 0), (select count(*) from history where part >= 0),
		(select count(*) from inbox where part >= 0)`).Scan(&instances, &turns, &messages)
	if err != nil || instances != 1 || turns != 1 || messages != 1 {
		t.Errorf("%d instances, %d turns, %d messages, %v", instances, turns, messages, err)
	}
}
