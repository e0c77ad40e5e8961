package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres/internal/sqlstate"
)

// Waits between attempts to reconnect the listener.
const (
	firstReconnect = 100 * time.Millisecond
	lastReconnect  = 10 * time.Second
)

// Listen implements provider.Notifier on one connection of its own. Behind a pooler in transaction mode notifications
// may not arrive; then the pulse serves alone.
func (p *Provider) Listen(ctx context.Context, worker provider.WorkerID, notify func(provider.Notification)) error {
	var one sync.Mutex
	inTurn := func(n provider.Notification) {
		one.Lock()
		defer one.Unlock()
		notify(n)
	}
	nudging, end := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer end()
	tasks.Go(func() { p.nudges.listen(nudging, worker, inTurn) })
	return p.listen(ctx, worker, inTurn)
}

// listen keeps a connection that listens until ctx ends.
func (p *Provider) listen(ctx context.Context, worker provider.WorkerID, notify func(provider.Notification)) error {
	pause := firstReconnect
	for {
		connected, err := p.listenOnce(ctx, worker, notify)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if p.closed.Load() {
			return sqlstate.CallError(ctx, "listen", sqlstate.ErrClosed)
		}
		var server *pgconn.PgError
		if errors.As(err, &server) && sqlstate.Retry(server.Code) == provider.GiveUp {
			return sqlstate.CallError(ctx, "listen", err)
		}
		if connected {
			pause = firstReconnect
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		pause = min(2*pause, lastReconnect)
	}
}

// listenOnce listens until the connection breaks or ctx ends.
func (p *Provider) listenOnce(ctx context.Context, worker provider.WorkerID, notify func(provider.Notification)) (connected bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return false, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// The channel is named after the schema.
	if _, err := conn.PgConn().Exec(ctx, "listen "+p.schema).ReadAll(); err != nil {
		return false, err
	}
	// Whatever was sent while nobody listened is lost: look once.
	notify(provider.Notification{Kind: provider.NotifyReady})
	notify(provider.Notification{Kind: provider.NotifyWork})
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return true, fmt.Errorf("listen: %w", err)
		}
		if n.Channel == p.name {
			parseNotification(n.Payload, worker, notify)
		}
	}
}

// parseNotification splits a payload as notify_listeners_v1 writes it.
func parseNotification(payload string, worker provider.WorkerID, notify func(provider.Notification)) {
	me := strconv.FormatInt(int64(worker), 10)
	for record := range strings.SplitSeq(payload, "\x1e") {
		if record == "" {
			continue
		}
		kind, rest := record[0], record[1:]
		switch {
		case kind == 'r' && rest == me:
			notify(provider.Notification{Kind: provider.NotifyReady})
		case kind == 'w' && rest == me:
			notify(provider.Notification{Kind: provider.NotifyWork})
		case kind == 'h' && rest == me:
			notify(provider.Notification{Kind: provider.NotifyHeld})
		case kind == 's':
			notify(provider.Notification{Kind: provider.NotifyStatus, InstanceID: rest})
		case kind == 'e':
			notify(provider.Notification{Kind: provider.NotifyDone, InstanceID: rest})
		case kind == 'd':
			if state, err := parseState([]byte(rest)); err == nil {
				notify(provider.Notification{Kind: provider.NotifyDone, InstanceID: state.InstanceID, State: state})
			}
		}
	}
}
