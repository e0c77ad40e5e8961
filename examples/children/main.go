// Command children shows sub-orchestrations: one child, several at once, a chain of three levels, children that their
// parent waits for or has cancelled when it ends, and an instance that it starts and forgets.
//
// It prints:
//
//	basic: parent got PAWL
//	fan-out: A1 B2
//	chain: root(middle(leaf(x)))
//	closing: parent done, helper cancelled: the parent has ended, last child done
//	detached: parent done, reminder sent later
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/examples/internal/program"
)

func main() {
	program.Main(register, run)
}

func register(app *pawl.App) {
	pawl.RegisterOrchestration(app, Parent)
	pawl.RegisterOrchestration(app, Shout)
	pawl.RegisterOrchestration(app, TwoChildren)
	pawl.RegisterOrchestration(app, Root)
	pawl.RegisterOrchestration(app, Middle)
	pawl.RegisterOrchestration(app, Leaf)
	pawl.RegisterOrchestration(app, Close)
	pawl.RegisterOrchestration(app, Subscribe)
	pawl.RegisterOrchestration(app, Remind)
	pawl.RegisterActivity(app, ToUpper)
}

// ToUpper is the only activity here.
func ToUpper(ctx context.Context, s string) (string, error) { return strings.ToUpper(s), nil }

// Shout is a child: an orchestration like any other, with an instance and a history of its own.
func Shout(o *pawl.Context, s string) (string, error) {
	return pawl.Activity(o, ToUpper, s).Await()
}

// Parent awaits one child.
func Parent(o *pawl.Context, s string) (string, error) {
	loud, err := pawl.SubOrchestration(o, Shout, s, nil).Await()
	return "parent got " + loud, err
}

// TwoChildren runs two children at the same time.
func TwoChildren(o *pawl.Context, _ struct{}) (string, error) {
	results, err := pawl.All(
		pawl.SubOrchestration(o, Shout, "a1", nil),
		pawl.SubOrchestration(o, Shout, "b2", nil),
	)
	return strings.Join(results, " "), err
}

// Root, Middle and Leaf are a chain.
func Root(o *pawl.Context, s string) (string, error) {
	s, err := pawl.SubOrchestration(o, Middle, s, nil).Await()
	return "root(" + s + ")", err
}

// Middle is the second level.
func Middle(o *pawl.Context, s string) (string, error) {
	s, err := pawl.SubOrchestration(o, Leaf, s, nil).Await()
	return "middle(" + s + ")", err
}

// Leaf is the third.
func Leaf(o *pawl.Context, s string) (string, error) { return "leaf(" + s + ")", nil }

// Remind waits before it does its work.
func Remind(o *pawl.Context, after time.Duration) (string, error) {
	if err := pawl.Sleep(o, after); err != nil {
		return "", err
	}
	return "reminder sent later", nil
}

// Close does not wait for its children, but says what becomes of them when it ends: one is cancelled, the end waits for the
// other.
func Close(o *pawl.Context, _ struct{}) (string, error) {
	pawl.SubOrchestration(o, Remind, time.Hour, &pawl.ChildOptions{InstanceID: o.InstanceID() + "/helper", ParentClose: pawl.CloseCancel})
	pawl.SubOrchestration(o, Remind, 0, &pawl.ChildOptions{InstanceID: o.InstanceID() + "/last", ParentClose: pawl.CloseWait})
	return "parent done", nil
}

// Subscribe starts an instance under an id of its own choice and has nothing more to do with it.
func Subscribe(o *pawl.Context, _ struct{}) (string, error) {
	_, err := pawl.StartDetached(o, Remind, 50*time.Millisecond, &pawl.DetachedOptions{InstanceID: o.InstanceID() + "/reminder"})
	return "parent done", err
}

func run(ctx context.Context, app *pawl.App) error {
	basic, err := pawl.Start(ctx, app, Parent, "pawl", nil)
	if err != nil {
		return err
	}
	answer, err := basic.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println("basic:", answer)

	two, err := pawl.Start(ctx, app, TwoChildren, struct{}{}, nil)
	if err != nil {
		return err
	}
	if answer, err = two.Result(ctx); err != nil {
		return err
	}
	fmt.Println("fan-out:", answer)

	chain, err := pawl.Start(ctx, app, Root, "x", nil)
	if err != nil {
		return err
	}
	if answer, err = chain.Result(ctx); err != nil {
		return err
	}
	fmt.Println("chain:", answer)

	if err := closing(ctx, app); err != nil {
		return err
	}
	parent, err := pawl.Start(ctx, app, Subscribe, struct{}{}, nil)
	if err != nil {
		return err
	}
	if answer, err = parent.Result(ctx); err != nil {
		return err
	}
	child, err := pawl.Attach[string](app, parent.InstanceID()+"/reminder")
	if err != nil {
		return err
	}
	reminder, err := child.Result(ctx)
	fmt.Printf("detached: %s, %s\n", answer, reminder)
	return err
}

// closing looks what became of the children of a parent that has ended.
func closing(ctx context.Context, app *pawl.App) error {
	parent, err := pawl.Start(ctx, app, Close, struct{}{}, nil)
	if err != nil {
		return err
	}
	answer, err := parent.Result(ctx)
	if err != nil {
		return err
	}
	last, err := app.Describe(ctx, parent.InstanceID()+"/last")
	if err != nil {
		return err
	}
	if last.EndedAt.IsZero() {
		return errors.New("the parent has ended before its last child")
	}
	helper, err := pawl.Attach[string](app, parent.InstanceID()+"/helper")
	if err != nil {
		return err
	}
	_, err = helper.Result(ctx)
	why := (*pawl.CancelledError)(nil)
	if !errors.As(err, &why) {
		return fmt.Errorf("the helper was not cancelled: %w", err)
	}
	fmt.Printf("closing: %s, helper %v, last child done\n", answer, why)
	return nil
}
