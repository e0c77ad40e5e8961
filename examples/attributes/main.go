// Command attributes shows how instances are found by what they are about: they begin with attributes, their code changes
// these as it goes on, and a listing finds those that have all the attributes it asks for, also after their end. A memo is
// for reading only.
//
// It prints:
//
//	waiting for Ada: order-3 order-1
//	waiting for Ada, express: order-3
//	order-3 is about: 2 umbrellas
//	approved: order-3
//	waiting for Ada: order-1
//	the next page: order-1
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
	pawl.RegisterOrchestration(app, Approve)
}

// Approve waits for somebody to approve an order.
func Approve(o *pawl.Context, item string) (string, error) {
	if err := pawl.SetAttribute(o, "state", "waiting"); err != nil {
		return "", err
	}
	if _, err := pawl.Event[string](o, "approved").Await(); err != nil {
		return "", err
	}
	approver, _, err := pawl.Value[string](o, "approver") // what it was started with
	if err != nil {
		return "", err
	}
	return item + " approved by " + approver, pawl.SetAttribute(o, "state", "approved")
}

func run(ctx context.Context, app *pawl.App) error {
	for i, approver := range []string{"Ada", "Lin", "Ada"} {
		_, err := pawl.Start(ctx, app, Approve, "umbrella", &pawl.StartOptions{
			InstanceID: fmt.Sprint("order-", i+1),
			Attributes: map[string]any{"approver": approver, "express": i == 2},
			Memo:       map[string]any{"about": fmt.Sprint(i, " umbrellas")},
		})
		if err != nil {
			return err
		}
	}
	waiting := map[string]any{"state": "waiting", "approver": "Ada"}
	if err := show(ctx, app, "waiting for Ada", &pawl.ListOptions{Attributes: waiting}); err != nil {
		return err
	}
	express := map[string]any{"state": "waiting", "approver": "Ada", "express": true}
	if err := show(ctx, app, "waiting for Ada, express", &pawl.ListOptions{Attributes: express}); err != nil {
		return err
	}
	about, _, err := pawl.ReadValue[string](ctx, app, "order-3", "about")
	if err != nil {
		return err
	}
	fmt.Println("order-3 is about:", about)

	if err := pawl.Raise(ctx, app, "order-3", "approved", "yes", nil); err != nil {
		return err
	}
	order, err := pawl.Attach[string](app, "order-3")
	if err != nil {
		return err
	}
	if _, err := order.Result(ctx); err != nil {
		return err
	}
	approved := map[string]any{"state": "approved"}
	if err := show(ctx, app, "approved", &pawl.ListOptions{Attributes: approved, Status: "completed"}); err != nil {
		return err
	}
	if err := show(ctx, app, "waiting for Ada", &pawl.ListOptions{Attributes: waiting}); err != nil {
		return err
	}

	ada := pawl.ListOptions{Attributes: map[string]any{"approver": "Ada"}, Limit: 1}
	if _, ada.Before, err = app.List(ctx, &ada); err != nil {
		return err
	}
	return show(ctx, app, "the next page", &ada)
}

// show prints the ids of the instances that a listing finds, newest first.
func show(ctx context.Context, app *pawl.App, what string, opts *pawl.ListOptions) error {
	found, _, err := app.List(ctx, opts)
	if err != nil {
		return err
	}
	var ids []string
	for _, in := range found {
		ids = append(ids, in.InstanceID)
	}
	fmt.Println(what+":", strings.Join(ids, " "))
	return nil
}
