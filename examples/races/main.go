// Command races shows who comes first: an activity against a timer, an activity against an external event, an external
// event against the time it has.
//
// It prints:
//
//	report: timed out
//	order 1: shipped by the warehouse
//	order 2: cancelled by the customer: changed my mind
//	payment 1: nobody paid
//	payment 2: paid 100
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
	pawl.RegisterOrchestration(app, Report)
	pawl.RegisterOrchestration(app, Order)
	pawl.RegisterOrchestration(app, Payment)
	pawl.RegisterActivity(app, MakeReport)
	pawl.RegisterActivity(app, Ship)
}

// MakeReport is slower than anybody waits.
func MakeReport(ctx context.Context, title string) (string, error) {
	return "report on " + title, pause(ctx, time.Second)
}

// pause ends early when the context does: when the app stops, or nobody needs the result any more.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Report gives a slow activity a time limit. The timer is durable: it fires at its time whatever dies meanwhile.
func Report(o *pawl.Context, limit time.Duration) (string, error) {
	report := pawl.Activity(o, MakeReport, "sales")
	timeout := pawl.Timer(o, limit)
	first, err := pawl.Select(report, timeout)
	switch {
	case err != nil:
		return "", err
	case first == 1:
		report.Cancel("nobody waits any longer") // its context ends
		return "timed out", nil
	}
	return report.Await()
}

// Ship takes long for the second order.
func Ship(ctx context.Context, order int) (string, error) {
	if order == 2 {
		return "shipped late", pause(ctx, time.Second)
	}
	return "shipped by the warehouse", nil
}

// Order ends with whichever comes first: the shipment, or the customer's cancellation.
func Order(o *pawl.Context, number int) (string, error) {
	shipped := pawl.Activity(o, Ship, number)
	cancelled := pawl.Event[string](o, "cancel")
	first, err := pawl.Select(shipped, cancelled)
	switch {
	case err != nil:
		return "", err
	case first == 0:
		return shipped.Await()
	}
	why, err := cancelled.Await()
	return "cancelled by the customer: " + why, err
}

// Payment waits for one event, but not for ever.
func Payment(o *pawl.Context, limit time.Duration) (string, error) {
	amount, err := pawl.EventWithin[int](o, "paid", limit)
	if errors.Is(err, pawl.ErrTimeout) {
		return "nobody paid", nil
	}
	return fmt.Sprint("paid ", amount), err
}

func run(ctx context.Context, app *pawl.App) error {
	report, err := pawl.Start(ctx, app, Report, 50*time.Millisecond, nil)
	if err != nil {
		return err
	}
	answer, err := report.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println("report:", answer)

	first, err := pawl.Start(ctx, app, Order, 1, nil)
	if err != nil {
		return err
	}
	if answer, err = first.Result(ctx); err != nil {
		return err
	}
	fmt.Println("order 1:", answer)

	second, err := pawl.Start(ctx, app, Order, 2, nil)
	if err != nil {
		return err
	}
	if err := pawl.Raise(ctx, app, second.InstanceID(), "cancel", "changed my mind", nil); err != nil {
		return err
	}
	if answer, err = second.Result(ctx); err != nil {
		return err
	}
	fmt.Println("order 2:", answer)
	return payments(ctx, app)
}

// payments starts one that nobody pays, and one together with the event it waits for.
func payments(ctx context.Context, app *pawl.App) error {
	unpaid, err := pawl.Start(ctx, app, Payment, 50*time.Millisecond, nil)
	if err != nil {
		return err
	}
	answer, err := unpaid.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println("payment 1:", answer)
	paid, err := pawl.Start(ctx, app, Payment, time.Hour, &pawl.StartOptions{Events: []pawl.StartEvent{{Name: "paid", Payload: 100}}})
	if err != nil {
		return err
	}
	answer, err = paid.Result(ctx)
	fmt.Println("payment 2:", answer)
	return err
}
