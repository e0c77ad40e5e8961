package model

import (
	"cmp"
	"context"
	"slices"

	"github.com/pawlrun/pawl/provider"
)

// EnqueueMessages implements provider.Provider.
func (p *Provider) EnqueueMessages(ctx context.Context, messages []provider.NewMessage) ([]provider.ItemStatus, error) {
	s, err := p.enter(ctx, "enqueue_messages", messageTexts(messages)...)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	statuses := make([]provider.ItemStatus, len(messages))
	for n, m := range messages {
		i := s.ids[m.Target]
		switch {
		case i == nil && !s.broken(UnknownTargetApplied):
			statuses[n] = provider.NotFound
		case i != nil && i.status.Terminal() && !s.broken(EndedTargetApplied):
			statuses[n] = provider.Gone
		default:
			statuses[n] = provider.Applied
			again := slices.IndexFunc(s.inboxOf(i), func(old provider.Message) bool { return old.ID == m.ID })
			if again >= 0 && s.broken(RepeatedMessageCancels) {
				i.inbox = slices.Delete(i.inbox, again, again+1)
			} else if i != nil {
				s.deliver(i, newMessage(m))
			}
		}
	}
	return statuses, nil
}

// FetchOrchestrationItems implements provider.Provider.
func (p *Provider) FetchOrchestrationItems(ctx context.Context, req *provider.FetchRequest) ([]provider.OrchestrationItem, error) {
	const op = "fetch_orchestration_items"
	s, err := p.enter(ctx, op)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	if err := s.checkRanks(op, req.Classes, req.Ranks); err != nil {
		return nil, err
	}
	if req.Timers {
		s.fireTimers()
	}
	var items []provider.OrchestrationItem
	all := s.sortedInstances()
	for _, i := range all {
		if i.owner == req.Worker && i.owner != 0 && i.token == req.Request && !s.broken(RepeatedFetchGrantsAnew) {
			items = append(items, s.grant(i, req.Worker))
		}
	}
	for _, i := range all {
		if held, news := s.held(i, req); news {
			items = append(items, held)
		}
	}
	if !s.broken(RanksIgnored) {
		slices.SortStableFunc(all, func(a, b *instance) int {
			return cmp.Compare(s.rank(req.Classes, req.Ranks, a.class), s.rank(req.Classes, req.Ranks, b.class))
		})
	}
	for _, i := range all {
		full := len(items) >= req.Max && !s.broken(MaxIgnored)
		served := s.serves(req.Classes, i.class) || s.broken(ClassesIgnored)
		ready := s.ready(i) || s.broken(HeldGrantedAgain) && i.owner != 0 && len(s.usable(i)) > 0
		if full || !served || !ready {
			if ready && !served && s.broken(PassedOverCounts) {
				i.attempt++
			}
			continue
		}
		s.lease(i, req.Worker, req.Request)
		items = append(items, s.grant(i, req.Worker))
	}
	return items, nil
}

// held describes an instance that the fetching worker holds already, if it has messages the worker does not know.
func (s *Store) held(i *instance, req *provider.FetchRequest) (provider.OrchestrationItem, bool) {
	if i.owner != req.Worker || i.owner == 0 || i.token == req.Request || s.broken(HeldNotTold) ||
		!s.serves(req.Classes, i.class) {
		return provider.OrchestrationItem{}, false
	}
	ms := s.usable(i)
	repeated := i.toldBy == req.Request && len(ms) > 0 && !s.broken(HeldNotRepeated)
	if !repeated && !slices.ContainsFunc(ms, func(m provider.Message) bool { return m.Order > i.told }) {
		return provider.OrchestrationItem{}, false
	}
	if s.broken(HeldCountsAttempt) {
		i.attempt++
	}
	i.toldBy = req.Request
	it := s.grant(i, req.Worker)
	it.Held, it.History, it.HistoryOmitted = true, nil, false
	if s.broken(HeldGetsNewToken) {
		i.token, it.Token = req.Request, req.Request
	}
	return it, true
}

// inboxOf returns the unread messages of an instance, none if there is no such instance.
func (s *Store) inboxOf(i *instance) []provider.Message {
	if i == nil {
		return nil
	}
	return i.inbox
}
