package provider

// MaxMessages is how many unread messages of one name a grant returns at most.
const MaxMessages = 256

// MaxUnserved is how many classes InstanceState.Unserved names at most.
const MaxUnserved = 16

// Bounds of the history that comes with a grant by a fetch of work, so that an instance that moves costs the same however
// long its history is.
const (
	MaxGrantTurns = 32
	MaxGrantBytes = 64 << 10
)

// MaxSearchableBytes bounds the data of a searchable value: it is an index key.
const MaxSearchableBytes = 255

// MaxClasses is how many classes a pulse returns at most.
const MaxClasses = 1000

// MaxValueKeyBytes bounds the key of a value: it is an index key.
const MaxValueKeyBytes = 255
