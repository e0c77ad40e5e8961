package providertest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"

	"github.com/pawlrun/pawl/provider"
)

// Fault is what goes wrong with one call.
type Fault uint8

// The faults. The caller sees the same for both: an error after which the outcome is unknown.
const (
	NoFault    Fault = iota
	LostBefore       // the call never reaches the store
	LostAfter        // the call commits, the reply is lost
)

// String names the fault.
func (f Fault) String() string { return [...]string{"no fault", "lost before", "lost after"}[f] }

// FaultPlan decides about the n-th call, counted from 0, of the method op.
type FaultPlan func(op string, n int) Fault

// FaultAt is the plan with one fault: at the n-th call of op.
func FaultAt(op string, n int, fault Fault) FaultPlan {
	return func(o string, m int) Fault {
		if o == op && m == n {
			return fault
		}
		return NoFault
	}
}

// RandomFaults is a plan in which about percent of all calls fail. The same seed gives the same faults to the same
// calls, whatever runs beside them; log it.
func RandomFaults(seed uint64, percent int) FaultPlan {
	return func(op string, n int) Fault {
		h := fnv.New64a()
		fmt.Fprintf(h, "%d/%s/%d", seed, op, n)
		sum := h.Sum64()
		if int(sum%100) >= percent {
			return NoFault
		}
		return LostBefore + Fault(sum/100%2)
	}
}

// Faulty returns a provider that passes calls on to p and lets those fail that the plan says. It is a Notifier if p is
// one. Close never fails by plan.
func Faulty(p provider.Provider, plan FaultPlan) provider.Provider {
	f := &faulty{p: p, plan: plan, calls: map[string]int{}}
	if n, ok := p.(provider.Notifier); ok {
		return struct {
			*faulty
			provider.Notifier
		}{f, n}
	}
	return f
}

// faulty is the provider that Faulty returns.
type faulty struct {
	p    provider.Provider
	plan FaultPlan

	mu    sync.Mutex
	calls map[string]int
}

// errLost is the cause of injected errors.
var errLost = errors.New("connection lost (injected)")

// through makes one call as the plan says.
func through[R any](f *faulty, op string, call func() (R, error)) (R, error) {
	f.mu.Lock()
	n := f.calls[op]
	f.calls[op]++
	f.mu.Unlock()
	var none R
	fault := f.plan(op, n)
	lost := &provider.Error{Op: op, Retry: provider.RetryCall, Err: fmt.Errorf("%w: call %d, %v", errLost, n, fault)}
	if fault == LostBefore {
		return none, lost
	}
	r, err := call()
	if err == nil && fault == LostAfter {
		return none, lost
	}
	return r, err
}

func (f *faulty) RegisterClasses(ctx context.Context, classes []provider.Class) ([]provider.ClassID, error) {
	return through(f, "RegisterClasses", func() ([]provider.ClassID, error) { return f.p.RegisterClasses(ctx, classes) })
}

func (f *faulty) StartOrchestrations(ctx context.Context, req *provider.StartRequest) (*provider.AckReply, error) {
	return through(f, "StartOrchestrations", func() (*provider.AckReply, error) { return f.p.StartOrchestrations(ctx, req) })
}

func (f *faulty) EnqueueMessages(ctx context.Context, ms []provider.NewMessage) ([]provider.ItemStatus, error) {
	return through(f, "EnqueueMessages", func() ([]provider.ItemStatus, error) { return f.p.EnqueueMessages(ctx, ms) })
}

func (f *faulty) FetchOrchestrationItems(ctx context.Context, req *provider.FetchRequest) ([]provider.OrchestrationItem, error) {
	return through(f, "FetchOrchestrationItems", func() ([]provider.OrchestrationItem, error) {
		return f.p.FetchOrchestrationItems(ctx, req)
	})
}

func (f *faulty) AckOrchestrationItems(ctx context.Context, req *provider.AckRequest) (*provider.AckReply, error) {
	return through(f, "AckOrchestrationItems", func() (*provider.AckReply, error) { return f.p.AckOrchestrationItems(ctx, req) })
}

func (f *faulty) FetchWorkItems(ctx context.Context, req *provider.FetchWorkRequest) (*provider.FetchWorkReply, error) {
	return through(f, "FetchWorkItems", func() (*provider.FetchWorkReply, error) { return f.p.FetchWorkItems(ctx, req) })
}

func (f *faulty) AckWorkItems(ctx context.Context, req *provider.AckWorkRequest) (*provider.AckReply, error) {
	return through(f, "AckWorkItems", func() (*provider.AckReply, error) { return f.p.AckWorkItems(ctx, req) })
}

func (f *faulty) AbandonItems(ctx context.Context, req *provider.AbandonRequest) error {
	_, err := through(f, "AbandonItems", func() (struct{}, error) { return struct{}{}, f.p.AbandonItems(ctx, req) })
	return err
}

func (f *faulty) Pulse(ctx context.Context, req *provider.PulseRequest) (*provider.PulseReply, error) {
	return through(f, "Pulse", func() (*provider.PulseReply, error) { return f.p.Pulse(ctx, req) })
}

func (f *faulty) RetireWorker(ctx context.Context, w provider.WorkerID) error {
	_, err := through(f, "RetireWorker", func() (struct{}, error) { return struct{}{}, f.p.RetireWorker(ctx, w) })
	return err
}

func (f *faulty) ResumeInstances(ctx context.Context, ids []string) ([]provider.ItemStatus, error) {
	return through(f, "ResumeInstances", func() ([]provider.ItemStatus, error) { return f.p.ResumeInstances(ctx, ids) })
}

func (f *faulty) SuspendInstances(ctx context.Context, ids []string, reason []byte) ([]provider.ItemStatus, error) {
	return through(f, "SuspendInstances", func() ([]provider.ItemStatus, error) { return f.p.SuspendInstances(ctx, ids, reason) })
}

func (f *faulty) TerminateInstances(ctx context.Context, items []provider.Termination) ([]provider.ItemStatus, error) {
	return through(f, "TerminateInstances", func() ([]provider.ItemStatus, error) { return f.p.TerminateInstances(ctx, items) })
}

func (f *faulty) ReadValues(ctx context.Context, id string, keys []string) (values []provider.Value, found bool, err error) {
	values, err = through(f, "ReadValues", func() (v []provider.Value, err error) {
		v, found, err = f.p.ReadValues(ctx, id, keys)
		return v, err
	})
	return values, found && err == nil, err
}

func (f *faulty) ReadInstances(ctx context.Context, ids []string, watch bool) ([]provider.InstanceState, error) {
	return through(f, "ReadInstances", func() ([]provider.InstanceState, error) { return f.p.ReadInstances(ctx, ids, watch) })
}

func (f *faulty) ReadHistory(ctx context.Context, q provider.HistoryQuery) ([]provider.Turn, error) {
	return through(f, "ReadHistory", func() ([]provider.Turn, error) { return f.p.ReadHistory(ctx, q) })
}

func (f *faulty) ListInstances(ctx context.Context, q provider.ListQuery) ([]provider.InstanceState, error) {
	return through(f, "ListInstances", func() ([]provider.InstanceState, error) { return f.p.ListInstances(ctx, q) })
}

func (f *faulty) Close() error { return f.p.Close() }
