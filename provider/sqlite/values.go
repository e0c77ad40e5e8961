package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/pawlrun/pawl/provider"
)

const (
	putValue = `INSERT INTO instance_value (iid, key, data, searchable) VALUES (?, ?, ?, ?)
ON CONFLICT (iid, key) DO UPDATE SET data = excluded.data, searchable = excluded.searchable`
	removeValue = `DELETE FROM instance_value WHERE iid = ? AND key = ?`
)

func (t *tx) setValue(row int64, v *provider.Value) {
	if v.Data == nil {
		t.exec(removeValue, row, v.Key)
		return
	}
	t.exec(putValue, row, v.Key, text(v.Data), v.Searchable)
}

// beginWith sets the values that a new instance has from its start; those of its first turn are set after them.
func (t *tx) beginWith(row int64, values []provider.Value) {
	for n := range values {
		t.setValue(row, &values[n])
	}
}

// Both queries have one row without a key for an instance without such values.
const (
	allValues   = `SELECT v.key, v.data, v.searchable FROM instance i LEFT JOIN instance_value v ON v.iid = i.id` + ofInstance
	valuesByKey = `SELECT v.key, v.data, v.searchable FROM instance i
  LEFT JOIN instance_value v ON v.iid = i.id AND v.key IN (SELECT value FROM json_each(?2))` + ofInstance
	ofInstance = ` WHERE i.instance_id = ?1 ORDER BY v.key`
)

// ReadValues implements provider.Provider.
func (p *Provider) ReadValues(ctx context.Context, instanceID string, keys []string) ([]provider.Value, bool, error) {
	const op = "read_values"
	if err := checkNames(op, append([]string{instanceID}, keys...)...); err != nil {
		return nil, false, err
	}
	query, a := allValues, args{instanceID}
	if len(keys) > 0 {
		query, a = valuesByKey, args{instanceID, namesList(keys)}
	}
	var values []provider.Value
	found := false
	err := p.read(ctx, op, 1, query, a, func(rows *sql.Rows) error {
		var key sql.NullString
		var v provider.Value
		var searchable sql.NullBool
		err := rows.Scan(&key, &v.Data, &searchable)
		found = true
		if key.Valid {
			v.Key, v.Searchable = key.String, searchable.Bool
			values = append(values, v)
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return values, found, nil
}

// A listing by values reads the index of one of them, newest first, and looks the others up for each instance it finds there.
const (
	foundByValue = stateColumns + `, NULL, NULL, NULL FROM instance_value v
  CROSS JOIN instance i ON i.id = v.iid LEFT JOIN class c ON c.id = i.class
 WHERE v.searchable = 1 AND v.key = ?6 AND v.data = ?7 AND v.iid < ?1
   AND (?2 IS NULL OR i.status = ?2)
   AND (?3 = '' OR c.name = ?3)
   AND (?4 = '' OR substr(i.instance_id, 1, length(?4)) = ?4) `
	alsoHasValue = `AND EXISTS (SELECT 1 FROM instance_value o WHERE o.iid = v.iid AND o.key = ? AND o.data = ? AND o.searchable = 1) `
	newestFound  = `ORDER BY v.iid DESC LIMIT ?5`
	countOfValue = `SELECT ?, count(*) FROM (SELECT 1 FROM instance_value WHERE searchable = 1 AND key = ? AND data = ? LIMIT 1000)`
)

// byValues is the query of a listing by values, and its arguments: those of any listing come first.
func byValues(values []provider.Value, parked bool, a args) (string, args) {
	var query strings.Builder
	query.WriteString(foundByValue)
	if parked {
		query.WriteString(`AND i.parked IS NOT NULL `)
	}
	for n := range values {
		if n > 0 {
			query.WriteString(alsoHasValue)
		}
		a = append(a, values[n].Key, string(values[n].Data))
	}
	query.WriteString(newestFound)
	return query.String(), a
}

// rarestFirst sorts values by how many instances have them, up to a thousand.
func (p *Provider) rarestFirst(ctx context.Context, op string, values []provider.Value) ([]provider.Value, error) {
	if len(values) < 2 {
		return values, nil
	}
	a := make(args, 0, 3*len(values))
	for n := range values {
		a = append(a, n, values[n].Key, string(values[n].Data))
	}
	counts := make([]int, len(values))
	err := p.read(ctx, op, 1, strings.Repeat(countOfValue+` UNION ALL `, len(values)-1)+countOfValue, a, func(rows *sql.Rows) error {
		var n, count int
		err := rows.Scan(&n, &count)
		counts[n] = count
		return err
	})
	if err != nil {
		return nil, err
	}
	order := make([]int, len(values))
	for n := range order {
		order[n] = n
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(counts[x], counts[y]) })
	sorted := make([]provider.Value, len(values))
	for n, from := range order {
		sorted[n] = values[from]
	}
	return sorted, nil
}
