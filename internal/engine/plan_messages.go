package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
)

// planChildren adds the sub-orchestrations to be started.
func (in *instance) planChildren(p *plan, out *replay.Outcome) error {
	s := in.s
	classes := make([]provider.Class, len(out.Children))
	priorities := make([]history.Priority, len(out.Children))
	for i, c := range out.Children {
		if priorities[i] = c.Event.Priority; priorities[i] == "" {
			priorities[i] = in.x.Started().Priority
		}
		classes[i] = orchestrationClass(c.Event.Name, c.Event.Version, priorities[i].Level())
	}
	ids, err := s.e.classes.resolve(s.ctx, s.e, classes)
	if err != nil {
		return err
	}
	lease := s.serves()
	s.mu.Lock()
	room := s.e.opts.MaxInstances - s.busy
	s.mu.Unlock()
	for i, c := range out.Children {
		id := provider.NewExecutionID()
		started := &history.ExecutionStarted{Name: c.Event.Name, Version: c.Event.Version, ExecutionID: id.String(), Input: c.Event.Input,
			StartedAt: s.e.clock.now(), Priority: priorities[i], Values: readable(c.Event.Values)}
		var parent *provider.Parent
		if !c.Event.Detached {
			parent = &provider.Parent{InstanceID: in.id, Execution: in.execution, Event: c.Number}
			started.Parent = &history.Parent{InstanceID: in.id, Execution: in.execution, Event: c.Number, ExecutionID: in.x.Started().ExecutionID}
			started.FailParked = c.Event.FailParked
		}
		events, err := history.Encode([]history.Event{started})
		if err != nil {
			return err
		}
		exists, err := history.Append(nil, &history.ChildFailed{Scheduled: c.Number, Failure: history.Failure{
			Kind: history.FailureExists, Source: c.Event.Name, Message: fmt.Sprintf("instance %q exists already", c.Event.InstanceID)}})
		if err != nil {
			return err
		}
		values, err := storedValues(c.Event.Values)
		if err != nil {
			return err
		}
		here := lease && i < room && s.e.runs(ids[i])
		p.notified = p.notified || !here
		p.commit.Children = append(p.commit.Children, provider.NewInstance{InstanceID: c.Event.InstanceID, ExecutionID: id, Class: ids[i],
			Parent: parent, Events: events, Values: values, Lease: here, ExistsBody: exists})
	}
	return nil
}

// planMessages adds what the turn sends to other instances: external events, and requests to cancel children. Their ids
// follow from the history, so that a turn that is tried again sends nothing twice.
func (in *instance) planMessages(p *plan, out *replay.Outcome, started *history.ExecutionStarted) error {
	for _, send := range out.Sends {
		body, err := history.Append(nil, &history.EventReceived{Name: send.Event.Name, Payload: send.Event.Payload})
		if err != nil {
			return err
		}
		p.commit.Messages = append(p.commit.Messages, provider.NewMessage{Target: send.Event.InstanceID, Kind: provider.MessageExternalEvent,
			Name: send.Event.Name, ID: fmt.Sprintf("%s/%d", started.ExecutionID, send.Number), Body: body})
	}
	for _, c := range out.ChildCancels {
		body, err := history.Append(nil, &history.CancelRequested{Reason: c.Reason,
			Parent: &history.Parent{InstanceID: in.id, Execution: in.execution, Event: c.Number, ExecutionID: started.ExecutionID}})
		if err != nil {
			return err
		}
		p.commit.Messages = append(p.commit.Messages, provider.NewMessage{Target: c.InstanceID, Kind: provider.MessageCancel,
			ID: fmt.Sprintf("%s/%d", started.ExecutionID, c.Number), Body: body})
	}
	p.notified = true
	return nil
}

// planState adds the custom status and the values that the turn has set.
func (p *plan) planState(out *replay.Outcome) error {
	if out.CustomStatus != nil {
		body, err := json.Marshal(*out.CustomStatus)
		if err != nil {
			return fmt.Errorf("custom status: %w", err)
		}
		p.commit.CustomStatus = body
	}
	values, err := storedValues(out.Values)
	p.commit.Values = values
	return err
}

// storedValues are entries of the key-value state as the store takes them; those without data are to be removed.
func storedValues(values map[string]history.Value) ([]provider.Value, error) {
	if len(values) == 0 {
		return nil, nil
	}
	stored := make([]provider.Value, 0, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		v := provider.Value{Key: key, Searchable: values[key].Searchable}
		if data := values[key].Data; !data.IsZero() {
			body, err := json.Marshal(data)
			if err != nil {
				return nil, fmt.Errorf("value %q: %w", key, err)
			}
			v.Data = body
		}
		stored = append(stored, v)
	}
	return stored, nil
}

// readable are the entries that an instance begins with as its code finds them.
func readable(values map[string]history.Value) map[string]history.Payload {
	if len(values) == 0 {
		return nil
	}
	payloads := make(map[string]history.Payload, len(values))
	for key, v := range values {
		payloads[key] = v.Data
	}
	return payloads
}
