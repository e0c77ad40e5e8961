// Command typed shows values of any Go type, checked by the compiler: inputs and results of orchestrations and
// activities, external events, and how a caller that does not have the functions uses their names.
//
// It prints:
//
//	total: 42.50 EUR for 3 items
//	Lin: approved 100 by Ada
//	by name: total: 42.50 EUR for 3 items
package main

import (
	"context"
	"fmt"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/examples/internal/program"
)

func main() {
	program.Main(register, run)
}

func register(app *pawl.App) {
	pawl.RegisterOrchestration(app, Checkout)
	pawl.RegisterOrchestration(app, Approval)
	pawl.RegisterOrchestration(app, Outer)
	pawl.RegisterActivity(app, Price, pawl.Name("shop.price"), pawl.Aliases("Price"))
}

// Item is one line of a Cart.
type Item struct {
	Name     string
	Quantity int
	Price    float64
}

// Cart is the input of Checkout.
type Cart struct{ Items []Item }

// Total is a result. Values travel as JSON; unexported fields do not travel.
type Total struct {
	Amount float64
	Items  int
}

// String makes a Total printable.
func (t Total) String() string { return fmt.Sprintf("total: %.2f EUR for %d items", t.Amount, t.Items) }

// Price adds up a cart.
func Price(ctx context.Context, c Cart) (Total, error) {
	var t Total
	for _, item := range c.Items {
		t.Items += item.Quantity
		t.Amount += float64(item.Quantity) * item.Price
	}
	return t, nil
}

// Checkout passes a struct to an activity and returns another. Handing Price anything but a Cart does not compile.
func Checkout(o *pawl.Context, c Cart) (Total, error) {
	return pawl.Activity(o, Price, c).Await()
}

// Decision is the payload of an external event.
type Decision struct {
	By     string
	Amount int
	OK     bool
}

// Approval waits for a typed event.
func Approval(o *pawl.Context, applicant string) (string, error) {
	d, err := pawl.Event[Decision](o, "decision").Await()
	if err != nil || !d.OK {
		return applicant + ": refused", err
	}
	return fmt.Sprintf("%s: approved %d by %s", applicant, d.Amount, d.By), nil
}

// Outer calls by name, as if Price and Checkout were in another program, and mixes the answers in one Select.
func Outer(o *pawl.Context, c Cart) (string, error) {
	price := pawl.ActivityByName[Total](o, "Price", c)
	checkout := pawl.SubOrchestrationByName[Total](o, "Checkout", c, nil)
	first, err := pawl.Select(price, checkout)
	if err != nil {
		return "", err
	}
	answer, other := price, checkout
	if first == 1 {
		answer, other = checkout, price
	}
	a, err := answer.Await()
	if err != nil {
		return "", err
	}
	b, err := other.Await()
	if a != b {
		return "", fmt.Errorf("%v is not %v", a, b)
	}
	return fmt.Sprint(a), err
}

func run(ctx context.Context, app *pawl.App) error {
	cart := Cart{Items: []Item{{"pawl", 2, 20}, {"spring", 1, 2.5}}}
	checkout, err := pawl.Start(ctx, app, Checkout, cart, nil)
	if err != nil {
		return err
	}
	total, err := checkout.Result(ctx) // a Total
	if err != nil {
		return err
	}
	fmt.Println(total)

	approval, err := pawl.Start(ctx, app, Approval, "Lin", nil)
	if err != nil {
		return err
	}
	decision := Decision{By: "Ada", Amount: 100, OK: true}
	if err := pawl.Raise(ctx, app, approval.InstanceID(), "decision", decision, nil); err != nil {
		return err
	}
	answer, err := approval.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println(answer)

	outer, err := pawl.StartByName[string](ctx, app, "Outer", cart, nil)
	if err != nil {
		return err
	}
	answer, err = outer.Result(ctx)
	fmt.Println("by name:", answer)
	return err
}
