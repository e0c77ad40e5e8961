package inline

import (
	"context"
	"slices"

	"github.com/pawlrun/pawl/provider"
)

// presence is the row of a live worker: the classes it sleeps for, and the marks by which it is woken.
type presence struct {
	turns, work         []int32
	turnsMark, workMark int64
	// Whether somebody has notified the worker since it set the mark.
	turnsRung, workRung bool
}

const selectPresence = `select coalesce(p.turns, '{}'), coalesce(p.work, '{}'), coalesce(p.turns_mark, 0), coalesce(p.work_mark, 0),
		exists (select from @rung where mark = p.turns_mark), exists (select from @rung where mark = p.work_mark)
	from @presence p where p.worker = $1`

func (c *call) presence(ctx context.Context, sql string, worker provider.WorkerID) *presence {
	p := new(presence)
	if !c.first(ctx, sql, args{worker}, &p.turns, &p.work, &p.turnsMark, &p.workMark, &p.turnsRung, &p.workRung) {
		return nil
	}
	return p
}

// replacements is how often a row that another call replaces while this one waits for it is looked for again.
const replacements = 10

// lockPresence returns the row of a live worker, nil if it is not alive.
func (c *call) lockPresence(ctx context.Context, worker provider.WorkerID) *presence {
	for range replacements {
		p := c.presence(ctx, selectPresence+` for update of p`, worker)
		if p != nil || c.presence(ctx, selectPresence, worker) == nil {
			return p
		}
	}
	return nil
}

// fallAsleep marks the worker as sleeping for classes of instances, of work, or both (those that are not nil), and reports
// whether that is news: then the caller must look once more. A mark that nobody has rung stays as it is.
func (c *call) fallAsleep(ctx context.Context, worker provider.WorkerID, turns, work []provider.ClassID) bool {
	p := c.presence(ctx, selectPresence, worker)
	if p == nil || (turns == nil || !p.turnsRung && slices.Equal(p.turns, numbers(turns))) &&
		(work == nil || !p.workRung && slices.Equal(p.work, numbers(work))) {
		return false
	}
	if p = c.lockPresence(ctx, worker); p == nil {
		return false
	}
	if turns != nil {
		c.exec(ctx, `delete from @rung where mark = $1`, p.turnsMark)
		c.exec(ctx, `update @presence set turns = $2, turns_mark = nextval($3::text::regclass) where worker = $1`,
			worker, numbers(turns), c.p.schema+"arrival")
	}
	if work != nil {
		c.exec(ctx, `delete from @rung where mark = $1`, p.workMark)
		c.exec(ctx, `update @presence set work = $2, work_mark = nextval($3::text::regclass) where worker = $1`,
			worker, numbers(work), c.p.schema+"arrival")
	}
	return true
}

// orEmpty makes a list that is there.
func orEmpty(classes []provider.ClassID) []provider.ClassID {
	if classes == nil {
		return []provider.ClassID{}
	}
	return classes
}
