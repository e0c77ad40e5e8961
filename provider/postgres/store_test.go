package postgres_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
)

// store is an open provider with classes for one orchestration and one activity.
type store struct {
	*postgres.Provider
	testing.TB
	ctx       context.Context
	dsn       string
	schema    string
	flow, job provider.ClassID
}

func open(t testing.TB, schema string, opts *postgres.Options) *store {
	t.Helper()
	s := &store{TB: t, ctx: t.Context(), schema: schema, dsn: pgtest.SchemaURL(t, schema)}
	s.Provider = s.reopen(opts)
	ids, err := s.RegisterClasses(s.ctx, []provider.Class{
		{Kind: provider.ClassOrchestration, Name: "Flow"}, {Kind: provider.ClassActivity, Name: "Job"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.flow, s.job = ids[0], ids[1]
	return s
}

func (s *store) reopen(opts *postgres.Options) *postgres.Provider {
	s.Helper()
	p, err := postgres.Open(s.ctx, s.dsn, opts)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { p.Close() })
	return p
}

// connect opens a plain connection, as psql would, with the schema in its search path.
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

func schemaName(t testing.TB) string {
	return fmt.Sprintf("t%x %s", uint64(provider.NewToken()), strings.ToLower(t.Name())[:8])
}

func (s *store) fetchOne(worker provider.WorkerID) provider.OrchestrationItem {
	s.Helper()
	items, err := s.FetchOrchestrationItems(s.ctx, &provider.FetchRequest{
		Worker: worker, Request: provider.NewToken(), Classes: []provider.ClassID{s.flow}, Max: 1})
	if err != nil || len(items) != 1 {
		s.Fatalf("fetched %d items, %v", len(items), err)
	}
	return items[0]
}

func (s *store) start(ids ...string) {
	s.Helper()
	req := &provider.StartRequest{}
	for _, id := range ids {
		req.Items = append(req.Items, provider.StartItem{NewInstance: provider.NewInstance{
			InstanceID: id, ExecutionID: provider.NewExecutionID(), Class: s.flow, Events: []byte(`[{}]`)}})
	}
	reply, err := s.StartOrchestrations(s.ctx, req)
	if err != nil {
		s.Fatal(err)
	}
	for i, r := range reply.Results {
		if r.Status != provider.Applied {
			s.Fatalf("start of %s: %v", ids[i], r.Status)
		}
	}
}

func TestSchemaNames(t *testing.T) {
	var stores []*store
	for _, name := range []string{`a "quoted" name`, `Üpper and spaces`, `semi;colon'--`, `back\slash`} {
		s := open(t, schemaName(t)+name, nil)
		s.start("same id")
		stores = append(stores, s)
	}
	for _, s := range stores {
		item := s.fetchOne(provider.NewWorkerID())
		if item.InstanceID != "same id" {
			t.Errorf("%s: fetched %q", s.schema, item.InstanceID)
		}
		all, err := s.ListInstances(s.ctx, provider.ListQuery{})
		if err != nil || len(all) != 1 {
			t.Errorf("%s: %d instances, %v: schemas are not independent", s.schema, len(all), err)
		}
	}
}

func TestConcurrentOpen(t *testing.T) {
	dsn := pgtest.SchemaURL(t, schemaName(t))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			p, err := postgres.Open(t.Context(), dsn, &postgres.Options{MaxConns: 1, Parts: 4})
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Close()
			if p.Parts() != 4 {
				t.Errorf("%d parts, want 4", p.Parts())
			}
			if _, err := p.Pulse(t.Context(), &provider.PulseRequest{Worker: provider.NewWorkerID(), Join: true}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	status, err := postgres.MigrationStatus(t.Context(), dsn, nil)
	if err != nil || len(status) == 0 || status[len(status)-1].AppliedAt.IsZero() {
		t.Errorf("status %v, %v", status, err)
	}
}

func TestMigrate(t *testing.T) {
	dsn := pgtest.SchemaURL(t, schemaName(t))
	_, err := postgres.Open(t.Context(), dsn, &postgres.Options{SkipMigrate: true})
	var refused *provider.Error
	if !errors.As(err, &refused) || refused.Retry != provider.GiveUp {
		t.Errorf("open without a schema: %v", err)
	}
	status, err := postgres.MigrationStatus(t.Context(), dsn, nil)
	if err != nil || len(status) == 0 || !status[0].AppliedAt.IsZero() {
		t.Errorf("status before: %v, %v", status, err)
	}
	for range 2 {
		if err := postgres.Migrate(t.Context(), dsn, nil); err != nil {
			t.Fatal(err)
		}
	}
	p, err := postgres.Open(t.Context(), dsn, &postgres.Options{SkipMigrate: true})
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	if _, err := p.ListInstances(t.Context(), provider.ListQuery{}); err == nil || provider.Retryable(err) {
		t.Errorf("call after Close: %v", err)
	}
}

// TestPartitionGolden pins the partition function: a change would hide every instance that exists.
func TestPartitionGolden(t *testing.T) {
	s := open(t, schemaName(t), &postgres.Options{Parts: 1000})
	conn := s.connect()
	for id, want := range map[string]int16{
		"": 288, "a": 863, "hello-1": 821, "Grüße, 世界 🌍": 222, "order/2026-01-01#42": 210, strings.Repeat("x", 300): 0,
	} {
		var got int16
		if err := conn.QueryRow(s.ctx, "select partition_of($1)", id).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if inGo := provider.PartitionOf(id, 1000); got != inGo || len(id) < 300 && got != want {
			t.Errorf("partition of %.20q: %d in SQL, %d in Go, want %d", id, got, inGo, want)
		}
	}
}

func TestStartAndRaiseInTransaction(t *testing.T) {
	s := open(t, schemaName(t), nil)
	conn := s.connect()
	worker := provider.NewWorkerID()
	tx, err := conn.Begin(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	var id string
	err = tx.QueryRow(s.ctx, `select start_orchestration('Flow', '{"a": "\u0000"}', 'from "sql"')`).Scan(&id)
	if err != nil || id != `from "sql"` {
		t.Fatal(id, err)
	}
	if _, err := tx.Exec(s.ctx, `select raise_event($1, 'go "on"', '[1, 2]', 'm1')`, id); err != nil {
		t.Fatal(err)
	}
	fetch := &provider.FetchRequest{Worker: worker, Request: provider.NewToken(), Classes: []provider.ClassID{s.flow}, Max: 5}
	if items, err := s.FetchOrchestrationItems(s.ctx, fetch); err != nil || len(items) != 0 {
		t.Fatalf("before commit: %v, %v", items, err)
	}
	if err := tx.Commit(s.ctx); err != nil {
		t.Fatal(err)
	}
	item := s.fetchOne(worker)
	events, err := history.DecodeTurn(item.History[0].Events)
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	started, ok := events[0].(*history.ExecutionStarted)
	if !ok || started.Name != "Flow" || started.ExecutionID != item.ExecutionID.String() ||
		string(started.Input.Data) != `{"a": "\u0000"}` || time.Since(started.StartedAt).Abs() > time.Minute {
		t.Errorf("recorded start %+v", started)
	}
	reply, err := s.AckOrchestrationItems(s.ctx, &provider.AckRequest{Worker: worker, Items: []provider.AckItem{{
		Ref: item.Ref, Execution: 1, Seq: 1, Token: item.Token, Commit: provider.Commit{
			Request: provider.NewToken(), Events: []byte(`[{"type":"EventAwaited","name":"go"}]`), EventCount: 1, Waits: []string{`go "on"`}},
	}}})
	if err != nil || len(reply.Results[0].Messages) != 1 {
		t.Fatalf("%+v, %v", reply, err)
	}
	m := reply.Results[0].Messages[0]
	ev, err := history.Decode(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	received, ok := ev.(*history.EventReceived)
	if !ok || m.Name != `go "on"` || m.ID != "m1" || received.MessageID != "m1" || received.Name != m.Name || string(received.Payload.Data) != "[1, 2]" {
		t.Errorf("message %+v, event %+v", m, received)
	}
	for query, code := range map[string]string{
		`select start_orchestration('Flow', null, 'from "sql"')`:                                     "23505",
		`select start_orchestration('')`:                                                             "22023",
		`select start_orchestration('Flow', attributes => '[]')`:                                     "22023",
		`select start_orchestration('Flow', attributes => '{"a": null}')`:                            "22023",
		`select start_orchestration('Flow', attributes => '{"a": 1e300}')`:                           "22023",
		`select start_orchestration('Flow', attributes => '{"a": 1, "a": 2}')`:                       "22023",
		`select start_orchestration('Flow', attributes => '{"": 1}')`:                                "22023",
		`select start_orchestration('Flow', attributes => json_build_object('a', repeat('x', 245)))`: "22023",
		`select raise_event('nobody', 'x')`:                                                          "P0002",
	} {
		if _, err := conn.Exec(s.ctx, query); err == nil || !strings.Contains(err.Error(), code) {
			t.Errorf("%s: %v, want SQLSTATE %s", query, err, code)
		}
	}
}

// TestAttributesInSQL: what is started in SQL has the attributes, byte for byte, that a start in Go would have given it.
func TestAttributesInSQL(t *testing.T) {
	s := open(t, schemaName(t), nil)
	conn := s.connect()
	if _, err := conn.Exec(s.ctx, `select start_orchestration('Flow', instance_id => 'none', attributes => 'null')`); err != nil {
		t.Fatal(err)
	}
	for i, attribute := range []string{`"acme"`, `"\u0061cme <&> \u2028 \"é\\\t\u0001🧪"`, `""`, `3`, `3.0`, `-3.50e1`, `0`, `-0.0`, `0.1`, `0.10`, `1234567.125`, `-0.0001`,
		`9223372036854775807`, `-9223372036854775808`, `1e18`, `99999999999999.5`, `true`, ` false `} {
		id := fmt.Sprint("i", i)
		if _, err := conn.Exec(s.ctx, `select start_orchestration('Flow', instance_id => $1, attributes => $2)`, id,
			fmt.Sprintf(`{"other <\"é": 1, "k": %s}`, attribute)); err != nil {
			t.Fatal(attribute, err)
		}
		want, err := history.Searchable(json.RawMessage(attribute))
		if err != nil {
			t.Fatal(err)
		}
		stored, err := want.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		found, err := s.ListInstances(s.ctx, provider.ListQuery{Prefix: id, Limit: 1,
			Values: []provider.Value{{Key: "k", Data: stored}, {Key: `other <"é`, Data: []byte(`{"json":1}`)}}})
		if err != nil || len(found) != 1 || found[0].InstanceID != id {
			values, _, _ := s.ReadValues(s.ctx, id, nil)
			t.Errorf("%s: found %+v, %v; its values are %s, want %s", attribute, found, err, values[0].Data, stored)
		}
		turns, err := s.ReadHistory(s.ctx, provider.HistoryQuery{InstanceID: id})
		if err != nil {
			t.Fatal(err)
		}
		events, err := history.DecodeTurn(turns[0].Events)
		if err != nil {
			t.Fatal(err)
		}
		if got := events[0].(*history.ExecutionStarted).Values; len(got) != 2 || string(got["k"].Data) != string(want.Data) {
			t.Errorf("%s: the code finds %v, want %s", attribute, got, want.Data)
		}
	}
}

func TestViews(t *testing.T) {
	s := open(t, schemaName(t), nil)
	conn := s.connect()
	for _, sql := range []string{`select start_orchestration('Flow', '"\u0000"', 'one')`, `select start_orchestration('Flow')`} {
		if _, err := conn.Exec(s.ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	item := s.fetchOne(provider.NewWorkerID())
	_, err := s.AckOrchestrationItems(s.ctx, &provider.AckRequest{Worker: 1, Items: []provider.AckItem{{
		Ref: item.Ref, Execution: 1, Seq: 1, Token: item.Token, Commit: provider.Commit{
			Request: provider.NewToken(), Events: []byte(`[{"type":"TurnStarted"},{"type":"ActivityScheduled","name":"\u0000"}]`), EventCount: 2,
			Work: []provider.NewWork{{Event: 2, Class: s.job, Input: []byte(`{}`)}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pulse(s.ctx, &provider.PulseRequest{Worker: 1, Join: true, Name: "w", Serves: []provider.ClassID{s.job, s.flow}}); err != nil {
		t.Fatal(err)
	}
	var serves string
	if err := conn.QueryRow(s.ctx, "select array_to_string(serves, ', ') from workers").Scan(&serves); err != nil || serves != "Flow, Job" {
		t.Errorf("the worker serves %q, %v", serves, err)
	}
	for view, want := range map[string]int{"instances": 2, "history_events": 4, "work_queue": 1, "workers": 1} {
		rows, err := conn.Query(s.ctx, "select * from "+view)
		if err != nil {
			t.Fatal(view, err)
		}
		n := 0
		for rows.Next() {
			n++
		}
		if rows.Err() != nil || n != want {
			t.Errorf("%s: %d rows, want %d (%v)", view, n, want, rows.Err())
		}
	}
	var types string
	err = conn.QueryRow(s.ctx, "select string_agg(type, ' ' order by event) from history_events where instance_id = $1", item.InstanceID).Scan(&types)
	if err != nil || types != "ExecutionStarted TurnStarted ActivityScheduled" {
		t.Errorf("types %q, %v", types, err)
	}
}

func TestDebugLog(t *testing.T) {
	var log bytes.Buffer
	s := open(t, schemaName(t), &postgres.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	log.Reset()
	s.start("a", "b")
	line := log.String()
	if strings.Count(line, "\n") != 1 || !strings.Contains(line, "function=start_orchestrations_v1") ||
		!strings.Contains(line, "items=2") || !strings.Contains(line, "rows=1") || !strings.Contains(line, "duration=") {
		t.Errorf("logged %q", line)
	}
}

func TestErrors(t *testing.T) {
	s := open(t, schemaName(t), nil)
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, err := s.ListInstances(ctx, provider.ListQuery{})
	if !provider.Retryable(err) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled call: %v", err)
	}
	_, err = s.EnqueueMessages(s.ctx, []provider.NewMessage{{Target: "a", Kind: 1, Body: []byte("{no json")}})
	var e *provider.Error
	if !errors.As(err, &e) || e.Retry != provider.GiveUp || e.Code != "22P02" {
		t.Errorf("bad document: %v", err)
	}
	conn := s.connect()
	if _, err := conn.Exec(s.ctx, `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pawl' and pid <> pg_backend_pid()
		and query like '%' || $1 || '%'`, pgx.Identifier{s.schema}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	_, err = s.ListInstances(s.ctx, provider.ListQuery{})
	if !provider.Retryable(err) {
		t.Errorf("call on a terminated connection: %v", err)
	}
	if _, err = s.ListInstances(s.ctx, provider.ListQuery{}); err != nil {
		t.Errorf("repeat after a terminated connection: %v", err)
	}
}
