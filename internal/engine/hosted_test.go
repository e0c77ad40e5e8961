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
		h := hostedSessions{most: 2, open: map[string]*hostedSession{}}
		has := func(want bool, id string, why string) {
			t.Helper()
			if got := h.context(id).Err() == nil; got != want {
				t.Errorf("session %s is open: %v, want %v (%s)", id, got, want, why)
			}
		}
		room := func(want int, wantCrowded bool, why string) {
			t.Helper()
			if n, crowded := h.room(); n != want || crowded != wantCrowded {
				t.Errorf("room for %d, crowded %v; want %d, %v (%s)", n, crowded, want, wantCrowded, why)
			}
		}
		room(2, false, "nothing was opened")
		if h.ever.Load() {
			t.Error("something was opened")
		}
		if !h.reserve(ctx, "1") || !h.reserve(ctx, "2") || h.reserve(ctx, "3") {
			t.Error("two places, and not three")
		}
		if !h.reserve(ctx, "1") {
			t.Error("a repeated opening needs no other place")
		}
		h.hold(ctx, "1")
		begun := h.context("1")
		<-time.After(reservation) // of the bubble
		room(0, true, "the reservation has not ended")
		<-time.After(time.Second)
		room(1, true, "the reservation has ended, and others may wait")
		has(true, "1", "it has begun")
		has(false, "2", "it never began")
		if !h.reserve(ctx, "3") {
			t.Error("the place of the second")
		}
		h.hold(ctx, "2") // late
		has(true, "2", "late")
		room(0, true, "three in two places")
		if !h.end("1", context.Canceled) || begun.Err() == nil || context.Cause(begun) != context.Canceled {
			t.Error("the context of an ended session has not ended")
		}
		room(0, true, "two in two places")
		h.forgo("2")
		has(true, "2", "it has begun")
		h.forgo("3")
		has(false, "3", "it had not")
		room(1, true, "one is left")
		h.relieved()
		room(1, false, "nobody waits")
		if h.end("2", context.Canceled) || !h.ever.Load() {
			t.Error("somebody waits")
		}
	})
}

// TestSessionOutlivesItsActivities: what is to end after its activities does, and at once if there are none.
func TestSessionOutlivesItsActivities(t *testing.T) {
	h := hostedSessions{most: 2, open: map[string]*hostedSession{}}
	for _, id := range []string{"busy", "idle"} {
		h.reserve(t.Context(), id)
		h.hold(t.Context(), id)
	}
	h.enter("busy")
	h.enter("busy")
	h.enter("unknown")
	busy, idle := h.context("busy"), h.context("idle")
	h.endAfterRuns("busy", ErrStopped)
	h.endAfterRuns("idle", ErrStopped)
	if busy.Err() != nil || context.Cause(idle) != ErrStopped {
		t.Errorf("busy %v, idle %v", context.Cause(busy), context.Cause(idle))
	}
	h.leave("busy")
	h.leave("unknown")
	if busy.Err() != nil || h.context("busy") != busy {
		t.Error("ended before the last activity")
	}
	h.leave("busy")
	if context.Cause(busy) != ErrStopped || h.context("busy").Err() == nil {
		t.Errorf("after the last activity: %v", context.Cause(busy))
	}
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
	if class, exists := e.registry.unregistered(other[3]); !exists || class.Name != "elsewhere" {
		t.Errorf("class %d is %+v, %v", other[3], class, exists)
	}
	if _, exists := e.registry.unregistered(other[0]); exists {
		t.Error("what is registered is not")
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
