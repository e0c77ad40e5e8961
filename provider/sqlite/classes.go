package sqlite

import (
	"context"

	"github.com/pawlrun/pawl/provider"
)

const (
	selectClass = `SELECT id FROM class WHERE kind = ? AND name = ? AND version = ? AND tag = ?`
	insertClass = `INSERT INTO class (kind, name, version, tag) VALUES (?, ?, ?, ?)`
)

// RegisterClasses implements provider.Provider.
func (p *Provider) RegisterClasses(ctx context.Context, classes []provider.Class) ([]provider.ClassID, error) {
	const op = "register_classes"
	for n := range classes {
		if err := checkNames(op, classes[n].Name, classes[n].Version, classes[n].Tag); err != nil {
			return nil, err
		}
	}
	ids := make([]provider.ClassID, len(classes))
	if len(classes) == 0 {
		return ids, nil
	}
	err := p.write(ctx, op, len(classes), durable, func(t *tx) {
		for n := range classes {
			c := &classes[n]
			if !t.first(selectClass, args{c.Kind, c.Name, c.Version, c.Tag}, &ids[n]) {
				ids[n] = provider.ClassID(t.insert(insertClass, c.Kind, c.Name, c.Version, c.Tag))
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}
