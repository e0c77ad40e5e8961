package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/internal/wiretap"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
)

// TestCrossingMessages has several processes commit turns in batches whose messages go to each other's instances, with
// takes, in any order: no call may fail, in particular none with a deadlock, and no message may be lost.
func TestCrossingMessages(t *testing.T) {
	const workers, instances, rounds = 6, 12, 25
	c := &crossing{store: open(t, schemaName(t), &postgres.Options{MaxConns: workers}), received: map[int64]bool{}}
	for i := range instances {
		c.ids = append(c.ids, fmt.Sprint("crossing-", i))
	}
	c.start(c.ids...)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() { c.work(rand.New(rand.NewPCG(1, uint64(w))), rounds) })
	}
	group.Wait()
	if t.Failed() {
		return
	}
	// What was not consumed must be found by one more worker.
	unread := 0
	for items := c.fetch(1, 100); len(items) > 0; items = c.fetch(1, 100) {
		for _, item := range items {
			unread += len(item.Messages)
		}
	}
	if c.sent != len(c.received)+unread || c.sent == 0 {
		t.Errorf("%d messages sent, %d consumed and %d unread", c.sent, len(c.received), unread)
	}
}

type crossing struct {
	*store
	ids []string

	mu       sync.Mutex
	sent     int
	received map[int64]bool
}

func (c *crossing) fetch(worker provider.WorkerID, max int) []provider.OrchestrationItem {
	items, err := c.FetchOrchestrationItems(c.ctx, &provider.FetchRequest{Worker: worker, Request: provider.NewToken(),
		Classes: []provider.ClassID{c.flow}, Max: max})
	if err != nil {
		c.Error(err)
	}
	return slices.DeleteFunc(items, func(i provider.OrchestrationItem) bool { return i.Held })
}

// work is one process: it commits whatever it is granted, and gives back what it holds in the end.
func (c *crossing) work(random *rand.Rand, rounds int) {
	worker := provider.NewWorkerID()
	var held []provider.OrchestrationItem
	for range rounds {
		req := &provider.AckRequest{Worker: worker, Serves: []provider.ClassID{c.flow}}
		for _, item := range append(c.fetch(worker, 4), held...) {
			req.Items = append(req.Items, c.turn(&item, random))
		}
		random.Shuffle(len(req.Items), func(i, j int) { req.Items[i], req.Items[j] = req.Items[j], req.Items[i] })
		reply, err := c.AckOrchestrationItems(c.ctx, req)
		if err != nil {
			c.Error(err)
			return
		}
		held = reply.Granted
		for i, r := range reply.Results {
			if r.Status != provider.Applied {
				c.Errorf("ack: %v", r.Status)
				continue
			}
			c.mu.Lock()
			c.sent += len(req.Items[i].Messages)
			c.mu.Unlock()
			if len(r.Messages) > 0 {
				held = append(held, provider.OrchestrationItem{Ref: r.Ref, NextSeq: req.Items[i].Seq + 1, Token: req.Items[i].Request, Messages: r.Messages})
			}
		}
	}
	abandon := &provider.AbandonRequest{}
	for _, item := range held {
		abandon.Instances = append(abandon.Instances, provider.AbandonedInstance{Ref: item.Ref, Token: item.Token})
	}
	if err := c.AbandonItems(c.ctx, abandon); err != nil {
		c.Error(err)
	}
}

// turn consumes the messages of an item and sends two to others.
func (c *crossing) turn(item *provider.OrchestrationItem, random *rand.Rand) provider.AckItem {
	a := provider.AckItem{Ref: item.Ref, Execution: 1, Seq: item.NextSeq, Token: item.Token,
		Commit: provider.Commit{Request: provider.NewToken(), Events: []byte(`[{}]`), EventCount: 1}}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range item.Messages {
		if c.received[m.Order] {
			c.Errorf("message %d was consumed twice", m.Order)
		}
		c.received[m.Order] = true
		a.Consumed = append(a.Consumed, m.Order)
	}
	for range 2 {
		a.Messages = append(a.Messages, provider.NewMessage{Target: c.ids[random.IntN(len(c.ids))], Kind: provider.MessageChildDone,
			ID: fmt.Sprint(provider.NewToken()), Body: []byte(`{}`), Take: random.IntN(2) == 0})
	}
	return a
}

