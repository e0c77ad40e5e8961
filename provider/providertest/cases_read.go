package providertest

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/pawlrun/pawl/provider"
)

var readCases = []Case{
	{"read/instances", []string{"R1", "R3"}, readInstances},
	{"read/last-turn", []string{"R2"}, readLastTurn},
	{"read/history", []string{"R4", "E7"}, readHistory},
	{"read/history-pages", []string{"R5", "R4"}, readHistoryPages},
	{"read/list-newest-first", []string{"R6"}, readListOrder},
	{"read/list-pages", []string{"R6", "R7"}, readListPages},
	{"read/list-filters", []string{"R7"}, readListFilters},
	{"read/list-prefix-is-literal", []string{"R7", "E2"}, readListPrefix},
	{"read/list-limits", []string{"R7"}, readListLimits},
	{"read/priority", []string{"R8"}, readPriority},
}

func readInstances(f *fixture) {
	w := f.worker()
	classes, err := f.p.RegisterClasses(f.ctx, []provider.Class{{Kind: provider.ClassOrchestration, Name: "versioned", Version: "v2", Tag: "t"}})
	f.ok("C1", err)
	n := f.instance("b")
	n.Class = classes[0]
	f.startItem(provider.StartItem{NewInstance: n}, 0)
	l := f.granted(w, "a")
	states, err := f.p.ReadInstances(f.ctx, []string{"nobody", "b", "a", ""}, true)
	f.ok("R1", err)
	byID := map[string]provider.InstanceState{}
	for _, st := range states {
		byID[st.InstanceID] = st
	}
	f.check("R1", len(states) == 2 && len(byID) == 2, "read %+v, want a and b", states)
	equal(f, "R1", "name", byID["b"].Name, "versioned")
	equal(f, "R1", "version", byID["b"].Version, "v2")
	equal(f, "R3", "owner of a", byID["a"].Worker, w)
	equal(f, "R3", "owner of b", byID["b"].Worker, 0)
	none, err := f.p.ReadInstances(f.ctx, nil, false)
	f.ok("R1", err)
	equal(f, "R1", "instances read without ids", len(none), 0)
	other, err := f.handle().ReadInstances(f.ctx, []string{"a"}, false)
	f.ok("R1", err)
	equal(f, "R1", "instances read through another handle", len(other), 1)
	f.ack(l, f.turn(1, nil))
}

func readPriority(f *fixture) {
	w := f.worker()
	classes := f.lanes(provider.ClassOrchestration, "flow", 2, -1)
	f.startOf(classes[0], "a")
	f.start("normal")
	check := func(when, id string, want int8) {
		f.Helper()
		equal(f, "R8", "priority of "+id+" "+when, f.state(id).Priority, want)
		watched, err := f.p.ReadInstances(f.ctx, []string{id}, true)
		f.ok("R1", err)
		f.check("R8", len(watched) == 1 && watched[0].Priority == want, "priority of %s %s, watched: %+v", id, when, watched)
		listed, err := f.p.ListInstances(f.ctx, provider.ListQuery{Prefix: id})
		f.ok("R6", err)
		f.check("R8", len(listed) == 1 && listed[0].Priority == want, "priority of %s %s, listed: %+v", id, when, listed)
	}
	check("at the start", "normal", 0)
	check("at the start", "a", 2)
	l := &lease{f.fetchOf(w, 1, classes[0])[0], w}
	next := f.nextExecution()
	next.Class = classes[1]
	f.ack(l, f.continued(true, next))
	check("in its second execution", "a", -1)
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	check("at its end", "a", -1)
	ended := f.pulse(&provider.PulseRequest{Watch: []string{"a", "normal"}}).Done
	f.check("R8", len(ended) == 1 && ended[0].Priority == -1, "done: %+v", ended)
}

func readLastTurn(f *fixture) {
	w := f.worker()
	n := f.start("a")
	equal(f, "R2", "last turn of the started", string(f.state("a").LastTurn.Events), string(n.Events))
	l := f.fetchOne("F1", w, "a")
	for range 3 {
		seq := l.NextSeq
		turn := f.turn(3, func(c *provider.Commit) { c.Keep = true })
		f.ack(l, turn)
		last := f.state("a").LastTurn
		equal(f, "R2", "last turn", fmt.Sprint(last.Seq, last.Count, string(last.Events)), fmt.Sprint(seq, 3, string(turn.Events)))
	}
}

