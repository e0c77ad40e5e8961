package pawl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Unversioned names, where a version is asked for, the orchestration that was registered without one.
const Unversioned = "unversioned"

// Version registers an orchestration as one version of its name: a semantic version like "1.2.0" or "2.0.0-rc.1". Several
// versions of a name can be registered side by side. Each instance keeps the version it was started with, and is claimed
// only by processes that have that one registered; without Version an orchestration is unversioned.
//
// A new instance gets, in this order: the version that is asked for (StartOptions, ChildOptions); the one that
// Options.Versions pins for the name; that of the function, if it was started by a function that is registered here as one
// version of the name; the highest that is registered in the process that starts it. A process with none registered
// starts the unversioned one: it cannot know what workers have, so pin the version there, or ask for it.
func Version(version string) RegisterOption {
	return func(r *registration) { r.version, r.versioned = version, true }
}

// Patched reports whether an instance is to run code that has changed as it is now. It is true for instances that reach
// this place for the first time, which is recorded, and false for those that passed it before the code had this patch. For
// one id the answer stays the same throughout an execution, in loops too; continue-as-new asks anew.
//
//	if pawl.Patched(o, "check-stock-first") {
//		... as it is now
//	} else {
//		... as it was
//	}
//
// When no instance is left for which it is false, take it out with the old code: marks in histories that the code has no
// patch for are passed over.
//
// The id is a name of 1 to 255 bytes; any other is a mistake in the code and panics, which fails the execution.
func Patched(o *Context, id string) bool {
	if err := checkName("patch id", id); err != nil {
		panic(err)
	}
	return o.x.Patched(id)
}

// StoppedOrchestration is an orchestration that an app has registered and does not run any more.
type StoppedOrchestration struct {
	Name    string
	Version string // "" if unversioned
	// Instances are those that diverged and are parked.
	Instances []string
	// Divergence is where code and history part in the last of them.
	Divergence string
}

// StoppedOrchestrations returns what the app does not run any more because its code diverges from the histories there are:
// three instances of an orchestration did, one after the other, with none between them whose history was replayed well.
// Other processes go on running it, and so does this one after a restart. It is also logged, once, as an error.
func (a *App) StoppedOrchestrations() ([]StoppedOrchestration, error) {
	e, err := a.running()
	if err != nil {
		return nil, err
	}
	var stopped []StoppedOrchestration
	for _, c := range e.StoppedClasses() {
		stopped = append(stopped, StoppedOrchestration{Name: c.Name, Version: c.Version, Instances: c.Instances, Divergence: c.Latest})
	}
	return stopped, nil
}

// versionFor decides about the version of a new instance: see Version. fn is nil when the instance is started by name.
func (a *App) versionFor(name string, fn any, asked string) (string, error) {
	if asked != "" {
		return asked, checkVersion(asked)
	}
	if pinned, ok := a.options.Versions[name]; ok {
		return pinned, nil // checked with the options
	}
	if fn != nil {
		if own := a.registry.versionsOf(fn, name); len(own) == 1 {
			return own[0], nil
		}
	}
	if registered := a.registry.versions[name]; len(registered) > 0 {
		return slices.MaxFunc(registered, compareVersions), nil
	}
	return Unversioned, nil
}

// recordedVersion is a version as the store has it.
func recordedVersion(version string) string {
	if version == Unversioned {
		return ""
	}
	return version
}

// checkVersion reports what is wrong with a version that is asked for.
func checkVersion(version string) error {
	if version == Unversioned {
		return nil
	}
	_, err := parseVersion(version)
	return err
}

// semantic is a semantic version without build metadata.
type semantic struct {
	core [3]string // major, minor, patch
	pre  []string
}

// parseVersion reads a version as https://semver.org has it. Build metadata is refused: it does not order.
func parseVersion(version string) (semantic, error) {
	fail := func(why string) (semantic, error) {
		return semantic{}, fmt.Errorf("%w: version %.100q is not a semantic version like 1.2.0 or 2.0.0-rc.1: %s", ErrInvalid, version, why)
	}
	if len(version) > maxVersionBytes {
		return fail(fmt.Sprintf("it has %d bytes, the limit is %d", len(version), maxVersionBytes))
	}
	if strings.HasPrefix(version, "v") {
		return fail("leave out the v")
	}
	if strings.Contains(version, "+") {
		return fail("build metadata has no place in it")
	}
	core, pre, isPre := strings.Cut(version, "-")
	numbers := strings.Split(core, ".")
	if len(numbers) != 3 {
		return fail("it needs three numbers")
	}
	for _, n := range numbers {
		if !isNumber(n) || len(n) > 1 && n[0] == '0' {
			return fail(fmt.Sprintf("%q is not a number without leading zeros", n))
		}
	}
	v := semantic{core: [3]string(numbers)}
	if !isPre {
		return v, nil
	}
	v.pre = strings.Split(pre, ".")
	for _, id := range v.pre {
		if id == "" || strings.Trim(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-") != "" || isNumber(id) && len(id) > 1 && id[0] == '0' {
			return fail(fmt.Sprintf("%q is no part of a pre-release", id))
		}
	}
	return v, nil
}

// maxVersionBytes bounds versions: they are part of an index key.
const maxVersionBytes = 100

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// compareVersions orders valid versions by precedence, the unversioned first.
func compareVersions(a, b string) int {
	if a == Unversioned || b == Unversioned {
		return cmp.Compare(precedence(a), precedence(b))
	}
	v, errA := parseVersion(a)
	w, errB := parseVersion(b)
	if errA != nil || errB != nil { // cannot be: they were checked when they were registered
		return cmp.Compare(a, b)
	}
	for i := range v.core {
		if c := compareNumbers(v.core[i], w.core[i]); c != 0 {
			return c
		}
	}
	switch {
	case v.pre == nil || w.pre == nil:
		return cmp.Compare(released(v), released(w))
	default:
		return slices.CompareFunc(v.pre, w.pre, comparePre)
	}
}

func precedence(version string) int {
	if version == Unversioned {
		return 0
	}
	return 1
}

func released(v semantic) int {
	if v.pre == nil {
		return 1
	}
	return 0
}

// compareNumbers compares numbers of any length without leading zeros.
func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// comparePre compares parts of pre-releases: numbers first, by value, then texts.
func comparePre(a, b string) int {
	switch {
	case isNumber(a) && isNumber(b):
		return compareNumbers(a, b)
	case isNumber(a):
		return -1
	case isNumber(b):
		return 1
	}
	return strings.Compare(a, b)
}
