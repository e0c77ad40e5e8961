package model

import (
	"context"
	"slices"

	"github.com/pawlrun/pawl/provider"
)

// StartOrchestrations implements provider.Provider.
func (p *Provider) StartOrchestrations(ctx context.Context, req *provider.StartRequest) (*provider.AckReply, error) {
	const op = "start_orchestrations"
	s, err := p.enter(ctx, op, startTexts(req.Items)...)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	for i := range req.Items {
		err := s.checkValues(op, provider.CheckValues(req.Items[i].Values))
		if first := req.Items[i].First; first != nil && err == nil {
			err = s.checkCommit(op, req.Worker, first)
		}
		if err != nil {
			return nil, err
		}
	}
	c := s.newCommit(req.Worker, nil)
	reply := &provider.AckReply{Results: make([]provider.AckResult, len(req.Items)), Now: s.now()}
	for n, it := range req.Items {
		i, taken := s.ids[it.InstanceID]
		replaces := taken && it.ReplaceEnded && (i.status.Terminal() || s.broken(ReplacesRunning))
		same := taken && i.turns[1] != nil && i.firstID == it.ExecutionID
		switch {
		case replaces && (!same || s.broken(RepeatedReplaceReplaces)):
			old := i
			s.remove(old)
			i = s.create(&it.NewInstance)
			if s.broken(ReplaceKeepsValues) {
				i.values = old.values
			}
			if s.broken(ReplaceKeepsStatus) {
				i.custom, i.customs = old.custom, old.customs
			}
		case taken && !same && s.broken(ExistsReportedApplied):
			reply.Results[n] = provider.AckResult{Status: provider.Applied, Ref: i.Ref}
			continue
		case same && s.broken(RepeatedStartCreatesAnew):
			delete(s.instances, i.Ref)
			i = s.create(&it.NewInstance)
		case taken && (!same || s.broken(RepeatedStartExists)):
			reply.Results[n] = provider.AckResult{Status: provider.Exists}
			if s.broken(ExistsDeliversMessages) {
				s.deliverFirst(i, it.Messages)
			}
			if s.broken(ExistsAllOrNothing) {
				return reply, nil
			}
			continue
		case same:
			reply.Results[n] = provider.AckResult{Status: provider.Applied, Ref: i.Ref}
			if s.broken(RepeatedStartDeliversAgain) {
				s.deliverFirst(i, it.Messages)
			}
			if it.First != nil {
				c.repeat(n, i, it.First)
			}
			continue
		default:
			i = s.create(&it.NewInstance)
		}
		reply.Results[n] = provider.AckResult{Status: provider.Applied, Ref: i.Ref}
		if !s.broken(StartMessagesLost) && !(it.First != nil && s.broken(EagerStartMessagesLost)) {
			s.deliverFirst(i, it.Messages)
		}
		if it.First == nil {
			i.addTurn(provider.Turn{Count: 1, Events: slices.Clone(it.Events)}, 0)
			i.asleep = s.broken(StartedAsleep)
			continue
		}
		c.apply(n, i, it.First, nil, nil)
	}
	c.finish(reply)
	return reply, nil
}

// create makes an instance without any turn yet.
func (s *Store) create(n *provider.NewInstance) *instance {
	s.rows++
	i := &instance{
		Ref: provider.Ref{Part: provider.PartitionOf(n.InstanceID, s.opts.Parts), Row: s.rows},
		id:  n.InstanceID, class: n.Class, execution: 1, executionID: n.ExecutionID, firstID: n.ExecutionID,
		created: s.now(), turns: map[int32][]turn{}, values: map[string]provider.Value{}, watched: n.Watch,
	}
	if n.Parent != nil {
		i.parent = *n.Parent
	}
	if !s.broken(StartValuesLost) && !(n.Parent != nil && s.broken(ChildValuesLost)) {
		s.setValues(i, n.Values)
	}
	s.instances[i.Ref] = i
	s.ids[i.id] = i
	s.notify(0, provider.Notification{Kind: provider.NotifyReady})
	return i
}

// deliverFirst puts the messages of a start into the inbox of the instance.
func (s *Store) deliverFirst(i *instance, ms []provider.NewMessage) {
	for _, m := range ms {
		s.deliver(i, newMessage(m))
	}
}

// remove forgets an instance with all it has. Children that run on are nobody's then.
func (s *Store) remove(i *instance) {
	for _, child := range s.instances {
		if child.parent.InstanceID == i.id && !s.broken(AdoptsOrphans) {
			child.parent = provider.Parent{}
		}
	}
	delete(s.instances, i.Ref)
	delete(s.ids, i.id)
	for key := range s.work {
		if key.Ref == i.Ref {
			delete(s.work, key)
		}
	}
	for key := range s.timers {
		if key.Ref == i.Ref {
			delete(s.timers, key)
		}
	}
}

// addTurn appends a turn to the current execution.
func (i *instance) addTurn(t provider.Turn, token provider.Token) {
	t.Seq = i.nextSeq
	i.nextSeq += t.Count
	i.turns[i.execution] = append(i.turns[i.execution], turn{t, token})
}

// startTexts returns the texts of starts that must be storable.
func startTexts(items []provider.StartItem) []string {
	var texts []string
	for _, it := range items {
		texts = append(texts, instanceTexts(&it.NewInstance)...)
		for _, m := range it.Messages {
			texts = append(texts, m.Name, m.ID)
		}
		if it.First != nil {
			texts = append(texts, commitTexts(it.First)...)
		}
	}
	return texts
}

// commitTexts returns the texts of a commit that must be storable.
func commitTexts(c *provider.Commit) []string {
	texts := slices.Clone(c.Waits)
	for _, ch := range c.Children {
		texts = append(texts, instanceTexts(&ch)...)
	}
	for _, v := range c.Values {
		texts = append(texts, v.Key)
	}
	return append(texts, messageTexts(c.Messages)...)
}

// instanceTexts returns the texts of a new instance that must be storable.
func instanceTexts(n *provider.NewInstance) []string {
	texts := []string{n.InstanceID}
	for _, v := range n.Values {
		texts = append(texts, v.Key)
	}
	return texts
}

func messageTexts(ms []provider.NewMessage) []string {
	var texts []string
	for _, m := range ms {
		texts = append(texts, m.Target, m.Name, m.ID)
	}
	return texts
}
