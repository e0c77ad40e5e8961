package inline

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/provider"
)

// storedName is the name under which an external event is kept. Messages of the engine have the empty one, by which they
// are found; so a name of nothing but U+0001 gets one more of them.
func storedName(name string) string {
	if strings.Trim(name, "\x01") == "" {
		return name + "\x01"
	}
	return name
}

// givenName is the inverse of storedName; the empty name stays.
func givenName(stored string) string {
	if strings.Trim(stored, "\x01") == "" && stored != "" {
		return stored[1:]
	}
	return stored
}

// inboxName is the name under which a message is kept.
func inboxName(m *provider.NewMessage) string {
	if m.Kind == provider.MessageExternalEvent {
		return storedName(m.Name)
	}
	return ""
}

// EnqueueMessages implements provider.Provider.
func (p *Provider) EnqueueMessages(ctx context.Context, messages []provider.NewMessage) ([]provider.ItemStatus, error) {
	if len(messages) == 0 {
		return nil, nil
	}
	outgoing := make([]outgoing, len(messages))
	for n := range messages {
		outgoing[n].NewMessage = &messages[n]
	}
	var statuses []provider.ItemStatus
	err := p.write(ctx, "enqueue_messages", len(messages), func(c *call) {
		statuses, _ = c.send(ctx, &sender{}, outgoing)
	})
	if err != nil {
		return nil, err
	}
	return statuses, nil
}

// outgoing is a message on its way; take is the token its target is asked for under, 0 if it is not.
type outgoing struct {
	*provider.NewMessage
	take provider.Token
}

// sender is who sends messages.
type sender struct {
	worker provider.WorkerID
	serves []provider.ClassID
	// own are instances whose inbox the sender reads later in the same call: they need neither hint nor grant.
	own map[provider.Ref]bool
	// items are the instances of all items of the call: they are granted by their own items or not at all.
	items map[provider.Ref]bool
}

const insertMessage = `insert into @inbox (part, iid, name, kind, execution, message_id, body, at)
	values ($1, $2, $3, $4, $5, $6, $7, statement_timestamp())`

// send puts messages into the inboxes of their targets and returns the answers and the targets that were granted. It
// locks no instance but those it is granted, and waits for none.
func (c *call) send(ctx context.Context, s *sender, messages []outgoing) (statuses []provider.ItemStatus, granted []*instance) {
	statuses = make([]provider.ItemStatus, len(messages))
	reached := make(map[provider.Ref]provider.Token) // targets, with the first token they were asked for under
	var targets []*instance
	for n, m := range messages {
		target := c.instance(ctx, selectInstanceNamed, c.p.partOf(m.Target), m.Target)
		switch {
		case target == nil:
			statuses[n] = provider.NotFound
			continue
		case !target.running():
			statuses[n] = provider.Gone
			continue
		}
		statuses[n] = provider.Applied
		c.exec(ctx, insertMessage, target.Part, target.Row, inboxName(m.NewMessage), m.Kind, m.Execution, m.ID, m.Body)
		if s.own[target.Ref] {
			continue
		}
		take, known := reached[target.Ref]
		if !known {
			targets = append(targets, target)
		}
		if take == 0 {
			reached[target.Ref] = m.take
		}
	}
	for _, target := range targets {
		if s.items[target.Ref] {
			reached[target.Ref] = 0
		}
		if free := c.takeFree(ctx, target.Ref, s.worker, s.serves, reached[target.Ref]); free != nil {
			granted = append(granted, free)
		} else {
			c.hint(ctx, target, s.worker)
		}
	}
	return statuses, granted
}

// takeFree leases an instance under a token, unless it is held, parked, of another class or just locked by somebody.
func (c *call) takeFree(ctx context.Context, ref provider.Ref, worker provider.WorkerID, serves []provider.ClassID, token provider.Token) *instance {
	if token == 0 || worker == 0 {
		return nil
	}
	i := c.instance(ctx, lockFreeInstance, ref.Part, ref.Row, numbers(serves))
	if i != nil {
		c.take(ctx, i, worker, token, 0)
	}
	return i
}

// insertHint makes an instance known as worth a look after a delay. Like all that comes into a queue it must be due no earlier
// than its transaction got its number (see "Low water" in the migration), so something else is always written before it.
const insertHint = `insert into @hint (part, class, due, iid) values ($1, $2, clock_timestamp() + $3::interval, $4)`

// hint says that an instance may be ready, or has news for its holder.
func (c *call) hint(ctx context.Context, i *instance, by provider.WorkerID) {
	c.exec(ctx, insertHint, i.Part, i.class, time.Duration(0), i.Row)
	if i.owner == 0 {
		c.news.ready = append(c.news.ready, i.class)
	} else if i.owner != by {
		c.news.owners = append(c.news.owners, i.owner)
	}
}

const selectUnread = `select m.ord, m.kind, m.execution, m.event, m.name, m.message_id, m.body, m.at
	from (select *, row_number() over (partition by name order by ord) nth
	        from @inbox where part = $1 and iid = $2 and name = any($3)) m
	where m.nth <= $4 order by m.ord`

// unread returns the messages an instance can use now. It must come after the statement that locked the instance: what
// that one waited for has committed by then.
func (c *call) unread(ctx context.Context, i *instance) []provider.Message {
	names := append([]string{""}, i.waits...)
	var messages []provider.Message
	c.each(ctx, selectUnread, args{i.Part, i.Row, names, provider.MaxMessages}, func(rows pgx.Rows) error {
		var m provider.Message
		err := rows.Scan(&m.Order, &m.Kind, &m.Execution, &m.Event, &m.Name, &m.ID, &m.Body, &m.At)
		m.Name, m.At = givenName(m.Name), m.At.UTC()
		messages = append(messages, m)
		return err
	})
	return messages
}
