package pawl

import (
	"fmt"

	"github.com/pawlrun/pawl/history"
)

// Priority says how urgent an instance or an activity is. Of what waits for a place in a worker the more urgent goes first,
// and among equals what has waited longest; what runs already is not interrupted. The zero value is the priority of the
// instance that schedules it, and PriorityNormal for an instance that is started from outside. An instance keeps its
// priority when it continues as new.
//
// So that nothing waits for ever, one in 16 of a worker's looks into its queues takes what has waited longest, however
// urgent. Which priorities exist each worker learns by itself: the first item ever of a priority that its function had not
// been used with may wait for a pulse (Options.PulseInterval).
type Priority string

// The priorities.
const (
	PriorityLowest  Priority = "lowest"
	PriorityLow     Priority = "low"
	PriorityNormal  Priority = "normal"
	PriorityHigh    Priority = "high"
	PriorityHighest Priority = "highest"
)

// recorded is the priority as the history has it; field is what the error calls it.
func (p Priority) recorded(field string) (history.Priority, error) {
	if recorded := history.Priority(p); p == "" || history.PriorityOf(recorded.Level()) == recorded {
		return recorded, nil
	}
	return "", fmt.Errorf("%w: %s is %.40q, it must be one of the Priority constants", ErrInvalid, field, string(p))
}
