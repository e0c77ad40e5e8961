// Command fanout shows work done in parallel and joined: two greetings, a hundred squares, and a batch of which some
// fail.
//
// It prints:
//
//	Hello, Gabbar! Hello, Samba!
//	sum of the squares up to 100: 338350
//	checked 5: 3 good, errors: activity "Check": bad number 2; activity "Check": bad number 4
package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/examples/internal/program"
)

func main() {
	program.Main(register, run)
}

func register(app *pawl.App) {
	pawl.RegisterOrchestration(app, GreetBoth)
	pawl.RegisterOrchestration(app, SumOfSquares)
	pawl.RegisterOrchestration(app, CheckAll)
	pawl.RegisterActivity(app, Greet)
	pawl.RegisterActivity(app, Square)
	pawl.RegisterActivity(app, Check)
}

// Greet says hello.
func Greet(ctx context.Context, name string) (string, error) { return "Hello, " + name + "!", nil }

// Square squares.
func Square(ctx context.Context, n int) (int, error) { return n * n, nil }

// Check dislikes even numbers.
func Check(ctx context.Context, n int) (int, error) {
	if n%2 == 0 {
		return 0, fmt.Errorf("bad number %d", n)
	}
	return n, nil
}

// GreetBoth schedules two activities before it awaits either: they run at the same time.
func GreetBoth(o *pawl.Context, names [2]string) (string, error) {
	first := pawl.Activity(o, Greet, names[0])
	second := pawl.Activity(o, Greet, names[1])
	greetings, err := pawl.All(first, second)
	return strings.Join(greetings, " "), err
}

// SumOfSquares fans out to n activities and joins them. Results come in the order of the futures, whatever finished
// first.
func SumOfSquares(o *pawl.Context, n int) (int, error) {
	squares := make([]*pawl.Future[int], n)
	for i := range squares {
		squares[i] = pawl.Activity(o, Square, i+1)
	}
	results, err := pawl.All(squares...)
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, r := range results {
		sum += r
	}
	return sum, nil
}

// CheckAll goes on when some of the work fails: All waits for everything and joins the errors.
func CheckAll(o *pawl.Context, n int) (string, error) {
	checks := make([]*pawl.Future[int], n)
	for i := range checks {
		checks[i] = pawl.Activity(o, Check, i+1)
	}
	results, err := pawl.All(checks...)
	good := 0
	for _, r := range results {
		if r != 0 {
			good++
		}
	}
	return fmt.Sprintf("checked %d: %d good, errors: %s", n, good, strings.ReplaceAll(err.Error(), "\n", "; ")), nil
}

func run(ctx context.Context, app *pawl.App) error {
	both, err := pawl.Start(ctx, app, GreetBoth, [2]string{"Gabbar", "Samba"}, nil)
	if err != nil {
		return err
	}
	squares, err := pawl.Start(ctx, app, SumOfSquares, 100, nil)
	if err != nil {
		return err
	}
	checks, err := pawl.Start(ctx, app, CheckAll, 5, nil)
	if err != nil {
		return err
	}
	greetings, err := both.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println(greetings)
	sum, err := squares.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println("sum of the squares up to 100:", sum)
	summary, err := checks.Result(ctx)
	fmt.Println(summary)
	return err
}
