package inline

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/provider"
)

const (
	setValue = `insert into @value as v (part, iid, key, data, found)
		values ($1, $2, $3, $4::json, case when $5 then $4::json::text end)
		on conflict (part, iid, key) do update set data = excluded.data, found = excluded.found`
	removeValue  = `delete from @value where part = $1 and iid = $2 and key = $3`
	selectValues = `select v.key, v.data, v.found is not null from @instance i
		left join @value v on v.part = i.part and v.iid = i.iid and ($3 or v.key = any($4))
		where i.part = $1 and i.instance_id = $2 order by v.key`
)

// publish writes what a turn shows of its instance: the custom status and the values.
func (b *commits) publish(ctx context.Context, t *turn) {
	i, c := t.i, t.commit
	if c.CustomStatus != nil {
		b.exec(ctx, `update @instance set custom_status = $3, status_version = status_version + 1 where part = $1 and iid = $2`,
			i.Part, i.Row, c.CustomStatus)
		if i.watch {
			b.news.status = append(b.news.status, i.id)
		}
	}
	b.setValues(ctx, i, c.Values)
}

func (b *commits) setValues(ctx context.Context, i *instance, values []provider.Value) {
	for n := range values {
		if v := &values[n]; v.Data != nil {
			b.exec(ctx, setValue, i.Part, i.Row, v.Key, v.Data, v.Searchable)
		} else {
			b.exec(ctx, removeValue, i.Part, i.Row, v.Key)
		}
	}
}

// ReadValues implements provider.Provider. The instance and its values are read by one statement, so they are of one turn.
func (p *Provider) ReadValues(ctx context.Context, instanceID string, keys []string) (values []provider.Value, found bool, err error) {
	err = p.read(ctx, "read_values", 1, func(c *call) {
		a := args{p.partOf(instanceID), instanceID, len(keys) == 0, keys}
		c.each(ctx, selectValues, a, func(rows pgx.Rows) error {
			found = true
			var key *string
			var data []byte
			var searchable bool
			err := rows.Scan(&key, &data, &searchable)
			if key != nil {
				values = append(values, provider.Value{Key: *key, Data: data, Searchable: searchable})
			}
			return err
		})
	})
	if err != nil {
		return nil, false, err
	}
	return values, found, nil
}
