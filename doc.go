// Package pawl is durable execution for Go: orchestrations written as ordinary functions that survive crashes, deploys
// and months of waiting, because every step they take is recorded in a database before the next one begins.
//
// An orchestration is a deterministic function; what it does to the world it does through activities, ordinary
// functions that run at least once. An instance is one started orchestration, known by an id of the user's choice. Its
// history records what it scheduled and what came back. After a crash, on any process, the function runs again from the
// top against that history, which answers each await as it was answered before, and goes on where it stopped.
//
//	func Greet(ctx context.Context, name string) (string, error) { return "Hello, " + name + "!", nil }
//
//	func HelloWorld(o *pawl.Context, name string) (string, error) {
//		return pawl.Activity(o, Greet, name).Await()
//	}
//
// Others call an orchestration a workflow, an activity a step or task, an external event a signal.
//
// # What must hold
//
// Orchestration code must do the same for the same history: take the time from Context.Now, ids from Context.NewID,
// do no I/O, start no goroutine, range over no map while scheduling. Code that does otherwise, or is changed while
// instances run, diverges from their history; Pawl notices, parks the instance with the differing event and the source
// line, and App.Resume lets it go on when the code is mended.
//
// An App connects a program to a store (package provider/sqlite or provider/postgres) as worker, client or both.
package pawl
