package inline_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// step makes one random call and compares what the stores hold.
func (w *twins) step() {
	w.Helper()
	calls := []func(){w.start, w.start, w.ack, w.ack, w.ack, w.ack, w.enqueue, w.fetch, w.fetch, w.fetchWork, w.fetchWork, w.ackWork,
		w.abandon, w.pulse, w.pulse, w.control, w.terminate, w.peek, w.peek, w.register, w.schedule, w.schedule,
		w.schedule}
	pick(w, calls)()
	if w.chance(12) {
		w.bury()
	}
	w.compare()
}

func (w *twins) compare() {
	w.Helper()
	watch := w.chance(3)
	same(w, "read", func(_ int, p provider.Provider) ([]provider.InstanceState, error) {
		return p.ReadInstances(w.ctx, w.names, watch)
	}, func(s []provider.InstanceState) any { return statesOf(s) })
	w.log = w.log[:len(w.log)-1]
	name, execution := pick(w, w.names), w.Int32N(3)
	same(w, "history", func(_ int, p provider.Provider) ([]provider.Turn, error) {
		return p.ReadHistory(w.ctx, provider.HistoryQuery{InstanceID: name, Execution: execution})
	}, func(turns []provider.Turn) any { return turnsOf(turns) })
	w.log = w.log[:len(w.log)-1]
	for _, name := range w.names {
		same(w, "values", func(_ int, p provider.Provider) (string, error) {
			values, found, err := p.ReadValues(w.ctx, name, nil)
			return fmt.Sprintf("%t %+v", found, values), err
		}, func(s string) any { return s })
		w.log = w.log[:len(w.log)-1]
	}
	var query provider.ListQuery
	for _, key := range w.keys() {
		query.Values = append(query.Values, provider.Value{Key: key, Data: w.rare()})
	}
	same(w, "list", func(_ int, p provider.Provider) ([]provider.InstanceState, error) {
		return p.ListInstances(w.ctx, query)
	}, func(s []provider.InstanceState) any {
		names := make([]string, len(s))
		for n := range s {
			names[n] = s[n].InstanceID
		}
		slices.Sort(names)
		return names
	})
	w.log = w.log[:len(w.log)-1]
}

// keys are some keys of values.
func (w *twins) keys() []string {
	return slices.DeleteFunc([]string{"", "k", "ä"}, func(string) bool { return w.chance(2) })
}

// rare is a document that is often the same.
func (w *twins) rare() []byte { return fmt.Appendf(nil, "%d", w.IntN(2)) }

// values are values to be set or removed.
func (w *twins) values() (vs []provider.Value) {
	for _, key := range w.keys() {
		v := provider.Value{Key: key}
		switch w.IntN(4) {
		case 0:
		case 1:
			v.Data = w.document("value")
		default:
			v.Data, v.Searchable = w.rare(), !w.chance(4)
		}
		vs = append(vs, v)
	}
	return vs
}

// turn is a random commit of an instance at an event, by a worker.
func (w *twins) turn(name string, by provider.WorkerID, execution, seq int32) provider.Commit {
	c := provider.Commit{Request: w.token(), EventCount: 1 + w.Int32N(3), Keep: !w.chance(4)}
	c.Events = w.events(c.EventCount)
	event := func() int32 { return seq + w.Int32N(c.EventCount) }
	for n := range c.EventCount {
		switch w.IntN(6) {
		case 0, 1:
			c.Work = append(c.Work, w.newWork(seq+n, by, w.chance(2)))
		case 2:
			c.Work = append(c.Work, provider.NewWork{Event: seq + n, Class: pick(w, w.jobs)})
			c.Timers = append(c.Timers, provider.NewTimer{Event: seq + n, FireAt: w.when(), UnlessStarted: true})
		case 3:
			c.Timers = append(c.Timers, provider.NewTimer{Event: seq + n, FireAt: w.when(), UnlessStarted: w.chance(2)})
		case 4:
			child := w.instance(pick(w, w.names))
			child.Lease, child.ExistsBody = w.chance(2), w.document("exists")
			if !w.chance(3) {
				child.Parent = &provider.Parent{InstanceID: name, Execution: execution, Event: seq + n}
			}
			c.Children = append(c.Children, child)
		}
	}
	if w.chance(4) {
		c.CancelWork = append(c.CancelWork, max(event()-2, 0))
		c.CancelTimers = append(c.CancelTimers, max(event()-2, 0))
	}
	if w.chance(2) {
		c.Waits = []string{pick(w, []string{"a", "b", "\x01"})}
	}
	for range w.IntN(3) {
		c.Messages = append(c.Messages, w.message(pick(w, w.names)))
	}
	if w.chance(3) {
		c.CustomStatus = w.document("status")
	}
	if w.chance(2) {
		c.Values = w.values()
	}
	w.conclude(&c, seq)
	return c
}

