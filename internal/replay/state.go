package replay

import (
	"maps"
	"slices"

	"github.com/pawlrun/pawl/history"
)

// SetCustomStatus replaces the status that the execution shows to the outside; of several in one turn the last counts.
func (x *Execution) SetCustomStatus(status history.Payload) {
	x.enter()
	if x.live {
		x.out.CustomStatus = &status
	}
}

// SetValue sets an entry of the key-value state, or removes it with the zero payload.
func (x *Execution) SetValue(key string, value history.Payload) {
	x.set(key, history.Value{Data: value})
}

// SetSearchable is SetValue for an entry that the instance is found by.
func (x *Execution) SetSearchable(key string, value history.Payload) {
	x.set(key, history.Value{Data: value, Searchable: true})
}

func (x *Execution) set(key string, value history.Value) {
	x.enter()
	if x.values == nil {
		x.values = maps.Clone(x.started.Values)
	}
	if x.values == nil {
		x.values = map[string]history.Payload{}
	}
	if value.Data.IsZero() {
		delete(x.values, key)
	} else {
		x.values[key] = value.Data
	}
	if x.live {
		if x.out.Values == nil {
			x.out.Values = map[string]history.Value{}
		}
		x.out.Values[key] = value
	}
}

// Value returns an entry of the key-value state, as the code has set it; zero if there is none.
func (x *Execution) Value(key string) history.Payload { return x.currentValues()[key] }

// ValueCount is how many entries there are.
func (x *Execution) ValueCount() int { return len(x.currentValues()) }

func (x *Execution) currentValues() map[string]history.Payload {
	if x.values == nil {
		return x.started.Values
	}
	return x.values
}

// Excess says which limit forbids something.
type Excess struct {
	What, Key   string
	Size, Limit int64
}

// Check asks whether a limit forbids what the code is about to do. A refusal is recorded and given again in every replay,
// whatever the limit is by then; so is what was allowed. The code must call Check with the same meaning in every replay.
func (x *Execution) Check(exceeded func() *Excess) *Excess {
	x.enter()
	x.checks++
	x.skipPatches()
	if r, _ := x.nextRecorded().(*history.LimitExceeded); r != nil && r.Check == x.checks {
		x.recorded = x.recorded[1:]
		x.next++
		return &Excess{r.What, r.Key, r.Size, r.Limit}
	}
	if !x.live || len(x.recorded) > 0 {
		return nil
	}
	excess := exceeded()
	if excess != nil {
		x.append(&history.LimitExceeded{Check: x.checks, What: excess.What, Key: excess.Key, Size: excess.Size, Limit: excess.Limit})
	}
	return excess
}

// HistoryLength is how many events the history has at this point of the code.
func (x *Execution) HistoryLength() int { return int(x.next) }

// Query is code that answers a question about the state of an execution. It must not change anything or schedule.
type Query func(input history.Payload) (history.Payload, error)

// HandleQuery sets the code that answers a query, for as long as the execution is known.
func (x *Execution) HandleQuery(name string, query Query) {
	x.enter()
	if x.queries == nil {
		x.queries = map[string]Query{}
	}
	x.queries[name] = query
}

// Query returns the code that answers a query, nil if there is none, and the names there are. It is for the owner, between
// turns and after the end: the answer is computed on the caller's goroutine, while the coroutine stands still.
func (x *Execution) Query(name string) (query Query, names []string) {
	return x.queries[name], slices.Sorted(maps.Keys(x.queries))
}
