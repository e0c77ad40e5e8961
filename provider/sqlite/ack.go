package sqlite

import (
	"context"
	"fmt"
	"slices"

	"github.com/pawlrun/pawl/provider"
)

// AckOrchestrationItems implements provider.Provider.
func (p *Provider) AckOrchestrationItems(ctx context.Context, req *provider.AckRequest) (*provider.AckReply, error) {
	const op = "ack_orchestration_items"
	if problem := checkAck(req); problem != "" {
		return nil, invalid(op, problem)
	}
	var texts textCheck
	for n := range req.Items {
		texts.commit(&req.Items[n].Commit)
	}
	if err := texts.problem(op); err != nil {
		return nil, err
	}
	if len(req.Items) == 0 && req.ClaimWork <= 0 {
		return newReply(0), nil
	}
	var reply *provider.AckReply
	err := p.write(ctx, op, len(req.Items), durable, func(t *tx) {
		b := newBatch(t, req.Worker, req.Serves, len(req.Items))
		for n := range req.Items {
			b.ack(&req.Items[n], &b.reply.Results[n])
		}
		b.finish()
		// A call that applied something did not run before, so nothing can be claimed under its request yet.
		claim := &workClaim{req.Worker, req.ClaimRequest, req.ClaimWork, req.Routed, req.WorkClasses, req.WorkRanks}
		b.reply.Work = t.claimWork(claim, len(b.applied) > 0)
		b.holdClaimed(b.reply.Work)
		reply = b.reply
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// checkAck returns what is wrong with a request as such, "" if nothing is.
func checkAck(req *provider.AckRequest) string {
	if problem := checkClaim(req.Worker, req.ClaimRequest, req.ClaimWork, req.WorkClasses, req.WorkRanks); problem != "" {
		return problem
	}
	for n := range req.Items {
		if problem := checkCommit(req.Worker, &req.Items[n].Commit); problem != "" {
			return fmt.Sprintf("item %d: %s", n, problem)
		}
	}
	if len(req.Items) < 2 {
		return ""
	}
	seen := make(map[provider.Ref]bool, len(req.Items))
	for n := range req.Items {
		if ref := req.Items[n].Ref; seen[ref] {
			return fmt.Sprintf("item %d: another item is for the same instance", n)
		}
		seen[req.Items[n].Ref] = true
	}
	return ""
}

// checkClaim returns what is wrong with a request for leases, "" if nothing is.
func checkClaim(worker provider.WorkerID, request provider.Token, limit int, classes []provider.ClassID, ranks []int16) string {
	if limit > 0 && (worker == 0 || request == 0) {
		return "leases need a worker and a request id"
	}
	if err := provider.CheckRanks(classes, ranks); err != nil {
		return err.Error()
	}
	return ""
}

// checkCommit returns what is wrong with a commit as such, "" if nothing is.
func checkCommit(worker provider.WorkerID, c *provider.Commit) string {
	if c.Keep && worker == 0 {
		return "only a worker can keep a lease"
	}
	if err := c.Check(worker); err != nil {
		return err.Error()
	}
	return ""
}

const heldWork = `SELECT 1 FROM work WHERE iid = ? AND execution = ? AND event = ? AND token = ?
   AND (owner = ? OR (owner IS NULL AND due IS NULL))`

// ack classifies one item and, if it applies, commits what concerns the instance alone. Nothing of a fenced item may
// take effect.
func (b *batch) ack(item *provider.AckItem, result *provider.AckResult) {
	t := b.t
	result.Ref = item.Ref
	result.Status = provider.Fenced
	i := t.instanceAt(item.Row)
	if i == nil {
		return
	}
	if !i.heldBy(b.worker, item.Token) || i.execution != item.Execution || i.nextSeq != item.Seq ||
		!b.holdsWork(item) {
		if t.wrote(item.Request, i.row, item.Execution, item.Seq) {
			result.Status = provider.Applied
			b.repeated = append(b.repeated,
				&committed{i: i, commit: &item.Commit, execution: item.Execution, result: result})
		}
		return
	}
	result.Status = provider.Applied
	c := &committed{i: i, commit: &item.Commit, execution: item.Execution, seq: item.Seq, result: result}
	for _, order := range item.Consumed {
		t.exec(deleteMessage, order, i.row)
	}
	for _, w := range item.Finished {
		t.exec(deleteWork, i.row, item.Execution, w.Event)
	}
	i.commit(c.commit, item.Seq, b.worker, t.now)
	b.record(c)
	b.applied = append(b.applied, c)
}

func (b *batch) holdsWork(item *provider.AckItem) bool {
	for _, w := range item.Finished {
		var one int
		if !b.t.first(heldWork, args{item.Row, item.Execution, w.Event, w.Token, b.worker}, &one) {
			return false
		}
	}
	return true
}

// commit moves an instance over a committed turn.
func (i *instance) commit(c *provider.Commit, seq int32, worker provider.WorkerID, now int64) {
	i.token, i.attempt, i.lastOwner = c.Request, 0, worker
	i.nextSeq = seq + c.EventCount
	i.waits, i.due, i.owner = c.Waits, 0, 0
	switch {
	case c.Status.Terminal():
		i.status, i.endedAt, i.waits = c.Status, now, nil
	case c.Status == provider.StatusContinuedAsNew:
		i.execution++
		i.executionID, i.class = c.Next.ExecutionID, c.Next.Class
		i.nextSeq, i.waits = 1, nil
		if c.Keep {
			i.owner = worker
		} else {
			i.due = now
		}
	case c.Keep:
		i.owner = worker
	}
}

// serves reports whether the caller of a batch runs a class.
func (b *batch) serves(class provider.ClassID) bool { return slices.Contains(b.classes, class) }