// conclude ends the execution now and then; then what is outstanding is cancelled.
func (w *twins) conclude(c *provider.Commit, seq int32) {
	switch w.IntN(20) {
	case 0:
		c.Status = provider.StatusCompleted
	case 1:
		c.Status = provider.StatusFailed
	case 2:
		c.Status = provider.StatusCancelled
	case 3, 4:
		c.Status = provider.StatusContinuedAsNew
		c.Next = &provider.NewExecution{ExecutionID: w.executionID(), Class: pick(w, w.flows), Events: w.events(1)}
	default:
		return
	}
	for event := range seq + c.EventCount {
		c.CancelWork, c.CancelTimers = append(c.CancelWork, event), append(c.CancelTimers, event)
	}
}

// when is long ago or far away.
func (w *twins) when() time.Time {
	if w.chance(2) {
		return time.Unix(1e9, 0).UTC()
	}
	return time.Unix(1e11, 0).UTC()
}

func (w *twins) message(target string) provider.NewMessage {
	m := provider.NewMessage{Target: target, Kind: pick(w, []provider.MessageKind{1, 1, 1, 2, 3, 5}), Take: w.chance(2), Body: w.document("message")}
	m.ID = fmt.Sprint("message ", w.count)
	if m.Kind == provider.MessageExternalEvent {
		m.Name = pick(w, []string{"a", "b", "\x01"})
	}
	return m
}

func (w *twins) instance(name string) provider.NewInstance {
	return provider.NewInstance{InstanceID: name, ExecutionID: w.executionID(), Class: pick(w, w.flows), Events: w.events(1), Watch: w.chance(2),
		Values: w.values()}
}

func (w *twins) start() {
	w.Helper()
	req := &provider.StartRequest{Worker: pick(w, w.workers)}
	names := w.some(2)
	for _, name := range names {
		item := provider.StartItem{NewInstance: w.instance(name), ReplaceEnded: !w.chance(3)}
		for range w.IntN(3) {
			item.Messages = append(item.Messages, w.message(""))
		}
		if w.chance(3) {
			item.Parent = &provider.Parent{InstanceID: pick(w, w.names), Execution: 1, Event: 1}
		}
		if w.chance(2) {
			first := w.turn(name, req.Worker, 1, 0)
			for n := range first.Messages { // as in an ack
				first.Messages[n].Take = first.Messages[n].Take && !slices.Contains(names, first.Messages[n].Target)
			}
			item.First = &first
		}
		req.Items = append(req.Items, item)
	}
	for range 1 + w.IntN(2) { // the second time it is a repeat
		replies := same(w, fmt.Sprintf("start %+v", req.Items), func(_ int, p provider.Provider) (*provider.AckReply, error) {
			return p.StartOrchestrations(w.ctx, req)
		}, func(r *provider.AckReply) any { return repliesOf(r) })
		for n := range req.Items {
			item := &req.Items[n]
			a, b := replies[0].Results[n], replies[1].Results[n]
			known := w.instances[item.InstanceID]
			if a.Status != provider.Applied {
				continue
			}
			*known = knownInstance{ref: [2]provider.Ref{a.Ref, b.Ref}, worker: req.Worker, execution: 1, seq: 1}
			if item.First != nil {
				w.committed(known, item.InstanceID, item.First, 0, req.Worker, a, b)
			}
		}
		w.learn([2][]provider.OrchestrationItem{replies[0].Granted, replies[1].Granted}, req.Worker)
	}
}

