// Command steps shows activities called one after another: in sequence, by a decision, in a loop; and time and ids that
// are the same in every replay.
//
// It prints:
//
//	Hello, world!
//	Hello, Ada!
//	the flag was yes: picked A
//	xxx
//	time stands still between awaits: true
//	ids differ: true
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
	pawl.RegisterOrchestration(app, GreetTwice)
	pawl.RegisterOrchestration(app, Decide)
	pawl.RegisterOrchestration(app, Loop)
	pawl.RegisterOrchestration(app, TimeAndIDs)
	pawl.RegisterActivity(app, Greet)
	pawl.RegisterActivity(app, ReadFlag)
	pawl.RegisterActivity(app, AppendX)
}

// Greet says hello.
func Greet(ctx context.Context, name string) (string, error) {
	return "Hello, " + name + "!", nil
}

// ReadFlag stands for anything outside that a decision depends on.
func ReadFlag(ctx context.Context, name string) (bool, error) {
	return name == "new-checkout", nil
}

// AppendX returns its input and an x.
func AppendX(ctx context.Context, s string) (string, error) {
	return s + "x", nil
}

// GreetTwice calls an activity twice in sequence. The second call begins when the first result is recorded.
func GreetTwice(o *pawl.Context, name string) ([]string, error) {
	first, err := pawl.Activity(o, Greet, "world").Await()
	if err != nil {
		return nil, err
	}
	o.Logger().Debug("first greeting done") // logged once, however often this code is replayed
	second, err := pawl.Activity(o, Greet, name).Await()
	return []string{first, second}, err
}

// Decide branches on an activity's answer. The answer is recorded, so every replay takes the same branch.
func Decide(o *pawl.Context, flag string) (string, error) {
	on, err := pawl.Activity(o, ReadFlag, flag).Await()
	switch {
	case err != nil:
		return "", err
	case on:
		return "the flag was yes: picked A", nil
	}
	return "the flag was no: picked B", nil
}

// Loop feeds each result into the next call.
func Loop(o *pawl.Context, times int) (string, error) {
	var s string
	for range times {
		var err error
		if s, err = pawl.Activity(o, AppendX, s).Await(); err != nil {
			return "", err
		}
	}
	return s, nil
}

// Facts is the result of TimeAndIDs.
type Facts struct {
	TimeStoodStill bool
	IDsDiffer      bool
}

// TimeAndIDs takes the time and ids from the context, never from package time or a random generator.
func TimeAndIDs(o *pawl.Context, _ struct{}) (Facts, error) {
	before := o.Now()
	first, second := o.NewID(), o.NewID()
	return Facts{TimeStoodStill: o.Now().Equal(before), IDsDiffer: first != second}, nil
}

func run(ctx context.Context, app *pawl.App) error {
	twice, err := pawl.Start(ctx, app, GreetTwice, "Ada", nil)
	if err != nil {
		return err
	}
	greetings, err := twice.Result(ctx)
	if err != nil {
		return err
	}
	for _, g := range greetings {
		fmt.Println(g)
	}

	decide, err := pawl.Start(ctx, app, Decide, "new-checkout", nil)
	if err != nil {
		return err
	}
	decision, err := decide.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println(decision)

	loop, err := pawl.Start(ctx, app, Loop, 3, nil)
	if err != nil {
		return err
	}
	xs, err := loop.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println(xs)

	system, err := pawl.Start(ctx, app, TimeAndIDs, struct{}{}, nil)
	if err != nil {
		return err
	}
	facts, err := system.Result(ctx)
	fmt.Println("time stands still between awaits:", facts.TimeStoodStill)
	fmt.Println("ids differ:", facts.IDsDiffer)
	return err
}
