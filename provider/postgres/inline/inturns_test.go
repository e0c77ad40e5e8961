package inline_test

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/pawlrun/pawl/provider"
)

// inTurns is a provider whose calls are made by two others in turn. It listens through the first.
type inTurns struct {
	providers [2]provider.Provider
	calls     atomic.Uint64
}

var _ provider.Notifier = (*inTurns)(nil)

func (p *inTurns) next() provider.Provider { return p.providers[p.calls.Add(1)%2] }

func (p *inTurns) RegisterClasses(ctx context.Context, classes []provider.Class) ([]provider.ClassID, error) {
	return p.next().RegisterClasses(ctx, classes)
}

func (p *inTurns) StartOrchestrations(ctx context.Context, req *provider.StartRequest) (*provider.AckReply, error) {
	return p.next().StartOrchestrations(ctx, req)
}

func (p *inTurns) EnqueueMessages(ctx context.Context, messages []provider.NewMessage) ([]provider.ItemStatus, error) {
	return p.next().EnqueueMessages(ctx, messages)
}

func (p *inTurns) FetchOrchestrationItems(ctx context.Context, req *provider.FetchRequest) ([]provider.OrchestrationItem, error) {
	return p.next().FetchOrchestrationItems(ctx, req)
}

func (p *inTurns) AckOrchestrationItems(ctx context.Context, req *provider.AckRequest) (*provider.AckReply, error) {
	return p.next().AckOrchestrationItems(ctx, req)
}

func (p *inTurns) FetchWorkItems(ctx context.Context, req *provider.FetchWorkRequest) (*provider.FetchWorkReply, error) {
	return p.next().FetchWorkItems(ctx, req)
}

func (p *inTurns) AckWorkItems(ctx context.Context, req *provider.AckWorkRequest) (*provider.AckReply, error) {
	return p.next().AckWorkItems(ctx, req)
}

func (p *inTurns) AbandonItems(ctx context.Context, req *provider.AbandonRequest) error {
	return p.next().AbandonItems(ctx, req)
}

func (p *inTurns) Pulse(ctx context.Context, req *provider.PulseRequest) (*provider.PulseReply, error) {
	return p.next().Pulse(ctx, req)
}

func (p *inTurns) RetireWorker(ctx context.Context, worker provider.WorkerID) error {
	return p.next().RetireWorker(ctx, worker)
}

func (p *inTurns) ResumeInstances(ctx context.Context, instanceIDs []string) ([]provider.ItemStatus, error) {
	return p.next().ResumeInstances(ctx, instanceIDs)
}

func (p *inTurns) ReadInstances(ctx context.Context, instanceIDs []string, watch bool) ([]provider.InstanceState, error) {
	return p.next().ReadInstances(ctx, instanceIDs, watch)
}

func (p *inTurns) ReadHistory(ctx context.Context, q provider.HistoryQuery) ([]provider.Turn, error) {
	return p.next().ReadHistory(ctx, q)
}

func (p *inTurns) ListInstances(ctx context.Context, q provider.ListQuery) ([]provider.InstanceState, error) {
	return p.next().ListInstances(ctx, q)
}

func (p *inTurns) Listen(ctx context.Context, worker provider.WorkerID, notify func(provider.Notification)) error {
	return p.providers[0].(provider.Notifier).Listen(ctx, worker, notify)
}

func (p *inTurns) Close() error {
	return errors.Join(p.providers[0].Close(), p.providers[1].Close())
}

func (p *inTurns) SuspendInstances(ctx context.Context, instanceIDs []string, reason []byte) ([]provider.ItemStatus, error) {
	return p.next().SuspendInstances(ctx, instanceIDs, reason)
}

func (p *inTurns) TerminateInstances(ctx context.Context, items []provider.Termination) ([]provider.ItemStatus, error) {
	return p.next().TerminateInstances(ctx, items)
}

func (p *inTurns) ReadValues(ctx context.Context, instanceID string, keys []string) ([]provider.Value, bool, error) {
	return p.next().ReadValues(ctx, instanceID, keys)
}
