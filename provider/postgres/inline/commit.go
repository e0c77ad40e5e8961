package inline

import (
	"context"
	"strings"

	"github.com/pawlrun/pawl/provider"
)

// turn is one commit of a call that takes effect now, or did in an earlier try.
type turn struct {
	item      int       // number of the item in the call
	i         *instance // as the commit leaves it
	commit    *provider.Commit
	execution int32 // the one the turn belongs to; with continue-as-new not the current one any more
	result    *provider.AckResult
	// heldOver is set unless this is the first commit under the lease: then work may have been leased with it before.
	heldOver bool
}

// commits are the turns of a call, which a start and an ack treat alike once they are recorded.
type commits struct {
	*call
	sender
	reply    *provider.AckReply
	applied  []*turn
	repeated []*turn
	grants   []grant
}

// grant is an instance that the call leases to the caller, and where the history that it needs begins.
type grant struct {
	i    *instance
	from int32
}

func newCommits(c *call, worker provider.WorkerID, serves []provider.ClassID, reply *provider.AckReply) *commits {
	return &commits{call: c, sender: sender{worker: worker, serves: serves, own: make(map[provider.Ref]bool)}, reply: reply}
}

const (
	updateTurn = `update @instance set token = $3, next_seq = $4, status = $5, waits = $6, owner = $7, last_owner = $8,
		attempt = 0, ended_at = case when $9 then statement_timestamp() end where part = $1 and iid = $2`
	insertTurn = `insert into @history (part, iid, execution, seq, count, token, events) values ($1, $2, $3, $4, $5, $6, $7)`
	updateNext = `update @instance set execution = $3, execution_id = $4, class = $5, next_seq = 1, waits = null,
		first_execution_id = $6 where part = $1 and iid = $2`
)

// record writes the row and the history of a turn that begins at event seq. A new instance has its row already.
func (b *commits) record(ctx context.Context, t *turn, seq int32, isNew bool) {
	i, c := t.i, t.commit
	i.settle(c, seq, b.worker)
	if !isNew {
		b.exec(ctx, updateTurn, i.Part, i.Row, i.token, i.nextSeq, int16(i.status), i.waits, orNull(i.owner), orNull(i.lastOwner),
			i.status.Terminal())
	}
	b.exec(ctx, insertTurn, i.Part, i.Row, t.execution, seq, c.EventCount, c.Request, c.Events)
	b.publish(ctx, t)
	b.own[i.Ref] = true
	b.applied = append(b.applied, t)
}

// settle moves the instance over a committed turn, within its execution.
func (i *instance) settle(c *provider.Commit, seq int32, worker provider.WorkerID) {
	i.token, i.nextSeq, i.attempt, i.lastOwner = c.Request, seq+c.EventCount, 0, worker
	i.status, i.owner, i.waits = provider.StatusRunning, 0, nil
	for _, name := range c.Waits {
		i.waits = append(i.waits, storedName(name))
	}
	if c.Status.Terminal() {
		i.status = c.Status
	} else if c.Keep {
		i.owner = worker
	}
}

// finish does what the turns bring about beside themselves, and completes the reply.
func (b *commits) finish(ctx context.Context) {
	for _, t := range b.applied {
		b.continueAsNew(ctx, t)
	}
	for _, t := range b.applied {
		b.schedule(ctx, t)
		if t.heldOver && t.i.running() && t.i.owner == 0 {
			b.exec(ctx, claimLeftBehind, t.i.Part, t.i.Row)
		}
	}
	b.createChildren(ctx)
	b.sendMessages(ctx)
	for _, t := range b.applied {
		if t.i.status.Terminal() {
			if t.i.watch {
				b.news.done = append(b.news.done, t.i.id)
			}
			continue
		}
		if t.commit.Status == provider.StatusContinuedAsNew && !t.commit.Keep {
			continue // ready anyway, for anybody
		}
		t.result.Messages = b.unread(ctx, t.i)
		if t.i.owner == 0 && len(t.result.Messages) > 0 {
			b.exec(ctx, `update @instance set owner = $3, claim = null where part = $1 and iid = $2`, t.i.Part, t.i.Row, b.worker)
		}
	}
	for _, t := range b.repeated {
		b.answerAgain(ctx, t)
	}
	for _, g := range b.grants { // now that all messages are where they belong
		b.reply.Granted = append(b.reply.Granted, b.granted(ctx, g.i, b.worker, g.from, b.unread(ctx, g.i)))
	}
	b.reply.Now = b.clock(ctx)
}

