package inline

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/provider"
)

// Pulse implements provider.Provider.
func (p *Provider) Pulse(ctx context.Context, req *provider.PulseRequest) (*provider.PulseReply, error) {
	reply := new(provider.PulseReply)
	err := p.write(ctx, "pulse", len(req.Reap)+len(req.Watch)+len(req.Held), func(c *call) {
		reply.Lost = !c.beat(ctx, req)
		c.confirm(ctx, req.Held, reply)
		if reply.Lost {
			reply.Now = c.clock(ctx)
			return
		}
		c.serve(ctx, req)
		for _, dead := range req.Reap {
			c.reap(ctx, dead)
		}
		c.releaseDead(ctx)
		c.fireTimers(ctx, req.Worker)
		c.sweep(ctx, req.Classes)
		c.lookAround(ctx, req, reply)
		reply.Classes = c.knownClasses(ctx, req.ClassesFrom)
		for _, id := range req.Watch {
			if st := c.state(ctx, id); st != nil && st.Status.Terminal() {
				reply.Done = append(reply.Done, *st)
			}
		}
		reply.Now = c.clock(ctx)
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// beat says that the worker lives, and reports false if it is taken for dead.
func (c *call) beat(ctx context.Context, req *provider.PulseRequest) bool {
	if req.Worker == 0 {
		return true
	}
	if c.lockPresence(ctx, req.Worker) != nil {
		c.exec(ctx, `update @presence set beat = beat + 1, beat_at = statement_timestamp() where worker = $1`, req.Worker)
		return true
	}
	if !req.Join || c.exec(ctx, `insert into @worker (id, name, joined_at) values ($1, $2, statement_timestamp())
		on conflict (id) do nothing`, req.Worker, req.Name) == 0 {
		return false
	}
	c.exec(ctx, `insert into @presence (worker, beat_at) values ($1, statement_timestamp())`, req.Worker)
	return true
}

// reap marks a worker as dead if its beat has stood still. It waits for nobody: who is locked is just beating.
func (c *call) reap(ctx context.Context, dead provider.Beat) {
	var id provider.WorkerID
	if c.first(ctx, `select worker from @presence where worker = $1 and beat = $2 for update skip locked`,
		args{dead.Worker, dead.Beat}, &id) {
		c.exec(ctx, `delete from @presence where worker = $1`, id)
		c.exec(ctx, `update @worker set reaped_at = statement_timestamp(), look_at = statement_timestamp() where id = $1`, id)
	}
}

// sweep removes what late senders have left for ended instances whose place others have taken: nobody fetches it.
func (c *call) sweep(ctx context.Context, classes []provider.ClassID) {
	c.exec(ctx, `with orphan as materialized (
			select h.part, h.class, h.due, h.ord, h.iid from @hint h
			where h.part >= 0 and h.class = any($1)
				and not exists (select from @instance i where i.part = h.part and i.iid = h.iid) for update skip locked),
		unread as (delete from @inbox m using orphan o where m.part = o.part and m.iid = o.iid)
		delete from @hint h using orphan o where h.part = o.part and h.class = o.class and h.due = o.due and h.ord = o.ord`,
		numbers(classes))
}

// lookAround tells what there is to do, who is silent and when the next timer is due.
func (c *call) lookAround(ctx context.Context, req *provider.PulseRequest, reply *provider.PulseReply) {
	c.first(ctx, `select exists (select from @hint h join @instance i on i.part = h.part and i.iid = h.iid
			where h.part >= 0 and h.class = any($2) and h.due <= statement_timestamp() and coalesce(i.owner, $1) = $1
				and i.status = 0 and i.parked is null),
		exists (select from @work w where w.part >= 0 and w.owner is null and w.due <= statement_timestamp()
			and (w.home is null and w.class = any($3) or $4 and w.home = $1))`,
		args{req.Worker, numbers(req.Classes), numbers(req.WorkClasses), req.Routed}, &reply.OrchestrationsReady, &reply.WorkReady)
	if req.Sleep && req.Worker != 0 && !reply.OrchestrationsReady && !reply.WorkReady {
		c.fallAsleep(ctx, req.Worker, orEmpty(req.Classes), orEmpty(req.WorkClasses))
	}
	c.each(ctx, `select p.worker, p.beat from @presence p join @worker w on w.id = p.worker and w.reaped_at is null
		where p.worker <> $1 and p.beat_at < statement_timestamp() - $2::interval`,
		args{req.Worker, req.TTL}, func(rows pgx.Rows) error {
			var b provider.Beat
			err := rows.Scan(&b.Worker, &b.Beat)
			reply.Stale = append(reply.Stale, b)
			return err
		})
	var next *time.Time
	c.first(ctx, `select min(due) from @timer where part >= 0`, nil, &next)
	if next != nil {
		reply.NextTimer = next.UTC()
	}
}

// maxTimers bounds how many timers one call fires.
const maxTimers = 500

// fireTimers turns due timers into messages.
func (c *call) fireTimers(ctx context.Context, worker provider.WorkerID) {
	type timer struct {
		provider.WorkKey
		fireAt        time.Time
		unlessStarted bool
	}
	var due []timer
	c.each(ctx, `select part, iid, execution, event, fire_at, unless_started from @timer where part >= 0 and due <= statement_timestamp()
		order by due limit $1 for update skip locked`, args{maxTimers}, func(rows pgx.Rows) error {
		var t timer
		err := rows.Scan(&t.Part, &t.Row, &t.Execution, &t.Event, &t.fireAt, &t.unlessStarted)
		due = append(due, t)
		return err
	})
	for _, t := range due {
		c.exec(ctx, `delete from @timer where part = $1 and iid = $2 and execution = $3 and event = $4`, t.Part, t.Row, t.Execution, t.Event)
		i := c.instance(ctx, selectInstance, t.Part, t.Row)
		if i == nil || !i.running() || t.unlessStarted && !c.waiting(ctx, t.WorkKey) {
			continue
		}
		c.exec(ctx, `insert into @inbox (part, iid, name, kind, execution, event, at) values ($1, $2, '', $3, $4, $5, $6)`,
			t.Part, t.Row, provider.MessageTimerFired, t.Execution, t.Event, t.fireAt)
		c.hint(ctx, i, worker)
	}
}

// waiting reports whether a work item is there and has not been granted.
func (c *call) waiting(ctx context.Context, key provider.WorkKey) bool {
	var found int
	return c.first(ctx, `select 1 from @work where part = $1 and iid = $2 and execution = $3 and event = $4 and attempt = 0`,
		args{key.Part, key.Row, key.Execution, key.Event}, &found)
}

const (
	selectHeld = `select 1 from @work w where w.part = $1 and w.iid = $2 and w.execution = $3 and w.event = $4 and w.token = $5
		and coalesce(w.owner, 0) <> 0`
	lockHeld = selectHeld + ` for update skip locked`
)

// confirm tells the worker which work items it does not hold any more, and keeps the state of those it holds. Who has locked
// one is removing it, or else the next pulse brings its state again: nobody is waited for.
func (c *call) confirm(ctx context.Context, held []provider.HeldWork, reply *provider.PulseReply) {
	for _, k := range numbered(len(held), func(x, y int) int { return inWorkOrder(held[x].WorkKey, held[y].WorkKey) }) {
		w := &held[k]
		var found int
		key := args{w.Part, w.Row, w.Execution, w.Event, w.Token}
		switch {
		case w.State != nil && c.first(ctx, lockHeld, key, &found):
			c.exec(ctx, `update @work set state = $5 where part = $1 and iid = $2 and execution = $3 and event = $4`,
				w.Part, w.Row, w.Execution, w.Event, w.State)
		case !c.first(ctx, selectHeld, key, &found):
			reply.Gone = append(reply.Gone, w.WorkKey)
		}
	}
}

// RetireWorker implements provider.Provider.
func (p *Provider) RetireWorker(ctx context.Context, worker provider.WorkerID) error {
	return p.write(ctx, "retire_worker", 1, func(c *call) {
		if c.lockPresence(ctx, worker) != nil {
			c.exec(ctx, `delete from @presence where worker = $1`, worker)
		}
		// Its marks, and whatever else was rung for nobody.
		c.exec(ctx, `delete from @rung g where not exists (select from @presence p where g.mark in (p.turns_mark, p.work_mark))`)
		c.exec(ctx, `insert into @worker as w (id, name, joined_at, reaped_at, look_at)
			values ($1, '', statement_timestamp(), statement_timestamp(), statement_timestamp())
			on conflict (id) do update set reaped_at = coalesce(w.reaped_at, excluded.reaped_at), look_at = excluded.look_at`, worker)
		c.releaseDead(ctx)
	})
}

// How long the row of a dead worker is kept, for what late calls of it may take.
const rememberDead = time.Hour

// releaseDead takes everything from the workers that are dead and due for a look. A call of theirs that is under way may
// take something yet, so they are looked at again, in growing intervals; at once if something was locked.
func (c *call) releaseDead(ctx context.Context) {
	type dead struct {
		id  provider.WorkerID
		age time.Duration
	}
	var all []dead
	c.each(ctx, `select id, statement_timestamp() - reaped_at from @worker where look_at <= statement_timestamp() for update skip locked`,
		nil, func(rows pgx.Rows) error {
			var d dead
			err := rows.Scan(&d.id, &d.age)
			all = append(all, d)
			return err
		})
	for _, d := range all {
		c.releaseWork(ctx, d.id)
		c.releaseInstances(ctx, d.id)
		var left bool
		c.first(ctx, `select exists (select from @instance i where i.owner = $1)
				or exists (select from @work w where w.owner = $1 or w.owner is null and w.home = $1)`,
			args{d.id}, &left)
		switch {
		case left:
		case d.age > rememberDead:
			c.exec(ctx, `delete from @worker where id = $1`, d.id)
		default:
			c.exec(ctx, `update @worker set look_at = statement_timestamp() + $2::interval where id = $1`, d.id, max(d.age, 5*time.Second))
		}
	}
}

// releaseWork puts the work items that a worker has leased, or that it alone might have claimed, into the queues of their
// classes, but for those that are locked.
func (c *call) releaseWork(ctx context.Context, worker provider.WorkerID) {
	for _, w := range c.work(ctx, selectWork+`(w.owner = $1 or w.owner is null and w.home = $1)
			order by w.part, w.iid, w.execution, w.event for update of w skip locked`, worker) {
		c.exec(ctx, `update @work set owner = null, token = null, claim = null, home = null, due = clock_timestamp()
			where part = $1 and iid = $2 and execution = $3 and event = $4`, w.Part, w.Row, w.Execution, w.Event)
		c.news.ready = append(c.news.ready, w.Class)
	}
}

// releaseInstances frees the instances of a worker that are not locked. One with work left goes later: by it that work is
// found.
func (c *call) releaseInstances(ctx context.Context, worker provider.WorkerID) {
	for _, i := range c.instances(ctx, `select `+instanceColumns+` from @instance i where i.owner = $1
			and not exists (select from @work w where w.part = i.part and w.iid = i.iid and w.owner = $1)
		order by i.part, i.iid for update skip locked`, worker) {
		c.exec(ctx, `update @instance set owner = null, token = 0, claim = null where part = $1 and iid = $2`, i.Part, i.Row)
		if i.running() {
			c.hintLater(ctx, i.Ref, i.class, 0)
		}
	}
}
