package model

import (
	"context"
	"slices"

	"github.com/pawlrun/pawl/provider"
)

// StartOrchestrations implements provider.Provider.
func (p *Provider) StartOrchestrations(ctx context.Context, req *provider.StartRequest) (*provider.AckReply, error) {
	var texts []string
	for _, it := range req.Items {
		texts = append(texts, it.InstanceID)
		if it.First != nil {
			texts = append(texts, commitTexts(it.First)...)
		}
	}
	s, err := p.enter(ctx, "start_orchestrations", texts...)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	c := s.newCommit(req.Worker, nil)
	reply := &provider.AckReply{Results: make([]provider.AckResult, len(req.Items)), Now: s.now()}
	for n, it := range req.Items {
		i, taken := s.ids[it.InstanceID]
		same := taken && i.turns[1] != nil && i.firstID == it.ExecutionID
		switch {
		case taken && !same && s.broken(ExistsReportedApplied):
			reply.Results[n] = provider.AckResult{Status: provider.Applied, Ref: i.Ref}
			continue
		case same && s.broken(RepeatedStartCreatesAnew):
			delete(s.instances, i.Ref)
			i = s.create(&it.NewInstance)
		case taken && (!same || s.broken(RepeatedStartExists)):
			reply.Results[n] = provider.AckResult{Status: provider.Exists}
			if s.broken(ExistsAllOrNothing) {
				return reply, nil
			}
			continue
		case same:
			reply.Results[n] = provider.AckResult{Status: provider.Applied, Ref: i.Ref}
			if it.First != nil {
				c.repeat(n, i, it.First)
			}
			continue
		default:
			i = s.create(&it.NewInstance)
		}
		reply.Results[n] = provider.AckResult{Status: provider.Applied, Ref: i.Ref}
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
		created: s.now(), turns: map[int32][]turn{},
	}
	if n.Parent != nil {
		i.parent = n.Parent.InstanceID
	}
	s.instances[i.Ref] = i
	s.ids[i.id] = i
	s.notify(0, provider.Notification{Kind: provider.NotifyReady})
	return i
}

// addTurn appends a turn to the current execution.
func (i *instance) addTurn(t provider.Turn, token provider.Token) {
	t.Seq = i.nextSeq
	i.nextSeq += t.Count
	i.turns[i.execution] = append(i.turns[i.execution], turn{t, token})
}

// commitTexts returns the texts of a commit that must be storable.
func commitTexts(c *provider.Commit) []string {
	texts := slices.Clone(c.Waits)
	for _, ch := range c.Children {
		texts = append(texts, ch.InstanceID)
	}
	return append(texts, messageTexts(c.Messages)...)
}

func messageTexts(ms []provider.NewMessage) []string {
	var texts []string
	for _, m := range ms {
		texts = append(texts, m.Target, m.Name, m.ID)
	}
	return texts
}
