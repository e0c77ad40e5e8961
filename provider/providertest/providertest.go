// Package providertest is the conformance suite of package provider: whoever implements provider.Provider runs it.
//
//	func TestConformance(t *testing.T) {
//		providertest.Run(t, providertest.Harness{NewStore: func(t providertest.T) providertest.Opener {
//			path := filepath.Join(t.TempDir(), "pawl.db")
//			return func(t providertest.T) provider.Provider { ... open path ... }
//		}})
//	}
//
// Every case runs on a store of its own and in parallel with the others. A failure names the clause of
// docs/provider-contract.md that was broken. The suite itself is tested: each of a list of deliberately broken
// providers must be caught by the case named for it. The package knows nothing of any particular store, of replay or
// of the runtime, and imports the standard library only.
package providertest

import (
	"context"
	"fmt"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// T is what a case needs of a test; *testing.T is one. Cases are written against it so that they can also be run
// outside of go test (see Case.Try).
type T interface {
	Helper()
	Name() string
	Context() context.Context
	Cleanup(func())
	TempDir() string
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
}

// Opener opens a handle on one store, as another process would: called again, it opens another handle on the same
// store. The suite closes the handles it has opened.
type Opener func(t T) provider.Provider

// Harness tells the suite how to make stores.
type Harness struct {
	// NewStore creates an empty store and has it removed by t.Cleanup.
	NewStore func(t T) Opener
	// Patience is how long a case waits for what must happen in the end, 10 s by default. A correct store never needs
	// it; it only bounds failing cases.
	Patience time.Duration
}

// Case is one test of the suite.
type Case struct {
	Name    string   // area/subject
	Clauses []string // the clauses of the contract that it proves
	run     func(*fixture)
}

// caseTimeout bounds a case as a whole: a store that hangs fails instead of stopping the suite.
const caseTimeout = time.Minute

// Run runs all cases as parallel subtests of t.
func Run(t *testing.T, h Harness) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.Run(t, h)
		})
	}
}

// Cases returns all cases, sorted by area.
func Cases() []Case {
	return slices.Concat(
		classCases,
		startCases,
		replaceCases,
		fetchCases,
		rankCases,
		ackCases,
		messageCases,
		takeCases,
		timerCases,
		workCases,
		workGrantCases,
		routedCases,
		handOverCases,
		executionCases,
		childCases,
		abandonCases,
		suspendCases,
		terminateCases,
		terminateRaceCases,
		livenessCases,
		servesCases,
		readCases,
		valueCases,
		stateCases,
		refusedCases,
		searchCases,
		repeatCases,
		faultCases,
		notifyCases,
	)
}

// FindCase returns the case of that name.
func FindCase(name string) (Case, bool) {
	cases := Cases()
	i := slices.IndexFunc(cases, func(c Case) bool { return c.Name == name })
	if i < 0 {
		return Case{}, false
	}
	return cases[i], true
}

// Run runs the case on a new store.
func (c Case) Run(t T, h Harness) {
	t.Helper()
	c.run(newFixture(t, h))
}

// Failure is one broken promise that a case found.
type Failure struct {
	Clause  string // "" if the case failed otherwise
	Message string
}

// Try runs the case outside of a test and returns what it found: nothing if the store keeps its promises.
func (c Case) Try(ctx context.Context, h Harness, tempDir func() string) []Failure {
	r := &recorder{ctx: ctx, name: c.Name, tempDir: tempDir}
	r.do(func() { c.Run(r, h) })
	for i := len(r.cleanups) - 1; i >= 0; i-- {
		r.do(r.cleanups[i])
	}
	return r.failures
}

// recorder is a T that remembers failures.
type recorder struct {
	ctx     context.Context
	name    string
	tempDir func() string

	mu       sync.Mutex
	failures []Failure
	cleanups []func()
}

var _ T = (*recorder)(nil)
var _ T = (*testing.T)(nil)

var clausePrefix = regexp.MustCompile(`^([A-Z][0-9]+): `)

// do runs f on a goroutine of its own, which Fatalf may end.
func (r *recorder) do(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				r.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		f()
	}()
	<-done
}

func (r *recorder) Helper()                      {}
func (r *recorder) Name() string                 { return r.name }
func (r *recorder) Context() context.Context     { return r.ctx }
func (r *recorder) TempDir() string              { return r.tempDir() }
func (r *recorder) Logf(format string, a ...any) {}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *recorder) Errorf(format string, args ...any) {
	f := Failure{Message: fmt.Sprintf(format, args...)}
	if m := clausePrefix.FindStringSubmatch(f.Message); m != nil {
		f.Clause = m[1]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, f)
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failures) > 0
}
