package inline

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/provider"
)

// news is what others are told about a call, if they care.
type news struct {
	ready  []provider.ClassID  // classes of which something became claimable, once per item
	owners []provider.WorkerID // other workers whose held instances got a message
	homes  []provider.WorkerID // other workers for whom alone there is work
	done   []string            // watched instances that have ended
	status []string            // watched instances that have a new custom status
}

// Bounds of a notification: the server takes payloads of less than 8000 bytes. What does not fit is left to the pulse.
const (
	maxPayload      = 7900
	recordSeparator = "\x1e"
)

// notify sends the one notification of a call, and only if somebody waits for one: see the stored function
// notify_listeners_v1 for its form.
func (c *call) notify(ctx context.Context) {
	var records []string
	if len(c.news.ready) > 0 {
		records = c.wakeSleepers(ctx)
	}
	slices.Sort(c.news.owners)
	for _, owner := range slices.Compact(c.news.owners) {
		records = append(records, c.tellWorker(ctx, owner, `p.turns_mark`)...)
	}
	slices.Sort(c.news.homes)
	for _, home := range slices.Compact(c.news.homes) {
		records = append(records, c.tellWorker(ctx, home, `p.work_mark`)...)
	}
	for _, id := range c.news.done {
		records = append(records, "e"+id)
	}
	for _, id := range c.news.status {
		records = append(records, "s"+id)
	}
	size := 0
	for n, r := range records {
		if size += len(r) + 1; size > maxPayload {
			records = records[:n]
			break
		}
	}
	if len(records) > 0 {
		c.exec(ctx, `select pg_notify($1, $2)`, c.p.name, strings.Join(records, recordSeparator))
	}
}

// tell says that an instance is not what its holder, if it has one, takes it for.
func (c *call) tell(i *instance) {
	if i.owner != 0 {
		c.news.owners = append(c.news.owners, i.owner)
	}
}

// wakeSleepers returns the records for as many sleeping workers as there is something for, those first that were heard of
// last.
func (c *call) wakeSleepers(ctx context.Context) (records []string) {
	type sleeper struct {
		id                  provider.WorkerID
		turnsMark, workMark int64
		forTurns, forWork   bool
	}
	var sleepers []sleeper
	c.each(ctx, `select s.* from (
			select p.worker, coalesce(p.turns_mark, 0), coalesce(p.work_mark, 0),
			       coalesce(p.turns && $1, false) and not exists (select from @rung where mark = p.turns_mark) for_turns,
			       coalesce(p.work && $1, false) and not exists (select from @rung where mark = p.work_mark) for_work, p.beat_at
			  from @presence p join @worker w on w.id = p.worker and w.reaped_at is null) s
		where s.for_turns or s.for_work order by s.beat_at desc limit $2`, args{numbers(c.news.ready), len(c.news.ready)},
		func(rows pgx.Rows) error {
			var s sleeper
			err := rows.Scan(&s.id, &s.turnsMark, &s.workMark, &s.forTurns, &s.forWork, nil)
			sleepers = append(sleepers, s)
			return err
		})
	for _, s := range sleepers {
		if s.forTurns {
			records = append(records, c.ring(ctx, "r", s.id, s.turnsMark))
		}
		if s.forWork {
			records = append(records, c.ring(ctx, "w", s.id, s.workMark))
		}
	}
	return records
}

// tellWorker returns the record for a worker whose held instance got a message, or for whom alone there is work; the column is
// that of the mark. A worker that has never slept has no mark that could be rung: it is told each time.
func (c *call) tellWorker(ctx context.Context, worker provider.WorkerID, column string) []string {
	var mark int64
	if !c.first(ctx, `select coalesce(`+column+`, 0) from @presence p
		where p.worker = $1 and not exists (select from @rung where mark = `+column+`)`, args{worker}, &mark) {
		return nil
	}
	return []string{c.ring(ctx, "h", worker, mark)}
}

// ring notes that a mark is used up, and returns the record for its worker.
func (c *call) ring(ctx context.Context, kind string, worker provider.WorkerID, mark int64) string {
	if mark != 0 {
		c.exec(ctx, `insert into @rung (mark) values ($1)`, mark)
	}
	return kind + strconv.FormatInt(int64(worker), 10)
}
