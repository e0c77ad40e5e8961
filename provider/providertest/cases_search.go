package providertest

import (
	"fmt"
	"strings"

	"github.com/pawlrun/pawl/provider"
)

// Values that instances begin with, and instances found by their values.
var searchCases = []Case{
	{"values/by-start", []string{"V7", "I1"}, valuesByStart},
	{"values/by-eager-start-and-turn", []string{"V7", "I2"}, valuesByEagerStart},
	{"values/of-children", []string{"V7", "A7"}, valuesOfChildren},
	{"values/of-replacement", []string{"V7", "S8"}, valuesOfReplacement},
	{"search/by-several", []string{"V8"}, searchBySeveral},
	{"search/searchable-only", []string{"V8", "V3"}, searchSearchableOnly},
	{"search/ended", []string{"V8", "V5"}, searchEnded},
	{"search/with-other-filters", []string{"V8", "R7"}, searchFiltered},
	{"search/pages", []string{"V8", "R6"}, searchPages},
	{"search/odd-texts", []string{"V8", "E2"}, searchOddTexts},
	{"search/bounded", []string{"V9", "E1"}, searchBounded},
	{"search/unstorable", []string{"E3"}, searchUnstorable},
}

// searchable makes searchable values, given as key and data in turn.
func searchable(pairs ...string) []provider.Value {
	var vs []provider.Value
	for i := 0; i < len(pairs); i += 2 {
		vs = append(vs, provider.Value{Key: pairs[i], Data: []byte(pairs[i+1]), Searchable: true})
	}
	return vs
}

// memo makes one value that is not searchable.
func memo(key, data string) provider.Value { return provider.Value{Key: key, Data: []byte(data)} }

// startWith starts an instance that begins with values.
func (f *fixture) startWith(id string, values ...provider.Value) {
	f.Helper()
	n := f.instance(id)
	n.Values = values
	f.startItem(provider.StartItem{NewInstance: n}, 0)
}

// found lists the ids of instances that a query finds, in order.
func (f *fixture) found(q provider.ListQuery) string {
	f.Helper()
	ids := []string{}
	for _, st := range f.list(q) {
		ids = append(ids, st.InstanceID)
	}
	return fmt.Sprint(ids)
}

// finds checks which instances have all of some values, given as key and data in turn, newest first.
func (f *fixture) finds(what, want string, pairs ...string) {
	f.Helper()
	equal(f, "V8", what, f.found(provider.ListQuery{Values: searchable(pairs...)}), want)
}

func valuesByStart(f *fixture) {
	item := provider.StartItem{NewInstance: f.instance("a")}
	item.Values = append(searchable("k", `1`), memo("l", `{"x": 2}`))
	f.startItem(item, 0)
	check := func(when string) {
		f.Helper()
		equal(f, "V7", "values "+when, fmt.Sprint(f.values("a")), `[k=1 l={"x": 2}]`)
		vs, _, err := f.p.ReadValues(f.ctx, "a", nil)
		f.ok("V4", err)
		f.check("V7", vs[0].Searchable && !vs[1].Searchable, "searchability %s: %+v", when, vs)
		f.finds("found "+when, "[a]", "k", `1`)
	}
	check("after the start")
	other := f.instance("a")
	other.Values = searchable("k", `2`, "m", `3`)
	r, err := f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Items: []provider.StartItem{{NewInstance: other}}})
	f.ok("V7", err)
	equal(f, "V7", "status of another start", r.Results[0].Status, provider.Exists)
	check("after another start")
	w := f.worker()
	l := f.fetchOne("S2", w, "a")
	check("after a fetch")
	f.ack(l, f.setting("k", "", "l", `5`, "n", `6`))
	f.startItem(item, 0) // a repeat
	equal(f, "V7", "values after a repeated start", fmt.Sprint(f.values("a")), "[l=5 n=6]")
	var batch []provider.StartItem
	for i := range 5 {
		n := f.instance(fmt.Sprint("b", i))
		if i%2 == 0 {
			n.Values = searchable("k", fmt.Sprint(i), "b", `true`)
		}
		batch = append(batch, provider.StartItem{NewInstance: n})
	}
	_, err = f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Items: batch})
	f.ok("V7", err)
	for i := range 5 {
		id, want := fmt.Sprint("b", i), "[]"
		if i%2 == 0 {
			want = fmt.Sprintf("[b=true k=%d]", i)
		}
		equal(f, "V7", "values of "+id, fmt.Sprint(f.values(id)), want)
	}
	equal(f, "V8", "instances of the batch", len(f.list(provider.ListQuery{Values: searchable("b", `true`)})), 3)
}

