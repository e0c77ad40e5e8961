package provider

import "time"

// InstanceState is the committed state of an instance.
type InstanceState struct {
	Ref
	InstanceID  string
	Name        string // of the orchestration
	Version     string
	Priority    int8 // of the class of the current execution
	Status      InstanceStatus
	Execution   int32
	ExecutionID ExecutionID
	NextSeq     int32
	ParentID    string // instance id of the parent, "" for a root
	CreatedAt   time.Time
	EndedAt     time.Time // zero while running
	Parked      []byte    // reason, a JSON document; nil unless parked
	Worker      WorkerID  // current owner, zero if free
	// LastTurn is the last committed turn, which for a finished instance ends with its outcome.
	LastTurn Turn
	// CustomStatus is the latest the instance has set, nil if none; StatusVersion is how often it has set one.
	CustomStatus  []byte
	StatusVersion int64
	// Workers is how many live workers serve the class of the current execution (PulseRequest.Serves); live is who has
	// joined, is neither reaped nor retired, and whose last beat has not outlasted PulseRequest.BeatLasts. It is -1 where it
	// was not looked up, which only ReadInstances without watch does, and only for running instances.
	Workers int
	// Unserved are the distinct classes of the instance's queued work items, delayed ones included, that no live worker
	// serves, sorted by name and tag; at most MaxUnserved of them. Looked up where Workers is.
	Unserved []Class
	// Cursor continues a listing after this row (ListQuery.Before).
	Cursor string
}

// HistoryQuery selects turns of one instance, by Ref or, if that is zero, by InstanceID. From must be the first event
// number of a turn (0 for the beginning). The store returns at least one turn if there is one and stops after about
// MaxBytes (0: 4 MiB); the caller goes on from there.
type HistoryQuery struct {
	Ref        Ref
	InstanceID string
	Execution  int32 // 0: the current one
	From       int32
	MaxBytes   int
}

// ListQuery selects instances. Zero fields do not filter.
type ListQuery struct {
	Status     *InstanceStatus
	ParkedOnly bool
	Name       string
	Prefix     string // of the instance id
	// Values are searchable entries that the instance must have, all of them, each with exactly this data, byte for byte.
	Values []Value
	Limit  int // 0: 100; at most 1,000
	// Before continues a listing: the Cursor of its last row.
	Before string
}
