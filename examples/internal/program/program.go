// Package program is what the example programs share: the flag that chooses the store, an app that is started and
// stopped in order, and the exit code. examples/hello shows the same steps written out.
package program

import (
	"context"
	"errors"
	"flag"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/cli"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// Main runs an example: register declares its functions, run does the work with the started app.
func Main(register func(*pawl.App), run func(context.Context, *pawl.App) error) {
	MainWith(nil, register, run)
}

// MainWith is Main for an app with options.
func MainWith(opts *pawl.Options, register func(*pawl.App), run func(context.Context, *pawl.App) error) {
	store := flag.String("store", sqlite.Memory, "where to keep the state: a file, "+sqlite.Memory+" or a postgres:// URL")
	flag.Parse()
	log.SetFlags(0)
	if err := start(*store, opts, register, run); err != nil {
		log.Fatal(err)
	}
}

// start connects an app, runs the example with it and stops it again. An interrupt ends the example early.
func start(storeName string, opts *pawl.Options, register func(*pawl.App), run func(context.Context, *pawl.App) error) (err error) {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	store, err := cli.OpenStore(ctx, storeName, slog.Default())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	app := pawl.New(store, opts)
	register(app)
	if err := app.Start(ctx); err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, app.Stop(stop))
	}()
	return run(ctx, app)
}