func readHistory(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	var want []provider.Turn
	want = append(want, l.History...)
	for i := range int32(12) {
		turn := f.turn(i+1, func(c *provider.Commit) { c.Keep = true })
		want = append(want, provider.Turn{Seq: l.NextSeq, Count: i + 1, Events: turn.Events})
		f.ack(l, turn)
	}
	f.checkTurns("R4", f.history("a"), want)
	byRef, err := f.p.ReadHistory(f.ctx, provider.HistoryQuery{Ref: l.Ref, Execution: 1})
	f.ok("R4", err)
	f.checkTurns("R4", byRef, want)
	equal(f, "R4", "turns of an unknown execution", len(f.historyOf("a", 2)), 0)
	equal(f, "R4", "turns of an unknown instance", len(f.history("nobody")), 0)
	unknown := l.Ref
	unknown.Row += 1 << 40
	none, err := f.p.ReadHistory(f.ctx, provider.HistoryQuery{Ref: unknown})
	f.ok("R4", err)
	equal(f, "R4", "turns of an unknown Ref", len(none), 0)
	f.ack(l, f.continued(true, f.nextExecution()))
	equal(f, "R4", "turns of the current execution", len(f.history("a")), 1)
	equal(f, "R4", "turns of execution 1", len(f.historyOf("a", 1)), 14)
}

func readHistoryPages(f *fixture) {
	const turns, size = 9, 1000
	w := f.worker()
	l := f.granted(w, "a")
	for range turns {
		turn := f.turn(2, func(c *provider.Commit) { c.Keep = true })
		turn.Events = fmt.Appendf(nil, `[{"pad":"%s"},%d]`, bytes.Repeat([]byte("x"), size), l.NextSeq)
		f.ack(l, turn)
	}
	want := f.history("a")
	equal(f, "R4", "turns", len(want), turns+1)
	for _, maxBytes := range []int{1, size / 2, 3 * size, 100 * size} {
		var got []provider.Turn
		from := int32(0)
		for range turns + 2 {
			page, err := f.p.ReadHistory(f.ctx, provider.HistoryQuery{InstanceID: "a", From: from, MaxBytes: maxBytes})
			f.ok("R5", err)
			if len(page) == 0 {
				break
			}
			f.check("R5", page[0].Seq == from, "a page from %d begins at %d", from, page[0].Seq)
			bytes := 0
			for _, t := range page[1:] {
				bytes += len(t.Events)
			}
			f.check("R5", bytes <= maxBytes+2*size, "a page of at most %d bytes has %d after its first turn", maxBytes, bytes)
			got = append(got, page...)
			last := page[len(page)-1]
			from = last.Seq + last.Count
		}
		f.checkTurns("R5", got, want)
	}
}

// ids returns the instance ids of states.
func ids(states []provider.InstanceState) []string {
	s := make([]string, len(states))
	for i, st := range states {
		s[i] = st.InstanceID
	}
	return s
}

func readListOrder(f *fixture) {
	for i := range 5 {
		f.start(fmt.Sprint("i", 9-i))
	}
	states := f.list(provider.ListQuery{})
	equal(f, "R6", "instances", fmt.Sprint(ids(states)), "[i5 i6 i7 i8 i9]")
	for _, st := range states {
		equal(f, "R6", "name", st.Name, "flow")
		equal(f, "R6", "bytes of the last turn in a list", len(st.LastTurn.Events), 0)
		equal(f, "R6", "next event number", st.NextSeq, 1)
	}
}

