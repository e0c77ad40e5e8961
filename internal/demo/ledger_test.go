package demo

import (
	"fmt"
	"strings"
	"testing"
)

// ledgerOf adds up a log of one line a tenth of a second.
func ledgerOf(t *testing.T, lines ...string) *ledger {
	t.Helper()
	l := newLedger()
	for i, line := range lines {
		f := strings.Fields(line)
		key := ""
		if len(f) > 2 {
			key = f[2]
		}
		e, err := parseEffect(fmt.Sprintf("2026-01-02T15:04:%02d.%d00000Z\t%s\t%s\t%s\t%s\t\"\"", i/10, i%10, f[0], f[1], key, countName))
		if err != nil {
			t.Fatal(err)
		}
		l.take(e)
	}
	return l
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name      string
		log       []string
		faults    int
		repeated  int
		abandoned int
	}{
		{"once each", []string{"w1 begin a", "w1 end a", "w2 begin b", "w2 end b", "w1 recorded a", "w2 recorded b"}, 0, 0, 0},
		{"held by a killed worker", []string{"w1 begin a", "w1 kill", "w2 begin a", "w2 end a", "w2 recorded a"}, 0, 1, 0},
		{"ended but not recorded when killed", []string{"w1 begin a", "w1 end a", "w1 kill", "w2 begin a", "w2 recorded a"}, 0, 1, 0},
		{"left by a worker that stopped", []string{"w1 begin a", "w1 leave", "w2 begin a", "w2 recorded a"}, 0, 1, 1},
		{"held by a worker somebody else killed", []string{"w1 begin a", "w2 begin a", "w2 recorded a"}, 0, 1, 1},
		{"frozen worker", []string{"w1 begin a", "w2 begin a", "w1 rejoin", "w2 recorded a"}, 0, 1, 0},
		{"recorded work done again", []string{"w1 begin a", "w1 recorded a", "w1 kill", "w2 begin a", "w2 recorded a"}, 1, 1, 0},
		{"taken from a living worker", []string{"w1 begin a", "w2 begin a", "w2 recorded a", "w1 leave"}, 1, 1, 0},
		{"end without begin", []string{"w1 end a"}, 1, 0, 0},
	} {
		if v := ledgerOf(t, c.log...).verdict(); len(v.faults) != c.faults || v.repeated != c.repeated || v.abandoned != c.abandoned {
			t.Errorf("%s: %d repeated, %d abandoned, faults %q; want %d, %d and %d", c.name, v.repeated, v.abandoned, v.faults, c.repeated, c.abandoned, c.faults)
		}
	}
}

func TestTakeover(t *testing.T) {
	l := ledgerOf(t, "demo-1 demo", "w1 begin a", "w1 begin b", "w1 end b", "w1 begin c", "w1 end c", "w1 recorded c", "w1 begin d", "w1 kill",
		"w2 begin a", "w2 begin e", "w3 begin b")
	got := l.takeoverOf(l.kills[0])
	// d, which nobody began again, was recorded without a line.
	if got.running != 2 || got.held != 3 || got.repeated != 2 || got.first.Milliseconds() != 100 || got.last.Milliseconds() != 300 || !got.whole {
		t.Errorf("got %+v", got)
	}
	l = ledgerOf(t, "demo-1 demo", "w1 begin a", "w1 kill", "demo-2 demo", "w2 begin a")
	if got := l.takeoverOf(l.kills[0]); got.whole {
		t.Errorf("a takeover after a restart of the demo says nothing about time: %+v", got)
	}
}

func TestEffectsOfOtherForm(t *testing.T) {
	for _, line := range []string{"", "a\tb", "yesterday\tw1\tbegin\tk\tn\t\"\"", "2026-01-02T15:04:05.000000Z\tw1\tbegin\tk\tn\tx"} {
		if _, err := parseEffect(line); err == nil {
			t.Errorf("line %q was taken", line)
		}
	}
}
