package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	windowSize  = 512 // instances one session keeps alive at a time, a multiple of every batch
	instanceAge = 8   // turns after which the session moves on to another instance
)

// instance is what the owner of an instance remembers between turns.
type instance struct {
	part  int16
	iid   int64
	id    string
	seq   int32
	token pgtype.UUID
}

// pool hands out a shape's instances in the order they were created, and from
// the start again if they run out. Sessions therefore work on a moving window of young instances, as a
// server running many short orchestrations does.
type pool struct {
	all []*instance

	mu   sync.Mutex // guards next; sessions of one cell share the pool
	next int
}

// take returns the instance after the last one taken.
func (p *pool) take() *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.all[p.next%len(p.all)]
	p.next++
	return i
}

// pinning says how plans are kept generic and on indexes.
type pinning int

const (
	pinnedByFunction pinning = iota // SET clauses of the function
	pinnedBySession                 // the same settings on the connection
	unpinned
)

// callForm is the signature of the checkpoint function.
type callForm int

const (
	array callForm = iota
	scalar
)

// turnCell measures checkpoints of one shape through one form of call.
type turnCell struct {
	shape shape
	form  callForm
	batch int
	conns int
	pins  pinning
}

// sessions implements cell.
func (c turnCell) sessions() int { return c.conns }

// units implements cell: the turns in one call.
func (c turnCell) units() int { return c.batch }

// settings implements cell.
func (c turnCell) settings() [][2]string {
	if c.pins == pinnedBySession {
		return planSettings
	}
	return nil
}

// open implements cell: it prepares the call and fills the session's window.
func (c turnCell) open(ctx context.Context, b *bench, conn *pgx.Conn) (func(context.Context) error, error) {
	const name = "checkpoint"
	if _, err := conn.Prepare(ctx, name, c.sql()); err != nil {
		return nil, err
	}
	t := newTurner(c, b.pools[c.shape])
	return func(ctx context.Context) error {
		args := t.next()
		if _, err := conn.Exec(ctx, name, args...); err != nil {
			return err
		}
		t.commit()
		return nil
	}, nil
}

// sql is the statement of one call.
func (c turnCell) sql() string {
	function := "checkpoint_many"
	if c.form == scalar {
		function = "checkpoint_one"
	}
	if c.pins == pinnedByFunction {
		function += "_pinned"
	} else {
		function += "_free"
	}
	marks := ""
	for i := range len(c.shape.key.columns()) + 5 {
		marks += fmt.Sprintf(", $%d", i+1)
	}
	return fmt.Sprintf("select %s.%s(%s)", c.shape.schema(), function, marks[2:])
}

// turner makes the arguments of one session's calls.
type turner struct {
	cell   turnCell
	pool   *pool
	window []aged
	at     int

	picked   []*instance
	parts    pgtype.FlatArray[int16]
	iids     pgtype.FlatArray[int64]
	ids      pgtype.FlatArray[string]
	seqs     pgtype.FlatArray[int32]
	tokens   pgtype.FlatArray[pgtype.UUID]
	requests pgtype.FlatArray[pgtype.UUID]
	turns    pgtype.FlatArray[[]byte]
	inputs   pgtype.FlatArray[[]byte]
}

// aged is an instance and the turns it has had since it entered the window.
type aged struct {
	*instance
	turns int
}

// newTurner fills a window from the pool.
func newTurner(c turnCell, p *pool) *turner {
	t := &turner{cell: c, pool: p, window: make([]aged, windowSize)}
	for i := range t.window {
		t.window[i] = aged{p.take(), i % instanceAge}
	}
	return t
}

// next picks the instances of the next call and returns its arguments.
func (t *turner) next() []any {
	t.picked = t.picked[:0]
	for range t.cell.batch {
		t.picked = append(t.picked, t.pick())
	}
	slices.SortFunc(t.picked, func(a, b *instance) int {
		return cmp.Or(cmp.Compare(a.part, b.part), cmp.Compare(a.iid, b.iid), cmp.Compare(a.id, b.id))
	})
	t.fill()
	if t.cell.form == scalar {
		return t.scalarArgs()
	}
	return t.arrayArgs()
}

