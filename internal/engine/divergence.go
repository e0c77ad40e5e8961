package engine

import (
	"cmp"
	"slices"
	"strings"
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
	any atomic.Bool

	mu   sync.Mutex
	each map[*Orchestration]*foundDivergences
}

// foundDivergences are those of one orchestration since the last success.
type foundDivergences struct {
	instances []string
	latest    string
	stopped   bool
}

// claimable are the orchestration classes this process runs.
func (e *Engine) claimable() []provider.ClassID { return e.serves().turns.classes }

// runs reports whether this process runs instances of a class.
func (e *Engine) runs(class provider.ClassID) bool {
	o := e.serves().orchestrations[class]
	return o != nil && !e.divergences.stopped(o)
}

// stopped reports whether an orchestration was left to other processes.
func (d *divergences) stopped(o *Orchestration) bool {
	if !d.any.Load() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	found := d.each[o]
	return found != nil && found.stopped
}

// noteDivergence counts an instance that has diverged, and stops its orchestration when there are too many.
func (e *Engine) noteDivergence(o *Orchestration, instanceID string, reason parkReason) {
	found, stop := e.divergences.note(o, instanceID, reason)
	if !stop {
		return
	}
	e.registry.mu.Lock()
	next := *e.serves()
	e.serve(&next)
	e.registry.mu.Unlock()
	e.log.Error("this build diverges from the histories of an orchestration, which is left to other processes until this one is restarted",
		"orchestration", o.Name, "version", o.Version, "instances", found, "latest", reason.String())
}

// note counts an instance that has diverged. It returns all that have when these have just become too many.
func (d *divergences) note(o *Orchestration, instanceID string, reason parkReason) (instances []string, stop bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.each == nil {
		d.each = map[*Orchestration]*foundDivergences{}
	}
	found := d.each[o]
	if found == nil {
		found = &foundDivergences{}
		d.each[o] = found
	}
	d.any.Store(true)
	found.latest = reason.String()
	if slices.Contains(found.instances, instanceID) {
		return nil, false
	}
	if len(found.instances) < 100 { // enough to look at
		found.instances = append(found.instances, instanceID)
	}
	if found.stopped || len(found.instances) < divergenceLimit {
		return nil, false
	}
	found.stopped = true
	return slices.Clone(found.instances), true
}

// replayedWell notes that an instance was replayed and went on: the divergences of its orchestration before it are its own
// matter.
func (d *divergences) replayedWell(o *Orchestration) {
	if !d.any.Load() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if found := d.each[o]; found != nil && !found.stopped {
		delete(d.each, o)
		d.any.Store(len(d.each) > 0)
	}
}

// StoppedClasses are the orchestrations that this process has registered and leaves to others, because its build diverges
// from their histories; sorted by name and version.
func (e *Engine) StoppedClasses() []StoppedClass {
	d := &e.divergences
	d.mu.Lock()
	defer d.mu.Unlock()
	var stopped []StoppedClass
	for o, found := range d.each {
		if found.stopped {
			stopped = append(stopped, StoppedClass{Name: o.Name, Version: o.Version, Instances: slices.Clone(found.instances), Latest: found.latest})
		}
	}
	slices.SortFunc(stopped, func(a, b StoppedClass) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version))
	})
	return stopped
}

// registered returns an orchestration that this process has, by name and version, nil if it has not.
func (e *Engine) registered(name, version string) *Orchestration {
	e.registry.mu.Lock()
	defer e.registry.mu.Unlock()
	return e.registry.orchestrations[orchestrationClass(name, version, 0)]
}

// Runs reports whether this process would run instances of an orchestration.
func (e *Engine) Runs(name, version string) bool {
	o := e.registered(name, version)
	return o != nil && e.current() != nil && !e.divergences.stopped(o)
}
