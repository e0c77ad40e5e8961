package engine

import "context"

// doubt keeps senders apart while the outcome of a call is unknown. The repeat of a call brings messages that may be there
// already, and who receives them remembers only so many; so nothing else is sent from here until it is done, and the second
// copy of a message is never far behind the first.
type doubt chan struct{}

func newDoubt() doubt { return make(doubt, 1) }

// pass waits while somebody else is in doubt.
func (d doubt) pass(ctx context.Context) {
	if d.hold(ctx) {
		d.release()
	}
}

// hold begins a time of doubt; it reports false if ctx has ended before.
func (d doubt) hold(ctx context.Context) bool {
	select {
	case d <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (d doubt) release() { <-d }
