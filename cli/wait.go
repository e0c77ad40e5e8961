package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/pawlrun/pawl"
	"github.com/pawlrun/pawl/provider"
)

// errTooLate is the cause of a wait that --timeout has ended.
var errTooLate = errors.New("too late")

// await waits for the end of an instance and prints it.
func (s *Session) await(ctx context.Context, store provider.Provider, run *pawl.Run[json.RawMessage], timeout time.Duration) error {
	id := run.InstanceID()
	wait, cancel := context.WithCancel(ctx)
	defer cancel()
	if timeout > 0 {
		wait, cancel = context.WithTimeoutCause(wait, timeout, errTooLate)
		defer cancel()
	}
	quiet := time.AfterFunc(5*time.Second, func() { s.hintNoWorker(wait, store, id) })
	defer quiet.Stop()
	result, err := run.Result(wait)
	var failed *pawl.OrchestrationError
	switch {
	case errors.Is(err, errTooLate):
		return &Error{ExitTimeout, fmt.Errorf("instance %q has not ended within %v; %s", id, timeout, s.prospect(ctx, store, id))}
	case err != nil && ctx.Err() != nil:
		return &Error{ExitInterrupted, fmt.Errorf("interrupted; instance %q runs on", id)}
	case errors.As(err, &failed):
		if s.json {
			if err := s.printInstance(ctx, store, id); err != nil {
				return err
			}
		}
		return &Error{ExitFailed, fmt.Errorf("instance %q %w", id, s.ending(ctx, store, id, failed.Err))}
	case err != nil:
		return err
	case s.json:
		return s.printInstance(ctx, store, id)
	}
	_, err = fmt.Fprintf(s.cfg.Stdout, "%s\n", result)
	return err
}

// prospect says what becomes of an instance that is not waited for any longer.
func (s *Session) prospect(ctx context.Context, store provider.Provider, id string) string {
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	st, err := readInstance(bounded, store, id)
	switch {
	case err != nil || st.Status.Terminal():
		return "it runs on" // as far as is known here
	case st.Parked != nil:
		return "it is parked: " + describeParked(st.Parked)
	case st.Workers == 0:
		return "it waits: no worker can run it"
	}
	return "it runs on"
}

// ending is the failure of an instance in the words of its status: an error that says cancelled may also be that of a
// child, which the instance has failed with.
func (s *Session) ending(ctx context.Context, store provider.Provider, id string, failure error) error {
	if errors.Is(failure, pawl.ErrCancelled) || errors.Is(failure, pawl.ErrTerminated) {
		bounded, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		st, err := readInstance(bounded, store, id)
		switch {
		case err != nil: // what is known is enough
		case st.Status == provider.StatusCancelled:
			var cancelled *pawl.CancelledError
			if errors.As(failure, &cancelled) {
				return because("was cancelled", cancelled.Reason, failure)
			}
		case st.Status == provider.StatusTerminated:
			var terminated *pawl.Failure
			if errors.As(failure, &terminated) {
				return because("was terminated", terminated.Message, failure)
			}
		}
	}
	return fmt.Errorf("failed: %w", failure)
}

// endedBecause is a failure in other words.
type endedBecause struct {
	text    string
	failure error
}

func because(what, reason string, failure error) error {
	if reason != "" {
		what += ": " + reason
	}
	return &endedBecause{what, failure}
}

func (e *endedBecause) Error() string { return e.text }
func (e *endedBecause) Unwrap() error { return e.failure }

// hintNoWorker tells somebody who waits for an instance that nobody has begun what is probably missing.
func (s *Session) hintNoWorker(ctx context.Context, store provider.Provider, id string) {
	states, err := store.ReadInstances(ctx, []string{id}, false)
	if err != nil || len(states) == 0 || states[0].NextSeq > 1 || states[0].Status.Terminal() {
		return
	}
	s.log.Warn("nobody has begun the instance yet: is a worker running that has the orchestration registered?", "instance", id, "orchestration", states[0].Name)
}
