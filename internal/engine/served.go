package engine

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pawlrun/pawl/provider"
)

// served is what this process runs, by the store's numbers of classes. A value is never changed: it is replaced when others
// have put a priority to use that was not in use before, and when a class is left to others (divergence.go).
type served struct {
	orchestrations map[provider.ClassID]*Orchestration
	activities     map[provider.ClassID]*Activity
	levels         map[provider.ClassID]int8 // the priorities of all these
	turns, work    lanes                     // those that are claimed
	opens          bool                      // there is one of OpenSession among them
}

// lanes are classes that are claimed together: what is registered here, once for each priority in use.
type lanes struct {
	classes []provider.ClassID
	ranks   []int16 // as a claim wants them; nil while all are of one priority
}

// lanesOf makes lanes of classes with their priorities.
func lanesOf(classes []provider.ClassID, levels map[provider.ClassID]int8) lanes {
	l := lanes{classes: classes}
	if !slices.ContainsFunc(classes, func(id provider.ClassID) bool { return levels[id] != levels[classes[0]] }) {
		return l
	}
	for _, id := range classes {
		l.ranks = append(l.ranks, -int16(levels[id]))
	}
	return l
}

// registry is what was registered here, and what came of it.
type registry struct {
	now atomic.Pointer[served]

	mu             sync.Mutex
	orchestrations map[provider.Class]*Orchestration // by their class of normal priority
	activities     map[provider.Class]*Activity
	heard          provider.ClassID                    // the number of the last class that a pulse brought
	foreign        map[provider.ClassID]provider.Class // those it brought that are not registered here
}

func (r *registry) init() {
	r.orchestrations, r.activities = map[provider.Class]*Orchestration{}, map[provider.Class]*Activity{}
	r.foreign = map[provider.ClassID]provider.Class{}
}

// serves is what this process runs now.
func (e *Engine) serves() *served { return e.registry.now.Load() }

// register has the engine run functions, under the classes that they have in the store.
func (e *Engine) register(ctx context.Context, orchestrations []Orchestration, activities []Activity) error {
	r := &e.registry
	var classes []provider.Class
	r.mu.Lock()
	for i := range orchestrations {
		class := orchestrationClass(orchestrations[i].Name, orchestrations[i].Version, 0)
		r.orchestrations[class] = &orchestrations[i]
		classes = append(classes, class)
	}
	tags := append([]string{""}, e.opts.Tags...)
	for i := range activities {
		for _, tag := range tags {
			class := activityClass(activities[i].Name, tag, 0)
			r.activities[class] = &activities[i]
			classes = append(classes, class)
		}
	}
	if len(activities) > 0 {
		for i := range sessionActivities { // of no class until somebody opens a session: who does not use them claims less
			for _, tag := range tags {
				r.activities[activityClass(sessionActivities[i].Name, tag, 0)] = &sessionActivities[i]
			}
		}
	}
	r.mu.Unlock()
	_, err := e.classes.resolve(ctx, e, classes) // which learns them
	return err
}

// learn takes notice of classes that exist in the store: what is registered here is run from now on in these priorities, too.
func (e *Engine) learn(classes []provider.KnownClass) {
	r := &e.registry
	r.mu.Lock()
	old := r.now.Load()
	next := served{orchestrations: map[provider.ClassID]*Orchestration{}, activities: map[provider.ClassID]*Activity{}, levels: map[provider.ClassID]int8{}}
	for _, c := range classes {
		if _, known := old.levels[c.ID]; known {
			continue
		}
		base := c.Class
		base.Priority = 0
		if o := r.orchestrations[base]; o != nil {
			next.orchestrations[c.ID] = o
		} else if a := r.activities[base]; a != nil {
			next.activities[c.ID] = a
		} else {
			continue
		}
		next.levels[c.ID] = c.Priority
	}
	news := len(next.levels) > 0
	if news {
		maps.Copy(next.orchestrations, old.orchestrations)
		maps.Copy(next.activities, old.activities)
		maps.Copy(next.levels, old.levels)
		e.serve(&next)
	}
	r.mu.Unlock()
	if s := e.current(); news && s != nil {
		s.orch.kick()
		s.work.kick()
	}
}

// serve makes next what this process runs, but for what is left to others. registry.mu is held.
func (e *Engine) serve(next *served) {
	next.turns = lanesOf(sortedIDs(next.orchestrations, func(o *Orchestration) bool { return !e.divergences.stopped(o) }), next.levels)
	next.work = lanesOf(sortedIDs(next.activities, func(*Activity) bool { return true }), next.levels)
	for _, a := range next.activities {
		next.opens = next.opens || a.opens
	}
	e.registry.now.Store(next)
}

// sortedIDs are the keys of those values that are wanted.
func sortedIDs[V any](of map[provider.ClassID]V, wanted func(V) bool) []provider.ClassID {
	var ids []provider.ClassID
	for id, v := range of {
		if wanted(v) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, cmp.Compare)
	return ids
}

// unheard is the number from which on classes may not be known here.
func (r *registry) unheard() provider.ClassID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.heard + 1
}

// hear takes in the classes that a pulse brought.
func (e *Engine) hear(classes []provider.KnownClass) {
	if len(classes) == 0 {
		return
	}
	e.learn(classes)
	r := &e.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	served := r.now.Load()
	for _, c := range classes {
		if _, known := served.levels[c.ID]; !known {
			r.foreign[c.ID] = c.Class
		}
	}
	r.heard = max(r.heard, classes[len(classes)-1].ID)
}

// unregistered returns a class that exists and is not registered here.
func (r *registry) unregistered(id provider.ClassID) (class provider.Class, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	class, ok = r.foreign[id]
	return class, ok
}

// hearMore asks for the classes that no pulse has brought yet: there is work of one that nobody here has heard of.
func (s *session) hearMore() {
	for {
		var reply *provider.PulseReply
		err := s.call(func(ctx context.Context) (err error) {
			reply, err = s.e.store.Pulse(ctx, &provider.PulseRequest{TTL: s.e.opts.TTL, ClassesFrom: s.e.registry.unheard()})
			return err
		})
		if err != nil {
			s.logUnlessEnded("the classes of work cannot be read", err)
			return
		}
		s.e.hear(reply.Classes)
		if len(reply.Classes) < provider.MaxClasses {
			return
		}
	}
}

// oldestEvery: of so many claims that leave something behind one takes the oldest, whatever its priority, so that nothing
// starves.
const oldestEvery = 16

// terms are the classes of a claim and how it is to prefer them.
func (c *claimer) terms(l *lanes) (classes []provider.ClassID, ranks []int16) {
	if c.passedOver.Load() >= oldestEvery-1 {
		return l.classes, nil
	}
	return l.classes, l.ranks
}

// noneUrgent is below all priorities.
const noneUrgent = math.MinInt8

// noteUrgency keeps what a claim says of the queue: if it was full and by rank, there may be more of the least urgent that it
// brought.
func (c *claimer) noteUrgency(full bool, ranks []int16, levels iter.Seq[int8]) {
	if !full || ranks == nil {
		c.urgent.Store(noneUrgent)
		c.passedOver.Store(0)
		return
	}
	c.passedOver.Add(1)
	least := int8(math.MaxInt8)
	for level := range levels {
		least = min(least, level)
	}
	c.urgent.Store(int32(least))
}

// outranks reports whether the queue may hold what is more urgent than a level.
func (c *claimer) outranks(level int8) bool {
	return c.urgent.Load() > int32(level) && c.maybe.Load()
}
