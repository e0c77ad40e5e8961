package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/provider"
)

// moving fetches work with its instance.
func (s *store) moving(ctx context.Context, worker provider.WorkerID) (*provider.FetchWorkReply, error) {
	return s.FetchWorkItems(ctx, &provider.FetchWorkRequest{Worker: worker, Request: provider.NewToken(), Max: 5,
		Classes: []provider.ClassID{s.job}, Serves: []provider.ClassID{s.flow}})
}

// TestFetchOfWorkPassesOverLockedInstances fetches work of an instance that somebody has locked: the work comes without
// waiting, the instance does not come. Who has locked it may be waiting for the work.
func TestFetchOfWorkPassesOverLockedInstances(t *testing.T) {
	s := open(t, schemaName(t), nil)
	owner, worker := provider.NewWorkerID(), provider.NewWorkerID()
	s.start("a", "b")
	for range 2 {
		item := s.fetchOne(owner)
		s.commitTurn(owner, &item, provider.Commit{Work: []provider.NewWork{{Event: 1, Class: s.job}}})
	}
	tx := s.begin(pgx.ReadCommitted, `select from instance where instance_id = 'a' for update`)
	s.within("fetch of work", func(ctx context.Context) error {
		r, err := s.moving(ctx, worker)
		if err != nil {
			return err
		}
		if len(r.Work) != 2 || len(r.Granted) != 1 || r.Granted[0].InstanceID != "b" {
			t.Errorf("fetched %+v", r)
		}
		return nil
	})
	s.commit(tx)
	if states, err := s.ReadInstances(s.ctx, []string{"a"}, false); err != nil || states[0].Worker != 0 {
		t.Errorf("%+v, %v", states, err)
	}
}

// TestCostOfMove compares what a fetch of work costs that brings the instance too, with a short and with a long history:
// one that comes whole, and two of which only the latest turns do.
func TestCostOfMove(t *testing.T) {
	p := openPages(t)
	long := 100_000
	if testing.Short() {
		long = 5000
	}
	measure := func(name string, turns int) cost {
		// One for each try, so that each is seen by a stranger for the first time.
		p.addInstances(name, tries, 0, tries, p.flow, p.job)
		p.exec(`insert into history (part, iid, execution, seq, count, token, events)
			select i.part, i.iid, 1, g * 3 - 2, 3, 0, '[{"type":"a"},{"type":"b"},{"type":"c"}]'
			  from instance i, generate_series(1, $2::int) g where i.instance_id like $1 || '%'`, name, turns)
		p.exec(`update instance set next_seq = 1 + 3 * $2::int where instance_id like $1 || '%'`, name, turns)
		p.exec(`vacuum analyze instance, history`)
		return p.of(func() {
			r, err := p.FetchWorkItems(p.ctx, &provider.FetchWorkRequest{Worker: provider.NewWorkerID(), Request: provider.NewToken(), Max: 1,
				Classes: []provider.ClassID{p.job}, Serves: []provider.ClassID{p.flow}})
			if err != nil || len(r.Work) != 1 || len(r.Granted) != 1 {
				p.Fatalf("fetched %+v, %v", r, err)
			}
			if got, want := len(r.Granted[0].History), min(turns+1, provider.MaxGrantTurns); got != want {
				p.Fatalf("%d turns, want %d", got, want)
			}
		})
	}
	measure("first", 5)
	few := measure("few", 10)
	some := measure("some", 2*provider.MaxGrantTurns)
	many := measure("many", long/3)
	t.Logf("10 turns: %+v", few)
	p.flat("fetch of work that moves an instance", some, many)
}
