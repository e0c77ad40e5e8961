package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// The bounds of one transaction that several calls share.
const (
	maxSharedCalls = 128
	maxSharedTime  = 20 * time.Millisecond
)

// The pauses between attempts to get the lock that another process holds.
const (
	minPause = 50 * time.Microsecond
	maxPause = time.Millisecond
)

// durability says what must be true before a call is answered.
type durability uint8

const (
	// durable: the commit is on disk.
	durable durability = iota
	// lease: the commit survives this process. A power failure may undo it, but ends the holder of the lease too; any
	// later durable commit puts it on disk.
	lease
	// inspect: the call changes nothing and runs outside a transaction.
	inspect
)

// call is one piece of work for the writer.
type call struct {
	need  durability
	run   func(*tx)
	state atomic.Int32
	rows  int
	done  chan error // buffered, one answer
}

// The states of a call. Whoever moves it away from callQueued decides whether it runs.
const (
	callQueued int32 = iota
	callTaken
	callCancelled
)

// writer is the goroutine that owns the writing connection.
type writer struct {
	conn        *sql.Conn
	memory      bool
	busyTimeout time.Duration
	synchronous Synchronous // for durable commits
	current     Synchronous // what the connection is set to
	statements  map[string]*sql.Stmt
	hub         *hub
	queue       chan *call
	next        *call // taken from the queue, but not fit for the transaction that was under way
	stop        chan struct{}
	stopOnce    sync.Once
	stopped     chan struct{}
	closeErr    error // set before stopped is closed
	// lastTold remembers, per worker, the instances whose news its last fetch returned, in case it is repeated.
	lastTold map[int64]told
}

func startWriter(conn *sql.Conn, o Options, memory bool, h *hub) *writer {
	w := &writer{
		conn:        conn,
		memory:      memory,
		busyTimeout: o.BusyTimeout,
		synchronous: o.Synchronous,
		current:     o.Synchronous,
		statements:  map[string]*sql.Stmt{},
		hub:         h,
		queue:       make(chan *call, maxSharedCalls),
		stop:        make(chan struct{}),
		stopped:     make(chan struct{}),
		lastTold:    map[int64]told{},
	}
	go w.loop()
	return w
}

// do runs a call and returns when it is committed. A context that ends while the call is queued takes it back; once
// under way it is waited for, so that the outcome is always known.
func (w *writer) do(ctx context.Context, need durability, run func(*tx)) (rows int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	c := &call{need: need, run: run, done: make(chan error, 1)}
	select {
	case w.queue <- c:
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-w.stopped:
		return 0, errClosed
	}
	select {
	case err = <-c.done:
		return c.rows, err
	case <-ctx.Done():
		if c.state.CompareAndSwap(callQueued, callCancelled) {
			return 0, ctx.Err()
		}
	case <-w.stopped:
		if c.state.CompareAndSwap(callQueued, callCancelled) {
			return 0, errClosed
		}
	}
	err = <-c.done
	return c.rows, err
}

// close waits for the transaction under way, fails what is queued and closes the connection.
func (w *writer) close() error {
	w.stopOnce.Do(func() { close(w.stop) })
	<-w.stopped
	return w.closeErr
}

func (w *writer) loop() {
	defer close(w.stopped)
	for {
		c := w.next
		w.next = nil
		if c == nil {
			select {
			case c = <-w.queue:
			case <-w.stop:
				w.closeErr = w.shutDown()
				return
			}
		}
		if c.need == inspect {
			w.inspect(c)
		} else {
			w.transact(c)
		}
	}
}

func (w *writer) shutDown() error {
	var err error
	for _, s := range w.statements {
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, w.conn.Close())
}

func (w *writer) inspect(c *call) {
	if !c.state.CompareAndSwap(callQueued, callTaken) {
		return
	}
	t := w.newTx()
	c.run(t)
	c.rows = t.rows
	c.done <- t.err
}