func readListPages(f *fixture) {
	var want []string
	var starts []provider.StartItem
	for i := range 20 {
		id := fmt.Sprintf("i%02d", i)
		want = append(want, id)
		if i < 10 { // some one by one, some all at once
			f.start(id)
		} else {
			starts = append(starts, provider.StartItem{NewInstance: f.instance(id)})
		}
	}
	_, err := f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Items: starts})
	f.ok("S1", err)
	for _, limit := range []int{1, 3, 7, 20} {
		var got []string
		q := provider.ListQuery{Limit: limit}
		for page := range 25 {
			states := f.list(q)
			f.check("R7", len(states) <= limit, "a page of at most %d has %d instances", limit, len(states))
			if len(states) == 0 {
				break
			}
			for _, id := range ids(states) {
				if id[0] == 'i' {
					got = append(got, id)
				}
			}
			q.Before = states[len(states)-1].Cursor
			if page == 1 {
				f.start(f.fresh("new"))
			}
		}
		slices.Sort(got)
		f.check("R6", slices.Equal(got, want), "pages of %d meet %v, want %v", limit, got, want)
	}
}

func readListFilters(f *fixture) {
	w := f.worker()
	for _, id := range []string{"a1", "a2", "b1", "b2"} {
		l := f.granted(w, id)
		switch id {
		case "a1":
			f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
		case "b1":
			f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusFailed }))
		case "b2":
			f.abandon(provider.AbandonedInstance{Ref: l.Ref, Token: l.Token, Park: []byte(`"why"`)})
		}
	}
	n := f.instance("c1")
	n.Class = f.otherFlow
	f.startItem(provider.StartItem{NewInstance: n}, 0)
	running, completed, failed := provider.StatusRunning, provider.StatusCompleted, provider.StatusFailed
	for _, c := range []struct {
		q    provider.ListQuery
		want string
	}{
		{provider.ListQuery{}, "[c1 b2 b1 a2 a1]"},
		{provider.ListQuery{Status: &running}, "[c1 b2 a2]"},
		{provider.ListQuery{Status: &completed}, "[a1]"},
		{provider.ListQuery{Status: &failed}, "[b1]"},
		{provider.ListQuery{ParkedOnly: true}, "[b2]"},
		{provider.ListQuery{Name: "otherFlow"}, "[c1]"},
		{provider.ListQuery{Name: "flow", Status: &running}, "[b2 a2]"},
		{provider.ListQuery{Prefix: "a"}, "[a2 a1]"},
		{provider.ListQuery{Prefix: "a2"}, "[a2]"},
		{provider.ListQuery{Prefix: "b", Status: &running, Name: "flow"}, "[b2]"},
		{provider.ListQuery{Prefix: "A"}, "[]"},
		{provider.ListQuery{Name: "Flow"}, "[]"},
		{provider.ListQuery{Limit: 2}, "[c1 b2]"},
		{provider.ListQuery{Prefix: "a", Limit: 1}, "[a2]"},
	} {
		equal(f, "R7", fmt.Sprintf("instances for %+v", c.q), fmt.Sprint(ids(f.list(c.q))), c.want)
	}
}

func readListPrefix(f *fixture) {
	all := []string{"a%b", "a_b", "axb", `a\b`, "a*b", "a?b", "Ä-b", "ä-b"}
	for _, id := range all {
		f.start(id)
	}
	for _, id := range all {
		equal(f, "R7", "instances with prefix "+id, fmt.Sprint(ids(f.list(provider.ListQuery{Prefix: id}))), fmt.Sprint([]string{id}))
	}
	for prefix, want := range map[string]int{"a": 6, "a_": 1, "a%": 1, `a\`: 1, "_": 0, "%": 0, "Ä": 1} {
		equal(f, "R7", "instances with prefix "+prefix, len(f.list(provider.ListQuery{Prefix: prefix})), want)
	}
}

func readListLimits(f *fixture) {
	const n = 1005
	for begin := 0; begin < n; begin += 201 {
		var starts []provider.StartItem
		for i := range 201 {
			starts = append(starts, provider.StartItem{NewInstance: f.instance(fmt.Sprint("i", begin+i))})
		}
		_, err := f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Items: starts})
		f.ok("S1", err)
	}
	equal(f, "R7", "instances without Limit", len(f.list(provider.ListQuery{})), 100)
	equal(f, "R7", "instances with Limit 500", len(f.list(provider.ListQuery{Limit: 500})), 500)
	states, err := f.p.ListInstances(f.ctx, provider.ListQuery{Limit: 5000})
	if err == nil {
		equal(f, "R7", "instances with Limit 5000", len(states), 1000)
	} else {
		f.givesUp("R7", err)
	}
}
