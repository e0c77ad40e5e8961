package pawl_test

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/internal/pgtest"
)

// TestConnectionsFail cuts the network and terminates backends (57P01) through thousands of commits. The workers live on,
// so nothing may fail, be lost, or be done twice.
func TestConnectionsFail(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w := &world{TB: t, ctx: ctx}
	dsn, schema := named(t, pgtest.URL(t))
	var runs sync.Map // idempotency key to number of executions
	var begun atomic.Int64
	count := func(ctx context.Context, n int) (int, error) {
		info, _ := pawl.ActivityInfoFrom(ctx)
		counter, _ := runs.LoadOrStore(info.IdempotencyKey, new(atomic.Int32))
		counter.(*atomic.Int32).Add(1)
		begun.Add(1)
		return n + 1, nil
	}
	three := func(o *pawl.Context, n int) (int, error) {
		var err error
		for range 3 {
			if n, err = pawl.ActivityByName[int](o, "count", n).Await(); err != nil {
				return 0, err
			}
		}
		return n, nil
	}
	register := []func(*pawl.App){orchestration(three, pawl.Name("three")), activity(count, pawl.Name("count"))}
	apps := []*tapped{w.tap(dsn, nil, register...), w.tap(dsn, nil, register...)}

	stop := wreck(t, ctx, schema, apps, &begun)
	const instances = 800
	slots := make(chan struct{}, 64)
	var work sync.WaitGroup
	for i := range instances {
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			run, err := pawl.StartByName[int](ctx, apps[i%2].App, "three", i, &pawl.StartOptions{InstanceID: fmt.Sprint("i-", i)})
			if err != nil {
				t.Errorf("start %d: %v", i, err)
				return
			}
			if got, err := run.Result(ctx); err != nil || got != i+3 {
				t.Errorf("instance %d: %d, %v", i, got, err)
			}
		})
	}
	work.Wait()
	cuts, kills := stop()
	activities := 0
	runs.Range(func(key, counter any) bool {
		activities++
		if n := counter.(*atomic.Int32).Load(); n != 1 {
			t.Errorf("activity %s ran %d times", key, n)
		}
		return true
	})
	if activities != 3*instances {
		t.Errorf("%d activities ran, want %d", activities, 3*instances)
	}
	t.Logf("%d activities through %d cut connections and %d terminated backends", activities, cuts, kills)
	if cuts == 0 || kills == 0 {
		t.Error("nothing was broken, so nothing is shown")
	}
}

// wreck breaks connections of the apps until stop is called, which tells how many it cut and how many backends it ended. The
// next comes after 50 ms, but not before there was some progress: on a machine that has no time for this test the pulses, too,
// would get through so seldom that it would be about something else.
func wreck(t *testing.T, ctx context.Context, schema string, apps []*tapped, progress *atomic.Int64) (stop func() (cuts, kills int)) {
	t.Helper()
	admin, err := pgx.Connect(ctx, pgtest.ServerURL(t))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var chaos sync.WaitGroup
	cuts, kills := 0, 0
	chaos.Go(func() {
		defer admin.Close(ctx)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		last := int64(-1)
		for i := 0; ; i++ {
			for now := last; now < last+10; now = progress.Load() {
				select {
				case <-done:
					return
				case <-tick.C:
				}
			}
			last = progress.Load()
			if i%2 == 0 {
				cuts += apps[i/2%2].tap.Cut()
				continue
			}
			tag, err := admin.Exec(ctx, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1", "chaos-"+schema)
			if err != nil {
				t.Errorf("terminate backends: %v", err)
				return
			}
			kills += int(tag.RowsAffected())
		}
	})
	return func() (int, int) {
		close(done)
		chaos.Wait()
		return cuts, kills
	}
}

// named gives the connections of a DSN an application name by which the server knows them.
func named(t *testing.T, dsn string) (string, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	schema := q.Get("schema")
	q.Set("application_name", "chaos-"+schema)
	u.RawQuery = q.Encode()
	return u.String(), schema
}
