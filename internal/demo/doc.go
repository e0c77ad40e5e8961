// Package demo is the demonstration of Pawl: a census of a source tree, counted by worker processes one of which is
// killed on the way.
//
// A root orchestration starts a sub-orchestration for each top-level directory, each of which runs one activity for each
// package (census.go, count.go). Worker processes (worker.go) are children of the demo (fleet.go). Every execution of an
// activity leaves lines in an effect log (effects.go), which is what the demo, and anybody else, judges its claims by:
// what the killed worker had done stays done, what it had begun is done again, once, by another.
//
// What a run needs is in a directory of its own (workspace.go), so that a demo that was interrupted or killed goes on
// when it is started again.
package demo
