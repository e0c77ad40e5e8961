package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

const (
	temporalModule    = "go.temporal.io/sdk"
	temporalTaskQueue = "peers"
	temporalNamespace = "default"
)

var temporalPostgres = system{
	name: "temporal", backend: onPostgres, module: temporalModule,
	says: "server " + temporalServerVersion + " with its tables in the same PostgreSQL (pgx plugin, 4 shards, poll limit lifted); " +
		"eager workflow start, eager activities",
	shapes: flows,
	open: func(ctx context.Context, e *surroundings) (*opened, error) {
		return openTemporal(ctx, e, startTemporalServer, false)
	},
}

var temporalPostgresLocal = system{
	name: "temporal-local", backend: onPostgres, module: temporalModule,
	says:   "the same with local activities, whose results are recorded together when the workflow task ends",
	shapes: flows,
	open: func(ctx context.Context, e *surroundings) (*opened, error) {
		return openTemporal(ctx, e, startTemporalServer, true)
	},
}

var temporalDev = system{
	name: "temporal-dev", backend: onItsOwn, module: temporalModule,
	says: "dev server of CLI " + temporalCLIVersion + " (server 1.29.1) on a SQLite file of its own, poll limit lifted; " +
		"eager workflow start, eager activities",
	shapes: flows,
	open: func(ctx context.Context, e *surroundings) (*opened, error) {
		return openTemporal(ctx, e, startTemporalDev, false)
	},
}

var temporalDevLocal = system{
	name: "temporal-dev-local", backend: onItsOwn, module: temporalModule,
	says:   "the same with local activities",
	shapes: flows,
	open: func(ctx context.Context, e *surroundings) (*opened, error) {
		return openTemporal(ctx, e, startTemporalDev, true)
	},
}

// openTemporal starts a server, a client and a worker.
func openTemporal(ctx context.Context, e *surroundings, start func(context.Context, *surroundings) (*daemon, error), local bool) (*opened, error) {
	server, err := start(ctx, e)
	if err != nil {
		return nil, err
	}
	logger := log.NewStructuredLogger(e.logger)
	c, err := dialTemporal(ctx, client.Options{HostPort: server.address, Namespace: temporalNamespace, Logger: logger})
	if err != nil {
		server.stop()
		return nil, server.explain(err)
	}
	eager := fanOutWidth
	w := worker.New(c, temporalTaskQueue, worker.Options{
		MaxConcurrentActivityExecutionSize: slots, MaxConcurrentLocalActivityExecutionSize: slots,
		MaxConcurrentWorkflowTaskExecutionSize: slots, MaxEagerActivityReservationsPerWorkflowTask: &eager,
		WorkflowTaskPollerBehavior: worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
		ActivityTaskPollerBehavior: worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
	})
	flow := temporalWorkflows{local: local}
	w.RegisterWorkflowWithOptions(flow.hello, workflow.RegisterOptions{Name: "hello"})
	w.RegisterWorkflowWithOptions(flow.sequence, workflow.RegisterOptions{Name: "sequence"})
	w.RegisterWorkflowWithOptions(flow.fanOut, workflow.RegisterOptions{Name: "fanOut"})
	w.RegisterActivity(temporalGreet)
	w.RegisterActivity(temporalIncrement)
	w.RegisterActivity(temporalSquare)
	stop := func() { w.Stop(); c.Close(); server.stop() }
	if err := w.Start(); err != nil {
		c.Close()
		server.stop()
		return nil, err
	}
	units := temporalCalls(c).units()
	if err := untilWorking(ctx, units[shapeHello]); err != nil {
		stop()
		return nil, server.explain(err)
	}
	return &opened{units: units, daemons: []int{server.pid}, close: stop}, nil
}

// dialTemporal connects as soon as the server answers and has the namespace.
func dialTemporal(ctx context.Context, options client.Options) (client.Client, error) {
	var c client.Client
	return c, retry(ctx, time.Minute, func(ctx context.Context) (err error) {
		c, err = client.DialContext(ctx, options)
		return err
	})
}

// untilWorking returns when a first unit, numbered out of the way of the others, has been done.
func untilWorking(ctx context.Context, hello unit) error {
	n := int64(0)
	return retry(ctx, time.Minute, func(ctx context.Context) error {
		n--
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return hello(ctx, n)
	})
}

// retry repeats a call that fails until it succeeds or the time is up.
func retry(ctx context.Context, patience time.Duration, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := call(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %v: %w", patience, errors.Join(context.Cause(ctx), err))
		case <-tick.C:
		}
	}
}

func temporalCalls(c client.Client) workflows {
	return workflows{
		hello: func(ctx context.Context, key, name string) (string, error) {
			return temporalRun[string](ctx, c, "hello", key, name)
		},
		sequence: func(ctx context.Context, key string, start int) (int, error) {
			return temporalRun[int](ctx, c, "sequence", key, start)
		},
		fanOut: func(ctx context.Context, key string, width int) (int, error) {
			return temporalRun[int](ctx, c, "fanOut", key, width)
		},
	}
}

// temporalRun starts a workflow and waits for its result, again if a call was given up by the server or the connection:
// under load calls are.
func temporalRun[O any](ctx context.Context, c client.Client, name, key string, input any) (O, error) {
	options := client.StartWorkflowOptions{
		ID: key, TaskQueue: temporalTaskQueue, EnableEagerStart: true,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE, // a repeated start finds the first
	}
	for {
		var result O
		run, err := c.ExecuteWorkflow(ctx, options, name, input)
		if err == nil {
			err = run.Get(ctx, &result)
		}
		if err == nil || ctx.Err() != nil || !givenUp(err) {
			return result, err
		}
	}
}

// givenUp tells whether a call may be repeated.
func givenUp(err error) bool {
	var (
		deadline    *serviceerror.DeadlineExceeded
		canceled    *serviceerror.Canceled
		unavailable *serviceerror.Unavailable
	)
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &deadline) || errors.As(err, &canceled) || errors.As(err, &unavailable)
}

func temporalGreet(_ context.Context, name string) (string, error) { return greeting(name), nil }

func temporalIncrement(_ context.Context, n int) (int, error) { return n + 1, nil }

func temporalSquare(_ context.Context, n int) (int, error) { return n * n, nil }

// temporalWorkflows are the workflows, with ordinary or local activities.
type temporalWorkflows struct{ local bool }

// activity schedules one.
func (t temporalWorkflows) activity(ctx workflow.Context, fn, input any) workflow.Future {
	retries := &temporal.RetryPolicy{MaximumAttempts: 3}
	if t.local {
		ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: time.Minute, RetryPolicy: retries})
		return workflow.ExecuteLocalActivity(ctx, fn, input)
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute, RetryPolicy: retries})
	return workflow.ExecuteActivity(ctx, fn, input)
}

func (t temporalWorkflows) hello(ctx workflow.Context, name string) (string, error) {
	var result string
	err := t.activity(ctx, temporalGreet, name).Get(ctx, &result)
	return result, err
}

func (t temporalWorkflows) sequence(ctx workflow.Context, n int) (int, error) {
	for range sequenceLength {
		if err := t.activity(ctx, temporalIncrement, n).Get(ctx, &n); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func (t temporalWorkflows) fanOut(ctx workflow.Context, width int) (int, error) {
	squares := make([]workflow.Future, width)
	for i := range squares {
		squares[i] = t.activity(ctx, temporalSquare, i)
	}
	sum := 0
	for _, square := range squares {
		var n int
		if err := square.Get(ctx, &n); err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}
