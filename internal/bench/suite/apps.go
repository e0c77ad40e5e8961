package suite

import (
	"context"
	"errors"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider"
)

// apps are a client and a worker, one app or two, on stores of their own.
type apps struct {
	client, worker *pawl.App
	stores         []provider.Provider // of the worker, and of the client if it has one
	filling        string
}

// startApps starts a worker for the functions, and a client apart from it if that is wanted.
func (r *runner) startApps(ctx context.Context) (a *apps, err error) {
	a = &apps{filling: r.filling}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.stop(ctx))
		}
	}()
	if a.worker, err = r.newApp(ctx, a); err != nil {
		return a, err
	}
	if err := r.flows.register(a.worker); err != nil {
		return a, err
	}
	if err := a.worker.Start(ctx); err != nil {
		return a, err
	}
	a.client = a.worker
	if r.o.Apart {
		if a.client, err = r.newApp(ctx, a); err != nil {
			return a, err
		}
		err = a.client.Start(ctx)
	}
	return a, err
}

// newApp makes an app in the default configuration, but for the slots.
func (r *runner) newApp(ctx context.Context, a *apps) (*pawl.App, error) {
	store, err := r.place.open(ctx)
	if err != nil {
		return nil, err
	}
	a.stores = append(a.stores, store)
	return pawl.New(store, &pawl.Options{Logger: r.o.Logger, MaxActivities: r.o.Slots}), nil
}

// stop stops the apps and closes their stores, after an interrupt too.
func (a *apps) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	var errs []error
	for _, app := range []*pawl.App{a.client, a.worker} {
		if app != nil {
			errs = append(errs, app.Stop(ctx))
		}
	}
	for _, store := range a.stores {
		errs = append(errs, store.Close())
	}
	return errors.Join(errs...)
}

// completed counts the instances in the store that have a prefix and have completed: what was answered must be there.
func (a *apps) completed(ctx context.Context, prefix string) (n int, err error) {
	q := provider.ListQuery{Prefix: prefix, Limit: 1000}
	for {
		page, err := a.stores[0].ListInstances(ctx, q)
		if err != nil {
			return n, err
		}
		for i := range page {
			if page[i].Status == provider.StatusCompleted {
				n++
			}
		}
		if len(page) < q.Limit {
			return n, nil
		}
		q.Before = page[len(page)-1].Cursor
	}
}
