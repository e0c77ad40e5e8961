// Command queries shows how the outside looks into a running orchestration and changes it: a query, an update that is
// validated and answered, a custom status that is waited for, and values that anybody can read.
//
// It prints:
//
//	status: open, version 1
//	add 2 x tea: 2 lines
//	add 0 x cake: rejected: the quantity must be positive
//	add 1 x cup, sent twice: 3 lines, 3 lines
//	query: [2 x tea 1 x pot 1 x cup]
//	status: paid, version 2
//	result: 3 lines for Ada
//	query after the end: [2 x tea 1 x pot 1 x cup]
//	value after the end: Ada
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/examples/internal/program"
)

func main() {
	program.Main(register, run)
}

func register(app *pawl.App) {
	pawl.RegisterOrchestration(app, Basket)
}

// Line is one line of a basket.
type Line struct {
	Quantity int
	Article  string
}

// ErrQuantity says that nobody can buy so few.
const ErrQuantity = pawl.ErrorKind("quantity")

// Basket collects lines until it is paid for.
func Basket(o *pawl.Context, customer string) (string, error) {
	lines := []Line{}
	if err := errors.Join(
		pawl.HandleUpdate(o, "add", pawl.UpdateHandler[Line, int]{
			Validate: func(l Line) error {
				if l.Quantity <= 0 {
					return &pawl.Error{Kind: ErrQuantity, Message: "the quantity must be positive"}
				}
				return nil
			},
			Handle: func(l Line) (int, error) {
				lines = append(lines, l)
				if l.Article == "tea" {
					lines = append(lines, Line{1, "pot"}) // comes with it
				}
				return len(lines), nil
			},
		}),
		pawl.HandleQuery(o, "lines", func(struct{}) ([]Line, error) { return lines, nil }),
		pawl.SetCustomStatus(o, "open"),
		pawl.SetValue(o, "customer", customer),
	); err != nil {
		return "", err
	}
	if _, err := pawl.Event[string](o, "pay").Await(); err != nil {
		return "", err
	}
	if err := pawl.SetCustomStatus(o, "paid"); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d lines for %s", len(lines), customer), nil
}

func run(ctx context.Context, app *pawl.App) error {
	basket, err := pawl.Start(ctx, app, Basket, "Ada", nil)
	if err != nil {
		return err
	}
	id := basket.InstanceID()
	status, version, err := pawl.WaitForStatus[string](ctx, app, id, 0)
	if err != nil {
		return err
	}
	fmt.Printf("status: %s, version %d\n", status, version)

	if err := change(ctx, app, id); err != nil {
		return err
	}
	if err := show(ctx, app, id, "query"); err != nil {
		return err
	}
	if err := pawl.Raise(ctx, app, id, "pay", "card", nil); err != nil {
		return err
	}
	if status, version, err = pawl.WaitForStatus[string](ctx, app, id, version); err != nil {
		return err
	}
	fmt.Printf("status: %s, version %d\n", status, version)
	result, err := basket.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println("result:", result)

	if err := show(ctx, app, id, "query after the end"); err != nil {
		return err
	}
	customer, _, err := pawl.ReadValue[string](ctx, app, id, "customer")
	fmt.Println("value after the end:", customer)
	return err
}

// change sends updates.
func change(ctx context.Context, app *pawl.App, id string) error {
	n, err := pawl.Update[int](ctx, app, id, "add", Line{2, "tea"}, nil)
	if err != nil {
		return err
	}
	fmt.Printf("add 2 x tea: %d lines\n", n)

	_, err = pawl.Update[int](ctx, app, id, "add", Line{0, "cake"}, nil)
	var refused *pawl.Failure
	if !errors.Is(err, pawl.ErrRejected) || !errors.Is(err, ErrQuantity) || !errors.As(err, &refused) {
		return fmt.Errorf("not rejected: %w", err)
	}
	fmt.Println("add 0 x cake: rejected:", refused)

	once := &pawl.UpdateOptions{UpdateID: "cup-1"} // as after a lost connection
	first, err := pawl.Update[int](ctx, app, id, "add", Line{1, "cup"}, once)
	if err != nil {
		return err
	}
	second, err := pawl.Update[int](ctx, app, id, "add", Line{1, "cup"}, once)
	fmt.Printf("add 1 x cup, sent twice: %d lines, %d lines\n", first, second)
	return err
}

// show asks for the lines.
func show(ctx context.Context, app *pawl.App, id, what string) error {
	lines, err := pawl.Query[[]Line](ctx, app, id, "lines", struct{}{})
	if err != nil {
		return err
	}
	var texts []string
	for _, l := range lines {
		texts = append(texts, fmt.Sprintf("%d x %s", l.Quantity, l.Article))
	}
	fmt.Printf("%s: %v\n", what, texts)
	return nil
}
