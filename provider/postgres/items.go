package postgres

import (
	"context"
	"sort"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

var registerFunction = function{name: "register_classes_v1", scalar: true}

// RegisterClasses implements provider.Provider.
func (p *Provider) RegisterClasses(ctx context.Context, classes []provider.Class) ([]provider.ClassID, error) {
	n := len(classes)
	if n == 0 {
		return nil, nil
	}
	kind, name, version, tag := newColumn(oidInt2, n), newColumn(oidText, n), newColumn(oidText, n), newColumn(oidText, n)
	priority := newColumn(oidInt2, n)
	for _, c := range classes {
		kind.int2(int16(c.Kind))
		name.text(c.Name)
		version.text(c.Version)
		tag.text(c.Tag)
		priority.int2(int16(c.Priority))
	}
	ids := make([]provider.ClassID, 0, n)
	err := p.call(ctx, &registerFunction, n, []param{kind.param(), name.param(), version.param(), tag.param(), priority.param()},
		func(r *row) error {
			eachElement(r.body, func(_ int, elem []byte) { ids = append(ids, provider.ClassID(getInt4(elem))) })
			return nil
		})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

var enqueueFunction = function{name: "enqueue_messages_v1"}

// EnqueueMessages implements provider.Provider.
func (p *Provider) EnqueueMessages(ctx context.Context, messages []provider.NewMessage) ([]provider.ItemStatus, error) {
	n := len(messages)
	if n == 0 {
		return nil, nil
	}
	part, target, kind := newColumn(oidInt2, n), newColumn(oidText, n), newColumn(oidInt2, n)
	execution, name, id, body := newColumn(oidInt4, n), newColumn(oidText, n), newColumn(oidText, n), newColumn(oidJSON, n)
	for i := range messages {
		m := &messages[i]
		part.int2(provider.PartitionOf(m.Target, p.parts))
		target.text(m.Target)
		kind.int2(int16(m.Kind))
		execution.int4(m.Execution)
		name.text(inboxName(m))
		id.text(m.ID)
		body.bytes(m.Body)
	}
	params := []param{
		part.param(), target.param(), kind.param(), execution.param(), name.param(), id.param(), body.paramIfAny(),
	}
	return p.statuses(ctx, &enqueueFunction, n, params)
}

// keys returns the partitions and ids of instances as parameters.
func (p *Provider) keys(instanceIDs []string) (part, id param) {
	parts, ids := newColumn(oidInt2, len(instanceIDs)), newColumn(oidText, len(instanceIDs))
	for _, instanceID := range instanceIDs {
		parts.int2(provider.PartitionOf(instanceID, p.parts))
		ids.text(instanceID)
	}
	return parts.param(), ids.param()
}

// statuses makes a call that answers with one status per item.
func (p *Provider) statuses(ctx context.Context, f *function, n int, params []param) ([]provider.ItemStatus, error) {
	out := make([]provider.ItemStatus, 0, n)
	err := p.call(ctx, f, n, params, func(r *row) error {
		eachElement(r.statuses, func(_ int, elem []byte) { out = append(out, provider.ItemStatus(getInt2(elem))) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

var fetchFunction = function{name: "fetch_orchestration_items_v1"}

// FetchOrchestrationItems implements provider.Provider.
func (p *Provider) FetchOrchestrationItems(ctx context.Context, req *provider.FetchRequest) ([]provider.OrchestrationItem, error) {
	if req.Worker == 0 || req.Request == 0 {
		return nil, sqlstate.GiveUp(fetchFunction.name, "a fetch needs a worker and a request id")
	}
	if err := provider.CheckRanks(req.Classes, req.Ranks); err != nil {
		return nil, sqlstate.GiveUp(fetchFunction.name, "%v", err)
	}
	if req.Max <= 0 {
		return nil, nil
	}
	var reply provider.AckReply
	a := newAnswer(&reply, nil)
	timers := param{}
	if req.Timers {
		timers = a.looks.add(p.water.look(timerQueue, wanted{}, false))
	}
	params := []param{
		int8Param(int64(req.Worker)), int8Param(int64(req.Request)),
		a.looks.add(p.water.look(instanceQueue, wanted{classes: req.Classes, ranks: req.Ranks}, false)), int4Param(req.Max), timers,
		p.sleepParam(req.Worker, req.Sleep),
	}
	if err := p.call(ctx, &fetchFunction, req.Max, params, a.read); err != nil {
		return nil, err
	}
	a.looks.learn()
	p.nudges.settle(req.Worker, provider.NotifyReady, a.looks.again, len(reply.Granted) > 0)
	return reply.Granted, nil
}

var fetchWorkFunction = function{name: "fetch_work_items_v1"}

// FetchWorkItems implements provider.Provider.
func (p *Provider) FetchWorkItems(ctx context.Context, req *provider.FetchWorkRequest) (*provider.FetchWorkReply, error) {
	if req.Worker == 0 || req.Request == 0 {
		return nil, sqlstate.GiveUp(fetchWorkFunction.name, "a fetch needs a worker and a request id")
	}
	if err := provider.CheckRanks(req.Classes, req.Ranks); err != nil {
		return nil, sqlstate.GiveUp(fetchWorkFunction.name, "%v", err)
	}
	if req.Max <= 0 {
		return &provider.FetchWorkReply{}, nil
	}
	var reply provider.AckReply
	a := newAnswer(&reply, nil)
	params := []param{
		int8Param(int64(req.Worker)), int8Param(int64(req.Request)),
		a.looks.add(p.water.look(workQueue, wanted{req.Classes, req.Ranks, routedTo(req.Worker, req.Routed)}, false)), int4Param(req.Max),
		p.sleepParam(req.Worker, req.Sleep),
		classesParam(req.Serves),
	}
	if err := p.call(ctx, &fetchWorkFunction, req.Max, params, a.read); err != nil {
		return nil, err
	}
	a.looks.learn()
	p.nudges.settle(req.Worker, provider.NotifyWork, a.looks.again, len(reply.Work) > 0)
	return &provider.FetchWorkReply{Work: reply.Work, Granted: reply.Granted}, nil
}

var ackWorkFunction = function{name: "ack_work_items_v1"}

// AckWorkItems implements provider.Provider.
func (p *Provider) AckWorkItems(ctx context.Context, req *provider.AckWorkRequest) (*provider.AckReply, error) {
	n := len(req.Items)
	if n == 0 && req.ClaimWork <= 0 {
		return &provider.AckReply{}, nil
	}
	if req.Worker == 0 && req.ClaimWork > 0 {
		return nil, sqlstate.GiveUp(ackWorkFunction.name, "a claim needs a worker")
	}
	if err := provider.CheckRanks(req.WorkClasses, req.WorkRanks); err != nil {
		return nil, sqlstate.GiveUp(ackWorkFunction.name, "%v", err)
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return lessWork(req.Items[order[a]].WorkKey, req.Items[order[b]].WorkKey) })
	part, iid, execution, event := newColumn(oidInt2, n), newColumn(oidInt8, n), newColumn(oidInt4, n), newColumn(oidInt4, n)
	token, request, body, take := newColumn(oidInt8, n), newColumn(oidInt8, n), newColumn(oidJSON, n), newColumn(oidBool, n)
	cachedExecution, cachedSeq := newColumn(oidInt4, n), newColumn(oidInt4, n)
	for _, i := range order {
		item := &req.Items[i]
		part.int2(item.Part)
		iid.int8(item.Row)
		execution.int4(item.Execution)
		event.int4(item.Event)
		token.int8(int64(item.Token))
		request.int8(int64(item.Request))
		body.bytes(item.Body)
		take.bool(item.Take)
		cachedExecution.int4(item.CachedExecution)
		cachedSeq.int4(item.CachedSeq)
	}
	params := []param{
		int8Param(int64(req.Worker)), part.param(), iid.param(), execution.param(), event.param(), token.param(),
		request.param(), body.param(), take.param(), cachedExecution.param(), cachedSeq.param(),
		classesParam(req.Serves), int4Param(req.ClaimWork),
	}
	reply := &provider.AckReply{Results: make([]provider.AckResult, n)}
	a := newAnswer(reply, order)
	params = append(params, p.claimParam(a, req.ClaimWork, wanted{req.WorkClasses, req.WorkRanks, routedTo(req.Worker, req.Routed)}),
		int8Param(int64(req.ClaimRequest)))
	for i := range req.Items {
		reply.Results[i].Ref = req.Items[i].Ref
	}
	if err := p.call(ctx, &ackWorkFunction, n, params, a.read); err != nil {
		return nil, err
	}
	a.looks.learn()
	return reply, nil
}

func lessWork(a, b provider.WorkKey) bool {
	switch {
	case a.Ref != b.Ref:
		return lessRef(a.Ref, b.Ref)
	case a.Execution != b.Execution:
		return a.Execution < b.Execution
	}
	return a.Event < b.Event
}

var abandonFunction = function{name: "abandon_items_v1"}

// AbandonItems implements provider.Provider.
func (p *Provider) AbandonItems(ctx context.Context, req *provider.AbandonRequest) error {
	n, m := len(req.Instances), len(req.Work)
	if n+m == 0 {
		return nil
	}
	instances := append([]provider.AbandonedInstance(nil), req.Instances...)
	sort.SliceStable(instances, func(a, b int) bool { return lessRef(instances[a].Ref, instances[b].Ref) })
	part, iid, token := newColumn(oidInt2, n), newColumn(oidInt8, n), newColumn(oidInt8, n)
	undo, park, delay := newColumn(oidBool, n), newColumn(oidJSON, n), newColumn(oidInterval, n)
	for i := range instances {
		item := &instances[i]
		part.int2(item.Part)
		iid.int8(item.Row)
		token.int8(int64(item.Token))
		undo.bool(item.UndoAttempt)
		park.bytes(item.Park)
		delay.interval(item.Delay)
	}
	work := append([]provider.AbandonedWork(nil), req.Work...)
	sort.SliceStable(work, func(a, b int) bool { return lessWork(work[a].WorkKey, work[b].WorkKey) })
	wPart, wIID, wExecution := newColumn(oidInt2, m), newColumn(oidInt8, m), newColumn(oidInt4, m)
	wEvent, wToken := newColumn(oidInt4, m), newColumn(oidInt8, m)
	wUndo, wDelay := newColumn(oidBool, m), newColumn(oidInterval, m)
	wState, wHandOver := newColumn(oidJSON, m), newColumn(oidBool, m)
	for i := range work {
		item := &work[i]
		wPart.int2(item.Part)
		wIID.int8(item.Row)
		wExecution.int4(item.Execution)
		wEvent.int4(item.Event)
		wToken.int8(int64(item.Token))
		wUndo.bool(item.UndoAttempt)
		wDelay.interval(item.Delay)
		wState.bytes(item.State)
		wHandOver.flag(item.HandOver)
	}
	params := []param{
		part.param(), iid.param(), token.param(), undo.param(), park.paramIfAny(), delay.param(),
		wPart.param(), wIID.param(), wExecution.param(), wEvent.param(), wToken.param(), wUndo.param(), wDelay.param(),
		wState.paramIfAny(), wHandOver.paramIfAny(),
	}
	return p.call(ctx, &abandonFunction, n+m, params, func(*row) error { return nil })
}
