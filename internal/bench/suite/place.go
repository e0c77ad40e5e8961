package suite

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/pawlrun/pawl/internal/bench"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/postgres"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// place is where a run happens: a store of its own, what is beside it, and what watches it.
type place struct {
	log    *slog.Logger
	direct string // URL of the database, "" for SQLite
	schema string
	server *bench.Server // nil for SQLite
	detour *bench.Detour // nil without a delay
	file   string        // of SQLite
	memory *sqlite.Provider
}

// raw16 is the number of connections of the yardstick for throughput.
const raw16 = 16

// newPlace makes a place. Remove it at the end.
func newPlace(ctx context.Context, o *Options) (*place, error) {
	p := &place{log: o.Logger}
	var err error
	switch {
	case o.Target.Postgres != "":
		err = p.makePostgres(ctx, o)
	case o.Target.Memory:
		p.file = sqlite.Memory
		p.memory, err = sqlite.Open(ctx, sqlite.Memory, &sqlite.Options{Logger: o.Logger})
	default:
		var random [6]byte
		rand.Read(random[:])
		p.file = filepath.Join(o.Target.Directory, bench.SchemaPrefix+hex.EncodeToString(random[:])+".db")
	}
	if err != nil {
		return nil, errors.Join(err, p.remove(ctx))
	}
	return p, nil
}

func (p *place) makePostgres(ctx context.Context, o *Options) (err error) {
	p.direct = o.Target.Postgres
	if o.RTT > 0 { // first: what is refused here needs no server
		if p.detour, err = bench.NewDetour(p.direct, o.RTT); err != nil {
			return err
		}
	}
	if p.server, err = bench.ConnectServer(ctx, p.direct); err != nil {
		return err
	}
	p.schema, err = bench.CreateSchema(ctx, p.direct)
	return err
}

// url is the way the workloads take to the database.
func (p *place) url() string {
	if p.detour != nil {
		return p.detour.URL
	}
	return p.direct
}

// kept is a store that outlives those who use it.
type kept struct{ *sqlite.Provider }

// Close implements provider.Provider. It closes nothing: the place does.
func (kept) Close() error { return nil }

// open opens the store in its default configuration.
func (p *place) open(ctx context.Context) (provider.Provider, error) {
	switch {
	case p.memory != nil:
		return kept{p.memory}, nil
	case p.direct == "":
		store, err := sqlite.Open(ctx, p.file, &sqlite.Options{Logger: p.log})
		if err != nil {
			return nil, err
		}
		return store, nil
	}
	store, err := postgres.Open(ctx, p.url(), &postgres.Options{Schema: p.schema, Logger: p.log})
	if err != nil {
		return nil, err
	}
	return store, nil
}

// raw measures the raw limit the way the workloads go, and what a commit costs.
func (p *place) raw(ctx context.Context, connections int, d time.Duration) (Yardstick, error) {
	var before, after reading
	observe := func(run func() error) (err error) {
		if before, err = p.read(ctx); err != nil {
			return err
		}
		if err = run(); err == nil {
			after, err = p.read(ctx)
		}
		return err
	}
	var y Yardstick
	var err error
	if p.direct != "" {
		y.Raw, err = bench.RawPostgres(ctx, p.url(), p.schema, connections, d, observe)
	} else {
		y.Raw, err = bench.RawSQLite(ctx, p.rawFile(), d, observe)
	}
	if err != nil {
		return y, err
	}
	y.Cost = after.costSince(before, len(y.Took))
	return y, nil
}

func (p *place) rawFile() string {
	if p.memory != nil {
		return p.file
	}
	return p.file + "-raw"
}

// describe says what was measured, and what is to be known about it.
func (p *place) describe(ctx context.Context) (Store, []string, error) {
	if p.direct == "" {
		s := Store{Kind: "sqlite", Where: filepath.Dir(p.file), Durable: p.memory == nil,
			Setting: []bench.Setting{{Name: "journal_mode", Value: "wal"}, {Name: "synchronous", Value: "full"}}}
		if p.memory != nil {
			s.Where, s.Setting = p.file, nil
			return s, []string{"the store is in memory: nothing is durable"}, nil
		}
		if bench.InMemory(s.Where) {
			s.Durable = false
			return s, []string{fmt.Sprintf("%s is a file system in memory: nothing is durable, what is measured is speed by durability switched off", s.Where)}, nil
		}
		return s, nil, nil
	}
	settings, err := p.server.Settings(ctx)
	if err != nil {
		return Store{}, nil, err
	}
	warnings := bench.Undurable(settings)
	s := Store{Kind: "postgres", Schema: p.schema, Durable: len(warnings) == 0, Setting: settings}
	if u, err := url.Parse(p.direct); err == nil { // without its user and parameters
		s.Where = u.Host + u.Path
		if u.Host == "" { // a socket, or what the environment says
			s.Where = u.Query().Get("host") + u.Path
		}
	}
	return s, warnings, nil
}

// remove takes away everything the run has made. It does so after an interrupt too.
func (p *place) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	var errs []error
	if p.detour != nil {
		p.detour.Close()
	}
	if p.schema != "" {
		errs = append(errs, bench.DropSchema(ctx, p.direct, p.schema))
	}
	if p.server != nil {
		errs = append(errs, p.server.Close(ctx))
	}
	switch {
	case p.memory != nil:
		errs = append(errs, p.memory.Close())
	case p.file != "":
		for _, file := range []string{p.file, p.rawFile()} {
			for _, suffix := range []string{"", "-wal", "-shm"} {
				if err := os.Remove(file + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
					errs = append(errs, err)
				}
			}
		}
	}
	return errors.Join(errs...)
}
