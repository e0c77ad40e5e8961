// Package ancestor holds no code, only tests from the outside: what users of the durable-execution runtimes that came
// before Pawl do with them, written against Pawl's public API, and each known defect of those as a thing that Pawl does
// right. Every test runs on SQLite and on PostgreSQL.
package ancestor
