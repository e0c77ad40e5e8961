package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/pawlrun/pawl/provider"
)

// A caller that is alone sends the same few shapes again and again: a start with its first turn, a step, the end. For
// these there are functions of plain values (start_one_v1, ack_one_v1): the server spends half of what the general ones
// take for one item (docs/adr/0008-plain-calls.md). They answer null whenever there is more to tell than that the commit
// stands; the general call, which takes it for a repeat of the same request, then tells it.

var (
	startOneFunction = function{name: "start_one_v1", scalar: true}
	ackOneFunction   = function{name: "ack_one_v1", scalar: true}
)

// plainCommit reports whether a commit has nothing but its turn and at most one new work item, leased.
func plainCommit(c *provider.Commit) bool {
	return (c.Keep || c.Status.Terminal()) && c.Next == nil &&
		len(c.Work) <= 1 && (len(c.Work) == 0 || c.Work[0].Lease && c.Work[0].Worker == 0) &&
		len(c.Waits)+len(c.CancelWork)+len(c.Timers)+len(c.CancelTimers)+len(c.Children)+len(c.Messages)+len(c.Values) == 0 &&
		c.CustomStatus == nil
}

// plainStart reports whether a start is eager and has nothing but a plain commit.
func (p *Provider) plainStart(item *provider.StartItem) bool {
	return !p.withoutPlain && item.First != nil && item.Parent == nil && !item.Watch && !item.ReplaceEnded &&
		len(item.Messages)+len(item.Values) == 0 && plainCommit(item.First)
}

// plainAck reports whether an ack has nothing but a plain commit and at most one finished work item.
func (p *Provider) plainAck(item *provider.AckItem) bool {
	return !p.withoutPlain && len(item.Consumed) == 0 && len(item.Finished) <= 1 && plainCommit(&item.Commit)
}

// startOne tries to start one instance by start_one_v1; it reports false if the general call must decide.
func (p *Provider) startOne(ctx context.Context, worker provider.WorkerID, item *provider.StartItem, reply *provider.AckReply) (bool, error) {
	if !p.plainStart(item) {
		return false, nil
	}
	c := item.First
	part := provider.PartitionOf(item.InstanceID, p.parts)
	v := newValues(13, len(item.InstanceID)+len(c.Events)+96)
	v.int8(int64(worker))
	v.int2(part)
	v.text(item.InstanceID)
	v.uuid(item.ExecutionID)
	v.int4(int32(item.Class))
	v.int8(int64(c.Request))
	v.outcome(c)
	v.work(c.Work)
	created := int64(0)
	err := p.call(ctx, &startOneFunction, 1, v.params, func(r *row) error {
		created = getInt8(r.body)
		return nil
	})
	if err != nil || created == 0 {
		return false, undecided(err)
	}
	reply.Results[0] = provider.AckResult{Status: provider.Applied, Ref: provider.Ref{Part: part, Row: created}}
	return true, nil
}

// ackOne tries to commit one turn by ack_one_v1; it returns nil if the general call must decide.
func (p *Provider) ackOne(ctx context.Context, req *provider.AckRequest) (*provider.AckReply, error) {
	item := &req.Items[0]
	if req.ClaimWork > 0 || !p.plainAck(item) {
		return nil, nil
	}
	v := newValues(16, len(item.Events)+112)
	v.int8(int64(req.Worker))
	v.int2(item.Part)
	v.int8(item.Row)
	v.int4(item.Execution)
	v.int4(item.Seq)
	v.int8(int64(item.Token))
	v.int8(int64(item.Request))
	v.outcome(&item.Commit)
	if len(item.Finished) > 0 {
		v.int4(item.Finished[0].Event)
		v.int8(int64(item.Finished[0].Token))
	} else {
		v.null(oidInt4)
		v.null(oidInt8)
	}
	v.work(item.Work)
	var now time.Time
	err := p.call(ctx, &ackOneFunction, 1, v.params, func(r *row) error {
		now = getTime(r.body)
		return nil
	})
	if err != nil || now.IsZero() {
		return nil, undecided(err)
	}
	return &provider.AckReply{Results: []provider.AckResult{{Status: provider.Applied, Ref: item.Ref}}, Now: now}, nil
}

// undecided drops the error by which a function for one item leaves the decision to the general one.
func undecided(err error) error {
	var known *provider.Error
	if errors.As(err, &known) && known.Code == "40001" {
		return nil
	}
	return err
}

// values are the parameters of a function of plain values, in one buffer.
type values struct {
	params []param
	buf    []byte
}

func newValues(n, size int) *values {
	return &values{params: make([]param, 0, n), buf: make([]byte, 0, size)}
}

// add makes what was appended since start a parameter.
func (v *values) add(oid uint32, start int) {
	v.params = append(v.params, param{oid, v.buf[start:len(v.buf):len(v.buf)]})
}

func (v *values) null(oid uint32) { v.params = append(v.params, param{oid: oid}) }

func (v *values) int2(x int16) {
	v.buf = binary.BigEndian.AppendUint16(v.buf, uint16(x))
	v.add(oidInt2, len(v.buf)-2)
}

func (v *values) int4(x int32) {
	v.buf = binary.BigEndian.AppendUint32(v.buf, uint32(x))
	v.add(oidInt4, len(v.buf)-4)
}

func (v *values) int8(x int64) {
	v.buf = binary.BigEndian.AppendUint64(v.buf, uint64(x))
	v.add(oidInt8, len(v.buf)-8)
}

func (v *values) bool(x bool) {
	b := byte(0)
	if x {
		b = 1
	}
	v.buf = append(v.buf, b)
	v.add(oidBool, len(v.buf)-1)
}

func (v *values) text(s string) {
	start := len(v.buf)
	v.buf = append(v.buf, s...)
	v.add(oidText, start)
}

func (v *values) uuid(id [16]byte) {
	v.buf = append(v.buf, id[:]...)
	v.add(oidUUID, len(v.buf)-16)
}

// document adds a JSON document without copying it.
func (v *values) document(b []byte) { v.params = append(v.params, param{oidJSON, b}) }

// outcome adds status, keep, count and events of a commit.
func (v *values) outcome(c *provider.Commit) {
	v.int2(int16(c.Status))
	v.bool(c.Keep && !c.Status.Terminal())
	v.int4(c.EventCount)
	v.document(c.Events)
}

// work adds the new work item, or nulls.
func (v *values) work(work []provider.NewWork) {
	if len(work) == 0 {
		v.null(oidInt4)
		v.null(oidInt4)
		v.null(oidJSON)
		return
	}
	v.int4(work[0].Event)
	v.int4(int32(work[0].Class))
	v.document(work[0].Input)
}