// pick returns the next instance of the window, replacing one that is old. All
// instances get a turn before one gets another, in an order shuffled each time.
func (t *turner) pick() *instance {
	if t.at == 0 {
		rand.Shuffle(len(t.window), func(i, j int) { t.window[i], t.window[j] = t.window[j], t.window[i] })
	}
	slot := &t.window[t.at]
	t.at = (t.at + 1) % len(t.window)
	if slot.turns >= instanceAge {
		*slot = aged{t.pool.take(), 0}
	}
	slot.turns++
	return slot.instance
}

// fill sets the argument arrays from the picked instances.
func (t *turner) fill() {
	t.parts, t.iids, t.ids, t.seqs = t.parts[:0], t.iids[:0], t.ids[:0], t.seqs[:0]
	t.tokens, t.requests = t.tokens[:0], t.requests[:0]
	t.turns, t.inputs = t.turns[:0], t.inputs[:0]
	for _, i := range t.picked {
		t.parts = append(t.parts, i.part)
		t.iids = append(t.iids, i.iid)
		t.ids = append(t.ids, i.id)
		t.seqs = append(t.seqs, i.seq)
		t.tokens = append(t.tokens, i.token)
		t.requests = append(t.requests, randomUUID())
		t.turns = append(t.turns, turnPayload)
		t.inputs = append(t.inputs, inputPayload)
	}
}

// arrayArgs are the arguments of checkpoint_many.
func (t *turner) arrayArgs() []any {
	var args []any
	if t.cell.shape.key.parts > 0 {
		args = append(args, t.parts)
	}
	if t.cell.shape.key.text {
		args = append(args, t.ids)
	} else {
		args = append(args, t.iids)
	}
	return append(args, t.seqs, t.tokens, t.requests, t.turns, t.inputs)
}

// scalarArgs are the arguments of checkpoint_one.
func (t *turner) scalarArgs() []any {
	var args []any
	if t.cell.shape.key.parts > 0 {
		args = append(args, t.parts[0])
	}
	if t.cell.shape.key.text {
		args = append(args, t.ids[0])
	} else {
		args = append(args, t.iids[0])
	}
	return append(args, t.seqs[0], t.tokens[0], t.requests[0], t.turns[0], t.inputs[0])
}

// commit remembers that the last call was applied.
func (t *turner) commit() {
	for n, i := range t.picked {
		i.seq++
		i.token = t.requests[n]
	}
}

// randomUUID makes a request id. It need not be unguessable here.
func randomUUID() pgtype.UUID {
	u := pgtype.UUID{Valid: true}
	for i := 0; i < len(u.Bytes); i += 8 {
		v := rand.Uint64()
		for j := range 8 {
			u.Bytes[i+j] = byte(v >> (8 * j))
		}
	}
	return u
}

// turnPayload is a turn of three events, about 600 bytes.
var turnPayload = mustJSON([]map[string]any{
	{"type": "ActivityCompleted", "seq": 41, "at": "2025-01-02T03:04:05.678901Z", "of": 38, "result": filler(150)},
	{"type": "TurnCompleted", "seq": 42, "at": "2025-01-02T03:04:05.678901Z", "status": filler(20)},
	{"type": "ActivityScheduled", "seq": 43, "at": "2025-01-02T03:04:05.678901Z", "name": "charge-card", "input": filler(150)},
})

// inputPayload is an activity's input, about 200 bytes.
var inputPayload = mustJSON(map[string]any{"name": "charge-card", "input": filler(165)})

// filler is text of n bytes.
func filler(n int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	text := make([]byte, n)
	for i := range text {
		text[i] = alphabet[(i*i+7*i)%len(alphabet)]
	}
	return string(text)
}

// mustJSON marshals a constant.
func mustJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
