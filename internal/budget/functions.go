package budget

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pawlrun/pawl"
)

// Names the functions are registered under.
const (
	sequenceName = "sequence"
	fanOutName   = "fan-out"
	stepName     = "step"
	hereName     = "step-here"
	thereName    = "step-there"
)

// plan is the input of the orchestrations.
type plan struct {
	// Activities are the names of the activities, taken in turns.
	Activities []string
	// Count is how many activities there are to run.
	Count int
	// Pause is how long an activity takes, times 0 to 4.
	Pause time.Duration
	// Bytes is the length of the result.
	Bytes int
	// Session has the activities of a sequence run in a session.
	Session bool
}

// scheduled schedules the activity with number i.
func (p *plan) scheduled(o *pawl.Context, i int, options ...pawl.ActivityOptions) *pawl.Future[int] {
	name := p.Activities[i%len(p.Activities)]
	return pawl.ActivityByName[int](o, name, stepInput{Number: i, Pause: time.Duration(i%5) * p.Pause}, options...)
}

// sequence runs one activity after the other.
func sequence(o *pawl.Context, p plan) (string, error) {
	var options []pawl.ActivityOptions
	if p.Session {
		session, err := pawl.OpenSession(o, nil)
		if err != nil {
			return "", err
		}
		defer session.Close()
		options = append(options, pawl.ActivityOptions{Session: session})
	}
	for i := range p.Count {
		if _, err := p.scheduled(o, i, options...).Await(); err != nil {
			return "", err
		}
	}
	return strings.Repeat("x", p.Bytes), nil
}

// fanOut runs all activities at once.
func fanOut(o *pawl.Context, p plan) (string, error) {
	futures := make([]*pawl.Future[int], p.Count)
	for i := range futures {
		futures[i] = p.scheduled(o, i)
	}
	numbers, err := pawl.All(futures...)
	if err == nil && len(numbers) != p.Count {
		err = fmt.Errorf("%d results of %d activities", len(numbers), p.Count)
	}
	return strings.Repeat("x", p.Bytes), err
}

// stepInput is the input of the activity.
type stepInput struct {
	Number int
	Pause  time.Duration
}

func step(ctx context.Context, in stepInput) (int, error) {
	if in.Pause > 0 {
		t := time.NewTimer(in.Pause)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return in.Number, nil
}

// registration adds functions to an app.
type registration func(*pawl.App) error

func orchestrations(app *pawl.App) error {
	return errors.Join(pawl.RegisterOrchestration(app, sequence, pawl.Name(sequenceName)),
		pawl.RegisterOrchestration(app, fanOut, pawl.Name(fanOutName)))
}

func activities(names ...string) registration {
	return func(app *pawl.App) error {
		var errs []error
		for _, name := range names {
			errs = append(errs, pawl.RegisterActivity(app, step, pawl.Name(name)))
		}
		return errors.Join(errs...)
	}
}

// bystanders are ten functions that nobody calls: what is registered must not cost anything.
func bystanders(app *pawl.App) error {
	var errs []error
	for i := range 5 {
		errs = append(errs, pawl.RegisterOrchestration(app, sequence, pawl.Name(fmt.Sprint("idle-orchestration-", i))),
			pawl.RegisterActivity(app, step, pawl.Name(fmt.Sprint("idle-activity-", i))))
	}
	return errors.Join(errs...)
}
