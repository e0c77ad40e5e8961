package postgres_test

import (
	"fmt"
	"testing"

	"github.com/pawlrun/pawl/provider"
)

// What priorities and work for single workers cost: see flat_test.go.

// claim fetches work by ranks, and what is for the worker alone.
func (p *pages) claim(worker provider.WorkerID, classes []provider.ClassID, ranks []int16, routed bool, n int) func() {
	return func() {
		got, err := p.FetchWorkItems(p.ctx, &provider.FetchWorkRequest{Worker: worker, Request: provider.NewToken(), Classes: classes,
			Ranks: ranks, Routed: routed, Max: max(n, 1)})
		if err != nil || len(got.Work) != n {
			p.Fatalf("fetched %d work items, want %d, %v", len(got.Work), n, err)
		}
	}
}

// route makes all queued work of a class that of one worker alone.
func (p *pages) route(class provider.ClassID, worker provider.WorkerID) {
	p.Helper()
	p.exec(`update work set home = $2, due = clock_timestamp() where class = $1 and owner is null and home is null`, class, int64(worker))
	p.exec(`vacuum analyze work`)
}

// lanes registers n classes of activities.
func (p *pages) lanes(name string, n int) []provider.ClassID {
	p.Helper()
	var classes []provider.Class
	for i := range n {
		classes = append(classes, provider.Class{Kind: provider.ClassActivity, Name: name, Priority: int8(i)})
	}
	ids, err := p.RegisterClasses(p.ctx, classes)
	if err != nil {
		p.Fatal(err)
	}
	return ids
}

// TestCostOfRanks compares claims by rank with and without a backlog of higher ranks, and with claims that know no ranks.
func TestCostOfRanks(t *testing.T) {
	p := openPages(t)
	worker := provider.NewWorkerID()
	classes := p.lanes("lane", 3)
	fill := func(name string, n int, of ...provider.ClassID) {
		for _, class := range of {
			p.addInstances(fmt.Sprint(name, class, "-"), n, 0, n, p.flow, class)
		}
	}
	first, last := []int16{0, 1, 2}, []int16{2, 1, 0}
	calls := []string{"claim of the first rank", "claim of several ranks", "claim without ranks"}
	measure := func(name string) []cost {
		fill(name+" few", 10*tries, classes[0])
		c := []cost{p.of(p.claim(worker, classes, first, false, 10))}
		fill(name+" some", 2*tries, classes[0], classes[1])
		return append(c, p.of(p.claim(worker, classes, first, false, 2)), p.of(p.claim(worker, classes, nil, false, 2)))
	}
	fill("warm", 50, classes...)
	p.claim(worker, classes, first, false, 100)()
	p.claim(worker, classes, nil, false, 50)()
	small := measure("before")
	p.claim(worker, classes, nil, false, 0)()
	fill("deep", many()/10, classes[2])
	for i, large := range measure("beside")[:2] {
		p.flat(calls[i]+" beside a backlog", small[i], large)
	}
	// Whoever says that all ranks are alike says nothing. The second of the two claims meets what the first has left behind.
	without := p.of(p.claim(worker, classes, nil, false, 10))
	if alike := p.of(p.claim(worker, classes, []int16{7, 7, 7}, false, 10)); alike.Buffers > without.Buffers*21/20 {
		t.Errorf("with ranks that are alike %+v, without any %+v", alike, without)
	}
	p.claim(worker, classes[:2], nil, false, tries*2)()
	idle := p.of(p.claim(worker, classes[:2], nil, false, 0))
	if ranked := p.of(p.claim(worker, classes[:2], last[1:], false, 0)); ranked.Buffers > idle.Buffers*4/3 {
		t.Errorf("an empty claim costs %+v, with ranks %+v", idle, ranked)
	}
}