// committed notes an applied commit.
func (w *twins) committed(k *knownInstance, name string, c *provider.Commit, seq int32, worker provider.WorkerID, a, b provider.AckResult) {
	for _, work := range c.Work {
		if work.Lease {
			w.hold(knownWork{name, k.execution, work.Event, c.Request, worker})
		}
	}
	k.token, k.seq = c.Request, seq+c.EventCount
	if c.Next != nil {
		k.execution, k.seq = k.execution+1, 1
	}
	k.read(a.Messages, b.Messages)
}

func (w *twins) ack() {
	w.Helper()
	worker := pick(w, w.workers)
	serves := w.flows[w.IntN(4):]
	var reqs [2]*provider.AckRequest
	request, ranks, routed := w.token(), w.ranks(len(w.jobs)), w.chance(2)
	for n := range reqs {
		reqs[n] = &provider.AckRequest{Worker: worker, Serves: serves, WorkClasses: w.jobs, WorkRanks: ranks, Routed: routed, ClaimRequest: request}
	}
	claim := w.chance(4)
	names := w.some(3)
	for _, name := range names {
		k := w.known(name)
		c := w.turn(name, worker, k.execution, k.seq)
		if claim { // whether that brings what the same call queues is left open
			c.Work = slices.DeleteFunc(c.Work, func(n provider.NewWork) bool { return !n.Lease })
			reqs[0].ClaimWork, reqs[1].ClaimWork = 100, 100
		}
		for n := range c.Messages { // items of the call itself are not asked for
			c.Messages[n].Take = c.Messages[n].Take && !slices.Contains(names, c.Messages[n].Target)
		}
		var finished []provider.FinishedWork
		for _, held := range w.work {
			if held.instance == name && held.execution == k.execution && w.chance(2) &&
				!slices.ContainsFunc(finished, func(f provider.FinishedWork) bool { return f.Event == held.event }) {
				finished = append(finished, provider.FinishedWork{Event: held.event, Token: held.token})
			}
		}
		var items [2]provider.AckItem
		for n := range items {
			items[n] = provider.AckItem{Ref: k.ref[n], Execution: k.execution, Seq: k.seq, Token: k.token, Finished: finished, Commit: c}
		}
		for _, orders := range k.unread {
			if !w.chance(3) {
				items[0].Consumed, items[1].Consumed = append(items[0].Consumed, orders[0]), append(items[1].Consumed, orders[1])
			}
		}
		if k.worker != worker {
			continue
		}
		reqs[0].Items, reqs[1].Items = append(reqs[0].Items, items[0]), append(reqs[1].Items, items[1])
	}
	for range 1 + w.IntN(2) {
		replies := same(w, fmt.Sprintf("ack %+v", reqs[0]), func(n int, p provider.Provider) (*provider.AckReply, error) {
			return p.AckOrchestrationItems(w.ctx, reqs[n])
		}, func(r *provider.AckReply) any { return repliesOf(r) })
		for n, item := range reqs[0].Items {
			a, b := replies[0].Results[n], replies[1].Results[n]
			for name, k := range w.instances {
				if k.ref[0] == item.Ref && a.Status == provider.Applied {
					k.worker, k.execution = worker, item.Execution
					w.committed(k, name, &item.Commit, item.Seq, worker, a, b)
				}
			}
		}
		w.learn([2][]provider.OrchestrationItem{replies[0].Granted, replies[1].Granted}, worker)
		w.learnWork(replies[0].Work, worker)
	}
}

func (w *twins) enqueue() {
	w.Helper()
	var messages []provider.NewMessage
	for _, name := range w.some(3) {
		messages = append(messages, w.message(name))
	}
	same(w, fmt.Sprintf("enqueue %+v", messages), func(_ int, p provider.Provider) ([]provider.ItemStatus, error) {
		return p.EnqueueMessages(w.ctx, messages)
	}, func(s []provider.ItemStatus) any { return fmt.Sprint(s) })
}

