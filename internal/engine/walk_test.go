package engine

import (
	"errors"
	"slices"
	"testing"

	"github.com/pawlrun/pawl/provider"
)

// TestWalk: a walk gives each turn once, however the store cuts the history into reads; it reads no more than its caller
// asks for, and ends with the first error.
func TestWalk(t *testing.T) {
	history := []provider.Turn{{Seq: 0, Count: 2}, {Seq: 2, Count: 3}, {Seq: 5, Count: 1}, {Seq: 6, Count: 4}, {Seq: 10, Count: 1}}
	broken := errors.New("broken")
	for _, c := range []struct {
		name       string
		from       int32
		leave      int32   // the caller leaves at this turn, -1: never
		fail       int32   // the read from here fails, -1: none
		turns      []int32 // given
		reads      []int32 // made
		wantBroken bool
	}{
		{name: "whole", leave: -1, fail: -1, turns: []int32{0, 2, 5, 6, 10}, reads: []int32{0, 5, 10, 11}},
		{name: "from a turn on", from: 5, leave: -1, fail: -1, turns: []int32{5, 6, 10}, reads: []int32{5, 10, 11}},
		{name: "beyond the end", from: 11, leave: -1, fail: -1, reads: []int32{11}},
		{name: "left within a read", leave: 5, fail: -1, turns: []int32{0, 2, 5}, reads: []int32{0, 5}},
		{name: "left at the end of a read", leave: 2, fail: -1, turns: []int32{0, 2}, reads: []int32{0}},
		{name: "broken", leave: -1, fail: 5, turns: []int32{0, 2}, reads: []int32{0, 5}, wantBroken: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var turns, reads []int32
			var failed error
			walked := walk(provider.HistoryQuery{InstanceID: "w", From: c.from}, func(q provider.HistoryQuery) ([]provider.Turn, error) {
				if reads = append(reads, q.From); q.From == c.fail {
					return nil, broken
				}
				at := slices.IndexFunc(history, func(t provider.Turn) bool { return t.Seq == q.From })
				if at < 0 || q.InstanceID != "w" {
					return nil, nil
				}
				return history[at:min(at+2, len(history))], nil
			})
			for range 2 { // a walk can be gone again
				turns, reads, failed = nil, nil, nil
				for turn, err := range walked {
					if failed = err; err != nil {
						continue
					}
					if turns = append(turns, turn.Seq); turn.Seq == c.leave {
						break
					}
				}
				if !slices.Equal(turns, c.turns) || !slices.Equal(reads, c.reads) || errors.Is(failed, broken) != c.wantBroken {
					t.Errorf("turns %v, want %v; reads %v, want %v; error %v", turns, c.turns, reads, c.reads, failed)
				}
			}
		})
	}
}
