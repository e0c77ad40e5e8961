package model

import (
	"cmp"
	"slices"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// served is what a worker has said of itself.
type served struct {
	classes   []provider.ClassID
	beatLasts time.Duration // zero: for good
}

// serve takes over what a worker says it serves.
func (s *Store) serve(req *provider.PulseRequest) {
	if req.Worker == 0 || req.Serves == nil && !s.broken(ServesForgotten) || s.broken(EmptyServesIgnored) && len(req.Serves) == 0 {
		return
	}
	classes := slices.Clone(req.Serves)
	if s.broken(ServesAccumulate) {
		classes = append(classes, s.serving[req.Worker].classes...)
	}
	s.serving[req.Worker] = served{classes, req.BeatLasts}
}

// servers counts the live workers that serve a class.
func (s *Store) servers(class provider.ClassID) (n int) {
	for id, w := range s.serving {
		known := s.workers[id]
		live := known != nil && (w.beatLasts == 0 || !known.at.Add(w.beatLasts).Before(s.now()) || s.broken(BeatLastsIgnored))
		if (live || known == nil && s.broken(DeadServe)) && slices.Contains(w.classes, class) {
			n++
		}
	}
	return n
}

// lookUpWorkers says of a running instance who could run it, and which of its queued work nobody would.
func (s *Store) lookUpWorkers(st *provider.InstanceState, i *instance) {
	st.Workers, st.Unserved = s.servers(i.class), nil
	for _, k := range s.work {
		skipped := k.leased() && !s.broken(UnservedCountsLeased) || k.due.After(s.now()) && s.broken(UnservedOmitsDelayed)
		if k.Ref != i.Ref || skipped || s.servers(k.class) > 0 {
			continue
		}
		class := s.classes[k.class-1]
		if s.broken(UnservedPriorityLost) {
			class.Priority = 0
		}
		if !slices.Contains(st.Unserved, class) || s.broken(UnservedRepeats) {
			st.Unserved = append(st.Unserved, class)
		}
	}
	slices.SortFunc(st.Unserved, func(a, b provider.Class) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Tag, b.Tag),
			cmp.Compare(a.Priority, b.Priority))
	})
	if len(st.Unserved) > provider.MaxUnserved && !s.broken(UnservedUnbounded) {
		st.Unserved = st.Unserved[:provider.MaxUnserved]
	}
}
