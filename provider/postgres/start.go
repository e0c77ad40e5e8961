package postgres

import (
	"context"
	"sort"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

var startFunction = function{name: "start_orchestrations_v1", effectsAt: 18, effects: effectFields}

// StartOrchestrations implements provider.Provider.
func (p *Provider) StartOrchestrations(ctx context.Context, req *provider.StartRequest) (*provider.AckReply, error) {
	n := len(req.Items)
	reply := &provider.AckReply{Results: make([]provider.AckResult, n)}
	if n == 0 {
		return reply, nil
	}
	order, parts, bytes, err := p.startOrder(req)
	if err != nil {
		return nil, err
	}
	var done bool
	if n == 1 {
		done, err = p.startOne(ctx, req.Worker, &req.Items[0], reply)
	} else {
		done, err = p.startPlain(ctx, req, order, parts, bytes, reply)
	}
	if done || err != nil {
		return reply, err
	}

	part, id, execution := newColumn(oidInt2, n), newColumn(oidText, n), newColumn(oidUUID, n)
	class, watch := newColumn(oidInt4, n), newColumn(oidBool, n)
	parentID, parentExecution, parentEvent := newColumn(oidText, n), newColumn(oidInt4, n), newColumn(oidInt4, n)
	turns, effects := newTurns(n, bytes), newEffects(n, p.parts, nil)
	replace, enclosed := newColumn(oidBool, n), newEnclosed()
	for k, i := range order {
		item := &req.Items[i]
		part.int2(parts[i])
		id.text(item.InstanceID)
		execution.uuid(item.ExecutionID)
		class.int4(int32(item.Class))
		watch.bool(item.Watch)
		parentColumns(parentID, parentExecution, parentEvent, item.Parent)
		replace.flag(item.ReplaceEnded)
		enclosed.add(int32(k+1), item.Messages)
		effects.addFirst(int32(k+1), item)
		if item.First != nil {
			turns.add(item.First)
			effects.add(int32(k+1), item.First)
		} else {
			turns.add(&provider.Commit{Events: item.Events, EventCount: 1})
		}
	}
	params := []param{
		int8Param(int64(req.Worker)), part.param(), id.param(), execution.param(), class.param(), watch.param(),
		parentID.paramIfAny(), parentExecution.paramIfAny(), parentEvent.paramIfAny(), turns.request.param(),
	}
	params = enclosed.append(append(effects.append(turns.append(params)), replace.paramIfAny()))
	answer := newAnswer(reply, order)
	for i := range parts {
		reply.Results[i].Ref.Part = parts[i]
	}
	if err := p.call(ctx, &startFunction, n, params, answer.read); err != nil {
		return nil, err
	}
	answer.finish()
	return reply, nil
}

// startOrder checks the items and returns their numbers in the order of their keys, which is the order of locks, the
// partition of each, and the length of all their events.
func (p *Provider) startOrder(req *provider.StartRequest) (order []int, parts []int16, bytes int, err error) {
	op, n := startFunction.name, len(req.Items)
	order, parts = make([]int, n), make([]int16, n)
	for i := range req.Items {
		item := &req.Items[i]
		order[i], parts[i] = i, provider.PartitionOf(item.InstanceID, p.parts)
		bytes += len(item.Events)
		if item.First != nil {
			bytes += len(item.First.Events)
		}
		switch {
		case item.InstanceID == "":
			return nil, nil, 0, sqlstate.GiveUp(op, "an instance has no id")
		case item.First != nil && req.Worker == 0:
			return nil, nil, 0, sqlstate.GiveUp(op, "an eager start needs a worker")
		case len(item.Values) > 0 && provider.CheckValues(item.Values) != nil:
			return nil, nil, 0, sqlstate.GiveUp(op, "%v", provider.CheckValues(item.Values))
		case item.First != nil:
			if err := item.First.Check(req.Worker); err != nil {
				return nil, nil, 0, sqlstate.GiveUp(op, "%v", err)
			}
		}
	}
	sort.SliceStable(order, func(a, b int) bool {
		i, j := order[a], order[b]
		if parts[i] != parts[j] {
			return parts[i] < parts[j]
		}
		return req.Items[i].InstanceID < req.Items[j].InstanceID
	})
	return order, parts, bytes, nil
}

// enclosedColumns gathers the messages that come along with the starts of a call.
type enclosedColumns struct{ item, kind, execution, name, id, body *column }

func newEnclosed() *enclosedColumns {
	return &enclosedColumns{item: newColumn(oidInt4, 1), kind: newColumn(oidInt2, 1), execution: newColumn(oidInt4, 1),
		name: newColumn(oidText, 1), id: newColumn(oidText, 1), body: newColumn(oidJSON, 1)}
}

// add takes over the messages of the item with the given number.
func (c *enclosedColumns) add(item int32, messages []provider.NewMessage) {
	for i := range messages {
		m := &messages[i]
		c.item.int4(item)
		c.kind.int2(int16(m.Kind))
		c.execution.int4(m.Execution)
		c.name.text(inboxName(m))
		c.id.text(m.ID)
		c.body.bytes(m.Body)
	}
}

func (c *enclosedColumns) append(params []param) []param {
	return append(params, c.item.param(), c.kind.param(), c.execution.param(), c.name.param(), c.id.param(), c.body.param())
}
