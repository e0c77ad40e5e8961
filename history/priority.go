package history

// Priority says, by name, how urgent an instance or an activity is. "" is that of whoever schedules it, and "normal" for an
// instance that nobody has scheduled.
type Priority string

// The priorities.
const (
	PriorityLowest  Priority = "lowest"
	PriorityLow     Priority = "low"
	PriorityNormal  Priority = "normal"
	PriorityHigh    Priority = "high"
	PriorityHighest Priority = "highest"
)

// Level is the priority as a number, higher for more urgent ones: from -2 to 2, 0 for what is normal, "" or unknown.
func (p Priority) Level() int8 {
	switch p {
	case PriorityLowest:
		return -2
	case PriorityLow:
		return -1
	case PriorityHigh:
		return 1
	case PriorityHighest:
		return 2
	}
	return 0
}

// PriorityOf is the reverse of Level. Levels beyond are those at the end.
func PriorityOf(level int8) Priority {
	return [...]Priority{PriorityLowest, PriorityLow, PriorityNormal, PriorityHigh, PriorityHighest}[min(max(level, -2), 2)+2]
}
