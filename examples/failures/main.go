// Command failures shows what an orchestration does when activities fail: undo what was done, pass the error on with its
// causes, tell kinds of errors apart and read their details, fall back, and try again after a pause.
//
// It prints:
//
//	trip to Paris: booked flight, booked hotel
//	trip to Atlantis: booked flight, no hotel in Atlantis, cancelled flight
//	order 0: refused: quantity must be positive
//	order 2: 20 EUR
//	pay 30 EUR: paid by card
//	pay 80 EUR: paid by voucher, the card is 30 EUR short
//	pay 900 EUR: declined, the limit is 500 EUR
//	rate: 1.08 from the fallback
//	upload: stored after 3 tries
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
	pawl.RegisterOrchestration(app, BookTrip)
	pawl.RegisterOrchestration(app, PlaceOrder)
	pawl.RegisterOrchestration(app, PriceOrder)
	pawl.RegisterOrchestration(app, Pay)
	pawl.RegisterOrchestration(app, PayByCard)
	pawl.RegisterOrchestration(app, ExchangeRate)
	pawl.RegisterOrchestration(app, Upload)
	pawl.RegisterActivity(app, BookFlight)
	pawl.RegisterActivity(app, CancelFlight)
	pawl.RegisterActivity(app, BookHotel)
	pawl.RegisterActivity(app, Multiply)
	pawl.RegisterActivity(app, ChargeCard)
	pawl.RegisterActivity(app, RateFromBank)
	pawl.RegisterActivity(app, RateFromCache)
	pawl.RegisterActivity(app, Store)
}

// BookFlight books.
func BookFlight(ctx context.Context, city string) (string, error) { return "booked flight", nil }

// CancelFlight undoes BookFlight.
func CancelFlight(ctx context.Context, city string) (string, error) { return "cancelled flight", nil }

// BookHotel books, where there is one.
func BookHotel(ctx context.Context, city string) (string, error) {
	if city == "Atlantis" {
		return "", fmt.Errorf("no hotel in %s", city)
	}
	return "booked hotel", nil
}

// BookTrip books a flight and a hotel; without a hotel it cancels the flight (a saga). A crash between the two does not
// lose the cancellation: the orchestration goes on where it was.
func BookTrip(o *pawl.Context, city string) (log []string, err error) {
	flight, err := pawl.Activity(o, BookFlight, city).Await()
	if err != nil {
		return nil, err
	}
	log = append(log, flight)
	hotel, err := pawl.Activity(o, BookHotel, city).Await()
	if err == nil {
		return append(log, hotel), nil
	}
	var failure *pawl.Failure
	if !errors.As(err, &failure) {
		return nil, err
	}
	cancelled, err := pawl.Activity(o, CancelFlight, city).Await()
	return append(log, failure.Message, cancelled), err
}

// Multiply is an activity that validates its input.
func Multiply(ctx context.Context, quantity int) (int, error) {
	if quantity <= 0 {
		return 0, errors.New("quantity must be positive")
	}
	return quantity * 10, nil
}

// PriceOrder passes the activity's error on to its parent.
func PriceOrder(o *pawl.Context, quantity int) (int, error) {
	price, err := pawl.Activity(o, Multiply, quantity).Await()
	if err != nil {
		return 0, fmt.Errorf("price: %w", err)
	}
	return price, nil
}

// PlaceOrder meets the error of an activity two levels down. Errors cross processes as recorded text, types and causes;
// errors.As finds each level.
func PlaceOrder(o *pawl.Context, quantity int) (string, error) {
	price, err := pawl.SubOrchestration(o, PriceOrder, quantity, nil).Await()
	var child *pawl.OrchestrationError
	switch {
	case errors.As(err, &child):
		root := error(child)
		for errors.Unwrap(root) != nil {
			root = errors.Unwrap(root)
		}
		return fmt.Sprintf("refused: %v", root), nil
	case err != nil:
		return "", err
	}
	return fmt.Sprintf("%d EUR", price), nil
}

// Kinds of errors. They are matched with errors.Is wherever the error has come to: in the orchestration, its parent, the
// client.
const (
	ErrNoFunds   = pawl.ErrorKind("no-funds")
	ErrOverLimit = pawl.ErrorKind("over-limit")
)

