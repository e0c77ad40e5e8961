// Command activities shows what can be said about how an activity is run: how it is tried again, how long it may take, how
// a long one goes on where an earlier attempt was, and how a result comes from outside.
//
// It prints:
//
//	charge: paid at attempt 3
//	refuse: declined, not tried again
//	report: yesterday's, for the start-to-close timeout of today's
//	import: 6 rows, 3 of them before attempt 2
//	approval: granted by Ada
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
	pawl.RegisterOrchestration(app, Pay)
	pawl.RegisterOrchestration(app, Report)
	pawl.RegisterOrchestration(app, Import)
	pawl.RegisterOrchestration(app, Approve)
	pawl.RegisterActivity(app, Charge)
	pawl.RegisterActivity(app, MakeReport)
	pawl.RegisterActivity(app, ImportRows)
	pawl.RegisterActivity(app, AskForApproval)
}

// ErrDeclined is no accident: trying again does not help.
var ErrDeclined = pawl.ErrorKind("card-declined")

// Charge meets a busy bank twice. A real one would hand info.IdempotencyKey to the bank: it is the same in every attempt.
func Charge(ctx context.Context, card string) (string, error) {
	info, _ := pawl.ActivityInfoFrom(ctx)
	switch {
	case card == "stolen":
		return "", fmt.Errorf("bank: %w", ErrDeclined)
	case info.Attempt == 1:
		return "", errors.New("bank: busy")
	case info.Attempt == 2:
		return "", pawl.RetryAfter(errors.New("bank: closed for a moment"), 20*time.Millisecond)
	}
	return fmt.Sprintf("paid at attempt %d", info.Attempt), nil
}

// Pay has the charge tried five times at most. The tries are kept in the store: they survive crashes and deploys, and
// between them nothing waits in memory.
func Pay(o *pawl.Context, card string) (string, error) {
	paid, err := pawl.Activity(o, Charge, card, pawl.ActivityOptions{
		Retry: &pawl.RetryPolicy{MaxAttempts: 5, InitialDelay: 10 * time.Millisecond, NonRetryable: []error{ErrDeclined}},
	}).Await()
	var failed *pawl.ActivityError
	if errors.Is(err, ErrDeclined) && errors.As(err, &failed) && failed.Attempts == 1 {
		return "declined, not tried again", nil
	}
	return paid, err
}

// MakeReport takes too long today. It respects its context; if it did not, the attempt would end all the same.
func MakeReport(ctx context.Context, day string) (string, error) {
	if day == "today" {
		<-ctx.Done()
		return "", context.Cause(ctx)
	}
	return day + "'s", nil
}

// Report does not wait for long. The error says which limit has passed.
func Report(o *pawl.Context, day string) (string, error) {
	report, err := pawl.Activity(o, MakeReport, day, pawl.ActivityOptions{StartToClose: 50 * time.Millisecond}).Await()
	var timeout *pawl.TimeoutError
	if !errors.As(err, &timeout) {
		return report, err
	}
	report, err = pawl.Activity(o, MakeReport, "yesterday").Await()
	return fmt.Sprintf("%s, for the %v of today's", report, timeout), err
}

// ImportRows tells after each row how far it is. The next attempt goes on from there.
func ImportRows(ctx context.Context, rows int) (string, error) {
	info, _ := pawl.ActivityInfoFrom(ctx)
	done, _ := pawl.HeartbeatDetails[int](ctx)
	before := done
	for done < rows {
		done++ // row by row
		if err := pawl.Heartbeat(ctx, done); err != nil {
			return "", err // withdrawn, timed out or stopped
		}
		if info.Attempt == 1 && done == 3 {
			return "", errors.New("connection lost")
		}
	}
	return fmt.Sprintf("%d rows, %d of them before attempt %d", done, before, info.Attempt), nil
}

// Import ends an attempt that is silent for ten seconds.
func Import(o *pawl.Context, rows int) (string, error) {
	return pawl.Activity(o, ImportRows, rows, pawl.ActivityOptions{
		Heartbeat: 10 * time.Second,
		Retry:     &pawl.RetryPolicy{InitialDelay: 10 * time.Millisecond},
	}).Await()
}

// mail stands for the message to the one who approves.
var mail = make(chan string, 1)

// AskForApproval sends a token and leaves the result to whoever gets it.
func AskForApproval(ctx context.Context, what string) (string, error) {
	mail <- pawl.ActivityToken(ctx)
	return "", pawl.ErrResultPending
}

// Approve waits for a week at most; no process needs to be alive meanwhile.
func Approve(o *pawl.Context, what string) (string, error) {
	return pawl.Activity(o, AskForApproval, what, pawl.ActivityOptions{ScheduleToClose: 7 * 24 * time.Hour}).Await()
}

func run(ctx context.Context, app *pawl.App) error {
	for _, p := range []struct {
		name  string
		begin func() (*pawl.Run[string], error)
	}{
		{"charge", func() (*pawl.Run[string], error) { return pawl.Start(ctx, app, Pay, "good", nil) }},
		{"refuse", func() (*pawl.Run[string], error) { return pawl.Start(ctx, app, Pay, "stolen", nil) }},
		{"report", func() (*pawl.Run[string], error) { return pawl.Start(ctx, app, Report, "today", nil) }},
		{"import", func() (*pawl.Run[string], error) { return pawl.Start(ctx, app, Import, 6, nil) }},
	} {
		instance, err := p.begin()
		if err != nil {
			return err
		}
		answer, err := instance.Result(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %s\n", p.name, answer)
	}
	approval, err := pawl.Start(ctx, app, Approve, "a trip", nil)
	if err != nil {
		return err
	}
	if err := pawl.CompleteActivity(ctx, app, <-mail, "granted by Ada"); err != nil { // in any process
		return err
	}
	answer, err := approval.Result(ctx)
	fmt.Println("approval:", answer)
	return err
}
