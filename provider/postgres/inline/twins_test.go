package inline_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
	"github.com/pawlrun/pawl/provider/postgres/inline"
)

// TestTwins makes the same random calls on both providers, each with a store of its own, and compares what they answer and
// what the stores hold afterwards. Few ids are used, so that the calls get into each other's way.
func TestTwins(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := openTwins(t, seed)
			for range 150 {
				w.step()
			}
		})
	}
}

// twins are the two providers and what a caller knows of their stores: the same of both, but for the numbers they give.
type twins struct {
	*testing.T
	*rand.Rand
	ctx         context.Context
	providers   [2]provider.Provider
	flows, jobs []provider.ClassID
	workers     []provider.WorkerID
	gone        []provider.WorkerID
	names       []string
	instances   map[string]*knownInstance
	work        []knownWork
	count       int
	log         []string
}

// knownInstance is an instance as it was last seen.
type knownInstance struct {
	ref       [2]provider.Ref
	worker    provider.WorkerID
	token     provider.Token
	execution int32
	seq       int32
	unread    [][2]int64 // the orders of its messages
}

// knownWork is a work item as it was last seen.
type knownWork struct {
	instance  string
	execution int32
	event     int32
	token     provider.Token
	worker    provider.WorkerID
}

func openTwins(t *testing.T, seed uint64) *twins {
	t.Helper()
	w := &twins{T: t, Rand: rand.New(rand.NewPCG(seed, 0)), ctx: t.Context(), instances: make(map[string]*knownInstance)}
	statements, err := inline.Open(w.ctx, pgtest.URL(t), &postgres.Options{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { statements.Close() })
	functions, err := postgres.Open(w.ctx, pgtest.URL(t), &postgres.Options{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { functions.Close() })
	w.providers = [2]provider.Provider{statements, functions}
	for n := range 7 {
		w.names = append(w.names, fmt.Sprint("instance ", n))
		w.instances[w.names[n]] = new(knownInstance)
	}
	ids := same(w, "register classes", func(_ int, p provider.Provider) ([]provider.ClassID, error) {
		return p.RegisterClasses(w.ctx, []provider.Class{
			{Kind: provider.ClassOrchestration, Name: "A"}, {Kind: provider.ClassOrchestration, Name: "B"},
			{Kind: provider.ClassOrchestration, Name: "A", Priority: 1},
			{Kind: provider.ClassActivity, Name: "C"}, {Kind: provider.ClassActivity, Name: "D"},
			{Kind: provider.ClassActivity, Name: "D", Priority: -2}, {Kind: provider.ClassActivity, Name: "C", Priority: 2},
		})
	}, func(ids []provider.ClassID) any { return ids })[0]
	w.flows, w.jobs = ids[:3], ids[3:]
	for range 2 {
		w.join()
	}
	return w
}

// same makes a call on both providers, fails unless what is to be compared of the answers is the same, and returns them.
func same[R any](w *twins, op string, call func(n int, p provider.Provider) (R, error), compared func(R) any) [2]R {
	w.Helper()
	var replies [2]R
	var texts [2]string
	for n, p := range w.providers {
		reply, err := call(n, p)
		if err != nil {
			w.Fatalf("%s\n%T: %v", strings.Join(w.log, "\n"), p, err)
		}
		text, err := json.MarshalIndent(compared(reply), "", " ")
		if err != nil {
			w.Fatal(err)
		}
		replies[n], texts[n] = reply, string(text)
	}
	if w.log = append(w.log, op); len(w.log) > 20 {
		w.log = w.log[1:]
	}
	if texts[0] != texts[1] {
		w.Fatalf("%s\nstatements: %s\nfunctions: %s", strings.Join(w.log, "\n"), texts[0], texts[1])
	}
	return replies
}

// A seeded run must make the same tokens again.
func (w *twins) token() provider.Token { return provider.Token(w.Int64N(1<<62) + 1) }

func (w *twins) executionID() (id provider.ExecutionID) {
	for n := range id {
		id[n] = byte(w.Uint32())
	}
	return id
}

// chance is true once in n times.
func (w *twins) chance(n int) bool { return w.IntN(n) == 0 }

func pick[T any](w *twins, all []T) T { return all[w.IntN(len(all))] }

// some returns up to n different names.
func (w *twins) some(n int) []string {
	names := slices.Clone(w.names)
	w.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names[:1+w.IntN(n)]
}

func (w *twins) document(what string) []byte {
	w.count++
	return fmt.Appendf(nil, `{"%s":%d}`, what, w.count)
}

func (w *twins) events(n int32) []byte {
	all := make([]string, n)
	for k := range all {
		all[k] = string(w.document("event"))
	}
	return []byte("[" + strings.Join(all, ",") + "]")
}

func (w *twins) join() {
	id := provider.WorkerID(w.token())
	w.workers = append(w.workers, id)
	same(w, "join", func(_ int, p provider.Provider) (*provider.PulseReply, error) {
		return p.Pulse(w.ctx, &provider.PulseRequest{Worker: id, Join: true, TTL: time.Hour})
	}, func(r *provider.PulseReply) any { return r.Lost })
}

// known is what the caller knows of an instance, now and then outdated.
func (w *twins) known(name string) knownInstance {
	k := *w.instances[name]
	if w.chance(12) {
		k.token = w.token()
	}
	if w.chance(20) {
		k.seq++
	}
	return k
}

// learn notes a granted instance.
func (w *twins) learn(items [2][]provider.OrchestrationItem, worker provider.WorkerID) {
	for _, all := range items {
		slices.SortFunc(all, func(a, b provider.OrchestrationItem) int { return strings.Compare(a.InstanceID, b.InstanceID) })
	}
	for k, item := range items[0] {
		known := w.instances[item.InstanceID]
		*known = knownInstance{ref: [2]provider.Ref{item.Ref, items[1][k].Ref}, worker: worker, token: item.Token,
			execution: item.Execution, seq: item.NextSeq}
		known.read(item.Messages, items[1][k].Messages)
	}
}

// read notes unread messages.
func (k *knownInstance) read(a, b []provider.Message) {
	inOrder(a)
	inOrder(b)
	k.unread = nil
	for n := range a {
		k.unread = append(k.unread, [2]int64{a[n].Order, b[n].Order})
	}
}

// learnWork notes granted work items.
func (w *twins) learnWork(items []provider.WorkItem, worker provider.WorkerID) {
	for _, item := range items {
		w.hold(knownWork{item.InstanceID, item.Execution, item.Event, item.Token, worker})
	}
}

func (w *twins) hold(k knownWork) {
	w.work = append(w.work, k)
	if len(w.work) > 12 {
		w.work = w.work[1:]
	}
}

func (w *twins) key(n int, k knownWork) provider.WorkKey {
	return provider.WorkKey{Ref: w.instances[k.instance].ref[n], Execution: k.execution, Event: k.event}
}

// Of the order of messages only that of one sender to one instance is promised; here every message is alike.
func inOrder(messages []provider.Message) {
	slices.SortFunc(messages, func(a, b provider.Message) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Event, b.Event),
			cmp.Compare(string(a.Body), string(b.Body)), cmp.Compare(a.Order, b.Order))
	})
}

