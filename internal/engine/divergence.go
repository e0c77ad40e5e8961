package engine

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pawlrun/pawl/provider"
)

// divergenceLimit is how many instances of a class must diverge here, with none between them that was replayed without, for
// this process to leave the class to others: its build is not fit for the histories there are.
const divergenceLimit = 3

// StoppedClass is an orchestration that this process has registered and does not run any more.
type StoppedClass struct {
	Name, Version string
	// Instances are those that diverged.
	Instances []string
	// Latest is the divergence of the last of them.
	Latest string
}

// divergences are what this process has found out about its build. It knows nothing of other processes, and forgets all
// when it ends.
type divergences struct {
	// any says that something is noted, so that commits need not look.
	any     atomic.Bool
	claimed atomic.Pointer[[]provider.ClassID] // the orchestration classes this process runs

	mu      sync.Mutex
	byClass map[provider.ClassID]*classDivergences
}

// classDivergences are those of one class since the last success.
type classDivergences struct {
	instances []string
	latest    string
	stopped   bool
}

// claimable are the orchestration classes this process runs.
func (e *Engine) claimable() []provider.ClassID {
	if claimed := e.divergences.claimed.Load(); claimed != nil {
		return *claimed
	}
	return e.orchClasses
}

// runs reports whether this process runs instances of a class.
func (e *Engine) runs(class provider.ClassID) bool {
	return e.orchestrations[class] != nil && !e.stoppedRunning(class)
}

// stoppedRunning reports whether a class was left to other processes.
func (e *Engine) stoppedRunning(class provider.ClassID) bool {
	d := &e.divergences
	if !d.any.Load() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	found := d.byClass[class]
	return found != nil && found.stopped
}

// noteDivergence counts an instance that has diverged, and stops its class when there are too many.
func (e *Engine) noteDivergence(class provider.ClassID, instanceID string, reason parkReason) {
	d := &e.divergences
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byClass == nil {
		d.byClass = map[provider.ClassID]*classDivergences{}
	}
	found := d.byClass[class]
	if found == nil {
		found = &classDivergences{}
		d.byClass[class] = found
	}
	d.any.Store(true)
	found.latest = reason.String()
	if slices.Contains(found.instances, instanceID) {
		return
	}
	if len(found.instances) < 100 { // enough to look at
		found.instances = append(found.instances, instanceID)
	}
	if found.stopped || len(found.instances) < divergenceLimit {
		return
	}
	found.stopped = true
	rest := slices.DeleteFunc(slices.Clone(e.claimable()), func(id provider.ClassID) bool { return id == class })
	d.claimed.Store(&rest)
	o := e.orchestrations[class]
	e.log.Error("this build diverges from the histories of an orchestration, which is left to other processes until this one is restarted",
		"orchestration", o.Name, "version", o.Version, "instances", slices.Clone(found.instances), "latest", found.latest)
}

// replayedWell notes that an instance was replayed and went on: the divergences of its class before it are its own matter.
func (e *Engine) replayedWell(class provider.ClassID) {
	d := &e.divergences
	if !d.any.Load() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if found := d.byClass[class]; found != nil && !found.stopped {
		delete(d.byClass, class)
		d.any.Store(len(d.byClass) > 0)
	}
}

// StoppedClasses are the orchestrations that this process has registered and leaves to others, because its build diverges
// from their histories.
func (e *Engine) StoppedClasses() []StoppedClass {
	d := &e.divergences
	d.mu.Lock()
	defer d.mu.Unlock()
	var stopped []StoppedClass
	for _, id := range e.orchClasses {
		if found := d.byClass[id]; found != nil && found.stopped {
			o := e.orchestrations[id]
			stopped = append(stopped, StoppedClass{Name: o.Name, Version: o.Version, Instances: slices.Clone(found.instances), Latest: found.latest})
		}
	}
	return stopped
}

// registered returns an orchestration that this process has, by name and version, nil if it has not.
func (e *Engine) registered(name, version string) (*Orchestration, provider.ClassID) {
	for _, id := range e.orchClasses {
		if o := e.orchestrations[id]; o.Name == name && o.Version == version {
			return o, id
		}
	}
	return nil, 0
}

// Runs reports whether this process would run instances of an orchestration.
func (e *Engine) Runs(name, version string) bool {
	o, id := e.registered(name, version)
	return o != nil && e.current() != nil && e.runs(id)
}