func valuesByEagerStart(f *fixture) {
	w := f.worker()
	first := f.turn(1, func(c *provider.Commit) {
		c.Keep = true
		c.Values = append(searchable("both", `"turn"`, "turn", `1`), provider.Value{Key: "gone"}, memo("hidden", `"turn"`))
	})
	item := provider.StartItem{NewInstance: f.instance("a"), First: &first}
	item.Values = searchable("both", `"start"`, "start", `2`, "gone", `3`, "hidden", `"turn"`)
	for range 2 {
		f.startItem(item, w)
		equal(f, "V7", "values", fmt.Sprint(f.values("a")), `[both="turn" hidden="turn" start=2 turn=1]`)
		f.finds("found by both", "[a]", "both", `"turn"`, "turn", `1`, "start", `2`)
		f.finds("found by what the turn has replaced", "[]", "both", `"start"`)
		f.finds("found by what the turn has removed", "[]", "gone", `3`)
		f.finds("found by what the turn has hidden", "[]", "hidden", `"turn"`)
	}
	plain := f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted })
	ended := provider.StartItem{NewInstance: f.instance("b"), First: &plain}
	ended.Values = searchable("start", `2`)
	for range 2 {
		f.startItem(ended, w)
		equal(f, "V7", "values of one that ended at once", fmt.Sprint(f.values("b")), "[start=2]")
	}
	f.finds("all", "[b a]", "start", `2`)
}

func valuesOfChildren(f *fixture) {
	w := f.worker()
	l := f.granted(w, "p")
	family := func(prefix string) provider.Commit {
		return f.turn(1, func(c *provider.Commit) {
			c.Keep, c.Values = true, searchable("who", `"parent"`)
			for i := range 4 {
				child := f.child(l, fmt.Sprint(prefix, i), int32(i+1))
				child.Values = append(searchable("who", `"child"`, "n", fmt.Sprint(i)), memo("m", `"memo"`))
				child.Lease = i == 1
				switch i {
				case 2:
					child.Parent = nil
				case 3:
					child.Values = nil
				}
				c.Children = append(c.Children, child)
			}
		})
	}
	a := l.item(family("c"))
	reply := f.ackItem(l, a)
	equal(f, "K2", "children granted", len(reply.Granted), 1)
	check := func(when string) {
		f.Helper()
		equal(f, "V7", "values of the parent "+when, fmt.Sprint(f.values("p")), `[who="parent"]`)
		for i, want := range []string{`[m="memo" n=0 who="child"]`, `[m="memo" n=1 who="child"]`, `[m="memo" n=2 who="child"]`, "[]"} {
			id := fmt.Sprint("c", i)
			equal(f, "V7", "values of "+id+" "+when, fmt.Sprint(f.values(id)), want)
		}
		equal(f, "V8", "children found "+when, len(f.list(provider.ListQuery{Values: searchable("who", `"child"`)})), 3)
		f.finds("one found "+when, "[c2]", "who", `"child"`, "n", `2`)
	}
	check("after the commit")
	child := &lease{reply.Granted[0], w}
	f.ack(child, f.setting("n", "", "x", `1`))
	_, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{a}}) // a repeat
	f.ok("I5", err)
	equal(f, "V7", "values of c1 after a repeat", fmt.Sprint(f.values("c1")), `[m="memo" who="child" x=1]`)
	f.ack(l, family("c")) // all ids are taken
	equal(f, "V7", "values of c1 after others of its id", fmt.Sprint(f.values("c1")), `[m="memo" who="child" x=1]`)
	fenced := l.item(family("f"))
	fenced.Token = provider.NewToken()
	equal(f, "A7", "status", f.tryAck(w, fenced), provider.Fenced)
	equal(f, "A7", "children after a fenced ack", len(f.list(provider.ListQuery{Values: searchable("who", `"child"`)})), 3)
}

func valuesOfReplacement(f *fixture) {
	w := f.worker()
	f.startWith("a", append(searchable("k", `1`, "old", `1`), memo("m", `1`))...)
	f.ack(f.fetchOne("S2", w, "a"), f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusCompleted }))
	n := f.instance("a")
	n.Values = searchable("k", `2`)
	f.startItem(provider.StartItem{NewInstance: n, ReplaceEnded: true}, 0)
	equal(f, "S8", "values", fmt.Sprint(f.values("a")), "[k=2]")
	f.finds("by what the old one had", "[]", "k", `1`)
	f.finds("by another that the old one had", "[]", "old", `1`)
	f.finds("by what the new one has", "[a]", "k", `2`)
}

