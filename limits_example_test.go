package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// Scan finds more than may be handed on.
func Scan(_ context.Context, pages int) (string, error) { return strings.Repeat("page ", pages), nil }

func Archive(o *pawl.Context, pages int) (string, error) {
	return pawl.Activity(o, Scan, pages).Await()
}

// A result that is too large fails the activity, and the client learns which limit that is.
func ExampleLimits() {
	ctx := context.Background()
	store, err := sqlite.Open(ctx, ":memory:", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	app := pawl.New(store, &pawl.Options{Limits: pawl.Limits{PayloadBytes: 1000}})
	pawl.RegisterOrchestration(app, Archive)
	pawl.RegisterActivity(app, Scan)
	if err := app.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer app.Stop(ctx)
	run, err := pawl.Start(ctx, app, Archive, 300, &pawl.StartOptions{InstanceID: "atlas"})
	if err != nil {
		log.Fatal(err)
	}
	_, err = run.Result(ctx)
	var over *pawl.LimitError
	if errors.As(err, &over) {
		fmt.Println(errors.Is(err, pawl.ErrLimit), over)
	}
	// Output:
	// true result of activity Scan: 1502 is over the limit of 1000 (Options.Limits.PayloadBytes)
}