// continueAsNew begins the next execution.
func (b *commits) continueAsNew(ctx context.Context, t *turn) {
	next, i := t.commit.Next, t.i
	if next == nil {
		return
	}
	i.execution++
	i.executionID, i.class, i.nextSeq, i.waits = next.ExecutionID, next.Class, 1, nil
	b.exec(ctx, updateNext, i.Part, i.Row, i.execution, i.executionID, i.class, i.firstExecutionID)
	b.exec(ctx, insertTurn, i.Part, i.Row, i.execution, 0, 1, t.commit.Request, next.Events)
	if i.owner == 0 {
		b.hint(ctx, i, b.worker)
	}
}

// schedule stores and cancels work and timers. Cancelling comes last: one commit may schedule and cancel.
func (b *commits) schedule(ctx context.Context, t *turn) {
	i, c := t.i, t.commit
	for n := range c.Work {
		w := &c.Work[n]
		var owner, token, claim any
		home := b.home(ctx, w.Worker)
		attempt := 0
		if w.Lease {
			owner, token, attempt = b.worker, c.Request, 1
			if i.owner == 0 {
				claim = c.Request // see claimLeftBehind
			}
		} else if home == 0 {
			b.news.ready = append(b.news.ready, w.Class)
		} else if home != b.worker {
			b.news.homes = append(b.news.homes, home)
		}
		b.exec(ctx, `insert into @work (part, iid, execution, event, class, due, owner, token, claim, attempt, input, home)
			values ($1, $2, $3, $4, $5, clock_timestamp(), $6, $7, $8, $9, $10, $11)`,
			i.Part, i.Row, t.execution, w.Event, w.Class, owner, token, claim, attempt, w.Input, orNull(home))
	}
	for _, timer := range c.Timers {
		b.exec(ctx, `insert into @timer (part, iid, execution, event, fire_at, due, unless_started)
			values ($1, $2, $3, $4, $5, greatest($5, clock_timestamp()), $6)`,
			i.Part, i.Row, t.execution, timer.Event, timer.FireAt, timer.UnlessStarted)
	}
	if len(c.CancelWork) > 0 {
		b.exec(ctx, `delete from @work where part = $1 and iid = $2 and execution = $3 and event = any($4)`,
			i.Part, i.Row, t.execution, c.CancelWork)
	}
	if len(c.CancelTimers) > 0 {
		b.exec(ctx, `delete from @timer where part = $1 and iid = $2 and execution = $3 and event = any($4)`,
			i.Part, i.Row, t.execution, c.CancelTimers)
	}
}

// home returns the only worker that may claim a work item: none if it is not alive, or not any more.
func (c *call) home(ctx context.Context, worker provider.WorkerID) (home provider.WorkerID) {
	if worker != 0 {
		c.first(ctx, `select worker from @presence where worker = $1`, args{worker}, &home)
	}
	return home
}

// sendMessages delivers the messages of all turns, in the order of the items.
func (b *commits) sendMessages(ctx context.Context) {
	var messages []outgoing
	for _, k := range numbered(len(b.applied), func(x, y int) int { return b.applied[x].item - b.applied[y].item }) {
		c := b.applied[k].commit
		for n := range c.Messages {
			m := outgoing{NewMessage: &c.Messages[n]}
			if m.Take {
				m.take = c.Request
			}
			messages = append(messages, m)
		}
	}
	if len(messages) == 0 {
		return
	}
	b.items = make(map[provider.Ref]bool, len(b.reply.Results))
	for n := range b.reply.Results {
		b.items[b.reply.Results[n].Ref] = true
	}
	_, granted := b.send(ctx, &b.sender, messages)
	for _, i := range granted {
		b.grants = append(b.grants, grant{i, wholeUnlessOwn})
	}
}

