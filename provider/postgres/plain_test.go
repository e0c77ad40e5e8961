package postgres_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/pawlrun/pawl/internal/pgtest"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
)

// TestPlainCallsAnswerLikeGeneralOnes makes random calls of the shapes that have functions of their own, alone and in
// groups, with stale tokens, taken ids, lost work, unread messages, waiting clients and repeats among them, on a store that
// uses those functions and on one that does not. Both must answer the same and end in the same state.
func TestPlainCallsAnswerLikeGeneralOnes(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			d := newDuel(t, seed)
			for range 70 {
				d.round()
			}
			d.compareStates()
			if d.fenced == 0 || d.exists == 0 || d.unread == 0 || d.applied < 40 {
				t.Errorf("a dull run: %d applied, %d fenced, %d existing, %d with unread messages", d.applied, d.fenced, d.exists, d.unread)
			}
		})
	}
}

// duel is one history of calls on two stores.
type duel struct {
	*testing.T
	*rand.Rand
	stores    [2]*postgres.Provider
	flow, job [2]provider.ClassID
	worker    provider.WorkerID
	instances []*duelist
	last      func() // repeats the last call

	applied, fenced, exists, unread int
}

// duelist is one instance, in both stores.
type duelist struct {
	id        string
	execution provider.ExecutionID
	ref       [2]provider.Ref
	token     provider.Token
	seq       int32
	open      []provider.FinishedWork // work leased and not finished
	over      bool
}

