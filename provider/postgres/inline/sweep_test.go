package inline_test

import (
	"testing"

	"github.com/pawlrun/pawl/provider"
)

// TestMessageToRemovedInstance removes an instance while a message to it is on its way: a pulse sweeps what that leaves.
func TestMessageToRemovedInstance(t *testing.T) {
	s := open(t)
	if _, err := s.StartOrchestrations(s.ctx, &provider.StartRequest{Items: []provider.StartItem{{NewInstance: s.instance("a", "")}}}); err != nil {
		t.Fatal(err)
	}
	conn := s.connect()
	tx, err := conn.Begin(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(s.ctx, `lock table hint in share mode`); err != nil {
		t.Fatal(err)
	}
	sent := make(chan error)
	go func() {
		_, err := s.EnqueueMessages(s.ctx, []provider.NewMessage{{Target: "a", Kind: provider.MessageChildDone, ID: "1", Body: []byte(`{}`)}})
		sent <- err
	}()
	for blocked := false; !blocked; {
		if err := s.connect().QueryRow(s.ctx, `select exists (select from pg_locks where relation = 'hint'::regclass and not granted)`).Scan(&blocked); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tx.Exec(s.ctx, `delete from instance where instance_id = 'a'`); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(s.ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pulse(s.ctx, &provider.PulseRequest{Classes: []provider.ClassID{s.flow}}); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := conn.QueryRow(s.ctx, `select (select count(*) from inbox where part >= 0) + (select count(*) from hint where part >= 0)`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows are left, %v", left, err)
	}
}
