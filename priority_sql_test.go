package pawl_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
)

// TestPriorityFromSQL: an instance that is started in SQL has the priority that was asked for, and hands it on.
func TestPriorityFromSQL(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dsn := pgtest.URL(t)
	w := &world{TB: t, ctx: ctx, open: func(t testing.TB) provider.Provider {
		p, err := postgres.Open(ctx, dsn, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return p
	}}
	parent := func(o *pawl.Context, child string) (string, error) {
		return pawl.SubOrchestration(o, callNote, child, &pawl.ChildOptions{InstanceID: child}).Await()
	}
	var ran journal
	app := w.app(nil, orchestration(parent, pawl.Name("parent")), orchestration(callNote), ran.noting(nil))
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, pgtest.ServerURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	start := "select " + pgx.Identifier{u.Query().Get("schema"), "start_orchestration"}.Sanitize() + "('parent', $1, $2, priority => $3)"
	for _, p := range []pawl.Priority{pawl.PriorityHigh, pawl.PriorityLowest, pawl.PriorityNormal} {
		child := "child-" + string(p)
		if _, err := conn.Exec(ctx, start, `"`+child+`"`, string(p), string(p)); err != nil {
			t.Fatal(err)
		}
		run, err := pawl.Attach[string](app, string(p))
		if err != nil {
			t.Fatal(err)
		}
		if got := result(w, run); got != child {
			t.Errorf("got %q", got)
		}
		for _, id := range []string{string(p), child} {
			if in, err := app.Describe(ctx, id); err != nil || in.Priority != p {
				t.Errorf("%s has priority %s, %v", id, in.Priority, err)
			}
		}
	}
}
