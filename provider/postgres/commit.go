package postgres

import (
	"cmp"
	"context"
	"slices"
	"sort"
	"strings"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

// effectColumns gathers what the commits of a call do beside their turns; the order is that of the type effects.
type effectColumns struct {
	parts  int
	work   [6]*column
	cancel [2]*column
	timer  [4]*column
	stop   [2]*column
	child  [12]*column
	msg    [9]*column
	status [2]*column
	value  [4]*column
	serves []provider.ClassID
}

// effectFields is how many fields the type effects has.
const effectFields = 42

// newEffects makes the columns for about n effects of each kind.
func newEffects(n, parts int, serves []provider.ClassID) *effectColumns {
	e := &effectColumns{parts: parts, serves: serves}
	columns := make([]column, effectFields-1) // serves is the last field
	fill := func(to []*column, oids ...uint32) {
		for i := range to {
			columns[0] = column{elem: oids[i], room: 16 * n}
			to[i], columns = &columns[0], columns[1:]
		}
	}
	fill(e.work[:], oidInt4, oidInt4, oidInt4, oidBool, oidJSON, oidInt8)
	fill(e.cancel[:], oidInt4, oidInt4)
	fill(e.timer[:], oidInt4, oidInt4, oidTimestamp, oidBool)
	fill(e.stop[:], oidInt4, oidInt4)
	fill(e.child[:], oidInt4, oidInt2, oidText, oidUUID, oidInt4, oidBool, oidBool, oidText, oidInt4, oidInt4, oidJSON, oidJSON)
	fill(e.msg[:], oidInt4, oidInt2, oidText, oidInt2, oidInt4, oidText, oidText, oidJSON, oidBool)
	fill(e.status[:], oidInt4, oidJSON)
	fill(e.value[:], oidInt4, oidText, oidJSON, oidBool)
	return e
}

// add takes over the effects of the item with the given number.
func (e *effectColumns) add(item int32, c *provider.Commit) {
	for i := range c.Work {
		w := &c.Work[i]
		e.work[0].int4(item)
		e.work[1].int4(w.Event)
		e.work[2].int4(int32(w.Class))
		e.work[3].bool(w.Lease)
		e.work[4].bytes(w.Input)
		if w.Worker != 0 {
			e.work[5].int8(int64(w.Worker))
		} else {
			e.work[5].null()
		}
	}
	for _, event := range inOrder(c.CancelWork) {
		e.cancel[0].int4(item)
		e.cancel[1].int4(event)
	}
	for _, t := range c.Timers {
		e.timer[0].int4(item)
		e.timer[1].int4(t.Event)
		e.timer[2].time(t.FireAt)
		e.timer[3].bool(t.UnlessStarted)
	}
	for _, event := range c.CancelTimers {
		e.stop[0].int4(item)
		e.stop[1].int4(event)
	}
	for i := range c.Children {
		e.addChild(item, &c.Children[i])
	}
	for i := range c.Messages {
		m := &c.Messages[i]
		e.msg[0].int4(item)
		e.msg[1].int2(provider.PartitionOf(m.Target, e.parts))
		e.msg[2].text(m.Target)
		e.msg[3].int2(int16(m.Kind))
		e.msg[4].int4(m.Execution)
		e.msg[5].text(inboxName(m))
		e.msg[6].text(m.ID)
		e.msg[7].bytes(m.Body)
		e.msg[8].bool(m.Take)
	}
	if c.CustomStatus != nil {
		e.status[0].int4(item)
		e.status[1].bytes(c.CustomStatus)
	}
	for i := range c.Values {
		e.addValue(item, &c.Values[i])
	}
}

// addValue takes over a value that the item sets; a negative one stands for the child with that number.
func (e *effectColumns) addValue(item int32, v *provider.Value) {
	e.value[0].int4(item)
	e.value[1].text(v.Key)
	e.value[2].bytes(v.Data)
	e.value[3].bool(v.Searchable)
}

// addFirst takes over the values that a new instance begins with, but for those that its first turn sets.
func (e *effectColumns) addFirst(item int32, start *provider.StartItem) {
	for i := range start.Values {
		v := &start.Values[i]
		if start.First == nil || !slices.ContainsFunc(start.First.Values, func(w provider.Value) bool { return w.Key == v.Key }) {
			e.addValue(item, v)
		}
	}
}

// inOrder returns the events in the order in which every call locks work items.
func inOrder(events []int32) []int32 {
	if slices.IsSorted(events) {
		return events
	}
	return slices.Sorted(slices.Values(events))
}

func (e *effectColumns) addChild(item int32, c *provider.NewInstance) {
	e.child[0].int4(item)
	e.child[1].int2(provider.PartitionOf(c.InstanceID, e.parts))
	e.child[2].text(c.InstanceID)
	e.child[3].uuid(c.ExecutionID)
	e.child[4].int4(int32(c.Class))
	e.child[5].bool(c.Watch)
	e.child[6].bool(c.Lease)
	parentColumns(e.child[7], e.child[8], e.child[9], c.Parent)
	e.child[10].bytes(c.Events)
	e.child[11].bytes(c.ExistsBody)
	for i := range c.Values {
		e.addValue(-int32(e.child[0].n), &c.Values[i])
	}
}

func parentColumns(id, execution, event *column, parent *provider.Parent) {
	if parent == nil {
		id.null()
		execution.null()
		event.null()
		return
	}
	id.text(parent.InstanceID)
	execution.int4(parent.Execution)
	event.int4(parent.Event)
}

// inboxName is the name a message is stored under. Messages of the engine have none, and the reader finds them by that;
// so an external event needs one, even if its name is empty: see storedName.
func inboxName(m *provider.NewMessage) string {
	if m.Kind == provider.MessageExternalEvent {
		return storedName(m.Name)
	}
	return ""
}

// storedName makes the empty name of an event representable: a name of nothing but U+0001 gets one more of them.
func storedName(name string) string {
	if strings.Trim(name, "\x01") == "" {
		return name + "\x01"
	}
	return name
}

// givenName is the inverse of storedName.
func givenName(stored string) string {
	if strings.Trim(stored, "\x01") == "" && stored != "" {
		return stored[1:]
	}
	return stored
}

// append adds the parameters; all are null if there are no effects.
func (e *effectColumns) append(params []param) []param {
	some := false
	for _, group := range [][]*column{e.work[:], e.cancel[:], e.timer[:], e.stop[:], e.child[:], e.msg[:], e.status[:], e.value[:]} {
		for _, c := range group {
			some = some || c.n > 0
			if c == e.work[5] {
				params = append(params, c.paramIfAny())
				continue
			}
			params = append(params, c.param())
		}
	}
	if !some || e.msg[0].n == 0 {
		return append(params, param{oid: arrayOf[oidInt4]})
	}
	return append(params, classesParam(e.serves))
}

// turnColumns gathers the turns of a call; they are the same in a start and in an ack.
type turnColumns struct {
	request, status, keep, waits, count, events *column
	nextID, nextClass, nextEvents               *column
}

// newTurns makes the columns for n turns, whose events have this many bytes together.
func newTurns(n, bytes int) *turnColumns {
	return &turnColumns{
		request: newColumn(oidInt8, n), status: newColumn(oidInt2, n), keep: newColumn(oidBool, n),
		waits: newColumn(oidText, n), count: newColumn(oidInt4, n), events: newDocuments(n, bytes),
		nextID: newColumn(oidUUID, n), nextClass: newColumn(oidInt4, n), nextEvents: newColumn(oidJSON, n),
	}
}

func (t *turnColumns) add(c *provider.Commit) {
	t.request.int8(int64(c.Request))
	t.status.int2(int16(c.Status))
	t.keep.bool(c.Keep && !c.Status.Terminal())
	if len(c.Waits) > 0 {
		t.waits.text(waitsLiteral(c.Waits))
	} else {
		t.waits.null()
	}
	t.count.int4(c.EventCount)
	t.events.bytes(c.Events)
	if c.Next != nil && c.Status == provider.StatusContinuedAsNew {
		t.nextID.uuid(c.Next.ExecutionID)
		t.nextClass.int4(int32(c.Next.Class))
		t.nextEvents.bytes(c.Next.Events)
	} else {
		t.nextID.null()
		t.nextClass.null()
		t.nextEvents.null()
	}
}

func (t *turnColumns) append(params []param) []param {
	return append(params, t.status.param(), t.keep.param(), t.waits.paramIfAny(), t.count.param(), t.events.param(),
		t.nextID.paramIfAny(), t.nextClass.paramIfAny(), t.nextEvents.paramIfAny())
}

var ackFunction = function{name: "ack_orchestration_items_v1", effectsAt: 20, effects: effectFields}

// AckOrchestrationItems implements provider.Provider.
func (p *Provider) AckOrchestrationItems(ctx context.Context, req *provider.AckRequest) (*provider.AckReply, error) {
	n := len(req.Items)
	order, bytes, err := ackOrder(req)
	if err != nil {
		return nil, err
	}
	if n == 0 && req.ClaimWork <= 0 {
		return &provider.AckReply{}, nil
	}
	var plain *provider.AckReply
	if n == 1 {
		plain, err = p.ackOne(ctx, req)
	} else if n > 1 {
		plain, err = p.ackPlain(ctx, req, order, bytes)
	}
	if plain != nil || err != nil {
		return plain, err
	}

	part, iid, execution := newColumn(oidInt2, n), newColumn(oidInt8, n), newColumn(oidInt4, n)
	seq, token := newColumn(oidInt4, n), newColumn(oidInt8, n)
	finished := [3]*column{newColumn(oidInt4, n), newColumn(oidInt4, n), newColumn(oidInt8, n)}
	consumed := [2]*column{newColumn(oidInt4, n), newColumn(oidInt8, n)}
	turns, effects := newTurns(n, bytes), newEffects(n, p.parts, req.Serves)
	for k, i := range order {
		item := &req.Items[i]
		part.int2(item.Part)
		iid.int8(item.Row)
		execution.int4(item.Execution)
		seq.int4(item.Seq)
		token.int8(int64(item.Token))
		for _, f := range distinct(item.Finished) {
			finished[0].int4(int32(k + 1))
			finished[1].int4(f.Event)
			finished[2].int8(int64(f.Token))
		}
		for _, ord := range item.Consumed {
			consumed[0].int4(int32(k + 1))
			consumed[1].int8(ord)
		}
		turns.add(&item.Commit)
		effects.add(int32(k+1), &item.Commit)
	}
	params := make([]param, 0, 64)
	params = append(params, int8Param(int64(req.Worker)), part.param(), iid.param(), execution.param(), seq.param(),
		token.param(), turns.request.param())
	params = turns.append(params)
	params = append(params, finished[0].param(), finished[1].param(), finished[2].param(), consumed[0].param(), consumed[1].param())
	params = effects.append(params)

	reply := &provider.AckReply{Results: make([]provider.AckResult, n)}
	for i := range req.Items {
		reply.Results[i].Ref = req.Items[i].Ref
	}
	answer := newAnswer(reply, order)
	params = append(params, int4Param(req.ClaimWork), p.claimParam(answer, req.ClaimWork, wanted{req.WorkClasses, req.WorkRanks, routedTo(req.Worker, req.Routed)}),
		int8Param(int64(req.ClaimRequest)))
	if err := p.call(ctx, &ackFunction, n, params, answer.read); err != nil {
		return nil, err
	}
	answer.looks.learn()
	answer.finish()
	return reply, nil
}

// ackOrder checks the request and returns the numbers of its items in the order of their keys, which is the order of locks, and
// the length of all their events.
func ackOrder(req *provider.AckRequest) (order []int, bytes int, err error) {
	op, n := ackFunction.name, len(req.Items)
	order = make([]int, n)
	for i := range req.Items {
		order[i] = i
		bytes += len(req.Items[i].Events)
		if err := req.Items[i].Commit.Check(req.Worker); err != nil {
			return nil, 0, sqlstate.GiveUp(op, "%v", err)
		}
	}
	sort.Slice(order, func(a, b int) bool { return lessRef(req.Items[order[a]].Ref, req.Items[order[b]].Ref) })
	for k := 1; k < n; k++ {
		if req.Items[order[k]].Ref == req.Items[order[k-1]].Ref {
			return nil, 0, sqlstate.GiveUp(op, "two items for instance %v", req.Items[order[k]].Ref)
		}
	}
	if req.Worker == 0 && req.ClaimWork > 0 {
		return nil, 0, sqlstate.GiveUp(op, "a claim needs a worker")
	}
	if err := provider.CheckRanks(req.WorkClasses, req.WorkRanks); err != nil {
		return nil, 0, sqlstate.GiveUp(op, "%v", err)
	}
	return order, bytes, nil
}

// distinct returns the work items in the order in which every call locks them, each once.
func distinct(finished []provider.FinishedWork) []provider.FinishedWork {
	if len(finished) < 2 {
		return finished
	}
	sorted := slices.SortedFunc(slices.Values(finished), func(a, b provider.FinishedWork) int {
		return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Token, b.Token))
	})
	return slices.Compact(sorted)
}

func lessRef(a, b provider.Ref) bool {
	if a.Part != b.Part {
		return a.Part < b.Part
	}
	return a.Row < b.Row
}
