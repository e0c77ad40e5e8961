package providertest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// hooked is a provider that goes wrong where a hook is set and is correct elsewhere.
type hooked struct {
	provider.Provider
	start     func(*provider.StartRequest)
	started   func(*provider.AckReply)
	enqueue   func([]provider.NewMessage)
	fetch     func(*provider.FetchRequest)
	fetched   func([]provider.OrchestrationItem)
	ack       func(*provider.AckRequest) error
	acked     func(*provider.AckReply)
	gotWork   func([]provider.WorkItem)
	ackWork   func(*provider.AckWorkRequest)
	states    func(ids []string, states []provider.InstanceState) []provider.InstanceState
	turns     func([]provider.Turn)
	values    func([]provider.Value)
	failed    func(error) error // every error of a start or a read
	onClose   func()
	emptyFail bool
}

// with makes the wrapper that sets hooks.
func with(set func(*hooked)) func(provider.Provider) provider.Provider {
	return func(p provider.Provider) provider.Provider {
		h := &hooked{Provider: p}
		set(h)
		return h
	}
}

var errEmpty = &provider.Error{Op: "any", Retry: provider.GiveUp, Err: errors.New("no items")}

func (h *hooked) StartOrchestrations(ctx context.Context, req *provider.StartRequest) (*provider.AckReply, error) {
	c := *req
	c.Items = slices.Clone(req.Items)
	if h.start != nil {
		h.start(&c)
	}
	if h.emptyFail && len(c.Items) == 0 {
		return nil, errEmpty
	}
	r, err := h.Provider.StartOrchestrations(ctx, &c)
	if err == nil && h.started != nil {
		h.started(r)
	}
	if err != nil && h.failed != nil {
		err = h.failed(err)
	}
	return r, err
}

func (h *hooked) EnqueueMessages(ctx context.Context, ms []provider.NewMessage) ([]provider.ItemStatus, error) {
	ms = slices.Clone(ms)
	if h.enqueue != nil {
		h.enqueue(ms)
	}
	return h.Provider.EnqueueMessages(ctx, ms)
}

func (h *hooked) FetchOrchestrationItems(ctx context.Context, req *provider.FetchRequest) ([]provider.OrchestrationItem, error) {
	c := *req
	if h.fetch != nil {
		h.fetch(&c)
	}
	items, err := h.Provider.FetchOrchestrationItems(ctx, &c)
	if h.fetched != nil {
		h.fetched(items)
	}
	return items, err
}

func (h *hooked) AckOrchestrationItems(ctx context.Context, req *provider.AckRequest) (*provider.AckReply, error) {
	c := *req
	c.Items = slices.Clone(req.Items)
	if h.ack != nil {
		if err := h.ack(&c); err != nil {
			return nil, err
		}
	}
	r, err := h.Provider.AckOrchestrationItems(ctx, &c)
	if err == nil && h.acked != nil {
		h.acked(r)
	}
	return r, err
}

func (h *hooked) FetchWorkItems(ctx context.Context, req *provider.FetchWorkRequest) (*provider.FetchWorkReply, error) {
	r, err := h.Provider.FetchWorkItems(ctx, req)
	if err == nil && h.gotWork != nil {
		h.gotWork(r.Work)
	}
	return r, err
}

func (h *hooked) AckWorkItems(ctx context.Context, req *provider.AckWorkRequest) (*provider.AckReply, error) {
	c := *req
	c.Items = slices.Clone(req.Items)
	if h.ackWork != nil {
		h.ackWork(&c)
	}
	return h.Provider.AckWorkItems(ctx, &c)
}

func (h *hooked) ReadInstances(ctx context.Context, ids []string, watch bool) ([]provider.InstanceState, error) {
	states, err := h.Provider.ReadInstances(ctx, ids, watch)
	if err == nil && h.states != nil {
		states = h.states(ids, states)
	}
	if err != nil && h.failed != nil {
		err = h.failed(err)
	}
	return states, err
}

func (h *hooked) ReadHistory(ctx context.Context, q provider.HistoryQuery) ([]provider.Turn, error) {
	turns, err := h.Provider.ReadHistory(ctx, q)
	if h.turns != nil {
		h.turns(turns)
	}
	return turns, err
}

func (h *hooked) ReadValues(ctx context.Context, id string, keys []string) ([]provider.Value, bool, error) {
	values, found, err := h.Provider.ReadValues(ctx, id, keys)
	if h.values != nil {
		h.values(values)
	}
	return values, found, err
}