func (w *twins) fetch() {
	w.Helper()
	req := &provider.FetchRequest{Worker: pick(w, w.workers), Request: w.token(), Classes: w.flows[w.IntN(2):], Max: 100,
		Timers: w.chance(2), Sleep: w.chance(4)}
	req.Ranks = w.ranks(len(req.Classes))
	granted := func(items []provider.OrchestrationItem) []provider.OrchestrationItem {
		// Whether what is held comes with old messages is left open.
		return slices.DeleteFunc(slices.Clone(items), func(i provider.OrchestrationItem) bool { return i.Held })
	}
	for range 1 + w.IntN(2) {
		replies := same(w, fmt.Sprintf("fetch %+v", req), func(_ int, p provider.Provider) ([]provider.OrchestrationItem, error) {
			return p.FetchOrchestrationItems(w.ctx, req)
		}, func(items []provider.OrchestrationItem) any { return itemsOf(granted(items)) })
		w.learn([2][]provider.OrchestrationItem{granted(replies[0]), granted(replies[1])}, req.Worker)
	}
}

func (w *twins) fetchWork() {
	w.Helper()
	req := &provider.FetchWorkRequest{Worker: pick(w, w.workers), Request: w.token(), Classes: w.jobs[w.IntN(3):], Max: 100,
		Serves: w.flows[w.IntN(4):], Routed: w.chance(2), Sleep: w.chance(4)}
	req.Ranks = w.ranks(len(req.Classes))
	for range 1 + w.IntN(2) {
		replies := same(w, fmt.Sprintf("fetch work %+v", req), func(_ int, p provider.Provider) (*provider.FetchWorkReply, error) {
			return p.FetchWorkItems(w.ctx, req)
		}, func(r *provider.FetchWorkReply) any { return []any{workOf(r.Work), itemsOf(r.Granted)} })
		w.learn([2][]provider.OrchestrationItem{replies[0].Granted, replies[1].Granted}, req.Worker)
		w.learnWork(replies[0].Work, req.Worker)
	}
}

// someWork returns up to n different work items, now and then with another token.
func (w *twins) someWork(n int) []knownWork {
	var all []knownWork
	for range w.IntN(n + 1) {
		if len(w.work) == 0 {
			break
		}
		k := pick(w, w.work)
		if w.chance(12) {
			k.token = w.token()
		}
		if !slices.ContainsFunc(all, func(o knownWork) bool {
			return o.instance == k.instance && o.execution == k.execution && o.event == k.event
		}) {
			all = append(all, k)
		}
	}
	return all
}

func (w *twins) ackWork() {
	w.Helper()
	worker := pick(w, append([]provider.WorkerID{0}, w.workers...))
	var reqs [2]*provider.AckWorkRequest
	for n := range reqs {
		reqs[n] = &provider.AckWorkRequest{Worker: worker, Serves: w.flows}
	}
	for _, k := range w.someWork(3) {
		item := provider.AckWorkItem{Token: k.token, Request: w.token(), Body: w.document("result"), Take: w.chance(2)}
		for n := range reqs {
			item.WorkKey = w.key(n, k)
			reqs[n].Items = append(reqs[n].Items, item)
		}
	}
	for range 1 + w.IntN(2) {
		replies := same(w, fmt.Sprintf("ack work %+v", reqs[0]), func(n int, p provider.Provider) (*provider.AckReply, error) {
			return p.AckWorkItems(w.ctx, reqs[n])
		}, func(r *provider.AckReply) any {
			all := repliesOf(r)
			for _, granted := range r.Granted { // of several results for one instance any may be the one that grants
				all = append(all.([]any), granted.InstanceID)
			}
			return all
		})
		w.learn([2][]provider.OrchestrationItem{replies[0].Granted, replies[1].Granted}, worker)
	}
}

func (w *twins) abandon() {
	w.Helper()
	var reqs [2]provider.AbandonRequest
	for _, name := range w.some(2) {
		k := w.known(name)
		item := provider.AbandonedInstance{Token: k.token, UndoAttempt: w.chance(2)}
		if w.chance(4) {
			item.Delay = time.Hour
		}
		if w.chance(4) {
			item.Park = w.document("parked")
		}
		for n := range reqs {
			item.Ref = k.ref[n]
			reqs[n].Instances = append(reqs[n].Instances, item)
		}
	}
	for _, k := range w.someWork(4) {
		item := provider.AbandonedWork{Token: k.token, UndoAttempt: w.chance(2), HandOver: w.chance(3)}
		if w.chance(2) {
			item.State = w.document("state")
		}
		for n := range reqs {
			item.WorkKey = w.key(n, k)
			reqs[n].Work = append(reqs[n].Work, item)
		}
	}
	for range 1 + w.IntN(2) {
		same(w, fmt.Sprintf("abandon %+v", reqs[0]), func(n int, p provider.Provider) (any, error) {
			return nil, p.AbandonItems(w.ctx, &reqs[n])
		}, func(any) any { return nil })
	}
}

