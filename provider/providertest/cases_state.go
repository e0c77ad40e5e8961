package providertest

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// What an instance shows of itself: its custom status and its values.
var stateCases = []Case{
	{"status/counted", []string{"V1"}, statusCounted},
	{"status/fenced-and-repeated", []string{"V1", "V3", "A7"}, statusFenced},
	{"status/everywhere", []string{"V2"}, statusEverywhere},
	{"status/survives", []string{"V2", "V1"}, statusSurvives},
	{"values/set-and-removed", []string{"V3", "V4"}, valuesSet},
	{"values/by-eager-start", []string{"V3", "V1"}, valuesEager},
	{"values/read", []string{"V4"}, valuesRead},
	{"values/survive", []string{"V5", "V3"}, valuesSurvive},
	{"values/of-many-in-one-call", []string{"V1", "V3", "A8"}, valuesOfMany},
	{"values/of-one-turn", []string{"V6"}, valuesOfOneTurn},
	{"values/odd-keys", []string{"V4", "E2"}, valuesOddKeys},
	{"values/documents", []string{"E4"}, valuesDocuments},
	{"values/mebibyte", []string{"E4"}, valuesMebibyte},
	{"values/unstorable-keys", []string{"E3"}, valuesUnstorable},
}

// values reads values as key=data.
func (f *fixture) values(id string, keys ...string) []string {
	f.Helper()
	vs, found, err := f.p.ReadValues(f.ctx, id, keys)
	f.ok("V4", err)
	equal(f, "V4", "found "+id, found, true)
	texts := []string{}
	for _, v := range vs {
		texts = append(texts, v.Key+"="+string(v.Data))
	}
	return texts
}

// setting makes the turn that sets values, given as key and data in turn; no data removes.
func (f *fixture) setting(pairs ...string) provider.Commit {
	return f.turn(1, func(c *provider.Commit) {
		c.Keep = true
		for i := 0; i < len(pairs); i += 2 {
			v := provider.Value{Key: pairs[i]}
			if pairs[i+1] != "" {
				v.Data = []byte(pairs[i+1])
			}
			c.Values = append(c.Values, v)
		}
	})
}

// showing makes the turn that sets the custom status and goes on.
func (f *fixture) showing(doc string) provider.Commit {
	return f.turn(1, func(c *provider.Commit) { c.Keep, c.CustomStatus = true, []byte(doc) })
}

// checkStatus checks the custom status of an instance as a read shows it.
func (f *fixture) checkStatus(clause, when, id, doc string, version int64) {
	f.Helper()
	st := f.state(id)
	equal(f, clause, "custom status "+when, string(st.CustomStatus), doc)
	equal(f, clause, "version "+when, st.StatusVersion, version)
	f.check(clause, doc != "" || st.CustomStatus == nil, "custom status %s: not nil", when)
}

func statusCounted(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.checkStatus("V1", "at first", "a", "", 0)
	keep := func(c *provider.Commit) { c.Keep = true }
	f.ack(l, f.turn(1, keep))
	f.checkStatus("V1", "never set", "a", "", 0)
	f.ack(l, f.showing(`{"done": 1}`))
	f.checkStatus("V1", "set once", "a", `{"done": 1}`, 1)
	f.ack(l, f.turn(1, keep))
	f.checkStatus("V1", "after a turn without", "a", `{"done": 1}`, 1)
	f.ack(l, f.showing(`{"done": 1}`))
	f.checkStatus("V1", "set to the same", "a", `{"done": 1}`, 2)
	f.ack(l, f.showing(`null`))
	f.checkStatus("V1", "set to null", "a", `null`, 3)
	f.ack(l, f.turn(1, nil))
	f.checkStatus("V1", "of a free instance", "a", `null`, 3)
	f.start("b")
	f.checkStatus("V1", "of another", "b", "", 0)
}