// messagesOf, itemsOf, workOf and statesOf leave out what may differ: numbers of rows, orders and times.

func messagesOf(messages []provider.Message) any {
	messages = slices.Clone(messages)
	inOrder(messages)
	var all []string
	for _, m := range messages {
		all = append(all, fmt.Sprint(m.Kind, m.Execution, m.Event, m.Name, m.ID, string(m.Body)))
	}
	return all
}

func itemsOf(items []provider.OrchestrationItem) any {
	items = slices.Clone(items)
	slices.SortFunc(items, func(a, b provider.OrchestrationItem) int { return strings.Compare(a.InstanceID, b.InstanceID) })
	var all []any
	for _, i := range items {
		messages, history := messagesOf(i.Messages), turnsOf(i.History)
		i.Ref, i.Messages, i.History = provider.Ref{}, nil, nil
		all = append(all, fmt.Sprintf("%+v", i), history, messages)
	}
	return all
}

func turnsOf(turns []provider.Turn) string {
	var all []string
	for _, t := range turns {
		all = append(all, fmt.Sprintf("%d+%d %s", t.Seq, t.Count, t.Events))
	}
	return strings.Join(all, ", ")
}

func workOf(items []provider.WorkItem) any {
	var all []string
	for _, i := range items {
		state, input := string(i.State), string(i.Input)
		i.Ref, i.State, i.Input = provider.Ref{}, nil, nil
		all = append(all, fmt.Sprintf("%+v %s %s", i, input, state))
	}
	slices.Sort(all)
	return all
}

func statesOf(states []provider.InstanceState) any {
	var all []string
	for _, s := range states {
		all = append(all, fmt.Sprintf("%s %s.%s%+d %s %d %s %d of %q ended %t parked %s worker %d %s status %s.%d workers %d unserved %v", s.InstanceID, s.Name,
			s.Version, s.Priority, s.Status, s.Execution, s.ExecutionID, s.NextSeq, s.ParentID, !s.EndedAt.IsZero(), s.Parked, s.Worker, turnsOf([]provider.Turn{s.LastTurn}),
			s.CustomStatus, s.StatusVersion, s.Workers, s.Unserved))
	}
	slices.Sort(all)
	return all
}

func repliesOf(r *provider.AckReply) any {
	all := []any{itemsOf(r.Granted), workOf(r.Work)}
	for _, result := range r.Results {
		all = append(all, result.Status.String(), messagesOf(result.Messages))
	}
	return all
}
