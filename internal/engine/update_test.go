package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// adder answers updates "add" with its input until the event "end"; with the input "deaf" it handles none.
var adder = Orchestration{Name: "adder", Run: func(x *replay.Execution, input history.Payload) (history.Payload, error) {
	if string(input.Data) != `"deaf"` {
		x.HandleUpdate("add", replay.Update{Handle: func(in history.Payload) (history.Payload, error) { return in, nil }})
	}
	_, err := x.Await(x.Root().Event("end"))
	return history.Payload{}, err
}}

func document(text string) history.Payload {
	return history.Payload{Encoding: history.EncodingJSON, Data: []byte(text)}
}

// updateWorld is a worker and a client on one store, in virtual time.
func updateWorld(t *testing.T, f func(ctx context.Context, worker, client *Engine)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		store := model.New(model.Options{})
		worker, client := New(store.Open(), options(t)), New(store.Open(), options(t))
		if err := errors.Join(worker.Start(ctx, []Orchestration{adder}, nil), client.Start(ctx, nil, nil)); err != nil {
			t.Fatal(err)
		}
		f(ctx, worker, client)
		if err := errors.Join(worker.Stop(ctx), client.Stop(ctx)); err != nil {
			t.Error(err)
		}
	})
}

// TestUpdateAnsweredElsewhere: who waits in another process reads on until the answer is there.
func TestUpdateAnsweredElsewhere(t *testing.T) {
	updateWorld(t, func(ctx context.Context, worker, client *Engine) {
		if _, err := worker.StartInstance(ctx, StartSpec{InstanceID: "a", Name: "adder", Input: document(`""`)}); err != nil {
			t.Fatal(err)
		}
		for id, e := range map[string]*Engine{"u1": worker, "u2": client} {
			answer, status, err := e.Update(ctx, UpdateSpec{InstanceID: "a", Name: "add", ID: id, Input: document("5")})
			if err != nil || status != provider.Applied || answer.Failure != nil || string(answer.Result.Data) != "5" {
				t.Errorf("%+v, %v, %v", answer, status, err)
			}
			if len(e.updates.byKey) != 0 {
				t.Errorf("%d still wait", len(e.updates.byKey))
			}
		}
	})
}

// TestUpdateOfReplacedInstance: one that is terminated, or makes way for another of its id, has no answer to give.
func TestUpdateOfReplacedInstance(t *testing.T) {
	for _, replace := range []bool{false, true} {
		updateWorld(t, func(ctx context.Context, worker, client *Engine) {
			if _, err := worker.StartInstance(ctx, StartSpec{InstanceID: "a", Name: "adder", Input: document(`"deaf"`)}); err != nil {
				t.Fatal(err)
			}
			ended := make(chan provider.ItemStatus)
			go func() {
				_, status, err := client.Update(ctx, UpdateSpec{InstanceID: "a", Name: "add", ID: "u", Input: document("5")})
				if err != nil {
					t.Error(err)
				}
				ended <- status
			}()
			synctest.Wait()
			if _, err := worker.Terminate(ctx, "a", "r", false); err != nil {
				t.Fatal(err)
			}
			if replace {
				status, err := worker.StartInstance(ctx, StartSpec{InstanceID: "a", Name: "adder", Input: document(`""`), ReplaceEnded: true})
				if err != nil || status != provider.Applied {
					t.Fatal(status, err)
				}
			}
			if status := <-ended; status != provider.Gone {
				t.Errorf("replaced %v: %v", replace, status)
			}
		})
	}
}

// TestWaitsEndWithTheEngine: nobody is left waiting for an answer, a status or a first turn.
func TestWaitsEndWithTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		store := model.New(model.Options{})
		starter, e := New(store.Open(), options(t)), New(store.Open(), options(t))
		if err := errors.Join(starter.Start(ctx, nil, nil), e.Start(ctx, []Orchestration{adder}, nil)); err != nil {
			t.Fatal(err)
		}
		if _, err := e.StartInstance(ctx, StartSpec{InstanceID: "a", Name: "adder", Input: document(`"deaf"`)}); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 2)
		go func() {
			_, _, err := e.Update(ctx, UpdateSpec{InstanceID: "a", Name: "add", ID: "u", Input: document("5")})
			done <- err
		}()
		go func() {
			_, err := e.WaitForStatus(ctx, "a", 0)
			done <- err
		}()
		synctest.Wait()
		if err := e.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-done; !errors.Is(err, ErrStopped) {
				t.Errorf("wait ended with %v", err)
			}
		}
		if _, _, err := e.Query(ctx, "a", "q", document("1")); !errors.Is(err, ErrStopped) {
			t.Errorf("query of a stopped engine: %v", err)
		}
		if err := starter.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
}
