package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"github.com/pawlrun/pawl/provider"
)

// EnqueueMessages implements provider.Provider.
func (p *Provider) EnqueueMessages(ctx context.Context, messages []provider.NewMessage) ([]provider.ItemStatus, error) {
	const op = "enqueue_messages"
	var texts textCheck
	for n := range messages {
		texts.message(&messages[n])
	}
	if err := texts.problem(op); err != nil {
		return nil, err
	}
	statuses := make([]provider.ItemStatus, len(messages))
	if len(messages) == 0 {
		return statuses, nil
	}
	err := p.write(ctx, op, len(messages), durable, func(t *tx) {
		for n := range messages {
			m := &messages[n]
			statuses[n] = t.ifRunning(m.Target, func(target *instance) {
				t.deliver(target, m)
				if target.takes(m.Kind, m.Name) {
					t.hint(target, t.now)
				}
			})
		}
	})
	if err != nil {
		return nil, err
	}
	return statuses, nil
}

const insertMessage = `INSERT INTO inbox (iid, name, kind, execution, event, message_id, body, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

// deliver puts a message into the inbox of a running instance.
func (t *tx) deliver(target *instance, m *provider.NewMessage) { t.deliverOf(target, m, 0) }

// deliverOf is deliver for a message about something that an event of the target has scheduled.
func (t *tx) deliverOf(target *instance, m *provider.NewMessage, event int32) {
	var name any
	if m.Kind == provider.MessageExternalEvent {
		name = m.Name
	}
	t.exec(insertMessage, target.row, name, m.Kind, m.Execution, event, m.ID, text(m.Body), t.now)
}

const selectUnread = `SELECT ord, kind, execution, event, coalesce(name, ''), message_id, body, at FROM inbox
 WHERE iid = ? AND name IS ? ORDER BY ord LIMIT ?`

// unread returns the messages an instance can use now, in order: at most MaxMessages of each name.
func (t *tx) unread(i *instance) []provider.Message {
	messages := t.unreadNamed(nil, i.row, nil)
	names := 1
	for n, name := range i.waits {
		if slices.Contains(i.waits[:n], name) {
			continue
		}
		messages = t.unreadNamed(messages, i.row, name)
		names++
	}
	if names > 1 {
		slices.SortFunc(messages, func(a, b provider.Message) int { return cmp.Compare(a.Order, b.Order) })
	}
	return messages
}

func (t *tx) unreadNamed(messages []provider.Message, row int64, name any) []provider.Message {
	t.each(selectUnread, args{row, name, provider.MaxMessages}, func(rows *sql.Rows) error {
		var m provider.Message
		var at int64
		err := rows.Scan(&m.Order, &m.Kind, &m.Execution, &m.Event, &m.Name, &m.ID, &m.Body, &at)
		m.At = timeOf(at)
		messages = append(messages, m)
		return err
	})
	return messages
}

const (
	deleteMessage  = `DELETE FROM inbox WHERE ord = ? AND iid = ?`
	deleteMessages = `DELETE FROM inbox WHERE iid = ?`
)

// isReady reports whether a free instance has something to do, and the messages it can use.
func (t *tx) isReady(i *instance) ([]provider.Message, bool) {
	messages := t.unread(i)
	return messages, len(messages) > 0 || i.neverRun()
}