func statusFenced(f *fixture) {
	w := f.worker()
	l, other := f.granted(w, "a"), f.granted(w, "b")
	item := l.item(f.turn(1, func(c *provider.Commit) {
		c.Keep, c.CustomStatus, c.Values = true, []byte(`"s"`), []provider.Value{{Key: "k", Data: []byte(`1`)}}
	}))
	fenced := item
	fenced.Token = provider.NewToken()
	applied := other.item(f.showing(`"other"`))
	r, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{fenced, applied}})
	f.ok("A8", err)
	equal(f, "A7", "statuses", fmt.Sprint(r.Results[0].Status, r.Results[1].Status), "fenced applied")
	f.checkStatus("V1", "of a fenced item", "a", "", 0)
	equal(f, "V3", "values of a fenced item", len(f.values("a")), 0)
	f.checkStatus("V1", "beside a fenced item", "b", `"other"`, 1)
	for range 3 {
		equal(f, "I5", "status", f.tryAck(w, item), provider.Applied)
	}
	f.checkStatus("V1", "after repeats", "a", `"s"`, 1)
	l.advance(item.Commit)
	f.ack(l, f.turn(1, func(c *provider.Commit) {
		c.Keep, c.CustomStatus, c.Values = true, []byte(`"t"`), []provider.Value{{Key: "k", Data: []byte(`2`)}}
	}))
	equal(f, "I5", "status of a late repeat", f.tryAck(w, item), provider.Applied)
	f.checkStatus("V1", "after a late repeat", "a", `"t"`, 2)
	equal(f, "V3", "values after a late repeat", fmt.Sprint(f.values("a")), "[k=2]")
}

func statusEverywhere(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.start("b")
	f.ack(l, f.showing(`"first"`))
	f.ack(l, f.turn(1, func(c *provider.Commit) {
		c.Status, c.CustomStatus = provider.StatusCompleted, []byte(`{ "last": true }`)
	}))
	f.checkStatus("V2", "in a read", "a", `{ "last": true }`, 2)
	done := f.pulse(&provider.PulseRequest{Watch: []string{"a", "b"}}).Done
	equal(f, "L8", "instances done", len(done), 1)
	equal(f, "V2", "custom status in Done", string(done[0].CustomStatus), `{ "last": true }`)
	equal(f, "V2", "version in Done", done[0].StatusVersion, 2)
	for _, st := range f.list(provider.ListQuery{}) {
		want, version := "", int64(0)
		if st.InstanceID == "a" {
			want, version = `{ "last": true }`, 2
		}
		equal(f, "V2", "custom status of "+st.InstanceID+" in a listing", string(st.CustomStatus), want)
		equal(f, "V2", "version of "+st.InstanceID+" in a listing", st.StatusVersion, version)
	}
}

func statusSurvives(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.showing(`"one"`))
	f.ack(l, f.continued(true, f.nextExecution()))
	f.checkStatus("V2", "after continue-as-new", "a", `"one"`, 1)
	next := f.continued(false, f.nextExecution())
	next.CustomStatus = []byte(`"two"`)
	f.ack(l, next)
	f.checkStatus("V2", "set with continue-as-new", "a", `"two"`, 2)
	l = f.fetchOne("X2", w, "a")
	f.ack(l, f.showing(`"three"`))
	f.checkStatus("V2", "in the third execution", "a", `"three"`, 3)
	f.ack(l, f.turn(1, func(c *provider.Commit) { c.Status = provider.StatusFailed }))
	f.checkStatus("V2", "after the end", "a", `"three"`, 3)
	l = f.granted(w, "b")
	f.ack(l, f.showing(`"b"`))
	f.terminateOne(f.termination("b"))
	f.checkStatus("V2", "after a termination", "b", `"b"`, 1)
}