// TestConcurrentRepeats sends each request twice at the same time: both must answer as if it was sent once.
func TestConcurrentRepeats(t *testing.T) {
	s := open(t, schemaName(t), nil)
	worker := provider.NewWorkerID()
	s.start("a")
	item := s.fetchOne(worker)
	token, seq := item.Token, item.NextSeq
	for range 50 {
		req := &provider.AckRequest{Worker: worker, Items: []provider.AckItem{{Ref: item.Ref, Execution: 1, Seq: seq, Token: token,
			Commit: provider.Commit{Request: provider.NewToken(), Events: []byte(`[{}]`), EventCount: 1, Keep: true,
				Work: []provider.NewWork{{Event: seq, Class: s.job, Lease: true}}}}}}
		if seq > item.NextSeq {
			req.Items[0].Finished = []provider.FinishedWork{{Event: seq - 1, Token: token}}
		}
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() {
				reply, err := s.AckOrchestrationItems(s.ctx, req)
				if err != nil || reply.Results[0].Status != provider.Applied {
					t.Errorf("%+v, %v", reply, err)
				}
			})
		}
		group.Wait()
		token, seq = req.Items[0].Request, seq+1
	}
	if got, err := s.ReadHistory(s.ctx, provider.HistoryQuery{Ref: item.Ref}); err != nil || len(got) != 51 {
		t.Errorf("%d turns, %v", len(got), err)
	}
}

// TestOneStatementPerCall counts on the wire: every method is one statement in one round trip, in both modes.
func TestOneStatementPerCall(t *testing.T) {
	for _, pooler := range []bool{false, true} {
		t.Run(fmt.Sprintf("pooler=%v", pooler), func(t *testing.T) {
			dsn := pgtest.URL(t)
			u, err := url.Parse(dsn)
			if err != nil {
				t.Fatal(err)
			}
			tap, err := wiretap.Listen(u.Host)
			if err != nil {
				t.Fatal(err)
			}
			defer tap.Close()
			u.Host = tap.Addr()
			p, err := postgres.Open(t.Context(), u.String(), &postgres.Options{MaxConns: 1, PoolerSafe: pooler})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			callEach(t, p) // prepares
			tap.Reset()
			calls := callEach(t, p)
			counts := tap.Counts()
			if counts.RoundTrips != len(calls) || len(counts.Statements) != len(calls) || counts.Prepares != 0 {
				t.Errorf("%d round trips, %d statements and %d prepares for %d calls", counts.RoundTrips, len(counts.Statements), counts.Prepares, len(calls))
			}
			for i, statement := range counts.Statements {
				if !regexp.MustCompile(`^select (\* from )?"[^"]+"\.` + calls[i] + `_v1\(`).MatchString(statement.SQL) {
					t.Errorf("%s sent %s", calls[i], statement.SQL)
				}
			}
		})
	}
}

