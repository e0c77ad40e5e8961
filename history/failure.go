package history

// FailureKind classifies a Failure.
type FailureKind string

// The kinds of failure.
const (
	FailureError       FailureKind = "error"          // user code returned an error
	FailurePanic       FailureKind = "panic"          // user code panicked
	FailureGoexit      FailureKind = "goexit"         // user code ended its goroutine
	FailureExists      FailureKind = "already-exists" // a child's instance id was taken
	FailureQuarantined FailureKind = "quarantined"    // the item was tried too often without an outcome
	FailureBadPayload  FailureKind = "bad-payload"    // a value could not be encoded or decoded
	FailureMisuse      FailureKind = "misuse"         // the programming model was violated
)

// Failure is an error in its stored form.
type Failure struct {
	Kind    FailureKind `json:"kind"`
	Message string      `json:"message"`
	// Type is the Go type of the error or panic value.
	Type string `json:"goType,omitempty"`
	// Source names what failed: an activity or an orchestration.
	Source string   `json:"source,omitempty"`
	Stack  string   `json:"stack,omitempty"`
	Cause  *Failure `json:"cause,omitempty"`
}
