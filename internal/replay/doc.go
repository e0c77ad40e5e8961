// Package replay is the engine core: it runs an orchestration function against a history and new messages and says what
// happened: events to record, work, timers, children and waits to commit.
//
// # Model
//
// An Execution owns one goroutine, the coroutine, on which the orchestration function runs. Control is handed over
// explicitly: between Turn calls the coroutine is parked, during a Turn the caller is. Nothing runs concurrently.
//
// Every await drives the engine itself: while the awaited future has no result, the coroutine applies the next entry of
// the record and looks again. The record is first the history (replay), then the turn's messages, each appended to the
// history as it is applied. Only when both are exhausted does the coroutine park. So a replay of any length costs
// two hand-overs, and the interleaving of commands and answers in a live turn is by construction the one a replay sees.
// For the same reason a parked execution can be led on by events that were recorded elsewhere (Follow).
//
// # Divergence
//
// While replaying, each command the code issues must be the next recorded event, and each await must find an answer as
// the next recorded event. Anything else is a divergence: the code is not the code that wrote the history. The turn
// ends with a Divergence that names the recorded event, the command and the source line, and nothing else is reported.
//
// # Ending a coroutine
//
// A parked coroutine that is not needed any more is unwound by runtime.Goexit on its own goroutine: deferred functions
// of user code run, a recover cannot stop it, and the context they see is dead (it records nothing; awaits end the
// deferred function). Close waits for that within a limit.
//
// The package imports history and the standard library only. It does no I/O, reads no clock and writes no log. Why
// goroutines and not iter.Pull is in docs/adr/0002-coroutines.md.
package replay