func newDuel(t *testing.T, seed uint64) *duel {
	d := &duel{T: t, Rand: rand.New(rand.NewPCG(seed, 7)), worker: provider.NewWorkerID()}
	for i := range d.stores {
		p, err := postgres.Open(t.Context(), pgtest.URL(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		ids, err := p.RegisterClasses(t.Context(), []provider.Class{{Kind: provider.ClassOrchestration, Name: "Flow"}, {Kind: provider.ClassActivity, Name: "Job"}})
		if err != nil {
			t.Fatal(err)
		}
		d.stores[i], d.flow[i], d.job[i] = p, ids[0], ids[1]
	}
	postgres.WithoutPlain(d.stores[1])
	return d
}

func (d *duel) round() {
	switch n := d.IntN(10); {
	case n < 2 || len(d.instances) < 4:
		d.start()
	case n < 6:
		d.ack()
	case n < 7 && d.last != nil:
		d.last()
	default:
		d.disturb()
	}
}

// commit makes a plain commit, the same for both stores but for the number of its class.
func (d *duel) commit(seq int32) (c [2]provider.Commit, work []provider.FinishedWork) {
	request, keep := provider.NewToken(), d.IntN(8) > 0
	for i := range c {
		c[i] = provider.Commit{Request: request, Events: []byte(`[{"n":1},{"n":2}]`), EventCount: 2, Keep: keep}
		if !keep {
			c[i].Status = provider.StatusCompleted
		}
	}
	if keep && d.IntN(3) > 0 {
		for i := range c {
			c[i].Work = []provider.NewWork{{Event: seq, Class: d.job[i], Input: []byte(`{"json":1}`), Lease: true}}
		}
		work = []provider.FinishedWork{{Event: seq, Token: request}}
	}
	return c, work
}

// start creates a few instances, some under ids that are taken.
func (d *duel) start() {
	var req [2]provider.StartRequest
	var started []*duelist
	for range 1 + d.IntN(4) {
		in := &duelist{id: fmt.Sprint("i", len(d.instances)+len(started), d.IntN(3)), execution: provider.NewExecutionID()}
		if len(d.instances) > 0 && d.IntN(3) == 0 {
			in.id = d.instances[d.IntN(len(d.instances))].id
		}
		c, work := d.commit(1)
		in.token, in.seq, in.open, in.over = c[0].Request, 2, work, c[0].Status.Terminal()
		for i := range req {
			req[i].Worker = d.worker
			req[i].Items = append(req[i].Items, provider.StartItem{First: &c[i],
				NewInstance: provider.NewInstance{InstanceID: in.id, ExecutionID: in.execution, Class: d.flow[i]}})
		}
		started = append(started, in)
	}
	call := func(i int) (*provider.AckReply, error) { return d.stores[i].StartOrchestrations(d.Context(), &req[i]) }
	d.last = func() { d.both(call) }
	replies := d.both(call)
	for n, in := range started {
		if replies[0].Results[n].Status == provider.Applied {
			in.ref = [2]provider.Ref{replies[0].Results[n].Ref, replies[1].Results[n].Ref}
			d.instances = append(d.instances, in)
		}
	}
}

// ack commits turns of a few instances, some of them with a stale token or work that is not there.
func (d *duel) ack() {
	req := [2]provider.AckRequest{{Worker: d.worker}, {Worker: d.worker}}
	var acked []*duelist
	var after []func()
	for _, n := range d.Perm(len(d.instances))[:1+d.IntN(min(4, len(d.instances)))] {
		in := d.instances[n]
		c, work := d.commit(in.seq)
		item := provider.AckItem{Execution: 1, Seq: in.seq, Token: in.token}
		if d.IntN(8) == 0 {
			item.Token++
		}
		rest := in.open
		if len(in.open) > 0 && d.IntN(4) > 0 {
			item.Finished, rest = in.open[:1:1], in.open[1:]
			if d.IntN(8) == 0 {
				item.Finished = []provider.FinishedWork{{Event: in.open[0].Event, Token: in.open[0].Token + 1}}
			}
		}
		for i := range req {
			item.Ref, item.Commit = in.ref[i], c[i]
			req[i].Items = append(req[i].Items, item)
		}
		acked = append(acked, in)
		after = append(after, func() {
			in.token, in.seq, in.open, in.over = c[0].Request, in.seq+2, append(rest[:len(rest):len(rest)], work...), c[0].Status.Terminal()
		})
	}
	call := func(i int) (*provider.AckReply, error) {
		return d.stores[i].AckOrchestrationItems(d.Context(), &req[i])
	}
	d.last = func() { d.both(call) }
	replies := d.both(call)
	for n := range acked {
		if replies[0].Results[n].Status == provider.Applied {
			after[n]()
		}
	}
}

// both makes a call on both stores and compares the answers.
func (d *duel) both(call func(i int) (*provider.AckReply, error)) (replies [2]*provider.AckReply) {
	d.Helper()
	for i := range replies {
		reply, err := call(i)
		if err != nil {
			d.Fatalf("store %d: %v", i, err)
		}
		replies[i] = reply
	}
	for n := range replies[0].Results {
		a, b := &replies[0].Results[n], &replies[1].Results[n]
		if a.Status != b.Status || len(a.Messages) != len(b.Messages) || (a.Ref.Row == 0) != (b.Ref.Row == 0) || a.Ref.Part != b.Ref.Part {
			d.Fatalf("item %d: %+v by the functions for plain calls, %+v by the general ones", n, a, b)
		}
		switch a.Status {
		case provider.Applied:
			d.applied++
		case provider.Fenced:
			d.fenced++
		case provider.Exists:
			d.exists++
		}
		if len(a.Messages) > 0 {
			d.unread++
		}
		for m := range a.Messages {
			if a.Messages[m].ID != b.Messages[m].ID || !bytes.Equal(a.Messages[m].Body, b.Messages[m].Body) {
				d.Fatalf("item %d, message %d: %+v and %+v", n, m, a.Messages[m], b.Messages[m])
			}
		}
	}
	return replies
}

// disturb does to an instance what makes a plain call more than plain.
func (d *duel) disturb() {
	in := d.instances[len(d.instances)-1-d.IntN(min(6, len(d.instances)))]
	message := provider.NewMessage{Target: in.id, Kind: provider.MessageChildDone, Execution: 1, ID: fmt.Sprint(d.Uint64()), Body: []byte(`{"type":"ChildCompleted","scheduled":1}`)}
	watch := d.IntN(3) == 0
	for i, p := range d.stores {
		var err error
		if watch {
			_, err = p.ReadInstances(d.Context(), []string{in.id}, true)
		} else {
			_, err = p.EnqueueMessages(d.Context(), []provider.NewMessage{message})
		}
		if err != nil {
			d.Fatalf("store %d: %v", i, err)
		}
	}
}

// compareStates compares what the calls have left behind.
func (d *duel) compareStates() {
	for _, in := range d.instances {
		var states [2]provider.InstanceState
		var turns [2][]provider.Turn
		for i, p := range d.stores {
			got, err := p.ReadInstances(d.Context(), []string{in.id}, false)
			if err != nil || len(got) != 1 {
				d.Fatal(len(got), err)
			}
			states[i] = got[0]
			if turns[i], err = p.ReadHistory(d.Context(), provider.HistoryQuery{Ref: in.ref[i]}); err != nil {
				d.Fatal(err)
			}
		}
		a, b := &states[0], &states[1]
		if a.Status != b.Status || a.NextSeq != b.NextSeq || a.Worker != b.Worker || a.ExecutionID != b.ExecutionID || a.EndedAt.IsZero() != b.EndedAt.IsZero() ||
			a.NextSeq != in.seq || a.Status.Terminal() != in.over || fmt.Sprint(turns[0]) != fmt.Sprint(turns[1]) {
			d.Errorf("%s (%+v):\n%+v\n%v\n%+v\n%v", in.id, in, a, turns[0], b, turns[1])
		}
	}
}
