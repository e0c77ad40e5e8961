package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/pawlrun/pawl/provider"
)

// TestNothingStarves fetches from a backlog that is spread over three classes and all partitions while newer items keep
// coming as fast as they are taken: whatever came first is taken first, but for a few places, whatever its queue.
func TestNothingStarves(t *testing.T) {
	const backlog, most, slack = 400, 7, 60
	s := open(t, schemaName(t), nil)
	var classes []provider.Class
	for i := range 3 {
		classes = append(classes, provider.Class{Kind: provider.ClassOrchestration, Name: fmt.Sprint("Flow", i)},
			provider.Class{Kind: provider.ClassActivity, Name: fmt.Sprint("Job", i)})
	}
	ids, err := s.RegisterClasses(s.ctx, classes)
	if err != nil {
		t.Fatal(err)
	}
	flows, jobs := []provider.ClassID{ids[0], ids[2], ids[4]}, []provider.ClassID{ids[1], ids[3], ids[5]}
	random := rand.New(rand.NewPCG(1, 2))
	worker := provider.NewWorkerID()
	// Most items are of the first class: the others must not wait for it, nor it for them.
	pick := func(of []provider.ClassID) provider.ClassID { return of[max(0, random.IntN(12)-9)] }
	started := 0
	start := func(n int) {
		req := &provider.StartRequest{Worker: worker}
		for range n {
			first := &provider.Commit{Request: provider.NewToken(), Events: []byte(`[{},{}]`), EventCount: 2,
				Work: []provider.NewWork{{Event: 1, Class: pick(jobs)}}}
			req.Items = append(req.Items, provider.StartItem{First: first, NewInstance: provider.NewInstance{
				InstanceID: fmt.Sprint("work ", started), ExecutionID: provider.NewExecutionID(), Class: flows[0]}},
				provider.StartItem{NewInstance: provider.NewInstance{InstanceID: fmt.Sprint("turn ", started),
					ExecutionID: provider.NewExecutionID(), Class: pick(flows), Events: []byte(`[{}]`)}})
			started++
		}
		if _, err := s.StartOrchestrations(s.ctx, req); err != nil {
			t.Fatal(err)
		}
	}
	for started < backlog {
		start(5)
	}
	taken := map[string]int{}
	check := func(kind, id string) {
		number, err := strconv.Atoi(id[len("turn "):])
		if err != nil || id[:len(kind)] != kind {
			t.Fatalf("fetched %q", id)
		}
		if late := taken[kind] - number; late > slack {
			t.Errorf("%q comes %d places late", id, late)
		}
		taken[kind]++
	}
	for taken["turn"] < backlog {
		items, err := s.FetchOrchestrationItems(s.ctx, &provider.FetchRequest{Worker: worker, Request: provider.NewToken(), Classes: flows, Max: most})
		if err != nil || len(items) != most {
			t.Fatalf("fetched %d items, %v", len(items), err)
		}
		for i := range items {
			check("turn", items[i].InstanceID)
		}
		fetched, err := s.FetchWorkItems(s.ctx, &provider.FetchWorkRequest{Worker: worker, Request: provider.NewToken(), Classes: jobs, Max: most})
		if err != nil || len(fetched.Work) != most {
			t.Fatalf("fetched %+v, %v", fetched, err)
		}
		work := fetched.Work
		for i := range work {
			check("work", work[i].InstanceID)
		}
		start(most)
	}
}
