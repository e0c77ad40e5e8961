package postgres_test

import (
	"fmt"
	"testing"

	"github.com/pawlrun/pawl/provider"
)

// TestCostOfSearch compares listings by values with few and with many instances that have the same.
func TestCostOfSearch(t *testing.T) {
	p := openPages(t)
	common := provider.Value{Key: "common", Data: []byte(`1`)}
	searches := []struct {
		what   string
		values []provider.Value
		want   int
	}{
		{"by what all have", []provider.Value{common}, 10},
		{"by what all and what one have", []provider.Value{common, {Key: "name", Data: []byte("few7")}}, 1},
		{"by what one and what all have", []provider.Value{{Key: "name", Data: []byte("few7")}, common}, 1},
		{"by what all and what nobody has", []provider.Value{common, {Key: "name", Data: []byte("nobody")}}, 0},
	}
	measure := func(name string, n int) (c []cost) {
		p.addInstances(name, n, 0, 0, p.flow, p.job)
		p.exec(`insert into value (part, iid, key, data, found)
			select i.part, i.iid, v.key, '1', v.data from instance i, lateral (values ('common', '1'), ('name', i.instance_id)) v(key, data)
			 where starts_with(i.instance_id, $1)`, name)
		p.exec(`vacuum analyze value, instance`)
		for _, s := range searches {
			c = append(c, p.of(func() {
				found, err := p.ListInstances(p.ctx, provider.ListQuery{Values: s.values, Limit: 10})
				if err != nil || len(found) != s.want {
					t.Fatalf("%s: found %d, %v", s.what, len(found), err)
				}
			}))
		}
		return c
	}
	small := measure("few", 2000)
	large := measure("many", many())
	for i, s := range searches {
		large[i].Bytes = small[i].Bytes // but for the digits of ids and row numbers
		p.flat(fmt.Sprint("listing ", s.what), small[i], large[i])
	}
}
