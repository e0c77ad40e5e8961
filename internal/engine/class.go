package engine

import (
	"context"
	"log/slog"
	"sync"

	"github.com/pawlrun/pawl/provider"
)

func orchestrationClass(name, version string, level int8) provider.Class {
	return provider.Class{Kind: provider.ClassOrchestration, Name: name, Version: version, Priority: level}
}

func activityClass(name, tag string, level int8) provider.Class {
	return provider.Class{Kind: provider.ClassActivity, Name: name, Tag: tag, Priority: level}
}

// classCache remembers the store's numbers of classes, which never change.
type classCache struct {
	mu      sync.RWMutex
	ids     map[provider.Class]provider.ClassID
	foreign map[provider.Class]struct{} // activities scheduled here that others must run
}

// noteForeign tells operators, once a class, that an activity is left to other processes: if there are none, it waits.
func (c *classCache) noteForeign(log *slog.Logger, class provider.Class) {
	c.mu.Lock()
	_, known := c.foreign[class]
	if !known {
		if c.foreign == nil {
			c.foreign = map[provider.Class]struct{}{}
		}
		c.foreign[class] = struct{}{}
	}
	c.mu.Unlock()
	if !known {
		log.Info("this process does not run the activity (not registered, or its tag not served); it waits for a worker that does", "activity", class.Name, "tag", class.Tag)
	}
}

// resolve returns the ids of classes in order, asking the store only for those not seen before.
func (c *classCache) resolve(ctx context.Context, e *Engine, classes []provider.Class) ([]provider.ClassID, error) {
	ids := make([]provider.ClassID, len(classes))
	var missing []provider.Class
	c.mu.RLock()
	for i, class := range classes {
		id, ok := c.ids[class]
		if !ok {
			missing = append(missing, class)
		}
		ids[i] = id
	}
	c.mu.RUnlock()
	if missing == nil {
		return ids, nil
	}
	var got []provider.ClassID
	err := e.call(ctx, func(ctx context.Context) (err error) {
		got, err = e.store.RegisterClasses(ctx, missing)
		return err
	})
	if err != nil {
		return nil, err
	}
	known := make([]provider.KnownClass, len(missing))
	c.mu.Lock()
	for i, class := range missing {
		c.ids[class], known[i] = got[i], provider.KnownClass{ID: got[i], Class: class}
	}
	for i, class := range classes {
		ids[i] = c.ids[class]
	}
	c.mu.Unlock()
	e.learn(known)
	return ids, nil
}
