package origin

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
)

func greetingFor(name string) string { return "Hello, " + name + "!" }

// steps runs hello worlds by one call for each operation, as the system Pawl descends from did: start, fetch, ack, fetch
// work, ack work, fetch, ack. It hands over at once where that system polled, and plays a new worker in every turn,
// because there nobody had anything of an instance left from its last turn.
type steps struct {
	store     provider.Provider
	flow, job provider.ClassID
}

// stepByStep begins a stage without an engine.
func stepByStep(ctx context.Context, s *stage) (greeter, func(context.Context) error, error) {
	ids, err := s.store.RegisterClasses(ctx, []provider.Class{
		{Kind: provider.ClassOrchestration, Name: s.name + "-hello"}, {Kind: provider.ClassActivity, Name: s.name + "-greet"},
	})
	if err != nil {
		return nil, nil, err
	}
	st := &steps{store: s.store, flow: ids[0], job: ids[1]}
	return st.hello, nil, nil
}

func (s *steps) hello(ctx context.Context, instanceID, name string) (string, error) {
	if err := s.start(ctx, instanceID, name); err != nil {
		return "", err
	}
	// The first turn schedules the activity.
	worker := provider.NewWorkerID()
	item, err := s.fetch(ctx, worker, instanceID)
	if err != nil {
		return "", err
	}
	now := time.Now()
	scheduled := item.NextSeq + 1
	events, err := history.Encode([]history.Event{&history.TurnStarted{At: now}, &history.ActivityScheduled{Name: "greet", Input: text(name)}})
	if err != nil {
		return "", err
	}
	argument, err := json.Marshal(text(name))
	if err != nil {
		return "", err
	}
	if err := s.ack(ctx, worker, item, provider.Commit{Events: events, EventCount: 2,
		Work: []provider.NewWork{{Event: scheduled, Class: s.job, Input: argument}}}); err != nil {
		return "", err
	}
	greeting, err := s.work(ctx, instanceID)
	if err != nil {
		return "", err
	}
	// The second one ends with its result.
	worker = provider.NewWorkerID()
	if item, err = s.fetch(ctx, worker, instanceID); err != nil {
		return "", err
	}
	if len(item.Messages) != 1 {
		return "", fmt.Errorf("the second turn has %d messages, want the result of the activity", len(item.Messages))
	}
	result, err := history.Decode(item.Messages[0].Body)
	if err != nil {
		return "", err
	}
	events, err = history.Encode([]history.Event{&history.TurnStarted{At: time.Now()}, result, &history.ExecutionCompleted{Result: text(greeting)}})
	if err != nil {
		return "", err
	}
	return greeting, s.ack(ctx, worker, item, provider.Commit{Events: events, EventCount: 3, Status: provider.StatusCompleted})
}

// start creates the instance, as a client does.
func (s *steps) start(ctx context.Context, instanceID, name string) error {
	id := provider.NewExecutionID()
	events, err := history.Encode([]history.Event{&history.ExecutionStarted{Name: "hello", ExecutionID: id.String(), Input: text(name), StartedAt: time.Now()}})
	if err != nil {
		return err
	}
	reply, err := s.store.StartOrchestrations(ctx, &provider.StartRequest{Items: []provider.StartItem{{NewInstance: provider.NewInstance{
		InstanceID: instanceID, ExecutionID: id, Class: s.flow, Events: events}}}})
	if err != nil {
		return err
	}
	return applied("start", reply)
}

// fetch leases the instance, the only one there is.
func (s *steps) fetch(ctx context.Context, worker provider.WorkerID, instanceID string) (*provider.OrchestrationItem, error) {
	items, err := s.store.FetchOrchestrationItems(ctx, &provider.FetchRequest{
		Worker: worker, Request: provider.NewToken(), Classes: []provider.ClassID{s.flow}, Max: 1})
	if err != nil {
		return nil, err
	}
	if len(items) != 1 || items[0].InstanceID != instanceID || len(items[0].History) == 0 {
		return nil, fmt.Errorf("fetched %d instances, want %s with its history", len(items), instanceID)
	}
	return &items[0], nil
}

// ack commits a turn of a fetched instance, which has used all its messages.
func (s *steps) ack(ctx context.Context, worker provider.WorkerID, item *provider.OrchestrationItem, c provider.Commit) error {
	c.Request = provider.NewToken()
	ack := provider.AckItem{Ref: item.Ref, Execution: item.Execution, Seq: item.NextSeq, Token: item.Token, Commit: c}
	for _, m := range item.Messages {
		ack.Consumed = append(ack.Consumed, m.Order)
	}
	reply, err := s.store.AckOrchestrationItems(ctx, &provider.AckRequest{Worker: worker, Items: []provider.AckItem{ack}})
	if err != nil {
		return err
	}
	return applied("ack", reply)
}

// work runs the activity, the only one there is, and records its result.
func (s *steps) work(ctx context.Context, instanceID string) (greeting string, err error) {
	worker := provider.NewWorkerID()
	fetched, err := s.store.FetchWorkItems(ctx, &provider.FetchWorkRequest{
		Worker: worker, Request: provider.NewToken(), Classes: []provider.ClassID{s.job}, Max: 1})
	if err != nil {
		return "", err
	}
	items := fetched.Work
	if len(items) != 1 || items[0].InstanceID != instanceID {
		return "", fmt.Errorf("fetched %d work items, want the one of %s", len(items), instanceID)
	}
	var input history.Payload
	var name string
	if err := json.Unmarshal(items[0].Input, &input); err != nil {
		return "", err
	}
	if err := json.Unmarshal(input.Data, &name); err != nil {
		return "", err
	}
	greeting = greetingFor(name)
	body, err := history.Append(nil, &history.ActivityCompleted{Scheduled: items[0].Event, Result: text(greeting)})
	if err != nil {
		return "", err
	}
	reply, err := s.store.AckWorkItems(ctx, &provider.AckWorkRequest{Worker: worker, Items: []provider.AckWorkItem{{
		WorkKey: items[0].WorkKey, Token: items[0].Token, Request: provider.NewToken(), Body: body}}})
	if err != nil {
		return "", err
	}
	return greeting, applied("ack of the work item", reply)
}

// applied fails unless the one item of a call took effect.
func applied(what string, reply *provider.AckReply) error {
	if len(reply.Results) != 1 || reply.Results[0].Status != provider.Applied {
		return fmt.Errorf("%s: %+v", what, reply.Results)
	}
	return nil
}

// text is a payload.
func text(s string) history.Payload {
	data, err := json.Marshal(s)
	if err != nil {
		return history.Payload{} // cannot be: a string is always valid
	}
	return history.Payload{Encoding: history.EncodingJSON, Data: data}
}