func searchBySeveral(f *fixture) {
	for i := range 12 {
		f.startWith(fmt.Sprint("i", i), searchable("half", fmt.Sprint(i%2), "third", fmt.Sprint(i%3), "all", `true`)...)
	}
	f.start("none")
	f.finds("by one", "[i10 i8 i6 i4 i2 i0]", "half", `0`)
	f.finds("by two", "[i10 i4]", "half", `0`, "third", `1`)
	f.finds("by two, the other way round", "[i10 i4]", "third", `1`, "half", `0`)
	f.finds("by three", "[i11 i5]", "all", `true`, "third", `2`, "half", `1`)
	f.finds("by one twice", "[i10 i7 i4 i1]", "third", `1`, "third", `1`)
	f.finds("by what excludes itself", "[]", "third", `1`, "third", `2`)
	f.finds("by data nobody has", "[]", "third", `3`)
	f.finds("by a key nobody has", "[]", "fourth", `1`)
	f.finds("by data under another key", "[]", "all", `1`)
	f.finds("by part of the data", "[]", "all", `tru`)
	f.finds("by all of one and a key nobody has", "[]", "all", `true`, "fourth", `1`)
	equal(f, "V8", "without values", len(f.list(provider.ListQuery{})), 13)
}

func searchSearchableOnly(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.startWith("b", memo("k", `1`))
	set := func(vs ...provider.Value) {
		f.Helper()
		c := f.setting()
		c.Values = vs
		f.ack(l, c)
	}
	for n, step := range []struct {
		v    provider.Value
		data string
		want string
	}{
		{memo("k", `1`), `1`, "[]"},
		{searchable("k", `1`)[0], `1`, "[a]"},
		{searchable("k", `2`)[0], `1`, "[]"},
		{searchable("k", `2`)[0], `2`, "[a]"},
		{memo("k", `2`), `2`, "[]"},
		{searchable("k", `3`)[0], `3`, "[a]"},
		{provider.Value{Key: "k", Searchable: true}, `3`, "[]"},
		{memo("k", strings.Repeat("3", 1000)), `3`, "[]"},
		{searchable("k", `4`)[0], `4`, "[a]"},
		{searchable("l", `4`)[0], `4`, "[a]"},
		{provider.Value{Key: "k"}, `4`, "[]"},
	} {
		set(step.v)
		f.finds(fmt.Sprint("found after turn ", n), step.want, "k", step.data)
	}
	f.finds("found by another key", "[a]", "l", `4`)
}

func searchEnded(f *fixture) {
	w := f.worker()
	var want []string
	for _, status := range []provider.InstanceStatus{provider.StatusCompleted, provider.StatusFailed, provider.StatusCancelled, provider.StatusContinuedAsNew} {
		id := status.String()
		f.startWith(id, searchable("k", `1`)...)
		l := f.fetchOne("S2", w, id)
		if status == provider.StatusContinuedAsNew {
			f.ack(l, f.continued(true, f.nextExecution()))
		} else {
			f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = status }))
		}
		want = append([]string{id}, want...)
	}
	f.startWith("terminated", searchable("k", `1`)...)
	f.terminateOne(f.termination("terminated"))
	f.startWith("running", searchable("k", `1`)...)
	f.finds("found", fmt.Sprint(append([]string{"running", "terminated"}, want...)), "k", `1`)
}

func searchFiltered(f *fixture) {
	w := f.worker()
	named, err := f.p.RegisterClasses(f.ctx, []provider.Class{{Kind: provider.ClassOrchestration, Name: "named"}})
	f.ok("C1", err)
	for i := range 8 {
		n := f.instance(fmt.Sprint([]string{"x", "y"}[i%2], i))
		n.Values = searchable("k", fmt.Sprint(i/4))
		if i%4 < 2 {
			n.Class = named[0]
		}
		f.startItem(provider.StartItem{NewInstance: n}, 0)
	}
	ended := f.fetchOf(w, 10, named[0])
	for _, it := range ended {
		if it.InstanceID == "x0" {
			f.ack(&lease{it, w}, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusFailed }))
		}
	}
	f.suspend(`"why"`, "y1", "y5")
	failed := provider.StatusFailed
	for _, q := range []struct {
		q    provider.ListQuery
		want string
	}{
		{provider.ListQuery{}, "[y3 x2 y1 x0]"},
		{provider.ListQuery{Name: "named"}, "[y1 x0]"},
		{provider.ListQuery{Prefix: "y"}, "[y3 y1]"},
		{provider.ListQuery{ParkedOnly: true}, "[y1]"},
		{provider.ListQuery{Status: &failed}, "[x0]"},
		{provider.ListQuery{Status: &failed, Name: "named", Prefix: "x", Limit: 1}, "[x0]"},
		{provider.ListQuery{Name: "named", Prefix: "z"}, "[]"},
		{provider.ListQuery{Name: "nobody"}, "[]"},
		{provider.ListQuery{Limit: 1}, "[y3]"},
	} {
		q.q.Values = searchable("k", `0`)
		equal(f, "V8", fmt.Sprintf("found by %+v", q.q), f.found(q.q), q.want)
	}
}

