// Package origin retells where Pawl comes from, in one run on one server: the same hello world by inline statements, by
// one stored function per operation, and by Pawl as it is; per operation the calls, queries, round trips and times.
//
// Queries and round trips are what a proxy between here and the server has seen, which also makes the server as far away
// as is asked for. The package knows the providers on PostgreSQL and drives two of them itself; it knows nothing of the
// command line.
package origin
