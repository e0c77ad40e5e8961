// Package inline is a provider on the tables of package postgres in its first honest form: every operation is a
// transaction of plain statements, sent one after the other, each waited for, with loops over items in Go. It is what
// one writes before counting round trips, and what the system Pawl descends from did.
//
// It keeps the whole contract, and programs on either provider may share a schema. So it serves as a second witness for
// the conformance suite, as an oracle for the stored functions, and as the baseline of "pawl bench origin". It is not
// meant for use otherwise: a hello world costs it 51 round trips where package postgres needs 2.
//
// The package takes the schema as package postgres has made it and calls none of its functions. It knows nothing of
// replay or of the runtime.
package inline
