package providertest

import (
	"context"

	"github.com/pawlrun/pawl/provider"
)

// repeating is a provider that does what callers have to do: repeat a call whose outcome is unknown, with the same
// request. It gives up after many tries in a row.
type repeating struct{ p provider.Provider }

const triesPerCall = 20

func again[R any](call func() (R, error)) (r R, err error) {
	for range triesPerCall {
		if r, err = call(); !provider.Retryable(err) {
			break
		}
	}
	return r, err
}

func againErr(call func() error) error {
	_, err := again(func() (struct{}, error) { return struct{}{}, call() })
	return err
}

func (r repeating) RegisterClasses(ctx context.Context, classes []provider.Class) ([]provider.ClassID, error) {
	return again(func() ([]provider.ClassID, error) { return r.p.RegisterClasses(ctx, classes) })
}

func (r repeating) StartOrchestrations(ctx context.Context, req *provider.StartRequest) (*provider.AckReply, error) {
	return again(func() (*provider.AckReply, error) { return r.p.StartOrchestrations(ctx, req) })
}

func (r repeating) EnqueueMessages(ctx context.Context, ms []provider.NewMessage) ([]provider.ItemStatus, error) {
	return again(func() ([]provider.ItemStatus, error) { return r.p.EnqueueMessages(ctx, ms) })
}

func (r repeating) FetchOrchestrationItems(ctx context.Context, req *provider.FetchRequest) ([]provider.OrchestrationItem, error) {
	return again(func() ([]provider.OrchestrationItem, error) { return r.p.FetchOrchestrationItems(ctx, req) })
}

func (r repeating) AckOrchestrationItems(ctx context.Context, req *provider.AckRequest) (*provider.AckReply, error) {
	return again(func() (*provider.AckReply, error) { return r.p.AckOrchestrationItems(ctx, req) })
}

func (r repeating) FetchWorkItems(ctx context.Context, req *provider.FetchWorkRequest) (*provider.FetchWorkReply, error) {
	return again(func() (*provider.FetchWorkReply, error) { return r.p.FetchWorkItems(ctx, req) })
}

func (r repeating) AckWorkItems(ctx context.Context, req *provider.AckWorkRequest) (*provider.AckReply, error) {
	return again(func() (*provider.AckReply, error) { return r.p.AckWorkItems(ctx, req) })
}

func (r repeating) AbandonItems(ctx context.Context, req *provider.AbandonRequest) error {
	return againErr(func() error { return r.p.AbandonItems(ctx, req) })
}

func (r repeating) Pulse(ctx context.Context, req *provider.PulseRequest) (*provider.PulseReply, error) {
	return again(func() (*provider.PulseReply, error) { return r.p.Pulse(ctx, req) })
}

func (r repeating) RetireWorker(ctx context.Context, w provider.WorkerID) error {
	return againErr(func() error { return r.p.RetireWorker(ctx, w) })
}

func (r repeating) ResumeInstances(ctx context.Context, ids []string) ([]provider.ItemStatus, error) {
	return again(func() ([]provider.ItemStatus, error) { return r.p.ResumeInstances(ctx, ids) })
}

func (r repeating) SuspendInstances(ctx context.Context, ids []string, reason []byte) ([]provider.ItemStatus, error) {
	return again(func() ([]provider.ItemStatus, error) { return r.p.SuspendInstances(ctx, ids, reason) })
}

func (r repeating) TerminateInstances(ctx context.Context, items []provider.Termination) ([]provider.ItemStatus, error) {
	return again(func() ([]provider.ItemStatus, error) { return r.p.TerminateInstances(ctx, items) })
}

func (r repeating) ReadValues(ctx context.Context, id string, keys []string) (values []provider.Value, found bool, err error) {
	values, err = again(func() (v []provider.Value, err error) {
		v, found, err = r.p.ReadValues(ctx, id, keys)
		return v, err
	})
	return values, found, err
}

func (r repeating) ReadInstances(ctx context.Context, ids []string, watch bool) ([]provider.InstanceState, error) {
	return again(func() ([]provider.InstanceState, error) { return r.p.ReadInstances(ctx, ids, watch) })
}

func (r repeating) ReadHistory(ctx context.Context, q provider.HistoryQuery) ([]provider.Turn, error) {
	return again(func() ([]provider.Turn, error) { return r.p.ReadHistory(ctx, q) })
}

func (r repeating) ListInstances(ctx context.Context, q provider.ListQuery) ([]provider.InstanceState, error) {
	return again(func() ([]provider.InstanceState, error) { return r.p.ListInstances(ctx, q) })
}

func (r repeating) Close() error { return r.p.Close() }