// Shortage says how much is missing.
type Shortage struct{ Missing int }

// ChargeCard is an activity that says more of its failure than a text.
func ChargeCard(ctx context.Context, amount int) (string, error) {
	switch {
	case amount > 500:
		return "", pawl.NonRetryable(fmt.Errorf("%w of 500 EUR", ErrOverLimit))
	case amount > 50:
		return "", &pawl.Error{Kind: ErrNoFunds, Message: "card declined", Details: Shortage{amount - 50}}
	}
	return "paid by card", nil
}

// PayByCard passes the activity's error on as it is.
func PayByCard(o *pawl.Context, amount int) (string, error) {
	return pawl.Activity(o, ChargeCard, amount).Await()
}

// Pay decides by the kind of the error, and by its details.
func Pay(o *pawl.Context, amount int) (string, error) {
	paid, err := pawl.SubOrchestration(o, PayByCard, amount, nil).Await()
	if !errors.Is(err, ErrNoFunds) {
		return paid, err
	}
	shortage, _ := pawl.Details[Shortage](err)
	return fmt.Sprintf("paid by voucher, the card is %d EUR short", shortage.Missing), nil
}

// RateFromBank is a service that is down.
func RateFromBank(ctx context.Context, currency string) (float64, error) {
	return 0, errors.New("the bank is closed")
}

// RateFromCache is the fallback.
func RateFromCache(ctx context.Context, currency string) (float64, error) { return 1.08, nil }

// ExchangeRate goes to a fallback when the first choice fails.
func ExchangeRate(o *pawl.Context, currency string) (string, error) {
	rate, err := pawl.Activity(o, RateFromBank, currency).Await()
	if err == nil {
		return fmt.Sprintf("%.2f", rate), nil
	}
	if rate, err = pawl.Activity(o, RateFromCache, currency).Await(); err != nil {
		return "", err
	}
	return fmt.Sprintf("%.2f from the fallback", rate), nil
}

// Store fails twice before it works.
func Store(ctx context.Context, try int) (string, error) {
	if try < 3 {
		return "", errors.New("disk busy")
	}
	return "stored", nil
}

// Upload tries an activity again after a durable pause, which costs no goroutine and survives a restart.
func Upload(o *pawl.Context, tries int) (string, error) {
	var errs []error
	for try := 1; try <= tries; try++ {
		done, err := pawl.Activity(o, Store, try).Await()
		if err == nil {
			return fmt.Sprintf("%s after %d tries", done, try), nil
		}
		errs = append(errs, err)
		if err := pawl.Sleep(o, time.Duration(try)*10*time.Millisecond); err != nil {
			return "", err
		}
	}
	return "", errors.Join(errs...)
}

func run(ctx context.Context, app *pawl.App) error {
	for _, city := range []string{"Paris", "Atlantis"} {
		trip, err := pawl.Start(ctx, app, BookTrip, city, nil)
		if err != nil {
			return err
		}
		log, err := trip.Result(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("trip to %s: %s\n", city, strings.Join(log, ", "))
	}
	for _, quantity := range []int{0, 2} {
		order, err := pawl.Start(ctx, app, PlaceOrder, quantity, nil)
		if err != nil {
			return err
		}
		answer, err := order.Result(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("order %d: %s\n", quantity, answer)
	}
	for _, amount := range []int{30, 80, 900} {
		payment, err := pawl.Start(ctx, app, Pay, amount, nil)
		if err != nil {
			return err
		}
		answer, err := payment.Result(ctx)
		switch {
		case errors.Is(err, ErrOverLimit): // from the activity of a child
			answer = "declined, the limit is 500 EUR"
		case err != nil:
			return err
		}
		fmt.Printf("pay %d EUR: %s\n", amount, answer)
	}
	rate, err := pawl.Start(ctx, app, ExchangeRate, "USD", nil)
	if err != nil {
		return err
	}
	answer, err := rate.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println("rate:", answer)

	upload, err := pawl.Start(ctx, app, Upload, 5, nil)
	if err != nil {
		return err
	}
	answer, err = upload.Result(ctx)
	fmt.Println("upload:", answer)
	return err
}
