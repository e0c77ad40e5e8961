// Package bench holds what measurements on a store have in common: percentiles of latencies, the raw limit of a store as
// the yardstick of everything else, what the server did meanwhile (transactions, WAL, processor time), a schema that is
// gone afterwards, and a way to the server that takes longer.
//
// It measures; it knows no workload. Package suite, beside it, holds those of Pawl. The benchmarks of other systems use
// the same yardstick.
package bench
