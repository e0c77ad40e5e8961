package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const riverModule = "github.com/riverqueue/river"

// riverConns is the size of River's pool, that of DBOS's.
const riverConns = 20

var riverBatch = system{
	name: "river", backend: onPostgres, module: riverModule,
	says: "a bare job: Insert to the event of its recorded completion; LISTEN, FetchCooldown 1 ms, 1,000 workers; " +
		"completions are recorded in batches, at most 250 ms late, which cannot be set",
	shapes: []shape{shapeHello},
	open:   func(ctx context.Context, e *surroundings) (*opened, error) { return openRiver(ctx, e, false) },
}

var riverTx = system{
	name: "river-tx", backend: onPostgres, module: riverModule,
	says:   "the same, but the job completes itself in a transaction of its own (JobCompleteTx) and is observed when that is committed",
	shapes: []shape{shapeHello},
	open:   func(ctx context.Context, e *surroundings) (*opened, error) { return openRiver(ctx, e, true) },
}

// greetArgs are the arguments of the one kind of job.
type greetArgs struct {
	Name string `json:"name"`
}

// Kind implements river.JobArgs.
func (greetArgs) Kind() string { return "greet" }

// greeter works jobs; in its own transactions if it has a pool.
type greeter struct {
	river.WorkerDefaults[greetArgs]
	pool *pgxpool.Pool // nil: completion is River's
	jobs *jobResults
}

// Work implements river.Worker.
func (g *greeter) Work(ctx context.Context, job *river.Job[greetArgs]) error {
	result := greeting(job.Args.Name)
	if err := river.RecordOutput(ctx, result); err != nil || g.pool == nil {
		return err
	}
	err := pgx.BeginFunc(ctx, g.pool, func(tx pgx.Tx) error {
		_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
		return err
	})
	if err == nil {
		g.jobs.deliver(job.ID, result)
	}
	return err
}

// jobResults brings the results of jobs to those who wait for them, whoever comes first.
type jobResults struct {
	mu    sync.Mutex
	boxes map[int64]chan string
}

// box is where the result of a job is put. Each is asked for twice: by who delivers and by who waits.
func (r *jobResults) box(id int64) chan string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if box := r.boxes[id]; box != nil {
		delete(r.boxes, id)
		return box
	}
	box := make(chan string, 1)
	r.boxes[id] = box
	return box
}

func (r *jobResults) deliver(id int64, result string) { r.box(id) <- result }

// await waits for the result of a job.
func (r *jobResults) await(ctx context.Context, id int64) (string, error) {
	select {
	case result := <-r.box(id):
		return result, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// observe delivers results as River reports completions, until there are no more events.
func (r *jobResults) observe(events <-chan *river.Event) {
	for event := range events {
		var result string
		if err := json.Unmarshal(event.Job.Output(), &result); err != nil {
			result = fmt.Sprintf("no output: %v", err) // shows as a wrong result
		}
		r.deliver(event.Job.ID, result)
	}
}

// openRiver migrates and starts a client that inserts and works.
func openRiver(ctx context.Context, e *surroundings, ownTransactions bool) (_ *opened, err error) {
	config, err := pgxpool.ParseConfig(e.url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = riverConns
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			pool.Close()
		}
	}()
	driver := riverpgxv5.New(pool)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: e.logger})
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	jobs := &jobResults{boxes: map[int64]chan string{}}
	worker := &greeter{jobs: jobs}
	if ownTransactions {
		worker.pool = pool
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, worker)
	client, err := river.NewClient(driver, &river.Config{
		Logger: e.logger, Workers: workers, FetchCooldown: time.Millisecond,
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: slots}},
	})
	if err != nil {
		return nil, err
	}
	return startRiver(ctx, e, client, pool, jobs, !ownTransactions)
}

// startRiver starts the client and, if asked, the delivery of completions by its events.
func startRiver(ctx context.Context, e *surroundings, client *river.Client[pgx.Tx], pool *pgxpool.Pool, jobs *jobResults, observe bool) (*opened, error) {
	var observers sync.WaitGroup
	unsubscribe := func() {}
	if observe {
		var events <-chan *river.Event
		events, unsubscribe = client.SubscribeConfig(&river.SubscribeConfig{
			ChanSize: 100_000, Kinds: []river.EventKind{river.EventKindJobCompleted},
		})
		observers.Go(func() { jobs.observe(events) })
	}
	if err := client.Start(ctx); err != nil {
		unsubscribe()
		observers.Wait()
		return nil, err
	}
	return &opened{
		units: map[shape]unit{shapeHello: func(ctx context.Context, n int64) error {
			inserted, err := client.Insert(ctx, greetArgs{Name: nameOf(n)}, nil)
			if err != nil {
				return err
			}
			got, err := jobs.await(ctx, inserted.Job.ID)
			return checked(got, greeting(nameOf(n)), err)
		}},
		close: func() {
			if err := client.Stop(context.WithoutCancel(ctx)); err != nil {
				e.logger.WarnContext(ctx, "stop river", "error", err)
			}
			unsubscribe()
			observers.Wait()
			pool.Close()
		},
	}, nil
}
