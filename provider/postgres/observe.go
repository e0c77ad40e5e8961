package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

var pulseFunction = function{name: "pulse_v1"}

// Flags of the first row of a pulse.
const (
	pulseLost = 1 << iota
	pulseOrchestrations
	pulseWork
)

// Pulse implements provider.Provider.
func (p *Provider) Pulse(ctx context.Context, req *provider.PulseRequest) (*provider.PulseReply, error) {
	reap, beat := newColumn(oidInt8, len(req.Reap)), newColumn(oidInt8, len(req.Reap))
	for _, b := range req.Reap {
		reap.int8(int64(b.Worker))
		beat.int8(b.Beat)
	}
	watchPart, watch := p.keys(req.Watch)
	var looks looks
	params := []param{
		int8Param(int64(req.Worker)), boolParam(req.Join), textParam(req.Name), servesParam(req.Serves), beatLastsParam(req.BeatLasts), intervalParam(req.TTL), reap.param(), beat.param(),
		looks.add(p.water.look(instanceQueue, wanted{classes: req.Classes}, true)),
		looks.add(p.water.look(workQueue, wanted{classes: req.WorkClasses, routed: routedTo(req.Worker, req.Routed)}, true)),
		looks.add(p.water.look(timerQueue, wanted{}, true)), boolParam(req.Sleep), watchPart, watch,
	}
	from := param{oid: oidInt4}
	if req.ClassesFrom > 0 {
		from = int4Param(int(req.ClassesFrom))
	}
	params = append(heldColumns(params, req.Held), from)
	reply := new(provider.PulseReply)
	err := p.call(ctx, &pulseFunction, len(req.Reap)+len(req.Watch)+len(req.Held), params, func(r *row) error {
		if mine, err := looks.read(r); mine {
			return err
		}
		switch r.kind {
		case rowSummary:
			reply.Now = r.at
			reply.Lost = r.flags&pulseLost != 0
			reply.OrchestrationsReady = r.flags&pulseOrchestrations != 0
			reply.WorkReady = r.flags&pulseWork != 0
		case rowStale:
			eachElement(r.refs, func(_ int, id []byte) {
				reply.Stale = append(reply.Stale, provider.Beat{Worker: provider.WorkerID(getInt8(id)), Beat: r.num})
			})
		case rowNextTimer:
			reply.NextTimer = r.at
		case rowGone:
			reply.Gone = append(reply.Gone, provider.WorkKey{Ref: r.ref(), Execution: r.n1, Event: r.n2})
		case rowClass:
			known, err := knownClass(r)
			if err != nil {
				return err
			}
			reply.Classes = append(reply.Classes, known)
		case rowState:
			state, err := parseState(r.body)
			if err != nil {
				return err
			}
			reply.Done = append(reply.Done, *state)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	looks.learn()
	return reply, nil
}

func knownClass(r *row) (provider.KnownClass, error) {
	known := provider.KnownClass{ID: provider.ClassID(r.n1), Class: provider.Class{
		Kind: provider.ClassKind(r.n2), Name: string(r.name), Version: string(r.id), Priority: int8(r.n3)}}
	if err := json.Unmarshal(r.body, &known.Tag); err != nil {
		return known, fmt.Errorf("a class: %w", err)
	}
	return known, nil
}

// servesParam is null unless the worker says what it serves.
func servesParam(classes []provider.ClassID) param {
	if classes == nil {
		return param{oid: arrayOf[oidInt4]}
	}
	return classesParam(classes)
}

func beatLastsParam(d time.Duration) param {
	if d <= 0 {
		return param{oid: oidInterval}
	}
	return intervalParam(d)
}

// heldColumns adds the work items that a worker is running, in the order of locks.
func heldColumns(params []param, held []provider.HeldWork) []param {
	n := len(held)
	if !slices.IsSortedFunc(held, compareHeld) {
		held = slices.SortedFunc(slices.Values(held), compareHeld)
	}
	part, iid, execution, event := newColumn(oidInt2, n), newColumn(oidInt8, n), newColumn(oidInt4, n), newColumn(oidInt4, n)
	token, state := newColumn(oidInt8, n), newColumn(oidJSON, n)
	for i := range held {
		part.int2(held[i].Part)
		iid.int8(held[i].Row)
		execution.int4(held[i].Execution)
		event.int4(held[i].Event)
		token.int8(int64(held[i].Token))
		state.bytes(held[i].State)
	}
	return append(params, part.param(), iid.param(), execution.param(), event.param(), token.param(), state.paramIfAny())
}

func compareHeld(a, b provider.HeldWork) int {
	switch {
	case lessWork(a.WorkKey, b.WorkKey):
		return -1
	case lessWork(b.WorkKey, a.WorkKey):
		return 1
	}
	return 0
}

var retireFunction = function{name: "retire_worker_v1"}

// RetireWorker implements provider.Provider.
func (p *Provider) RetireWorker(ctx context.Context, worker provider.WorkerID) error {
	return p.call(ctx, &retireFunction, 1, []param{int8Param(int64(worker))}, func(*row) error { return nil })
}

var readFunction = function{name: "read_instances_v1"}

// ReadInstances implements provider.Provider.
func (p *Provider) ReadInstances(ctx context.Context, instanceIDs []string, watch bool) ([]provider.InstanceState, error) {
	if len(instanceIDs) == 0 {
		return nil, nil
	}
	part, id := p.keys(instanceIDs)
	return p.states(ctx, &readFunction, len(instanceIDs), []param{part, id, boolParam(watch), int4Param(provider.MaxUnserved)})
}

var historyFunction = function{name: "read_history_v1"}

// defaultHistoryBytes is what ReadHistory returns at most, about, if the query does not say.
const defaultHistoryBytes = 4 << 20

// ReadHistory implements provider.Provider.
func (p *Provider) ReadHistory(ctx context.Context, q provider.HistoryQuery) ([]provider.Turn, error) {
	limit := q.MaxBytes
	if limit <= 0 {
		limit = defaultHistoryBytes
	}
	part := q.Ref.Part
	if q.Ref.Row == 0 {
		part = provider.PartitionOf(q.InstanceID, p.parts)
	}
	params := []param{
		int2Param(part), int8Param(q.Ref.Row), textParam(q.InstanceID), int4Param(int(q.Execution)),
		int4Param(int(q.From)), int8Param(int64(limit)),
	}
	var turns []provider.Turn
	err := p.call(ctx, &historyFunction, 1, params, func(r *row) error {
		turns = append(turns, turn(r))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return turns, nil
}

var listFunction = function{name: "list_instances_v1"}

// ListInstances implements provider.Provider.
func (p *Provider) ListInstances(ctx context.Context, q provider.ListQuery) ([]provider.InstanceState, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 1000)
	before := int64(math.MaxInt64)
	if q.Before != "" {
		var err error
		if before, err = strconv.ParseInt(q.Before, 10, 64); err != nil {
			return nil, sqlstate.GiveUp(listFunction.name, "cursor %q is not one of a listing", q.Before)
		}
	}
	key, data := newColumn(oidText, len(q.Values)), newColumn(oidText, len(q.Values))
	for i := range q.Values {
		key.text(q.Values[i].Key)
		data.bytes(q.Values[i].Data)
	}
	status := param{oid: oidInt2}
	if q.Status != nil {
		status = int2Param(int16(*q.Status))
	}
	params := []param{
		status, boolParam(q.ParkedOnly), textParam(q.Name), textParam(q.Prefix), int8Param(before), int4Param(limit), key.param(), data.param(),
	}
	return p.states(ctx, &listFunction, 1, params)
}

// states makes a call that answers with the states of instances.
func (p *Provider) states(ctx context.Context, f *function, items int, params []param) ([]provider.InstanceState, error) {
	var out []provider.InstanceState
	err := p.call(ctx, f, items, params, func(r *row) error {
		state, err := parseState(r.body)
		if err != nil {
			return err
		}
		if r.flags&stateWithWorkers != 0 {
			state.Workers = int(r.n1)
			if state.Unserved, err = parseUnserved(r.id); err != nil {
				return err
			}
		}
		out = append(out, *state)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// stateWithWorkers is the flag of a state that says who could run the instance.
const stateWithWorkers = 1

// parseUnserved reads what read_instances_v1 writes of the classes that nobody serves.
func parseUnserved(document []byte) ([]provider.Class, error) {
	if document == nil {
		return nil, nil
	}
	var classes []provider.Class
	if err := json.Unmarshal(document, &classes); err != nil {
		return nil, fmt.Errorf("the activities nobody serves: %w", err)
	}
	for n := range classes {
		classes[n].Kind = provider.ClassActivity
	}
	return classes, nil
}

// parseState reads the document that the function states_v1 writes.
func parseState(document []byte) (*provider.InstanceState, error) {
	var d struct {
		Part        int16
		Row         int64
		ID          string
		Name        string
		Version     string
		Priority    int8
		Status      uint8
		Execution   int32
		ExecutionID string
		NextSeq     int32
		ParentID    string
		CreatedAt   time.Time
		EndedAt     *time.Time
		Parked      json.RawMessage
		Worker      int64
		Custom      *struct {
			Status  json.RawMessage
			Version int64
		}
		Seq    int32
		Count  int32
		Events json.RawMessage
	}
	if err := json.Unmarshal(document, &d); err != nil {
		return nil, fmt.Errorf("state of an instance: %w", err)
	}
	execution, err := parseUUID([]byte(d.ExecutionID))
	if err != nil {
		return nil, fmt.Errorf("state of an instance: %w", err)
	}
	s := &provider.InstanceState{
		Ref: provider.Ref{Part: d.Part, Row: d.Row}, InstanceID: d.ID, Name: d.Name, Version: d.Version, Priority: d.Priority,
		Status: provider.InstanceStatus(d.Status), Execution: d.Execution, ExecutionID: execution, NextSeq: d.NextSeq,
		ParentID: d.ParentID, CreatedAt: d.CreatedAt.UTC(), Worker: provider.WorkerID(d.Worker),
		Workers: -1, Cursor: strconv.FormatInt(d.Row, 10),
	}
	if d.EndedAt != nil {
		s.EndedAt = d.EndedAt.UTC()
	}
	if d.Custom != nil {
		s.CustomStatus, s.StatusVersion = d.Custom.Status, d.Custom.Version
	}
	if string(d.Parked) != "null" {
		s.Parked = d.Parked
	}
	if string(d.Events) != "null" {
		s.LastTurn = provider.Turn{Seq: d.Seq, Count: d.Count, Events: d.Events}
	}
	return s, nil
}
