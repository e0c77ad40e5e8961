package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// TestReservations: an opened session that does not begin keeps its place for a while, one that does until it ends; nobody
// has more than there is room for, and a late one is taken all the same.
func TestReservations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		h := hostedSessions{most: 2, open: map[provider.WorkKey]*hostedSession{}}
		key := func(n int32) provider.WorkKey { return provider.WorkKey{Event: n} }
		has := func(want bool, n int32, why string) {
			t.Helper()
			if got := h.context(key(n)).Err() == nil; got != want {
				t.Errorf("session %d is open: %v, want %v (%s)", n, got, want, why)
			}
		}
		if h.ever.Load() || h.full() {
			t.Error("full before anything was opened")
		}
		if !h.reserve(ctx, key(1)) || !h.reserve(ctx, key(2)) || h.reserve(ctx, key(3)) {
			t.Error("two places, and not three")
		}
		if !h.reserve(ctx, key(1)) {
			t.Error("a repeated opening needs no other place")
		}
		h.hold(ctx, key(1))
		begun := h.context(key(1))
		<-time.After(reservation) // of the bubble
		if !h.full() {
			t.Error("the reservation has ended early")
		}
		<-time.After(time.Second)
		if h.full() {
			t.Error("the reservation is kept for ever")
		}
		has(true, 1, "it has begun")
		has(false, 2, "it never began")
		if !h.reserve(ctx, key(3)) {
			t.Error("the place of the second")
		}
		h.hold(ctx, key(2)) // late
		has(true, 2, "late")
		if !h.full() || !h.end(key(1), context.Canceled) {
			t.Error("three in two places are full")
		}
		if begun.Err() == nil || context.Cause(begun) != context.Canceled {
			t.Error("the context of an ended session has not ended")
		}
		if h.end(key(1), context.Canceled) != true || h.end(key(2), context.Canceled) != true || h.end(key(3), context.Canceled) || !h.ever.Load() {
			t.Error("it was full until the second of three ended")
		}
	})
}

// TestLearnedClasses: only what is registered here is run in more priorities, and claims rank them once there are several.
func TestLearnedClasses(t *testing.T) {
	store := model.New(model.Options{}).Open()
	e := New(store, options(t))
	defer e.Close()
	if err := e.register(t.Context(), []Orchestration{{Name: "o"}}, []Activity{{Name: "work"}}); err != nil {
		t.Fatal(err)
	}
	plain := e.serves()
	if plain.turns.ranks != nil || plain.work.ranks != nil || plain.opens {
		t.Errorf("ranks while there is one priority: %+v", plain)
	}
	other, err := store.RegisterClasses(t.Context(), []provider.Class{
		activityClass("work", "", 2), orchestrationClass("o", "", -1), // registered here, in new priorities
		activityClass("work", "gpu", 2), activityClass("elsewhere", "", 0), orchestrationClass("o", "1.0.0", 0), activityClass(OpenSession, "gpu", 0),
		activityClass(OpenSession, "", 0)})
	if err != nil {
		t.Fatal(err)
	}
	if e.serves() != plain {
		t.Error("it knows before it was told")
	}
	s := newSession(e)
	defer s.end()
	s.hearMore()
	now := e.serves()
	if now.activities[other[0]] == nil || now.orchestrations[other[1]] == nil || now.activities[other[6]] == nil || !now.opens {
		t.Errorf("not learned: %+v", now)
	}
	if len(now.activities) != 3 || len(now.orchestrations) != 2 || now.levels[other[0]] != 2 || now.levels[other[1]] != -1 {
		t.Errorf("learned %+v", now)
	}
	for i, id := range now.work.classes {
		if want := -int16(now.levels[id]); now.work.ranks[i] != want {
			t.Errorf("class %d has rank %d, want %d", id, now.work.ranks[i], want)
		}
	}
	if e.registry.unheard() != other[6]+1 {
		t.Errorf("asks again from %d, the last was %d", e.registry.unheard(), other[6])
	}

	// The opening of sessions is not claimed while there is no room for another.
	s.hosted.most = 0
	classes, ranks := s.workTerms()
	if len(classes) != 2 || len(ranks) != 2 {
		t.Errorf("claims %v with ranks %v, want all but the opening of sessions", classes, ranks)
	}

	// One claim in so many takes the oldest.
	byRank := 0
	for range 2 * oldestEvery {
		_, ranks := s.work.terms(&now.work)
		if ranks != nil {
			byRank++
		}
		s.work.noteUrgency(true, ranks, func(yield func(int8) bool) { yield(1) })
	}
	if byRank != 2*(oldestEvery-1) {
		t.Errorf("%d of %d claims by rank", byRank, 2*oldestEvery)
	}
}

// TestOutranked: what is scheduled here goes behind the queue only if that may hold something more urgent.
func TestOutranked(t *testing.T) {
	var c claimer
	c.init()
	levels := func(all ...int8) func(func(int8) bool) {
		return func(yield func(int8) bool) {
			for _, l := range all {
				if !yield(l) {
					return
				}
			}
		}
	}
	ranks := []int16{0, -2}
	for _, step := range []struct {
		what  string
		full  bool
		ranks []int16
		seen  []int8
		most  int8 // the highest level that is outranked, noneUrgent if none is
	}{
		{"nothing was claimed yet", false, nil, nil, noneUrgent},
		{"a full claim", true, ranks, []int8{2, 2}, 1},
		{"a full claim that came to what is less urgent", true, ranks, []int8{2, 0, -1}, -2},
		{"one that left nothing", false, ranks, []int8{2}, noneUrgent},
		{"by age", true, nil, []int8{2, 2}, noneUrgent},
	} {
		c.maybe.Store(true)
		c.noteUrgency(step.full, step.ranks, levels(step.seen...))
		for level := int8(-2); level <= 2; level++ {
			if got, want := c.outranks(level), level <= step.most; got != want {
				t.Errorf("%s: level %d is outranked: %v", step.what, level, got)
			}
		}
	}
	c.noteUrgency(true, ranks, levels(2))
	c.maybe.Store(false)
	if c.outranks(-2) {
		t.Error("by a queue that is empty")
	}
}
