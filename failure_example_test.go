package pawl_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/pawlrun/pawl"
)

// ErrSoldOut is a kind of error; Left is what its details are.
const ErrSoldOut = pawl.ErrorKind("sold-out")

type Left struct{ Seats int }

func Reserve(_ context.Context, seats int) (string, error) {
	if seats > 2 {
		return "", &pawl.Error{Kind: ErrSoldOut, Message: "hall 3", Details: Left{2}}
	}
	return fmt.Sprintf("%d seats", seats), nil
}

func Book(o *pawl.Context, seats int) (string, error) {
	reserved, err := pawl.Activity(o, Reserve, seats).Await()
	if err != nil {
		return "", fmt.Errorf("book: %w", err)
	}
	return reserved, nil
}

// A kind of error and its details reach the client from an activity.
func ExampleErrorKind() {
	ctx := context.Background()
	app, stop := open(ctx, func(app *pawl.App) {
		pawl.RegisterOrchestration(app, Book)
		pawl.RegisterActivity(app, Reserve)
	})
	defer stop()
	run, err := pawl.Start(ctx, app, Book, 3, &pawl.StartOptions{InstanceID: "party"})
	if err != nil {
		log.Fatal(err)
	}
	_, err = run.Result(ctx)
	fmt.Println(err)
	left, ok := pawl.Details[Left](err)
	fmt.Println(errors.Is(err, ErrSoldOut), left.Seats, ok)
	// Output:
	// orchestration instance "party": book: activity "Reserve": hall 3
	// true 2 true
}
