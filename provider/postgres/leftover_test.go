package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/provider"
)

// TestLeftForRemovedInstance removes an instance, as a start that replaces it does, when somebody has just looked it up to
// send it something. What that leaves for a row that is there no more is swept by a fetch.
func TestLeftForRemovedInstance(t *testing.T) {
	for name, send := range map[string]func(s *store, work provider.AckWorkItem) error{
		"message": func(s *store, _ provider.AckWorkItem) error {
			_, err := s.EnqueueMessages(s.ctx, []provider.NewMessage{{Target: "a", Kind: provider.MessageChildDone, ID: "1", Body: []byte(`{}`)}})
			return err
		},
		"result": func(s *store, work provider.AckWorkItem) error {
			_, err := s.AckWorkItems(s.ctx, &provider.AckWorkRequest{Items: []provider.AckWorkItem{work}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, schemaName(t), nil)
			ref, token := s.family(provider.NewWorkerID(), "a")
			tx := s.begin(pgx.ReadCommitted, `lock table hint in share mode`)
			sent := make(chan error)
			go func() {
				sent <- send(s, provider.AckWorkItem{WorkKey: provider.WorkKey{Ref: ref, Execution: 1, Event: 1}, Token: token, Request: 1, Body: []byte(`{}`)})
			}()
			s.awaitBlocked(1)
			if _, err := tx.Exec(s.ctx, `delete from instance where instance_id = 'a'`); err != nil {
				t.Fatal(err)
			}
			s.commit(tx)
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			conn := s.connect()
			left := func() (rows int) {
				if err := conn.QueryRow(s.ctx, `select count(*) from inbox where part >= 0`).Scan(&rows); err != nil {
					t.Fatal(err)
				}
				return rows
			}
			if n := left(); n != 1 {
				t.Fatalf("%d messages stored, want 1", n)
			}
			if _, err := conn.Exec(s.ctx, `update hint set due = due - interval '1 hour' where part >= 0`); err != nil {
				t.Fatal(err)
			}
			s.within("fetch", func(ctx context.Context) error {
				_, err := s.FetchOrchestrationItems(ctx, &provider.FetchRequest{Worker: provider.NewWorkerID(), Request: provider.NewToken(),
					Classes: []provider.ClassID{s.flow}, Max: 1})
				return err
			})
			if n := left(); n != 0 {
				t.Errorf("%d messages of nobody are left", n)
			}
		})
	}
}
