// Command status shows how a client follows an instance that it does not wait for: describe it, look again until it
// ends, attach to it by id for the result, and what the errors of misaddressed calls are.
//
// It prints:
//
//	after the start: Deploy, running, execution 1
//	in the end: completed
//	result: deployed v2
//	unknown id: not found
//	same id again: already exists
//	event to a finished instance: not running
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/examples/internal/program"
)

func main() {
	program.Main(register, run)
}

func register(app *pawl.App) {
	pawl.RegisterOrchestration(app, Deploy)
}

// Deploy waits for a signature before it is done.
func Deploy(o *pawl.Context, version string) (string, error) {
	if _, err := pawl.Event[string](o, "signed").Await(); err != nil {
		return "", err
	}
	return "deployed " + version, nil
}

func run(ctx context.Context, app *pawl.App) error {
	deploy, err := pawl.Start(ctx, app, Deploy, "v2", nil)
	if err != nil {
		return err
	}
	id := deploy.InstanceID()
	now, err := app.Describe(ctx, id)
	if err != nil {
		return err
	}
	fmt.Printf("after the start: %s, %s, execution %d\n", now.Name, now.Status, now.Execution)
	if err := pawl.Raise(ctx, app, id, "signed", "Ada", nil); err != nil {
		return err
	}
	last, err := poll(ctx, app, id)
	if err != nil {
		return err
	}
	fmt.Println("in the end:", last.Status)

	again, err := pawl.Attach[string](app, id) // also from another process, also after the end
	if err != nil {
		return err
	}
	answer, err := again.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println("result:", answer)

	_, unknown := app.Describe(ctx, id+"?")
	_, exists := pawl.Start(ctx, app, Deploy, "v3", &pawl.StartOptions{InstanceID: id})
	ended := pawl.Raise(ctx, app, id, "signed", "Lin", nil)
	fmt.Println("unknown id:", reason(unknown))
	fmt.Println("same id again:", reason(exists))
	fmt.Println("event to a finished instance:", reason(ended))
	return nil
}

// poll looks at an instance until it has ended. Who only wants the result does better with Run.Result, which is told.
func poll(ctx context.Context, app *pawl.App, id string) (*pawl.Instance, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		in, err := app.Describe(ctx, id)
		if err != nil || !in.EndedAt.IsZero() {
			return in, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// reason tells the errors of clients apart.
func reason(err error) string {
	switch {
	case errors.Is(err, pawl.ErrNotFound):
		return "not found"
	case errors.Is(err, pawl.ErrAlreadyExists):
		return "already exists"
	case errors.Is(err, pawl.ErrNotRunning):
		return "not running"
	}
	return fmt.Sprint(err)
}
