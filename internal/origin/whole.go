package origin

import (
	"context"
	"errors"

	"github.com/pawlrun/pawl"
)

// wholeApp begins the stage in which Pawl runs as it does in any program, with default options.
func wholeApp(ctx context.Context, s *stage) (greeter, func(context.Context) error, error) {
	app := pawl.New(s.store, &pawl.Options{Logger: s.logger})
	if err := errors.Join(pawl.RegisterOrchestration(app, helloWorld), pawl.RegisterActivity(app, greet)); err != nil {
		return nil, nil, err
	}
	if err := app.Start(ctx); err != nil {
		return nil, nil, err
	}
	hello := func(ctx context.Context, instanceID, name string) (string, error) {
		run, err := pawl.Start(ctx, app, helloWorld, name, &pawl.StartOptions{InstanceID: instanceID})
		if err != nil {
			return "", err
		}
		return run.Result(ctx)
	}
	return hello, app.Stop, nil
}

func helloWorld(o *pawl.Context, name string) (string, error) {
	return pawl.Activity(o, greet, name).Await()
}

func greet(_ context.Context, name string) (string, error) { return greetingFor(name), nil }