// callEach makes one call of every method and returns the functions that it expects to be called.
func callEach(t *testing.T, p *postgres.Provider) (calls []string) {
	ctx, worker := t.Context(), provider.NewWorkerID()
	call := func(name string, err error) {
		t.Helper()
		calls = append(calls, name)
		if err != nil {
			t.Fatal(name, err)
		}
	}
	ids, err := p.RegisterClasses(ctx, []provider.Class{{Kind: 1, Name: "Flow"}, {Kind: 2, Name: "Job"}})
	call("register_classes", err)
	commit := func() provider.Commit {
		return provider.Commit{Request: provider.NewToken(), Events: []byte(`[{}]`), EventCount: 1, Keep: true,
			Work:     []provider.NewWork{{Event: 1, Class: ids[1], Lease: true}, {Event: 2, Class: ids[1]}},
			Timers:   []provider.NewTimer{{Event: 3, FireAt: time.Now()}},
			Children: []provider.NewInstance{{InstanceID: fmt.Sprint(provider.NewToken()), ExecutionID: provider.NewExecutionID(), Class: ids[0], Events: []byte(`[{}]`)}},
			Messages: []provider.NewMessage{{Target: "nobody", Kind: 1, Name: "x", Body: []byte(`{}`)}}}
	}
	first := commit()
	id := fmt.Sprint(provider.NewToken())
	started, err := p.StartOrchestrations(ctx, &provider.StartRequest{Worker: worker, Items: []provider.StartItem{{
		NewInstance: provider.NewInstance{InstanceID: id, ExecutionID: provider.NewExecutionID(), Class: ids[0]}, First: &first}}})
	call("start_orchestrations", err)
	_, err = p.EnqueueMessages(ctx, []provider.NewMessage{{Target: id, Kind: 1, Name: "x", Body: []byte(`{}`)}})
	call("enqueue_messages", err)
	second := commit()
	second.Work, second.Timers = nil, []provider.NewTimer{{Event: 2, FireAt: time.Now(), UnlessStarted: true}}
	second.Children[0].Parent = &provider.Parent{InstanceID: id, Execution: 1, Event: 9}
	second.CustomStatus, second.Values = []byte(`"half"`), []provider.Value{{Key: "a", Data: []byte(`1`), Searchable: true}, {Key: "b"}}
	second.Children[0].Values = []provider.Value{{Key: "a", Data: []byte(`1`), Searchable: true}}
	_, err = p.AckOrchestrationItems(ctx, &provider.AckRequest{Worker: worker, Items: []provider.AckItem{{
		Ref: started.Results[0].Ref, Execution: 1, Seq: 1, Token: first.Request, Commit: second}}})
	call("ack_orchestration_items", err)
	_, err = p.FetchOrchestrationItems(ctx, &provider.FetchRequest{Worker: worker, Request: provider.NewToken(), Classes: ids[:1], Max: 5, Timers: true})
	call("fetch_orchestration_items", err)
	fetched, err := p.FetchWorkItems(ctx, &provider.FetchWorkRequest{Worker: worker, Request: provider.NewToken(), Classes: ids[1:], Max: 5})
	call("fetch_work_items", err)
	work := fetched.Work
	_, err = p.FetchWorkItems(ctx, &provider.FetchWorkRequest{Worker: worker, Request: provider.NewToken(), Classes: ids, Ranks: []int16{1, 0}, Routed: true, Max: 5})
	call("fetch_work_items", err)
	_, err = p.AckWorkItems(ctx, &provider.AckWorkRequest{Worker: worker, Items: []provider.AckWorkItem{{WorkKey: work[0].WorkKey, Token: work[0].Token,
		Request: provider.NewToken(), Body: []byte(`{}`), Take: true}}, Serves: ids[:1]})
	call("ack_work_items", err)
	ref := started.Results[0].Ref
	err = p.AbandonItems(ctx, &provider.AbandonRequest{Instances: []provider.AbandonedInstance{{Ref: ref, Token: second.Request}},
		Work: []provider.AbandonedWork{{WorkKey: provider.WorkKey{Ref: ref, Execution: 1, Event: 1}, Token: first.Request}}})
	call("abandon_items", err)
	moved, err := p.FetchWorkItems(ctx, &provider.FetchWorkRequest{Worker: provider.NewWorkerID(), Request: provider.NewToken(), Classes: ids[1:],
		Max: 5, Serves: ids[:1]})
	call("fetch_work_items", err)
	if len(moved.Granted) != 1 || len(moved.Granted[0].History) == 0 {
		t.Fatalf("%+v", moved)
	}
	held := moved.Work[0]
	_, err = p.Pulse(ctx, &provider.PulseRequest{Worker: worker, Join: true, TTL: time.Second, Classes: ids[:1], WorkClasses: ids[1:], Routed: true,
		ClassesFrom: 1, Watch: []string{id}, Serves: ids,
		Held: []provider.HeldWork{{WorkKey: held.WorkKey, Token: held.Token, State: []byte(`1`)}, {WorkKey: held.WorkKey, Token: 1}}})
	call("pulse", err)
	err = p.AbandonItems(ctx, &provider.AbandonRequest{Work: []provider.AbandonedWork{{WorkKey: held.WorkKey, Token: held.Token, State: []byte(`2`), HandOver: true}}})
	call("abandon_items", err)
	callFromOutside(t, p, call, id, second.Children[0].InstanceID)
	for _, watch := range []bool{true, false} {
		_, err = p.ReadInstances(ctx, []string{id}, watch)
		call("read_instances", err)
	}
	_, err = p.ReadHistory(ctx, provider.HistoryQuery{InstanceID: id})
	call("read_history", err)
	_, err = p.ListInstances(ctx, provider.ListQuery{Prefix: id})
	call("list_instances", err)
	_, err = p.ListInstances(ctx, provider.ListQuery{Values: []provider.Value{{Key: "k", Data: []byte(`1`)}, {Key: "l", Data: []byte(`true`)}}})
	call("list_instances", err)
	call("retire_worker", p.RetireWorker(ctx, worker))
	return calls
}

// callFromOutside is callEach for what is done to instances that somebody else may hold.
func callFromOutside(t *testing.T, p *postgres.Provider, call func(string, error), id, child string) {
	t.Helper()
	ctx := t.Context()
	_, err := p.SuspendInstances(ctx, []string{id}, []byte(`{}`))
	call("suspend_instances", err)
	_, err = p.ResumeInstances(ctx, []string{id})
	call("resume_instances", err)
	for _, keys := range [][]string{nil, {"a", "b"}} {
		_, _, err = p.ReadValues(ctx, id, keys)
		call("read_values", err)
	}
	_, err = p.TerminateInstances(ctx, []provider.Termination{{InstanceID: child, Events: []byte(`[{}]`), Answer: []byte(`{}`)},
		{InstanceID: id, Events: []byte(`[{}]`), Children: true}})
	call("terminate_instances", err)
	_, err = p.StartOrchestrations(ctx, &provider.StartRequest{Items: []provider.StartItem{{
		NewInstance:  provider.NewInstance{InstanceID: id, ExecutionID: provider.NewExecutionID(), Class: 1, Events: []byte(`[{}]`)},
		ReplaceEnded: true, Messages: []provider.NewMessage{{Kind: provider.MessageCancel, ID: "1", Body: []byte(`{}`)}}}}})
	call("start_orchestrations", err)
}
