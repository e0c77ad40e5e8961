package engine

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// strained is a store whose calls take virtual time, on few connections that are given out in the order of asking; a pulse
// has a connection of its own. It notifies nobody: one process alone is told nothing it does not know.
type strained struct {
	provider.Provider
	connections, beats chan struct{}
	// What a call and a pulse take, and a call for each of its items, in nanoseconds.
	call, pulse, item atomic.Int64

	mu       sync.Mutex
	calls    map[string]int // by method, so far
	underWay map[string]int
	most     map[string]int // under way at a time
}

// strain makes a store slow: a call takes as long as told, and item more for each item.
func strain(p provider.Provider, call, item time.Duration) *strained {
	s := &strained{Provider: p, connections: make(chan struct{}, 4), beats: make(chan struct{}, 1),
		calls: map[string]int{}, underWay: map[string]int{}, most: map[string]int{}}
	s.takes(call, call)
	s.item.Store(int64(item))
	return s
}

// takes changes how long calls and pulses take from now on.
func (s *strained) takes(call, pulse time.Duration) {
	s.call.Store(int64(call))
	s.pulse.Store(int64(pulse))
}

// made returns how many calls of the methods there were, of all without any.
func (s *strained) made(ops ...string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for op, calls := range s.calls {
		for _, wanted := range ops {
			if wanted == op {
				n += calls
			}
		}
		if len(ops) == 0 {
			n += calls
		}
	}
	return n
}

// peaks returns the most calls that were under way at a time, by method.
func (s *strained) peaks() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.most)
}

func (s *strained) begins(op string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[op]++
	s.underWay[op]++
	s.most[op] = max(s.most[op], s.underWay[op])
}

func (s *strained) ends(op string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.underWay[op]--
}

// errTimeout is what a caller gets who waits no longer.
var errTimeout = &provider.Error{Op: "call", Retry: provider.RetryCall, Err: context.DeadlineExceeded}

// through makes one call. Half of its time passes before it takes effect and half after; a caller whose context ends
// leaves and does not know which half it was.
func through[R any](ctx context.Context, s *strained, op string, items int, call func(context.Context) (R, error)) (R, error) {
	s.begins(op)
	defer s.ends(op)
	var none R
	connections, takes := s.connections, s.call.Load()+int64(items)*s.item.Load()
	if op == "Pulse" {
		connections, takes = s.beats, s.pulse.Load()
	}
	select {
	case connections <- struct{}{}:
		defer func() { <-connections }()
	case <-ctx.Done():
		return none, errTimeout
	}
	if !passes(ctx, time.Duration(takes)/2) {
		return none, errTimeout
	}
	r, err := call(context.WithoutCancel(ctx))
	if !passes(ctx, time.Duration(takes)/2) {
		return none, errTimeout
	}
	return r, err
}

// passes lets virtual time pass and reports whether ctx has not ended before.
func passes(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (s *strained) StartOrchestrations(ctx context.Context, r *provider.StartRequest) (*provider.AckReply, error) {
	return through(ctx, s, "StartOrchestrations", len(r.Items), func(ctx context.Context) (*provider.AckReply, error) {
		return s.Provider.StartOrchestrations(ctx, r)
	})
}

func (s *strained) EnqueueMessages(ctx context.Context, ms []provider.NewMessage) ([]provider.ItemStatus, error) {
	return through(ctx, s, "EnqueueMessages", len(ms), func(ctx context.Context) ([]provider.ItemStatus, error) {
		return s.Provider.EnqueueMessages(ctx, ms)
	})
}

func (s *strained) FetchOrchestrationItems(ctx context.Context, r *provider.FetchRequest) ([]provider.OrchestrationItem, error) {
	return through(ctx, s, "FetchOrchestrationItems", 1, func(ctx context.Context) ([]provider.OrchestrationItem, error) {
		return s.Provider.FetchOrchestrationItems(ctx, r)
	})
}

func (s *strained) AckOrchestrationItems(ctx context.Context, r *provider.AckRequest) (*provider.AckReply, error) {
	return through(ctx, s, "AckOrchestrationItems", len(r.Items), func(ctx context.Context) (*provider.AckReply, error) {
		return s.Provider.AckOrchestrationItems(ctx, r)
	})
}

func (s *strained) FetchWorkItems(ctx context.Context, r *provider.FetchWorkRequest) (*provider.FetchWorkReply, error) {
	return through(ctx, s, "FetchWorkItems", 1, func(ctx context.Context) (*provider.FetchWorkReply, error) {
		return s.Provider.FetchWorkItems(ctx, r)
	})
}

func (s *strained) AckWorkItems(ctx context.Context, r *provider.AckWorkRequest) (*provider.AckReply, error) {
	return through(ctx, s, "AckWorkItems", len(r.Items), func(ctx context.Context) (*provider.AckReply, error) {
		return s.Provider.AckWorkItems(ctx, r)
	})
}

func (s *strained) AbandonItems(ctx context.Context, r *provider.AbandonRequest) error {
	_, err := through(ctx, s, "AbandonItems", 1, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.Provider.AbandonItems(ctx, r)
	})
	return err
}

func (s *strained) Pulse(ctx context.Context, r *provider.PulseRequest) (*provider.PulseReply, error) {
	return through(ctx, s, "Pulse", 1, func(ctx context.Context) (*provider.PulseReply, error) { return s.Provider.Pulse(ctx, r) })
}

func (s *strained) RetireWorker(ctx context.Context, w provider.WorkerID) error {
	_, err := through(ctx, s, "RetireWorker", 1, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.Provider.RetireWorker(ctx, w)
	})
	return err
}

func (s *strained) ReadInstances(ctx context.Context, ids []string, watch bool) ([]provider.InstanceState, error) {
	return through(ctx, s, "ReadInstances", len(ids), func(ctx context.Context) ([]provider.InstanceState, error) {
		return s.Provider.ReadInstances(ctx, ids, watch)
	})
}

func (s *strained) ReadHistory(ctx context.Context, q provider.HistoryQuery) ([]provider.Turn, error) {
	return through(ctx, s, "ReadHistory", 1, func(ctx context.Context) ([]provider.Turn, error) { return s.Provider.ReadHistory(ctx, q) })
}
