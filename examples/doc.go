// Package examples holds small complete programs, one in each directory. Run one with
//
//	go run ./examples/NAME [--store FILE | --store postgres://...]
//
// Its first comment says what it shows and what it prints; the test of this package runs all of them on every provider
// and compares.
package examples
