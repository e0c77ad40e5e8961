package provider

// MaxMessages is how many unread messages of one name a grant returns at most.
const MaxMessages = 256

// Bounds of the history that comes with a grant by a fetch of work, so that an instance that moves costs the same however
// long its history is.
const (
	MaxGrantTurns = 32
	MaxGrantBytes = 64 << 10
)