func searchPages(f *fixture) {
	const n = 25
	var want []string
	for i := range n {
		f.startWith(fmt.Sprintf("i%02d", i), searchable("all", `1`, "some", fmt.Sprint(i%2))...)
		f.start(fmt.Sprintf("other%02d", i))
		if i%2 == 0 {
			want = append([]string{fmt.Sprintf("i%02d", i)}, want...)
		}
	}
	var got []string
	q := provider.ListQuery{Values: searchable("all", `1`, "some", `0`), Limit: 4}
	for page := 0; page < n; page++ {
		states := f.list(q)
		for _, st := range states {
			got = append(got, st.InstanceID)
			q.Before = st.Cursor
		}
		if len(states) < q.Limit {
			break
		}
		f.startWith(fmt.Sprint("late", page), q.Values...)
	}
	equal(f, "V8", "found over pages", fmt.Sprint(got), fmt.Sprint(want))
}

func searchOddTexts(f *fixture) {
	texts := append([]string{"", "A", "a", "%", "_", "'; --", "k ", "k\n"}, strangeTexts...)
	for n, text := range texts {
		if len(text) > provider.MaxSearchableBytes {
			texts[n] = text[:provider.MaxSearchableBytes]
		}
	}
	for n, text := range texts {
		f.startWith(fmt.Sprint("key", n), searchable(text, `1`)...)
		f.startWith(fmt.Sprint("doc", n), searchable("doc", `"`+jsonText(text)+`"`)...)
	}
	for n, text := range texts {
		f.finds(fmt.Sprintf("by key %q", text), fmt.Sprintf("[key%d]", n), text, `1`)
		f.finds(fmt.Sprintf("by data %q", text), fmt.Sprintf("[doc%d]", n), "doc", `"`+jsonText(text)+`"`)
	}
	f.startWith("spaced", searchable("s", `1`)...)
	f.startWith("unspaced", searchable("s", `1 `)...)
	f.finds("by bytes", "[spaced]", "s", `1`)
	f.finds("by bytes with a space", "[unspaced]", "s", `1 `)
}

// jsonText escapes what a JSON string must not have.
func jsonText(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\t", `\t`, "\n", `\n`, "\x01", `\u0001`).Replace(s)
}

func searchBounded(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	largest := `"` + strings.Repeat("é", (provider.MaxSearchableBytes-2)/2) + `x"`
	equal(f, "V9", "bytes", len(largest), provider.MaxSearchableBytes)
	tooLarge := largest[:len(largest)-1] + `y"`
	f.startWith("b", append(searchable(strings.Repeat("k", provider.MaxValueKeyBytes), largest), memo("memo", tooLarge))...)
	c := f.setting()
	c.Values = append(searchable("k", largest), memo("memo", tooLarge))
	f.ack(l, c)
	f.finds("by the largest", "[a]", "k", largest)
	f.finds("by more than the largest", "[]", "k", tooLarge)
	bad := f.instance("c")
	bad.Values = searchable("k", tooLarge)
	eager := f.turn(1, func(c *provider.Commit) { c.Keep, c.Values = true, bad.Values })
	withChild := f.turn(1, func(c *provider.Commit) { c.Keep, c.Children = true, []provider.NewInstance{bad} })
	for what, items := range map[string][]provider.StartItem{
		"a start":                     {{NewInstance: f.instance("d")}, {NewInstance: bad}},
		"an eager start":              {{NewInstance: f.instance("d"), First: &eager}},
		"an eager start with a child": {{NewInstance: f.instance("d"), First: &withChild}},
	} {
		_, err := f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Worker: w, Items: items})
		f.check("V9", err != nil, "%s with %d bytes was taken", what, len(tooLarge))
		f.givesUp("V9", err)
	}
	for _, commit := range []provider.Commit{eager, withChild} {
		commit.Request = provider.NewToken()
		_, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{l.item(commit)}})
		f.givesUp("V9", err)
	}
	equal(f, "V9", "instances", f.found(provider.ListQuery{}), "[b a]")
	equal(f, "V9", "values", fmt.Sprint(f.values("a", "k")), fmt.Sprint([]string{"k=" + largest}))
	f.ack(l, f.turn(1, nil))
}

func searchUnstorable(f *fixture) {
	f.startWith("a", searchable("k", `1`)...)
	for _, bad := range []string{"nul\x00", "bad\xff"} {
		_, err := f.p.ListInstances(f.ctx, provider.ListQuery{Values: searchable("k", `1`, bad, `1`)})
		f.givesUp("E3", err)
		n := f.instance("b")
		n.Values = append(searchable("k", `1`), memo(bad, `2`))
		_, err = f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Items: []provider.StartItem{{NewInstance: n}}})
		f.givesUp("E3", err)
	}
	f.finds("found", "[a]", "k", `1`)
}
