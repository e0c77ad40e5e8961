// Command routing shows which process runs what: activities with a tag, an urgent order among others, and a session whose
// activities share what one of them has left in the memory of its process.
//
// It prints:
//
//	render: on the machine with a gpu
//	order of work: [first urgent ordinary bulk]
//	session: 3 lines of report.csv
//	after the session: nothing is left
package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/examples/internal/program"
)

func main() {
	program.MainWith(&pawl.Options{Tags: []string{"gpu"}, MaxActivities: 1}, register, run)
}

func register(app *pawl.App) {
	pawl.RegisterOrchestration(app, Film)
	pawl.RegisterOrchestration(app, Order)
	pawl.RegisterOrchestration(app, Report)
	pawl.RegisterActivity(app, Render)
	pawl.RegisterActivity(app, desk.Work, pawl.Name("Work"))
	pawl.RegisterActivity(app, files.Download, pawl.Name("Download"))
	pawl.RegisterActivity(app, files.Count, pawl.Name("Count"))
}

// Render runs where there is a gpu.
func Render(_ context.Context, scene string) (string, error) { return "on the machine with a gpu", nil }

// Film has a scene rendered; if nobody with a gpu is up within the hour it fails.
func Film(o *pawl.Context, scene string) (string, error) {
	return pawl.Activity(o, Render, scene, pawl.ActivityOptions{Tag: "gpu", ScheduleToStart: time.Hour}).Await()
}

// desk does one thing at a time.
var desk = workDesk{open: make(chan struct{})}

type workDesk struct {
	open chan struct{}
	mu   sync.Mutex
	done []string
}

// Work notes the order, once the desk is open.
func (d *workDesk) Work(ctx context.Context, order string) (string, error) {
	select {
	case <-d.open:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = append(d.done, order)
	return order, nil
}

// Order is worked on in its priority.
func Order(o *pawl.Context, order string) (string, error) {
	return pawl.Activity(o, desk.Work, order).Await()
}

// files are what this process has downloaded, by session.
var files = fileStore{lines: map[string][]string{}}

type fileStore struct {
	mu    sync.Mutex
	lines map[string][]string
	gone  sync.WaitGroup
}

// Download keeps a file for the other activities of the session, and lets go of it when the session ends.
func (s *fileStore) Download(ctx context.Context, name string) (string, error) {
	info, _ := pawl.ActivityInfoFrom(ctx)
	session, ok := pawl.SessionContext(ctx)
	if !ok {
		return "", pawl.NonRetryable(errors.New("downloads need a session"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines[info.SessionID] = []string{"a", "b", "c"}
	s.gone.Add(1)
	context.AfterFunc(session, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.lines, info.SessionID)
		s.gone.Done()
	})
	return name, nil
}

// Count reads what Download has kept.
func (s *fileStore) Count(ctx context.Context, _ string) (int, error) {
	info, _ := pawl.ActivityInfoFrom(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines[info.SessionID]), nil
}

// Report works on a file in one process. If that dies it begins again in another.
func Report(o *pawl.Context, name string) (string, error) {
	for {
		result, err := reportOnce(o, name)
		if !errors.Is(err, pawl.ErrSessionLost) {
			return result, err
		}
	}
}

func reportOnce(o *pawl.Context, name string) (string, error) {
	session, err := pawl.OpenSession(o, nil)
	if err != nil {
		return "", err
	}
	defer session.Close()
	in := pawl.ActivityOptions{Session: session}
	file, err := pawl.Activity(o, files.Download, name, in).Await()
	if err != nil {
		return "", err
	}
	n, err := pawl.Activity(o, files.Count, file, in).Await()
	return fmt.Sprintf("%d lines of %s", n, file), err
}

func run(ctx context.Context, app *pawl.App) error {
	film, err := pawl.Start(ctx, app, Film, "sunset", nil)
	if err != nil {
		return err
	}
	where, err := film.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println("render:", where)

	if err := prioritized(ctx, app); err != nil {
		return err
	}

	report, err := pawl.Start(ctx, app, Report, "report.csv", nil)
	if err != nil {
		return err
	}
	lines, err := report.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println("session:", lines)
	files.gone.Wait()
	files.mu.Lock()
	defer files.mu.Unlock()
	if len(files.lines) == 0 {
		fmt.Println("after the session: nothing is left")
	}
	return nil
}

// prioritized starts orders while the desk is busy with the first.
func prioritized(ctx context.Context, app *pawl.App) error {
	var runs []*pawl.Run[string]
	for _, order := range []struct {
		name     string
		priority pawl.Priority
	}{{"first", ""}, {"bulk", pawl.PriorityLow}, {"ordinary", ""}, {"urgent", pawl.PriorityHigh}} {
		run, err := pawl.Start(ctx, app, Order, order.name, &pawl.StartOptions{Priority: order.priority})
		if err != nil {
			return err
		}
		runs = append(runs, run)
	}
	close(desk.open)
	for _, run := range runs {
		if _, err := run.Result(ctx); err != nil {
			return err
		}
	}
	desk.mu.Lock()
	defer desk.mu.Unlock()
	fmt.Println("order of work:", slices.Clone(desk.done))
	return nil
}
