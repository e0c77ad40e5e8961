package history

import "testing"

// TestPriorities: names and levels belong together, in order; what is none counts as normal.
func TestPriorities(t *testing.T) {
	last := int8(-3)
	for _, p := range []Priority{PriorityLowest, PriorityLow, PriorityNormal, PriorityHigh, PriorityHighest} {
		if p.Level() != last+1 || PriorityOf(p.Level()) != p {
			t.Errorf("%s has level %d, which is %s", p, p.Level(), PriorityOf(p.Level()))
		}
		last = p.Level()
	}
	if Priority("").Level() != 0 || Priority("urgent").Level() != 0 || PriorityOf(-100) != PriorityLowest || PriorityOf(100) != PriorityHighest {
		t.Error("beyond the ends")
	}
}
