package model

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/pawlrun/pawl/provider"
)

// publish sets the custom status and the values of a commit.
func (s *Store) publish(i *instance, t *provider.Commit) {
	if t.CustomStatus != nil {
		i.custom = slices.Clone(t.CustomStatus)
		if !s.broken(StatusVersionStands) {
			i.customs++
		}
		if i.watched && !s.broken(StatusUnnotified) {
			s.notify(0, provider.Notification{Kind: provider.NotifyStatus, InstanceID: i.id})
			i.watched = !s.broken(WatchEndsWithStatus)
		}
	} else if s.broken(StatusForgotten) {
		i.custom = nil
	}
	if len(t.Values) > 0 && s.broken(ValuesReplaced) {
		clear(i.values)
	}
	s.setValues(i, t.Values)
	if t.Status == provider.StatusContinuedAsNew && s.broken(NextDropsValues) || t.Status.Terminal() && s.broken(EndDropsValues) {
		clear(i.values)
	}
	if t.Status == provider.StatusContinuedAsNew && s.broken(NextDropsStatus) {
		i.custom, i.customs = nil, 0
	}
}

// setValues sets or removes values of an instance.
func (s *Store) setValues(i *instance, values []provider.Value) {
	for _, v := range values {
		switch old, set := i.values[v.Key]; {
		case v.Data != nil:
			v.Data = slices.Clone(v.Data)
			v.Searchable = v.Searchable || set && old.Searchable && s.broken(SearchableForGood)
			i.values[v.Key] = v
		case !s.broken(ValueNotRemoved):
			delete(i.values, v.Key)
		}
	}
}

// has reports whether an instance has all the searchable values of a query.
func (i *instance) has(s *Store, wanted []provider.Value) bool {
	for n, w := range wanted {
		v, set := i.values[w.Key]
		hit := set && v.Searchable && bytes.Equal(v.Data, w.Data)
		switch {
		case s.broken(SearchIgnoresData):
			hit = set && v.Searchable
		case s.broken(SearchFindsAll):
			hit = set && bytes.Equal(v.Data, w.Data)
		case s.broken(SearchByFirstOnly):
			hit = hit || n > 0
		case s.broken(SearchesRunning):
			hit = hit && !i.status.Terminal()
		case s.broken(ListValuesIgnored):
			hit = true
		}
		if !hit {
			return false
		}
	}
	return true
}

// checkValues refuses searchable values that are too large.
func (s *Store) checkValues(op string, err error) error {
	if err == nil || s.broken(SearchableUnbounded) {
		return nil
	}
	return &provider.Error{Op: op, Retry: provider.GiveUp, Err: err}
}

// ReadValues implements provider.Provider.
func (p *Provider) ReadValues(ctx context.Context, instanceID string, keys []string) ([]provider.Value, bool, error) {
	s, err := p.enter(ctx, "read_values", append([]string{instanceID}, keys...)...)
	if err != nil {
		return nil, false, err
	}
	defer s.mu.Unlock()
	i := s.ids[instanceID]
	if i == nil {
		return nil, s.broken(UnknownHasValues), nil
	}
	var values []provider.Value
	for key, v := range i.values {
		if len(keys) == 0 || slices.Contains(keys, key) || s.broken(ValueKeysIgnored) {
			v.Data = slices.Clone(v.Data)
			values = append(values, v)
		}
	}
	slices.SortFunc(values, func(a, b provider.Value) int { return strings.Compare(a.Key, b.Key) })
	if s.broken(ValuesUnsorted) {
		slices.Reverse(values)
	}
	return values, true, nil
}
