// Package postgres stores Pawl's state in PostgreSQL 14 or newer, in one schema of the user's choice.
//
// Every Provider method is one call of one stored function: one statement, one round trip, one commit. (The calls of lone.go and
// plain.go leave what they cannot tell to a second one, the general call.) The functions
// are in functions/, one file each; the tables in migrations/; views and two functions for people (start_orchestration,
// raise_event) make the store usable from psql and inside any transaction of the user's own.
//
// The package knows nothing of replay or of what events and payloads mean. Start reading at migrations/0001_tables.sql,
// then functions/ack_orchestration_items_v1.sql.
package postgres