// transact runs a call, and those that are queued meanwhile and fit, in one transaction. The replies and the
// notifications go out after the commit.
func (w *writer) transact(first *call) {
	if err := w.begin(first.need); err != nil {
		w.failQueued(first, err)
		return
	}
	began := time.Now()
	var shared []*call
	var news effects
	for c := first; c != nil; c = w.joining(first.need, len(shared), began) {
		if !c.state.CompareAndSwap(callQueued, callTaken) {
			continue
		}
		t, err := w.runInTransaction(c, len(shared) > 0)
		if err != nil {
			// The transaction is lost, and with it what the others did.
			w.rollback()
			for _, other := range shared {
				other.done <- err
			}
			c.done <- err
			return
		}
		if t.err != nil {
			c.done <- t.err
			if len(shared) == 0 {
				w.rollback()
				return
			}
			continue
		}
		c.rows = t.rows
		shared = append(shared, c)
		news.merge(&t.effects)
	}
	err := w.execute("COMMIT")
	if err != nil {
		w.rollback()
	}
	for _, c := range shared {
		c.done <- err
	}
	if err == nil {
		w.hub.publish(&news)
	}
}

// failQueued answers a call whose transaction could not begin, and with it those that have waited as long.
func (w *writer) failQueued(first *call, err error) {
	for c := first; c != nil; {
		if c.state.CompareAndSwap(callQueued, callTaken) {
			c.done <- err
		}
		select {
		case c = <-w.queue:
		default:
			c = nil
		}
	}
}

// joining returns a queued call that can share the transaction under way, nil if there is none.
func (w *writer) joining(need durability, calls int, began time.Time) *call {
	if calls == 0 || calls >= maxSharedCalls || time.Since(began) > maxSharedTime {
		return nil
	}
	select {
	case c := <-w.queue:
		if c.need <= lease && need <= c.need {
			return c
		}
		w.next = c
	default:
	}
	return nil
}

// runInTransaction runs one call; with others before it in the transaction, a savepoint keeps a failure its own. The
// error of the call is in the returned tx; an error of the transaction as a whole is returned.
func (w *writer) runInTransaction(c *call, others bool) (*tx, error) {
	if others {
		if err := w.execute("SAVEPOINT call"); err != nil {
			return nil, err
		}
	}
	t := w.newTx()
	c.run(t)
	if !others {
		return t, nil
	}
	if t.err != nil {
		if err := w.execute("ROLLBACK TO call"); err != nil {
			return nil, t.err
		}
	}
	return t, w.execute("RELEASE call")
}

func (w *writer) begin(need durability) error {
	want := w.synchronous
	if need == lease && want == SynchronousFull {
		want = SynchronousNormal
	}
	if want != w.current && !w.memory {
		// Not a prepared statement: this pragma takes effect when it is compiled.
		if _, err := w.conn.ExecContext(context.Background(), "PRAGMA synchronous = "+string(want)); err != nil {
			return err
		}
		w.current = want
	}
	return w.lock()
}

// lock begins a transaction, waiting for those of other processes. SQLite's own way of waiting sleeps for up to 100 ms
// at a time, which among busy processes makes the unlucky wait for ever; short random pauses let them take turns.
func (w *writer) lock() error {
	pause := minPause
	began := time.Now()
	for {
		err := w.execute("BEGIN IMMEDIATE")
		if resultCode(err) != codeBusy || time.Since(began) >= w.busyTimeout {
			return err
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-w.stop:
			return err
		}
		pause = min(2*pause, maxPause)
	}
}

// rollback ends a failed transaction. SQLite has often ended it already and then says that there is none.
func (w *writer) rollback() { _ = w.execute("ROLLBACK") }

// execute runs a statement that has neither parameters nor rows.
func (w *writer) execute(query string) error {
	s, err := w.prepare(query)
	if err != nil {
		return err
	}
	_, err = s.ExecContext(context.Background())
	return err
}

// prepare returns the statement of a query, prepared at its first use. All queries are constants of this package.
func (w *writer) prepare(query string) (*sql.Stmt, error) {
	if s := w.statements[query]; s != nil {
		return s, nil
	}
	s, err := w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	w.statements[query] = s
	return s, nil
}
