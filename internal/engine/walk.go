package engine

import (
	"context"
	"iter"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/provider"
)

// walk goes through the turns of an execution in order, from q.From on, with as many reads as that takes. An error is the
// last thing it gives. It ends where the store has no more; whoever knows where the end is saves a read by leaving there.
func walk(q provider.HistoryQuery, read func(provider.HistoryQuery) ([]provider.Turn, error)) iter.Seq2[provider.Turn, error] {
	return func(yield func(provider.Turn, error) bool) {
		for page := q; ; {
			turns, err := read(page)
			if err != nil {
				yield(provider.Turn{}, err)
				return
			}
			if len(turns) == 0 {
				return
			}
			for _, t := range turns {
				if !yield(t, nil) {
					return
				}
				page.From = t.Seq + t.Count
			}
		}
	}
}

// turns is a walk for nobody's turn: for clients, and what serves them.
func (e *Engine) turns(ctx context.Context, q provider.HistoryQuery) iter.Seq2[provider.Turn, error] {
	return walk(q, func(q provider.HistoryQuery) (turns []provider.Turn, err error) {
		err = e.call(ctx, func(ctx context.Context) (err error) {
			turns, err = e.store.ReadHistory(ctx, q)
			return err
		})
		return turns, err
	})
}

// events is turns for those who want to know what is in each of them.
func (e *Engine) events(ctx context.Context, q provider.HistoryQuery) iter.Seq2[history.Event, error] {
	return func(yield func(history.Event, error) bool) {
		for t, err := range e.turns(ctx, q) {
			var events []history.Event
			if err == nil {
				events, err = history.DecodeTurn(t.Events)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, ev := range events {
				if !yield(ev, nil) {
					return
				}
			}
		}
	}
}
