// Package suite is what "pawl bench" runs: workloads of Pawl on a store, in its default configuration, each between two
// measurements of the raw limit of that store, with what they cost the server and this process. It makes the place it
// measures in, checks every result, and leaves nothing behind.
//
// Package bench, above it, holds what benchmarks of other systems need too.
package suite