func (h *hooked) Close() error {
	if h.onClose != nil {
		h.onClose()
	}
	return h.Provider.Close()
}

// deaf is a notifier whose Listen returns nothing, ever.
type deaf struct{ provider.Provider }

func (deaf) Listen(ctx context.Context, _ provider.WorkerID, _ func(provider.Notification)) error {
	<-ctx.Done()
	return nil
}

// wrappedMutants are wrong around a correct model.
var wrappedMutants = []mutant{
	wrapped("start-forgets-ref", with(func(h *hooked) {
		h.started = func(r *provider.AckReply) {
			for i := range r.Results {
				r.Results[i].Ref = provider.Ref{}
			}
		}
	}), "start/committed-with-first-turn", "S1"),
	wrapped("eager-start-loses-work", with(func(h *hooked) {
		h.start = func(req *provider.StartRequest) {
			for i, it := range req.Items {
				if it.First != nil {
					first := *it.First
					first.Work = nil
					req.Items[i].First = &first
				}
			}
		}
	}), "start/eager-whole-turn", "W6", "repeat/eager-start", "I2"),
	wrapped("eager-start-is-plain", with(func(h *hooked) {
		h.start = func(req *provider.StartRequest) {
			for i := range req.Items {
				req.Items[i].First = nil
			}
		}
	}), "start/eager-whole-turn", "S6"),
	wrapped("grant-without-execution-id", with(func(h *hooked) {
		h.fetched = func(items []provider.OrchestrationItem) {
			for i := range items {
				items[i].ExecutionID = provider.ExecutionID{}
			}
		}
	}), "fetch/grant-carries-everything", "F1"),
	wrapped("fetch-fires-no-timers", with(func(h *hooked) {
		h.fetch = func(req *provider.FetchRequest) { req.Timers = false }
	}), "fetch/timers", "F9"),
	wrapped("commit-loses-timers", with(func(h *hooked) {
		h.ack = func(req *provider.AckRequest) error {
			for i := range req.Items {
				req.Items[i].Timers = nil
			}
			return nil
		}
	}), "ack/whole-turn", "T5", "timer/next", "T5"),
	wrapped("commit-loses-work", with(func(h *hooked) {
		h.ack = func(req *provider.AckRequest) error {
			for i := range req.Items {
				req.Items[i].Work = nil
			}
			return nil
		}
	}), "ack/whole-turn", "A1", "work/queued-by-commit", "W1"),
	wrapped("unknown-target-stops-messages", with(func(h *hooked) {
		h.ack = func(req *provider.AckRequest) error {
			for i, it := range req.Items {
				n := slices.IndexFunc(it.Messages, func(m provider.NewMessage) bool { return m.Target == "nobody" })
				if n >= 0 {
					req.Items[i].Messages = it.Messages[:n]
				}
			}
			return nil
		}
	}), "message/to-unknown-and-ended-by-commit", "M9"),
	wrapped("terminal-returns-messages", with(func(h *hooked) {
		var ended []bool
		h.ack = func(req *provider.AckRequest) error {
			ended = nil
			for _, it := range req.Items {
				ended = append(ended, it.Status.Terminal())
			}
			return nil
		}
		h.acked = func(r *provider.AckReply) {
			for i := range r.Results {
				if ended[i] {
					r.Results[i].Messages = []provider.Message{{Order: 1}}
				}
			}
		}
	}), "ack/terminal", "A12", "child/outlives-parent", "A12"),
	wrapped("clock-goes-back", with(func(h *hooked) {
		h.acked = func(r *provider.AckReply) { r.Now = r.Now.Add(-time.Second) }
	}), "ack/clock", "A15"),
	wrapped("old-execution-result-applied-to-new", with(func(h *hooked) {
		h.ackWork = func(req *provider.AckWorkRequest) {
			for i := range req.Items {
				if req.Items[i].Execution == 2 {
					req.Items[i].Execution = 1
				}
			}
		}
	}), "work/result-of-earlier-execution", "X4"),
	wrapped("child-forgets-parent", with(func(h *hooked) {
		h.ack = func(req *provider.AckRequest) error {
			for i := range req.Items {
				req.Items[i].Children = slices.Clone(req.Items[i].Children)
				for n := range req.Items[i].Children {
					req.Items[i].Children[n].Parent = nil
				}
			}
			return nil
		}
	}), "child/created-with-commit", "K1"),
	wrapped("message-loses-execution", with(func(h *hooked) {
		h.enqueue = func(ms []provider.NewMessage) {
			for i := range ms {
				ms[i].Execution = 0
			}
		}
	}), "fetch/messages-in-order", "M12"),
	wrapped("message-without-arrival", with(func(h *hooked) {
		h.fetched = func(items []provider.OrchestrationItem) {
			for _, it := range items {
				for i := range it.Messages {
					it.Messages[i].At = time.Time{}
				}
			}
		}
	}), "fetch/messages-in-order", "M12", "timer/fires-once", "T1"),
	wrapped("work-loses-input", with(func(h *hooked) {
		h.gotWork = func(items []provider.WorkItem) {
			for i := range items {
				items[i].Input = nil
			}
		}
	}), "work/queued-by-commit", "W1"),
	wrapped("result-loses-body", with(func(h *hooked) {
		h.ackWork = func(req *provider.AckWorkRequest) {
			for i := range req.Items {
				req.Items[i].Body = []byte("null")
			}
		}
	}), "work/result-reaches-instance", "W4"),
	wrapped("documents-reformatted", with(func(h *hooked) {
		h.turns = func(turns []provider.Turn) {
			for i := range turns {
				var b bytes.Buffer
				if json.Compact(&b, turns[i].Events) == nil {
					turns[i].Events = b.Bytes()
				}
			}
		}
	}), "value/documents", "E4"),
	wrapped("identifiers-trimmed", with(func(h *hooked) {
		h.start = func(req *provider.StartRequest) {
			for i := range req.Items {
				req.Items[i].InstanceID = strings.TrimSpace(req.Items[i].InstanceID)
			}
		}
	}), "value/identifiers-differ-by-bytes", "E2"),
	wrapped("errors-untyped", with(func(h *hooked) {
		h.failed = func(err error) error { return errors.New(err.Error()) }
	}), "value/done-context", "E1", "value/closed-handle", "E6"),
	wrapped("empty-call-refused", with(func(h *hooked) { h.emptyFail = true }), "value/no-items", "E5"),
	wrapped("close-releases-leases", with(func(h *hooked) {
		var workers []provider.WorkerID
		p := h.Provider
		h.onClose = func() {
			for _, st := range must(p.ListInstances(context.Background(), provider.ListQuery{})) {
				workers = append(workers, st.Worker)
			}
			for _, w := range workers {
				_ = p.RetireWorker(context.Background(), w)
			}
		}
	}), "value/closed-handle", "E6"),
	wrapped("part-is-not-of-the-id", with(func(h *hooked) {
		h.started = func(r *provider.AckReply) {
			for i := range r.Results {
				r.Results[i].Ref.Part = int16(r.Results[i].Ref.Row % 16)
			}
		}
	}), "value/two-handles", "E7"),
	wrapped("unknown-instances-read", with(func(h *hooked) {
		h.states = func(ids []string, states []provider.InstanceState) []provider.InstanceState {
			for len(states) < len(ids) {
				states = append(states, provider.InstanceState{InstanceID: ids[len(states)]})
			}
			return states
		}
	}), "read/instances", "R1"),
	wrapped("owner-not-shown", with(func(h *hooked) {
		h.states = func(_ []string, states []provider.InstanceState) []provider.InstanceState {
			for i := range states {
				states[i].Worker = 0
			}
			return states
		}
	}), "read/instances", "R3"),
	wrapped("values-of-two-turns", with(func(h *hooked) {
		var before []byte // the first value of the read before
		h.values = func(values []provider.Value) {
			if len(values) == 2 && before != nil {
				values[0].Data, before = before, values[0].Data
			} else if len(values) == 2 {
				before = values[0].Data
			}
		}
	}), "values/of-one-turn", "V6"),
	wrapped("value-keys-tidied", with(func(h *hooked) { // of two values for a key the last one is taken, long keys are cut
		h.ack = func(req *provider.AckRequest) error {
			for i := range req.Items {
				req.Items[i].Values = tidied(req.Items[i].Values)
			}
			return nil
		}
	}), "values/refused", "E8"),
	wrapped("listen-returns-nil", func(p provider.Provider) provider.Provider { return deaf{p} }, "notify/stops", "N1"),
}

func tidied(values []provider.Value) []provider.Value {
	byKey := make(map[string]provider.Value, len(values))
	for _, v := range values {
		v.Key = v.Key[:min(len(v.Key), provider.MaxValueKeyBytes)]
		byKey[v.Key] = v
	}
	return slices.Collect(maps.Values(byKey))
}

func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}
