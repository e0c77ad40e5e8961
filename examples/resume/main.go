// Command resume shows what survives a crash. Run it twice with the same file: the first run dies in the middle of the
// order, the second goes on from there. Charge does not run again; Ship, which was under way, does.
//
//	go run ./examples/resume --store resume.db
//	go run ./examples/resume --store resume.db
//
// The second run prints:
//
//	Ship: attempt 2
//	charged once, shipped
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/examples/internal/program"
)

func main() {
	program.Main(register, run)
}

func register(app *pawl.App) {
	pawl.RegisterOrchestration(app, Order)
	pawl.RegisterActivity(app, Charge)
	pawl.RegisterActivity(app, Ship)
}

// Order charges, then ships.
func Order(o *pawl.Context, _ struct{}) (string, error) {
	charged, err := pawl.Activity(o, Charge, 100).Await()
	if err != nil {
		return "", err
	}
	shipped, err := pawl.Activity(o, Ship, "book").Await()
	return charged + ", " + shipped, err
}

// Charge is what nobody wants to happen twice.
func Charge(ctx context.Context, amount int) (string, error) {
	info, _ := pawl.ActivityInfoFrom(ctx)
	fmt.Println("Charge: attempt", info.Attempt)
	return "charged once", nil
}

// Ship kills its process the first time it runs.
func Ship(ctx context.Context, what string) (string, error) {
	info, _ := pawl.ActivityInfoFrom(ctx)
	fmt.Println("Ship: attempt", info.Attempt)
	if info.Attempt == 1 {
		os.Exit(3)
	}
	return "shipped", nil
}

func run(ctx context.Context, app *pawl.App) error {
	const id = "order-1"
	order, err := pawl.Start(ctx, app, Order, struct{}{}, &pawl.StartOptions{InstanceID: id})
	if errors.Is(err, pawl.ErrAlreadyExists) { // this is the second run
		order, err = pawl.Attach[string](app, id)
	}
	if err != nil {
		return err
	}
	answer, err := order.Result(ctx)
	fmt.Println(answer)
	return err
}
