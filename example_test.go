package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider/sqlite"
)

func Greet(ctx context.Context, name string) (string, error) { return "Hello, " + name + "!", nil }

func HelloWorld(o *pawl.Context, name string) (string, error) {
	return pawl.Activity(o, Greet, name).Await()
}

// Approval waits for a decision, but not for ever.
func Approval(o *pawl.Context, request string) (string, error) {
	decision := pawl.Event[string](o, "decision")
	timeout := pawl.Timer(o, 24*time.Hour)
	first, err := pawl.Select(decision, timeout)
	if err != nil {
		return "", err
	}
	if first == 1 {
		return request + ": nobody answered", nil
	}
	answer, err := decision.Await()
	return request + ": " + answer, err
}

// open starts an app on a store in memory.
func open(ctx context.Context, register func(*pawl.App)) (app *pawl.App, close func()) {
	store, err := sqlite.Open(ctx, ":memory:", nil)
	if err != nil {
		log.Fatal(err)
	}
	app = pawl.New(store, nil)
	register(app)
	if err := app.Start(ctx); err != nil {
		log.Fatal(err)
	}
	return app, func() {
		app.Stop(ctx)
		store.Close()
	}
}

func Example() {
	ctx := context.Background()
	app, stop := open(ctx, func(app *pawl.App) {
		pawl.RegisterOrchestration(app, HelloWorld)
		pawl.RegisterActivity(app, Greet)
	})
	defer stop()
	run, err := pawl.Start(ctx, app, HelloWorld, "Ada", &pawl.StartOptions{InstanceID: "hello-1"})
	if err != nil {
		log.Fatal(err)
	}
	greeting, err := run.Result(ctx)
	fmt.Println(greeting, err)

	_, err = pawl.Start(ctx, app, HelloWorld, "Bob", &pawl.StartOptions{InstanceID: "hello-1"})
	fmt.Println(errors.Is(err, pawl.ErrAlreadyExists))
	// Output:
	// Hello, Ada! <nil>
	// true
}

func ExampleSelect() {
	ctx := context.Background()
	app, stop := open(ctx, func(app *pawl.App) { pawl.RegisterOrchestration(app, Approval) })
	defer stop()
	run, err := pawl.Start(ctx, app, Approval, "holiday", &pawl.StartOptions{InstanceID: "holiday"})
	if err != nil {
		log.Fatal(err)
	}
	if err := pawl.Raise(ctx, app, "holiday", "decision", "yes", nil); err != nil {
		log.Fatal(err)
	}
	fmt.Println(run.Result(ctx))
	// Output: holiday: yes <nil>
}
