package postgres

import (
	"context"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// A crowd of callers sends the shapes of lone.go in groups. For a group that has nothing else there are functions as
// well: what a call costs whatever it carries is half of that of the general ones (docs/adr/0008-plain-calls.md).

var (
	startPlainFunction = function{name: "start_plain_v1", scalar: true}
	ackPlainFunction   = function{name: "ack_plain_v1", scalar: true}
)

// plainColumns gathers what the commits of plain starts and acks have in common.
type plainColumns struct {
	request, status, keep, count, events *column
	event, class, input                  *column // new work
}

func newPlain(n, bytes int) *plainColumns {
	return &plainColumns{
		request: newColumn(oidInt8, n), status: newColumn(oidInt2, n), keep: newColumn(oidBool, n),
		count: newColumn(oidInt4, n), events: newDocuments(n, bytes),
		event: newColumn(oidInt4, n), class: newColumn(oidInt4, n), input: newColumn(oidJSON, 2*n),
	}
}

func (p *plainColumns) add(c *provider.Commit) {
	p.request.int8(int64(c.Request))
	p.status.int2(int16(c.Status))
	p.keep.bool(c.Keep && !c.Status.Terminal())
	p.count.int4(c.EventCount)
	p.events.bytes(c.Events)
	if len(c.Work) == 0 {
		p.event.null()
		p.class.null()
		p.input.null()
		return
	}
	p.event.int4(c.Work[0].Event)
	p.class.int4(int32(c.Work[0].Class))
	p.input.bytes(c.Work[0].Input)
}

func (p *plainColumns) outcome(params []param) []param {
	return append(params, p.status.param(), p.keep.param(), p.count.param(), p.events.param())
}

func (p *plainColumns) work(params []param) []param {
	return append(params, p.event.paramIfAny(), p.class.paramIfAny(), p.input.paramIfAny())
}

// startPlain tries to start instances by start_plain_v1; it reports false if the general call must decide.
func (p *Provider) startPlain(ctx context.Context, req *provider.StartRequest, order []int, parts []int16, bytes int, reply *provider.AckReply) (bool, error) {
	n := len(req.Items)
	for i := range req.Items {
		if !p.plainStart(&req.Items[i]) {
			return false, nil
		}
	}
	part, id, execution, class := newColumn(oidInt2, n), newColumn(oidText, 2*n), newColumn(oidUUID, 2*n), newColumn(oidInt4, n)
	columns := newPlain(n, bytes)
	for _, i := range order {
		item := &req.Items[i]
		part.int2(parts[i])
		id.text(item.InstanceID)
		execution.uuid(item.ExecutionID)
		class.int4(int32(item.Class))
		columns.add(item.First)
	}
	params := append(make([]param, 0, 13), int8Param(int64(req.Worker)), part.param(), id.param(), execution.param(), class.param(),
		columns.request.param())
	params = columns.work(columns.outcome(params))
	done := false
	err := p.call(ctx, &startPlainFunction, n, params, func(r *row) error {
		eachElement(r.body, func(k int, elem []byte) {
			if k < n {
				i := order[k]
				reply.Results[i] = provider.AckResult{Status: provider.Applied, Ref: provider.Ref{Part: parts[i], Row: getInt8(elem)}}
			}
		})
		done = r.body != nil
		return nil
	})
	return done && err == nil, undecided(err)
}

// ackPlain tries to commit turns by ack_plain_v1; it returns nil if the general call must decide.
func (p *Provider) ackPlain(ctx context.Context, req *provider.AckRequest, order []int, bytes int) (*provider.AckReply, error) {
	if req.ClaimWork > 0 {
		return nil, nil
	}
	n := len(req.Items)
	for i := range req.Items {
		if !p.plainAck(&req.Items[i]) {
			return nil, nil
		}
	}
	part, iid, execution := newColumn(oidInt2, n), newColumn(oidInt8, n), newColumn(oidInt4, n)
	seq, token := newColumn(oidInt4, n), newColumn(oidInt8, n)
	event, held := newColumn(oidInt4, n), newColumn(oidInt8, n)
	columns := newPlain(n, bytes)
	for _, i := range order {
		item := &req.Items[i]
		part.int2(item.Part)
		iid.int8(item.Row)
		execution.int4(item.Execution)
		seq.int4(item.Seq)
		token.int8(int64(item.Token))
		if len(item.Finished) > 0 {
			event.int4(item.Finished[0].Event)
			held.int8(int64(item.Finished[0].Token))
		} else {
			event.null()
			held.null()
		}
		columns.add(&item.Commit)
	}
	params := append(make([]param, 0, 16), int8Param(int64(req.Worker)), part.param(), iid.param(), execution.param(), seq.param(),
		token.param(), columns.request.param())
	params = append(columns.outcome(params), event.paramIfAny(), held.paramIfAny())
	params = columns.work(params)
	var now time.Time
	err := p.call(ctx, &ackPlainFunction, n, params, func(r *row) error {
		now = getTime(r.body)
		return nil
	})
	if err != nil || now.IsZero() {
		return nil, undecided(err)
	}
	reply := &provider.AckReply{Results: make([]provider.AckResult, n), Now: now}
	for i := range req.Items {
		reply.Results[i] = provider.AckResult{Status: provider.Applied, Ref: req.Items[i].Ref}
	}
	return reply, nil
}
