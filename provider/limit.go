package provider

import "fmt"

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

// MaxValueKeyBytes bounds the key of a value: it is an index key.
const MaxValueKeyBytes = 255

// CheckValues returns what is wrong with values that a call is to set, as every provider must before it changes anything: a
// key may be there twice or too long, the data of a searchable one too large.
func CheckValues(values []Value) error {
	var keys map[string]bool
	if len(values) > 1 {
		keys = make(map[string]bool, len(values))
	}
	for i := range values {
		v := &values[i]
		switch {
		case keys[v.Key]:
			return fmt.Errorf("two values for the key %.40q", v.Key)
		case len(v.Key) > MaxValueKeyBytes:
			return fmt.Errorf("the key %.40q... of a value has %d bytes, the limit is %d", v.Key, len(v.Key), MaxValueKeyBytes)
		case v.Searchable && len(v.Data) > MaxSearchableBytes:
			return fmt.Errorf("data of the searchable value %q has %d bytes, the limit is %d", v.Key, len(v.Data), MaxSearchableBytes)
		}
		if keys != nil {
			keys[v.Key] = true
		}
	}
	return nil
}

// CheckValues is the function of that name for all values that a commit sets, those of its children included.
func (c *Commit) CheckValues() error {
	if err := CheckValues(c.Values); err != nil {
		return err
	}
	for i := range c.Children {
		if err := CheckValues(c.Children[i].Values); err != nil {
			return err
		}
	}
	return nil
}
