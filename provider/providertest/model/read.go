package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pawlrun/pawl/provider"
)

// ReadInstances implements provider.Provider.
func (p *Provider) ReadInstances(ctx context.Context, instanceIDs []string, watch bool) ([]provider.InstanceState, error) {
	s, err := p.enter(ctx, "read_instances", instanceIDs...)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var states []provider.InstanceState
	for _, id := range instanceIDs {
		if i := s.ids[id]; i != nil {
			i.watched = i.watched || watch
			st := s.state(i, true)
			if (!watch || s.broken(WorkersAlwaysLookedUp)) && !i.status.Terminal() {
				s.lookUpWorkers(&st, i)
			}
			states = append(states, st)
		}
	}
	return states, nil
}

// state describes an instance to readers.
func (s *Store) state(i *instance, lastTurn bool) provider.InstanceState {
	class := s.classes[i.class-1]
	st := provider.InstanceState{Ref: i.Ref, InstanceID: i.id, Name: class.Name, Version: class.Version,
		Status: i.status, Execution: i.execution, ExecutionID: i.executionID, NextSeq: i.nextSeq, ParentID: i.parent.InstanceID,
		CreatedAt: i.created, EndedAt: i.ended, Parked: slices.Clone(i.parked), Worker: i.owner,
		CustomStatus: slices.Clone(i.custom), StatusVersion: i.customs, Workers: -1, Cursor: fmt.Sprintf("%019d", i.Row)}
	if !s.broken(StatePriorityLost) {
		st.Priority = class.Priority
	}
	if lastTurn {
		turns := turnsOf(i.current(), 0)
		st.LastTurn = turns[len(turns)-1]
		if s.broken(LastTurnIsFirst) {
			st.LastTurn = turns[0]
		}
	}
	return st
}

// ReadHistory implements provider.Provider.
func (p *Provider) ReadHistory(ctx context.Context, q provider.HistoryQuery) ([]provider.Turn, error) {
	s, err := p.enter(ctx, "read_history", q.InstanceID)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	i := s.instances[q.Ref]
	if q.Ref == (provider.Ref{}) {
		i = s.ids[q.InstanceID]
	}
	if i == nil {
		return nil, nil
	}
	from := q.From
	if s.broken(HistoryFromIgnored) {
		from = 0
	}
	turns := turnsOf(i.turns[cmp.Or(q.Execution, i.execution)], from)
	size := 0
	for n, t := range turns {
		size += len(t.Events)
		if n > 0 && size > cmp.Or(q.MaxBytes, 4<<20) && !s.broken(MaxBytesIgnored) {
			turns = turns[:n]
			break
		}
	}
	if s.broken(HistoryOutOfOrder) {
		slices.Reverse(turns)
	}
	return turns, nil
}

// ListInstances implements provider.Provider.
func (p *Provider) ListInstances(ctx context.Context, q provider.ListQuery) ([]provider.InstanceState, error) {
	texts := []string{q.Name, q.Prefix}
	for _, v := range q.Values {
		texts = append(texts, v.Key)
	}
	s, err := p.enter(ctx, "list_instances", texts...)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	if len(q.Before) != 0 && len(q.Before) != 19 {
		return nil, &provider.Error{Op: "list_instances", Retry: provider.GiveUp, Err: errors.New("not a cursor of a listing")}
	}
	limit := min(cmp.Or(q.Limit, 100), 1000)
	all := s.sortedInstances()
	if !s.broken(ListOldestFirst) {
		slices.Reverse(all)
	}
	var states []provider.InstanceState
	for _, i := range all {
		st := s.state(i, false)
		if s.broken(ListOmitsStatus) {
			st.CustomStatus, st.StatusVersion = nil, 0
		}
		prefix := strings.HasPrefix(st.InstanceID, q.Prefix) || s.broken(PrefixIsPattern) && like(st.InstanceID, q.Prefix)
		switch {
		case q.Before != "" && st.Cursor >= q.Before:
		case q.Status != nil && st.Status != *q.Status && !s.broken(ListStatusIgnored):
		case q.ParkedOnly && st.Parked == nil && !s.broken(ListParkedIgnored):
		case q.Name != "" && st.Name != q.Name && !s.broken(ListNameIgnored):
		case !prefix, !i.has(s, q.Values):
		case len(states) == limit && !s.broken(ListLimitIgnored):
		default:
			states = append(states, st)
		}
	}
	if s.broken(ListSkipsAtPageEnd) && len(states) == limit && len(states) > 1 {
		states[len(states)-1].Cursor = fmt.Sprintf("%019d", states[len(states)-1].Row-1)
	}
	return states, nil
}

// like matches a prefix in which _ stands for any character, as a careless LIKE would.
func like(id, prefix string) bool {
	if len(id) < len(prefix) {
		return false
	}
	for n := range prefix {
		if prefix[n] != '_' && prefix[n] != id[n] {
			return false
		}
	}
	return true
}
