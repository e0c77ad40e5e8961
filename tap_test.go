package pawl_test

import (
	"context"
	"net/url"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/internal/wiretap"
	"github.com/pawlrun/pawl/provider/postgres"
)

// tapped is an app on a store behind a wiretap.
type tapped struct {
	*pawl.App
	tap *wiretap.Proxy
}

// tap starts an app whose connections can be watched and cut.
func (w *world) tap(dsn string, opts *pawl.Options, register ...func(*pawl.App)) *tapped {
	w.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		w.Fatal(err)
	}
	proxy, err := wiretap.Listen(u.Host)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(proxy.Close)
	u.Host = proxy.Addr()
	store, err := postgres.Open(w.ctx, u.String(), nil)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { store.Close() })
	app := pawl.New(store, opts)
	for _, r := range register {
		r(app)
	}
	if err := app.Start(w.ctx); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { app.Stop(context.Background()) })
	return &tapped{app, proxy}
}
