package engine

import "container/list"

// instanceOverhead is what an idle cached instance is taken to cost beside its history: a parked goroutine with its
// stack, and maps (measured in BenchmarkIdleInstance of package replay).
const instanceOverhead = 12 << 10

// cache orders idle instances by use and bounds their estimated memory.
type cache struct {
	limit int64
	used  int64
	order list.List // *instance, most recent first
}

// cacheEntry is an instance's place in the cache.
type cacheEntry struct {
	element *list.Element
	size    int64
}

// add puts an idle instance first.
func (c *cache) add(in *instance) {
	c.remove(in)
	in.lru = cacheEntry{element: c.order.PushFront(in), size: in.size + instanceOverhead}
	c.used += in.lru.size
}

// remove takes an instance out; it is no error if it is not in.
func (c *cache) remove(in *instance) {
	if in.lru.element != nil {
		c.order.Remove(in.lru.element)
		c.used -= in.lru.size
		in.lru = cacheEntry{}
	}
}

// overflow removes and returns the instances beyond the limit.
func (c *cache) overflow() []*instance {
	var out []*instance
	for c.used > c.limit && c.order.Len() > 0 {
		in := c.order.Back().Value.(*instance)
		c.remove(in)
		out = append(out, in)
	}
	return out
}
