package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
	"github.com/pawlrun/pawl/provider/providertest/model"
)

// newerStore is a store whose instances ended in a way this build cannot read.
type newerStore struct{ *model.Provider }

func (s newerStore) ReadInstances(ctx context.Context, ids []string, watch bool) ([]provider.InstanceState, error) {
	states, err := s.Provider.ReadInstances(ctx, ids, watch)
	for i := range states {
		states[i].LastTurn.Events = []byte(`[{"type":"FromTheFuture"}]`)
	}
	return states, err
}

// TestUnreadableOutcomeEndsTheWait: who waits for an instance whose outcome cannot be read is told so at once.
func TestUnreadableOutcomeEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := model.New(model.Options{})
		worker := launch(t, store.Open(), options(t), []Orchestration{fan}, []Activity{work})
		ends(t, begin(t, worker, "i", "fan"), time.Minute)
		client := launch(t, newerStore{store.Open()}, options(t), nil, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		w := client.Watch("i", false)
		defer w.Close()
		o, found, err := w.Wait(ctx)
		if err != nil || !found {
			t.Fatalf("found %v, %v", found, err)
		}
		if o.Status != provider.StatusCompleted || o.Failure == nil || o.Failure.Kind != history.FailureBadPayload {
			t.Fatalf("got %+v with failure %+v", o, o.Failure)
		}
	})
}
