package provider

import (
	"errors"
	"fmt"
)

// CheckRanks returns what is wrong with the ranks of a claim, as every provider must before it grants anything: there must be
// none, or one for each class.
func CheckRanks(classes []ClassID, ranks []int16) error {
	if ranks != nil && len(ranks) != len(classes) {
		return fmt.Errorf("%d ranks for %d classes", len(ranks), len(classes))
	}
	return nil
}

// Check returns what is wrong with a commit of a worker as such, as every provider must before it changes anything.
func (c *Commit) Check(worker WorkerID) error {
	switch {
	case c.Request == 0:
		return errors.New("a commit has no request id")
	case c.EventCount < 1 || len(c.Events) == 0:
		return errors.New("a commit has no events")
	case c.Status > StatusTerminated:
		return fmt.Errorf("a commit has the unknown status %d", c.Status)
	case (c.Status == StatusContinuedAsNew) != (c.Next != nil):
		return errors.New("a commit continues as new without the next execution, or the other way round")
	}
	for i := range c.Work {
		if w := &c.Work[i]; w.Lease && w.Worker != 0 && w.Worker != worker {
			return fmt.Errorf("the work item of event %d is to be leased by another worker than the only one who may claim it", w.Event)
		}
	}
	if len(c.Values)+len(c.Children) == 0 {
		return nil
	}
	return c.CheckValues()
}

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
