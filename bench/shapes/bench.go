package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	beforeCheckpoint = 102_400 // turns that fill the tables of measurePages
	afterCheckpoint  = 4096    // turns it measures, right after a checkpoint
)

// bench is one run: its control connection, what it created and what it found.
type bench struct {
	opts     options
	control  *pgx.Conn
	progress io.Writer
	pools    map[shape]*pool
	samples  map[cell][]sample
	disrupt  bool // a checkpoint fell into the interleaved run
	pages    map[keyForm]pageCosts
}

// pageCosts are figures of a key that show only in whole pages.
type pageCosts struct {
	walAfterCheckpoint float64 // bytes a turn; pages touched first are logged whole
	indexBytes         float64 // bytes of the history index a row
}

// newBench connects to the server.
func newBench(ctx context.Context, opts options, progress io.Writer) (*bench, error) {
	b := &bench{
		opts: opts, progress: progress,
		pools: map[shape]*pool{}, samples: map[cell][]sample{}, pages: map[keyForm]pageCosts{},
	}
	var err error
	b.control, err = b.connect(ctx, nil)
	return b, err
}

// close drops the throwaway schemas and disconnects. It connects again if an
// interrupt has cost the control connection.
func (b *bench) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if b.control.IsClosed() {
		conn, err := b.connect(ctx, nil)
		if err != nil {
			fmt.Fprintln(b.progress, "schemas named shapes_* are left behind:", err)
			return
		}
		b.control = conn
	}
	schemas := []string{"shapes_raw"}
	for s := range b.pools {
		schemas = append(schemas, s.schema())
	}
	for _, c := range claimCells() {
		schemas = append(schemas, c.schema())
	}
	for _, s := range schemas {
		if _, err := b.control.Exec(ctx, "drop schema if exists "+s+" cascade"); err != nil {
			fmt.Fprintf(b.progress, "schema %s is left behind: %v\n", s, err)
		}
	}
	_ = b.control.Close(ctx) // the process is about to end
}

// connect opens a connection with session settings.
func (b *bench) connect(ctx context.Context, settings [][2]string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(b.opts.store)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["client_min_messages"] = "warning"
	for _, s := range settings {
		config.RuntimeParams[s[0]] = s[1]
	}
	return pgx.ConnectConfig(ctx, config)
}

// run measures everything and writes the report.
func (b *bench) run(ctx context.Context, out io.Writer) error {
	cells := allCells()
	if err := b.create(ctx, cells); err != nil {
		return err
	}
	if err := b.interleave(ctx, cells); err != nil {
		return err
	}
	if err := b.measurePages(ctx); err != nil {
		return err
	}
	return b.report(ctx, out)
}

// create takes a checkpoint and then makes the tables that last for the whole
// run. Every page of the run is thus newer than the checkpoint and needs no
// full-page image.
func (b *bench) create(ctx context.Context, cells []cell) error {
	if err := b.checkpoint(ctx); err != nil {
		return err
	}
	if err := (rawCell{}).create(ctx, b.control); err != nil {
		return err
	}
	for _, c := range cells {
		if c, ok := c.(claimCell); ok {
			if err := c.create(ctx, b.control); err != nil {
				return err
			}
		}
	}
	return nil
}

// renew makes the schema of a shape anew, so that each measurement of each
// shape starts from the same state.
func (b *bench) renew(ctx context.Context, s shape) error {
	all, err := s.create(ctx, b.control, b.opts.instances)
	b.pools[s] = &pool{all: all}
	return err
}

// interleave measures every cell once a round, each round in another order.
func (b *bench) interleave(ctx context.Context, cells []cell) error {
	redo, err := b.redoPosition(ctx)
	if err != nil {
		return err
	}
	warm, window := limit{time: b.opts.cell / 4}, limit{time: b.opts.cell}
	for round := range b.opts.rounds {
		fmt.Fprintf(b.progress, "round %d of %d\n", round+1, b.opts.rounds)
		for _, i := range rand.Perm(len(cells)) {
			if err := b.measureOnce(ctx, cells[i], warm, window); err != nil {
				return fmt.Errorf("measure %+v: %w", cells[i], err)
			}
		}
	}
	after, err := b.redoPosition(ctx)
	b.disrupt = after != redo
	return err
}

// measureOnce adds one sample of the cell, and one of the yardstick right
// before it so that the yardstick is spread over the whole run.
func (b *bench) measureOnce(ctx context.Context, c cell, warm, window limit) error {
	short := limit{time: window.time / 5}
	yard, err := b.measure(ctx, rawCell{}, limit{calls: 20}, short)
	if err != nil {
		return err
	}
	b.samples[rawCell{}] = append(b.samples[rawCell{}], yard)
	if c == (rawCell{}) {
		return nil
	}
	if t, ok := c.(turnCell); ok {
		if err := b.renew(ctx, t.shape); err != nil {
			return err
		}
	}
	s, err := b.measure(ctx, c, warm, window)
	if err != nil {
		return err
	}
	b.samples[c] = append(b.samples[c], s)
	return nil
}

// measurePages finds what each key costs in whole pages.
func (b *bench) measurePages(ctx context.Context) error {
	for _, k := range keyForms() {
		costs, err := b.measureKeyPages(ctx, k)
		if err != nil {
			return fmt.Errorf("measure pages of %s: %w", k, err)
		}
		b.pages[k] = costs
	}
	return nil
}

// measureKeyPages is measurePages for one key: it fills the tables, takes a
// checkpoint and measures the WAL of the turns that follow.
func (b *bench) measureKeyPages(ctx context.Context, k keyForm) (pageCosts, error) {
	fill := turnCell{shape: shape{k, "json"}, batch: 128, conns: 1}
	if err := b.renew(ctx, fill.shape); err != nil {
		return pageCosts{}, err
	}
	if _, err := b.measure(ctx, fill, limit{calls: 1}, limit{calls: beforeCheckpoint / fill.batch}); err != nil {
		return pageCosts{}, err
	}
	if err := b.checkpoint(ctx); err != nil {
		return pageCosts{}, err
	}
	c := turnCell{shape: fill.shape, batch: 32, conns: 1}
	s, err := b.measure(ctx, c, limit{calls: 1}, limit{calls: afterCheckpoint / c.batch})
	if err != nil {
		return pageCosts{}, err
	}
	size, err := c.shape.indexBytesPerRow(ctx, b.control)
	return pageCosts{s.wal, size}, err
}

// checkpoint makes the server take a checkpoint.
func (b *bench) checkpoint(ctx context.Context) error {
	if _, err := b.control.Exec(ctx, "checkpoint"); err != nil {
		return fmt.Errorf("the role must be allowed to run CHECKPOINT: %w", err)
	}
	return nil
}

// walPosition is the server's WAL insert position in bytes.
func (b *bench) walPosition(ctx context.Context) (float64, error) {
	var at float64
	err := b.control.QueryRow(ctx, "select (pg_current_wal_insert_lsn() - '0/0')::float8").Scan(&at)
	return at, err
}

// redoPosition changes whenever the server takes a checkpoint.
func (b *bench) redoPosition(ctx context.Context) (string, error) {
	var at string
	err := b.control.QueryRow(ctx, "select redo_lsn::text from pg_control_checkpoint()").Scan(&at)
	return at, err
}
