package demo

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pawlrun/pawl"
)

// Names of the functions in the store.
const (
	censusName = "Census"
	groupName  = "CensusOfGroup"
	countName  = "CountPackage"
)

// Tree is the input of the root orchestration.
type Tree struct {
	Dir string `json:"dir"`
}

// Group is one top-level directory of a tree, "." for the files in the tree itself.
type Group struct {
	Dir  string `json:"dir"`
	Name string `json:"name"`
}

// Location is one package of a tree.
type Location struct {
	Dir     string `json:"dir"`
	Package string `json:"package"`
}

func (t Tree) subject() string     { return t.Dir }
func (g Group) subject() string    { return g.Name }
func (l Location) subject() string { return l.Package }

// What an orchestration has outstanding at a time. However large the tree, a commit, what waits in memory for a join, and
// the queue that work taken over from a dead worker joins at its end, stay small.
const (
	groupsAtOnce   = 8
	packagesAtOnce = 25
)

// Census is the root orchestration: one sub-orchestration for each top-level directory.
func Census(o *pawl.Context, tree Tree) (Report, error) {
	groups, err := pawl.Activity(o, FindGroups, tree).Await()
	if err != nil {
		return Report{}, err
	}
	return gather(len(groups), groupsAtOnce, func(i int) *pawl.Future[Report] {
		return pawl.SubOrchestration(o, CensusOfGroup, Group{Dir: tree.Dir, Name: groups[i]}, nil)
	}, func(total *Report, group Report) { total.Merge(group) })
}

// CensusOfGroup counts the packages of one top-level directory, one activity for each.
func CensusOfGroup(o *pawl.Context, group Group) (Report, error) {
	packages, err := pawl.Activity(o, FindPackages, group).Await()
	if err != nil {
		return Report{}, err
	}
	return gather(len(packages), packagesAtOnce, func(i int) *pawl.Future[Package] {
		return pawl.Activity(o, CountPackage, Location{Dir: group.Dir, Package: packages[i]})
	}, func(total *Report, p Package) { total.Add(p) })
}

// gather schedules n pieces of work, some at once, and adds up their results as they come: one that takes long, because
// its worker has died, holds up nobody else.
func gather[T any](n, atOnce int, schedule func(int) *pawl.Future[T], add func(*Report, T)) (Report, error) {
	var total Report
	var errs []error
	var outstanding []pawl.Awaitable
	for next := 0; next < n || len(outstanding) > 0; {
		if next < n && len(outstanding) < atOnce {
			outstanding = append(outstanding, schedule(next))
			next++
			continue
		}
		i, err := pawl.Select(outstanding...)
		if err != nil {
			return Report{}, err
		}
		part, err := outstanding[i].(*pawl.Future[T]).Await()
		outstanding = slices.Delete(outstanding, i, i+1)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		add(&total, part)
	}
	return total, errors.Join(errs...)
}

// FindGroups returns the top-level directories of a tree that hold Go files somewhere.
func FindGroups(_ context.Context, tree Tree) ([]string, error) {
	packages, err := findPackages(tree.Dir, ".", true)
	for i := range packages {
		packages[i] = groupOf(packages[i])
	}
	slices.Sort(packages)
	return slices.Compact(packages), err
}

// FindPackages returns the packages of a group.
func FindPackages(_ context.Context, group Group) ([]string, error) {
	return findPackages(group.Dir, group.Name, group.Name != ".")
}

// CountPackage counts one package.
func CountPackage(_ context.Context, at Location) (Package, error) {
	return countPackage(at.Dir, at.Package)
}

// register makes an app run the census; each activity leaves its traces in the log and lasts at least pace.
func register(app *pawl.App, log *effectLog, pace time.Duration) error {
	return errors.Join(
		pawl.RegisterOrchestration(app, Census, pawl.Name(censusName)),
		pawl.RegisterOrchestration(app, CensusOfGroup, pawl.Name(groupName)),
		pawl.RegisterActivity(app, traced(log, 0, FindGroups), pawl.Name("FindGroups")),
		pawl.RegisterActivity(app, traced(log, 0, FindPackages), pawl.Name("FindPackages")),
		pawl.RegisterActivity(app, traced(log, pace, CountPackage), pawl.Name(countName)),
	)
}

// traced writes a line to the effect log before and after an activity. If the log cannot be written the activity must
// not run: nobody would know.
func traced[I interface{ subject() string }, O any](log *effectLog, pace time.Duration, activity pawl.ActivityFunc[I, O]) pawl.ActivityFunc[I, O] {
	return func(ctx context.Context, input I) (O, error) {
		var none O
		info, _ := pawl.ActivityInfoFrom(ctx)
		if err := log.write(effectBegin, info.IdempotencyKey, info.Name, input.subject()); err != nil {
			return none, err
		}
		began := time.Now()
		out, err := activity(ctx, input)
		if rest := pace - time.Since(began); rest > 0 {
			t := time.NewTimer(rest)
			defer t.Stop()
			select {
			case <-t.C:
			case <-ctx.Done():
				return none, context.Cause(ctx)
			}
		}
		return out, errors.Join(err, log.write(effectEnd, info.IdempotencyKey, info.Name, input.subject()))
	}
}