// answerAgain answers a repeat: with what the earlier try returned, as far as the worker still holds it under the
// request.
func (b *commits) answerAgain(ctx context.Context, t *turn) {
	request := t.commit.Request
	if t.i.heldUnder(b.worker, request) {
		t.result.Messages = b.unread(ctx, t.i)
	}
	seen := map[string]bool{t.i.id: true}
	again := func(id string, from int32) {
		if seen[id] {
			return
		}
		seen[id] = true
		if i := b.instance(ctx, selectInstanceNamed, b.p.partOf(id), id); i != nil && i.heldUnder(b.worker, request) {
			b.grants = append(b.grants, grant{i, from})
		}
	}
	for n := range t.commit.Children {
		if child := &t.commit.Children[n]; child.Lease {
			again(child.InstanceID, noHistory)
		}
	}
	for n := range t.commit.Messages {
		if m := &t.commit.Messages[n]; m.Take {
			again(m.Target, wholeUnlessOwn)
		}
	}
}

const insertInstance = `insert into @instance as i (part, instance_id, created_at, class, execution_id, next_seq, status, ended_at,
		waits, watch, parent_id, parent_execution, parent_event, token, owner, last_owner, attempt)
	values ($1, $2, now(), $3, $4, $5, $6, case when $7 then now() end,
		$8, $9, $10, $11, $12, $13, $14, $15, $16)
	on conflict (part, instance_id) do nothing returning i.iid, i.created_at`

// insert creates the row of an instance and reports whether its id was free. All that a call creates has one time: of children
// and parents none may look older (see isChild).
func (c *call) insert(ctx context.Context, i *instance, parent *provider.Parent) bool {
	var parentID, parentExecution, parentEvent any
	if parent != nil {
		parentID, parentExecution, parentEvent = parent.InstanceID, parent.Execution, parent.Event
	}
	return c.first(ctx, insertInstance, args{i.Part, i.id, i.class, i.executionID, i.nextSeq, int16(i.status), i.status.Terminal(),
		i.waits, i.watch, parentID, parentExecution, parentEvent, i.token, orNull(i.owner), orNull(i.lastOwner), i.attempt},
		&i.Row, &c.now)
}

// newInstance is an instance of which only the start is recorded.
func (p *Provider) newInstance(n *provider.NewInstance) *instance {
	return &instance{
		Ref: provider.Ref{Part: p.partOf(n.InstanceID)}, id: n.InstanceID, class: n.Class, execution: 1,
		executionID: n.ExecutionID, firstExecutionID: n.ExecutionID, nextSeq: 1, watch: n.Watch,
	}
}

// createChildren starts the children of all turns, in the order in which starts create instances.
func (b *commits) createChildren(ctx context.Context) {
	type birth struct {
		parent *turn
		child  *provider.NewInstance
		i      *instance
	}
	var births []birth
	for _, t := range b.applied {
		for n := range t.commit.Children {
			child := &t.commit.Children[n]
			births = append(births, birth{t, child, b.p.newInstance(child)})
		}
	}
	for _, k := range numbered(len(births), func(x, y int) int { return inStartOrder(births[x].i, births[y].i) }) {
		b.createChild(ctx, births[k].parent, births[k].child, births[k].i)
	}
}

// inStartOrder sorts new instances as every call creates them.
func inStartOrder(a, b *instance) int {
	if a.Part != b.Part {
		return int(a.Part) - int(b.Part)
	}
	return strings.Compare(a.id, b.id)
}

func (b *commits) createChild(ctx context.Context, parent *turn, n *provider.NewInstance, i *instance) {
	if n.Lease {
		i.owner, i.token, i.attempt = b.worker, parent.commit.Request, 1
	}
	if b.insert(ctx, i, n.Parent) {
		b.exec(ctx, insertTurn, i.Part, i.Row, 1, 0, 1, 0, n.Events)
		b.setValues(ctx, i, n.Values)
		if n.Lease {
			b.grants = append(b.grants, grant{i, noHistory})
		} else {
			b.hint(ctx, i, b.worker)
		}
		return
	}
	existing := b.instance(ctx, selectInstanceNamed, i.Part, i.id)
	if existing != nil && existing.firstExecutionID != i.executionID && n.ExistsBody != nil {
		b.exec(ctx, insertMessage, parent.i.Part, parent.i.Row, "", provider.MessageChildDone, parent.execution,
			n.ExecutionID.String(), n.ExistsBody)
	}
}
