package sqlite

import (
	"context"
	"database/sql"

	"github.com/pawlrun/pawl/provider"
)

const (
	selectClass = `SELECT id FROM class WHERE kind = ? AND name = ? AND version = ? AND tag = ? AND priority = ?`
	insertClass = `INSERT INTO class (kind, name, version, tag, priority) VALUES (?, ?, ?, ?, ?)`
	classesFrom = `SELECT id, kind, name, version, tag, priority FROM class WHERE id >= ? ORDER BY id LIMIT ?`
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
			if !t.first(selectClass, args{c.Kind, c.Name, c.Version, c.Tag, c.Priority}, &ids[n]) {
				ids[n] = provider.ClassID(t.insert(insertClass, c.Kind, c.Name, c.Version, c.Tag, c.Priority))
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// classesFrom returns the classes with an id or a higher one, by id.
func (t *tx) classesFrom(from provider.ClassID) []provider.KnownClass {
	var classes []provider.KnownClass
	t.each(classesFrom, args{from, provider.MaxClasses}, func(rows *sql.Rows) error {
		var c provider.KnownClass
		err := rows.Scan(&c.ID, &c.Kind, &c.Name, &c.Version, &c.Tag, &c.Priority)
		classes = append(classes, c)
		return err
	})
	return classes
}
