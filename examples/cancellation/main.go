// Command cancellation shows how an instance is cancelled and cleans up, how code cancels part of what it has begun, and
// how operators suspend, resume and terminate.
//
// It prints:
//
//	trip: cancelled: the customer is ill
//	trip: booking 17 given back
//	quotes: the fast one, 10; the slow one was told to stop
//	approval: suspended, then approved by Ada
//	stuck: terminated: nobody will ever answer
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
	pawl.RegisterOrchestration(app, Trip)
	pawl.RegisterOrchestration(app, Quotes)
	pawl.RegisterOrchestration(app, Approval)
	pawl.RegisterActivity(app, CancelHotel)
	pawl.RegisterActivity(app, Quote)
}

var givenBack = make(chan int, 1)

// CancelHotel is the clean-up.
func CancelHotel(ctx context.Context, booking int) (int, error) {
	select {
	case givenBack <- booking:
	default: // an activity may run again
	}
	return booking, nil
}

// Trip waits for the day. If it is cancelled meanwhile the wait ends at once with an error; what must be done all the same
// is done in a detached context. Because it returns the cancellation its status is cancelled.
func Trip(o *pawl.Context, booking int) (string, error) {
	if err := pawl.Sleep(o, 30*24*time.Hour); err != nil {
		_, cleanUp := pawl.Activity(pawl.Detached(o), CancelHotel, booking).Await()
		return "", errors.Join(err, cleanUp)
	}
	return "had a good time", nil
}

var (
	asked   = make(chan struct{}) // the slow one has begun
	stopped = make(chan struct{}) // it was told to stop
)

// Quote is told by its context when nobody needs the answer any more.
func Quote(ctx context.Context, name string) (int, error) {
	if name == "fast" {
		<-asked
		return 10, nil
	}
	close(asked)
	<-ctx.Done()
	close(stopped)
	return 0, ctx.Err()
}

// Quotes asks two and takes the first answer. The context for the questions is cancelled with what is left of them.
func Quotes(o *pawl.Context, _ struct{}) (int, error) {
	questions, cancel := pawl.WithCancel(o)
	fast, slow := pawl.Activity(questions, Quote, "fast"), pawl.Activity(questions, Quote, "slow")
	first, err := pawl.Select(fast, slow)
	if err != nil {
		return 0, err
	}
	cancel("there is an answer")
	if first == 1 {
		return slow.Await()
	}
	return fast.Await()
}

// Approval waits for an event.
func Approval(o *pawl.Context, _ struct{}) (string, error) {
	return pawl.Event[string](o, "approved by").Await()
}

func run(ctx context.Context, app *pawl.App) error {
	trip, err := pawl.Start(ctx, app, Trip, 17, nil)
	if err != nil {
		return err
	}
	if err := app.Cancel(ctx, trip.InstanceID(), "the customer is ill"); err != nil {
		return err
	}
	_, err = trip.Result(ctx)
	why := (*pawl.CancelledError)(nil)
	if !errors.As(err, &why) {
		return fmt.Errorf("not cancelled: %w", err)
	}
	fmt.Println("trip:", why)
	fmt.Printf("trip: booking %d given back\n", <-givenBack)

	quotes, err := pawl.Start(ctx, app, Quotes, struct{}{}, nil)
	if err != nil {
		return err
	}
	price, err := quotes.Result(ctx)
	if err != nil {
		return err
	}
	<-stopped
	fmt.Printf("quotes: the fast one, %d; the slow one was told to stop\n", price)
	return operate(ctx, app)
}

// operate does what operators do.
func operate(ctx context.Context, app *pawl.App) error {
	approval, err := pawl.Start(ctx, app, Approval, struct{}{}, nil)
	if err != nil {
		return err
	}
	// While it is suspended nobody runs it, and nothing is lost.
	if err := app.Suspend(ctx, approval.InstanceID(), "audit"); err != nil {
		return err
	}
	if err := pawl.Raise(ctx, app, approval.InstanceID(), "approved by", "Ada", nil); err != nil {
		return err
	}
	if err := app.Resume(ctx, approval.InstanceID()); err != nil {
		return err
	}
	who, err := approval.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println("approval: suspended, then approved by", who)

	// Termination asks nobody, not even the code.
	stuck, err := pawl.Start(ctx, app, Approval, struct{}{}, nil)
	if err != nil {
		return err
	}
	if err := app.Terminate(ctx, stuck.InstanceID(), "nobody will ever answer", nil); err != nil {
		return err
	}
	_, err = stuck.Result(ctx)
	failure := (*pawl.Failure)(nil)
	if !errors.Is(err, pawl.ErrTerminated) || !errors.As(err, &failure) {
		return fmt.Errorf("not terminated: %w", err)
	}
	fmt.Println("stuck:", failure)
	return nil
}
