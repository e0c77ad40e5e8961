// Command versions shows two versions of an orchestration side by side: which one a new instance gets, how a running one
// keeps its own, how a long-lived one moves on to the next, and a patch for a change that needs no new version.
//
// It prints:
//
//	new instance: version 2.0.0 says "with gift wrap"
//	asked for 1.4.0: version 1.4.0 says "as it always was"
//	long-lived: version 1.4.0
//	long-lived, moved on: version 2.0.0 says "with gift wrap"
package main

import (
	"context"
	"fmt"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/examples/internal/program"
)

func main() {
	program.Main(register, run)
}

func register(app *pawl.App) {
	pawl.RegisterOrchestration(app, OrderV1, pawl.Name("Order"), pawl.Version("1.4.0"))
	pawl.RegisterOrchestration(app, Order, pawl.Version("2.0.0"))
	pawl.RegisterActivity(app, Pack)
}

// Pack packs an order.
func Pack(_ context.Context, how string) (string, error) { return how, nil }

// OrderV1 stays as it is for as long as there are instances that were started with it.
func OrderV1(o *pawl.Context, wait bool) (string, error) {
	if wait {
		if _, err := pawl.Event[string](o, "move on").Await(); err != nil {
			return "", err
		}
		return "", pawl.ContinueAsNew(false, pawl.ContinueWithVersion("2.0.0"))
	}
	return pawl.Activity(o, Pack, "as it always was").Await()
}

// Order is the version of now. It was changed after its first instances had begun, within the same version.
func Order(o *pawl.Context, _ bool) (string, error) {
	how := "in a bag"
	if pawl.Patched(o, "gift-wrap") {
		how = "with gift wrap"
	}
	return pawl.Activity(o, Pack, how).Await()
}

func run(ctx context.Context, app *pawl.App) error {
	newest, err := pawl.Start(ctx, app, Order, false, nil)
	if err != nil {
		return err
	}
	if err := show(ctx, app, newest, "new instance"); err != nil {
		return err
	}
	older, err := pawl.StartByName[string](ctx, app, "Order", false, &pawl.StartOptions{Version: "1.4.0"})
	if err != nil {
		return err
	}
	if err := show(ctx, app, older, "asked for 1.4.0"); err != nil {
		return err
	}
	long, err := pawl.Start(ctx, app, OrderV1, true, nil) // the function is registered as one version: that is the one
	if err != nil {
		return err
	}
	in, err := app.Describe(ctx, long.InstanceID())
	if err != nil {
		return err
	}
	fmt.Printf("long-lived: version %s\n", in.Version)
	if err := pawl.Raise(ctx, app, long.InstanceID(), "move on", "", nil); err != nil {
		return err
	}
	return show(ctx, app, long, "long-lived, moved on")
}

// show waits for the result of an instance and says which version it came from.
func show(ctx context.Context, app *pawl.App, run *pawl.Run[string], what string) error {
	result, err := run.Result(ctx)
	if err != nil {
		return err
	}
	in, err := app.Describe(ctx, run.InstanceID())
	if err != nil {
		return err
	}
	fmt.Printf("%s: version %s says %q\n", what, in.Version, result)
	return nil
}
