// Command eternal shows continue-as-new: a countdown over several executions, and a service that lives for ever in
// small executions and takes configuration changes by external events, none of which is lost in between.
//
// It prints:
//
//	countdown: done in execution 6
//	service: work at verbose, work at quiet, stopped in execution 4 with level quiet
package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/examples/internal/program"
)

func main() {
	program.Main(register, run)
}

func register(app *pawl.App) {
	pawl.RegisterOrchestration(app, Countdown)
	pawl.RegisterOrchestration(app, Service)
	pawl.RegisterActivity(app, Work)
}

// Countdown ends its execution at each step and starts the next with a fresh history.
func Countdown(o *pawl.Context, n int) (string, error) {
	if n > 0 {
		return "", pawl.ContinueAsNew(n - 1)
	}
	return fmt.Sprintf("done in execution %d", o.Execution()), nil
}

// Config is what a Service carries from one execution to the next.
type Config struct {
	Level string
	Log   []string
}

// Request is what a Service is asked to do.
type Request struct {
	SetLevel string // "" leaves it
	Stop     bool   // otherwise work
}

// Work does one piece of work.
func Work(ctx context.Context, level string) (string, error) { return "work at " + level, nil }

// Service takes one request in each execution. Requests that arrive while it works, or between two executions, wait in
// its inbox in order of arrival.
func Service(o *pawl.Context, c Config) (string, error) {
	request, err := pawl.Event[Request](o, "request").Await()
	switch {
	case err != nil:
		return "", err
	case request.Stop:
		return fmt.Sprintf("%s, stopped in execution %d with level %s", strings.Join(c.Log, ", "), o.Execution(), c.Level), nil
	case request.SetLevel != "":
		c.Level = request.SetLevel
	default:
		done, err := pawl.Activity(o, Work, c.Level).Await()
		if err != nil {
			return "", err
		}
		c.Log = append(c.Log, done)
	}
	return "", pawl.ContinueAsNew(c)
}

func run(ctx context.Context, app *pawl.App) error {
	countdown, err := pawl.Start(ctx, app, Countdown, 5, nil)
	if err != nil {
		return err
	}
	answer, err := countdown.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println("countdown:", answer)

	service, err := pawl.Start(ctx, app, Service, Config{Level: "verbose"}, nil)
	if err != nil {
		return err
	}
	for _, r := range []Request{{}, {SetLevel: "quiet"}, {}, {Stop: true}} {
		if err := pawl.Raise(ctx, app, service.InstanceID(), "request", r, nil); err != nil {
			return err
		}
	}
	answer, err = service.Result(ctx)
	fmt.Println("service:", answer)
	return err
}
