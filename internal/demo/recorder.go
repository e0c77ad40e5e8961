package demo

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/pawlrun/pawl/provider"
)

// recorder is a store that writes to the effect log which results of activities it has committed. Between the end of an
// activity and that line its result is not known to be safe: a worker killed there holds the activity still.
type recorder struct {
	provider.Provider
	effects *effectLog
	log     *slog.Logger

	mu     sync.Mutex
	ids    map[provider.Ref]string // instance ids of what was granted here
	worker provider.WorkerID       // that joined last
}

// notifyingRecorder is one whose store can notify.
type notifyingRecorder struct {
	*recorder
	provider.Notifier
}

func newRecorder(store provider.Provider, effects *effectLog, log *slog.Logger) provider.Provider {
	r := &recorder{Provider: store, effects: effects, log: log, ids: map[provider.Ref]string{}}
	if n, ok := store.(provider.Notifier); ok {
		return notifyingRecorder{r, n}
	}
	return r
}

// learn remembers the ids of granted instances and work.
func (r *recorder) learn(instances []provider.OrchestrationItem, work []provider.WorkItem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range instances {
		r.ids[instances[i].Ref] = instances[i].InstanceID
	}
	for i := range work {
		r.ids[work[i].Ref] = work[i].InstanceID
	}
}

// record writes the line of one result.
func (r *recorder) record(kind effectKind, key provider.WorkKey) {
	r.mu.Lock()
	id := r.ids[key.Ref]
	r.mu.Unlock()
	r.write(kind, fmt.Sprintf("%s/%d/%d", id, key.Execution, key.Event))
}

func (r *recorder) write(kind effectKind, key string) {
	if err := r.effects.write(kind, key, "", ""); err != nil {
		r.log.Error("effect log cannot be written", "error", err)
	}
}

// Pulse implements provider.Provider.
func (r *recorder) Pulse(ctx context.Context, req *provider.PulseRequest) (*provider.PulseReply, error) {
	if req.Join {
		r.mu.Lock()
		again := r.worker != 0 && r.worker != req.Worker
		r.worker = req.Worker
		r.mu.Unlock()
		if again {
			r.write(effectRejoin, "")
		}
	}
	return r.Provider.Pulse(ctx, req)
}

// FetchOrchestrationItems implements provider.Provider.
func (r *recorder) FetchOrchestrationItems(ctx context.Context, req *provider.FetchRequest) ([]provider.OrchestrationItem, error) {
	items, err := r.Provider.FetchOrchestrationItems(ctx, req)
	r.learn(items, nil)
	return items, err
}

// FetchWorkItems implements provider.Provider.
func (r *recorder) FetchWorkItems(ctx context.Context, req *provider.FetchWorkRequest) (*provider.FetchWorkReply, error) {
	reply, err := r.Provider.FetchWorkItems(ctx, req)
	if err == nil {
		r.learn(reply.Granted, reply.Work)
	}
	return reply, err
}

// AckOrchestrationItems implements provider.Provider.
func (r *recorder) AckOrchestrationItems(ctx context.Context, req *provider.AckRequest) (*provider.AckReply, error) {
	reply, err := r.Provider.AckOrchestrationItems(ctx, req)
	if err != nil {
		return nil, err
	}
	r.learn(reply.Granted, reply.Work)
	for i := range req.Items {
		if reply.Results[i].Status != provider.Applied {
			continue // fenced: the engine sends the results by themselves
		}
		for _, w := range req.Items[i].Finished {
			r.record(effectRecorded, provider.WorkKey{Ref: req.Items[i].Ref, Execution: req.Items[i].Execution, Event: w.Event})
		}
	}
	return reply, nil
}

// AckWorkItems implements provider.Provider.
func (r *recorder) AckWorkItems(ctx context.Context, req *provider.AckWorkRequest) (*provider.AckReply, error) {
	reply, err := r.Provider.AckWorkItems(ctx, req)
	if err != nil {
		return nil, err
	}
	r.learn(reply.Granted, reply.Work)
	for i := range req.Items {
		kind := effectRecorded
		if reply.Results[i].Status != provider.Applied {
			kind = effectRefused
		}
		r.record(kind, req.Items[i].WorkKey)
	}
	return reply, nil
}