// TestCostOfRouting compares claims and pulses with few and with many items that are for the caller or for others alone, and
// what they cost those who have no such work.
func TestCostOfRouting(t *testing.T) {
	p := openPages(t)
	worker, other := provider.NewWorkerID(), provider.NewWorkerID()
	p.beats(other)()
	jobs, lane := []provider.ClassID{p.job}, p.lanes("lane", 1)
	pulse := func(routed bool) func() {
		return func() {
			if _, err := p.Pulse(p.ctx, &provider.PulseRequest{Worker: worker, Join: true, TTL: 1, Classes: []provider.ClassID{p.flow},
				WorkClasses: jobs, Routed: routed}); err != nil {
				t.Fatal(err)
			}
		}
	}
	calls := []string{"empty claim", "empty claim that asks", "claim of work for itself", "claim of other work", "pulse", "pulse that asks"}
	measure := func(name string) []cost {
		p.addInstances(name+" own", 10*tries+1, 0, 10*tries+1, p.flow, lane[0])
		c := []cost{p.of(p.claim(worker, jobs, nil, false, 0)), p.of(p.claim(worker, jobs, nil, true, 0))}
		p.route(lane[0], worker)
		c = append(c, p.of(p.claim(worker, jobs, nil, true, 10)))
		p.addInstances(name+" free", tries, 0, tries, p.flow, p.job)
		c = append(c, p.of(p.claim(worker, jobs, nil, false, 1)), p.of(pulse(false)), p.of(pulse(true)))
		p.claim(worker, jobs, nil, true, 1)()
		return c
	}
	measure("warm")
	small := measure("few")
	p.addInstances("others", many()/10, 0, many()/10, p.flow, lane[0])
	p.route(lane[0], other)
	for i, large := range measure("many") {
		p.flat(calls[i]+" beside work for others", small[i], large)
	}
	p.addInstances("own", many()/10, 0, many()/10, p.flow, lane[0])
	p.route(lane[0], worker)
	for i, large := range []cost{p.of(p.claim(worker, jobs, nil, false, 0)), small[1], p.of(p.claim(worker, jobs, nil, true, 10))} {
		p.flat(calls[i]+" from a backlog", small[i], large)
	}
	if asks, plain := small[1].Buffers, small[0].Buffers; asks > plain+4 {
		t.Errorf("an empty claim that asks for work of its own costs %d buffers, another %d", asks, plain)
	}
}

// TestCostOfRoutingUnderHeldSnapshot compares claims by a worker before and after much work for it alone has passed while a
// snapshot is held.
func TestCostOfRoutingUnderHeldSnapshot(t *testing.T) {
	p := openPages(t)
	worker := provider.NewWorkerID()
	p.hold()
	p.beats(worker)()
	p.start("a")
	item := p.fetchOne(worker)
	token, seq := item.Token, item.NextSeq
	jobs := []provider.ClassID{p.job}
	pass := func(n int) {
		commit := provider.Commit{Request: provider.NewToken(), Events: []byte(`[{}]`), EventCount: int32(n), Keep: true}
		for i := range int32(n) {
			commit.Work = append(commit.Work, provider.NewWork{Event: seq + i, Class: p.job, Worker: worker})
		}
		reply, err := p.AckOrchestrationItems(p.ctx, &provider.AckRequest{Worker: worker, Items: []provider.AckItem{
			{Ref: item.Ref, Execution: 1, Seq: seq, Token: token, Commit: commit}}})
		if err != nil || reply.Results[0].Status != provider.Applied {
			t.Fatalf("%+v, %v", reply, err)
		}
		token, seq = commit.Request, seq+int32(n)
		p.claim(worker, jobs, nil, true, n)()
	}
	call := p.claim(worker, jobs, nil, true, 0)
	var before, after cost
	pass(50)
	p.eventually("claim", func() bool { before = p.of(call); return before.Buffers < 100 })
	passed := max(many()/20, 2000)
	for range passed / 250 {
		pass(250)
	}
	p.eventually("claim later", func() bool { after = p.of(call); return after.Buffers < before.Buffers*4/3 })
	p.flat(fmt.Sprintf("empty claim after %d items", passed), before, after)
}