func valuesSet(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.start("b")
	for n, step := range []struct {
		c    provider.Commit
		want string
	}{
		{f.setting(), "[]"},
		{f.setting("k", `1`, "l", `{"x": 2}`), `[k=1 l={"x": 2}]`},
		{f.setting(), `[k=1 l={"x": 2}]`},
		{f.setting("m", `null`), `[k=1 l={"x": 2} m=null]`},
		{f.setting("l", "", "k", `"one"`, "never", ""), `[k="one" m=null]`},
		{f.setting("l", `3`), `[k="one" l=3 m=null]`},
		{f.setting("k", "", "l", "", "m", ""), "[]"},
	} {
		f.ack(l, step.c)
		equal(f, "V3", fmt.Sprintf("values after turn %d", n), fmt.Sprint(f.values("a")), step.want)
	}
	equal(f, "V3", "values of another", len(f.values("b")), 0)
}

func valuesEager(f *fixture) {
	w := f.worker()
	first := f.turn(1, func(c *provider.Commit) {
		c.Keep, c.CustomStatus = true, []byte(`"s"`)
		c.Values = []provider.Value{{Key: "k", Data: []byte(`1`)}, {Key: "l"}}
	})
	item := provider.StartItem{NewInstance: f.instance("a"), First: &first}
	for range 2 {
		f.startItem(item, w)
		equal(f, "V3", "values of an eager start", fmt.Sprint(f.values("a")), "[k=1]")
		f.checkStatus("V1", "of an eager start", "a", `"s"`, 1)
	}
}

func valuesRead(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.setting("b", `1`, "a", `2`, "B", `3`, "ä", `4`, "a-b", `5`, "aa", `6`, "_", `7`))
	for _, q := range []struct {
		keys []string
		want string
	}{
		{nil, "[B=3 _=7 a=2 a-b=5 aa=6 b=1 ä=4]"},
		{[]string{}, "[B=3 _=7 a=2 a-b=5 aa=6 b=1 ä=4]"},
		{[]string{"b", "a"}, "[a=2 b=1]"},
		{[]string{"ä", "nothing", "B"}, "[B=3 ä=4]"},
		{[]string{"nothing"}, "[]"},
		{[]string{"%", "a_", "_"}, "[_=7]"},
	} {
		equal(f, "V4", fmt.Sprintf("values of keys %q", q.keys), fmt.Sprint(f.values("a", q.keys...)), q.want)
	}
	for _, keys := range [][]string{nil, {"b"}} {
		vs, found, err := f.p.ReadValues(f.ctx, "nobody", keys)
		f.ok("V4", err)
		equal(f, "V4", "unknown instance found", found, false)
		equal(f, "V4", "values of an unknown instance", len(vs), 0)
	}
	f.start("empty")
	equal(f, "V4", "values of one that has set none", len(f.values("empty", "b")), 0)
}

func valuesSurvive(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.setting("k", `1`, "l", `2`))
	f.ack(l, f.continued(true, f.nextExecution()))
	equal(f, "V5", "values after continue-as-new", fmt.Sprint(f.values("a")), "[k=1 l=2]")
	next := f.continued(true, f.nextExecution())
	next.Values = []provider.Value{{Key: "k"}, {Key: "m", Data: []byte(`3`)}}
	f.ack(l, next)
	equal(f, "V3", "values set with continue-as-new", fmt.Sprint(f.values("a")), "[l=2 m=3]")
	last := f.setting("l", `4`)
	last.Keep, last.Status = false, provider.StatusCompleted
	f.ack(l, last)
	equal(f, "V5", "values after the end", fmt.Sprint(f.values("a")), "[l=4 m=3]")
	l = f.granted(w, "b")
	f.ack(l, f.setting("k", `1`))
	f.terminateOne(f.termination("b"))
	equal(f, "V5", "values after a termination", fmt.Sprint(f.values("b")), "[k=1]")
}

