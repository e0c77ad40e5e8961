package budget

import (
	"context"
	"errors"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/internal/wiretap"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
)

// process is an app that shares nothing with others but the server, and whose connections are counted.
type process struct {
	role
	tap   *wiretap.Proxy
	store *postgres.Provider
	app   *pawl.App
}

// deaf is a store without notifications.
type deaf struct{ provider.Provider }

// stopTimeout bounds the graceful end of a process that is idle.
const stopTimeout = 10 * time.Second

func (m *measurement) start(ctx context.Context, r role) (*process, error) {
	tap, err := wiretap.Listen(m.witness.server())
	if err != nil {
		return nil, err
	}
	p := &process{role: r, tap: tap}
	if p.store, err = postgres.Open(ctx, m.witness.url(tap.Addr()), &postgres.Options{Logger: m.opts.Logger, PoolerSafe: r.pooled}); err != nil {
		return nil, errors.Join(err, p.stop(ctx))
	}
	var store provider.Provider = p.store
	if r.pooled {
		store = deaf{p.store}
	}
	p.app = pawl.New(store, &pawl.Options{Logger: m.opts.Logger, Name: r.name, MaxActivities: r.slots})
	for _, register := range r.functions {
		err = errors.Join(err, register(p.app))
	}
	if err == nil {
		err = p.app.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.stop(ctx))
	}
	return p, nil
}

// stop ends as much of the process as there is.
func (p *process) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	var err error
	if p.app != nil {
		err = p.app.Stop(ctx)
	}
	if p.store != nil {
		err = errors.Join(err, p.store.Close())
	}
	p.tap.Close()
	return err
}

// startAll starts the processes of a scene.
func (m *measurement) startAll(ctx context.Context, roles []role) (all []*process, err error) {
	for _, r := range roles {
		err := wait(ctx, r.later)
		var p *process
		if err == nil {
			p, err = m.start(ctx, r)
		}
		if err != nil {
			return nil, errors.Join(err, stopAll(ctx, all))
		}
		all = append(all, p)
	}
	return all, nil
}

func stopAll(ctx context.Context, all []*process) error {
	var errs []error
	for _, p := range all {
		errs = append(errs, p.stop(ctx))
	}
	return errors.Join(errs...)
}