func (w *twins) pulse() {
	w.Helper()
	worker := pick(w, append([]provider.WorkerID{0}, w.workers...))
	var serves []provider.ClassID
	if w.chance(3) {
		serves = pick(w, [][]provider.ClassID{{}, w.flows, w.jobs[:1], append(slices.Clone(w.jobs), w.flows[0])})
	}
	var reqs [2]*provider.PulseRequest
	classes, routed, from := w.jobs[w.IntN(len(w.jobs)+1):], w.chance(2), provider.ClassID(w.IntN(10))
	for n := range reqs {
		reqs[n] = &provider.PulseRequest{Worker: worker, TTL: time.Hour, WorkClasses: classes, Routed: routed, Watch: w.names, Serves: serves,
			ClassesFrom: from}
	}
	for _, k := range w.someWork(8) {
		held := provider.HeldWork{Token: k.token}
		if w.chance(2) {
			held.State = w.document("state")
		}
		for n := range reqs {
			held.WorkKey = w.key(n, k)
			reqs[n].Held = append(reqs[n].Held, held)
		}
	}
	current := -1
	same(w, fmt.Sprintf("pulse %+v", reqs[0]), func(n int, p provider.Provider) (*provider.PulseReply, error) {
		current = n
		return p.Pulse(w.ctx, reqs[n])
	}, func(r *provider.PulseReply) any {
		var gone []string
		for _, key := range r.Gone {
			at := slices.IndexFunc(reqs[current].Held, func(h provider.HeldWork) bool { return h.WorkKey == key })
			gone = append(gone, fmt.Sprint(at))
		}
		slices.Sort(gone)
		return []any{r.Lost, len(r.Stale), r.WorkReady, r.NextTimer.IsZero(), strings.Join(gone, " "), statesOf(r.Done), r.Classes}
	})
}

func (w *twins) control() {
	w.Helper()
	names, reason := append(w.some(2), "nobody"), w.document("suspended")
	resume := w.chance(2)
	same(w, fmt.Sprint("suspend or resume ", resume, names), func(_ int, p provider.Provider) ([]provider.ItemStatus, error) {
		if resume {
			return p.ResumeInstances(w.ctx, names)
		}
		return p.SuspendInstances(w.ctx, names, reason)
	}, func(s []provider.ItemStatus) any { return fmt.Sprint(s) })
}

func (w *twins) terminate() {
	w.Helper()
	var items []provider.Termination
	children := w.chance(2)
	for _, name := range append(w.some(3), pick(w, w.names), "nobody") {
		items = append(items, provider.Termination{InstanceID: name, Events: w.events(1), Answer: w.document("answer"), Children: children})
		if w.chance(2) {
			break
		}
	}
	same(w, fmt.Sprintf("terminate %+v", items), func(_ int, p provider.Provider) ([]provider.ItemStatus, error) {
		return p.TerminateInstances(w.ctx, items)
	}, func(s []provider.ItemStatus) any { return fmt.Sprint(s) })
}

// newWork is a work item that is scheduled by a worker, now and then for one worker alone.
func (w *twins) newWork(event int32, by provider.WorkerID, lease bool) provider.NewWork {
	work := provider.NewWork{Event: event, Class: pick(w, w.jobs), Input: w.document("input"), Lease: lease}
	switch {
	case !w.chance(2):
	case lease:
		work.Worker = by
	default:
		work.Worker = pick(w, slices.Concat(w.workers, w.workers, w.workers, w.gone, []provider.WorkerID{1}))
	}
	return work
}

