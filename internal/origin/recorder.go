package origin

import (
	"context"
	"sync"
	"time"

	"github.com/pawlrun/pawl/internal/wiretap"
	"github.com/pawlrun/pawl/provider"
)

// Operation is one of a provider's operations that a hello world takes.
type Operation string

// The operations, as reports name them.
const (
	Start     Operation = "start"
	Fetch     Operation = "fetch orchestration item"
	Ack       Operation = "ack orchestration item"
	FetchWork Operation = "fetch work item"
	AckWork   Operation = "ack work item"
)

// operations in the order of reports.
var operations = []Operation{Start, Fetch, Ack, FetchWork, AckWork}

// call is one call of an operation.
type call struct {
	op                  Operation
	queries, roundTrips int
	took                time.Duration
}

// recorder is a store whose operations are timed, and counted on the wire. They must come one after the other. What
// comes by itself, pulses and notifications, goes another way, so that all that is counted belongs to an operation.
type recorder struct {
	provider.Provider
	tap   *wiretap.Proxy
	aside provider.Provider

	underWay sync.RWMutex // held for reading by each operation
	mu       sync.Mutex
	calls    []call
}

var _ provider.Notifier = (*recorder)(nil)

// take returns the calls since it was last called. It waits for one that is under way: a result may be known before the
// operation that has stored it returns.
func (r *recorder) take() []call {
	r.underWay.Lock()
	defer r.underWay.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

// record makes one call.
func record[R any](r *recorder, op Operation, do func() (R, error)) (R, error) {
	r.underWay.RLock()
	defer r.underWay.RUnlock()
	before := r.tap.Counts()
	begin := time.Now()
	result, err := do()
	took := time.Since(begin)
	after := r.tap.Counts()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call{op, len(after.Statements) - len(before.Statements), after.RoundTrips - before.RoundTrips, took})
	return result, err
}

// StartOrchestrations implements provider.Provider.
func (r *recorder) StartOrchestrations(ctx context.Context, req *provider.StartRequest) (*provider.AckReply, error) {
	return record(r, Start, func() (*provider.AckReply, error) { return r.Provider.StartOrchestrations(ctx, req) })
}

// FetchOrchestrationItems implements provider.Provider.
func (r *recorder) FetchOrchestrationItems(ctx context.Context, req *provider.FetchRequest) ([]provider.OrchestrationItem, error) {
	return record(r, Fetch, func() ([]provider.OrchestrationItem, error) { return r.Provider.FetchOrchestrationItems(ctx, req) })
}

// AckOrchestrationItems implements provider.Provider.
func (r *recorder) AckOrchestrationItems(ctx context.Context, req *provider.AckRequest) (*provider.AckReply, error) {
	return record(r, Ack, func() (*provider.AckReply, error) { return r.Provider.AckOrchestrationItems(ctx, req) })
}

// FetchWorkItems implements provider.Provider.
func (r *recorder) FetchWorkItems(ctx context.Context, req *provider.FetchWorkRequest) (*provider.FetchWorkReply, error) {
	return record(r, FetchWork, func() (*provider.FetchWorkReply, error) { return r.Provider.FetchWorkItems(ctx, req) })
}

// AckWorkItems implements provider.Provider.
func (r *recorder) AckWorkItems(ctx context.Context, req *provider.AckWorkRequest) (*provider.AckReply, error) {
	return record(r, AckWork, func() (*provider.AckReply, error) { return r.Provider.AckWorkItems(ctx, req) })
}

// Pulse implements provider.Provider.
func (r *recorder) Pulse(ctx context.Context, req *provider.PulseRequest) (*provider.PulseReply, error) {
	return r.aside.Pulse(ctx, req)
}

// Listen implements provider.Notifier.
func (r *recorder) Listen(ctx context.Context, worker provider.WorkerID, notify func(provider.Notification)) error {
	if n, ok := r.aside.(provider.Notifier); ok {
		return n.Listen(ctx, worker, notify)
	}
	<-ctx.Done()
	return ctx.Err()
}
