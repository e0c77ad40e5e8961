package engine

import (
	"context"
	"fmt"

	"github.com/pawlrun/pawl/history"
	"github.com/pawlrun/pawl/internal/replay"
)

// MaxCalls bound how many calls of clients may be under way at a time, by what they hold while they wait; 0 is no limit.
type MaxCalls struct {
	Starts   int // each with its input, or a first turn
	Messages int // each with its payload
	Queries  int // each with a whole history
}

// places bound how many calls of one kind are under way. Those for which there is none wait in order. Nil is without bound.
type places chan struct{}

func newPlaces(n int) places {
	if n <= 0 {
		return nil
	}
	return make(places, n)
}

// take waits for a place; leave must follow unless it fails, which is when ctx ends or the engine stops first.
func (p places) take(ctx context.Context, e *Engine) error {
	if p == nil {
		return nil
	}
	select {
	case p <- struct{}{}:
		return nil
	default:
	}
	select {
	case p <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d others are under way in this process, which is the limit: %w", cap(p), context.Cause(ctx))
	case <-e.ctx.Done():
		return ErrStopped
	}
}

func (p places) leave() {
	if p != nil {
		<-p
	}
}

// seat is a place that is taken and left more than once.
type seat struct {
	places places
	taken  bool
}

func (s *seat) take(ctx context.Context, e *Engine) error {
	if s.taken {
		return nil
	}
	err := s.places.take(ctx, e)
	s.taken = err == nil
	return err
}

func (s *seat) leave() {
	if s.taken {
		s.taken = false
		s.places.leave()
	}
}

// nextInput takes what the next turn is given: all there is, unless that is too much for one commit. What is left over of
// the results of activities here stays for the turn after it; what is left of the inbox comes again with the commit's
// answer. s.mu is held.
func (in *instance) nextInput() []replay.Message {
	input := make([]replay.Message, 0, len(in.finished)+len(in.pending))
	n, m := in.fitting()
	input = append(append(input, in.finished[:n]...), in.pending[:m]...)
	in.given, in.finished, in.pending = in.finished[:n:n], in.finished[n:], nil
	if len(in.finished) == 0 {
		in.finished = nil
	}
	return input
}

// fitting is how many results and messages fit into a turn: at least one.
func (in *instance) fitting() (finished, pending int) {
	room := in.s.e.opts.Limits.TurnBytes
	if room == 0 {
		return len(in.finished), len(in.pending)
	}
	for i := range in.finished {
		if room -= messageBytes(&in.finished[i]); room < 0 && i > 0 {
			return i, 0
		}
	}
	for i := range in.pending {
		if room -= messageBytes(&in.pending[i]); room < 0 && i+len(in.finished) > 0 {
			return len(in.finished), i
		}
	}
	return len(in.finished), len(in.pending)
}

// messageBytes is about what a message adds to a commit.
func messageBytes(m *replay.Message) int {
	switch ev := m.Event.(type) {
	case *history.ActivityCompleted:
		return ev.Result.Size()
	case *history.ActivityFailed:
		return failureBytes(&ev.Failure)
	case *history.ChildCompleted:
		return ev.Result.Size()
	case *history.ChildFailed:
		return failureBytes(&ev.Failure)
	case *history.EventReceived:
		return ev.Payload.Size()
	case *history.UpdateReceived:
		return ev.Payload.Size()
	}
	return 0
}

func failureBytes(f *history.Failure) int {
	n := 0
	for level := range f.All() {
		n += len(level.Message) + len(level.Stack) + level.Details.Size()
	}
	return n
}
