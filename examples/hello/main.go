// Command hello is the smallest complete Pawl program: one orchestration that calls one activity.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider/sqlite"
)

// Greet is an activity: an ordinary function that may do anything.
func Greet(ctx context.Context, name string) (string, error) {
	return "Hello, " + name + "!", nil
}

// HelloWorld is an orchestration: it decides what happens, and its progress survives crashes.
func HelloWorld(o *pawl.Context, name string) (string, error) {
	return pawl.Activity(o, Greet, name).Await()
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	store, err := sqlite.Open(ctx, "hello.db", nil) // or postgres.Open(ctx, url, nil)
	if err != nil {
		return err
	}
	defer store.Close()

	app := pawl.New(store, nil)
	pawl.RegisterOrchestration(app, HelloWorld)
	pawl.RegisterActivity(app, Greet)
	if err := app.Start(ctx); err != nil {
		return err
	}
	defer app.Stop(ctx)

	greeting, err := pawl.Start(ctx, app, HelloWorld, "Ada", nil)
	if err != nil {
		return err
	}
	text, err := greeting.Result(ctx)
	fmt.Println(text)
	return err
}