// valuesOfMany sets statuses and values of many instances with one call, each of its own, and of some none.
func valuesOfMany(f *fixture) {
	const n = 40
	w := f.worker()
	var items []provider.AckItem
	for i := range n {
		l := f.granted(w, fmt.Sprint("i", i))
		items = append(items, l.item(f.turn(1, func(c *provider.Commit) {
			c.Keep = i%2 == 0
			if i%3 == 0 {
				c.CustomStatus = fmt.Appendf(nil, "%d", i)
			}
			for k := range i % 4 {
				c.Values = append(c.Values, provider.Value{Key: fmt.Sprint("k", k), Data: fmt.Appendf(nil, "%d", i)})
			}
		})))
		if i%5 == 0 {
			items[i].Token = provider.NewToken()
		}
	}
	_, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: items})
	f.ok("A8", err)
	for i := range n {
		id, values, status, version := fmt.Sprint("i", i), []string{}, "", int64(0)
		if i%5 != 0 {
			if i%3 == 0 {
				status, version = fmt.Sprint(i), 1
			}
			for k := range i % 4 {
				values = append(values, fmt.Sprintf("k%d=%d", k, i))
			}
		}
		f.checkStatus("V1", "of "+id, id, status, version)
		equal(f, "V3", "values of "+id, fmt.Sprint(f.values(id)), fmt.Sprint(values))
	}
}

