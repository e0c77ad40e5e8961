package main

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	if _, err := parse(nil, io.Discard); !errors.Is(err, errNoStore) {
		t.Errorf("without arguments: %v, want %v", err, errNoStore)
	}
	if _, err := parse([]string{"-h"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v, want flag.ErrHelp", err)
	}
	for _, bad := range [][]string{
		{"--store", "x", "surplus"},
		{"--store", "x", "--rounds", "0"},
		{"--store", "x", "--cell", "0s"},
		{"--store", "x", "--instances", "10"},
	} {
		if _, err := parse(bad, io.Discard); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
	o, err := parse([]string{"--store", "postgres://h/db", "--cell", "2s"}, io.Discard)
	if err != nil || o.store != "postgres://h/db" || o.cell != 2*time.Second {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestPayloadSizes(t *testing.T) {
	if n := len(turnPayload); n < 580 || n > 620 {
		t.Errorf("turn of %d bytes, want about 600", n)
	}
	if n := len(inputPayload); n < 190 || n > 210 {
		t.Errorf("input of %d bytes, want about 200", n)
	}
}

func TestCellsAreSound(t *testing.T) {
	owner := map[string]any{}
	for _, c := range allCells() {
		switch c := c.(type) {
		case turnCell:
			if windowSize%c.batch != 0 {
				t.Errorf("a batch of %d does not divide the window", c.batch)
			}
			if old, taken := owner[c.shape.schema()]; taken && old != c.shape {
				t.Errorf("%+v and %+v share %s", old, c.shape, c.shape.schema())
			}
			owner[c.shape.schema()] = c.shape
		case claimCell:
			if old, taken := owner[c.schema()]; taken {
				t.Errorf("%+v and %+v share %s", old, c, c.schema())
			}
			owner[c.schema()] = c
		}
	}
}

func TestDDL(t *testing.T) {
	ddl, err := shape{keyForm{parts: 16}, "json"}.ddl()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"primary key (part, iid, execution, seq)",
		"checkpoint_many_pinned(p_part smallint[], p_iid bigint[], ",
		"checkpoint_one_free(p_part smallint, p_iid bigint, ",
		"where i.part = u.part and i.iid = u.iid and",
		"set plan_cache_mode = force_generic_plan",
	} {
		if !strings.Contains(ddl, want) {
			t.Errorf("no %q in\n%s", want, ddl)
		}
	}
	if strings.Contains(ddl, "<no value>") {
		t.Error("the template names an unknown value")
	}
}

func TestCheckpointSQL(t *testing.T) {
	tests := []struct {
		cell turnCell
		want string
	}{
		{turnCell{shape: shape{keyForm{}, "json"}, pins: unpinned},
			"select shapes_iid0_json.checkpoint_many_free($1, $2, $3, $4, $5, $6)"},
		{turnCell{shape: shape{keyForm{parts: 64, text: true}, "text"}, form: scalar},
			"select shapes_id64_text.checkpoint_one_pinned($1, $2, $3, $4, $5, $6, $7)"},
	}
	for _, test := range tests {
		if got := test.cell.sql(); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

func TestTurnerSortsAndAdvances(t *testing.T) {
	all := make([]*instance, 2*windowSize)
	for i := range all {
		all[i] = &instance{part: int16(i % 16), iid: int64(i), seq: 1}
	}
	c := turnCell{shape: shape{keyForm{parts: 16}, "json"}, batch: 32}
	turner := newTurner(c, &pool{all: all})
	if args := turner.next(); len(args) != 7 {
		t.Fatalf("%d arguments, want 7", len(args))
	}
	for n := 1; n < c.batch; n++ {
		a, b := turner.picked[n-1], turner.picked[n]
		if a.part > b.part || a.part == b.part && a.iid >= b.iid {
			t.Fatalf("(%d, %d) before (%d, %d)", a.part, a.iid, b.part, b.iid)
		}
	}
	turner.commit()
	for n, i := range turner.picked {
		if i.seq != 2 || i.token != turner.requests[n] {
			t.Errorf("instance %d: seq %d, token %v", i.iid, i.seq, i.token)
		}
	}
}

func TestTurnerRetiresInstances(t *testing.T) {
	all := make([]*instance, 4*windowSize)
	for i := range all {
		all[i] = &instance{iid: int64(i)}
	}
	p := &pool{all: all}
	turner := newTurner(turnCell{shape: shape{keyForm{}, "json"}, batch: 1}, p)
	for range instanceAge * windowSize {
		turner.next()
		turner.commit()
	}
	if p.next < 2*windowSize-windowSize/instanceAge || p.next > 2*windowSize {
		t.Errorf("%d instances taken, want about %d", p.next, 2*windowSize)
	}
	for _, i := range all {
		if i.seq > instanceAge {
			t.Errorf("instance %d had %d turns, want at most %d", i.iid, i.seq, instanceAge)
		}
	}
}

func TestMedianAndSpread(t *testing.T) {
	samples := []sample{{rate: 30, p50: 1}, {rate: 10, p50: 3}, {rate: 20, p50: 8}}
	m := medianSample(samples)
	if m.rate != 20 || m.p50 != 3 {
		t.Errorf("median %+v", m)
	}
	if got := spread(samples); got != 100 {
		t.Errorf("spread %v, want 100", got)
	}
	if got := median(samples[:2], func(s sample) float64 { return s.rate }); got != 20 {
		t.Errorf("median of two %v, want 20", got)
	}
}

func TestSummarize(t *testing.T) {
	ms := time.Millisecond
	sessions := []*session{{took: []time.Duration{ms, 3 * ms}}, {took: []time.Duration{2 * ms}}}
	s := summarize(sessions, 10, 2*time.Second, 600, 3000)
	want := sample{p50: 2, rate: 15, cpu: 20, wal: 100}
	if s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
	if s := summarize(sessions, 10, time.Second, -1, 0); s.cpu != -1 {
		t.Errorf("cpu %v, want unknown", s.cpu)
	}
}

func TestReport(t *testing.T) {
	b := &bench{samples: map[cell][]sample{rawCell{}: {{p50: 0.5, rate: 1000, cpu: -1, wal: 300}}}}
	var w strings.Builder
	b.writeTable(&w, table{"Title", "turn", []row{{"label", rawCell{}}}}, 0.25)
	want := "| label | 0.500 | 2.00 | 1000 | 0 % | - | 300 |\n"
	if !strings.HasSuffix(w.String(), want) {
		t.Errorf("got\n%swant the last line\n%s", w.String(), want)
	}
}