// schedule has a worker queue work for an instance that it holds, if there is one.
func (w *twins) schedule() {
	w.Helper()
	names := slices.DeleteFunc(w.some(len(w.names)), func(name string) bool { return w.instances[name].token == 0 })
	if len(names) == 0 {
		return
	}
	k := w.instances[names[0]]
	c := provider.Commit{Request: w.token(), EventCount: 5, Events: w.events(5), Keep: true}
	for event := range c.EventCount {
		c.Work = append(c.Work, w.newWork(k.seq+event, k.worker, false))
	}
	replies := same(w, fmt.Sprintf("schedule %s %+v", names[0], c), func(n int, p provider.Provider) (*provider.AckReply, error) {
		return p.AckOrchestrationItems(w.ctx, &provider.AckRequest{Worker: k.worker, Items: []provider.AckItem{
			{Ref: k.ref[n], Execution: k.execution, Seq: k.seq, Token: k.token, Commit: c}}})
	}, func(r *provider.AckReply) any { return repliesOf(r) })
	if a, b := replies[0].Results[0], replies[1].Results[0]; a.Status == provider.Applied {
		w.committed(k, names[0], &c, k.seq, k.worker, a, b)
	} else {
		k.token = 0 // it is held by another, or has ended
	}
}

// ranks are ranks for n classes, or none.
func (w *twins) ranks(n int) []int16 {
	if w.chance(2) {
		return nil
	}
	ranks := make([]int16, n)
	for k := range ranks {
		ranks[k] = int16(w.IntN(3) - 1)
	}
	return ranks
}

// peek fetches a little work by rank and gives it back. Which items of one rank come first is left open, but not how many of
// each there are.
func (w *twins) peek() {
	w.Helper()
	req := &provider.FetchWorkRequest{Worker: pick(w, w.workers), Request: w.token(), Classes: w.jobs, Max: 1 + w.IntN(4)}
	if req.Ranks = w.ranks(len(w.jobs)); req.Ranks == nil {
		return
	}
	replies := same(w, fmt.Sprintf("peek %+v", req), func(_ int, p provider.Provider) (*provider.FetchWorkReply, error) {
		return p.FetchWorkItems(w.ctx, req)
	}, func(r *provider.FetchWorkReply) any {
		var ranks []int16
		for _, item := range r.Work {
			ranks = append(ranks, req.Ranks[slices.Index(req.Classes, item.Class)])
		}
		return ranks
	})
	same(w, "give back", func(n int, p provider.Provider) (any, error) {
		var back provider.AbandonRequest
		for _, item := range replies[n].Work {
			back.Work = append(back.Work, provider.AbandonedWork{WorkKey: item.WorkKey, Token: item.Token, UndoAttempt: true})
		}
		return nil, p.AbandonItems(w.ctx, &back)
	}, func(any) any { return nil })
}

// register asks for the numbers of classes, of which one may be new.
func (w *twins) register() {
	w.Helper()
	classes := []provider.Class{{Kind: provider.ClassActivity, Name: "C", Priority: 2},
		{Kind: provider.ClassKind(1 + w.IntN(2)), Name: "E", Tag: pick(w, []string{"", "t", `"\`}), Priority: int8(w.IntN(5) - 2)}}
	same(w, fmt.Sprint("register ", classes), func(_ int, p provider.Provider) ([]provider.ClassID, error) {
		return p.RegisterClasses(w.ctx, classes)
	}, func(ids []provider.ClassID) any { return ids })
}

// bury ends a worker, which retires or is found dead, and another takes its place.
func (w *twins) bury() {
	w.Helper()
	n := w.IntN(len(w.workers))
	worker := w.workers[n]
	if w.chance(2) {
		same(w, fmt.Sprint("retire ", worker), func(_ int, p provider.Provider) (any, error) {
			return nil, p.RetireWorker(w.ctx, worker)
		}, func(any) any { return nil })
	} else {
		same(w, fmt.Sprint("reap ", worker), func(_ int, p provider.Provider) (any, error) {
			known, err := p.Pulse(w.ctx, &provider.PulseRequest{TTL: time.Nanosecond})
			if err != nil {
				return nil, err
			}
			reap := slices.DeleteFunc(known.Stale, func(b provider.Beat) bool { return b.Worker != worker })
			if len(reap) != 1 {
				return nil, fmt.Errorf("the worker is stale %d times", len(reap))
			}
			_, err = p.Pulse(w.ctx, &provider.PulseRequest{TTL: time.Hour, Reap: reap})
			return nil, err
		}, func(any) any { return nil })
	}
	w.workers, w.gone = slices.Delete(w.workers, n, n+1), append(w.gone, worker)
	w.join()
}