// valuesOfOneTurn reads two values while turns are committed that set both to the same, until each reader has seen some.
func valuesOfOneTurn(f *fixture) {
	const readers, sights = 3, 4
	w := f.worker()
	l := f.granted(w, "a")
	f.ack(l, f.setting("k", `"first"`, "l", `"first"`))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var satisfied atomic.Int32
	torn := make([]string, readers)
	for r := range readers {
		p := f.handle()
		wg.Go(func() {
			seen := map[string]bool{}
			for {
				vs, _, err := p.ReadValues(f.ctx, "a", [][]string{nil, {"l", "k"}, {"k", "l"}}[r])
				if err != nil || len(vs) != 2 || string(vs[0].Data) != string(vs[1].Data) {
					torn[r] = fmt.Sprintf("read %+v, error %v", vs, err)
					satisfied.Add(1)
					return
				}
				if data := string(vs[0].Data); !seen[data] {
					if seen[data] = true; len(seen) == sights {
						satisfied.Add(1)
					}
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	refused := ""
	deadline := time.Now().Add(f.patience)
	for n := 0; satisfied.Load() < readers && refused == "" && time.Now().Before(deadline); n++ {
		item := l.item(f.setting("k", fmt.Sprint(n), "l", fmt.Sprint(n)))
		r, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{item}})
		if err != nil || r.Results[0].Status != provider.Applied {
			refused = fmt.Sprintf("%+v, error %v", r, err)
		}
		l.advance(item.Commit)
	}
	close(stop)
	wg.Wait()
	f.check("A1", refused == "", "a commit was refused: %s", refused)
	for _, what := range torn {
		f.check("V6", what == "", "%s", what)
	}
}

func valuesOddKeys(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	keys := append([]string{"", "A", "a", "k", "K", "'; --", "k\n", "k "}, strangeTexts...)
	c := f.setting()
	for n, k := range keys {
		c.Values = append(c.Values, provider.Value{Key: k, Data: fmt.Appendf(nil, "%d", n)})
	}
	f.ack(l, c)
	vs, _, err := f.p.ReadValues(f.ctx, "a", nil)
	f.ok("E2", err)
	equal(f, "E2", "values", len(vs), len(keys))
	for n := 1; n < len(vs); n++ {
		f.check("V4", vs[n-1].Key < vs[n].Key, "%q is read before %q", vs[n-1].Key, vs[n].Key)
	}
	for n, k := range keys {
		equal(f, "E2", fmt.Sprintf("value of key %q", k), fmt.Sprint(f.values("a", k)), fmt.Sprint([]string{fmt.Sprint(k, "=", n)}))
	}
	c = f.setting()
	for _, k := range keys[2:] {
		c.Values = append(c.Values, provider.Value{Key: k})
	}
	f.ack(l, c)
	equal(f, "E2", "values left", fmt.Sprintf("%q", f.values("a")), `["=0" "A=1"]`)
}

func valuesDocuments(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	for _, doc := range documents {
		c := f.setting("k", doc)
		c.CustomStatus = []byte(doc)
		f.ack(l, c)
		vs, _, err := f.p.ReadValues(f.ctx, "a", []string{"k"})
		f.ok("E4", err)
		f.check("E4", len(vs) == 1 && string(vs[0].Data) == doc, "read %+v, want %s", vs, doc)
		equal(f, "E4", "custom status", string(f.state("a").CustomStatus), doc)
	}
	f.scheduled(w, "b", 1)
	it := f.fetchWorkOne("W1", w)
	for i, doc := range documents {
		if i%2 == 0 {
			f.giveBack(it, func(a *provider.AbandonedWork) { a.State = []byte(doc) })
		} else {
			f.pulse(&provider.PulseRequest{Worker: w, Held: []provider.HeldWork{{WorkKey: it.WorkKey, Token: it.Token, State: []byte(doc)}}})
			f.giveBack(it, func(*provider.AbandonedWork) {})
		}
		it = f.fetchWorkOne("B6", w)
		equal(f, "E4", "state", string(it.State), doc)
	}
	for _, doc := range documents {
		if doc == "null" { // may be read as not parked
			continue
		}
		id := f.fresh("c")
		f.start(id)
		f.suspend(doc, id)
		equal(f, "E4", "reason", string(f.state(id).Parked), doc)
		t := f.termination(id)
		t.Events = arrayOf([]byte(doc))
		f.terminateOne(t)
		equal(f, "E4", "event of a termination", string(f.state(id).LastTurn.Events), string(t.Events))
	}
}

func valuesUnstorable(f *fixture) {
	w := f.worker()
	l := f.granted(w, "a")
	for _, bad := range []string{"nul\x00", "bad\xff"} {
		_, err := f.p.AckOrchestrationItems(f.ctx, &provider.AckRequest{Worker: w, Items: []provider.AckItem{l.item(f.setting("k", `1`, bad, `2`))}})
		f.givesUp("E3", err)
		_, err = f.p.StartOrchestrations(f.ctx, &provider.StartRequest{Items: []provider.StartItem{
			{NewInstance: f.instance("unborn"), Messages: []provider.NewMessage{event("", "x", "1"), event("", bad, "2")}}}})
		f.givesUp("E3", err)
		_, err = f.p.TerminateInstances(f.ctx, []provider.Termination{f.termination("a"), f.termination(bad)})
		f.givesUp("E3", err)
		_, err = f.p.SuspendInstances(f.ctx, []string{"a", bad}, []byte(`1`))
		f.givesUp("E3", err)
	}
	equal(f, "E3", "values", len(f.values("a")), 0)
	equal(f, "E3", "instances", len(f.list(provider.ListQuery{})), 1)
	f.ack(l, f.turn(1, nil))
}

// valuesMebibyte checks large documents, and many values.
func valuesMebibyte(f *fixture) {
	const many = 300
	w := f.worker()
	doc := `"` + strings.Repeat(`ü\u0000`, (1<<20)/8) + `"`
	l := f.granted(w, "a")
	c := f.setting("big", doc)
	c.CustomStatus = []byte(doc)
	for n := range many {
		c.Values = append(c.Values, provider.Value{Key: fmt.Sprintf("k%03d", n), Data: fmt.Appendf(nil, "%d", n)})
	}
	f.ack(l, c)
	f.check("E4", string(f.state("a").CustomStatus) == doc, "the custom status has changed")
	vs, _, err := f.p.ReadValues(f.ctx, "a", nil)
	f.ok("E4", err)
	equal(f, "V4", "values", len(vs), many+1)
	f.check("E4", vs[0].Key == "big" && string(vs[0].Data) == doc, "the value has changed")
	f.scheduled(w, "b", 1)
	f.giveBack(f.fetchWorkOne("W1", w), func(a *provider.AbandonedWork) { a.State = []byte(doc) })
	f.check("E4", string(f.fetchWorkOne("B6", w).State) == doc, "the state has changed")
	t := f.termination("b")
	t.Events = arrayOf([]byte(doc))
	f.terminateOne(t)
	f.check("E4", string(f.state("b").LastTurn.Events) == string(t.Events), "the event of the termination has changed")
}
