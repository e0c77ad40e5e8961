// Package budget measures the round trips, statements and commits of the shapes of work for which Pawl promises a number:
// an orchestration with one activity, a further step, a fan-out, an idle process.
//
// Every shape is brought about by apps with default options on a PostgreSQL server, each app a process of its own as far
// as the server can tell, after they were idle for a while and beside another worker. What crosses the network is read off
// the wire (package wiretap), commits are read off the server's transaction ids, between moments when nobody waits for an
// answer.
//
// The package uses Pawl as a program does and knows nothing of the engine, the schema or the meaning of a call, but that
// pulse is the periodic one.
package budget
